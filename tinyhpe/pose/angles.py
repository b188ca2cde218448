"""Head rotations: Euler angles in degrees, rotation matrices, and the angle between two rotations.

Axes of the head and of the camera: x to the image's right, y up, z towards the camera. A vector v of the head
lies at R v in the camera's frame. Signs, as they are seen in the image:

    yaw   > 0   the nose points to the image's left
    pitch > 0   the head looks up
    roll  > 0   the head leans clockwise (the right end of the line through the eyes is lower)

R = Rx(pitch) Ry(yaw) Rz(roll) is the convention of 3DDFA, and so of 300W-LP and AFLW2000. Reading it from the
right: the head is first rolled about its own axis of sight, then turned, and last tipped up or down.
"""

from __future__ import annotations

import numpy as np

from tinyhpe.backend import array_module, plain_array


def as_floats(values) -> np.ndarray:
    """Numbers of any kind (lists, integers, float16) as an array to compute with: float64, or float32 if they are.

    Raises TypeError for what is no array of numbers.
    """
    array = plain_array(values, np.float64)
    return array if array.dtype == np.float32 else array.astype(np.float64)


def euler_to_matrix(pose: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of poses (..., 3): yaw, pitch, roll in degrees.

    R = Rx(pitch) Ry(yaw) Rz(roll) with

        Rx = | 1  0  0 |    Ry = | c  0 -s |    Rz = | c  s  0 |
             | 0  c  s |         | 0  1  0 |         |-s  c  0 |
             | 0 -s  c |         | s  0  c |         | 0  0  1 |

    multiplied out by hand, c and s being the angle's cosine and sine. Poses on a GPU stay there.
    """
    pose = as_floats(pose)
    xp = array_module(pose)
    radians = xp.deg2rad(pose)
    cos_yaw, cos_pitch, cos_roll = xp.moveaxis(xp.cos(radians), -1, 0)
    sin_yaw, sin_pitch, sin_roll = xp.moveaxis(xp.sin(radians), -1, 0)
    rows = [
        [cos_yaw * cos_roll, cos_yaw * sin_roll, -sin_yaw],
        [
            sin_pitch * sin_yaw * cos_roll - cos_pitch * sin_roll,
            sin_pitch * sin_yaw * sin_roll + cos_pitch * cos_roll,
            sin_pitch * cos_yaw,
        ],
        [
            cos_pitch * sin_yaw * cos_roll + sin_pitch * sin_roll,
            cos_pitch * sin_yaw * sin_roll - sin_pitch * cos_roll,
            cos_pitch * cos_yaw,
        ],
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_euler(matrix: np.ndarray) -> np.ndarray:
    """Poses (..., 3), degrees, of rotation matrices (..., 3, 3): the inverse of `euler_to_matrix`.

    yaw is within [-90, 90], pitch and roll within [-180, 180]. The same rotation can also be written with yaw
    beyond 90 degrees; this returns the writing with the smaller yaw. At yaw = +-90 exactly, only a sum or a
    difference of pitch and roll is determined (gimbal lock): it is right, each alone is one of many.

    No digit of the matrix is lost on the way, also near +-90. yaw is the arc tangent of sine and cosine, since the
    arc sine alone is flat there. And roll is not read from the first row, which vanishes there, but from
    Rx(pitch)^T R = Ry Rz, whose middle row is (-sin roll, cos roll, 0): it makes up for any error of pitch.
    """
    top, middle, bottom = np.moveaxis(as_floats(matrix), -2, 0)
    yaw = np.arctan2(-top[..., 2], np.hypot(top[..., 0], top[..., 1]))
    pitch = np.arctan2(middle[..., 2], bottom[..., 2])
    level = np.cos(pitch)[..., None] * middle - np.sin(pitch)[..., None] * bottom
    roll = np.arctan2(-level[..., 0], level[..., 1])
    return np.rad2deg(np.stack([yaw, pitch, roll], axis=-1))


def view_to_matrix(view: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of views (..., 3): turn, elevation and tilt in degrees, as photos come about.

    The head is turned about its neck, then seen from below (elevation > 0: it looks up) or from above, and last
    the image is tilted: R = Rz(tilt) Rx(elevation) Ry(turn), with the signs of roll, pitch and yaw. Unlike yaw,
    pitch and roll, these angles have no trouble with profiles; theirs would come where one looks at the crown.
    """
    turn, elevation, tilt = np.moveaxis(as_floats(view), -1, 0)
    level = np.zeros_like(tilt)
    tilted = euler_to_matrix(np.stack([level, level, tilt], axis=-1))
    return tilted @ euler_to_matrix(np.stack([turn, elevation, level], axis=-1))


def matrix_to_view(matrix: np.ndarray) -> np.ndarray:
    """Views (..., 3) in degrees of rotation matrices (..., 3, 3): the inverse of `view_to_matrix`.

    The elevation is within [-90, 90]. The head's axis y ends at (sin tilt, cos tilt) cos(elevation) in the image,
    and the last row is (sin turn cos elevation, -sin elevation, cos turn cos elevation).
    """
    top, middle, bottom = np.moveaxis(as_floats(matrix), -2, 0)
    turn = np.arctan2(bottom[..., 0], bottom[..., 2])
    elevation = np.arctan2(-bottom[..., 1], np.hypot(top[..., 1], middle[..., 1]))
    tilt = np.arctan2(top[..., 1], middle[..., 1])
    return np.rad2deg(np.stack([turn, elevation, tilt], axis=-1))


def geodesic(pose_a: np.ndarray, pose_b: np.ndarray) -> np.ndarray:
    """Angle in degrees (...) of the one rotation that takes pose_a to pose_b, both (..., 3) in degrees.

    Unlike the differences of the Euler angles it has no trouble with gimbal lock. With D = A^T B the usual
    formula is acos((trace D - 1) / 2), whose slope is infinite at 0 and at 180 degrees, so angles near those
    lose half of their digits. The arc tangent of sine and cosine does not: trace D = 1 + 2 cos(angle), and
    |D - D^T|_F = 2 sqrt(2) sin(angle), both from Rodrigues' formula.
    """
    between = np.swapaxes(euler_to_matrix(pose_a), -1, -2) @ euler_to_matrix(pose_b)
    twice_skew = between - np.swapaxes(between, -1, -2)
    sine = np.sqrt((twice_skew**2).sum(axis=(-2, -1)) / 8)
    cosine = (np.trace(between, axis1=-2, axis2=-1) - 1) / 2
    return np.rad2deg(np.arctan2(sine, cosine))
