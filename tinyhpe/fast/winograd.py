"""Winograd's convolution: 3x3 windows at stride 1 for a quarter of the multiplications.

A polynomial of degree 5 is known by its values at 6 points. So to multiply one with 3 coefficients w by one with
4, h, takes 6 multiplications instead of 12: evaluate both at the points, multiply the values, interpolate. With
P(k) for the matrix of the points' powers 0 to k - 1:

    product = P(6)^-1 (P(3) w * P(4) h)

This is how a filter w of 3 taps scatters 4 numbers over 6. The transposed matrices gather: they give 4 outputs
of the filter from 6 inputs x, again for 6 multiplications:

    y = P(4)^T (P(3) w * P(6)^-T x)

An image has rows and columns, and each matrix is applied to both: a tile of 4x4 outputs takes 6x6 inputs and 36
multiplications instead of 144. Over all tiles and channels they are 36 matrix products, one for each pair of
points: (tiles, C_in) @ (C_in, C_out). The transforms before and after are products with small matrices; they cost
less than is saved, but for few channels.

Winograd, Arithmetic complexity of computations (1980); Lavin and Gray, Fast algorithms for convolutional neural
networks (2016). They take the points 0, 1, -1, 2, -2. Pairs p and 1/p have smaller powers, and half the rounding
error: with 128 channels 3 times that of im2col.
"""

import functools
import math

import numpy as np

from tinyhpe.fast.conv import ChunkedConv, reversed_weight
from tinyhpe.fast.gemm import RightFactor, small_block

POINTS = 0, 2 / 3, -2 / 3, 3 / 2, -3 / 2, math.inf


class WinogradConv:
    """A way of Conv2d for 3x3 windows, many channels and images that 4x4 tiles cover well.

    A tile's outputs are rounded relative to the largest value in the tile, not in each window, and a NaN in it is
    in all of them. So images are looked at: if there is a NaN, or a value that is very large beside the others,
    another way is taken.
    """

    CHUNK_VALUES = 1 << 17  # values at the points in a chunk of images: 512 KB of float32
    CHUNK_TILES = 48  # but never fewer tiles: each chunk reads all weights
    LEAST_CHANNELS = 32
    LEAST_PRODUCTS = 10**7  # multiplications of the plain way: fewer are done before this one has begun
    LEAST_COVERED = 0.75  # share of the tiles' pixels that lie in the image
    MOST_CHANNELS = 2  # for each tile; with more, the weights are most of the work
    LARGEST_VALUE = 1000.0  # beside the mean of absolute values

    def suits(op, xp, x, weight):
        return (
            xp is np
            and x.dtype.char in "fd"
            and worth_it(x.shape, weight.shape, op.stride, op.padding, WinogradConv.MOST_CHANNELS)
            and evenly_sized(x)
        )

    def forward(op, xp, x, weight):
        op.x, op.weight = x, weight
        y = np.empty(op.output_shape(x, weight), x.dtype)
        convolve(weight_values(weight), x, y)
        return y

    def backward(op, xp, g):
        """Both gradients from the same values of g.

        dx is g convolved with the weights in reverse order. Their gradient needs what that needs of g, too: the
        sum of x * dx is linear in g and in those weights.
        """
        if not evenly_sized(g):
            return ChunkedConv.backward(op, xp, g)
        g, dx, total = np.ascontiguousarray(g), np.empty(op.x.shape, g.dtype), 0
        at_points = weight_values(reversed_weight(op.weight))
        for images in image_chunks(g.shape, max(g.shape[3], dx.shape[3])):
            values = input_values(g[images])
            multiply_and_fill(values, at_points, dx[images])
            total += output_values(op.x[images]).swapaxes(1, 2) @ values
        dw_reversed = transformed(transforms(g.dtype)[1].T, total)
        return dx, dw_reversed.reshape(3, 3, *total.shape[1:])[::-1, ::-1]


def worth_it(x_shape, weight_shape, stride, padding, most_channels):
    """Whether this way is faster for images (N, H, W, C_in) and weights (k, k, C_in, C_out)."""
    if len(x_shape) != 4 or (*weight_shape[:-2], stride, padding) != (3, 3, 1, 1):
        return False
    (count, height, width, _), channels = x_shape, weight_shape[2:]
    tiles = math.prod(tile_grid(height, width))
    return (
        WinogradConv.LEAST_CHANNELS <= min(channels) <= most_channels * count * tiles
        and height * width >= WinogradConv.LEAST_COVERED * 16 * tiles
        and count * height * width * math.prod(weight_shape) >= WinogradConv.LEAST_PRODUCTS
    )


