"""The head itself: a stack of horizontal slices with a face pressed into its front.

Units: the distance between the centres of the eyes (about 63 mm) is 1. Origin: midway between the eyes.
Axes: x to the image's right, y up, z towards the camera, for a head that looks straight at it.

The surface is one grid. Its columns are longitudes about the vertical axis (0 in front, +-pi behind); its rows
go from the crown down to the jaw line, inward under the jaw, and down the neck. Each slice is half a
superellipse in front and half a superellipse behind. What varies between people is in `Traits`; the defaults
are the mean head, whose proportions were tuned by hand to the mean face of 300W-LP's labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from tinyhpe.pose.angles import euler_to_matrix

COLUMNS = 48
DOME_ROWS, FACE_ROWS, UNDER_ROWS, NECK_ROWS = 9, 32, 4, 4
JAW_ROW = DOME_ROWS + FACE_ROWS - 1

BROW_HEIGHT, CROWN_HEIGHT = 0.45, 1.95

# The slices below the brows: height, half width, front (without nose and lips), middle, back.
SLICES = np.array(
    [
        (-1.75, 0.52, -0.05, -1.00, -1.90),
        (-1.55, 0.66, 0.11, -1.00, -1.90),
        (-1.25, 0.87, 0.13, -1.00, -1.95),
        (-0.95, 0.98, 0.20, -1.03, -2.15),
        (-0.60, 1.06, 0.20, -1.08, -2.45),
        (-0.30, 1.11, 0.17, -1.12, -2.65),
        (0.00, 1.14, 0.13, -1.18, -2.80),
        (BROW_HEIGHT, 1.17, 0.22, -1.25, -2.90),
    ]
)

# The lower edge of the jaw: longitude and height, from the chin to the angle of the jaw and the nape.
JAW_LINE = np.array(
    [
        (0, -1.75),
        (0.3, -1.73),
        (0.57, -1.69),
        (1.00, -1.57),
        (1.29, -1.44),
        (1.46, -1.26),
        (1.75, -1.08),
        (2.2, -1.02),
        (np.pi, -1.10),
    ]
)


@dataclass
class Traits:
    """What makes a face this face and not another. Lengths in eye distances; 1 or 0 is the mean head."""

    width: float = 1.0
    depth: float = 1.0
    face_depth: float = 1.0  # how far the face stands out in front of the ears
    skull_height: float = 1.0
    skull_length: float = 1.0
    dome: tuple = (2.5, 2.7, 2.3)  # superellipse exponents of the dome: side, front, back
    section: tuple = (2.2, 2.2)  # superellipse exponents of the slices: front, back
    stretch: tuple = (1.0, 1.0, 1.0, 1.0)  # lengths of forehead, nose, upper lip, and lower lip with chin
    jaw_width: float = 1.0
    jaw_drop: float = 0.0  # a low, square angle of the jaw
    chin_forward: float = 0.0
    chin_height: float = 0.03
    profile: np.ndarray = field(default_factory=lambda: np.zeros(len(SLICES)))  # added to the front line
    brow_ridge: float = 0.12
    cheekbone: float = 0.06
    cheek: float = 0.0
    socket: float = 0.11
    eyeball: float = 0.07
    nose_height: float = 0.42
    nose_bridge: float = 0.17
    nose_hump: float = 0.0
    nose_tip: float = -0.53
    nose_width: float = 1.0
    nose_wings: float = 0.07
    lips: float = 0.08
    mouth_forward: float = 0.10
    warp: tuple = (
        np.zeros((1, 3)),
        0,
        np.zeros((1, 3)),
    )  # smooth waves: vectors (W, 3), phases (W,), amplitudes (W, 3)


def sample_traits(rng: np.random.Generator) -> Traits:
    """A new person. Wide on purpose: faces that nobody has teach a network what a pose is, not what a face is."""
    child = rng.random() < 0.15

    def about(mean, spread):
        return mean + spread * rng.normal()

    def times(spread, mean=1.0):
        return mean * math.exp(spread * rng.normal())

    nose = times(0.22) * (0.65 if child else 1)
    return Traits(
        width=times(0.07),
        depth=times(0.07),
        face_depth=times(0.10),
        skull_height=times(0.08) * (1.1 if child else 1),
        skull_length=times(0.07),
        dome=tuple(np.clip(rng.normal((2.5, 2.7, 2.3), 0.35), 1.9, 4).tolist()),
        section=tuple(np.clip(rng.normal((2.2, 2.2), 0.22), 1.75, 3).tolist()),
        stretch=tuple(np.exp(rng.normal(0, 0.10, 4)) * ((1.15, 0.85, 0.9, 0.85) if child else (1, 1, 1, 1))),
        jaw_width=times(0.09) * (1.05 if child else 1),
        jaw_drop=about(0, 0.10),
        chin_forward=about(0, 0.07),
        chin_height=about(0.03, 0.04),
        profile=np.convolve(rng.normal(0, 0.05, len(SLICES) + 2), (0.3, 0.4, 0.3), "valid"),
        brow_ridge=about(0.12, 0.04) - 0.03 * child,
        cheekbone=about(0.06, 0.04),
        cheek=about(0.0, 0.04) + 0.05 * child,
        socket=about(0.11, 0.035),
        eyeball=about(0.07, 0.02),
        nose_height=0.42 * nose,
        nose_bridge=max(about(0.17, 0.06) * nose, 0.02),
        nose_hump=about(0.0, 0.03),
        nose_tip=about(-0.53, 0.05) + 0.06 * child,
        nose_width=times(0.17),
        nose_wings=about(0.07, 0.03),
        lips=max(about(0.08, 0.03), 0.01),
        mouth_forward=about(0.10, 0.04),
        warp=(rng.normal(0, 1.2, (4, 3)), rng.uniform(0, 6.28, 4), rng.normal(0, 0.02, (4, 3))),
    )


@dataclass
class Expression:
    """What a face does: the mouth open by so much, the corners pulled out and up, the cheeks with them; the lips
    parted, so that teeth show (0 to 1)."""

    open_mouth: float = 0.0
    smile: float = 0.0
    teeth: float = 0.0


def sample_expression(rng: np.random.Generator) -> Expression:
    """A third of the faces laugh and show their teeth, the others are at rest, talk, or smile."""
    if rng.random() < 0.35:
        return Expression(max(0.0, rng.normal(0.03, 0.09)), rng.uniform(0.08, 0.28), rng.uniform(0.4, 1))
    open_mouth = max(0.0, rng.normal(0, 0.14)) if rng.random() < 0.35 else 0.0
    return Expression(open_mouth, max(0.0, rng.normal(0, 0.08)))


# ---------------------------------------------------------------------------------------------------- the grid


def smooth_step(x, start, end):
    """0 before start, 1 after end, and a smooth rise between the two."""
    t = np.minimum(np.maximum((x - start) / (end - start), 0), 1)  # np.clip is slower for few numbers
    return t * t * (3 - 2 * t)


def _longitudes():
    t = np.linspace(-1, 1, COLUMNS, endpoint=False)
    return np.pi * (0.5 * t + 0.5 * t**3)  # denser in front, where the face is


LONGITUDE = _longitudes()
SIN, COS = (part.astype(np.float32) for part in (np.sin(LONGITUDE), np.cos(LONGITUDE)))
FRONT = smooth_step(COS, 0.1, 0.45)
_columns_ahead = np.flatnonzero(FRONT)
AHEAD = slice(_columns_ahead[0], _columns_ahead[-1] + 1)


def _superellipse(exponent):
    """Sine and cosine of a superellipse; 2 is a circle, more is a rounded square, less a rhombus."""
    power = 2 / exponent
    return np.sign(SIN) * np.abs(SIN) ** power, np.abs(COS) ** power


def _bent(exponents, front, back):
    """x and z along the columns for slices that reach `front` and `back` of their middle (both >= 0)."""
    front_sin, front_cos = _superellipse(exponents[0])
    back_sin, back_cos = _superellipse(exponents[1])
    ahead = COS >= 0
    return np.where(ahead, front_sin, back_sin), np.where(ahead, front_cos * front, -back_cos * back)


RISE = np.cos(np.linspace(0, np.pi / 2, DOME_ROWS + 1)[:-1], dtype=np.float32)[:, None]
BULGE = 1 + 0.05 * np.sin(np.pi * np.clip(RISE, 0, 0.8) / 0.8) * (1 - COS) / 2


def _dome(traits: Traits) -> np.ndarray:
    """Crown to brows, (DOME_ROWS, COLUMNS, 3): the slice at the brows, shrinking upward to a point."""
    _, half_width, front, middle, back = SLICES[-1].tolist()
    side, ahead, behind = ((1 - RISE**e) ** (1 / e) for e in traits.dome)
    reach_front = (front - middle) * traits.face_depth * ahead
    reach_back = (middle - back) * traits.skull_length * behind
    x, z = _bent(traits.section, reach_front, reach_back)
    height = BROW_HEIGHT + (CROWN_HEIGHT - BROW_HEIGHT) * traits.skull_height * RISE
    return np.stack([half_width * side * BULGE * x, np.broadcast_to(height, z.shape), middle + z], axis=-1)


def _face_heights() -> np.ndarray:
    jaw = np.interp(np.abs(LONGITUDE), *JAW_LINE.T)
    down = np.linspace(0, 1, FACE_ROWS)[:, None]
    return BROW_HEIGHT + (jaw - BROW_HEIGHT) * down


FACE_HEIGHTS = _face_heights().astype(np.float32)
# A cubic spline is linear in its values: the matrix from values at the heights of SLICES to values at all heights.
SLICES_TO_FACE = CubicSpline(SLICES[:, 0], np.eye(len(SLICES)))(FACE_HEIGHTS).astype(np.float32)


def _face(traits: Traits) -> np.ndarray:
    """Brows to jaw line, (FACE_ROWS, COLUMNS, 3), without any features yet."""
    slices, down = SLICES[:, 1:].astype(np.float32), -SLICES[:, 0]
    slices[:, 0] *= 1 + (traits.jaw_width - 1) * smooth_step(down, 0.2, 1.4)
    slices[:, 1] += traits.profile + traits.chin_forward * smooth_step(down, 0.9, 1.6)
    half_width, front, middle, back = np.moveaxis(SLICES_TO_FACE @ slices, -1, 0)
    reach_front, reach_back = (front - middle) * traits.face_depth, (middle - back) * traits.skull_length
    x, z = _bent(traits.section, reach_front, reach_back)
    gonion = smooth_step(np.abs(SIN), 0.5, 1) * (COS > -0.3)
    height = FACE_HEIGHTS - traits.jaw_drop * gonion * smooth_step(-FACE_HEIGHTS, 0.3, 1.2)
    return np.stack([half_width * x, height, middle + z], axis=-1)


# ------------------------------------------------------------------------------------------------- the features


def _features(traits: Traits, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """How far brows, eyes, nose, cheeks, lips and chin stand out (or in), at face positions u (right), v (up)."""
    mirrored = np.abs(u)

    def bump(right, up, wide, high):
        """A soft hill, the same on both sides of the face."""
        return np.exp(-0.5 * ((mirrored - right) / wide) ** 2 - 0.5 * ((v - up) / high) ** 2)

    relief = traits.brow_ridge * bump(0.5, 0.30, 0.30, 0.10) + 0.5 * traits.brow_ridge * bump(0, 0.25, 0.16, 0.12)
    relief += traits.eyeball * bump(0.5, 0.0, 0.15, 0.09) - traits.socket * bump(0.46, -0.02, 0.25, 0.15)
    relief += traits.cheekbone * bump(0.72, -0.30, 0.22, 0.20) + traits.cheek * bump(0.62, -0.85, 0.25, 0.28)
    relief += _nose(traits, mirrored, v) + traits.nose_wings * bump(0.14, -0.60, 0.075, 0.075)
    relief += traits.mouth_forward * bump(0, -1.06, 0.27, 0.24)
    relief += traits.lips * (bump(0, -0.94, 0.26, 0.05) + 1.2 * bump(0, -1.17, 0.22, 0.07))
    relief -= 0.04 * bump(0, -1.045, 0.30, 0.02) + 0.04 * bump(0, -1.31, 0.25, 0.06)
    return relief + traits.chin_height * bump(0, -1.56, 0.24, 0.13)


def _nose(traits: Traits, sideways: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The ridge: from the root between the eyes to the tip, then steeply back to the lip."""
    tip, height, bridge = traits.nose_tip, traits.nose_height, traits.nose_bridge
    heights = [-0.72, tip - 0.10, tip, tip + 0.10, tip * 0.45, 0.0, 0.22, 0.40]
    half = bridge + (height - bridge) * 0.5 + traits.nose_hump
    ridge = np.interp(v, heights, [0.06, 0.78 * height, height, 0.93 * height, half, bridge, 0.04, 0.0])
    ridge *= v > -0.80
    width = np.interp(v, [-0.75, tip, -0.1, 0.25], [0.15, 0.125, 0.085, 0.14]) * traits.nose_width
    return ridge * np.exp(-0.5 * (sideways / width) ** 2)


