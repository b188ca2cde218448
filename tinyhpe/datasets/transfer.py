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
    """Room for the images of one batch in pinned memory, and once more on the GPU.

    `copied` is the event that the copy is complete, `used` the event that the last kernel that reads it is.
    """

    def __init__(self, cupy, shape):
        pinned = cupy.cuda.alloc_pinned_memory(math.prod(shape) * np.dtype(np.float32).itemsize)
        self.pinned = np.frombuffer(pinned, np.float32, math.prod(shape)).reshape(shape)
        self.on_gpu = cupy.empty(shape, np.float32)
        self.copied, self.used = cupy.cuda.Event(disable_timing=True), cupy.cuda.Event(disable_timing=True)

    def start_copy(self, images, stream):
        """Order the copy of images (NumPy) to the GPU; `images` may be overwritten at once."""
        self.copied.synchronize()  # the copy before this one still reads the pinned memory
        self.pinned[...] = images
        stream.wait_event(self.used)
        self.on_gpu.set(self.pinned, stream=stream)
        self.copied.record(stream)


def copied_ahead(cupy, batches, shape):
    """Yield each (images, poses) of `batches` with the images on the GPU, one copy ahead of the caller.

    Args:
        cupy: the module.
        batches: yields (images, poses), NumPy arrays.
        shape: of the images of every batch, float32.

    The images are valid until the next batch is asked for. An event that was never recorded counts as past.
    """
    copies = cupy.cuda.Stream(non_blocking=True)
    buffers = Buffer(cupy, shape), Buffer(cupy, shape)
    before = None  # the batch whose copy was ordered last
    try:
        for number, (images, poses) in enumerate(batches):
            buffer = buffers[number % 2]
            buffer.start_copy(images, copies)
            if before:
                yield from lend(cupy, *before)
            before = buffer, poses
        if before:
            yield from lend(cupy, *before)
    finally:
        copies.synchronize()  # no copy may write to memory that somebody else is given


def lend(cupy, buffer, poses):
    """Yield the images of a buffer to those who compute in the current stream."""
    computing = cupy.cuda.get_current_stream()
    computing.wait_event(buffer.copied)
    yield buffer.on_gpu, poses
    buffer.used.record(computing)
