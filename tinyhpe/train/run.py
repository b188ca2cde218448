"""The training loop: stages, progress, checkpoints, exact resume.

A run that was stopped and resumed sees the same batches (datasets/loader.py), and ends with the same bits, as one
that was not. (But for siamese-same on a GPU, where CuPy adds gradients up in any order.)

A GPU works through what the program orders, while the program goes on to order more. To look at a number, even
for the progress bar, the program must wait until the GPU has come that far, and then the GPU waits for orders. So
the losses stay where they are computed, and are looked at once every LOOK_EVERY steps. And a step is ordered in
full only twice: from then on it is replayed (cuda_graph.py).
"""

import contextlib
import functools
import json
import math
import os
import signal
import threading
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from tinyhpe import backend, methods
from tinyhpe.datasets.loader import Loader
from tinyhpe.datasets.preprocess import prepare
from tinyhpe.errors import InputError
from tinyhpe.evaluation import plot_losses
from tinyhpe.fast.cuda.transfer import copied_ahead
from tinyhpe.files import written_by_rename
from tinyhpe.optim import Adam, cosine
from tinyhpe.tensor import Tensor
from tinyhpe.train.memory import keep_freed_memory, within_memory
from tinyhpe.weight_files import load_arrays, save_arrays

CHECKPOINT = "checkpoint.safetensors"
VALIDATION_EVERY = 20  # every 20th image is kept out of training, to measure on
LOOK_EVERY = {"cpu": 1, "cuda": 20}  # steps between two looks at the losses
RUN_STATE = (
    "epoch",
    "batch",
    "losses",
    "history",
    "seconds",
    "fingerprint",
)  # what a checkpoint holds beside arrays


