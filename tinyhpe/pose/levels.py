"""Rank levels of 3 degrees, how often each occurs in 300W-LP, and poses drawn like that."""

from __future__ import annotations

import numpy as np

from tinyhpe.backend import array_module, plain_array
from tinyhpe.errors import InputError

LEVEL_DEGREES = 3
RANGE_DEGREES = 99
LEVELS = 2 * RANGE_DEGREES // LEVEL_DEGREES


def _counts(text: str) -> np.ndarray:
    counts = np.array(text.split(), dtype=np.int64)
    counts.flags.writeable = False
    return counts


# Fig. 4 of the paper: images of 300W-LP per bin of 3 degrees. The first of the 68 bins holds the angles below -99
# degrees and the last those from 99 degrees on; between them lie the 66 levels.
W300LP_YAW = _counts(
    "0 0 0 0 2063 2417 2297 2269 2412 2159 2395 2287 2267 2408 2164 2389 2284 2262 2413 2161 2365 2259 2203 2323 "
    "2005 2136 1976 1816 1849 1423 1451 1154 827 793 779 821 1172 1430 1434 1854 1793 1993 2116 2018 2329 2181 "
    "2283 2339 2180 2407 2253 2309 2358 2183 2410 2255 2309 2359 2182 2413 2257 2326 2390 2090 0 0 0 0"
)
W300LP_PITCH = _counts(
    "31 7 5 11 8 15 13 28 26 26 32 35 41 43 76 78 86 133 238 313 488 746 1050 1624 2435 3352 4939 6875 9653 12977 "
    "14733 15411 12214 10293 8015 5518 3566 2356 1518 960 717 484 317 295 191 134 99 63 35 38 33 11 21 8 13 2 1 2 "
    "2 0 1 2 5 1 1 2 2 2"
)
W300LP_ROLL = _counts(
    "8 1 2 5 6 12 8 9 7 12 16 26 26 27 28 32 37 44 62 58 108 146 200 356 571 989 1539 2228 3226 4584 6831 9609 "
    "13075 17651 17378 12524 9732 6634 4672 3243 2196 1594 1007 594 349 229 148 133 75 64 62 54 28 25 30 18 25 18 "
    "15 10 12 8 8 5 9 3 2 7"
)


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


def sample_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Poses (count, 3), degrees of yaw, pitch and roll, distributed as in 300W-LP.

    Each angle on its own: a level with the chance of its bin in Fig. 4, then a place inside it, all alike.
    """
    columns = []
    for histogram in (W300LP_YAW, W300LP_PITCH, W300LP_ROLL):
        chances = histogram[1:-1] / histogram[1:-1].sum()
        level = rng.choice(LEVELS, size=count, p=chances)
        columns.append(level_to_angle(level + rng.random(count)))
    return np.stack(columns, axis=1)


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
