"""The ranking losses over all pairs of a batch (Gao and Wang, 2019, section 2).

A standard Siamese network runs two branches on n*n - n pairs of images. The paper's ensemble layer
runs the backbone once on each of n images and pairs the *scores*: n backbone passes instead.

The paper contradicts itself about the target. Its text ranks images of different levels ("order");
its Eq. 1, as written, asks whether two images have the same level ("same"). Order is what works.
"""

from tinyhpe.ops.losses import constant, cross_entropies, cross_entropy_slopes
from tinyhpe.ops.reduce import narrowed, widened
from tinyhpe.ops.samples import normal
from tinyhpe.tensor import Op, apply


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
            yield normal(rng, shape, analytic=False, levels=rng.integers(0, 4, shape))

    def forward(self, xp, scores):
        check_pairs(scores, self.levels)
        n = len(scores)
        self.z = scores[:, None] - scores[None, :]
        self.targets = narrowed(order_targets(self.levels[:, None], self.levels[None, :]), scores)
        losses = cross_entropies(xp, self.z, self.targets)
        itself = xp.arange(n)
        losses[itself, itself] = 0  # there an image is paired with itself
        return narrowed(widened(losses).sum(axis=(0, 1)) / (n * (n - 1)), scores)

    def backward(self, xp, g):
        n = len(self.z)
        slopes = widened(cross_entropy_slopes(xp, self.z, self.targets)).sum(axis=1)
        return ((g * (2 / (n * (n - 1))) * slopes).astype(g.dtype),)


def check_pairs(scores, levels):
    """Raise unless there is one score and one level for each (angle) of two or more images."""
    if scores.ndim not in (1, 2) or len(scores) < 2 or scores.shape != levels.shape:
        raise ValueError(
            f"pairs of scores {scores.shape} with levels {levels.shape}: expected one score and one level "
            "for each of two or more images, both (n,) or both (n, angles)"
        )


def order_targets(first, second):
    """1, 1/2, 0 where the first level is above, equal to, below the second one."""
    # never subtracted: unsigned levels have no differences
    return 0.5 * (first > second) + 0.5 * (first >= second)


def pairwise_order_loss(scores, levels):
    """Ranking loss of scores (n,) or (n, angles) against levels of that shape; see PairwiseOrder."""
    return apply(PairwiseOrder(constant("pairwise_order_loss", levels, scores, "iuf")), scores)
