"""The ranking losses over all pairs of a batch (Gao and Wang, 2019, section 2).

A standard Siamese network runs two branches on n*n - n pairs of images. The paper's ensemble layer
runs the backbone once on each of n images and pairs the *scores*: n backbone passes instead.

The paper contradicts itself about the target. Its text ranks images of different levels ("order");
its Eq. 1, as written, asks whether two images have the same level ("same"). Order is what works.
"""

import functools

import numpy as np

from tinyhpe.backend import array_module
from tinyhpe.fast.cuda import kernels
from tinyhpe.ops.elementwise import absolute
from tinyhpe.ops.losses import bce_with_logits
from tinyhpe.tensor import Op, Sample, apply


class PairwiseOrder(Op):
    """Mean over all ordered pairs i != j of the cross-entropy of p = sigmoid(s_i - s_j).

    The target is 1, 1/2 or 0 for level_i above, equal to or below level_j. The (n, n) matrix is symmetric,
    so its gradient needs only row sums: dL/ds_i = 2 / (n (n - 1)) * sum_j (p_ij - t_ij).

    Args:
        levels: rank levels, integers, (n,) or, for several angles at once, (n, angles).
    Input: scores of the levels' shape. Output: the loss, a scalar, or that of each angle, (angles,).
    """

    def __init__(self, levels):
        self.levels = levels

    @staticmethod
    def samples(rng):
        for shape in (6,), (2,), (3, 2):
            yield Sample((rng.normal(size=shape),), {"levels": rng.integers(0, 4, shape)}, analytic=False)

    def forward(self, xp, scores):
        check_pairs(scores, self.levels)
        n = len(scores)
        z = self.z = scores[:, None] - scores[None, :]
        t = self.targets = order_targets(xp, self.levels).astype(scores.dtype)
        loss = xp.maximum(z, 0) - z * t + xp.log1p(xp.exp(-xp.abs(z)))
        itself = xp.arange(n)
        loss[itself, itself] = 0  # there an image is paired with itself
        return loss.sum(axis=(0, 1)) / (n * (n - 1))

    def backward(self, xp, g):
        n = len(self.z)
        probability = 0.5 * (1 + xp.tanh(0.5 * self.z))
        return (g * (2 / (n * (n - 1))) * (probability - self.targets).sum(axis=1),)

    def forward_cuda(self, xp, scores):
        """The kernel goes through all pairs once, for the loss and for its gradient."""
        check_pairs(scores, self.levels)
        columns = [xp.ascontiguousarray(a).reshape(len(a), -1) for a in (scores, self.levels.astype(np.int32))]
        losses, gradient = kernels.rank_pairs(kernels.cuda_module(), *columns)
        self.gradient = gradient.reshape(scores.shape)
        return losses.reshape(scores.shape[1:])

    def backward_cuda(self, xp, g):
        return (g * self.gradient,)


def check_pairs(scores, levels):
    """Raise unless there is one score and one level for each (angle) of two or more images."""
    if scores.ndim not in (1, 2) or len(scores) < 2 or scores.shape != levels.shape:
        raise ValueError(
            f"pairs of scores {scores.shape} with levels {levels.shape}: expected one score and one level "
            "for each of two or more images, both (n,) or both (n, angles)"
        )


def order_targets(xp, levels):
    """(n, n, ...) targets: 1, 1/2, 0 where level_i is above, equal to, below level_j."""
    return 0.5 * (1 + xp.sign(levels[:, None] - levels[None, :]))


def pairwise_order_loss(scores, levels):
    """Ranking loss of scores (n,) or (n, angles) against levels of that shape; see PairwiseOrder."""
    return apply(PairwiseOrder(levels), scores)


def pairwise_same_loss(scores, levels, intercept, slope):
    """Eq. 1 as written: p = sigmoid(intercept - slope * |s_i - s_j|), target 1 for equal levels, else 0.

    Args:
        scores: (n,) or (n, angles) tensor; levels: integers of that shape; intercept, slope: tensors, learned,
            scalars or (angles,).

    Returns:
        A scalar, or the loss of each angle, (angles,).
    """
    check_pairs(scores, levels)
    first, second = all_pairs(array_module(scores.data), len(levels))
    logits = intercept - slope * absolute(scores[first] - scores[second])
    return bce_with_logits(logits, levels[first] == levels[second], axis=0)


@functools.cache
def all_pairs(xp, n):
    """The pairs of n images but those of an image with itself: two index arrays (n (n - 1),) of the module xp.

    NumPy lists them, since CuPy would wait to learn how many they are.
    """
    return [xp.asarray(places) for places in np.nonzero(~np.eye(n, dtype=bool))]
