"""Losses, computed from logits so that no exponential overflows."""

import numpy as np

from tinyhpe.backend import array_module, plain_array
from tinyhpe.ops.elementwise import exp, expit, power
from tinyhpe.ops.reduce import mean, narrowed, widened
from tinyhpe.ops.samples import normal
from tinyhpe.tensor import Op, Tensor, apply, as_tensor


class BCEWithLogits(Op):
    """Binary cross-entropy -t log p - (1 - t) log(1 - p) with p = sigmoid(z), element by element.

    Written as max(z, 0) - z t + log(1 + e^-|z|), which is exact for any z. Its derivative is p - t; written as
    (1 - t) p - t (1 - p) with 1 - p = sigmoid(-z), nothing small is lost beside 1.

    Args:
        targets: array of z's shape, values in [0, 1].
    """

    def __init__(self, targets):
        self.targets = targets

    @staticmethod
    def samples(rng):
        yield normal(rng, (3, 4), analytic=False, targets=rng.uniform(size=(3, 4)))

    def forward(self, xp, z):
        self.z, self.targets = z, narrowed(self.targets, z)
        return cross_entropies(xp, z, self.targets)

    def backward(self, xp, g):
        return (g * cross_entropy_slopes(xp, self.z, self.targets),)


def cross_entropies(xp, z, targets):
    """-t log p - (1 - t) log(1 - p) of arrays."""
    return xp.maximum(z, 0) - z * targets + xp.log1p(xp.exp(-xp.abs(z)))


def cross_entropy_slopes(xp, z, targets):
    """p - t, their derivatives."""
    return (1 - targets) * expit(xp, z) - targets * expit(xp, -z)


class LogSoftmax(Op):
    """z - log(sum(e^z)) along an axis; the largest z is taken off first: e^z cannot overflow."""

    def __init__(self, axis=-1):
        self.axis = axis

    @staticmethod
    def samples(rng):
        for axis in (-1, 0):
            yield normal(rng, (3, 4), axis=axis)

    def forward(self, xp, z):
        z = z - z.max(axis=self.axis, keepdims=True)
        total = xp.exp(widened(z)).sum(axis=self.axis, keepdims=True)
        self.y = narrowed(z - xp.log(total), z)
        return self.y

    def backward(self, xp, g):
        total = widened(g).sum(axis=self.axis, keepdims=True)
        return ((g - xp.exp(self.y) * total).astype(g.dtype),)


def constant(name, value, beside, kinds="biuf"):
    """The targets, labels or levels of a loss, given as an array, a list or a tensor, as an array.

    Args:
        name: of the loss, for the messages.
        beside: the tensor that they belong to.
        kinds: of dtypes that make sense.

    Raises:
        TypeError: another kind, or a tensor whose gradient would be lost.
    """
    if isinstance(value, Tensor) and value.requires_grad:
        raise TypeError(f"{name} has no gradient for its targets or labels: give tensor.detach()")
    array = value.data if isinstance(value, Tensor) else value
    array = plain_array(array if hasattr(array, "dtype") else array_module(beside.data).asarray(array))
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} cannot use targets or labels of {array.dtype}: convert them, with array.astype()")
    return array


def check_same_shape(name, prediction, target):
    """Raise if the shapes differ: broadcasting (n, 1) against (n,) would compare all with all, silently."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name} of shapes {prediction.shape} and {target.shape}: they must be equal; reshape one of them"
        )


def bce_with_logits(logits, targets, axis=None):
    """Binary cross-entropy of logits against targets in [0, 1] of the same shape; mean over `axis`."""
    targets = constant("bce_with_logits", targets, logits)
    check_same_shape("bce_with_logits", logits, targets)
    return mean(apply(BCEWithLogits(targets), logits), axis)


def log_softmax(logits, axis=-1):
    """Logarithm of the softmax along an axis."""
    return apply(LogSoftmax(axis), logits)


def softmax(logits, axis=-1):
    """Probabilities along an axis."""
    return exp(log_softmax(logits, axis))


def cross_entropy(logits, labels, axis=None):
    """-log p(label), the mean over `axis` of the labels: logits (..., K), labels (...), integers in [0, K)."""
    labels, xp = constant("cross_entropy", labels, logits, kinds="iu"), array_module(logits.data)
    fits = logits.ndim > 0 and logits.shape[:-1] == labels.shape
    if fits and xp is np:  # to look at labels on a GPU, the CPU would wait for it
        fits = not ((labels < 0) | (labels >= logits.shape[-1])).any()
    if not fits:
        raise ValueError(
            f"cross_entropy of logits {logits.shape} and labels {labels.shape}: expected logits (..., K) and "
            "labels (...) from 0 to K - 1"
        )
    rows = log_softmax(logits).reshape(labels.size, logits.shape[-1])
    chosen = rows[xp.arange(labels.size), labels.reshape(-1)]
    return -mean(chosen.reshape(labels.shape), axis)


def mse(prediction, target, axis=None):
    """Mean squared error against a target of the same shape; mean over `axis`."""
    target = as_tensor(target, [prediction])
    check_same_shape("mse", prediction, target)
    return mean(power(prediction - target, 2), axis)
