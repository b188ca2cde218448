"""What is behind a head, what is in front of it, and what a camera makes of both. Images are float, 0 to 1."""

from __future__ import annotations

import numpy as np

from tinyhpe.heads.texture import sample_colour, sample_skin


def enlarge(grid: np.ndarray, size: int) -> np.ndarray:
    """A small grid (h, w, C) bilinearly enlarged to (size, size, C) float32: smooth noise from a few numbers."""
    height, width = grid.shape[:2]
    grid = grid.astype(np.float32)
    y, x = (np.arange(size, dtype=np.float32) * ((n - 1) / (size - 1)) for n in (height, width))
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, right = (y - top.astype(np.float32))[:, None, None], (x - left.astype(np.float32))[:, None]
    rows = grid[top] * (1 - down) + grid[top + 1] * down
    return rows.take(left, axis=1) * (1 - right) + rows.take(left + 1, axis=1) * right


def blur(image: np.ndarray, radius: int) -> np.ndarray:
    """Mean over squares of side 2 radius + 1, the edges repeated."""
    side = 2 * radius + 1
    padded = np.pad(image, ((radius + 1, radius), (radius + 1, radius), (0, 0)), "edge")
    total = padded.cumsum(axis=0, dtype=np.float32).cumsum(axis=1)
    return (total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]) / side**2


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A room, a wall, a garden: a colour, slow changes of it, boxes, discs and stripes, texture; often blurred."""
    drawn = size if rng.random() < 0.4 else int(rng.integers(8, 33))  # few pixels, enlarged: out of focus
    base = sample_colour(rng) if rng.random() < 0.65 else np.full(3, rng.choice((0.02, 0.97)))
    cells = int(rng.integers(2, 5))
    slow = rng.normal(0, rng.uniform(0.02, 0.25), (cells, cells, 1)) + rng.normal(0, 0.03, (cells, cells, 3))
    image = base.astype(np.float32) + enlarge(slow, drawn)
    y, x = _places(drawn)
    for _ in range(rng.integers(0, 8)):
        _add_shape(image, x, y, base, rng)
    if rng.random() < 0.7:
        cells = int(rng.integers(5, max(drawn // 3, 6)))
        image += enlarge(rng.normal(0, rng.uniform(0.02, 0.2), (cells, cells, 1)), drawn)
    image = np.clip(image, 0, 1)
    return image if drawn == size else enlarge(image, size)


def _places(size):
    """Rows (size, 1) and columns (1, size) of an image, as parts of its side."""
    along = np.arange(size, dtype=np.float32) / size
    return along[:, None], along[None]


def _add_shape(image, x, y, base, rng):
    colour = np.clip(base + rng.normal(0, 0.25), 0, 1) if rng.random() < 0.5 else sample_colour(rng)
    along, across = _turned(x, y, rng.uniform(-0.1, 1.1, 2), rng.uniform(0, np.pi))
    long, wide = rng.uniform(0.03, 0.5, 2)
    if rng.random() < 0.6:
        inside = (np.abs(along) < long) & (np.abs(across) < wide)
    else:
        inside = (along / long) ** 2 + (across / wide) ** 2 < 1
    if rng.random() < 0.3:
        inside &= np.sin(along * rng.uniform(20, 120)) > 0
    opacity = rng.uniform(0.3, 1)
    inside, pixels = np.flatnonzero(inside), image.reshape(-1, 3)
    pixels[inside] = pixels.take(inside, axis=0) * (1 - opacity) + colour.astype(np.float32) * opacity


def _turned(x, y, centre, angle):
    right, down = x - np.float32(centre[0]), y - np.float32(centre[1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return right * cosine + down * sine, down * cosine - right * sine


def occlude(image: np.ndarray, rng: np.random.Generator) -> None:
    """Something in front of the head, in place: a few fingers, or any box or disc, near the edge of the face."""
    size = len(image)
    y, x = _places(size)
    direction = rng.uniform(0, 2 * np.pi)
    distance = rng.uniform(0.28, 0.6)
    centre = 0.5 + distance * np.array((np.cos(direction), np.sin(direction)))
    along, across = _turned(x, y, centre, rng.uniform(0, np.pi))
    if rng.random() < 0.5:
        colour = sample_skin(rng)
        width, fingers = rng.uniform(0.03, 0.06), rng.integers(1, 5)
        finger = np.round(np.clip(across / (2 * width), 0, fingers - 1))
        offset = (across - finger * 2 * width) / width
        inside = (np.abs(offset) < 1) & (along > -0.15 - 0.05 * np.sin(finger)) & (along < rng.uniform(0.1, 0.6))
        light = 0.65 + 0.4 * np.sqrt(np.clip(1 - offset**2, 0, 1))
    else:
        colour = sample_colour(rng)
        long, wide = rng.uniform(0.06, 0.35), rng.uniform(0.05, 0.2)
        inside = (along / long) ** 2 + (across / wide) ** 2 < 1
        light = 0.8 + 0.4 * enlarge(rng.random((4, 4, 1)), size)[..., 0]
    light = light * rng.uniform(0.4, 1.1)
    image[inside] = colour.astype(np.float32) * light[inside][:, None]


def frame(image: np.ndarray, rng: np.random.Generator) -> None:
    """Blackens what lies outside the photo, in place: crops of real photos often reach beyond an edge."""
    size = len(image)
    for side in range(4):
        if rng.random() < 0.35:
            depth = int(size * rng.uniform(0, 0.2))
            np.rot90(image, side)[:depth] = 0


def _rolled_off(image, shoulder=0.75):
    """Bright light as a film or sensor takes it: above the shoulder ever slower towards white."""
    room = 1 - shoulder
    return np.minimum(image, shoulder) + room * (1 - np.exp(-np.maximum(image - shoulder, 0) / room))


def photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, gamma, colour cast or black and white, softness and noise of an unknown camera."""
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.035, 3))
    image = np.maximum(image * gain.astype(np.float32), 0) ** np.float32(np.exp(rng.normal(0, 0.2)))
    if rng.random() < 0.5:
        contrast = np.float32(np.exp(rng.normal(0.1, 0.3)))
        image = (image - 0.45) * contrast + (0.45 + rng.normal(0, 0.06))
    image = _rolled_off(image)
    grey = image @ np.array((0.30, 0.59, 0.11), np.float32)
    saturation = 0.0 if rng.random() < 0.2 else rng.uniform(0.5, 1.2)
    image = grey[..., None] + saturation * (image - grey[..., None])
    if rng.random() < 0.25:
        image = image + rng.uniform(0.3, 1) * (blur(image, max(1, round(len(image) / 64))) - image)
    grain = np.float32(rng.choice((0.0035, 0.0085, 0.0175, 0.035)))
    return image + grain * (
        2 * rng.random(image.shape, np.float32) - 1
    )  # as good as normal to the eye, and faster
