"""One picture of one head: a person, a pose, a light, a camera.

person     traits + expression -> the head's grid of points -> ears, hair, clothes around it
pose       every surface turned; shoulders follow only in part
camera     perspective, and the crop that HopeNet takes for training
pixels     z-buffer -> paint -> light -> background -> camera noise
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinyhpe.heads.backdrop import background, frame, occlude, photograph
from tinyhpe.heads.light import cast_shadows, sample_light, shade
from tinyhpe.heads.raster import grid_normals, grid_triangles, rasterise
from tinyhpe.heads.shape import (
    DOWN,
    JAW_ROW,
    UNDER,
    ZERO_PITCH,
    build_head,
    canonical,
    head_landmarks,
    sample_expression,
    sample_traits,
    smooth_step,
)
from tinyhpe.heads.texture import Looks, paint, sample_looks
from tinyhpe.heads.wardrobe import Material, Surface, dress
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_view, view_to_matrix
from tinyhpe.pose.boxes import TRAINING_WIDENING, landmark_box, square, training_box
from tinyhpe.pose.sampling import photographed_poses

SUPERSAMPLING = 1.125
NECK_PIVOT = np.array([0.0, -1.3, -1.4], np.float32)  # where the head turns on the neck
CAMERA_DISTANCE = (9.0, 50.0)  # 0.6 m to 3 m, in eye distances
CROP_JITTER = 0.03
EYEBALL = 0.19  # radius in eye distances
INTO_CAMERA, EYES_TURN = 0.7, 0.12  # chance; the farthest that an iris moves, 40 degrees
PAINT_COORDINATES = 5


class Head(NamedTuple):
    """A rendered head. image (S, S, 3) uint8 RGB; depth (S, S) float32, in eye distances towards the camera from
    the plane of the eyes' midpoint, NaN where there is no head; landmarks (68, 2) float32, x and y in pixels of
    the image, in iBUG's order; pose (3,) float32, degrees of yaw, pitch and roll."""

    image: np.ndarray
    depth: np.ndarray
    landmarks: np.ndarray
    pose: np.ndarray


class Cutout(NamedTuple):
    """A head without a background. colour (S, S, 3) is already times coverage (S, S, 1), both floats from 0 to 1;
    depth and landmarks as in Head."""

    colour: np.ndarray
    coverage: np.ndarray
    depth: np.ndarray
    landmarks: np.ndarray


class Person(NamedTuple):
    """Everything that does not depend on pose, light and camera."""

    surfaces: list[Surface]
    landmarks: np.ndarray
    looks: Looks


def render_head(
    seed, size: int = 64, pose=None, margin: float | None = None, draw_poses=photographed_poses
) -> Head:
    """Renders the head that belongs to `seed` (an integer or a tuple of them), size x size pixels.

    pose: yaw, pitch and roll in degrees; without one, it is drawn by a function of pose/sampling.py. The same seed
    is the same person in the same light whatever the pose. margin: None for a crop as HopeNet takes it in
    training; a number for a wider picture, with so many sides of the square landmark box left free on each side.
    """
    cutout, pose, rng = cut_out_head(seed, size, pose, margin, draw_poses)
    image = cutout.colour + (1 - cutout.coverage) * background(size, rng)
    if rng.random() < 0.15:
        occlude(image, rng)
    image = photograph(image, rng)
    if margin is None:
        frame(image, rng)
    return Head(
        image=(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8),
        depth=cutout.depth,
        landmarks=cutout.landmarks,
        pose=pose.astype(np.float32),
    )


def cut_out_head(seed, size, pose=None, margin=None, draw_poses=photographed_poses):
    """Draws the head of render_head(), whose arguments these are, without a background.

    Returns a Cutout, the pose, and the generator for the background."""
    pose_rng, person_rng, view_rng, light_rng, back_rng = np.random.default_rng(seed).spawn(5)
    pose = draw_poses(pose_rng, 1)[0] if pose is None else np.asarray(pose, float)
    person = sample_person(person_rng)
    surfaces, landmarks = _posed(person, pose, view_rng)
    camera = _camera(landmarks, margin, view_rng)
    looks = replace(person.looks, gaze=_gaze(person.looks.gaze, pose, view_rng))
    drawn = _draw(surfaces, looks, camera, size, light_rng)
    return Cutout(*drawn, (camera(landmarks)[:, :2] * size).astype(np.float32)), pose, back_rng


def sample_person(rng: np.random.Generator) -> Person:
    """Someone new: a head, what it wears, and its colours."""
    traits, expression = sample_traits(rng), sample_expression(rng)
    looks = sample_looks(expression, rng)
    points = build_head(traits, expression, girth=math.exp(rng.normal(0, 0.1)))
    outfit = dress(points, rng)
    return Person([_skin(points, outfit), *outfit.surfaces], head_landmarks(points), looks)


