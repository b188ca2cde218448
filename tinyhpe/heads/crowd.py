"""Pictures with several heads of all sizes, or with none, and where the faces are: what a finder learns from.

Half of the work is what is no face: things of the colours of skin and hair, limbs, letters, people who have turned
their backs, and faces whose parts are in the wrong places.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tinyhpe.heads.backdrop import background, enlarge, frame, photograph
from tinyhpe.heads.scene import cut_out_head
from tinyhpe.heads.texture import HAIR_TONES, sample_colour, sample_skin
from tinyhpe.pose.boxes import landmark_box
from tinyhpe.pose.broad import broad_poses
from tinyhpe.pose.sampling import photographed_poses

FACE, SPREAD = 26, 0.5  # sides of faces in pixels: median, and deviation of the logarithm
NEAR, NEAR_SIDES = 0.12, (60, 200)  # chance of a near face, too large to be found, but not its eyes and mouth
MARGIN = 1.3  # of the picture that a head is drawn in, in sides of its face: room for the shoulders
FINE = 110  # pixels that it has at least, before it is shrunk: small heads are smooth
EMPTY, FRAMED = 0.15, 0.15  # chances of a picture
TURNED_AWAY, SCRAMBLED, ANY_POSE = 0.12, 0.12, 0.2  # chances of a head
MOST_HIDDEN = 0.4  # of a face's box, covered or outside the picture


class Crowd(NamedTuple):
    """A picture of heads. image (S, S, 3) uint8 RGB; boxes (n, 4) float32, of every face x and y of the upper
    left corner, width and height in pixels, brows to chin; hidden (n,), whether too little of it is seen."""

    image: np.ndarray
    boxes: np.ndarray
    hidden: np.ndarray


def render_crowd(seed, size: int = 160) -> Crowd:
    """Renders the picture that belongs to `seed` (an integer or a tuple of them), size x size pixels."""
    rng = np.random.default_rng(seed)
    image = background(size, rng)
    for _ in range(rng.integers(0, 16)):
        add_thing(image, rng)
    boxes, seen = [], []  # of each face, where the picture still shows it (S, S, 1)
    for side in _sample_sides(rng):
        box, covered = add_head(image, side, rng)
        for earlier in seen:
            earlier *= 1 - covered
        if box is not None:
            boxes.append(box)
            seen.append(np.ones_like(covered))
    for _ in range(rng.integers(0, 3)):
        covered = add_thing(image, rng)
        for earlier in seen:
            earlier *= 1 - covered
    image = photograph(image, rng)
    if rng.random() < FRAMED:
        inside = np.ones((size, size, 1), np.float32)
        frame(inside, rng)
        image, seen = image * inside, [shown * inside for shown in seen]
    hidden = [_share(box, shown) < 1 - MOST_HIDDEN for box, shown in zip(boxes, seen, strict=True)]
    image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Crowd(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(hidden, bool))


def _sample_sides(rng):
    """How large the faces are, in pixels, the small ones first: the near cover the far."""
    count = 0 if rng.random() < EMPTY else rng.integers(1, 7)
    sides = FACE * np.exp(rng.normal(0, SPREAD, count))
    if count and rng.random() < NEAR:
        sides[0] = np.exp(rng.uniform(*np.log(NEAR_SIDES)))
    return np.sort(sides)


def _share(box, seen):
    """How much of a box is in the picture and uncovered, from 0 to 1."""
    x, y, width, height = box
    part = seen[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))]
    return part.sum() / (round(width) * round(height))


def add_head(image, side, rng):
    """Draws a head with a face of `side` pixels at any place of the image, in place.

    Returns the face's box, or None where there is no face, and what the head covers (S, S, 1)."""
    size, tile = len(image), math.ceil(side * (1 + 2 * MARGIN))
    finer = math.ceil(FINE / tile)
    away = rng.random() < TURNED_AWAY
    pose = rng.normal((180, 0, 0), (25, 10, 10)) if away else None
    draw_poses = broad_poses if rng.random() < ANY_POSE else photographed_poses
    head, _, _ = cut_out_head(int(rng.integers(2**62)), tile * finer, pose, MARGIN, draw_poses)
    colour, coverage = (
        part.reshape(tile, finer, tile, finer, -1).mean(axis=(1, 3)) for part in (head.colour, head.coverage)
    )
    x, y, width, height = landmark_box(head.landmarks.T / finer)
    scrambled = not away and rng.random() < SCRAMBLED
    if scrambled:
        scramble(colour, (x, y, width, height), rng)
    left, top = np.round(rng.uniform(0, size, 2) - (x + width / 2, y + height / 2)).astype(int)
    # the shoulders' widest row goes on downward as a body
    shoulders = tile // 2 + int(coverage[tile // 2 :].sum(axis=(1, 2)).argmax())
    rows, columns = np.arange(size) - top, np.arange(size) - left
    within = (rows >= 0)[:, None, None] & ((columns >= 0) & (columns < tile))[None, :, None]
    rows, columns = np.clip(rows, 0, shoulders), np.clip(columns, 0, tile - 1)
    cover = coverage[rows[:, None], columns] * within
    image[:] = image * (1 - cover) + colour[rows[:, None], columns] * within
    return None if away or scrambled else (x + left, y + top, width, height), cover


