"""The training loop: stages, epochs, steps.

A run that was stopped and resumed sees the same batches (datasets/loader.py), and ends with the same bits, as one
that was not. (But for siamese-same on a GPU, where CuPy adds gradients up in any order.)
"""

import contextlib
import functools
import json
import os
import time
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinyhpe import backend, methods
from tinyhpe.blas import one_blas_thread
from tinyhpe.datasets.loader import Loader
from tinyhpe.datasets.preprocess import prepare
from tinyhpe.description import check_form
from tinyhpe.errors import InputError
from tinyhpe.files import written_by_rename
from tinyhpe.interrupts import Interrupted, stop_at_interrupt
from tinyhpe.optim import Adam, cosine
from tinyhpe.progress import ProgressBar
from tinyhpe.tensor import Tensor
from tinyhpe.train.checkpoint import CHECKPOINT, open_checkpoint, start_from, write_checkpoint
from tinyhpe.train.losses import Losses
from tinyhpe.train.memory import keep_freed_memory, within_memory
from tinyhpe.train.plot import plot_losses

RUN_STATE = ("epoch", "batch", "history", "seconds", "fingerprint")  # in a checkpoint, beside arrays and losses


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
        self.loader = Loader(
            crops,
            settings.input_size,
            settings.batch_size,
            settings.balanced,
            settings.seed,
            self.model.learns,
        )
        if len(self.loader) == 0:
            raise InputError(
                f"{len(crops.poses)} training images are fewer than one batch of {settings.batch_size}: "
                "use more images or a smaller --batch-size"
            )
        # of the training data: a run that is resumed on other data would not be the same run
        self.fingerprint = zlib.crc32(crops.poses.tobytes() + os.fsencode("\n".join(crops.names)))
        self.epoch, self.batch = 0, 0  # the next batch to be trained on
        self.losses, self.history, self.seconds = Losses(self.model.parts, device), [], 0.0
        if device == "cuda":
            from tinyhpe.fast.cuda.precision import use_precision  # here: a CPU needs nothing of tinyhpe.fast

            use_precision(settings.precision)
        if self.model.stages:
            self.begin_optimizing(self.model.stages[0])

    def begin_optimizing(self, stage):
        """Each stage starts with a fresh Adam, with the paper's betas and eps."""
        self.loss = functools.partial(self.model.loss, stage)
        self.optimizer = Adam(self.model.parameters(), self.settings.lr)
        self.stepper = None
        if self.device == "cuda":
            from tinyhpe.fast.cuda.step import Stepper

            self.stepper = Stepper(self.update, self.loss, self.optimizer)

    def train(self, progress=True):
        """Train until the last epoch is done; an interrupt writes a checkpoint and raises Interrupted."""
        keep_freed_memory()
        if self.settings.init and self.epoch == self.batch == 0:
            start_from(self.model, self.settings.init)
        started = time.monotonic() - self.seconds
        # on two cores a second thread of BLAS beside the preparation of batches made a step take twice as long
        with stop_at_interrupt() as stop, one_blas_thread(), contextlib.closing(self.batches_left()) as batches:
            while self.model.stages and self.epoch < self.settings.epochs:
                stage, first, end = stage_of(self.model.stages, self.settings.epochs, self.epoch)
                if self.epoch == first and self.batch == 0:
                    self.model.begin_stage(stage, self.crops)
                    self.begin_optimizing(stage)
                with self.progress_bar(stage, progress) as bar:
                    while self.batch < len(self.loader):
                        done = (self.epoch - first + self.batch / len(self.loader)) / (end - first)
                        self.optimizer.lr = cosine(self.settings.lr, done)
                        self.step(*next(batches))
                        self.batch += 1
                        bar.set_postfix_str(self.losses.text, refresh=False)
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
        from tinyhpe.fast.cuda.transfer import copied_ahead

        label_shape = self.loader.labels.shape[1:]
        return copied_ahead(backend.device_module(self.device), batches, self.loader.shape, label_shape)

    def progress_bar(self, stage, shown):
        """The bar of the current epoch."""
        title = f"epoch {self.epoch + 1}/{self.settings.epochs} {stage}"
        return ProgressBar(total=len(self.loader), initial=self.batch, desc=title, disable=not shown, leave=False)

    def update(self, loss, optimizer, images, variations, labels):
        """One step of training; returns the losses of the parts, where they were computed."""
        images, labels = prepare(images, variations, labels, self.settings.input_size)
        losses = loss(Tensor(images), labels)
        losses.sum().backward()
        optimizer.step()
        optimizer.zero_grad()  # at the end: so the gradients take no memory in the next forward pass
        return losses.data

    def step(self, *batch):
        """update() with a batch; if memory runs out, raises InputError, and this Run is of no more use."""
        update = functools.partial(self.update, self.loss, self.optimizer)
        step = self.stepper or update
        with np.errstate(all="ignore"):  # Losses says it if there was an infinite number
            within_memory(
                lambda: self.losses.add(step(*batch)),
                lambda count: update(*(array[:count] for array in batch)),
                self.settings.batch_size,
                self.device,
            )

    def end_epoch(self, stage):
        """Note the mean losses, go on to the next epoch, and write a checkpoint."""
        means = self.losses.end_epoch(len(self.loader))
        self.history.append({"epoch": self.epoch + 1, "stage": stage, **means})
        self.epoch, self.batch = self.epoch + 1, 0
        self.save_checkpoint()

    @property
    def state(self):
        """How far the run is: what a checkpoint must hold beside the arrays."""
        return {name: getattr(self, name) for name in RUN_STATE} | {"losses": self.losses.sums}

    @property
    def parts(self):
        """What has arrays that a checkpoint must hold."""
        parts = {"model": self.model, "optimizer": self.optimizer}
        scale = self.stepper and self.stepper.scale
        return parts | {"scale": scale} if scale else parts

    def save_checkpoint(self):
        """Write all that exact resuming needs into one file."""
        self.losses.look()
        arrays = {name: part.state_dict() for name, part in self.parts.items()}
        write_checkpoint(self.out, self.settings, self.state, arrays)

    def load_checkpoint(self):
        """Go back to where the checkpoint was written; raises InputError if it is damaged, or of other data."""
        with open_checkpoint(self.out) as (_, state, arrays):
            if state.get("fingerprint") != self.fingerprint:
                raise InputError(
                    f"the run in {self.out} was started on other data, or the data have changed since: "
                    "give it the same data again, or start another run with another --out"
                )
            try:
                self.load_state(state, arrays)
            except (ValueError, TypeError) as error:
                raise InputError(f"{self.out / CHECKPOINT} is damaged: {error}; start a new run") from error

    def load_state(self, state, arrays):
        """Take what `state` was, and the arrays of the parts; raises InputError, ValueError or TypeError."""
        entry = {"epoch": 0, "stage": "", **self.losses.sums}
        check_form("its state", state, {**self.state, "history": [entry]})
        if not len(state["history"]) == state["epoch"] <= self.settings.epochs or state["batch"] > len(
            self.loader
        ):
            raise InputError(f"it is at batch {state['batch']} of epoch {state['epoch']}, which does not exist")
        for name in RUN_STATE:
            setattr(self, name, state[name])
        self.losses.sums = state["losses"]
        self.begin_optimizing(stage_of(self.model.stages, self.settings.epochs, self.epoch)[0])
        for name, part in self.parts.items():
            part.load_state_dict(arrays.get(name, {}))

    def description(self):
        """What the model file says of itself: the settings, without anybody's folders, and the seconds."""
        data, _, _ = self.settings.data.partition(":")
        named = {"data": data, "init": Path(self.settings.init).name}
        return {**asdict(self.settings), **named, "seconds": round(self.seconds, 1)}

    def save_model(self):
        """Write the trained model."""
        methods.save_model(self.out / "model.safetensors", self.model, self.description())

    def save_report(self, validation):
        """Write the metrics and the plot of the losses beside the model.

        Args:
            validation: the summary of pose.metrics on the held-out images.
        """
        metrics = {"settings": self.description(), "history": self.history, "validation": validation}
        with written_by_rename(self.out / "metrics.json") as file:
            file.write(json.dumps(metrics, indent=1).encode() + b"\n")
        if self.history:
            with written_by_rename(self.out / "loss.png") as file:
                plot_losses(self.history, file)


def stage_of(stages, epochs, epoch):
    """The stage of an epoch, its first epoch, and the epoch after its last: stages share the epochs equally.

    A stage that is named several times in a row has so many shares.
    """
    bounds = [round(epochs * i / len(stages)) for i in range(len(stages) + 1)]
    stage = stages[max(i for i, bound in enumerate(bounds[:-1]) if bound <= epoch)]
    first = stages.index(stage)
    return stage, bounds[first], bounds[first + stages.count(stage)]
