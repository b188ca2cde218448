"""Initial weights."""

import math

import numpy as np


def he_normal(rng, shape, fan):
    """Normal with variance 2 / fan, which keeps the variance through ReLU layers (He et al., 2015, eq. 10).

    Args:
        fan: the inputs (or outputs) that each output (or input) is connected to.
    """
    return rng.normal(0, math.sqrt(2 / fan), shape).astype(np.float32)


def uniform(rng, shape, fan_in):
    """Uniform in +-1/sqrt(fan_in), as torch's linear layers."""
    bound = 1 / math.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape).astype(np.float32)
