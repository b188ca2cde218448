"""The pose from a depth map, the paper's column 3DMM: a morphable head is fitted to it, and nothing is trained.

The model (Blanz and Vetter, 1999, "A Morphable Model for the Synthesis of 3D Faces") is a mean face plus principal
shapes, each as large as one standard deviation of it: here of faces that the renderer's traits make. The fit
looks for the rotation, size, place and shape with which the model's points lie on the map, by damped least squares
(Levenberg, 1944; Marquardt, 1963). The misfit has many minima: so it begins from several rotations, and the best
of the results counts. A point that is far from what the map has in its place (hair, glasses, a hand) counts less.

The paper quotes its figures of 3DMM from work on films of a depth camera, which is another task. Here the maps
are those of rendered heads, hidden under hair and hats as in the pictures. Photos have no depth: so they are
refused. What the fit is not told is how far away the camera is; it takes weak perspective (pose/landmarks.py).
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyhpe import backend
from tinyhpe.blas import one_blas_thread
from tinyhpe.errors import InputError
from tinyhpe.methods.base import Method
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler
from tinyhpe.pose.quaternions import quaternion_to_matrix

MODEL_HEADS, SHAPES = 200, 6
FIRST_ROW, EVERY = 3, 2  # of the head's grid of points: below the crown, every second row and column in front
STARTS = [(yaw, 0.0, roll) for yaw in (-70.0, -35.0, 0.0, 35.0, 70.0) for roll in (-30.0, 0.0, 30.0)]
STEPS, FIRST_DAMPING = 25, 0.01
NEAR = (
    0.3,
    0.05,
)  # eye distances from the map, in the first and in the last step: farther points count less and less
CROP_SIDE = 4.5  # of a crop, in eye distances, about
SIZE_PRIOR, SHAPE_PRIOR = 0.5, 0.01  # cost of being e times as large, and of a shape one deviation off the mean
BATCH = 8  # maps at a time: what is computed for them fits into a processor's cache
FAR = -99.0  # where there is no head
SMALLEST = 1e-9  # added to the diagonal: where nothing is seen, no direction matters


class Depth(Method):
    """Mean face (V, 3), principal shapes (SHAPES, V, 3), both in eye distances, and the mean's normals (V, 3)."""

    parts = stages = ()
    sees = "depths"

    def __init__(self, network="r18n", stem="7x7", input_size=48, seed=0):
        self.input_size = input_size
        for name, array in face_model()._asdict().items():
            self.register_buffer(name, array.copy())

    def predict(self, images):
        """Return the poses, (n, 3) degrees, of depth maps (n, S, S) in eye distances, NaN where there is no head.

        Raises:
            InputError: they are photos.
        """
        if np.ndim(images) != 3:
            raise InputError("depth reads depth maps, and photos have none: evaluate it on rendered heads")
        model = FaceModel(*(backend.to_numpy(getattr(self, name)) for name in FaceModel._fields))
        poses = [np.empty((0, 3))]
        with one_blas_thread():
            for start in range(0, len(images), BATCH):
                poses.append(matrix_to_euler(fit(model, np.asarray(images[start : start + BATCH], float))))
        return np.concatenate(poses)


class FaceModel(NamedTuple):
    """See Depth."""

    mean: np.ndarray
    shapes: np.ndarray
    normals: np.ndarray


@functools.cache
def face_model():
    """The FaceModel of MODEL_HEADS heads of the renderer: always the same."""
    from tinyhpe.heads import shape  # here: the others need no heads, and no SciPy
    from tinyhpe.heads.raster import grid_normals

    rng = np.random.default_rng(0)
    people = [(shape.sample_traits(rng), shape.sample_expression(rng)) for _ in range(MODEL_HEADS)]
    heads = np.array([shape.build_head(*person) for person in people], float)
    normals = grid_normals(heads.mean(axis=0), closed=True)
    chosen = slice(FIRST_ROW, shape.JAW_ROW + 1, EVERY), np.flatnonzero(shape.COS > 0)[::EVERY]
    faces = heads[:, chosen[0]][:, :, chosen[1]].reshape(MODEL_HEADS, -1)
    mean = faces.mean(axis=0)
    with one_blas_thread():
        _, sizes, directions = np.linalg.svd(faces - mean, full_matrices=False)
    shapes = sizes[:SHAPES, None] * directions[:SHAPES] / np.sqrt(MODEL_HEADS)
    return FaceModel(mean.reshape(-1, 3), shapes.reshape(SHAPES, -1, 3), normals[chosen].reshape(-1, 3))


