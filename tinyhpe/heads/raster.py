"""Surfaces as grids of points, and a z-buffer that turns their triangles into pixels.

Every surface of a head (skull, ear, hair, hat, ...) is a grid of points, rows by columns. That gives triangles
and normals for free: two triangles per cell, and the normal from the differences between neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Fragments(NamedTuple):
    """What the camera sees: one entry per covered pixel, K of them.

    pixel (K,) index into the flattened image; triangle (K,) index of the triangle in front; weights (K, 3) of
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
    down = np.empty_like(points)
    down[1:-1] = points[2:] - points[:-2]
    down[0], down[-1] = points[1] - points[0], points[-1] - points[-2]
    right = np.empty_like(points)
    right[:, 1:-1] = points[:, 2:] - points[:, :-2]
    if closed:
        right[:, 0], right[:, -1] = points[:, 1] - points[:, -1], points[:, 0] - points[:, -2]
    else:
        right[:, 0], right[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    (ax, ay, az), (bx, by, bz) = np.moveaxis(down, -1, 0), np.moveaxis(right, -1, 0)
    normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)
    for row, neighbour in ((0, 1), (-1, -2)):
        if np.ptp(points[row], axis=0).max() < 1e-6:  # a pole: its own columns have no direction
            normals[row] = normals[neighbour].mean(axis=0)
    length = np.sqrt((normals**2).sum(axis=-1, keepdims=True))
    return normals / np.maximum(length, 1e-9)


def rasterise(points: np.ndarray, triangles: np.ndarray, two_sided: np.ndarray, size: int) -> Fragments:
    """The nearest triangle at every pixel centre of a (size, size) image.

    points (V, 3) float32: x and y in pixels from the upper left corner (y down; the first pixel's centre is at
    0.5, 0.5) and a depth that is larger for nearer points. triangles (M, 3); those that face away are left out,
    unless `two_sided` (M,) says that both sides can be seen.

    Every triangle lists all pixels of its bounding box; the three barycentric weights then say which of them
    are inside. There is no loop: the lists of all triangles are one long array.
    """
    points = np.asarray(points, np.float32)
    x, y = points[:, 0][triangles.T], points[:, 1][triangles.T]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    # y points down, so counter-clockwise is negative
    kept = np.flatnonzero(np.where(two_sided, np.abs(area), -area) > 1e-9)
    x, y, area = x[:, kept], y[:, kept], area[kept]
    left, width = _pixel_range(x, size)
    top, height = _pixel_range(y, size)

    owner, column, row = _boxes(left, width, top, height)
    weights = _barycentric(x, y, area, owner, column, row)
    inside = np.flatnonzero((weights[0] >= 0) & (weights[1] >= 0) & (weights[2] >= 0))
    owner, weights = owner[inside], weights[:, inside]
    pixel = row[inside] * size + column[inside]
    heights = points[:, 2][triangles[kept].T]
    depth = (heights[0][owner] * weights[0] + heights[1][owner] * weights[1]) + heights[2][owner] * weights[2]

    nearest = np.full(size * size, -np.inf, np.float32)
    np.maximum.at(nearest, pixel, depth)
    winner = np.full(size * size, -1, np.int32)
    front = np.flatnonzero(depth == nearest[pixel])
    winner[pixel[front]] = front
    seen = np.flatnonzero(winner >= 0)
    winner = winner[seen]
    return Fragments(seen, kept[owner[winner]], weights[:, winner].T, depth[winner])


def _pixel_range(corners, size):
    """First pixel and number of pixels whose centres lie between the corners (3, M), inside the image."""
    low = np.minimum(np.minimum(corners[0], corners[1]), corners[2])
    high = np.maximum(np.maximum(corners[0], corners[1]), corners[2])
    first = np.clip(np.ceil(low - 0.5), 0, size).astype(np.int32)
    last = np.clip(np.floor(high - 0.5), -1, size - 1).astype(np.int32)
    return first, np.maximum(last - first + 1, 0)


def _boxes(left, width, top, height):
    """All pixels of all bounding boxes, one after the other: index of the box, column and row, (K,) each."""
    pixels = width * height
    owner = np.repeat(np.arange(len(pixels), dtype=np.int32), pixels)
    start = np.cumsum(pixels, dtype=np.int32) - pixels
    place = np.arange(len(owner), dtype=np.int32) - start[owner]
    wide = width[owner]
    down = place // wide
    return owner, left[owner] + place - down * wide, top[owner] + down


def _barycentric(x, y, area, owner, column, row):
    """Weights (3, K) of the corners at K pixel centres: each is linear in the position, so a plane."""
    across = column.astype(np.float32) + np.float32(0.5) - x[0][owner]
    along = row.astype(np.float32) + np.float32(0.5) - y[0][owner]
    weights = np.empty((3, len(owner)), np.float32)
    weights[1] = ((y[2] - y[0]) / area)[owner] * across + ((x[0] - x[2]) / area)[owner] * along
    weights[2] = ((y[0] - y[1]) / area)[owner] * across + ((x[1] - x[0]) / area)[owner] * along
    weights[0] = 1 - weights[1] - weights[2]
    return weights
