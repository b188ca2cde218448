"""What a head wears: hair, hats, glasses, clothes, and its ears. Each is a grid of points, like the head.

All functions take the points of a finished head (rows, COLUMNS, 3) and lay their surfaces around it, so that a
narrow head gets narrow hair. Units and axes are those of `shape`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tinyhpe.heads.raster import grid_normals
from tinyhpe.heads.shape import COLUMNS, COS, DOME_ROWS, JAW_ROW, LONGITUDE, SIN, canonical, smooth_step


class Material(IntEnum):
    """What a surface is made of; `texture` has a painter for each."""

    SKIN = 0
    EAR = 1
    HAIR = 2
    CLOTH = 3
    HAT = 4
    FRAME = 5
    LENS = 6


class Surface(NamedTuple):
    """A grid of points (rows, columns, 3) and how it is drawn.

    paint (rows, columns, 3 or 4): where each point lies in its painter's own coordinates. follows: how much it
    turns with the head rather than with the body, a number or (rows, 1). buried (rows, columns): points that lie
    under another surface, where nobody sees them; there is no need to draw what lies between them.
    """

    points: np.ndarray
    paint: np.ndarray
    material: Material
    closed: bool = True
    two_sided: bool = False
    follows: float | np.ndarray = 1.0
    buried: np.ndarray | None = None


HEAD_RADIUS = 1.15
AROUND = np.abs(LONGITUDE)
NEXT_COLUMN, COLUMN_BEFORE = np.roll(np.arange(COLUMNS), -1), np.roll(np.arange(COLUMNS), 1)
COLUMN_SPACING = (LONGITUDE[NEXT_COLUMN] - LONGITUDE[COLUMN_BEFORE]) % (2 * np.pi)
HAIRLINE_PLACES = (0, 0.45, 0.8, 1.1, 1.35, 1.6, 1.85, 2.2, np.pi)
HAIRLINE = np.array((1.15, 1.12, 0.95, 0.50, 0.0, 0.15, -0.05, -0.8, -1.3))
HAT_LINES = {
    "cap": (0.80, 0.78, 0.72, 0.62, 0.55, 0.45, 0.35, 0.2, 0.1),
    "beanie": (0.75, 0.72, 0.65, 0.50, 0.35, 0.20, 0.0, -0.2, -0.3),
    "hat": (0.85, 0.82, 0.78, 0.72, 0.68, 0.60, 0.5, 0.4, 0.35),
    "scarf": (1.00, 0.97, 0.85, 0.30, -0.5, -1.1, -1.3, -1.4, -1.5),
}
SHELL_THICKNESS = {"cropped": 0.03, "short": 0.12, "curly": 0.30, "bob": 0.15, "long": 0.13, "tied": 0.06}
STYLES = ("bald", "cropped", "short", "curly", "bob", "long", "tied")
COVERING = {"short": 0.3, "curly": 0.5, "long": 0.7}  # chance that the hair covers the ears
STYLE_CHANCES = (0.03, 0.08, 0.24, 0.10, 0.14, 0.32, 0.09)


def sphere(rows: int, columns: int) -> np.ndarray:
    """A unit sphere as a grid (rows, columns, 3), from pole to pole."""
    down = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    x, z = np.sin(down) * np.sin(around), np.sin(down) * np.cos(around)
    return np.stack([x, np.broadcast_to(np.cos(down), x.shape), z], axis=-1, dtype=np.float32)


BALL = sphere(14, 30)


class Outfit(NamedTuple):
    """What a person wears. hairy (JAW_ROW + 1, COLUMNS) or one number: how hairy the scalp is, which is painted
    on the skin and makes the hairline soft; covered (JAW_ROW + 1, COLUMNS): where hair or a hat hides the skin."""

    surfaces: list[Surface]
    hairy: np.ndarray | float
    covered: np.ndarray


def dress(head: np.ndarray, rng: np.random.Generator) -> Outfit:
    """Everything that a person wears, drawn by chance: hair, maybe a hat or glasses, ears and clothes."""
    hairy, shells = 0.0, []
    surfaces = [ear(head, side, size, flare) for size, flare in [_ear_kind(rng)] for side in (-1, 1)]
    style = rng.choice(STYLES, p=STYLE_CHANCES)
    hat = rng.choice([*HAT_LINES, ""], p=(0.02, 0.015, 0.015, 0.02, 0.93))
    if hat:
        shells = headgear(head, hat, rng)
        style = rng.choice(("bald", "bob", "long"), p=(0.6, 0.15, 0.25)) if hat != "scarf" else "bald"
    elif style != "bald":
        shell, hairy = hair_shell(head, style, rng)
        shells = [shell]
    surfaces += shells
    if style in ("bob", "long"):
        surfaces.append(mane(head, style, Material.HAIR, rng))
    if style == "tied":
        surfaces.append(knot(head, rng))
    if rng.random() < 0.08:
        surfaces += glasses(head, rng)
    covered = ~shells[0].buried if shells else np.zeros((JAW_ROW + 1, COLUMNS), bool)
    return Outfit(surfaces + clothes(rng), hairy, covered)


def _ear_kind(rng):
    return math.exp(rng.normal(0, 0.12)), math.radians(rng.uniform(8, 32))


def _disc(rows, columns):
    """A unit disc as a grid (3, rows, columns): right, up, and the radius."""
    radius = np.linspace(0, 1, rows)[:, None]
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), radius + 0 * angle], dtype=np.float32)


EAR = _disc(6, 12)
EAR_LIFT = np.interp(EAR[2], (0, 0.45, 0.7, 0.88, 1), (0.0, 0.04, 0.16, 0.20, 0.05)).astype(np.float32)
EAR_PAINT = {side: EAR[:, :, ::side].transpose(1, 2, 0) for side in (-1, 1)}
EAR_COLUMNS = {side: np.argmin(np.abs(LONGITUDE - side * 1.62)) for side in (-1, 1)}


def ear(head: np.ndarray, side: int, size: float, flare: float) -> Surface:
    """A shell with a rim, standing off the side (-1 left, 1 right in the image) of the head by `flare` radians."""
    backward, up, _ = EAR[:, :, ::side]  # a loop that goes the other way round is seen from the other side
    taper = 0.80 + 0.20 * up  # a lobe below, a wide helix above
    backward, up = 0.30 * size * taper * backward + 0.26, 0.49 * size * up
    out = math.cos(flare) * EAR_LIFT + math.sin(flare) * backward
    z = -math.cos(flare) * backward - 0.12 * up
    attach = head[DOME_ROWS + 16, EAR_COLUMNS[side]]
    points = np.stack([attach[0] + side * (out - 0.06), up - 0.18, attach[2] + z], axis=-1)
    return Surface(points, EAR_PAINT[side], Material.EAR, two_sided=True)


# -------------------------------------------------------------------------------------------------------- hair


def _waves(directions: np.ndarray, rng: np.random.Generator, frequency: float) -> np.ndarray:
    """Smooth noise of standard deviation about 1 at directions (..., 3)."""
    waves = rng.normal(0, frequency, (4, 3))
    phases = rng.uniform(0, 2 * np.pi, 4)
    angles = directions @ waves.T.astype(np.float32) + phases.astype(np.float32)
    return np.sin(angles) @ np.full(4, 1 / np.sqrt(2), np.float32)


def _shell(head, above, thickness, edge, material) -> Surface:
    """The scalp `above` a line, lifted by `thickness` along its normals; below the line, sunk out of sight."""
    skull = head[: JAW_ROW + 1]
    cover = smooth_step(above, -0.2 * edge, edge)
    lift = (cover * thickness - 0.06 * (1 - cover)).astype(np.float32)
    points = skull + grid_normals(skull, closed=True) * lift[..., None]
    return Surface(points, canonical()[: JAW_ROW + 1], material, buried=lift <= 0)


def _above(line):
    """Distance (JAW_ROW + 1, COLUMNS) from a line around the head, positive above; shorter where it is steep."""
    slope = (line[NEXT_COLUMN] - line[COLUMN_BEFORE]) / (HEAD_RADIUS * COLUMN_SPACING)
    return ((canonical()[: JAW_ROW + 1, :, 1] - line) / np.sqrt(1 + slope**2)).astype(np.float32)


def hairline(rng: np.random.Generator, covers_ears: bool) -> np.ndarray:
    """Lower edge of the hair by longitude (COLUMNS,): receding or low, with or without a fringe, lopsided."""
    line = HAIRLINE + rng.normal(0, 0.06, len(HAIRLINE))
    if rng.random() < 0.2:
        line[:3] += rng.uniform(0.1, 0.6) * np.array((0.4, 1.0, 0.7))  # receding
    if rng.random() < 0.35:
        line[1:5] -= rng.uniform(0.1, 0.7) * np.array((0.2, 0.7, 1.0, 0.8))  # parted, framing the face
    if covers_ears:
        line[4:7] -= rng.uniform(0.2, 0.9)
    low = np.interp(AROUND, HAIRLINE_PLACES, line) + rng.normal(0, 0.1) * SIN
    if rng.random() < 0.28:
        fringe = rng.uniform(0.25, 0.85) + 0.08 * np.sin(LONGITUDE * rng.uniform(2, 9) + rng.uniform(0, 6))
        width = rng.uniform(0.8, 1.3)
        fringe = fringe + rng.normal(0, 0.25) * SIN  # swept to a side
        low = np.where(width > AROUND, np.minimum(low, fringe), low)
    return low


def hair_shell(head: np.ndarray, style: str, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """The hair on the scalp, and how hairy the skin under it is: lumps and volume are noise.

    The shell rises slowly from inside the head, so it is the painted skin that draws the hairline.
    """
    directions = canonical()[: JAW_ROW + 1] * np.array((0.8, 1.0, 0.6), np.float32)
    rough = {"curly": 2.6, "cropped": 1.0}.get(style, 1.6)
    lumps = _waves(directions, rng, rough)
    covers_ears = style == "bob" or (style in COVERING and rng.random() < COVERING[style])
    above = _above(hairline(rng, covers_ears)) - 0.05 * lumps
    thick = SHELL_THICKNESS[style] * math.exp(rng.normal(0, 0.35))
    height = directions[..., 1]
    volume = 1 + rng.normal(0.3, 0.5) * smooth_step(height, 0.8, 1.9) + rng.normal(0, 0.25) * directions[..., 0]
    thickness = np.maximum(thick * volume * (1 + 0.3 * lumps), 0.015)
    return _shell(head, above, thickness, 0.3, Material.HAIR), smooth_step(above, -0.04, 0.14)


def mane(head: np.ndarray, style: str, material: Material, rng: np.random.Generator) -> Surface:
    """Hair (or the cloth of a scarf) that hangs from the scalp around sides and back, open in front."""
    rows, columns = 14, 40
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, columns, dtype=np.float32)
    length = rng.uniform(0.9, 2.0) if style == "bob" else rng.uniform(2.0, 3.6)
    opening = (
        rng.uniform(0.45, 1.2)
        + rng.uniform(-0.3, 0.4) * down
        + 0.08 * np.sin(down * rng.uniform(3, 9) + rng.uniform(0, 6))
    )
    lean = rng.normal(0, 0.15)
    angle = opening + across * (2 * np.pi - 2 * opening) + lean
    half_width = np.abs(head[:JAW_ROW, :, 0]).max() + 0.02
    curls = rng.uniform(0.01, 0.05) * np.sin(angle * int(rng.integers(6, 16)) + down * rng.uniform(-6, 6))
    swell = rng.normal((0.12, 0.20, 0.12), (0.05, 0.12, 0.15))
    volume = np.interp(down, (0, 0.2, 0.6, 1), (-0.05, *swell)).astype(np.float32) + curls
    x = half_width * (1 + volume) * np.sin(angle)
    inward = rng.uniform(0.2, 0.45) * smooth_step(down * length, 0.6, 1.8)  # the nape is behind the skull
    reach = np.where(np.cos(angle) > 0, rng.uniform(0.95, 1.5), 1.62 * (1 - inward))
    z = -1.25 + reach * (1 + volume) * np.cos(angle)
    uneven = 1 + rng.uniform(0, 0.12) * np.sin(angle * int(rng.integers(2, 12)) + rng.uniform(0, 6))
    y = 0.75 - length * down * uneven
    paint = np.stack([3 * np.sin(angle), y, 3 * np.cos(angle)], axis=-1)
    follows = 1 - 0.5 * smooth_step(down * length, 1.2, 3.0)
    return Surface(np.stack([x, y, z], axis=-1), paint, material, closed=False, two_sided=True, follows=follows)


def knot(head: np.ndarray, rng: np.random.Generator) -> Surface:
    """A bun or a pony tail at the back of the head."""
    tail = rng.random() < 0.5
    radius = rng.uniform(0.25, 0.55)
    height = rng.uniform(-0.5, 1.5)
    back = head[:JAW_ROW, 0, 2].min() + 0.25 * max(0.0, height - 0.3)
    ball = sphere(9, 14)
    points = ball * (radius, radius * (rng.uniform(2, 4) if tail else 1), radius)
    points += (rng.normal(0, 0.1), height - (1.2 * radius if tail else 0), back - 0.5 * radius)
    return Surface(points, ball * 2, Material.HAIR)


# -------------------------------------------------------------------------------------- hats, glasses, clothes


def headgear(head: np.ndarray, kind: str, rng: np.random.Generator) -> list[Surface]:
    """A cap with a peak, a beanie, a hat with a brim, or a scarf that also hangs down."""
    line = np.interp(AROUND, HAIRLINE_PLACES, HAT_LINES[kind]) + rng.normal(0, 0.08) + rng.normal(0, 0.06) * SIN
    height = canonical()[: JAW_ROW + 1, :, 1]
    thick = rng.uniform(0.08, 0.16) + rng.uniform(0, 0.3) * smooth_step(height, 0.8, 1.9)
    shell = _shell(head, _above(line), thick, 0.05, Material.HAT)
    if kind == "cap":
        return [shell, _brim(head, rng.uniform(0.75, 0.95), 1.3, rng.uniform(0.6, 1.0), rng.uniform(0.0, 0.35))]
    if kind == "hat":
        return [shell, _brim(head, 0.85, np.pi, rng.uniform(0.4, 1.4), rng.uniform(-0.1, 0.3))]
    if kind == "scarf":
        return [shell, mane(head, "long", Material.HAT, rng)]
    return [shell]


def _brim(head, height, half_angle, reach, droop) -> Surface:
    """A flat rim in front (half_angle < pi) or all around, at `height` above the eyes."""
    angle = np.linspace(-half_angle, half_angle, 32)[None]
    out = np.linspace(0, 1, 4)[:, None]
    fade = 1 if half_angle > 3 else np.cos(angle / half_angle * np.pi / 2) ** 0.5
    half_width = np.abs(head[:JAW_ROW, :, 0]).max()
    reach = out * reach * fade
    x = (half_width + reach * 0.9) * np.sin(angle)
    z = -1.3 + np.where(np.cos(angle) > 0, 1.55 + reach, 1.7 + reach) * np.cos(angle)
    y = height - droop * out - 0.12 * np.sin(angle) ** 2 * out
    points = np.stack([x, y + 0 * x, z], axis=-1)
    return Surface(points, points, Material.HAT, closed=False, two_sided=True)


def glasses(head: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    """Two rims, a bridge and two arms to the ears; dark lenses for every third pair."""
    wide, high, thick = rng.uniform(0.36, 0.46), rng.uniform(0.22, 0.36), rng.uniform(0.025, 0.07)
    exponent = rng.uniform(1.9, 4)
    front, eye_height = head[DOME_ROWS + 7, COLUMNS // 2, 2] + 0.06, rng.normal(-0.04, 0.04)
    half_width = np.abs(head[DOME_ROWS + 2 : DOME_ROWS + 9, :, 0]).max() + 0.03
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)[None]
    around = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / exponent)
    above = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / exponent)
    surfaces = []
    dark = rng.random() < 0.35
    for side in (-1, 1):
        radius = np.linspace(1, 1 - thick / high, 2)[:, None]
        rim = _glass(radius, around, above, side, wide, high, front, eye_height)
        surfaces.append(Surface(rim, rim, Material.FRAME, two_sided=True))
        if dark:
            lens = _glass(np.array([[1.0], [0.0]]), around, above, side, wide, high, front - 0.01, eye_height)
            surfaces.append(Surface(lens, lens, Material.LENS, two_sided=True))
        ahead = np.array([0.5 + wide * 0.95, half_width, half_width])
        back = np.array([front - 0.22, front - 0.55, -1.45])
        surfaces.append(_strip(side * ahead, eye_height + 0.12, back, thick * 1.3))
    surfaces.append(_strip(np.array([-0.5 + wide, 0, 0.5 - wide]), eye_height + 0.08, front + np.zeros(3), thick))
    return surfaces


def _glass(radius, around, above, side, wide, high, front, height):
    """Points of one rim or lens, bent backward towards the temple."""
    x = side * 0.5 + wide * radius * around
    y = height + high * radius * above
    return np.stack([x, y, front - 0.22 * np.maximum(np.abs(x) - 0.3, 0) ** 1.5], axis=-1)


def _strip(x, y, z, width) -> Surface:
    line = np.stack([x, y + 0 * x, z], axis=-1)
    points = np.stack([line, line])
    points[0, :, 1] += width
    points[1, :, 1] -= width
    return Surface(points, points, Material.FRAME, closed=False, two_sided=True)


def clothes(rng: np.random.Generator) -> list[Surface]:
    """Shoulders, and for some a collar that hides a part of the neck."""
    wide = rng.uniform(2.5, 3.4)
    shoulders = BALL * np.array((wide, 1.25, 1), np.float32)
    shoulders += np.array((0, -3.95 + rng.normal(0, 0.2), -1.65), np.float32)
    shoulders[..., 1] += rng.uniform(0.3, 0.7) * np.exp(-0.5 * (shoulders[..., 0] / 0.9) ** 2) * (BALL[..., 1] > 0)
    surfaces = [Surface(shoulders, BALL, Material.CLOTH, follows=0.0)]
    if rng.random() < 0.3:
        top, radius = rng.uniform(-2.7, -1.9), rng.uniform(0.92, 1.3)
        down = np.linspace(0, 1, 4)[:, None]
        x = radius * (1 + 0.3 * down) * SIN
        z = -1.45 - 0.2 * down + radius * (1 + 0.2 * down) * COS
        collar = np.stack([x, top + 0.3 * (1 - COS) / 2 - 1.2 * down + 0 * x, z], axis=-1)
        surfaces.append(Surface(collar, collar, Material.CLOTH, two_sided=True, follows=0.3))
    return surfaces
