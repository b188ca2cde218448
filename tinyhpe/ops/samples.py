"""Inputs for the samples of ops."""

import math

from tinyhpe.tensor import Sample


def normal(rng, *shapes, analytic=True, **settings):
    """A Sample of normal numbers of these shapes."""
    inputs = tuple(rng.normal(size=shape) for shape in shapes)
    return Sample(inputs, settings, analytic)


def away_from_zero(rng, *shape):
    """Numbers of either sign, none near 0."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)


def distinct(rng, *shape):
    """Numbers no two of which are equal or nearly so."""
    return rng.permutation(math.prod(shape)).reshape(shape) / 10
