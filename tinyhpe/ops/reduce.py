"""Ops that reduce axes: sum, mean, maximum, Euclidean norm."""

import math

import numpy as np

from tinyhpe.tensor import Op, Sample, apply


def widened(x):
    """x as float32 if it is float16: so narrow a sum overflows beyond 65504, and loses what is small beside it."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


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
        for axis, keepdims, factor in [(None, False, 1), (1, False, 2), ((0, -1), True, 1), ((), False, 1)]:
            settings = {"axis": axis, "keepdims": keepdims, "factor": factor}
            yield Sample((rng.normal(size=(2, 3, 4)),), settings)

    def forward(self, xp, x):
        self.shape, axes = x.shape, axis_tuple(self.axis, x.ndim)
        self.kept = tuple(1 if a in axes else length for a, length in enumerate(x.shape))
        wide = widened(x)
        y = wide.sum(axis=axes, keepdims=self.keepdims) * self.factor
        return y if wide is x else y.astype(x.dtype)

    def backward(self, xp, g):
        return (xp.broadcast_to((g * self.factor).reshape(self.kept), self.shape).copy(),)


class Max(Op):
    """Maximum along one axis; of equal maxima the first takes the gradient, as in torch."""

    def __init__(self, axis, keepdims=False):
        self.axis, self.keepdims = axis, keepdims

    @staticmethod
    def samples(rng):
        for shape, axis, keepdims in [((2, 3, 4), 1, False), ((6,), -1, False), ((3, 4), 0, True)]:
            x = rng.permutation(np.arange(float(math.prod(shape)))).reshape(shape)
            yield Sample((x,), {"axis": axis, "keepdims": keepdims}, analytic=False)

    def forward(self, xp, x):
        check_not_empty("max", x.shape, axis_tuple(self.axis, x.ndim))
        self.shape, self.first = x.shape, xp.expand_dims(x.argmax(axis=self.axis), self.axis)
        return x.max(axis=self.axis, keepdims=self.keepdims)

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, g.dtype)
        xp.put_along_axis(dx, self.first, g.reshape(self.first.shape), axis=self.axis)
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
        wide = widened(x)
        largest = xp.abs(wide).max(axis=self.axis, keepdims=True)
        largest[largest == 0] = 1
        y = largest * xp.sqrt(((wide / largest) ** 2).sum(axis=self.axis, keepdims=True))
        self.direction = (wide / xp.where(y == 0, 1, y)).astype(x.dtype)
        return y.squeeze(self.axis).astype(x.dtype)

    def backward(self, xp, g):
        return (xp.expand_dims(g, self.axis) * self.direction,)


def sum(x, axis=None, keepdims=False):
    """Sum over the axis, the axes, or everything."""
    return apply(Sum(axis, keepdims), x)


def mean(x, axis=None, keepdims=False):
    """Mean over the axis, the axes, or everything."""
    if x.dtype.kind not in "fc":
        raise TypeError(f"mean of {x.dtype}: it is no whole number; make a Tensor of array.astype('float32')")
    axes = axis_tuple(axis, x.ndim)
    check_not_empty("mean", x.shape, axes)
    return apply(Sum(axis, keepdims, 1 / math.prod(x.shape[a] for a in axes)), x)


def max(x, axis=None, keepdims=False):
    """Maximum along one axis, or of everything."""
    if axis is not None:
        return apply(Max(axis, keepdims), x)
    largest = apply(Max(0), x.reshape(-1))
    return largest.reshape((1,) * x.ndim) if keepdims else largest


def vector_norm(x, axis):
    """Euclidean norm along one axis."""
    return apply(VectorNorm(axis), x)
