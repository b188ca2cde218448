"""From the processor's memory to the GPU's while the GPU computes: two pinned buffers, a stream for the copies.

A GPU has an engine for copies beside those for computing. It works at the same time as they do, if

1. the processor's memory is pinned: the system promises not to move it, so that the GPU can read it by itself;
2. the copies are in another stream than the computing. Within a stream things happen in order, between two
   streams only as events say.

    copies      | batch 1 | batch 2 |         | batch 3 |
    computing             | step 1            | step 2            | step 3 ...

The processor only gives orders. What it waits for, the copy from the same buffer two batches ago, is long past.
"""

import math

import numpy as np


class Buffer:
    """Room for the images, variations and labels of one batch in pinned memory, and once more on the GPU.

    `copied` is the event that the copy is complete, `used` the event that the last kernel that reads it is.
    """

    def __init__(self, cupy, shape, label_shape):
        kinds = (shape, np.uint8), ((shape[0], 4), np.float32), ((shape[0], *label_shape), np.float32)
        self.pinned = [pinned(cupy, *kind) for kind in kinds]
        self.on_gpu = [cupy.empty(*kind) for kind in kinds]
        self.copied, self.used = cupy.cuda.Event(disable_timing=True), cupy.cuda.Event(disable_timing=True)

    def start_copy(self, arrays, stream):
        """Order the copy of a batch (NumPy) to the GPU; its arrays may be overwritten at once."""
        self.copied.synchronize()  # the copy before this one still reads the pinned memory
        stream.wait_event(self.used)
        for array, staged, on_gpu in zip(arrays, self.pinned, self.on_gpu, strict=True):
            staged[...] = array
            on_gpu.set(staged, stream=stream)
        self.copied.record(stream)


def pinned(cupy, shape, dtype):
    """An empty NumPy array in pinned memory."""
    count = math.prod(shape)
    memory = cupy.cuda.alloc_pinned_memory(count * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, count).reshape(shape)


def copied_ahead(cupy, batches, shape, label_shape=(3,)):
    """Yield each (images, variations, labels) of `batches` on the GPU, one copy ahead of the caller.

    Args:
        cupy: the module.
        batches: yields (images, variations, labels), NumPy arrays: uint8 of `shape`; (n, 4) and
            (n, *label_shape) float32.
        shape: of the images of every batch, (n, S, S, 3).
        label_shape: of the label of one image.

    What is on the GPU is valid until the next batch is asked for. An event that was never recorded counts as past.
    """
    copies = cupy.cuda.Stream(non_blocking=True)
    buffers = Buffer(cupy, shape, label_shape), Buffer(cupy, shape, label_shape)
    before = None  # the buffer whose copy was ordered last
    try:
        for number, batch in enumerate(batches):
            buffer = buffers[number % 2]
            buffer.start_copy(batch, copies)
            if before:
                yield from lend(cupy, before)
            before = buffer
        if before:
            yield from lend(cupy, before)
    finally:
        copies.synchronize()  # no copy may write to memory that somebody else is given


def lend(cupy, buffer):
    """Yield what is in a buffer to those who compute in the current stream."""
    computing = cupy.cuda.get_current_stream()
    computing.wait_event(buffer.copied)
    yield buffer.on_gpu
    buffer.used.record(computing)