def _express(points: np.ndarray, expression: Expression, u: np.ndarray, v: np.ndarray) -> None:
    """Drops the lower jaw and pulls the corners of the mouth, in place; points (FACE_ROWS, COLUMNS, 3)."""
    lower = smooth_step(-v, 1.03, 1.09) * FRONT * np.exp(-0.5 * (u / 0.75) ** 2)
    points[..., 1] -= expression.open_mouth * lower
    points[..., 2] -= 0.25 * expression.open_mouth * lower
    corner = np.exp(-0.5 * ((np.abs(u) - 0.41) / 0.18) ** 2 - 0.5 * ((v + 1.04) / 0.15) ** 2) * FRONT
    points[..., 0] += 0.7 * np.sign(u) * expression.smile * corner
    points[..., 1] += 0.7 * expression.smile * corner
    apple = np.exp(-0.5 * ((np.abs(u) - 0.62) / 0.2) ** 2 - 0.5 * ((v + 0.5) / 0.2) ** 2) * FRONT
    points[..., 2] += 0.5 * expression.smile * apple


# ------------------------------------------------------------------------------------------- under the jaw, neck


BACK = (1 - COS) / 2
UNDER = np.linspace(0, 1, UNDER_ROWS + 1, dtype=np.float32)[1:]
DOWN = np.linspace(0, 1, NECK_ROWS + 1, dtype=np.float32)[1:]