def evenly_sized(x):
    """Whether no value is NaN, infinite, or very large beside the others, of which some are looked at."""
    largest = max(x.max(), -x.min())
    some = x.reshape(-1)[:: x.size // 4096 | 1]
    return bool(largest <= WinogradConv.LARGEST_VALUE * np.abs(some).mean() < math.inf)


def tile_grid(height, width):
    """How many 4x4 tiles cover the image: (down, across)."""
    return -(-height // 4), -(-width // 4)


def powers(count):
    """(6, count): the powers 0 to count - 1 of each point. At infinity a polynomial is its highest coefficient."""
    return np.vstack([np.vander(POINTS[:-1], count, increasing=True), np.eye(count)[-1]])


@functools.cache
def transforms(dtype):
    """The matrices for inputs (36, 36), weights (36, 9) and outputs (16, 36): of columns and rows at once."""
    return [np.kron(m, m).astype(dtype) for m in (np.linalg.inv(powers(6)).T, powers(3), powers(4).T)]


def transformed(matrix, planes):
    """matrix (m, n) @ planes (n, tiles, C): a new array (m, tiles, C)."""
    result = np.empty((len(matrix), *planes.shape[1:]), planes.dtype)
    length = small_block(result[0].size, *matrix.shape)
    blocks, result_blocks = (array.reshape(len(array), -1, length).swapaxes(0, 1) for array in (planes, result))
    np.matmul(matrix, blocks, out=result_blocks)
    return result


def pixels(array):
    """View the channels of each pixel as one item, which is copied at once."""
    return array.view(np.dtype((np.void, array.shape[-1] * array.itemsize)))[..., 0]


def weight_values(weight):
    """The weights (3, 3, C_in, C_out) at the points: 36 right factors (C_in, C_out)."""
    return RightFactor(transformed(transforms(weight.dtype)[1], weight.reshape(9, *weight.shape[2:])))


def input_values(x):
    """x (N, H, W, C), by its 6x6 tiles, at the points: (36, N * tiles, C)."""
    count, height, width, channels = x.shape
    down, across = tile_grid(height, width)
    padded = np.zeros((count, 4 * down + 2, 4 * across + 2, channels), x.dtype)
    padded[:, 1 : height + 1, 1 : width + 1] = x
    source = pixels(padded)
    n, h, w = source.strides
    tiles = np.ndarray((6, 6, count, down, across), source.dtype, padded, 0, (h, w, n, 4 * h, 4 * w))
    planes = np.empty((36, count * down * across, channels), x.dtype)
    pixels(planes).reshape(tiles.shape)[...] = tiles
    return transformed(transforms(x.dtype)[0], planes)


def output_values(y):
    """Numbers in the outputs' place (N, H, W, C), by their 4x4 tiles, back at the points: (36, N * tiles, C)."""
    count, height, width, channels = y.shape
    down, across = tile_grid(height, width)
    padded = np.ascontiguousarray(y)
    if y.shape[1:3] != (4 * down, 4 * across):
        padded = np.zeros((count, 4 * down, 4 * across, channels), y.dtype)
        padded[:, :height, :width] = y
    planes = np.empty((16, count * down * across, channels), y.dtype)
    tiles = pixels(padded).reshape(count, down, 4, across, 4).transpose(2, 4, 0, 1, 3)
    pixels(planes).reshape(tiles.shape)[...] = tiles
    return transformed(transforms(y.dtype)[2].T, planes)


def fill_outputs(values, y):
    """Fill y (N, H, W, C): the outputs of all tiles from their values at the points (36, N * tiles, C)."""
    count, height, width, channels = y.shape
    down, across = tile_grid(height, width)
    planes = pixels(transformed(transforms(y.dtype)[2], values)).reshape(4, 4, count, down, across)
    whole = y.shape[1:3] == (4 * down, 4 * across)
    padded = y if whole else np.empty((count, 4 * down, 4 * across, channels), y.dtype)
    pixels(padded).reshape(count, down, 4, across, 4)[...] = planes.transpose(2, 3, 0, 4, 1)
    if not whole:
        y[...] = padded[:, :height, :width]


def image_chunks(shape, channels):
    """Slices of as many images as are worked on at a time; `channels` is the larger number of them."""
    tiles = math.prod(tile_grid(*shape[1:3]))
    images = -(-max(WinogradConv.CHUNK_TILES, WinogradConv.CHUNK_VALUES // (36 * channels)) // tiles)
    return [slice(first, first + images) for first in range(0, shape[0], images)]


def multiply_and_fill(values, at_points, y):
    """Fill y (N, H, W, C_out): the inputs' values at the points times the weights' there."""
    products = np.empty((*values.shape[:2], y.shape[3]), y.dtype)
    at_points.multiply(values, products)
    fill_outputs(products, y)


def convolve(at_points, x, y):
    """Fill y (N, H, W, C_out): x (N, H, W, C_in) convolved with the weights at_points, see weight_values()."""
    for images in image_chunks(x.shape, max(x.shape[3], y.shape[3])):
        multiply_and_fill(input_values(x[images]), at_points, y[images])
