"""Rank levels of 3 degrees, and how to draw rare ones more often."""

from __future__ import annotations

import numpy as np

from tinyhpe.backend import array_module, plain_array
from tinyhpe.errors import InputError

LEVEL_DEGREES = 3
RANGE_DEGREES = 99
LEVELS = 2 * RANGE_DEGREES // LEVEL_DEGREES


def angle_to_level(angles) -> np.ndarray:
    """Levels 0 to 65 (int64) of angles in degrees, of any type and shape: level L holds [3 L - 99, 3 L - 96).

    99 degrees itself goes to the last level. Raises InputError for an angle beyond 99 degrees, or NaN: such
    labels have no level, and data sets leave those images out. (Angles on a GPU are not looked at: the CPU would
    wait for it.)
    """
    angles = plain_array(angles, np.float64).astype(np.float64)
    if array_module(angles) is np and (outside := ~(np.abs(angles) <= RANGE_DEGREES)).any():
        raise InputError(
            f"an angle of {angles[outside].flat[0]:g} degrees has no rank level; levels cover -{RANGE_DEGREES} to "
            f"{RANGE_DEGREES}; leave out images with labels beyond that"
        )
    levels = (angles + RANGE_DEGREES) // LEVEL_DEGREES
    return levels.astype(np.int64).clip(0, LEVELS - 1)


def level_to_angle(levels) -> np.ndarray:
    """Coarse angles in degrees (float64), level * 3 - 99: the lower end of each level, as the paper decodes it."""
    return plain_array(levels).astype(np.float64) * LEVEL_DEGREES - RANGE_DEGREES


def balanced_weights(poses: np.ndarray, most: float = 10.0) -> np.ndarray:
    """Chances (N,), summing to 1, with which to draw N images of `poses` (N, 3) so that rare poses come up more.

    An image gets the largest of its three angles' 1 / sqrt(images in this level), divided by that angle's mean.
    The square root flattens only half way: full balance would draw a handful of extreme heads over and over. The
    largest, not the product: an image rare in one angle is worth showing, and three moderate reasons are not
    one strong one. No image gets more than about `most` times the average.
    """
    levels = angle_to_level(poses)
    rarity = np.empty(levels.shape)
    for angle in range(levels.shape[1]):
        per_level = np.bincount(levels[:, angle], minlength=LEVELS)
        weight = 1 / np.sqrt(per_level[levels[:, angle]])
        rarity[:, angle] = weight / weight.mean()
    weights = rarity.max(axis=1)
    weights = np.minimum(weights / weights.mean(), most)
    return weights / weights.sum()
