"""The training loop: stages, progress, checkpoints, exact resume.

Every batch is a function of (seed, epoch, number of the batch) alone. So a run that was stopped and resumed sees
the same batches, and ends with the same bits, as one that was not.
"""

import contextlib
import json
import math
import signal
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from tinyhpe import methods
from tinyhpe.datasets.augment import augment, normalise
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.errors import InputError
from tinyhpe.files import written_by_rename
from tinyhpe.nn.files import load_arrays, save_arrays
from tinyhpe.optim import Adam, cosine
from tinyhpe.pose.levels import balanced_weights
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.report import plot_losses
from tinyhpe.tensor import Tensor

CHECKPOINT = "checkpoint.safetensors"
VALIDATION_EVERY = 20  # every 20th image is kept out of training, to measure on
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

    method: str = "siamese"
    data: str = "rendered"
    heads: int = 10000
    network: str = "r18n"
    stem: str = "7x7"
    input_size: int = 48
    epochs: int = 22
    batch_size: int = 32
    lr: float = 6e-3
    balanced: bool = True
    seed: int = 0

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
    return [choose(crops, np.flatnonzero(mask)) for mask in (~held_out, held_out)]


class Chosen:
    """Some images of a larger collection, read only when asked for."""

    def __init__(self, images, places):
        self.images, self.places = images, places

    def __len__(self):
        return len(self.places)

    def __getitem__(self, indices):
        return self.images[self.places[indices]]


def choose(crops, places):
    """The crops at some places, without copying an image."""
    return HeadCrops(Chosen(crops.images, places), crops.poses[places], [crops.names[i] for i in places])


def batch_order(settings, poses, epoch):
    """The images of an epoch, (batches, batch_size) indices: shuffled, or drawn balanced by pose."""
    rng = np.random.default_rng([settings.seed, epoch])
    count = len(poses)
    weights = balanced_weights(poses) if settings.balanced else None
    order = rng.choice(count, count, replace=settings.balanced, p=weights)
    batches = count // settings.batch_size
    return order[: batches * settings.batch_size].reshape(batches, settings.batch_size)


def make_batch(settings, crops, epoch, number, indices):
    """Read, augment and normalise one batch: (n, S, S, 3) float32 images, (n, 3) float32 poses."""
    rng = np.random.default_rng([settings.seed, epoch, number])
    images, poses = augment(crops.images[indices], crops.poses[indices], settings.input_size, rng)
    return normalise(images), poses.astype(np.float32)


def batches_of_epoch(settings, crops, epoch, start):
    """Yield the batches of an epoch from number `start` on; a thread prepares the next one meanwhile."""
    order = batch_order(settings, crops.poses, epoch)
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for number in range(start, len(order)):
            following = pool.submit(make_batch, settings, crops, epoch, number, order[number])
            if coming:
                yield coming.result()
            coming = following
        if coming:
            yield coming.result()


class Run:
    """A training run in a folder: model, optimizer, how far it is, and its history.

    Args:
        settings: Settings.
        crops: the training images (without those for validation).
        out: the folder of the run.
        device: "cpu" or "cuda".
    """

    def __init__(self, settings, crops, out, device="cpu"):
        self.settings, self.crops, self.out, self.device = settings, crops, Path(out), device
        self.model = methods.build(
            settings.method, settings.network, settings.stem, settings.input_size, settings.seed
        ).to(device)
        self.batches = len(crops.poses) // settings.batch_size
        if self.batches == 0:
            raise InputError(
                f"{len(crops.poses)} training images are fewer than one batch of {settings.batch_size}: "
                "use more images or a smaller --batch-size"
            )
        self.epoch, self.batch = 0, 0  # the next batch to be trained on
        self.losses = dict.fromkeys(ANGLES, 0.0)  # summed over the current epoch
        self.history, self.seconds = [], 0.0
        self.optimizer = self.new_optimizer()
        # of the training data: a run that is resumed on other data would not be the same run
        self.fingerprint = zlib.crc32(crops.poses.tobytes() + "\n".join(crops.names).encode())

    def new_optimizer(self):
        """Adam with the paper's betas and eps; each stage starts with a fresh one."""
        return Adam(self.model.parameters(), self.settings.lr)

    def train(self, progress=True):
        """Train until the last epoch is done; Ctrl-C writes a checkpoint and raises Interrupted."""
        started = time.monotonic() - self.seconds
        # One BLAS thread: on two cores a second one fights with the thread that prepares the batches, and a
        # step takes twice as long.
        with stop_at_ctrl_c() as stop, threadpool_limits(1, "blas"):
            while self.epoch < self.settings.epochs:
                stage, first, end = stage_of(self.model.stages, self.settings.epochs, self.epoch)
                if self.epoch == first and self.batch == 0:
                    self.model.begin_stage(stage, self.crops)
                    self.optimizer = self.new_optimizer()
                for images, poses, bar in self.batches_left(stage, progress):
                    done = (self.epoch - first + self.batch / self.batches) / (end - first)
                    self.optimizer.lr = cosine(self.settings.lr, done)
                    losses = self.step(stage, images, poses)
                    bar.set_postfix_str(" ".join(f"{a} {v:.3f}" for a, v in losses.items()), refresh=False)
                    self.losses = {angle: self.losses[angle] + losses[angle] for angle in ANGLES}
                    self.batch += 1
                    self.seconds = time.monotonic() - started
                    if stop.is_set():
                        self.save_checkpoint()
                        raise Interrupted
                self.end_epoch(stage)
                if stop.is_set():
                    raise Interrupted

    def batches_left(self, stage, progress):
        """Yield (images, poses, progress bar) for the rest of the current epoch."""
        title = f"epoch {self.epoch + 1}/{self.settings.epochs} {stage}"
        bar = tqdm(total=self.batches, initial=self.batch, desc=title, disable=not progress, leave=False)
        with bar:
            for batch in batches_of_epoch(self.settings, self.crops, self.epoch, self.batch):
                yield *batch, bar
                bar.update()

    def step(self, stage, images, poses):
        """One update of the weights; returns the loss of each angle as floats."""
        losses = self.model.loss(stage, Tensor(images).to(self.device), poses)
        values = {angle: loss.item() for angle, loss in losses.items()}
        if not all(map(math.isfinite, values.values())):
            raise InputError(f"training diverged: the loss is {values}; start again with a smaller --lr")
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        self.optimizer.step()
        return values

    def end_epoch(self, stage):
        """Note the mean losses, write a checkpoint, and go on to the next epoch."""
        means = {angle: total / self.batches for angle, total in self.losses.items()}
        self.history.append({"epoch": self.epoch + 1, "stage": stage, **means})
        self.epoch, self.batch = self.epoch + 1, 0
        self.losses = dict.fromkeys(ANGLES, 0.0)
        self.save_checkpoint()

    def save_checkpoint(self):
        """Write all that exact resuming needs into one file."""
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
