"""Ops that reduce axes: sum, mean, maximum, Euclidean norm."""

import math

import numpy as np

from tinyhpe.tensor import Op, Sample, apply


def axis_tuple(axis, ndim):
    """Return `axis` (None, an int or a tuple) as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(not -ndim <= a < ndim for a in axes):
        raise ValueError(f"axis {axis} does not exist in a tensor of {ndim} dimensions")
    return tuple(a % ndim for a in axes)


def check_not_empty(name, shape, axes):
    """Raise if there is nothing along the axes to be reduced."""
    if any(shape[axis] == 0 for axis in axes):
        raise ValueError(
            f"{name} of a tensor of shape {shape} over axes {axes}: no values, so no {name}; is the batch empty?"
        )


class Sum(Op):
    """Sum over some axes (all of them if `axis` is None)."""

    def __init__(self, axis=None, keepdims=False):
        self.axis, self.keepdims = axis, keepdims

    @staticmethod
    def samples(rng):
        for axis, keepdims in [(None, False), (1, False), ((0, -1), True), ((), False)]:
            yield Sample((rng.normal(size=(2, 3, 4)),), {"axis": axis, "keepdims": keepdims})

    def forward(self, xp, x):
        self.shape, axes = x.shape, axis_tuple(self.axis, x.ndim)
        self.kept = tuple(1 if a in axes else length for a, length in enumerate(x.shape))
        return x.sum(axis=axes, keepdims=self.keepdims)

    def backward(self, xp, g):
        return (xp.broadcast_to(g.reshape(self.kept), self.shape).copy(),)


class Max(Op):
    """Maximum along one axis; of equal maxima the first takes the gradient, as in torch."""

    def __init__(self, axis):
        self.axis = axis

    @staticmethod
    def samples(rng):
        yield Sample((rng.permutation(np.arange(24.0)).reshape(2, 3, 4),), {"axis": 1}, analytic=False)
        yield Sample((rng.permutation(np.arange(6.0)),), {"axis": -1}, analytic=False)

    def forward(self, xp, x):
        check_not_empty("max", x.shape, axis_tuple(self.axis, x.ndim))
        self.shape, self.first = x.shape, xp.expand_dims(x.argmax(axis=self.axis), self.axis)
        return xp.take_along_axis(x, self.first, axis=self.axis).squeeze(self.axis)

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, g.dtype)
        xp.put_along_axis(dx, self.first, xp.expand_dims(g, self.axis), axis=self.axis)
        return (dx,)


class VectorNorm(Op):
    """Euclidean norm sqrt(sum of x^2) along one axis; at x = 0, where it has a kink, the gradient is 0.

    x is divided by its largest value first, so that no square overflows or vanishes.
    """

    def __init__(self, axis):
        self.axis = axis

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(3, 4)),), {"axis": -1})
        yield Sample((rng.normal(size=(2, 3, 2)),), {"axis": 1})

    def forward(self, xp, x):
        check_not_empty("vector_norm", x.shape, axis_tuple(self.axis, x.ndim))
        largest = xp.abs(x).max(axis=self.axis, keepdims=True)
        largest[largest == 0] = 1
        y = largest * xp.sqrt(((x / largest) ** 2).sum(axis=self.axis, keepdims=True))
        self.direction = x / xp.where(y == 0, 1, y)
        return y.squeeze(self.axis)

    def backward(self, xp, g):
        return (xp.expand_dims(g, self.axis) * self.direction,)


def sum(x, axis=None, keepdims=False):
    """Sum over the axis, the axes, or everything."""
    return apply(Sum(axis, keepdims), x)


def mean(x, axis=None, keepdims=False):
    """Mean over the axis, the axes, or everything."""
    axes = axis_tuple(axis, x.ndim)
    check_not_empty("mean", x.shape, axes)
    count = math.prod(x.shape[a] for a in axes)
    return sum(x, axis, keepdims) * (1 / count)


def max(x, axis):
    """Maximum along one axis."""
    return apply(Max(axis), x)


def vector_norm(x, axis):
    """Euclidean norm along one axis."""
    return apply(VectorNorm(axis), x)
