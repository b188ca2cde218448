"""Batch normalisation with the residual addition and the ReLU that follow it, as one op.

Ioffe and Szegedy (2015), algorithm 1. Its gradient in x, with n the normalised x:

    dx = gamma / std * (g - mean(g) - n * mean(g * n))

since x moves the mean and the variance, too. In evaluation mode both are constants: dx = gamma / std * g.
"""

import itertools

import numpy as np

from tinyhpe.ops.reduce import narrowed
from tinyhpe.tensor import Op, Sample, apply


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
        for training, residual, relu in itertools.product([False, True], repeat=3):
            x, skipped = rng.normal(3, 2, (2, 2, 3, 1, 2))
            gamma, beta, mean, var = rng.uniform(0.5, 2, (4, 2))
            inputs = x, gamma, beta, skipped
            settings = {"running_mean": mean, "running_var": var, "training": training, "relu": relu}
            yield Sample(inputs[: 3 + residual], settings, analytic=not relu)

    def check_shapes(self, x, gamma, beta, residual):
        """Raise ValueError unless all fit together, and x has a variance."""
        shapes = [array.shape for array in (gamma, beta, self.running_mean, self.running_var)]
        if set(shapes) != {x.shape[-1:]} or np.shape(x if residual is None else residual) != x.shape:
            raise ValueError(
                f"batch_norm of x {x.shape}: gamma, beta, running mean and variance, here of {shapes}, must have "
                "one value per channel (x's last axis), and the residual x's shape"
            )
        if self.training and x.size <= gamma.size:
            raise ValueError(f"batch_norm of x {x.shape}: it has no variance; use a larger batch, or eval mode")

    def forward(self, xp, x, gamma, beta, residual=None):
        self.check_shapes(x, gamma, beta, residual)
        wide = x.astype(np.result_type(x.dtype, np.float64))  # for long sums
        axes = tuple(range(x.ndim - 1))
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean = wide.mean(axes)
            var = ((wide - mean) ** 2).mean(axes)
            self.update_running(mean.real, var.real, x.size // gamma.size)
        self.running_mean = self.running_var = None  # they go on changing: backward must not need them
        self.gamma, self.std = gamma, xp.sqrt(var + self.eps)
        self.normalised = (wide - mean) / self.std
        y = gamma * self.normalised + beta
        y = y if residual is None else y + residual
        y = xp.maximum(y, 0) if self.relu else y
        self.passed = y > 0 if self.relu else True
        return narrowed(y, x)

    def update_running(self, mean, var, count):
        """Mix the batch's statistics into the running ones; the variance unbiased, as in torch."""
        unbiased = var * (count / (count - 1))
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (unbiased - self.running_var)

    def backward(self, xp, g):
        n, axes = self.normalised, tuple(range(g.ndim - 1))
        d_residual = xp.where(self.passed, g, 0)
        dx = wide = d_residual.astype(n.dtype)
        d_beta = wide.sum(axes)
        d_gamma = (wide * n).sum(axes)
        if self.training:
            dx = wide - (d_beta + n * d_gamma) / (g.size // d_beta.size)
        dx = dx * (self.gamma / self.std)
        gradients = dx, d_gamma, d_beta, d_residual
        return [gradient.astype(g.dtype) for gradient in gradients[: len(self.needs)]]


def batch_norm(x, gamma, beta, running_mean, running_var, training, residual=None, **settings):
    """Normalise each channel of x (..., C); see BatchNorm. Optionally adds `residual` and clips at 0."""
    inputs = (x, gamma, beta) if residual is None else (x, gamma, beta, residual)
    return apply(BatchNorm(running_mean, running_var, training, **settings), *inputs)
