"""The paper's method with another target: not three angles but the rotation itself.

Near yaw 90 a head that hardly moves has angles that jump (gimbal lock, see pose/sampling.py). A network is a
continuous function and cannot jump, and its squared error punishes it for every jump of the label. No three
numbers are free of this: Zhou et al. (2019, "On the Continuity of Rotation Representations in Neural Networks")
show that it takes five or more. The rotation matrix has nine, all continuous: its columns are the head's three
axes as the camera sees them. Hempel et al. (2022, "6D Rotation Representation for Unconstrained Head Pose
Estimation", 6DRepNet) learn two of the columns for heads.

All else but one thing stays the paper's: the entries of the matrix are ranked in levels over all pairs of a batch,
an affine fit maps each score to its entry, and fine-tuning corrects them, though by their absolute errors: squares
would let the few heads that a small network cannot read rule over the many that it can. What the network answers
then is near a rotation matrix, but none; decoding takes the rotation that is nearest.
"""

import numpy as np

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.methods.siamese import Siamese
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler

LEVEL = 0.05  # of an entry: 3 degrees, in radians, as far as an axis moves in them


class SiameseRotation(Siamese):
    """Nine outputs: the entries of the rotation matrix, row by row. Losses are those of its columns."""

    outputs = 9
    parts = ("x", "y", "z")  # the head's axes

    def loss(self, stage, images, poses):
        return super().loss(stage, images, poses).reshape((3, 3)).mean(axis=0)

    def regression_loss(self, outputs, targets):
        return ops.absolute(outputs - targets).mean(axis=0)

    def targets(self, poses):
        return euler_to_matrix(poses).reshape(-1, 9)

    def levels(self, poses):
        return array_module(poses).floor(self.targets(poses) / LEVEL)

    def decode(self, outputs):
        matrices = outputs.reshape(-1, 3, 3).astype(float)
        poses = np.full((len(matrices), 3), np.nan)  # where damaged weights gave no numbers, which the SVD refuses
        sound = np.isfinite(outputs).all(axis=1)
        poses[sound] = matrix_to_euler(nearest_rotation(matrices[sound]))
        return poses


def nearest_rotation(matrices):
    """The rotation matrices (n, 3, 3) nearest to any matrices, in the sum of squared differences.

    With M = U S V^T it is U diag(1, 1, det(U V^T)) V^T (Levinson et al., 2020, "An Analysis of SVD for Deep
    Rotation Estimation"): the last sign rules out a reflection.
    """
    u, _, vt = np.linalg.svd(matrices)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt
