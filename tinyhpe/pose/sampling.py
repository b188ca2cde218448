"""Which poses to train on: as cameras meet heads, or as Fig. 4 of the paper counts the angles of 300W-LP.

Take a profile: the head turned by 80 degrees, its label yaw 80, pitch 0, roll 0. Now the person nods by 15
degrees, which in the image of a profile is a tilt by 15. The label jumps to yaw 72, pitch 56, roll 57, though the
head has hardly moved. In R = Rx(pitch) Ry(yaw) Rz(roll) a yaw near 90 lays the axis of roll onto that of pitch, so
that both do the same and no angle is left that tilts the image; a tilt must be made of a large pitch and a large
roll that undo most of each other. This is gimbal lock: labels jump where heads do not.

So the three angles belong together, and whoever draws each on its own, as Fig. 4 tempts one to do, gets profiles
that never nod: where the turn is beyond 75 degrees, pitch and roll are 12 and 8 degrees on average. In photos of
AFLW2000 they are 44 and 45, and 43 and 42 in `photographed_poses`, which draws turn, elevation and tilt each on
its own (see `view_to_matrix`) and reads 300W-LP's angles from the rotation. A network that learned from the former
has never seen the labels that it is asked for; `methods/rotation.py` does away with the jumps as well.
"""

from __future__ import annotations

import numpy as np

from tinyhpe.pose.angles import matrix_to_euler, view_to_matrix
from tinyhpe.pose.levels import LEVELS, RANGE_DEGREES, level_to_angle

ELEVATION, TILT = (-4, 11), (0, 9)  # mean and standard deviation in degrees
UNUSUAL, UNUSUAL_DEGREES = 0.05, 60  # chance of an elevation (or tilt) anywhere within so many degrees


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


def photographed_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Poses (count, 3), degrees of yaw, pitch and roll: heads as cameras see them, see above.

    The turn follows Fig. 4's yaw, elevation and tilt are normal, a twentieth of each anywhere within 60 degrees.
    Poses with an angle beyond 99 degrees have no rank level, and are drawn again.
    """
    poses = np.full((count, 3), np.inf)
    while len(open_places := np.flatnonzero(np.abs(poses).max(axis=1) > RANGE_DEGREES)):
        turn = _draw_from(W300LP_YAW, rng, len(open_places))
        elevation, tilt = (_camera_angles(*spread, rng, len(open_places)) for spread in (ELEVATION, TILT))
        poses[open_places] = matrix_to_euler(view_to_matrix(np.stack([turn, elevation, tilt], axis=1)))
    return poses


def _camera_angles(mean, deviation, rng, count):
    usual = rng.normal(mean, deviation, count)
    return np.where(rng.random(count) < UNUSUAL, rng.uniform(-UNUSUAL_DEGREES, UNUSUAL_DEGREES, count), usual)


def fig4_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Poses (count, 3), degrees of yaw, pitch and roll, each on its own distributed as in 300W-LP (Fig. 4)."""
    return np.stack([_draw_from(counts, rng, count) for counts in (W300LP_YAW, W300LP_PITCH, W300LP_ROLL)], axis=1)


def _draw_from(counts, rng, count):
    """Angles (count,), degrees: a level with the chance of its bin, then a place inside it, all alike."""
    level = rng.choice(LEVELS, size=count, p=counts[1:-1] / counts[1:-1].sum())
    return level_to_angle(level + rng.random(count))
