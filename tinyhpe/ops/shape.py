"""Ops that move values without changing them: reshape, transpose, index, concatenate."""

import numpy as np

from tinyhpe.tensor import Op, Sample, Tensor, apply, as_tensor


class Reshape(Op):
    """The same values, in row-major order, in another shape."""

    def __init__(self, shape):
        self.shape = shape

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(2, 6)),), {"shape": (3, -1, 2)})

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
        yield Sample((rng.normal(size=(2, 3, 4)),), {"axes": (2, 0, 1)})
        yield Sample((rng.normal(size=(2, 2, 2)),), {"axes": (-1, 0, 1)})

    def forward(self, xp, x):
        return x.transpose(self.axes)

    def backward(self, xp, g):
        return (g.transpose(np.argsort([axis % g.ndim for axis in self.axes]).tolist()),)


class Index(Op):
    """x[index]: integers, slices, None, Ellipsis, integer arrays, boolean masks."""

    def __init__(self, index):
        self.index = index

    @staticmethod
    def samples(rng):
        for index in [1, (slice(None), slice(0, 4, 2)), (None, Ellipsis, 2), np.array([0, 2, 2])]:
            yield Sample((rng.normal(size=(3, 5)),), {"index": index})
        yield Sample((rng.normal(size=(3, 5)),), {"index": (np.array([0, 1, 1]), np.array([4, 2, 2]))})

    def forward(self, xp, x):
        self.shape = x.shape
        return x[self.index]

    def backward(self, xp, g):
        dx = xp.zeros(self.shape, g.dtype)
        xp.add.at(dx, self.index, g)  # an element that was picked twice gets both gradients
        return (dx,)


class Concatenate(Op):
    """Several arrays joined along an existing axis."""

    def __init__(self, axis=0):
        self.axis = axis

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(2, 3)), rng.normal(size=(2, 1)), rng.normal(size=(2, 2))), {"axis": 1})

    def forward(self, xp, *arrays):
        self.ends = np.cumsum([array.shape[self.axis] for array in arrays])[:-1].tolist()
        return xp.concatenate(arrays, axis=self.axis)

    def backward(self, xp, g):
        return tuple(xp.split(g, self.ends, axis=self.axis))


def reshape(x, *shape):
    """The same values in another shape, given as a tuple or as numbers; one length may be -1."""
    return apply(Reshape(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape), x)


def transpose(x, *axes):
    """Axes in another order, given as a tuple or as numbers; reversed if none is given."""
    axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return apply(Transpose(tuple(axes or range(x.ndim)[::-1])), x)


def index(x, key):
    """x[key]; lists and tensors in the key count as arrays."""
    parts = [as_index(part) for part in key] if isinstance(key, tuple) else [as_index(key)]
    return apply(Index(tuple(parts)), x)


def as_index(part):
    """A part of an index: lists and constant tensors as arrays, all else as it is."""
    if isinstance(part, Tensor):
        return part.data
    return np.array(part) if isinstance(part, list) else part


def concatenate(tensors, axis=0):
    """Join tensors along an existing axis."""
    return apply(Concatenate(axis), *tensors)


def stack(tensors, axis=0):
    """Join tensors of one shape along a new axis."""
    tensors = [as_tensor(tensor, tensors) for tensor in tensors]
    axis = axis % (tensors[0].ndim + 1)
    before, after = tensors[0].shape[:axis], tensors[0].shape[axis:]
    return concatenate([tensor.reshape(*before, 1, *after) for tensor in tensors], axis)
