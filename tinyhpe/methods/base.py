"""The small interface that all methods share: build, loss(batch), predict(images) -> degrees."""

import numpy as np

from tinyhpe import backend
from tinyhpe.blas import one_blas_thread
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.nn import resnet
from tinyhpe.nn.module import Module
from tinyhpe.pose.metrics import ANGLES

ANGLE_UNIT = 30.0  # networks answer in units of 30 degrees: targets near 1, which trained better than 99
PREDICT_BATCH = 64


class Method(Module):
    """A ResNet, a loss for its outputs, and a way to read a pose from them.

    Subclasses set `outputs` (how many numbers the network gives for an image), `parts` (what each of the losses is
    of), `stages` (names of the training stages, of equal length; one named twice is twice as long) and `lr` (the
    first learning rate, unless another one is asked for), and define loss() and decode(). What a sample is, is
    theirs to say, too: `sees` is what they look at, "images" or "depths"; `learns` is the label that they are
    trained on, "poses" or "landmarks". A method without stages is not trained at all.

    Args:
        network, stem: see nn.resnet.build.
        input_size: side in pixels of the crops that the network sees.
        seed: of the initial weights.
    """

    outputs = 3
    parts = ANGLES
    stages = ("training",)
    lr = 6e-3
    sees, learns = "images", "poses"

    def __init__(self, network="r18n", stem="7x7", input_size=48, seed=0):
        self.backbone = resnet.build(network, self.outputs, stem, seed)
        self.input_size = input_size

    def forward(self, images):
        return self.backbone(images)

    def begin_stage(self, stage, crops):
        """Prepare for a training stage; `crops` are the training data."""

    def loss(self, stage, images, labels):
        """Return the losses of the parts (yaw, pitch and roll), a tensor (3,).

        Args:
            stage: one of `stages`.
            images: (n, S, S, 3) normalised float tensor, where the weights are.
            labels: float32 array beside the images: poses (n, 3) in degrees, or landmarks (n, 68, 2) in pixels.
        """
        raise NotImplementedError

    def decode(self, outputs):
        """Turn the network's outputs, a NumPy array (n, outputs), into poses (n, 3) in degrees."""
        raise NotImplementedError

    def predict(self, images):
        """Return the poses, (n, 3) degrees, of crops (n, S, S, 3) uint8: their centres are looked at."""
        with one_blas_thread():
            return self.decode(self.evaluate_network(images))

    def evaluate_network(self, images):
        """Return the raw outputs (n, outputs) for the centres of crops, in evaluation mode, without a graph."""
        images, outputs = backend.plain_array(images, np.uint8), []
        for start in range(0, max(1, len(images)), PREDICT_BATCH):
            batch = images[start : start + PREDICT_BATCH]
            seen = unvaried(backend.to_device(batch, self.device), self.input_size)
            outputs.append(backend.to_numpy(self.backbone.infer(seen)))
        return np.concatenate(outputs)

    @property
    def device(self):
        """Where the weights are: "cpu" or "cuda"."""
        _, first = next(self.named_parameters())
        return "cpu" if backend.array_module(first.data) is np else "cuda"