def fit(model, depths):
    """The rotation matrices (n, 3, 3) of the heads in depth maps (n, S, S): all starts of all maps at a time.

    Beside its rotation each fit has numbers (4 + SHAPES): logarithm of the pixels per eye distance; x, y (pixels)
    and depth (eye distances) of the eyes' midpoint; how much there is of each shape.
    """
    n, side, _ = depths.shape
    maps = np.repeat(with_slopes(depths), len(STARTS), axis=0)
    rotations = np.tile(euler_to_matrix(STARTS), (n, 1, 1))
    usual = np.array([np.log(side / CROP_SIDE), 0, 0, 0, *[0] * SHAPES])
    prior = np.array([SIZE_PRIOR, 0, 0, 0, *[SHAPE_PRIOR] * SHAPES])
    numbers = np.tile(usual, (len(maps), 1))
    middle = rotations @ model.mean.mean(axis=0)
    numbers[:, 1:3] = side / 2 - side / CROP_SIDE * middle[:, :2] * (1, -1)  # the face in the middle of the crop
    damping = np.full(len(maps), FIRST_DAMPING)

    def cost(misfit, numbers):
        return misfit.cost + ((numbers - usual) ** 2 * prior).sum(axis=1)

    for near in np.geomspace(*NEAR, STEPS):
        now = compare(model, maps, side, rotations, numbers, near)  # anew, since `near` is another one
        hessian = np.einsum("bvi,bv,bvj->bij", now.slopes, now.weights, now.slopes, optimize=True)
        gradient = np.einsum("bvi,bv->bi", now.slopes, now.weights * now.distances)
        diagonal = np.einsum("bii->bi", hessian)  # a view
        diagonal[:, 3:] += prior
        gradient[:, 3:] += (numbers - usual) * prior
        diagonal += damping[:, None] * diagonal + SMALLEST
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        small_turn = np.concatenate([np.ones((len(maps), 1)), step[:, :3] / 2], axis=1)
        tried = quaternion_to_matrix(small_turn) @ rotations, numbers + step[:, 3:]
        then = compare(model, maps, side, *tried, near)
        better = cost(then, tried[1]) < cost(now, numbers)
        damping = np.where(better, damping / 3, damping * 4)
        rotations[better], numbers[better] = tried[0][better], tried[1][better]
    costs = cost(compare(model, maps, side, rotations, numbers, near), numbers).reshape(n, -1)
    return rotations.reshape(n, -1, 3, 3)[np.arange(n), costs.argmin(axis=1)]


def with_slopes(depths):
    """Depth maps (n, S, S) as (n, S * S, 3): depth, and what it grows by from column to column and row to row."""
    down, across = np.gradient(depths, axis=(1, 2))
    depths = np.nan_to_num(depths, nan=FAR)
    return np.stack([depths, np.nan_to_num(across), np.nan_to_num(down)], axis=-1).reshape(len(depths), -1, 3)


class Misfit(NamedTuple):
    """How far a model's points are from the map: distances (b, V) in units of `near`, and their slopes
    (b, V, 7 + SHAPES) as the head turns about x, y and z and its numbers grow; the points' weights; cost (b,)."""

    distances: np.ndarray
    slopes: np.ndarray
    weights: np.ndarray
    cost: np.ndarray


def compare(model, maps, side, rotations, numbers, near):
    """The Misfit of b heads. A point at distance d costs d^2 / (1 + d^2) (Geman and McClure, 1987); of those that
    face the camera the mean is taken, each as much as it does so."""
    points = (model.mean + np.tensordot(numbers[:, 4:], model.shapes, 1)) @ rotations.swapaxes(1, 2)
    scale, x, y, depth = np.exp(numbers[:, :1]), *numbers[:, 1:4, None].swapaxes(0, 1)
    across, down = x + scale * points[..., 0], y - scale * points[..., 1]
    column, row = (place.clip(0, side - 1).astype(int) for place in (across, down))
    there, to_column, to_row = np.moveaxis(maps[np.arange(len(maps))[:, None], row * side + column], -1, 0)
    there = there + to_column * (across - column - 0.5) + to_row * (down - row - 0.5)
    distances = (there - points[..., 2] - depth) / near

    pull = np.stack(
        [to_column * scale, -to_row * scale, -np.ones_like(scale * to_row)], axis=-1
    )  # as a point moves
    turning, growing = np.cross(points, pull), (pull[..., :2] * points[..., :2]).sum(axis=-1)
    moving = np.stack([growing, to_column, to_row, pull[..., 2]], axis=-1)
    changing = np.einsum("bvi,kvi->bvk", pull @ rotations, model.shapes)
    slopes = np.concatenate([turning, moving, changing], axis=-1) / near

    facing = (model.normals @ rotations.swapaxes(1, 2))[..., 2].clip(0)
    facing /= facing.sum(axis=1, keepdims=True)
    cost = (facing * distances**2 / (1 + distances**2)).sum(axis=1)
    return Misfit(distances, slopes, facing / (1 + distances**2) ** 2, cost)
