"""Batch normalisation with the residual addition and the ReLU that follow it, as one op.

As eight separate ops each would stream the whole array through memory. Here a chunk of rows
goes through all the steps while it is in the cache (Ioffe and Szegedy, 2015, algorithm 1).
Three ideas make the loops fast in NumPy:

1. In NHWC the channels are the last axis and often short (16). A per-channel vector repeated to
   about 1,000 values lets NumPy run one long inner loop instead of many short ones.
2. Column sums are `ones @ chunk`: a matrix product. The sums of the chunks add up in float64.
3. The gradient is `a * g + b * (x - mean) + c` with three per-channel vectors, so that one pass is enough.
"""

import functools
import math

import numpy as np

from tinyhpe.fast.cuda import kernels
from tinyhpe.parallel import over_parts
from tinyhpe.tensor import Op, Sample, apply

ROW_VALUES = 1024  # a per-channel vector is repeated to about this length
CHUNK_VALUES = 1 << 16  # values in a chunk: 256 KB of float32
PART_CHUNKS = 8  # chunks that are worth a thread


class Rows:
    """How to see a (..., C) array of a shape as rows of several pixels, cut into chunks.

    Args:
        row_values, chunk_values: how many values there are in a row, and in a chunk, at the most.
    """

    def __init__(self, xp, shape, dtype, row_values, chunk_values):
        channels, pixels = shape[-1], math.prod(shape[:-1])
        self.xp, self.dtype, self.channels, self.repeats = xp, dtype, channels, 1
        while pixels % (2 * self.repeats) == 0 and 2 * self.repeats * channels <= row_values:
            self.repeats *= 2
        self.length, self.count = self.repeats * channels, pixels // self.repeats
        self.step = max(1, min(self.count, chunk_values // self.length)) if xp is np else max(1, self.count)
        self.chunks = [slice(r, r + self.step) for r in range(0, self.count, self.step)]
        self.ones = xp.ones(self.step, dtype)

    def over_chunks(self, function):
        """Call function(chunks) with all chunks, or in each thread with a part of them; list the results."""
        return over_parts(lambda part: function(self.chunks[part]), len(self.chunks), PART_CHUNKS)

    def sums(self, function):
        """Add up the results of function(chunks), a tuple of sums over rows, over threads, rows and repeats."""
        totals = map(sum, zip(*self.over_chunks(function), strict=True))
        return [total.reshape(self.repeats, self.channels).sum(axis=0) for total in totals]

    def view(self, array):
        """The array as (count, length) rows."""
        return self.xp.ascontiguousarray(array).reshape(self.count, self.length)

    def repeat(self, vector):
        """A per-channel vector (C,) repeated to the length of a row."""
        row = self.xp.empty((self.repeats, self.channels), self.dtype)
        row[...] = vector
        return row.reshape(self.length)

    def buffer(self):
        """Room for one chunk."""
        return self.xp.empty((self.step, self.length), self.dtype)

    def zeros(self):
        """Room for a sum over all rows, in double precision."""
        return self.xp.zeros(self.length, np.result_type(self.dtype, np.float64))

    def add_rows(self, total, chunk):
        """Add the rows of a chunk to `total` (length,)."""
        total += self.ones[: len(chunk)] @ chunk


rows_of = functools.lru_cache(Rows)  # a network asks for the same few shapes at every step


class BatchNorm(Op):
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, then optionally + residual, then optionally ReLU.

    Inputs: x (..., C), gamma (C,), beta (C,) and, if given, residual of x's shape.

    Args:
        running_mean, running_var: (C,) buffers; updated in place when `training`, used when not.
        training: normalise with the batch's own mean and variance, and differentiate through them.
        momentum: weight of the new statistics in the running ones (torch's sense).
        relu: clip the result at 0.
    """

    def __init__(self, running_mean, running_var, training, momentum=0.1, eps=1e-5, relu=False):
        self.running_mean, self.running_var, self.training = running_mean, running_var, training
        self.momentum, self.eps, self.relu = momentum, eps, relu

    @staticmethod
    def samples(rng):
        for shape, training, residual, relu in [
            ((2, 3, 2, 2), True, False, False),
            ((2, 3, 2, 2), False, True, False),
            ((6, 3), True, True, True),
            ((4, 2, 2, 1), False, False, True),
        ]:
            channels = shape[-1]
            inputs = [rng.normal(3, 2, shape), rng.uniform(0.5, 2, channels), rng.normal(size=channels)]
            inputs += [rng.normal(size=shape)] * residual
            buffers = {"running_mean": rng.normal(size=channels), "running_var": rng.uniform(1, 2, channels)}
            yield Sample(tuple(inputs), {**buffers, "training": training, "relu": relu}, analytic=not relu)

    def check_shapes(self, x, gamma, beta, residual):
        """Raise ValueError unless the inputs and the running statistics fit together, and x has a variance."""
        per_channel = (gamma, beta, self.running_mean, self.running_var)
        fits = all(array.shape == x.shape[-1:] for array in per_channel)
        if not fits or (residual is not None and residual.shape != x.shape):
            raise ValueError(
                f"batch_norm of x {x.shape} with gamma, beta, running mean and variance of "
                f"{', '.join(str(array.shape) for array in per_channel)}"
                + (f" and residual {residual.shape}" if residual is not None else "")
                + ": each must have one value per channel (x's last axis), the residual x's shape"
            )
        if self.training and x.size <= gamma.size:
            raise ValueError(
                f"batch_norm in training mode got one value per channel or none, x {x.shape}: it has no variance; "
                "use a larger batch, or eval mode"
            )

    def forward(self, xp, x, gamma, beta, residual=None):
        self.check_shapes(x, gamma, beta, residual)
        rows = rows_of(xp, x.shape, x.dtype, ROW_VALUES, CHUNK_VALUES)
        x_rows = rows.view(x)
        if self.training:
            mean, var = batch_statistics(rows, x_rows)
            self.update_running(mean, var, rows.count * rows.repeats)
        else:
            mean, var = self.running_mean.copy(), self.running_var  # a later training step changes it
        inverse = 1 / xp.sqrt(var + self.eps)
        scale = gamma * inverse
        scale_row, shift_row, zero_row = rows.repeat(scale), rows.repeat(beta - mean * scale), rows.repeat(0)
        y = xp.empty(x.shape, x.dtype)
        y_rows = rows.view(y)
        residual_rows = None if residual is None else rows.view(residual)

        def normalise(chunks):
            for chunk in chunks:
                out = xp.multiply(x_rows[chunk], scale_row, out=y_rows[chunk])
                out += shift_row
                if residual is not None:
                    out += residual_rows[chunk]
                if self.relu:
                    xp.maximum(out, zero_row, out=out)  # a row of zeros: NumPy is twice as slow with the number 0

        rows.over_chunks(normalise)
        self.x, self.y = x, y if self.relu else None
        self.mean, self.inverse, self.scale = mean, inverse, scale
        return y

    def update_running(self, mean, var, count):
        """Mix the batch's statistics into the running ones; the variance unbiased, as in torch."""
        for running, batch in (self.running_mean, mean), (self.running_var, var * (count / (count - 1))):
            running *= 1 - self.momentum
            running += (self.momentum * batch.real).astype(running.dtype)  # .real: for the complex step

    def backward(self, xp, g):
        rows = rows_of(xp, g.shape, g.dtype, ROW_VALUES, CHUNK_VALUES)
        passed = xp.empty(g.shape, g.dtype) if self.relu else g  # a new array, since g may belong to others too
        x_rows, g_rows, passed_rows = rows.view(self.x), rows.view(g), rows.view(passed)
        d_beta, d_gamma = self.parameter_gradients(rows, x_rows, g_rows, passed_rows)
        dx = self.input_gradient(rows, x_rows, passed_rows, d_beta, d_gamma) if self.needs[0] else None
        return (dx, d_gamma, d_beta, passed)[: len(self.needs)]

    def forward_cuda(self, xp, x, gamma, beta, residual=None):
        """Two kernels for the statistics, one for all the rest."""
        self.check_shapes(x, gamma, beta, residual)
        module, self.x, self.gamma = kernels.cuda_module(), xp.ascontiguousarray(x), xp.ascontiguousarray(gamma)
        running = self.running_mean, self.running_var
        if self.training:
            self.mean, self.var = kernels.batch_statistics(module, self.x, *running, self.momentum)
        else:
            self.mean, self.var = (array.copy() for array in running)  # a later training step changes them
        beta, residual = (None if array is None else xp.ascontiguousarray(array) for array in (beta, residual))
        scaling = self.mean, self.var, self.gamma, beta
        y = kernels.batch_norm(module, self.x, *scaling, self.eps, residual, self.relu)
        self.y = y if self.relu else None
        return y

    def backward_cuda(self, xp, g):
        """Two kernels for the gradients of gamma and beta, one for those of x and the residual."""
        settings = self.mean, self.var, self.gamma, self.eps, self.training, self.y, self.needs[3:] == (True,)
        g = xp.ascontiguousarray(g)
        gradients = kernels.batch_norm_backward(kernels.cuda_module(), g, self.x, *settings)
        return gradients[: len(self.needs)]

    def parameter_gradients(self, rows, x_rows, g_rows, passed_rows):
        """d_beta = sum g; d_gamma = sum g * (x - mean) / std = (sum g * x - mean * sum g) / std.

        With a ReLU, g counts only where it let x pass: that part of g is left in `passed_rows`.
        """
        xp, y_rows = rows.xp, rows.view(self.y) if self.relu else None

        def sums(chunks):
            buffer, sum_g, sum_gx = rows.buffer(), rows.zeros(), rows.zeros()
            for chunk in chunks:
                g = passed_rows[chunk]
                if self.relu:
                    xp.multiply(g_rows[chunk], y_rows[chunk] > 0, out=g)
                rows.add_rows(sum_g, g)
                rows.add_rows(sum_gx, xp.multiply(x_rows[chunk], g, out=buffer[: len(g)]))
            return sum_g, sum_gx

        d_beta, sum_gx = rows.sums(sums)
        d_gamma = (sum_gx - self.mean * d_beta) * self.inverse
        return d_beta.astype(rows.dtype), d_gamma.astype(rows.dtype)

    def input_gradient(self, rows, x_rows, g_rows, d_beta, d_gamma):
        """dx = scale * (g - mean(g) - normalised x * mean(g * normalised x)); in eval mode scale * g."""
        xp, pixels = rows.xp, rows.count * rows.repeats
        dx = xp.empty(self.x.shape, rows.dtype)
        dx_rows, of_g = rows.view(dx), rows.repeat(self.scale)
        if self.training:
            slope = -self.scale * self.inverse * d_gamma / pixels
            of_x, constant = rows.repeat(slope), rows.repeat(-self.scale * d_beta / pixels - slope * self.mean)

        def fill(chunks):
            buffer = rows.buffer()
            for chunk in chunks:
                out = xp.multiply(g_rows[chunk], of_g, out=dx_rows[chunk])
                if self.training:
                    term = xp.multiply(x_rows[chunk], of_x, out=buffer[: len(out)])
                    term += constant
                    out += term

        rows.over_chunks(fill)
        return dx


def batch_statistics(rows, x_rows):
    """Mean and biased variance of each channel, (C,) in double precision.

    Sums are taken of x minus its first pixel, so that a large mean does not drown the variance.
    """
    origin = x_rows[0, : rows.channels].copy()
    origin_row = rows.repeat(origin)

    def sums(chunks):
        buffer, total, squares = rows.buffer(), rows.zeros(), rows.zeros()
        for chunk in chunks:
            x = x_rows[chunk]
            centred = rows.xp.subtract(x, origin_row, out=buffer[: len(x)])
            rows.add_rows(total, centred)
            centred *= centred
            rows.add_rows(squares, centred)
        return total, squares

    pixels = rows.count * rows.repeats
    mean, square = (total / pixels for total in rows.sums(sums))
    return mean + origin, square - mean * mean


def batch_norm(x, gamma, beta, running_mean, running_var, training, residual=None, **settings):
    """Normalise each channel of x (..., C); see BatchNorm. Optionally adds `residual` and clips at 0."""
    inputs = (x, gamma, beta) if residual is None else (x, gamma, beta, residual)
    return apply(BatchNorm(running_mean, running_var, training, **settings), *inputs)
