"""The ranking losses over all pairs of a batch (Gao and Wang, 2019, section 2).

A standard Siamese network runs two branches on n*n - n pairs of images. The paper's ensemble layer
runs the backbone once on each of n images and pairs the *scores*: n backbone passes instead.

The paper contradicts itself about the target. Its text ranks images of different levels ("order");
its Eq. 1, as written, asks whether two images have the same level ("same"). Order is what works.
"""

import numpy as np

from tinyhpe.backend import array_module
from tinyhpe.ops import kernels
from tinyhpe.ops.elementwise import absolute
from tinyhpe.ops.losses import bce_with_logits
from tinyhpe.tensor import Op, Sample, apply


class PairwiseOrder(Op):
    """Mean over all ordered pairs i != j of the cross-entropy of p = sigmoid(s_i - s_j).

    The target is 1, 1/2 or 0 for level_i above, equal to or below level_j. The (n, n) matrix is symmetric,
    so its gradient needs only row sums: dL/ds_i = 2 / (n (n - 1)) * sum_j (p_ij - t_ij).

    Args:
        levels: (n,) rank levels, integers.
    Input: scores (n,). Output: a scalar.
    """

    def __init__(self, levels):
        self.levels = levels

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=6),), {"levels": rng.integers(0, 4, 6)}, analytic=False)
        yield Sample((rng.normal(size=2),), {"levels": rng.integers(0, 4, 2)}, analytic=False)

    def forward(self, xp, scores):
        check_pairs(scores, self.levels)
        n = len(scores)
        z = self.z = scores[:, None] - scores[None, :]
        t = self.targets = order_targets(xp, self.levels).astype(scores.dtype)
        loss = xp.maximum(z, 0) - z * t + xp.log1p(xp.exp(-xp.abs(z)))
        xp.fill_diagonal(loss, 0)  # there an image is paired with itself
        return loss.sum() / (n * (n - 1))

    def backward(self, xp, g):
        n = len(self.z)
        probability = 0.5 * (1 + xp.tanh(0.5 * self.z))
        return (g * (2 / (n * (n - 1))) * (probability - self.targets).sum(axis=1),)

    def forward_cuda(self, xp, scores):
        """The kernel goes through all pairs once, for the loss and for its gradient."""
        check_pairs(scores, self.levels)
        columns = xp.ascontiguousarray(scores[:, None]), self.levels[:, None].astype(np.int32)
        losses, gradient = kernels.rank_pairs(kernels.cuda_module(), *columns)
        self.gradient = gradient[:, 0]
        return losses[0]

    def backward_cuda(self, xp, g):
        return (g * self.gradient,)


def check_pairs(scores, levels):
    """Raise unless there is one score and one level for each of two or more images."""
    if scores.ndim != 1 or len(scores) < 2 or scores.shape != levels.shape:
        raise ValueError(
            f"pairs of scores {scores.shape} with levels {levels.shape}: expected one score and one level "
            "for each of two or more images; give each angle its own call, scores[:, 0] and so on"
        )


def order_targets(xp, levels):
    """(n, n) targets: 1, 1/2, 0 where level_i is above, equal to, below level_j."""
    return 0.5 * (1 + xp.sign(levels[:, None] - levels[None, :]))


def pairwise_order_loss(scores, levels):
    """Ranking loss of scores (n,) against levels (n,); see PairwiseOrder."""
    return apply(PairwiseOrder(levels), scores)


def pairwise_same_loss(scores, levels, intercept, slope):
    """Eq. 1 as written: p = sigmoid(intercept - slope * |s_i - s_j|), target 1 for equal levels, else 0.

    Args:
        scores: (n,) tensor; levels: (n,) integers; intercept, slope: scalar tensors, learned.
    """
    check_pairs(scores, levels)
    xp = array_module(scores.data)
    # all pairs but an image with itself; listed by NumPy, since CuPy would wait to learn how many they are
    first, second = (xp.asarray(places) for places in np.nonzero(~np.eye(len(levels), dtype=bool)))
    logits = intercept - slope * absolute(scores[first] - scores[second])
    return bce_with_logits(logits, levels[first] == levels[second])
