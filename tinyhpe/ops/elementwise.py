"""Ops that work on each element: arithmetic with broadcasting, exp, log, and the activations."""

import numpy as np

from tinyhpe.ops.reduce import widened
from tinyhpe.ops.samples import away_from_zero, normal
from tinyhpe.tensor import Op, Sample, apply


def unbroadcast(g, shape):
    """Sum a gradient over the axes along which an input of `shape` was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    stretched = [axis + extra for axis, length in enumerate(shape) if length == 1]
    total = widened(g).sum(axis=(*range(extra), *stretched), keepdims=True)
    return total.reshape(shape).astype(g.dtype)


def two_arrays(rng):
    """Samples for binary ops: equal shapes, and each way of broadcasting. The second is never near 0."""
    yield Sample((rng.normal(size=(2, 3)), away_from_zero(rng, 2, 3)))
    yield Sample((rng.normal(size=(2, 3, 4)), away_from_zero(rng, 3, 1)))
    yield Sample((rng.normal(size=(3,)), away_from_zero(rng, 2, 1)))
    yield Sample((rng.normal(size=()), away_from_zero(rng, 2)))


def anywhere(rng):
    """A sample for functions of any number."""
    yield normal(rng, (2, 3))


def both_sides_of_zero(rng):
    """A sample for functions with a kink at 0."""
    yield Sample((away_from_zero(rng, 3, 4),), analytic=False)


class Add(Op):
    """a + b."""

    samples = staticmethod(two_arrays)

    def forward(self, xp, a, b):
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, xp, g):
        return tuple(unbroadcast(g, shape) for shape in self.shapes)


class Subtract(Op):
    """a - b."""

    samples = staticmethod(two_arrays)

    def forward(self, xp, a, b):
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, xp, g):
        return unbroadcast(g, self.shapes[0]), unbroadcast(-g, self.shapes[1])


class Multiply(Op):
    """a * b."""

    samples = staticmethod(two_arrays)

    def forward(self, xp, a, b):
        self.a, self.b = a, b
        return a * b

    def backward(self, xp, g):
        return (
            unbroadcast(g * self.b, self.a.shape) if self.needs[0] else None,
            unbroadcast(g * self.a, self.b.shape) if self.needs[1] else None,
        )


class Divide(Op):
    """a / b, b nowhere 0."""

    samples = staticmethod(two_arrays)

    def forward(self, xp, a, b):
        self.a, self.b = a, b
        return a / b

    def backward(self, xp, g):
        return (
            unbroadcast(g / self.b, self.a.shape) if self.needs[0] else None,
            unbroadcast(-g * self.a / (self.b * self.b), self.b.shape) if self.needs[1] else None,
        )


class Power(Op):
    """x ** exponent, the exponent a constant number."""

    def __init__(self, exponent):
        self.exponent = exponent

    @staticmethod
    def samples(rng):
        for exponent in (2, 3, 0.5, -1.5, 0):
            yield Sample((rng.uniform(0.5, 2, (2, 3)),), {"exponent": exponent})

    def forward(self, xp, x):
        self.x = x
        return x**self.exponent

    def backward(self, xp, g):
        if self.exponent == 0:  # x ** -1 is infinite at 0, and 0 times that is no number
            return (xp.zeros_like(g),)
        return (g * self.exponent * self.x ** (self.exponent - 1),)


class Exp(Op):
    """e ** x."""

    samples = staticmethod(anywhere)

    def forward(self, xp, x):
        self.y = xp.exp(x)
        return self.y

    def backward(self, xp, g):
        return (g * self.y,)


class Log(Op):
    """Natural logarithm, x > 0."""

    @staticmethod
    def samples(rng):
        yield Sample((rng.uniform(0.5, 2, (2, 3)),))

    def forward(self, xp, x):
        self.x = x
        return xp.log(x)

    def backward(self, xp, g):
        return (g / self.x,)


class Absolute(Op):
    """|x|; the gradient at the kink x = 0 is 0."""

    samples = staticmethod(both_sides_of_zero)

    def forward(self, xp, x):
        self.sign = xp.sign(x)
        return xp.abs(x)

    def backward(self, xp, g):
        return (g * self.sign,)


def expit(xp, x):
    """1 / (1 + e^-x) of an array, to the last digits for any x: of the two forms the one that cannot overflow."""
    negative = x.real < 0
    e = xp.exp(xp.where(negative, x, -x))
    return xp.where(negative, e, 1) / (1 + e)


class Sigmoid(Op):
    """1 / (1 + e^-x)."""

    samples = staticmethod(anywhere)

    def forward(self, xp, x):
        self.x = x
        return expit(xp, x)

    def backward(self, xp, g):
        return (g * expit(xp, self.x) * expit(xp, -self.x),)


class Tanh(Op):
    """(e^x - e^-x) / (e^x + e^-x)."""

    samples = staticmethod(anywhere)

    def forward(self, xp, x):
        self.x = x
        return xp.tanh(x)

    def backward(self, xp, g):
        return (4 * g * expit(xp, 2 * self.x) * expit(xp, -2 * self.x),)


class ReLU(Op):
    """max(x, 0); the gradient at the kink x = 0 is 0."""

    samples = staticmethod(both_sides_of_zero)

    def forward(self, xp, x):
        self.mask = x > 0
        return xp.maximum(x, 0)

    def backward(self, xp, g):
        return (xp.where(self.mask, g, 0),)


def add(a, b):
    """a + b, with broadcasting."""
    return apply(Add(), a, b)


def subtract(a, b):
    """a - b, with broadcasting."""
    return apply(Subtract(), a, b)


def multiply(a, b):
    """a * b, with broadcasting."""
    return apply(Multiply(), a, b)


def divide(a, b):
    """a / b, with broadcasting."""
    return apply(Divide(), a, b)


def power(x, exponent):
    """x ** exponent for a constant number `exponent`."""
    if not np.isscalar(exponent):
        raise TypeError(
            f"power() takes a plain number as exponent, got {type(exponent).__name__}; "
            "for a tensor exponent write exp(exponent * log(x))"
        )
    return apply(Power(float(exponent)), x)


def sqrt(x):
    """Square root; its gradient at 0 is infinite."""
    return power(x, 0.5)


def exp(x):
    """e ** x."""
    return apply(Exp(), x)


def log(x):
    """Natural logarithm."""
    return apply(Log(), x)


def absolute(x):
    """|x|."""
    return apply(Absolute(), x)


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return apply(Sigmoid(), x)


def tanh(x):
    """Hyperbolic tangent."""
    return apply(Tanh(), x)


def relu(x):
    """max(x, 0)."""
    return apply(ReLU(), x)
