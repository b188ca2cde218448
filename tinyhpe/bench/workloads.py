"""What is timed: training steps and predictions of a few networks on random images."""

from dataclasses import dataclass

import numpy as np

from tinyhpe import backend, ops
from tinyhpe.bench.ideas import EVERYTHING, with_undone
from tinyhpe.fast.folded import FoldedResNet
from tinyhpe.nn import resnet
from tinyhpe.optim import Adam
from tinyhpe.tensor import Tensor

OUTPUTS = 3


@dataclass(frozen=True)
class Workload:
    """A training step (forward, backward, Adam) or a prediction, of a network on random images."""

    network: str
    batch: int
    size: int  # side of the images in pixels
    training: bool
    stem: str = "7x7"
    textbook: bool = False  # with the plain twins of the fast ops
    seconds: float = 10.0  # how long to measure, for each number of threads


WORKLOADS = {
    "r18n-train": Workload("r18n", 32, 64, True),
    "r18n-3x3stem-train": Workload("r18n", 32, 64, True, stem="3x3", seconds=20),
    "resnet50-train": Workload("resnet50", 8, 224, True, seconds=20),
    "r18n-predict": Workload("r18n", 1, 64, False, seconds=5),
    "resnet50-predict": Workload("resnet50", 1, 224, False),
    "r18n-train-textbook": Workload("r18n", 32, 64, True, textbook=True),
}


def example(workload):
    """Random images (N, S, S, 3) and targets (N, OUTPUTS)."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(workload.batch, workload.size, workload.size, 3)).astype(np.float32)
    return images, np.zeros((workload.batch, OUTPUTS), np.float32)


def our_step(workload, device="cpu"):
    """Return a function that does the work once with tinyhpe."""
    network = resnet.build(workload.network, OUTPUTS, workload.stem).to(device)
    images, targets = (backend.to_device(array, device) for array in example(workload))
    if not workload.training:
        folded = FoldedResNet(network.eval())
        return lambda: folded(images)
    optimizer = Adam(network.parameters())

    def update(images, targets):
        loss = ops.mse(network(Tensor(images)), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.data

    def step():
        update(images, targets)

    return with_undone(EVERYTHING, step) if workload.textbook else step


def beside_torch(ours, default, other):
    """The columns of a row that compare times in milliseconds; torch's are None where torch is not measured.

    Args:
        default, other: torch in its default memory layout, and with channels last.
    """
    best = default and min(default, other)
    return {
        "ours_ms": ours,
        "torch_ms": default,
        "torch_best_ms": best,
        "ratio_default": default and default / ours,
        "ratio_best": best and best / ours,
    }