def _neck(jaw: np.ndarray, girth: float) -> np.ndarray:
    """From the jaw line (COLUMNS, 3) inward under the jaw and down, (UNDER_ROWS + NECK_ROWS, COLUMNS, 3)."""
    collar = np.stack([0.80 * girth * SIN, -1.98 + 0.65 * BACK, -1.32 + 0.72 * girth * COS - 0.05 * BACK], axis=-1)
    bend = np.stack([collar[:, 0], jaw[:, 1] - 0.02, collar[:, 2]], axis=-1)
    t, down = UNDER[:, None, None], DOWN[:, None]
    under = (1 - t) ** 2 * jaw + 2 * t * (1 - t) * bend + t**2 * collar
    flare = 1 + 0.35 * down**3
    x, y = collar[:, 0] * flare, collar[:, 1] + (-3.4 - collar[:, 1]) * down
    z = (collar[:, 2] + 1.35) * flare - 1.35 - 0.25 * down
    return np.concatenate([under, np.stack([x, y, z], axis=-1)])


# -------------------------------------------------------------------------------------------------- whole heads


def build_head(traits: Traits, expression: Expression, girth: float = 1.0) -> np.ndarray:
    """Points (rows, COLUMNS, 3) of a head with its neck, in the frame of pose zero."""
    modelled = _modelled(traits)
    rotation, origin = _alignment(traits, modelled)
    _express(modelled[DOME_ROWS:], expression, *_face_places())
    face = _individual(traits, modelled)
    points = np.concatenate([face, _neck(face[-1], girth)])
    return (points - origin) @ rotation.T + origin


