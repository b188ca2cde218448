"""Siamese ranking, then fine-tuning: Gao and Wang, "Head Pose Estimation with Siamese CNN" (2019), section 2.

Stage 1, ranking. Each angle is cut into levels of 3 degrees. The backbone runs once on each image and gives three
scores. The ensemble layer pairs all images of the batch, angle by angle; each pair is asked which of the two has
the higher level (ops/pairs.py). The scores come out in the order of the angles, on a scale of their own.

Between the stages an affine fit maps score to angle, and becomes part of the last layer.

Stage 2, fine-tuning: one branch, mean squared error of the angles.
"""

import functools

import numpy as np

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.methods.base import ANGLE_UNIT, Method
from tinyhpe.nn.module import Parameter
from tinyhpe.ops.losses import constant
from tinyhpe.ops.pairs import check_pairs
from tinyhpe.pose.levels import angle_to_level

FIT_IMAGES = 2048  # that the affine fit looks at


class Siamese(Method):
    """The paper's method with targets by order (1, 1/2, 0 for a level above, equal, below)."""

    stages = ("ranking", "fine-tuning")

    def loss(self, stage, images, poses):
        outputs = self(images)
        if stage == "fine-tuning":
            return self.regression_loss(outputs, self.targets(poses))
        return self.pair_loss(outputs, self.levels(poses))

    def regression_loss(self, outputs, targets):
        """How far the outputs are from the targets, (n, k) each: losses (k,)."""
        return ops.mse(outputs, targets, axis=0)

    def targets(self, poses):
        """What fine-tuning wants of the outputs."""
        return poses / ANGLE_UNIT

    def levels(self, poses):
        """What ranking compares, a column for each output."""
        return angle_to_level(poses)

    def pair_loss(self, scores, levels):
        """The ensemble layer: all pairs of a batch, column by column; scores and levels (n, k) to losses (k,)."""
        return ops.pairwise_order_loss(scores, levels)

    def begin_stage(self, stage, crops):
        if stage == "fine-tuning":
            every = max(1, len(crops.poses) // FIT_IMAGES)
            chosen = np.arange(0, len(crops.poses), every)
            self.fit_head(self.evaluate_network(crops.images[chosen]), crops.poses[chosen])

    def fit_head(self, scores, poses):
        """Put the least-squares line from score to target into the last layer: outputs become angles."""
        weight, bias, targets = self.backbone.fc.weight.data, self.backbone.fc.bias.data, self.targets(poses)
        for i in range(self.outputs):
            slope, intercept = np.polyfit(scores[:, i].astype(float), targets[:, i], 1)
            weight[:, i] *= slope
            bias[i] = bias[i] * slope + intercept

    def decode(self, outputs):
        return outputs * ANGLE_UNIT


class SiameseSame(Siamese):
    """Eq. 1 to the letter: a pair is 1 if the two levels are the same. Kept for comparison; it ranks badly."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.intercept = Parameter(np.zeros(3, np.float32))
        self.slope = Parameter(np.ones(3, np.float32))

    def pair_loss(self, scores, levels):
        return pairwise_same_loss(scores, levels, self.intercept, self.slope)


def pairwise_same_loss(scores, levels, intercept, slope):
    """Eq. 1 as written: p = sigmoid(intercept - slope * |s_i - s_j|), target 1 for equal levels, else 0.

    Args:
        scores: (n,) or (n, angles) tensor; levels: numbers of that shape; intercept, slope: tensors, learned,
            scalars or (angles,).

    Returns:
        A scalar, or the loss of each angle, (angles,).
    """
    levels = constant("pairwise_same_loss", levels, scores, "iuf")
    check_pairs(scores, levels)
    first, second = all_pairs(array_module(scores.data), len(levels))
    logits = intercept - slope * abs(scores[first] - scores[second])
    return ops.bce_with_logits(logits, levels[first] == levels[second], axis=0)


@functools.cache
def all_pairs(xp, n):
    """The pairs of n images but those of an image with itself: two index arrays (n (n - 1),) of the module xp.

    NumPy lists them, since CuPy would wait to learn how many they are.
    """
    return [xp.asarray(places) for places in np.nonzero(~np.eye(n, dtype=bool))]