@lru_cache(maxsize=1)
def _skin_rows():
    """Of every row of the head's grid, (rows, 1) each: how far below the jaw it is (0 to 2), and how much it turns
    with the head. The head turns, the base of the neck does not, what lies between follows in part."""
    below = np.concatenate([np.zeros(JAW_ROW + 1), UNDER, 1 + DOWN])
    stays = smooth_step(np.linspace(0, 1, len(UNDER) + len(DOWN) + 1)[1:], 0.2, 1.2)
    follows = np.concatenate([np.ones(JAW_ROW + 1), 1 - stays])
    return below[:, None], follows[:, None]


def _skin(points, outfit):
    """The skin. Its painter's coordinates: place on the mean head, how far below the jaw, hairiness."""
    below, follows = _skin_rows()
    places = np.zeros((*points.shape[:2], PAINT_COORDINATES), np.float32)
    places[..., :3], places[..., 3] = canonical(), below
    places[: JAW_ROW + 1, :, 4] = outfit.hairy
    buried = np.zeros(points.shape[:2], bool)
    buried[: JAW_ROW + 1] = outfit.covered
    return Surface(points, places, Material.SKIN, follows=follows, buried=buried)


# ------------------------------------------------------------------------------------------------ pose and camera


def _posed(person: Person, pose, rng) -> tuple[list[Surface], np.ndarray]:
    """Surfaces and landmarks turned by the pose; the body by a random part of turn, elevation and tilt."""
    shares = rng.uniform((0, 0, 0), (1.0, 0.5, 0.6))
    matrix = euler_to_matrix(pose)
    body_view = matrix_to_view(matrix) * shares + rng.normal(0, (8, 4, 4))
    turn, body = np.stack([matrix, view_to_matrix(body_view)]).astype(np.float32)
    pivot = NECK_PIVOT @ turn.T
    surfaces = []
    for surface in person.surfaces:
        points = surface.points @ turn.T
        follows = np.asarray(surface.follows, np.float32)[..., None]
        if follows.min() < 1:
            points = follows * points + (1 - follows) * ((surface.points - NECK_PIVOT) @ body.T + pivot)
        surfaces.append(surface._replace(points=points.astype(np.float32, copy=False)))
    return surfaces, person.landmarks @ turn.T


def _gaze(ahead, pose, rng):
    """Where the irises are. Most people look into the camera, as far as their eyes can turn: a network that has
    seen only eyes at rest takes a head that is bowed for one that is upright, if it looks up at the camera."""
    face = euler_to_matrix(pose) @ euler_to_matrix([0.0, ZERO_PITCH, 0.0])
    to_camera = EYEBALL * face[2, :2]
    if rng.random() > INTO_CAMERA or np.hypot(*to_camera) > EYES_TURN:
        return ahead
    return to_camera + np.divide(ahead, 3)


class Camera(NamedTuple):
    """Looks along -z at a square of side `side` about `centre` (2,) from `distance`; calling it projects."""

    centre: np.ndarray
    side: float
    distance: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) to the image: x to the right and y down, in sides of the image, depth as it was."""
        seen = points[..., :2] * (self.distance / (self.distance - points[..., 2:]))
        right = (seen[..., 0] - self.centre[0]) / self.side + 0.5
        down = (self.centre[1] - seen[..., 1]) / self.side + 0.5
        return np.stack([right, down, points[..., 2]], axis=-1)


def _camera(landmarks, margin, rng) -> Camera:
    distance = math.exp(rng.uniform(*np.log(CAMERA_DISTANCE)))
    unframed = Camera(np.zeros(2), 1.0, distance)(landmarks)[:, :2]
    k = rng.uniform(*TRAINING_WIDENING)
    jitter = CROP_JITTER * rng.normal(0, 1, 2)
    face = landmark_box(unframed.T)
    left, top, side, _ = square(training_box(face, k) if margin is None else face)
    middle = np.array((left + side / 2, top + side / 2))
    side *= 1 + 2 * (margin or 0)
    middle += jitter * side
    return Camera(np.array((middle[0] - 0.5, 0.5 - middle[1]), np.float32), float(side), distance)


# -------------------------------------------------------------------------------------------------------- pixels


def _draw(surfaces, looks, camera, size, rng):
    """Colour (S, S, 3) already times coverage, coverage (S, S, 1) and depth (S, S) of the head, no background."""
    fine = round(size * SUPERSAMPLING)
    points, values, triangles, kinds, two_sided = _joined(surfaces)
    seen = rasterise(camera(points) * np.array((fine, fine, 1), np.float32), triangles, two_sided, fine)
    corners = triangles.take(seen.triangle, axis=0).T
    mixed = np.einsum("vck,ck->vk", values.take(corners, axis=1), seen.weights)  # between the three corners
    normal, place = mixed[:3], mixed[3:]
    normal /= np.maximum(np.sqrt(np.einsum("ak,ak->k", normal, normal)), 1e-6)
    behind = two_sided[seen.triangle] & (normal[2] < 0)
    normal *= np.where(behind, np.float32(-1), np.float32(1))
    colour, gloss = _painted(looks, {surface.material for surface in surfaces}, kinds[seen.triangle], place)
    light = sample_light(rng)
    lit = np.ones(len(gloss), np.float32)
    if light.shadow:
        lit -= light.shadow * (1 - cast_shadows(light.lamps[0], seen, fine, fine / camera.side))
    colour = shade(light, colour, gloss, normal, lit)
    colour *= _exposure(colour, rng)

    rgba = np.zeros((4, fine * fine), np.float32)
    rgba[:3, seen.pixel], rgba[3, seen.pixel] = np.minimum(colour, 1.5), 1
    shrink = _shrinking(fine, size)
    rgba = np.ascontiguousarray((shrink @ rgba.reshape(4, fine, fine) @ shrink.T).transpose(1, 2, 0))
    depth = np.full(fine * fine, np.nan, np.float32)
    depth[seen.pixel] = seen.depth
    centres = ((np.arange(size) + 0.5) * fine / size).astype(int)
    return rgba[..., :3], rgba[..., 3:], depth.reshape(fine, fine)[centres[:, None], centres]


def _painted(looks, materials, kind, place):
    """Colour (3, K) and gloss (K,) of points at place (5, K): every material by its own painter."""
    colour, gloss = np.empty((3, len(kind)), np.float32), np.empty(len(kind), np.float32)
    for material in materials:
        here = np.flatnonzero(kind == material)
        colour[:, here], gloss[here] = paint(material, looks, place.take(here, axis=1))
    return colour, gloss


def _exposure(colour, rng):
    """The factor that makes the head about as bright as a photographer would; sometimes far off."""
    wanted = np.exp(rng.normal(np.log(0.42), 0.3))
    return (wanted / max(colour.mean(), 0.02)) ** rng.uniform(0.5, 1.0)


@lru_cache(maxsize=8)
def _shrinking(fine, size):
    """The matrix (size, fine) that shrinks a line of pixels, by tents two new pixels wide: no edge is jagged."""
    new, old = (np.arange(count, dtype=np.float32) + 0.5 for count in (size, fine))
    tent = np.maximum(1 - np.abs(new[:, None] - old * (size / fine)), 0)
    return tent / tent.sum(axis=1, keepdims=True)


def _joined(surfaces):
    """All surfaces as one: points (V, 3), normals with painter's coordinates (8, V), triangles (M, 3), and what
    they are made of and whether both sides can be seen, (M,) each."""
    points = np.concatenate([surface.points.reshape(-1, 3) for surface in surfaces])
    values = np.zeros((3 + PAINT_COORDINATES, len(points)), np.float32)
    start, triangles = 0, []
    for surface in surfaces:
        rows, columns = surface.points.shape[:2]
        triangles.append(_drawn(surface, grid_triangles(rows, columns, surface.closed)) + start)
        own = values[:, start : start + rows * columns]
        own[:3] = grid_normals(surface.points, surface.closed).reshape(-1, 3).T
        own[3 : 3 + surface.paint.shape[-1]] = surface.paint.reshape(rows * columns, -1).T
        start += rows * columns
    counts = [len(part) for part in triangles]
    kinds = np.repeat(np.array([surface.material for surface in surfaces], np.int8), counts)
    return points, values, np.concatenate(triangles), kinds, np.repeat([s.two_sided for s in surfaces], counts)


def _drawn(surface, triangles):
    """The triangles of a surface without those whose three corners are buried."""
    if surface.buried is None:
        return triangles
    shown = ~surface.buried.ravel()
    a, b, c = triangles.T
    return triangles.take(np.flatnonzero(shown[a] | shown[b] | shown[c]), axis=0)


def contact_sheet(images, columns: int = 10) -> np.ndarray:
    """Images of one size (N, S, S, 3) side by side in rows of `columns`; empty places stay black."""
    images = np.asarray(images)
    rows = -(-len(images) // columns)
    size = images.shape[1]
    sheet = np.zeros((rows * columns, *images.shape[1:]), images.dtype)
    sheet[: len(images)] = images
    return sheet.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)
