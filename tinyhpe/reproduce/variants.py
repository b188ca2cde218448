"""The paper's method with one thing changed, for the questions of the report; only `reproduce` has them."""

import numpy as np

from tinyhpe import ops
from tinyhpe.backend import array_module
from tinyhpe.datasets.loader import Loader
from tinyhpe.methods import METHODS
from tinyhpe.methods.siamese import Siamese, all_pairs


class Control(Siamese):
    """The same stages and the same fit between them, but the first one regresses, too: no ranking at all."""

    def loss(self, stage, images, poses):
        return self.regression_loss(self(images), self.targets(poses))


class Hinge(Siamese):
    """RankIQA's loss (Liu, van de Weijer, Bagdanov, 2017): max(0, 1 - (s_i - s_j)) where level_i is above level_j.

    A pair of one level costs 1 whatever its scores, and so changes nothing.
    """

    def pair_loss(self, scores, levels):
        first, second = all_pairs(array_module(scores.data), len(levels))
        order = np.sign(levels[first] - levels[second]).astype(scores.dtype)
        return ops.relu(1 - order * (scores[first] - scores[second])).mean(axis=0)


class Levels1(Siamese):
    """Levels of one degree."""

    degrees = 1

    def levels(self, poses):
        return array_module(poses).floor(poses / self.degrees)


class Levels10(Levels1):
    """Levels of ten degrees."""

    degrees = 10


class NoLevels(Siamese):
    """The angles themselves are ranked: no two are equal."""

    def levels(self, poses):
        return poses


class Quarter(Siamese):
    """A quarter of the epochs ranks."""

    stages = ("ranking", "fine-tuning", "fine-tuning", "fine-tuning")


class ThreeQuarters(Siamese):
    """Three quarters of the epochs rank."""

    stages = ("ranking", "ranking", "ranking", "fine-tuning")


VARIANTS = {
    "siamese-control": Control,
    "siamese-hinge": Hinge,
    "siamese-1-degree": Levels1,
    "siamese-10-degrees": Levels10,
    "siamese-no-levels": NoLevels,
    "siamese-quarter": Quarter,
    "siamese-three-quarters": ThreeQuarters,
}


def register():
    """Let a Run build the variants by name, in this process."""
    METHODS.update(VARIANTS)


class PlainLoader(Loader):
    """The same crops, mirrored or not, but none of them blurred, noisy, darker or brighter."""

    def make(self, epoch, number):
        _, variations, *labels = super().make(epoch, number)
        variations[:, 3] = 1
        return self.images[self.order(epoch)[number]], variations, *labels
