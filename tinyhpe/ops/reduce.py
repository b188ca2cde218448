"""Ops that reduce axes: sum, mean, maximum."""

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
        self.shape, self.first = x.shape, xp.expand_dims(x.argmax(axis=self.axis), self.axis)
        return xp.take_along_axis(x, self.first, axis=self.axis).squeeze(self.axis)

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, g.dtype)
        xp.put_along_axis(dx, self.first, xp.expand_dims(g, self.axis), axis=self.axis)
        return (dx,)


def sum(x, axis=None, keepdims=False):
    """Sum over the axis, the axes, or everything."""
    return apply(Sum(axis, keepdims), x)


def mean(x, axis=None, keepdims=False):
    """Mean over the axis, the axes, or everything."""
    count = 1
    for a in axis_tuple(axis, x.ndim):
        count *= x.shape[a]
    return sum(x, axis, keepdims) * (1 / count)


def max(x, axis):
    """Maximum along one axis."""
    return apply(Max(axis), x)
