"""HopeNet (Ruiz, Chong, Rehg, 2018): classify each angle into 66 levels, and regress the expectation."""

import numpy as np

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.methods.base import Method
from tinyhpe.pose.levels import LEVEL_DEGREES, LEVELS, angle_to_level, level_to_angle
from tinyhpe.pose.metrics import ANGLES


class HopeNet(Method):
    """66 logits for each angle; the answer is the mean of the level angles under their softmax."""

    outputs = len(ANGLES) * LEVELS
    alpha = 0.001  # weight of the squared error in degrees, the default of the authors' code

    def loss(self, stage, images, poses):
        logits = self(images).reshape((-1, len(ANGLES), LEVELS))
        cross_entropy = ops.cross_entropy(logits, angle_to_level(poses), axis=0)
        centres = level_centres(array_module(poses)).astype(logits.dtype)
        expected = (ops.softmax(logits) * centres).sum(axis=-1)
        return cross_entropy + self.alpha * ops.mse(expected, poses, axis=0)

    def decode(self, outputs):
        logits = outputs.reshape(-1, len(ANGLES), LEVELS).astype(float)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return (weights @ level_centres()) / weights.sum(axis=-1)


class HopeNet1(HopeNet):
    """Its paper's first setting."""

    alpha = 1.0


class HopeNet2(HopeNet):
    """Its paper's second setting, from which Gao and Wang quote the figures."""

    alpha = 2.0


def level_centres(xp=np):
    """The angle in the middle of each level: -97.5, -94.5, ... (the authors' code takes the lower edge)."""
    return level_to_angle(xp.arange(LEVELS)) + LEVEL_DEGREES / 2