def scramble(colour, box, rng):
    """Exchanges the quarters, ninths or sixteenths of what is in a box, in place."""
    x, y, width, height = map(round, box)
    cells = int(rng.integers(2, 5))
    wide, high = width // cells, height // cells
    face = colour[y : y + high * cells, x : x + wide * cells]
    pieces = face.reshape(cells, high, cells, wide, 3).swapaxes(1, 2).reshape(-1, high, wide, 3)
    pieces = rng.permutation(pieces)
    face[:] = pieces.reshape(cells, cells, high, wide, 3).swapaxes(1, 2).reshape(face.shape)


def add_thing(image, rng):
    """Draws something that is no head, in place; returns what it covers (S, S, 1).

    A ball, a board, a limb, a tree: a round or edged shape with light on it, plain or patterned."""
    size = len(image)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else 0.0
    right, down = np.meshgrid(*(np.arange(size) / size - rng.uniform(-0.1, 1.1, (2, 1))).astype(np.float32))
    long = math.exp(rng.uniform(np.log(0.04), np.log(0.5)))
    wide = long * rng.uniform(0.15, 1)
    along = (right * np.cos(angle) + down * np.sin(angle)) / long
    across = (down * np.cos(angle) - right * np.sin(angle)) / wide
    edged = int(rng.choice((1, 2, 8)))
    depth = 1 - (along * along) ** edged - (across * across) ** edged
    cover = np.clip(depth * wide * size / 2, 0, 1) * (1 if rng.random() < 0.8 else rng.uniform(0.3, 1))
    painter = rng.choice([sample_skin, sample_hair, sample_colour], p=[0.4, 0.15, 0.45])
    light = np.full_like(depth, rng.uniform(0.5, 1.1))
    if rng.random() < 0.7:  # round
        right, down = rng.normal(0, 0.25, 2).astype(np.float32)
        light *= 0.6 + 0.5 * np.sqrt(np.clip(depth, 0, 1)) + right * along + down * across
    light *= _pattern(along, across, size, rng)
    image *= 1 - cover[..., None]
    image += (cover * light)[..., None] * painter(rng).astype(np.float32)
    return cover[..., None]


def sample_hair(rng):
    """A hair colour (3,)."""
    return HAIR_TONES[rng.integers(len(HAIR_TONES))]


def _pattern(along, across, size, rng):
    """What the light on a thing is multiplied with: nothing, stripes, clouds, tiles, or lines of letters."""
    kind, strength = rng.integers(6), rng.uniform(0.1, 0.9)
    if kind == 0:
        return 1.0
    if kind == 1:
        return 1 + strength * np.sin(along * rng.uniform(3, 40) + across * rng.normal(0, 2))
    if kind in (2, 3):
        cells = rng.integers(2, 24)
        return np.exp(strength * enlarge(rng.normal(0, 1, (cells, cells, 1)), size)[..., 0])
    cells = rng.integers(3, 40, 2)
    axes = zip((along, across), cells, strict=True)
    cell = [np.clip((axis + 1) / 2 * count, 0, count - 1).astype(int) for axis, count in axes]
    values = rng.random(cells) if kind == 4 else (rng.random(cells) < 0.5) * (np.arange(cells[1]) % 3 > 0)
    return 1 - strength * values[cell[0], cell[1]]
