"""The paint: what colour a point of a surface has, before any light falls on it.

Painters work on the visible points only. The skin's painter gets, for every point, its place on the smooth mean
head: u to the right, v up, w towards the camera, in eye distances (see `shape.canonical`), so that an eye is
painted on the eye's place of every head, wide or narrow. Colours are RGB from 0 to 1.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tinyhpe.heads.shape import Expression, smooth_step
from tinyhpe.heads.wardrobe import Material

SKIN_TONES = np.array(
    [
        (0.96, 0.82, 0.74),
        (0.93, 0.75, 0.63),
        (0.87, 0.66, 0.51),
        (0.76, 0.55, 0.40),
        (0.60, 0.40, 0.28),
        (0.42, 0.27, 0.18),
        (0.26, 0.17, 0.12),
    ]
)
HAIR_TONES = np.array(
    [
        (0.05, 0.04, 0.04),
        (0.10, 0.07, 0.05),
        (0.20, 0.12, 0.07),
        (0.35, 0.22, 0.12),
        (0.55, 0.38, 0.18),
        (0.80, 0.66, 0.42),
        (0.45, 0.17, 0.07),
        (0.55, 0.55, 0.56),
        (0.88, 0.86, 0.82),
    ]
)
HAIR_CHANCES = (0.16, 0.17, 0.16, 0.15, 0.13, 0.12, 0.05, 0.04, 0.02)
IRIS_TONES = np.array(
    [(0.12, 0.07, 0.04), (0.20, 0.13, 0.07), (0.18, 0.29, 0.38), (0.18, 0.24, 0.16), (0.05, 0.04, 0.03)],
    np.float32,
)
LIP_RED, TEETH, MOUTH_DARK, LASH, EYE_WHITE = (
    np.array(colour, np.float32)
    for colour in [
        (0.75, 0.2, 0.22),
        (0.86, 0.83, 0.78),
        (0.13, 0.03, 0.03),
        (0.06, 0.04, 0.04),
        (0.86, 0.84, 0.82),
    ]
)


@dataclass
class Looks:
    """Colours and painted features of one person. Lengths in eye distances."""

    skin: np.ndarray
    hair: np.ndarray
    brow: np.ndarray
    lip: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray
    hat: np.ndarray
    frame: np.ndarray
    lens: np.ndarray
    white: float  # how bright eyeballs and teeth are
    gaze: tuple  # how far the irises are off the middle: right, up
    eye_opening: float  # half the height of the open eye
    brow_thickness: float
    brow_lift: float
    brow_tilt: float
    makeup: float
    lashes: float
    beard: float
    moustache: float
    neckline: float  # how far up the neck the clothes reach: 0 chin, 1 base of the neck
    blotches: tuple  # of the skin: wave vectors (6, 3), phases (6,), amplitudes (6,)
    strands: tuple  # of the hair: wave vectors (3, 3), phases (3,), strength
    pattern: tuple  # of the cloth: wave vector (3,), strength
    expression: Expression


def sample_looks(expression: Expression, rng: np.random.Generator) -> Looks:
    """The colours of a new person; dark skin goes with dark hair more often than not."""
    skin, hair, dark = _sample_skin_and_hair(rng)
    beard = rng.beta(0.9, 1.1) if rng.random() < 0.22 else 0.0
    made_up = rng.random() < 0.35
    red = rng.uniform(0.2, 0.9) if made_up else rng.uniform(0, 0.25)
    lip = (skin * (0.92, 0.66, 0.64)) * (1 - red) + LIP_RED * (0.6 if dark else 1) * red
    return Looks(
        skin=skin,
        hair=hair,
        brow=hair * rng.uniform(0.4, 0.9) if rng.random() < 0.85 else skin * 0.7,
        lip=lip,
        iris=IRIS_TONES[rng.integers(len(IRIS_TONES))],
        cloth=sample_colour(rng),
        hat=sample_colour(rng),
        frame=sample_colour(rng) * rng.uniform(0, 0.8),
        lens=sample_colour(rng) * 0.2,
        white=rng.uniform(0.65, 1),
        gaze=(rng.normal(0, 0.06), rng.normal(0, 0.025)),
        eye_opening=0.008 if rng.random() < 0.07 else 0.068 * math.exp(rng.normal(0, 0.22)),
        brow_thickness=0.045 * math.exp(rng.normal(0, 0.35)),
        brow_lift=rng.normal(0, 0.03),
        brow_tilt=rng.normal(0, 0.12),
        makeup=rng.uniform(0.2, 1) if made_up else 0.0,
        lashes=rng.uniform(0.5, 0.85) + 0.15 * made_up,
        beard=beard,
        moustache=beard if rng.random() < 0.8 else rng.random(),
        neckline=rng.uniform(0.3, 1.1),
        blotches=(rng.normal(0, 2.8, (6, 3)), rng.uniform(0, 6.28, 6), rng.normal(0, 0.02, 6)),
        strands=(rng.normal(0, (4, 14, 10), (3, 3)), rng.uniform(0, 6.28, 3), rng.uniform(0.03, 0.18)),
        pattern=(rng.normal(0, 8, 3), rng.uniform(0, 0.35)),
        expression=expression,
    )


def sample_colour(rng: np.random.Generator) -> np.ndarray:
    """The colour of any thing (3,): mostly muted, as things are, one in six strong."""
    if rng.random() < 0.17:
        return rng.uniform(0, 1, 3)
    return np.clip(rng.uniform(0.03, 1) * (1 + rng.normal(0, 0.15, 3)), 0, 1)


def sample_skin(rng: np.random.Generator) -> np.ndarray:
    """A skin colour, from very light to very dark."""
    tone = rng.beta(1.0, 2.3) * (len(SKIN_TONES) - 1)
    place = np.arange(len(SKIN_TONES))
    skin = np.array([np.interp(tone, place, channel) for channel in SKIN_TONES.T])
    return np.clip(skin * (1 + rng.normal(0, 0.05, 3)), 0.05, 1)


def _sample_skin_and_hair(rng):
    skin = sample_skin(rng)
    dark = skin.mean() < 0.45
    chances = np.array(HAIR_CHANCES) * ((3, 2, 0.6, 0.2, 0.1, 0.1, 0.1, 1, 0.6) if dark else 1)
    hair = HAIR_TONES[rng.choice(len(HAIR_TONES), p=chances / chances.sum())]
    hair = np.clip(hair * (rng.uniform(0.7, 1.3) + rng.normal(0, 0.05, 3)), 0, 1)
    return skin, hair, dark


# -------------------------------------------------------------------------------------------------- the painters


def paint(material: Material, looks: Looks, place: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
    """Colour (3, K) and gloss (K,) or one number of K points at `place` (5, K) of a material."""
    if material == Material.SKIN:
        return _paint_skin(looks, place)
    if material == Material.EAR:
        return _paint_ear(looks, place), 0.6
    if material == Material.HAIR:
        return _paint_hair(looks, place), 0.9
    if material == Material.CLOTH:
        return _paint_cloth(looks, looks.cloth, place), 0.1
    if material == Material.HAT:
        return _paint_cloth(looks, looks.hat, place), 0.1
    colour = looks.frame if material == Material.FRAME else looks.lens
    return colour[:, None], 1.5


class _Canvas:
    """Colours (3, K) of points that layers of paint are laid on."""

    def __init__(self, colour):
        self.colour = colour

    @classmethod
    def primed(cls, colour, count):
        """`count` points of one colour."""
        return cls(np.repeat(np.asarray(colour, np.float32)[:, None], count, axis=1))

    @contextmanager
    def part(self, points):
        """A canvas of some of the points, whose paint comes back when the block ends: a feature is few points."""
        canvas = _Canvas(self.colour.take(points, axis=1))
        yield canvas
        self.colour[:, points] = canvas.colour

    def shade(self, amount):
        """Darkens by `amount` (K,), 0 to 1."""
        self.colour *= 1 - amount

    def lay(self, cover, colour):
        """Covers with another colour, (3,) or (3, K); `cover` (K,) is its opacity."""
        self.colour *= 1 - cover
        self.colour += cover * np.asarray(colour, np.float32).reshape(3, -1)


def _hill(x, centre, width):
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def _spot(x, y, centre, size):
    """A round hill of two directions: one exponential in place of two."""
    return np.exp(-0.5 * (((x - centre[0]) / size[0]) ** 2 + ((y - centre[1]) / size[1]) ** 2))


def _paint_skin(looks, place):
    """All skin gets blotches and the shade of the neck; only what lies on the front gets a face."""
    u, v, w, below, hairy = place
    canvas = _Canvas.primed(looks.skin, len(u))
    waves, phases, amplitudes = (np.asarray(part, np.float32) for part in looks.blotches)
    canvas.colour *= 1 + amplitudes @ np.sin(waves @ place[:3] + phases[:, None])
    canvas.shade(0.25 * smooth_step(below, 0.0, 0.5) * smooth_step(below, 1.9, 1.0))
    gloss = np.ones(len(u), np.float32)
    face = np.flatnonzero((w > -1.05) & (below < 0.4) & (v < 0.8))
    with canvas.part(face) as painted:
        _paint_face(painted, looks, u[face], v[face])
    front = smooth_step(w[face], -0.95, -0.5)
    gloss[face] += 0.6 * _hill(u[face], 0, 0.2) * front
    canvas.lay(0.95 * hairy, looks.hair * 0.9)
    covered = smooth_step(below, 1 + looks.neckline - 0.03, 1 + looks.neckline + 0.03)
    canvas.lay(covered, looks.cloth)
    return canvas.colour, gloss * (1 - 0.9 * covered)


def _paint_face(canvas, looks, u, v):
    """Layer on layer, from blush to lips; every step touches only the points near its feature."""
    sideways = np.abs(u)
    _paint_blush_and_shade(canvas, looks, sideways, v)
    if looks.beard > 0 or looks.moustache > 0.6:
        _paint_beard(canvas, looks, sideways, v)
    around_eye = np.flatnonzero((np.abs(sideways - 0.55) < 0.5) & (np.abs(v - 0.15) < 0.4))
    with canvas.part(around_eye) as eye:
        _paint_brow(eye, looks, sideways[around_eye], v[around_eye])
        _paint_eye(eye, looks, u[around_eye], v[around_eye])
    around_mouth = np.flatnonzero((sideways < 0.6) & (np.abs(v + 0.95) < 0.4))
    with canvas.part(around_mouth) as mouth:
        _paint_mouth(mouth, looks, sideways[around_mouth], v[around_mouth])


def _paint_blush_and_shade(canvas, looks, sideways, v):
    blush = 0.5 * _spot(sideways, v, (0.72, -0.45), (0.28, 0.22))
    blush += 0.35 * _spot(sideways, v, (0, -0.55), (0.2, 0.12))
    blush *= 0.18 * (1 + 0.7 * looks.makeup)
    canvas.colour *= 1 - np.array((0, 1, 0.9), np.float32)[:, None] * blush
    shade = 0.26 * _spot(sideways, v, (0.46, 0), (0.22, 0.12))  # eye sockets
    shade += 0.20 * _spot(sideways, v, (0.21, -0.03), (0.06, 0.14))  # beside the root of the nose
    shade += 0.30 * _spot(sideways, v, (0, -0.73), (0.22, 0.04))  # under the nose
    shade += 0.20 * _spot(sideways, v, (0.27, -0.66), (0.05, 0.10))  # beside the wings
    shade += 0.20 * _spot(sideways, v, (0, -1.33), (0.25, 0.06))  # under the lower lip
    fold = sideways - 0.30 - 0.35 * (-0.65 - v)  # from the wings to the corners of the mouth
    shade += (0.08 + 0.6 * looks.expression.smile) * _spot(fold, v, (0, -0.85), (0.035, 0.15))
    canvas.shade(np.clip(shade, 0, 0.7))
    nostril = 1.1 * _spot(sideways, v, (0.095, -0.685), (0.045, 0.03))
    canvas.lay(np.clip(nostril, 0, 0.85), looks.skin * 0.15)


def _paint_beard(canvas, looks, sideways, v):
    chin = smooth_step(-v, 0.75, 1.15) * smooth_step(1.02 - sideways, 0, 0.2)
    chin *= 1 - 0.9 * _spot(sideways, v, (0, -1.06), (0.36, 0.12))
    whiskers = smooth_step(sideways, 0.85, 1.0) * smooth_step(-v, 0.05, 0.5)
    upper_lip = looks.moustache * np.exp(-0.5 * (sideways / 0.34) ** 4) * _hill(v, -0.82, 0.065)
    canvas.lay(np.clip(np.maximum(looks.beard * np.maximum(chin, whiskers), upper_lip), 0, 0.92), looks.hair * 0.8)


def _paint_brow(canvas, looks, sideways, v):
    along = sideways - 0.58
    centre = 0.31 + looks.brow_lift + looks.brow_tilt * along - 0.75 * along**2
    cover = 1.2 * np.exp(-0.5 * (along / 0.25) ** 4) * _hill(v, centre, looks.brow_thickness)
    canvas.lay(np.clip(cover, 0, 0.95), looks.brow)


def _paint_eye(canvas, looks, u, v):
    """White, iris, pupil and glint inside the lids; lashes on the upper lid, a fold above it."""
    half_width = 0.215
    along, up = np.abs(u) - 0.495, v - 0.005 - 0.06 * (np.abs(u) - 0.495)
    almond = np.clip(1 - (along / half_width) ** 2, 0, 1) ** 0.7
    sight = up - looks.gaze[1]
    up = up - 0.3 * looks.gaze[1] * almond  # the upper lid follows the gaze, the lower one hardly
    opening = looks.eye_opening * (1 + 4 * looks.gaze[1]) * almond
    within = (np.abs(along) < half_width).astype(np.float32)
    open_part = smooth_step(opening - np.abs(up), -0.014, 0.014) * within
    shadow = np.clip(0.6 + 4 * (opening - up), 0.4, 1)
    white = EYE_WHITE[:, None] * (looks.white * shadow)
    side = np.sign(u)
    right, above = along * side - looks.gaze[0], sight
    radius = np.hypot(right, above)
    for outer, inner, colour in ((0.108, 0.085, looks.iris[:, None]), (0.052, 0.036, 0.02)):
        cover = smooth_step(radius, outer, inner)
        white = white * (1 - cover) + colour * cover
    glint = smooth_step(np.hypot(right - 0.03, above - 0.03), 0.03, 0.015)
    canvas.lay(open_part, white * (1 - glint) + glint)
    lashes = looks.lashes * _hill(up, opening, 0.025) * (np.abs(along) < half_width * 1.05) * (up > -0.02)
    canvas.lay(np.clip(lashes, 0, 0.95), LASH)
    lid = (0.3 + 0.5 * looks.makeup) * _hill(up, opening + 0.07, 0.03) * within
    canvas.lay(np.clip(lid, 0, 0.8), looks.skin * 0.55)


def _paint_mouth(canvas, looks, sideways, v):
    """Lips above and below the line of the mouth; an open mouth shows the dark and the upper teeth."""
    half_width = 0.41
    up = v + 1.045
    arch = np.clip(1 - (sideways / half_width) ** 2, 0, 1)
    upper = 0.14 * arch**0.8 * (1 - 0.2 * _hill(sideways, 0, 0.06))
    lower = 0.18 * arch**0.7
    within = sideways < half_width
    canvas.lay(smooth_step(np.where(up > 0, upper - up, lower + up), -0.02, 0.02) * within, looks.lip)
    wide_open, teeth = float(smooth_step(looks.expression.open_mouth, 0.02, 0.06)), looks.expression.teeth
    gap = (0.010 + 0.035 * wide_open + 0.05 * teeth) * arch**0.5
    canvas.lay(0.9 * smooth_step(gap - np.abs(up + 0.02 * wide_open), -0.012, 0.012) * within, MOUTH_DARK)
    if wide_open + teeth > 0:
        height = (0.015 + 0.045 * teeth) * arch**0.5
        shown = smooth_step(height - np.abs(up - 0.004), -0.01, 0.01) * (sideways < 0.85 * half_width)
        canvas.lay(0.9 * shown, TEETH * looks.white)


def _paint_ear(looks, place):
    radius = place[2]
    canvas = _Canvas.primed(looks.skin * (1.02, 0.93, 0.91), len(radius))
    canvas.shade(0.45 * _hill(radius, 0.3, 0.2) + 0.2 * _hill(radius, 0.6, 0.08))
    return canvas.colour


def _paint_hair(looks, place):
    """Strands: fine waves across, slow ones along, so that the lines run down the head."""
    waves, phases, strength = looks.strands
    right, up, ahead = place[0], place[1], place[2] + 1.25
    around = np.arctan2(right, ahead)
    across = np.stack([up, np.sin(around) * 2, np.cos(around) * 2 + 0.5 * np.hypot(right, ahead)])
    lines = np.sin(waves.astype(np.float32) @ across + phases.astype(np.float32)[:, None])
    light = 1 + strength * (lines[0] + lines[1] + lines[2])
    return looks.hair[:, None] * np.maximum(light, 0.2)


def _paint_cloth(looks, colour, place):
    wave, strength = looks.pattern
    return colour[:, None] * (1 - strength * (np.sin(wave.astype(np.float32) @ place[:3]) > 0.3))
