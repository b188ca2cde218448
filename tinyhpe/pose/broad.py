"""Poses to test with: every range alike, and one axis at a time."""

import numpy as np

from tinyhpe.pose.angles import matrix_to_euler, view_to_matrix
from tinyhpe.pose.levels import RANGE_DEGREES

BROAD_VIEW = (90, 60, 60)  # turn, elevation and tilt: anywhere within so many degrees
SWEEP = 90  # the one angle of sweep_poses, likewise


def broad_poses(rng, count):
    """Poses (count, 3), degrees of yaw, pitch and roll: turn, elevation and tilt alike within BROAD_VIEW.

    Those with an angle beyond 99 degrees are drawn again.
    """
    poses = np.full((count, 3), np.inf)
    while len(open_places := np.flatnonzero(np.abs(poses).max(axis=1) > RANGE_DEGREES)):
        views = rng.uniform(-1, 1, (len(open_places), 3)) * BROAD_VIEW
        poses[open_places] = matrix_to_euler(view_to_matrix(views))
    return poses


def sweep_poses(axis, rng, count):
    """Poses (count, 3) of which one angle alone (0 yaw, 1 pitch, 2 roll) is not 0: there is no gimbal lock."""
    poses = np.zeros((count, 3))
    poses[:, axis] = rng.uniform(-SWEEP, SWEEP, count)
    return poses
