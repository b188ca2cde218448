"""Batch norm in one pass after another over chunks that stay in the cache, in NumPy's longest loops.

1. In NHWC the channels are the last axis and often short (16). A per-channel vector repeated to
   about 1,000 values lets NumPy run one long inner loop instead of many short ones.
2. Column sums are `ones @ chunk`: a matrix product. The sums of the chunks add up in float64.
3. The gradient is `a * g + b * (x - mean) + c` with three per-channel vectors, so that one pass is enough.
"""

import functools
import math

import numpy as np


class ChunkedNorm:
    """A way of BatchNorm.

    Where the mean of a channel is large beside its standard deviation, x * scale + shift and the gradient of gamma
    lose digits that the plain op keeps: their error is about eps * |mean| / std (as if x had been rounded).
    """

    ROW_VALUES = 1024  # a per-channel vector is repeated to about this length
    CHUNK_VALUES = 1 << 16  # values in a chunk: 256 KB of float32

    def suits(op, xp, x, *others):
        return xp is np and x.dtype.char in "fd"

    def forward(op, xp, x, gamma, beta, residual=None):
        op.check_shapes(x, gamma, beta, residual)
        rows = rows_of(x)
        mean, var = op.running_mean.copy(), op.running_var
        if op.training:
            mean, var = batch_statistics(rows, rows.view(x))
            if not np.isfinite(var).all():  # squares too large for float32, which the plain way makes in float64
                op.way = type(op)
                return op.forward(xp, x, gamma, beta, residual)
            op.update_running(mean, var, x.size // gamma.size)
        op.running_mean = op.running_var = None  # they go on changing: backward must not need them
        op.x, op.mean, op.inverse = x, mean, 1 / np.sqrt(var + op.eps)
        op.scale, op.shift = gamma * op.inverse, beta - op.mean * gamma * op.inverse
        y = np.empty(x.shape, x.dtype)
        normalise(rows, op, rows.view(x), rows.view(y), None if residual is None else rows.view(residual))
        op.y = y if op.relu else None
        return y

    def backward(op, xp, g):
        rows = rows_of(g)
        passed = np.empty(g.shape, g.dtype) if op.relu else g  # a new array, since g may belong to others too
        views = rows.view(op.x), rows.view(g), rows.view(passed)
        d_beta, d_gamma = parameter_gradients(rows, op, *views)
        dx = input_gradient(rows, op, views[0], views[2], d_beta, d_gamma)
        return (dx.reshape(g.shape), d_gamma, d_beta, passed)[: len(op.needs)]


class Rows:
    """How to see a (..., C) array of a shape as rows of several pixels, cut into chunks.

    Args:
        row_values, chunk_values: how many values there are in a row, and in a chunk, at the most.
    """

    def __init__(self, shape, dtype, row_values, chunk_values):
        channels, pixels = shape[-1], math.prod(shape[:-1])
        self.dtype, self.channels, self.repeats = dtype, channels, 1
        while pixels % (2 * self.repeats) == 0 and 2 * self.repeats * channels <= row_values:
            self.repeats *= 2
        self.length, self.count = self.repeats * channels, pixels // self.repeats
        step = max(1, min(self.count, chunk_values // max(1, self.length)))
        self.chunks = [slice(r, r + step) for r in range(0, self.count, step)]
        self.shape, self.ones = (step, self.length), np.ones(step, dtype)

    def view(self, array):
        """The array as (count, length) rows."""
        return np.ascontiguousarray(array).reshape(self.count, self.length)

    def repeat(self, vector):
        """A per-channel vector (C,) repeated to the length of a row."""
        row = np.empty((self.repeats, self.channels), self.dtype)
        row[...] = vector
        return row.reshape(self.length)

    def sums(self, chunks):
        """Add up all rows of both arrays that `chunks` yields, in double precision: (2, C)."""
        totals = np.zeros((2, self.length))
        for pair in chunks:
            for total, chunk in zip(totals, pair, strict=True):
                total += self.ones[: len(chunk)] @ chunk
        return totals.reshape(2, self.repeats, self.channels).sum(axis=1)


@functools.lru_cache  # a network asks for the same few shapes at every step
def make_rows(shape, dtype, row_values, chunk_values):
    """Rows for arrays of a shape."""
    return Rows(shape, dtype, row_values, chunk_values)


def rows_of(array):
    """Rows for arrays such as this one."""
    return make_rows(array.shape, array.dtype, ChunkedNorm.ROW_VALUES, ChunkedNorm.CHUNK_VALUES)


def batch_statistics(rows, x, origin=None):
    """Mean and biased variance of each channel, (C,) in double precision.

    Sums are taken of x minus an origin (C,), so that a large mean does not drown the variance. It is the first
    pixel; and if that lies far from all others, they are taken once more, from the mean.
    """
    start = x[0, : rows.channels].copy() if origin is None else origin
    origin_row, buffers = rows.repeat(start), np.empty((2, *rows.shape), rows.dtype)

    def chunks():
        for chunk in rows.chunks:
            centred, squares = (buffer[: len(x[chunk])] for buffer in buffers)
            np.subtract(x[chunk], origin_row, out=centred)
            yield centred, np.multiply(centred, centred, out=squares)

    mean, square = rows.sums(chunks()) / (rows.count * rows.repeats)
    var = square - mean * mean
    if origin is None and (mean * mean > 100 * var).any():
        return batch_statistics(rows, x, (start + mean).astype(x.dtype))
    return mean + start, var


def normalise(rows, op, x, y, residual):
    """Fill y: x * scale + shift, plus the residual if there is one, then the ReLU if it is wanted."""
    scale, shift, zero = rows.repeat(op.scale), rows.repeat(op.shift), rows.repeat(0)
    for chunk in rows.chunks:
        out = np.multiply(x[chunk], scale, out=y[chunk])
        out += shift
        if residual is not None:
            out += residual[chunk]
        if op.relu:
            np.maximum(out, zero, out=out)  # a row of zeros: NumPy is twice as slow with the number 0


def parameter_gradients(rows, op, x, g, passed):
    """d_beta = sum g; d_gamma = sum g * (x - mean) / std = (sum g * x - mean * sum g) / std.

    With a ReLU, g counts only where it let x pass: that part of g is left in `passed`.
    """
    y, buffer = rows.view(op.y) if op.relu else None, np.empty(rows.shape, rows.dtype)

    def chunks():
        for chunk in rows.chunks:
            if op.relu:
                np.multiply(g[chunk], y[chunk] > 0, out=passed[chunk])
            yield passed[chunk], np.multiply(x[chunk], passed[chunk], out=buffer[: len(x[chunk])])

    d_beta, sum_gx = rows.sums(chunks())
    d_gamma = (sum_gx - op.mean * d_beta) * op.inverse
    return d_beta.astype(rows.dtype), d_gamma.astype(rows.dtype)


def input_gradient(rows, op, x, g, d_beta, d_gamma):
    """dx = scale * (g - mean(g) - normalised x * mean(g * normalised x)); in eval mode scale * g."""
    pixels = rows.count * rows.repeats
    of_x = -op.scale * op.inverse * d_gamma / pixels if op.training else 0
    constant = rows.repeat(-op.scale * d_beta / pixels - of_x * op.mean if op.training else 0)
    of_g, of_x = rows.repeat(op.scale), rows.repeat(of_x)
    dx, buffer = np.empty(x.shape, rows.dtype), np.empty(rows.shape, rows.dtype)
    for chunk in rows.chunks:
        out = np.multiply(g[chunk], of_g, out=dx[chunk])
        if op.training:
            term = np.multiply(x[chunk], of_x, out=buffer[: len(out)])
            term += constant
            out += term
    return dx
