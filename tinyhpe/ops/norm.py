"""Batch normalisation with the residual addition and the ReLU that follow it, as one op.

As eight separate ops each would stream the whole array through memory. Here a chunk of rows
goes through all the steps while it is in the cache (Ioffe and Szegedy, 2015, algorithm 1).
Three ideas make the loops fast in NumPy:

1. In NHWC the channels are the last axis and often short (16). A per-channel vector repeated to
   about 1,000 values lets NumPy run one long inner loop instead of many short ones.
2. Column sums are `ones @ chunk`: a matrix product, 20 times faster than `sum(axis=0)`. The sums
   of the chunks add up in float64.
3. The gradient is `a * g + b * (x - mean) + c` with three per-channel vectors, so that one pass is enough.
"""

import numpy as np

from tinyhpe.tensor import Op, Sample, apply

ROW_VALUES = 1024  # a per-channel vector is repeated to about this length
CHUNK_VALUES = 1 << 16  # values in a chunk: 256 KB of float32


class Rows:
    """An (..., C) array seen as rows of several pixels, cut into chunks."""

    def __init__(self, xp, shape):
        channels, pixels = shape[-1], int(np.prod(shape[:-1]))
        self.xp, self.channels, self.repeats = xp, channels, 1
        while pixels % (2 * self.repeats) == 0 and 2 * self.repeats * channels <= ROW_VALUES:
            self.repeats *= 2
        self.length = self.repeats * channels
        self.count = pixels // self.repeats
        self.step = max(1, CHUNK_VALUES // self.length) if xp is np else max(1, self.count)
        self.chunks = [slice(r, min(r + self.step, self.count)) for r in range(0, self.count, self.step)]

    def view(self, array):
        """The array as (count, length) rows."""
        return self.xp.ascontiguousarray(array).reshape(self.count, self.length)

    def repeat(self, vector, dtype):
        """A per-channel vector (C,) repeated to the length of a row."""
        row = self.xp.empty((self.repeats, self.channels), dtype)
        row[...] = vector
        return row.reshape(self.length)

    def buffer(self, dtype):
        """Room for one chunk."""
        return self.xp.empty((min(self.step, self.count), self.length), dtype)

    def channel_sum(self, chunk):
        """Sum a chunk over its rows and repeats: (C,) in double precision."""
        ones = self.xp.ones(len(chunk), chunk.dtype)
        total = (ones @ chunk).reshape(self.repeats, self.channels)
        return total.astype(self.xp.result_type(chunk.dtype, np.float64)).sum(axis=0)


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

    def forward(self, xp, x, gamma, beta, residual=None):
        if x.shape[-1:] != gamma.shape or (residual is not None and residual.shape != x.shape):
            raise ValueError(
                f"batch_norm of x {x.shape} with gamma {gamma.shape}"
                + (f" and residual {residual.shape}" if residual is not None else "")
                + ": gamma must have one value per channel (x's last axis), the residual x's shape"
            )
        if self.training and x.size <= gamma.size:
            raise ValueError(
                f"batch_norm in training mode got one value per channel, x {x.shape}: its variance is 0; "
                "use a larger batch, or eval mode"
            )
        rows = Rows(xp, x.shape)
        x_rows = rows.view(x)
        if self.training:
            mean, var = batch_statistics(rows, x_rows)
            self.update_running(mean, var, rows.count * rows.repeats)
        else:
            mean, var = self.running_mean.copy(), self.running_var  # a later training step changes it
        inverse = 1 / xp.sqrt(var + self.eps)
        scale = gamma * inverse
        scale_row, shift_row = rows.repeat(scale, x.dtype), rows.repeat(beta - mean * scale, x.dtype)
        y = xp.empty(x.shape, x.dtype)
        y_rows = rows.view(y)
        residual_rows = None if residual is None else rows.view(residual)
        for chunk in rows.chunks:
            out = y_rows[chunk]
            xp.multiply(x_rows[chunk], scale_row, out=out)
            out += shift_row
            if residual is not None:
                out += residual_rows[chunk]
            if self.relu:
                xp.maximum(out, 0, out=out)
        self.x, self.y, self.mean, self.inverse, self.scale = (
            x,
            y if self.relu else None,
            mean,
            inverse,
            scale,
        )
        return y

    def update_running(self, mean, var, count):
        """Mix the batch's statistics into the running ones; the variance unbiased, as in torch."""
        for running, batch in (self.running_mean, mean), (self.running_var, var * (count / (count - 1))):
            running *= 1 - self.momentum
            running += (self.momentum * batch.real).astype(running.dtype)  # .real: for the complex step

    def backward(self, xp, g):
        rows = Rows(xp, g.shape)
        x_rows, g_rows = rows.view(self.x), rows.view(g)
        if self.relu:  # a new array: g may belong to others too
            y_rows, g = rows.view(self.y), xp.empty(g.shape, g.dtype)
            masked_rows = rows.view(g)
            for chunk in rows.chunks:
                xp.multiply(g_rows[chunk], y_rows[chunk] > 0, out=masked_rows[chunk])
            g_rows = masked_rows
        d_beta = d_gamma = None
        if self.training or any(self.needs[1:3]):
            d_beta, d_gamma = self.parameter_gradients(rows, x_rows, g_rows)
        dx = self.input_gradient(rows, x_rows, g_rows, d_beta, d_gamma) if self.needs[0] else None
        return (dx, d_gamma, d_beta, g)[: len(self.needs)]

    def parameter_gradients(self, rows, x_rows, g_rows):
        """d_beta = sum g; d_gamma = sum g * (x - mean) / std."""
        mean_row, buffer = rows.repeat(self.mean, x_rows.dtype), rows.buffer(x_rows.dtype)
        d_beta = d_gamma = 0
        for chunk in rows.chunks:
            centred = buffer[: len(x_rows[chunk])]
            rows.xp.subtract(x_rows[chunk], mean_row, out=centred)
            centred *= g_rows[chunk]
            d_beta = d_beta + rows.channel_sum(g_rows[chunk])
            d_gamma = d_gamma + rows.channel_sum(centred)
        return d_beta.astype(g_rows.dtype), (d_gamma * self.inverse).astype(g_rows.dtype)

    def input_gradient(self, rows, x_rows, g_rows, d_beta, d_gamma):
        """dx = scale * (g - mean(g) - normalised x * mean(g * normalised x)); in eval mode scale * g."""
        xp, dtype, pixels = rows.xp, x_rows.dtype, rows.count * rows.repeats
        dx = xp.empty(self.x.shape, dtype)
        dx_rows, buffer = rows.view(dx), rows.buffer(dtype)
        of_g = rows.repeat(self.scale, dtype)
        if self.training:
            slope = -self.scale * self.inverse * d_gamma / pixels
            of_x = rows.repeat(slope, dtype)
            constant = rows.repeat(-self.scale * d_beta / pixels - slope * self.mean, dtype)
        for chunk in rows.chunks:
            out = dx_rows[chunk]
            xp.multiply(g_rows[chunk], of_g, out=out)
            if self.training:
                term = buffer[: len(out)]
                xp.multiply(x_rows[chunk], of_x, out=term)
                term += constant
                out += term
        return dx


def batch_statistics(rows, x_rows):
    """Mean and biased variance of each channel, (C,) in double precision.

    Sums are taken of x minus its first row, so that a large mean does not drown the variance.
    """
    origin = x_rows[0].copy()
    origin.reshape(rows.repeats, rows.channels)[1:] = origin[: rows.channels]
    buffer = rows.buffer(x_rows.dtype)
    total = squares = 0
    for chunk in rows.chunks:
        centred = buffer[: len(x_rows[chunk])]
        rows.xp.subtract(x_rows[chunk], origin, out=centred)
        total = total + rows.channel_sum(centred)
        centred *= centred
        squares = squares + rows.channel_sum(centred)
    pixels = rows.count * rows.repeats
    mean = total / pixels
    return mean + origin[: rows.channels], squares / pixels - mean * mean


def batch_norm(x, gamma, beta, running_mean, running_var, training, residual=None, **settings):
    """Normalise each channel of x (..., C); see BatchNorm. Optionally adds `residual` and clips at 0."""
    inputs = (x, gamma, beta) if residual is None else (x, gamma, beta, residual)
    return apply(BatchNorm(running_mean, running_var, training, **settings), *inputs)
