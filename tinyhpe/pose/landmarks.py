"""The 68 landmarks of a face in iBUG's order, and the rotation that one sees from where they are.

 0-16  contour, from the ear on the image's left over the chin (8) to the ear on its right
17-26  brows, left to right        27-35  nose: ridge down to the tip (30), then the nostrils, left to right
36-47  eyes, six points each       48-67  lips: outside (48 to 59), inside, both round from the corner on the left
"""

from __future__ import annotations

import numpy as np

from tinyhpe.pose.angles import euler_to_matrix
from tinyhpe.pose.quaternions import quaternion_to_matrix, scaled_rotation

# of landmark i in the mirrored image: which landmark of the image it was
CONTOUR_AND_BROWS = [*range(16, -1, -1), *range(26, 16, -1)]
NOSE_AND_EYES = [27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
LIPS = [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
MIRROR = np.array(CONTOUR_AND_BROWS + NOSE_AND_EYES + LIPS)
TWELVE = np.array([8, 17, 26, 27, 30, 33, 36, 39, 42, 45, 48, 54])  # that move little when the face does
OUTLIER = 0.1  # of the landmarks' spread: a misplaced landmark beyond pulls with constant force
PROFILE = 60.0  # yaw in degrees of two of the starts


def fit_rotations(landmarks, head):
    """Rotation matrices (n, 3, 3), what fit_rotation gives for each of landmarks (n, K, 2)."""
    return np.array([fit_rotation(points, head) for points in landmarks]).reshape(-1, 3, 3)


def fit_rotation(landmarks, head):
    """The rotation matrix (3, 3) of a head that is seen, in weak perspective, with its landmarks at these places.

    Weak perspective: all points of the head are about as far from the camera, so that the image is the rotated
    head without its z, times a scale, moved. The misfit has several minima (a flat face looks the same when it is
    turned to the one side and to the other): so least squares are begun from several rotations, and the best of
    the results is taken. The starts: what a linear fit gives, this with near and far exchanged, two profiles.

    Args:
        landmarks: (K, 2), x and y (down), in any unit. head: (K, 3) the same points of the head at pose zero.

    Returns:
        the matrix; full of NaN if a landmark is none, or all are at one place
    """
    from scipy.optimize import leastsq  # here, since they take a third of a second
    from scipy.spatial.transform import Rotation

    seen = (landmarks - landmarks.mean(axis=0)) * (1.0, -1.0)
    spread = seen.std()
    if not np.isfinite(spread) or spread == 0:
        return np.full((3, 3), np.nan)
    seen, head = seen / spread, head - head.mean(axis=0)

    def misfit(parameters):
        """Distances from the points that a quaternion, whose squared length is the scale, and a move give."""
        points = head @ scaled_rotation(*parameters[:4].tolist())[:2].T + parameters[4:]
        return soft((points - seen).ravel() / OUTLIER)

    results = []
    for start in starts(seen, head):
        quaternion = np.roll(Rotation.from_matrix(start).as_quat(), 1) / np.sqrt(head.std())  # SciPy has w last
        fit = leastsq(misfit, [*quaternion, 0, 0], full_output=True)  # or it warns of starts that lead nowhere
        results.append(fit[0])
    best = min(results, key=lambda parameters: (misfit(parameters) ** 2).sum())
    return quaternion_to_matrix(best[:4])


def starts(seen, head):
    """Rotations (3, 3) to begin a fit from; seen (K, 2) with y up and head (K, 3), both about their means."""
    linear, *_ = np.linalg.lstsq(head, seen, rcond=None)
    u, _, vt = np.linalg.svd(linear.T, full_matrices=False)
    x, y = u @ vt  # orthogonal and of length 1, unlike the rows of the linear fit
    rotation, reverse = np.stack([x, y, np.cross(x, y)]), np.diag([1.0, 1.0, -1.0])
    profiles = euler_to_matrix([[PROFILE, 0, 0], [-PROFILE, 0, 0]])
    return [rotation, reverse @ rotation @ reverse, *profiles]


def soft(distances):
    """Numbers whose squares are 2 (sqrt(1 + d^2) - 1): d^2 where d is small, but |2 d| where it is large."""
    return distances * np.sqrt(2 / (1 + np.sqrt(1 + distances**2)))