def _modelled(traits: Traits) -> np.ndarray:
    """Dome and face with features, at rest, (JAW_ROW + 1, COLUMNS, 3) float32."""
    dome, face = _dome(traits), _face(traits)
    u, v = (place[:, AHEAD] for place in _face_places())
    face[:, AHEAD, 2] += _features(traits, u, v) * FRONT[AHEAD]
    return np.concatenate([dome, face], dtype=np.float32)


def _face_places():
    """Where the points of the face are on the mean head: u (right) and v (up), (FACE_ROWS, COLUMNS) each."""
    return canonical()[DOME_ROWS : JAW_ROW + 1, :, 0], FACE_HEIGHTS


def _individual(traits: Traits, modelled: np.ndarray) -> np.ndarray:
    """Points (..., 3) of the modelled head moved to this person's proportions: stretched, scaled and warped."""
    points = modelled.copy()
    landmark_heights = np.array([-1.75, -1.04, -0.69, 0.0, CROWN_HEIGHT])
    lengths = np.diff(landmark_heights) * traits.stretch[::-1]
    stretched = np.concatenate([[0], np.cumsum(lengths)]) - lengths[:3].sum()
    points[..., 1] = _extended_interp(points[..., 1], landmark_heights, stretched)
    points *= np.array((traits.width, 1, traits.depth), np.float32)
    vectors, phases, amplitudes = (np.asarray(part, np.float32) for part in traits.warp)
    return points + np.sin(points @ vectors.T + phases) @ amplitudes


def _extended_interp(x, xs, ys):
    """np.interp that goes on with slope 1 beyond both ends."""
    return np.interp(x, xs, ys) + np.minimum(x - xs[0], 0) + np.maximum(x - xs[-1], 0)


@lru_cache(maxsize=1)
def canonical() -> np.ndarray:
    """The smooth mean head without features, (rows, COLUMNS, 3): where every point of the grid is painted.

    Landmarks and paint are placed on this one head; a vertex of any other head is the same place of the face.
    """
    mean = Traits()
    face = np.concatenate([_dome(mean), _face(mean)])
    return np.concatenate([face, _neck(face[-1], 1.0)]).astype(np.float32)


# ------------------------------------------------------------------------------------- landmarks and pose zero

# Places of the 68 landmarks in iBUG's order. Contour of the jaw: longitude and height, chin to right ear; the
# others: right and up on the mean face. Left and right halves mirror each other.
JAW_POINTS = [(0.60, -1.69), (1.03, -1.57), (1.31, -1.43), (1.47, -1.23), (1.58, -0.98), (1.60, -0.73)]
JAW_POINTS += [(1.59, -0.45), (1.58, -0.14)]
BROW_POINTS = [(0.30, 0.285), (0.44, 0.325), (0.595, 0.34), (0.755, 0.31), (0.88, 0.215)]
NOSE_POINTS = [(0, 0.0), (0, -0.19), (0, -0.37), (0, -0.53)]
NOSTRIL_POINTS = [(-0.195, -0.67), (-0.11, -0.685), (0, -0.70), (0.11, -0.685), (0.195, -0.67)]
EYE_POINTS = [(0.305, -0.015), (0.43, 0.066), (0.58, 0.063), (0.68, -0.01), (0.576, -0.056), (0.426, -0.05)]
MOUTH_RIGHT = [(0.095, -0.895), (0.27, -0.955), (0.41, -1.05), (0.265, -1.155), (0.14, -1.22)]
LIP_RIGHT = [(0.12, -1.003), (0.375, -1.045), (0.123, -1.094)]


def _mirrored(points):
    return [(-right, up) for right, up in points]


def _landmark_cells() -> tuple[np.ndarray, np.ndarray]:
    """Fractional row and column of every landmark on the grid, (68,) each."""
    jaw = [*_mirrored(JAW_POINTS)[::-1], (0, -1.75), *JAW_POINTS]
    brows = [*_mirrored(BROW_POINTS)[::-1], *BROW_POINTS]
    left_eye = [_mirrored(EYE_POINTS)[i] for i in (3, 2, 1, 0, 5, 4)]
    outer = _mirrored(MOUTH_RIGHT)
    mouth = [outer[2], outer[1], outer[0], (0, -0.912), *MOUTH_RIGHT, (0, -1.233), outer[4], outer[3]]
    inner = _mirrored(LIP_RIGHT)
    lips = [inner[1], inner[0], (0, -0.998), LIP_RIGHT[0], LIP_RIGHT[1], LIP_RIGHT[2], (0, -1.105), inner[2]]
    face = np.array([*brows, *NOSE_POINTS, *NOSTRIL_POINTS, *left_eye, *EYE_POINTS, *mouth, *lips])

    half_width = CubicSpline(SLICES[:, 0], SLICES[:, 1])(face[:, 1])
    exponent = Traits().section[0]
    sine = np.sign(face[:, 0]) * np.abs(face[:, 0] / half_width) ** (exponent / 2)
    longitude = np.concatenate([[angle for angle, _ in jaw], np.arcsin(sine)])
    height = np.concatenate([[up for _, up in jaw], face[:, 1]])
    bottom = np.interp(np.abs(longitude), *JAW_LINE.T)
    row = DOME_ROWS + (FACE_ROWS - 1) * np.clip((BROW_HEIGHT - height) / (BROW_HEIGHT - bottom), 0, 1)
    return row, np.interp(longitude, LONGITUDE, np.arange(COLUMNS))


