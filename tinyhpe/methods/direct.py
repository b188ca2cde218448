"""Direct regression: the mean squared error of the three angles, and nothing else."""

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.methods.base import ANGLE_UNIT, Method
from tinyhpe.pose.metrics import ANGLES


def regression_loss(outputs, poses):
    """Mean squared error of each angle, in units of 30 degrees squared."""
    targets = array_module(outputs.data).asarray(poses / ANGLE_UNIT)
    return {angle: ops.mse(outputs[:, i], targets[:, i]) for i, angle in enumerate(ANGLES)}


class Direct(Method):
    """Three outputs are the three angles."""

    def loss(self, stage, images, poses):
        return regression_loss(self(images), poses)

    def decode(self, outputs):
        return outputs * ANGLE_UNIT
