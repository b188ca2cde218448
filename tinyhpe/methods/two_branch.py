"""The standard Siamese network (Fig. 2, left), which the paper's ensemble layer makes efficient.

Two branches with the same weights are given one image of a pair each, and the scores say which of the two has the
higher level. Here the two halves of a batch are the pairs: n images are n / 2 of them, image i and image
i + n / 2. (Of an odd batch one image is left over.) So a step costs as much as one of the ensemble layer, which
makes n (n - 1) / 2 pairs of the same images. Seen the other way round: to be shown all those pairs, two branches
need n (n - 1) passes of the network instead of n, which is the paper's n - 1 (see bench/tables.py).

All else is the paper's method: levels, affine fit, fine-tuning.
"""

from tinyhpe import ops
from tinyhpe.methods.siamese import Siamese
from tinyhpe.ops.pairs import order_targets


class SiameseTwoBranch(Siamese):
    """The paper's method with pairs of images, instead of pairs of scores, in its first stage."""

    def loss(self, stage, images, poses):
        if stage == "fine-tuning":
            return super().loss(stage, images, poses)
        half, levels = len(images) // 2, self.levels(poses)
        first, second = slice(half), slice(half, 2 * half)
        return two_branch_loss(self, images[first], images[second], levels[first], levels[second])


def two_branch_loss(network, first, second, first_levels, second_levels):
    """Cross-entropy of p = sigmoid(score of the first image - score of the second), the mean over n pairs.

    Args:
        network: a function of images (n, S, S, 3), tensors, that gives scores (n, k).
        first_levels, second_levels: (n, k) rank levels; the target is 1, 1/2, 0 for above, equal, below.

    Returns:
        the losses (k,)
    """
    targets = order_targets(first_levels, second_levels)
    return ops.bce_with_logits(network(first) - network(second), targets, axis=0)
