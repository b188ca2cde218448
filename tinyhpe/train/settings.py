"""What a training run depends on: its settings, and which images it may see."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyhpe import methods
from tinyhpe.errors import InputError

VALIDATION_EVERY = 20  # every 20th image is kept out of training, to measure on


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, besides the data themselves; `init` is a file of weights to start from."""

    method: str = "siamese-rotation"
    data: str = "rendered"
    heads: int = 10000
    network: str = "r18n"
    stem: str = "7x7"
    input_size: int = 64
    epochs: int = 20
    batch_size: int = 32
    lr: float | None = None  # of the method, see methods/base.py
    balanced: bool = False
    seed: int = 0
    precision: str = "float32"
    init: str = ""

    def __post_init__(self):
        method = methods.find(self.method)
        stages = len(method.stages)
        if self.batch_size < 2 or self.epochs < stages:
            raise InputError(
                f"--batch-size {self.batch_size} with --epochs {self.epochs} is too little: {self.method} "
                f"needs pairs of images, and at least one epoch for each of its {stages} stages"
            )
        object.__setattr__(self, "lr", self.lr or method.lr)
        kind, _, path = self.data.partition(":")
        if path:  # absolute, so that the run can be resumed from another working folder
            object.__setattr__(self, "data", f"{kind}:{Path(path).absolute()}")


def split(crops):
    """Cut crops into (training, validation): every 20th image is for validation.

    Raises:
        InputError: fewer than 20 images.
    """
    if len(crops.poses) < VALIDATION_EVERY:
        raise InputError(f"{len(crops.poses)} images are too few to train on: use {VALIDATION_EVERY} or more")
    held_out = np.arange(len(crops.poses)) % VALIDATION_EVERY == VALIDATION_EVERY - 1
    return [crops.choose(np.flatnonzero(mask)) for mask in (~held_out, held_out)]
