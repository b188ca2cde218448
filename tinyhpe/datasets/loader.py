"""Feeding the training: batches read and augmented ahead of time, by processes beside it.

Every batch is a function of (seed, epoch, number of the batch) alone. So the batches are the same to the bit for
any number of workers, and a run that was stopped and resumed sees the same as one that was not.

Three ideas make it fast:

1. Processes, not threads: two threads of Python run in turns, two processes at the same time.
2. The images come back through memory that the processes share, a ring of slots of one batch each. (Sent through
   a pipe, 12 MB took 38 ms instead of 2, and half of that is work for the receiver.)
3. The workers are sent where the images are, not the images: StoredImages and PhotoCrops hold paths.
"""

import contextlib
import math
import sys
import time

import numpy as np

from tinyhpe.datasets.augment import augment
from tinyhpe.datasets.processes import answers, cores, shared_memory, workers
from tinyhpe.pose.levels import balanced_weights

# One worker makes 9000 rendered crops a second, or 300 from photos of 450x450; a CPU trains on 1000 (r18n, 48x48).
MOST_WORKERS = {"cpu": 4, "cuda": 8}


class Loader:
    """The batches of a training run.

    Args:
        crops: HeadCrops to train on.
        input_size: side in pixels of the random part of a crop that the network sees.
        batch_size: images in a batch; those that are left over at the end of an epoch wait for another epoch.
        balanced: draw rare poses more often, instead of every image once an epoch.
        seed: of order and augmentation.
        learns: which labels go with the images: "poses" or "landmarks".

    Raises:
        InputError: the crops have no such labels.
    """

    def __init__(self, crops, input_size, batch_size, balanced, seed, learns="poses"):
        self.images, self.poses, self.labels = crops.images, crops.poses, crops.labels(learns)
        self.input_size, self.batch_size, self.balanced, self.seed = input_size, batch_size, balanced, seed
        self.ordered_epoch = self.latest_order = None

    def __len__(self):
        """The number of batches in an epoch."""
        return len(self.poses) // self.batch_size

    @property
    def shape(self):
        """Of the images of a batch. Their side is that of the crops: one of them is read to know it."""
        return self.batch_size, *self.images[np.arange(1)].shape[1:]

    def order(self, epoch):
        """The images of an epoch, (batches, batch_size) indices: shuffled, or drawn balanced by pose."""
        if epoch != self.ordered_epoch:
            rng = np.random.default_rng([self.seed, epoch])
            count = len(self.poses)
            weights = balanced_weights(self.poses) if self.balanced else None
            order = rng.choice(count, count, replace=self.balanced, p=weights)
            self.latest_order = order[: len(self) * self.batch_size].reshape(len(self), self.batch_size)
            self.ordered_epoch = epoch
        return self.latest_order

    def make(self, epoch, number):
        """Read and augment one batch.

        Returns:
            images (n, S, S, 3) uint8, variations (n, 4) float32 and labels, poses (n, 3) or landmarks (n, 68, 2)
            float32, of which preprocess.prepare makes what the network sees and learns.
        """
        indices, rng = self.order(epoch)[number], np.random.default_rng([self.seed, epoch, number])
        return *augment(self.images[indices], self.input_size, rng), self.labels[indices]

    def make_into(self, memory, shape, slot, epoch, number):
        """make(), in a worker: the images go into a slot of the shared memory; returns variations and poses."""
        as_slots(memory, shape)[slot], *others = self.make(epoch, number)
        return others

    def batches(self, epoch, number, epochs, workers):
        """Yield what make() returns, from batch `number` of `epoch` to the end of `epochs`.

        Args:
            workers: how many processes prepare them, see default_workers; with 0 nobody works ahead.

        The arrays are valid until the next batch is asked for. Close the generator to end the processes early.

        Raises:
            InputError: a photo cannot be read, or a process died.
        """
        wanted = ((e, n) for e in range(epoch, epochs) for n in range(number if e == epoch else 0, len(self)))
        return prepared_ahead(self, wanted, workers) if workers else (self.make(*batch) for batch in wanted)


def default_workers(device):
    """How many processes prepare batches for training on "cpu" or "cuda": they leave one core to the training."""
    return min(MOST_WORKERS[device], cores() - 1)


def prepared_ahead(loader, wanted, count):
    """Yield loader.make(epoch, number) for each pair in `wanted`, in order, made ahead by `count` processes.

    They go round: batch k to worker k mod their number, and through slot k mod the number of slots. While the
    caller looks at one slot, each worker fills another, and one more holds a batch that is ready.
    """
    shape = (count + 2, *loader.shape)
    memory = shared_memory(math.prod(shape))
    slots = as_slots(memory, shape)
    orders = ((number % len(slots), *batch) for number, batch in enumerate(wanted))
    with workers(count, loader.make_into, memory, shape) as crew:
        for number, answer in enumerate(answers(crew, orders, len(slots))):
            yield slots[number % len(slots)], *answer


def as_slots(memory, shape):
    """The shared memory as an array of slots, (slots, n, S, S, 3) uint8."""
    return np.frombuffer(memory, np.uint8).reshape(shape)


def images_per_second(loader, workers, seconds=3.0):
    """How many images a second the loader gives to one who does nothing with them; without the start."""
    with contextlib.closing(loader.batches(0, 0, sys.maxsize, workers)) as batches:
        for _ in range(2 * workers + 2):  # until all workers have started, and the batches made meanwhile are gone
            next(batches)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            next(batches)
            count += loader.batch_size
        return count / (time.perf_counter() - started)
