"""Head rotations as unit quaternions (w, x, y, z): the rotation by an angle a about the unit axis u is
(cos(a/2), sin(a/2) u). q and -q are the same rotation."""

from __future__ import annotations

import numpy as np

from tinyhpe.backend import array_module
from tinyhpe.pose.angles import as_floats


def euler_to_quaternion(pose: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) with w >= 0 of poses (..., 3): yaw, pitch, roll in degrees.

    The product of the three quaternions of Rx(pitch) Ry(yaw) Rz(roll), see pose/angles.py, whose matrices turn the
    other way round than those of the textbooks: so the sines have a minus. Poses on a GPU stay there.
    """
    half = as_floats(pose) / -2
    xp = array_module(half)
    yaw, pitch, roll = xp.moveaxis(xp.deg2rad(half), -1, 0)
    (cy, cp, cr), (sy, sp, sr) = ([part(angle) for angle in (yaw, pitch, roll)] for part in (xp.cos, xp.sin))
    quaternion = xp.stack(
        [
            cp * cy * cr - sp * sy * sr,
            sp * cy * cr + cp * sy * sr,
            cp * sy * cr - sp * cy * sr,
            cp * cy * sr + sp * sy * cr,
        ],
        axis=-1,
    )
    return xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def quaternion_to_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) of any length and sign; NaN if the length is 0."""
    quaternion = as_floats(quaternion)
    unit = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return np.moveaxis(scaled_rotation(*np.moveaxis(unit, -1, 0)), (0, 1), (-2, -1))


def scaled_rotation(w, x, y, z) -> np.ndarray:
    """The matrices (3, 3, ...) of a quaternion's rotation times its squared length, from numbers or arrays."""
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )
