"""QuatNet (Hsu, Wu, Wan, Wong, Lee, 2018): regress a quaternion, and rank the Euler angles beside it.

The pose is read from a unit quaternion, which has no gimbal lock. Its squared error alone teaches poor features,
so the same features must also tell, for each Euler angle and each limit between two levels, whether the angle is
above it: ordinal regression (Niu et al., 2016, "Ordinal Regression With Multiple Output CNN for Age Estimation").
The sum of both is the multi-regression loss. When predicting, only the quaternion is looked at.

What the paper leaves open, or we chose:
sign     q and -q are one rotation: the labels have w >= 0, which is continuous but for turns by 180 degrees.
norm     the network's four numbers are divided by their length, in the loss as in decoding.
levels   those of 3 degrees that all our methods share; the weights of the two losses are ours, too.
"""

import numpy as np

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.methods.base import Method
from tinyhpe.pose.angles import matrix_to_euler
from tinyhpe.pose.levels import LEVELS, angle_to_level
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.pose.quaternions import euler_to_quaternion, quaternion_to_matrix

LIMITS = LEVELS - 1  # between the levels of an angle
QUATERNION_WEIGHT = 2.0  # of its squared error; from 0.5 to 10 it made little difference, 100 was worse
SHORTEST = 1e-6  # squared length that is no longer divided by


class QuatNet(Method):
    """Four numbers of the quaternion, and for each angle a logit for each limit: is the angle above it?"""

    outputs = 4 + len(ANGLES) * LIMITS
    parts = ("quaternion", *ANGLES)

    def loss(self, stage, images, poses):
        outputs = self(images)
        quaternion, logits = outputs[:, :4], outputs[:, 4:].reshape((-1, len(ANGLES), LIMITS))
        unit = quaternion / ops.sqrt((quaternion**2).sum(axis=1, keepdims=True) + SHORTEST)
        distance = ops.mse(unit, euler_to_quaternion(poses)).reshape((1,))
        limits = array_module(poses).arange(LIMITS)
        above = angle_to_level(poses)[:, :, None] > limits
        ordinal = ops.bce_with_logits(logits, above, axis=(0, 2))
        return ops.concatenate([QUATERNION_WEIGHT * distance, ordinal])

    def decode(self, outputs):
        return matrix_to_euler(quaternion_to_matrix(outputs[:, :4].astype(np.float64)))
