"""Direct regression: the mean squared error of the three angles, and nothing else."""

from tinyhpe import ops
from tinyhpe.methods.base import ANGLE_UNIT, Method


def regression_loss(outputs, poses):
    """Mean squared error of each angle (3,), in units of 30 degrees squared."""
    return ops.mse(outputs, poses / ANGLE_UNIT, axis=0)


class Direct(Method):
    """Three outputs are the three angles."""

    def loss(self, stage, images, poses):
        return regression_loss(self(images), poses)

    def decode(self, outputs):
        return outputs * ANGLE_UNIT
