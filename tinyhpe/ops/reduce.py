"""Ops that reduce axes: sum, mean, maximum."""

import math

import numpy as np

from tinyhpe.ops.samples import distinct, normal
from tinyhpe.tensor import Op, Sample, apply


def widened(x):
    """x as float32 if it is float16: so narrow a sum overflows beyond 65504, and loses what is small beside it."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def narrowed(y, x):
    """y in the dtype of x, unless x is of whole numbers: what is computed from them has fractions."""
    return y.astype(x.dtype) if x.dtype.kind in "fc" else y


def axis_tuple(axis, ndim):
    """Return `axis` (None, an int or a tuple) as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
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
    """Sum over some axes (all of them if `axis` is None), times a constant number."""

    def __init__(self, axis=None, keepdims=False, factor=1):
        self.axis, self.keepdims, self.factor = axis, keepdims, factor

    @staticmethod
    def samples(rng):
        yield normal(rng, (2, 3, 4))
        yield normal(rng, (2, 3, 4), axis=1, factor=2)
        yield normal(rng, (2, 3, 4), axis=(0, -1), keepdims=True)
        yield normal(rng, (2, 3, 4), axis=())

    def forward(self, xp, x):
        axes, wide = axis_tuple(self.axis, x.ndim), widened(x)
        self.shape = x.shape
        self.kept = [1 if a in axes else length for a, length in enumerate(x.shape)]
        y = wide.sum(axis=axes, keepdims=self.keepdims) * self.factor
        return y if wide is x else y.astype(x.dtype)

    def backward(self, xp, g):
        share = (g * self.factor).reshape(self.kept)
        return (xp.broadcast_to(share, self.shape).copy(),)


class Max(Op):
    """Maximum along one axis; of equal maxima the first takes the gradient, as in torch."""

    def __init__(self, axis, keepdims=False):
        self.axis, self.keepdims = axis, keepdims

    @staticmethod
    def samples(rng):
        yield Sample((distinct(rng, 2, 3, 4),), {"axis": 1}, analytic=False)
        yield Sample((distinct(rng, 6),), {"axis": -1, "keepdims": True}, analytic=False)

    def forward(self, xp, x):
        check_not_empty("max", x.shape, axis_tuple(self.axis, x.ndim))
        self.shape = x.shape
        self.first = xp.expand_dims(x.argmax(axis=self.axis), self.axis)
        return x.max(axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, g.dtype)
        xp.put_along_axis(dx, self.first, g.reshape(self.first.shape), axis=self.axis)
        return (dx,)


def sum(x, axis=None, keepdims=False):
    """Sum over the axis, the axes, or everything."""
    return apply(Sum(axis, keepdims), x)


def mean(x, axis=None, keepdims=False):
    """Mean over the axis, the axes, or everything."""
    if x.dtype.kind not in "fc":
        raise TypeError(f"mean of {x.dtype}: it is no whole number; make a Tensor of array.astype('float32')")
    axes = axis_tuple(axis, x.ndim)
    check_not_empty("mean", x.shape, axes)
    count = math.prod(x.shape[a] for a in axes)
    return apply(Sum(axis, keepdims, 1 / count), x)


def max(x, axis=None, keepdims=False):
    """Maximum along one axis, or of everything."""
    if axis is not None:
        return apply(Max(axis, keepdims), x)
    largest = apply(Max(0), x.reshape(-1))
    return largest.reshape((1,) * x.ndim) if keepdims else largest
