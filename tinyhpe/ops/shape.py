"""Ops that move values without changing them: reshape, transpose, index, concatenate."""

import numpy as np

from tinyhpe.backend import plain_array
from tinyhpe.ops.reduce import widened
from tinyhpe.ops.samples import normal
from tinyhpe.tensor import Op, Tensor, apply, as_tensor


class Reshape(Op):
    """The same values, in row-major order, in another shape."""

    def __init__(self, shape):
        self.shape = shape

    @staticmethod
    def samples(rng):
        yield normal(rng, (2, 6), shape=(3, -1, 2))

    def forward(self, xp, x):
        self.before = x.shape
        return x.reshape(self.shape)

    def backward(self, xp, g):
        return (g.reshape(self.before),)


class Transpose(Op):
    """Axes in another order, as numpy.transpose."""

    def __init__(self, axes):
        self.axes = axes

    @staticmethod
    def samples(rng):
        yield normal(rng, (2, 3, 4), axes=(2, 0, 1))
        yield normal(rng, (2, 2, 2), axes=(-1, 0, 1))

    def forward(self, xp, x):
        return x.transpose(self.axes)

    def backward(self, xp, g):
        axes = [axis % g.ndim for axis in self.axes]
        return (g.transpose(np.argsort(axes).tolist()),)


class Index(Op):
    """x[index]: integers, slices, None, Ellipsis, integer arrays, boolean masks."""

    def __init__(self, index):
        self.index = index

    @staticmethod
    def samples(rng):
        rows, columns = np.array([0, 1, 1]), np.array([4, 2, 2])
        for index in 1, np.s_[:, :4:2], np.s_[None, ..., 2], columns // 2, (rows, columns):
            yield normal(rng, (3, 5), index=index)

    def forward(self, xp, x):
        self.shape = x.shape
        return x[self.index]

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, widened(g).dtype)
        xp.add.at(dx, self.index, g)  # an element that was picked twice gets both gradients
        return (dx.astype(g.dtype, copy=False),)


class Concatenate(Op):
    """Several arrays joined along an existing axis."""

    def __init__(self, axis=0):
        self.axis = axis

    @staticmethod
    def samples(rng):
        yield normal(rng, (2, 3), (2, 1), (2, 2), axis=1)

    def forward(self, xp, *arrays):
        lengths = [array.shape[self.axis] for array in arrays]
        self.ends = np.cumsum(lengths)[:-1].tolist()
        return xp.concatenate(arrays, axis=self.axis)

    def backward(self, xp, g):
        return tuple(xp.split(g, self.ends, axis=self.axis))


def reshape(x, *shape):
    """The same values in another shape, given as a tuple or as numbers; one length may be -1."""
    return apply(Reshape(one_tuple(shape)), x)


def transpose(x, *axes):
    """Axes in another order, given as a tuple or as numbers; reversed if none is given."""
    return apply(Transpose(one_tuple(axes) or tuple(range(x.ndim))[::-1]), x)


def one_tuple(numbers):
    """(2, 3) for the arguments 2, 3 and for the one argument (2, 3)."""
    first = numbers[0] if len(numbers) == 1 else numbers
    return numbers if isinstance(first, int) else tuple(first)


def index(x, key):
    """x[key]; lists and tensors in the key count as arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    return apply(Index(tuple(map(as_index, parts))), x)


def as_index(part):
    """A part of an index: lists and constant tensors as arrays, slices and the like as they are."""
    part = part.data if isinstance(part, Tensor) else np.array(part) if isinstance(part, list) else part
    return plain_array(part) if hasattr(part, "dtype") else part


def concatenate(tensors, axis=0):
    """Join tensors along an existing axis."""
    return apply(Concatenate(axis), *tensors)


def stack(tensors, axis=0):
    """Join tensors of one shape along a new axis."""
    tensors = [as_tensor(tensor, tensors) for tensor in tensors]
    shapes = [np.expand_dims(np.broadcast_to(0, tensor.shape), axis).shape for tensor in tensors]
    return concatenate([tensor.reshape(shape) for tensor, shape in zip(tensors, shapes, strict=True)], axis)