def _landmark_corners() -> tuple[np.ndarray, np.ndarray]:
    """For every landmark four vertices of the flattened grid (68, 4) and their weights (68, 4, 1)."""
    row, column = _landmark_cells()
    top, left = np.minimum(row.astype(int), JAW_ROW - 1), column.astype(int)
    down, right = row - top, column - left
    corners = [top * COLUMNS + left, top * COLUMNS + left + 1]
    corners += [corners[0] + COLUMNS, corners[1] + COLUMNS]
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    return np.stack(corners, axis=1), np.stack(weights, axis=1)[..., None]


LANDMARK_CORNERS, LANDMARK_WEIGHTS = _landmark_corners()


def head_landmarks(points: np.ndarray) -> np.ndarray:
    """The 68 landmarks (68, 3) of a head's grid of points, in iBUG's order."""
    return (points.reshape(-1, 3)[LANDMARK_CORNERS] * LANDMARK_WEIGHTS).sum(axis=1)


def best_rotation(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation R (3, 3) for which R (points - their mean) is nearest to target - its mean, both (K, 3).

    Least squares, the same whatever the scale. Source: W. Kabsch, Acta Crystallographica A32, 1976.
    """
    covariance = (target - target.mean(axis=0)).T @ (points - points.mean(axis=0))
    left, _, right = np.linalg.svd(covariance)
    mirror = np.sign(np.linalg.det(left @ right))
    return left @ np.diag([1, 1, mirror]) @ right


# Pose zero of our mean head against that of 300W-LP, in degrees of pitch by which the mean head is turned up.
# LANDMARK_PITCH makes the shapes agree. Measured on AFLW2000 photos, |yaw| < 20, |pitch| and |roll| < 30: their
# 68 landmarks, with the labelled rotation undone and the scale divided out, averaged, against the mean landmarks
# of 500 of these heads at pose zero. What is left: 0.04 degrees of pitch, 0.06 of yaw and roll.
# APPEARANCE_PITCH makes the looks agree, a constant chosen on real photos: a network trained on heads with
# APPEARANCE_PITCH 7.5 (60,000 of them) sees the faces of AFLW2000 2.5 degrees too low, on the half of ours that we
# choose on. Why the landmarks ask for another pose zero than the looks, we do not know.
LANDMARK_PITCH = -0.5
APPEARANCE_PITCH = 5.0
ZERO_PITCH = LANDMARK_PITCH + APPEARANCE_PITCH


@lru_cache(maxsize=1)
def reference_landmarks() -> np.ndarray:
    """Landmarks (68, 3) of the mean head at pose zero: they define where every head of this package looks."""
    tip = euler_to_matrix([0.0, ZERO_PITCH, 0.0])
    return _landmarks_of(Traits(), _modelled(Traits())) @ tip.T


def _landmarks_of(traits: Traits, modelled: np.ndarray) -> np.ndarray:
    """Landmarks (68, 3) of a modelled head in this person's proportions, without moving all its other points."""
    corners = modelled.reshape(-1, 3)[LANDMARK_CORNERS]
    return (_individual(traits, corners) * LANDMARK_WEIGHTS).sum(axis=1)


def _alignment(traits: Traits, modelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3), and the origin to turn about, that bring the face at rest to pose zero.

    A receding chin or a long nose must not read as a turn of the head. So pose zero of every person is where
    the 68 landmarks fit those of the mean head best, which is also how a face model is fitted to a photo.
    """
    rest = _landmarks_of(traits, modelled)
    rotation = best_rotation(rest, reference_landmarks()).astype(np.float32)
    return rotation, np.array([0, 0, -1], np.float32)
