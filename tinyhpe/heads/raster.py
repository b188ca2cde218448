"""Surfaces as grids of points, and a z-buffer that turns their triangles into pixels.

Every surface of a head (skull, ear, hair, hat, ...) is a grid of points, rows by columns. That gives triangles
and normals for free: two triangles per cell, and the normal from the differences between neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

THINNEST = 1e-3  # triangles of less (twice the area, square pixels) are left out: no picture shows them


class Fragments(NamedTuple):
    """What the camera sees: one entry per covered pixel, K of them.

    pixel (K,) index into the flattened image; triangle (K,) index of the triangle in front; weights (3, K) of
    its corners, which sum to 1; depth (K,) of the point, larger is nearer.
    """

    pixel: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray


@lru_cache(maxsize=64)
def grid_triangles(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles (M, 3) of a grid of points, as indices into its flattened points.

    Seen from outside, with columns to the right and rows downward, the corners go counter-clockwise. `closed`
    joins the last column to the first. Do not change the result: it is kept for the next call.
    """
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (column + 1) % columns
    top_left, top_right = row * columns + column, row * columns + right
    bottom_left, bottom_right = top_left + columns, top_right + columns
    first = np.stack([top_left, bottom_left, bottom_right], axis=-1)
    second = np.stack([top_left, bottom_right, top_right], axis=-1)
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def grid_normals(points: np.ndarray, closed: bool) -> np.ndarray:
    """Unit normals (rows, columns, 3) of a grid of points: down x right, from neighbours on both sides."""
    points = np.ascontiguousarray(points.transpose(2, 0, 1))  # x, y and z apart: long rows are fast, triples slow
    down = np.empty_like(points)
    down[:, 1:-1] = points[:, 2:] - points[:, :-2]
    down[:, 0], down[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    right = np.empty_like(points)
    right[..., 1:-1] = points[..., 2:] - points[..., :-2]
    before, after = (-1, 0) if closed else (0, -1)
    right[..., 0], right[..., -1] = points[..., 1] - points[..., before], points[..., after] - points[..., -2]
    (ax, ay, az), (bx, by, bz) = down, right
    normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    for row, neighbour in ((0, 1), (-1, -2)):
        across = points[:, row, 0] - points[:, row, points.shape[2] // 2]
        if across @ across < 1e-10:  # a pole: its own columns have no direction
            normals[:, row] = normals[:, neighbour].sum(axis=1, keepdims=True)
    x, y, z = normals
    normals /= np.maximum(np.sqrt(x * x + y * y + z * z), 1e-9)
    return normals.transpose(1, 2, 0)


def rasterise(points: np.ndarray, triangles: np.ndarray, two_sided: np.ndarray, size: int) -> Fragments:
    """The nearest triangle at every pixel centre of a (size, size) image.

    points (V, 3) float32: x and y in pixels from the upper left corner (y down; the first pixel's centre is at
    0.5, 0.5) and a depth that is larger for nearer points. triangles (M, 3); those that face away are left out,
    unless `two_sided` (M,) says that both sides can be seen.

    Line by line: a row of pixels crosses the sides of a triangle at two places, and every pixel between the two
    is a fragment. There is no loop: the lines of all triangles are one long array, and so are their fragments.
    """
    x, y, z = np.ascontiguousarray(points.T, np.float32)
    corners = np.ascontiguousarray(triangles.T)
    area = _signed_area(x[corners], y[corners])
    # y points down, so counter-clockwise is negative
    kept = np.flatnonzero(np.where(two_sided, np.abs(area), -area) > THINNEST)
    corners = corners[:, kept]
    x, y, z = x[corners], y[corners], z[corners]

    triangle, row, column = _inside(x, y, size)
    weights = _barycentric(x, y, area[kept], triangle, column + np.float32(0.5), row + np.float32(0.5))
    depth = (z[0][triangle] * weights[0] + z[1][triangle] * weights[1]) + z[2][triangle] * weights[2]
    pixel = row.astype(np.intp) * size + column.astype(np.intp)

    nearest = np.full(size * size, -np.inf, np.float32)
    np.maximum.at(nearest, pixel, depth)
    winner = np.full(size * size, -1)
    front = np.flatnonzero(depth == nearest[pixel])
    winner[pixel[front]] = front
    seen = np.flatnonzero(winner >= 0)
    winner = winner[seen]
    return Fragments(seen, kept[triangle[winner]], weights[:, winner], depth[winner])


def _signed_area(x, y):
    """Twice the area of triangles with corners x, y (3, M); negative if they go the other way round."""
    return (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])


def _inside(x, y, size):
    """All pixels whose centres lie in M triangles with corners x, y (3, M): triangle, row, column, (K,) each."""
    first_column, last_column = _pixels_between(*_least_and_most(x), size)
    top, bottom = _pixels_between(*_least_and_most(y), size)
    triangle, row = _count_up(top, np.where(first_column <= last_column, bottom, -1))
    line, column = _count_up(*_pixels_between(*_crossings(x, y, triangle, row + np.float32(0.5)), size))
    return triangle[line], row[line], column


def _least_and_most(corners):
    """Smallest and largest of three rows (3, M); min(axis=0) would be ten times slower."""
    a, b, c = corners
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _crossings(x, y, triangle, height):
    """Where lines at `height` (R,) enter and leave their triangles: the two sides that they cross, left and right.

    The left crossing is the smallest of three, one per side, where a side that is not crossed counts as infinity.
    """
    left, right = np.full(len(height), np.inf, np.float32), np.full(len(height), -np.inf, np.float32)
    x, way = x.take(triangle, axis=1), height - y.take(triangle, axis=1)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        rise = way[start] - way[end]
        level = rise == 0
        missed = (way[start] * way[end] > 0) | level
        crossing = x[start] + way[start] * (x[end] - x[start]) / (rise + level)
        left = np.minimum(left, np.where(missed, np.float32(np.inf), crossing))
        right = np.maximum(right, np.where(missed, np.float32(-np.inf), crossing))
    return left, right


def _pixels_between(low, high, size):
    """First and last pixel of 0 to size - 1 whose centres lie between low and high; none if first > last."""
    first = np.clip(np.ceil(low - np.float32(0.5)), 0, size)
    return first, np.clip(np.floor(high - np.float32(0.5)), -1, size - 1)


def _count_up(first, last):
    """first, first + 1, ..., last for each of the pairs, one after the other: whose count it is, and the count."""
    length = np.maximum(last - first + 1, 0).astype(np.intp)
    owner = np.repeat(np.arange(len(length)), length)
    before = np.cumsum(length) - length - first.astype(np.intp)
    return owner, (np.arange(len(owner)) - before[owner]).astype(np.float32)


def _barycentric(x, y, area, triangle, across, along):
    """Weights (3, K) of the corners of triangles at places (across, along): each is linear, 1 at its corner."""
    across, along = across - x[0][triangle], along - y[0][triangle]
    weights = np.empty((3, len(triangle)), np.float32)
    weights[1] = ((y[2] - y[0]) / area)[triangle] * across + ((x[0] - x[2]) / area)[triangle] * along
    weights[2] = ((y[0] - y[1]) / area)[triangle] * across + ((x[1] - x[0]) / area)[triangle] * along
    weights[0] = 1 - weights[1] - weights[2]
    return weights
