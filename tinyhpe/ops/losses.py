"""Losses, computed from logits so that no exponential overflows."""

import numpy as np

from tinyhpe.backend import array_module
from tinyhpe.ops.elementwise import exp, power
from tinyhpe.ops.reduce import mean
from tinyhpe.tensor import Op, Sample, apply


class BCEWithLogits(Op):
    """Binary cross-entropy -t log p - (1 - t) log(1 - p) with p = sigmoid(z), element by element.

    Written as max(z, 0) - z t + log(1 + e^-|z|), which is exact for any z.

    Args:
        targets: array of z's shape, values in [0, 1].
    """

    def __init__(self, targets):
        self.targets = targets

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(3, 4)),), {"targets": rng.uniform(size=(3, 4))}, analytic=False)

    def forward(self, xp, z):
        self.z = z
        return xp.maximum(z, 0) - z * self.targets.astype(z.dtype) + xp.log1p(xp.exp(-xp.abs(z)))

    def backward(self, xp, g):
        probability = 0.5 * (1 + xp.tanh(0.5 * self.z))
        return (g * (probability - self.targets.astype(g.dtype)),)


class LogSoftmax(Op):
    """z - log(sum(e^z)) along the last axis; the largest z is taken off first: e^z cannot overflow."""

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(3, 4)),))

    def forward(self, xp, z):
        z = z - z.max(axis=-1, keepdims=True)
        self.y = z - xp.log(xp.exp(z).sum(axis=-1, keepdims=True))
        return self.y

    def backward(self, xp, g):
        return (g - xp.exp(self.y) * g.sum(axis=-1, keepdims=True),)


def check_same_shape(name, prediction, target):
    """Raise if the shapes differ: broadcasting (n, 1) against (n,) would compare all with all, silently."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name} of shapes {prediction.shape} and {target.shape}: they must be equal; reshape one of them"
        )


def bce_with_logits(logits, targets, axis=None):
    """Binary cross-entropy of logits against an array of targets in [0, 1] of the same shape; mean over `axis`."""
    check_same_shape("bce_with_logits", logits, targets)
    return mean(apply(BCEWithLogits(targets), logits), axis)


def log_softmax(logits):
    """Logarithm of the softmax along the last axis."""
    return apply(LogSoftmax(), logits)


def softmax(logits):
    """Probabilities along the last axis."""
    return exp(log_softmax(logits))


def cross_entropy(logits, labels, axis=None):
    """-log p(label), the mean over `axis` of the labels: logits (..., K), labels (...), integers in [0, K)."""
    fits = logits.ndim > 0 and logits.shape[:-1] == labels.shape
    if fits and isinstance(labels, np.ndarray):  # to look at labels on a GPU, the CPU would wait for it
        fits = not ((labels < 0) | (labels >= logits.shape[-1])).any()
    if not fits:
        raise ValueError(
            f"cross_entropy of logits {logits.shape} and labels {labels.shape}: expected logits (..., K) and "
            "labels (...) from 0 to K - 1"
        )
    rows = log_softmax(logits).reshape((labels.size, logits.shape[-1]))
    chosen = rows[array_module(labels).arange(labels.size), labels.reshape(-1)]
    return -mean(chosen.reshape(labels.shape), axis)


def mse(prediction, target, axis=None):
    """Mean squared error against an array of the same shape; mean over `axis`."""
    check_same_shape("mse", prediction, target)
    return mean(power(prediction - target, 2), axis)
