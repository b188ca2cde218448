"""What is timed: training steps and predictions, through the functions that `tinyhpe train` and `predict` call."""

import tempfile
from dataclasses import dataclass

import numpy as np

from tinyhpe import backend, methods
from tinyhpe.datasets.crops import HeadCrops, crop_size
from tinyhpe.train.run import Run
from tinyhpe.train.settings import Settings


@dataclass(frozen=True)
class Workload:
    """A training step of direct regression (from bytes to new weights), or a prediction, of random crops."""

    network: str
    batch: int
    size: int  # side of what the network sees, in pixels
    training: bool
    stem: str = "7x7"
    seconds: float = 10.0  # how long to measure


WORKLOADS = {
    "r18n-default-train": Workload("r18n", 32, 48, True),  # what `tinyhpe train` does
    "r18n-train": Workload("r18n", 32, 64, True),
    "r18n-3x3stem-train": Workload("r18n", 32, 64, True, stem="3x3", seconds=15),
    "resnet50-train": Workload("resnet50", 8, 224, True, seconds=20),
    "r18n-predict": Workload("r18n", 1, 64, False, seconds=5),
    "resnet50-predict": Workload("resnet50", 1, 224, False),
}


def example(workload, count):
    """Random crops (count, S, S, 3), of which a network sees size x size pixels, and poses (count, 3)."""
    rng, side = np.random.default_rng(0), crop_size(workload.size)
    images = rng.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    return images, rng.uniform(-60, 60, (count, 3)).astype(np.float32)


def our_step(workload, device="cpu", precision="float32"):
    """Return a function that does the work once with tinyhpe."""
    if not workload.training:
        model = methods.build("direct", workload.network, workload.stem, workload.size).to(device)
        images, _ = example(workload, workload.batch)
        return lambda: model.predict(images)
    images, poses = example(workload, 2 * workload.batch)
    settings = Settings(
        method="direct",
        network=workload.network,
        stem=workload.stem,
        input_size=workload.size,
        batch_size=workload.batch,
        precision=precision,
    )
    run = Run(settings, HeadCrops(images, poses, list(map(str, range(len(poses))))), tempfile.gettempdir(), device)
    batch = [backend.to_device(array, device) for array in run.loader.make(0, 0)]
    return lambda: run.step(*batch)
