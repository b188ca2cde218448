"""Copies to the GPU beside the computing, on a pretended GPU that does what it is told as late as it may.

Its streams are queues of orders, carried out in random turns; only events hold one stream up for another. So an
event that is missing in transfer.py is seen as images of another batch.
"""

from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from tinyhpe.fast.cuda.transfer import copied_ahead

SHAPE = (2, 3, 3, 3)


class LateGpu:
    """What transfer.py uses of the module cupy. `computing` is the stream of the kernels."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.haste = self.rng.choice([0.1, 1, 10])  # orders carried out while the processor gives one
        self.share = self.rng.choice([0.02, 0.5, 0.98])  # of them in the stream of the copies
        self.computing, self.copies = Stream(self), Stream(self)
        self.cuda = SimpleNamespace(
            Stream=lambda non_blocking: self.copies,
            Event=lambda disable_timing: Event(self),
            get_current_stream=lambda: self.computing,
            alloc_pinned_memory=lambda size: bytearray(size + 100),  # CuPy's pool rounds up
        )

    def empty(self, shape, dtype):
        return Array(np.full(shape, 77, dtype))

    def some_time_passes(self):
        for _ in range(self.rng.poisson(self.haste)):
            stream = self.copies if self.rng.random() < self.share else self.computing
            stream.carry_out_one()

    def until(self, happened):
        while not happened():
            if not (self.copies.carry_out_one() or self.computing.carry_out_one()):
                raise RuntimeError("the processor waits for ever")


class Stream:
    def __init__(self, gpu):
        self.gpu, self.orders = gpu, deque()

    def order(self, work):
        """work() returns False while it must wait."""
        self.orders.append(work)
        self.gpu.some_time_passes()

    def carry_out_one(self):
        if self.orders and self.orders[0]() is not False:
            self.orders.popleft()
            return True
        return False

    def wait_event(self, event):
        number = event.recorded
        self.order(lambda: event.reached >= number)

    def synchronize(self):
        self.gpu.until(lambda: not self.orders)


class Event:
    def __init__(self, gpu):
        self.gpu, self.recorded, self.reached = gpu, 0, 0

    def record(self, stream):
        self.recorded += 1
        number = self.recorded
        stream.order(lambda: setattr(self, "reached", number))

    def synchronize(self):
        self.gpu.until(lambda: self.reached == self.recorded)


class Array:
    def __init__(self, values):
        self.values = values

    def set(self, array, stream):
        stream.order(lambda: np.copyto(self.values, array))


def batches(count):
    """All in the same arrays, as a slot of the loader is used again."""
    batch = np.empty(SHAPE, np.uint8), np.empty((2, 4), np.float32), np.empty((2, 3), np.float32)
    for number in [*range(count), 99]:
        for array in batch:
            array[...] = number
        if number < 99:
            yield batch


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_each_step_sees_its_own_batch_however_late_copies_and_kernels_are(count, seed):
    gpu, seen = LateGpu(seed), []
    for arrays in copied_ahead(gpu, batches(count), SHAPE):
        for _ in range(3):  # kernels of a step
            gpu.computing.order(lambda arrays=arrays: seen.append([set(a.values.flat) for a in arrays]))
    gpu.computing.synchronize()
    assert seen == [[{number}] * 3 for number in range(count) for _ in range(3)]


def test_the_next_batch_is_copied_while_a_step_is_computed():
    gpu = LateGpu(0)
    gpu.haste, ends = 0, False
    given = copied_ahead(gpu, batches(9), SHAPE)
    gpu.computing.order(lambda: ends)  # a step that takes long
    first, second, _ = (next(given)[0] for _ in range(3))  # the processor does not wait for it
    while gpu.copies.carry_out_one():
        pass
    assert (first.values == 0).all()
    assert (second.values == 1).all()
    ends = True
    given.close()


def test_whoever_stops_early_leaves_no_copy_under_way():
    gpu = LateGpu(0)
    gpu.haste = 0
    given = copied_ahead(gpu, batches(9), SHAPE)
    next(given)
    assert gpu.copies.orders
    given.close()
    assert not gpu.copies.orders