@dataclass(frozen=True)
class Settings:
    """All that a training run depends on, besides the data themselves."""

    method: str = "siamese-rotation"
    data: str = "rendered"
    heads: int = 10000
    network: str = "r18n"
    stem: str = "7x7"
    input_size: int = 64
    epochs: int = 20
    batch_size: int = 32
    lr: float = 6e-3
    balanced: bool = False
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self):
        stages = len(methods.find(self.method).stages)
        if self.batch_size < 2 or self.epochs < stages:
            raise InputError(
                f"--batch-size {self.batch_size} with --epochs {self.epochs} is too little: {self.method} "
                f"needs pairs of images, and at least one epoch for each of its {stages} stages"
            )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training; a checkpoint was written."""


def split(crops):
    """Cut crops into (training, validation): every 20th image is for validation.

    Raises:
        InputError: fewer than 20 images.
    """
    if len(crops.poses) < VALIDATION_EVERY:
        raise InputError(f"{len(crops.poses)} images are too few to train on: use {VALIDATION_EVERY} or more")
    held_out = np.arange(len(crops.poses)) % VALIDATION_EVERY == VALIDATION_EVERY - 1
    return [crops.choose(np.flatnonzero(mask)) for mask in (~held_out, held_out)]


class Run:
    """A training run in a folder: model, optimizer, how far it is, and its history.

    Args:
        settings: Settings.
        crops: the training images (without those for validation).
        out: the folder of the run.
        device: "cpu" or "cuda".
        workers: processes that prepare batches, see loader.default_workers; the results do not depend on it.
    """

    def __init__(self, settings, crops, out, device="cpu", workers=0):
        self.settings, self.crops, self.out = settings, crops, Path(out)
        self.device, self.workers = device, workers
        self.model = methods.build(
            settings.method, settings.network, settings.stem, settings.input_size, settings.seed
        ).to(device)
        self.loader = Loader(crops, settings.input_size, settings.batch_size, settings.balanced, settings.seed)
        if len(self.loader) == 0:
            raise InputError(
                f"{len(crops.poses)} training images are fewer than one batch of {settings.batch_size}: "
                "use more images or a smaller --batch-size"
            )
        self.epoch, self.batch = 0, 0  # the next batch to be trained on
        self.losses = dict.fromkeys(self.model.parts, 0.0)  # summed over the current epoch
        self.unseen, self.losses_seen = [], ""  # of the last steps, where they were computed; text for the bar
        self.history, self.seconds = [], 0.0
        self.optimizer = self.new_optimizer()
        self.update_of = functools.lru_cache(maxsize=1)(self.make_update)
        # of the training data: a run that is resumed on other data would not be the same run
        self.fingerprint = zlib.crc32(crops.poses.tobytes() + os.fsencode("\n".join(crops.names)))

    def new_optimizer(self):
        """Adam with the paper's betas and eps; each stage starts with a fresh one."""
        return Adam(self.model.parameters(), self.settings.lr)

    def train(self, progress=True):
        """Train until the last epoch is done; Ctrl-C writes a checkpoint and raises Interrupted."""
        keep_freed_memory()
        started = time.monotonic() - self.seconds
        # One BLAS thread: on two cores a second one, beside the preparation of the batches, made a step take
        # twice as long.
        with (
            stop_at_ctrl_c() as stop,
            threadpool_limits(1, "blas"),
            contextlib.closing(self.batches_left()) as batches,
        ):
            while self.epoch < self.settings.epochs:
                stage, first, end = stage_of(self.model.stages, self.settings.epochs, self.epoch)
                if self.epoch == first and self.batch == 0:
                    self.model.begin_stage(stage, self.crops)
                    self.optimizer = self.new_optimizer()
                with self.progress_bar(stage, progress) as bar:
                    while self.batch < len(self.loader):
                        done = (self.epoch - first + self.batch / len(self.loader)) / (end - first)
                        self.optimizer.lr = cosine(self.settings.lr, done)
                        self.step(stage, *next(batches))
                        self.batch += 1
                        bar.set_postfix_str(self.losses_seen, refresh=False)
                        bar.update()
                        self.seconds = time.monotonic() - started
                        if stop.is_set():
                            self.save_checkpoint()
                            raise Interrupted
                self.end_epoch(stage)
                if stop.is_set():
                    raise Interrupted

    def batches_left(self):
        """Yield what Loader.make returns to the end of the run, on the device."""
        batches = self.loader.batches(self.epoch, self.batch, self.settings.epochs, self.workers)
        if self.device == "cpu":
            return batches
        return copied_ahead(backend.device_module(self.device), batches, self.loader.shape)

    def progress_bar(self, stage, shown):
        """The bar of the current epoch."""
        title = f"epoch {self.epoch + 1}/{self.settings.epochs} {stage}"
        return tqdm(total=len(self.loader), initial=self.batch, desc=title, disable=not shown, leave=False)

    def step(self, stage, *batch):
        """One update of the weights; if memory runs out, raises InputError, and this Run is of no more use."""
        with np.errstate(all="ignore"):  # look_at_losses() says it if there was an infinite number
            within_memory(
                lambda: self.unseen.append(self.update_of(stage)(*batch)),
                lambda count: self.update(stage, *(array[:count] for array in batch)),
                self.settings.batch_size,
                self.device,
            )
        if len(self.unseen) == LOOK_EVERY[self.device]:
            self.look_at_losses()

    def make_update(self, stage):
        """update() for the batches of a stage."""
        return functools.partial(self.update, stage)

    def update(self, stage, images, variations, poses):
        """Forward, backward, and a step of the optimizer; returns the losses (3,), where they were computed."""
        images, poses = prepare(images, variations, poses, self.settings.input_size)
        losses = self.model.loss(stage, Tensor(images), poses)
        losses.sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()  # at the end: so the gradients take no memory in the next forward pass
        return losses.data

    def look_at_losses(self):
        """Fetch the losses that nobody has looked at, in one go, and add them up; raises InputError for a NaN."""
        if not self.unseen:
            return
        values = backend.to_numpy(backend.array_module(*self.unseen).stack(self.unseen))
        self.unseen = []
        for of_step in values.tolist():
            seen = dict(zip(self.model.parts, of_step, strict=True))
            if not all(map(math.isfinite, of_step)):
                raise InputError(f"training diverged: the loss is {seen}; start again with a smaller --lr")
            self.losses = {part: self.losses[part] + seen[part] for part in seen}
        self.losses_seen = " ".join(f"{part} {loss:.3f}" for part, loss in seen.items())

    def end_epoch(self, stage):
        """Note the mean losses, write a checkpoint, and go on to the next epoch."""
        self.look_at_losses()
        means = {part: total / len(self.loader) for part, total in self.losses.items()}
        self.history.append({"epoch": self.epoch + 1, "stage": stage, **means})
        self.epoch, self.batch = self.epoch + 1, 0
        self.losses = dict.fromkeys(self.model.parts, 0.0)
        self.save_checkpoint()

    def save_checkpoint(self):
        """Write all that exact resuming needs into one file."""
        self.look_at_losses()
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays |= {f"optimizer.{name}": array for name, array in self.optimizer.state_dict().items()}
        state = {name: getattr(self, name) for name in RUN_STATE}
        save_arrays(self.out / CHECKPOINT, arrays, {"settings": asdict(self.settings), "state": state})

    def load_checkpoint(self):
        """Go back to where the checkpoint was written."""
        arrays, description = load_arrays(self.out / CHECKPOINT)
        if description["state"]["fingerprint"] != self.fingerprint:
            raise InputError(
                f"the run in {self.out} was started on other data, or the data have changed since: "
                "give it the same data again, or start another run with another --out"
            )
        self.model.load_state_dict(with_prefix(arrays, "model."))
        self.optimizer.load_state_dict(with_prefix(arrays, "optimizer."))
        for name in RUN_STATE:
            setattr(self, name, description["state"][name])

    def description(self):
        """What the model file says of itself: the settings, and the seconds of training."""
        return {**asdict(self.settings), "seconds": round(self.seconds, 1)}

    def save_model(self):
        """Write the trained model."""
        methods.save_model(self.out / "model.safetensors", self.model, self.description())

    def save_report(self, validation):
        """Write the metrics and the plot of the losses beside the model.

        Args:
            validation: the summary of pose.metrics on the held-out images.
        """
        metrics = {"settings": self.description(), "history": self.history, "validation": validation}
        with written_by_rename(self.out / "metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        with written_by_rename(self.out / "loss.png") as temporary:
            plot_losses(self.history, temporary)


def stage_of(stages, epochs, epoch):
    """The stage of an epoch, its first epoch, and the epoch after its last: stages share the epochs equally."""
    bounds = [round(epochs * i / len(stages)) for i in range(len(stages) + 1)]
    number = max(i for i, bound in enumerate(bounds[:-1]) if bound <= epoch)
    return stages[number], bounds[number], bounds[number + 1]


def with_prefix(arrays, prefix):
    """The entries whose name starts with the prefix, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def read_settings(out):
    """The settings of the run whose checkpoint lies in the folder `out`."""
    _, description = load_arrays(Path(out) / CHECKPOINT)
    try:
        return Settings(**description["settings"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{Path(out) / CHECKPOINT} is not a checkpoint of this version ({error}); start a new run"
        ) from error


@contextlib.contextmanager
def stop_at_ctrl_c():
    """Yield an event that Ctrl-C sets, so that the loop stops between two steps. A second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request_stop(*_):
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, request_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
