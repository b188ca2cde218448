"""What does each idea of the fast ops buy? Undo one at a time, and time a training step of r18n."""

import contextlib
from types import SimpleNamespace
from unittest import mock

import numpy as np

from tinyhpe import ops
from tinyhpe.fast import gemm, winograd
from tinyhpe.ops import conv, norm, textbook
from tinyhpe.ops.conv import Conv2d

NEVER, WHOLE = 10**9, 1 << 62  # a limit that is never reached; a chunk that holds everything


def textbook_batch_norm(x, gamma, beta, running_mean, running_var, training, residual=None, **settings):
    """The plain twin with the signature of ops.batch_norm."""
    buffers = {"running_mean": running_mean, "running_var": running_var, "training": training}
    return textbook.batch_norm(x, gamma, beta, residual, **buffers, **settings)


def windows_of_floats(_, x, kernel, stride):
    """The windows as CuPy gets them: with a run as an axis of numbers, not as one item."""
    return conv_windows(SimpleNamespace(lib=np.lib), x, kernel, stride)


conv_windows = conv.windows
EVERYTHING = "all: textbook convolution, batch norm and max-pool"
TEXTBOOK = {"conv2d": textbook.conv2d, "max_pool2d": textbook.max_pool2d, "batch_norm": textbook_batch_norm}


def sum_rows(rows, total, chunk):
    """Column sums as everybody writes them."""
    total += chunk.sum(axis=0)


patch = mock.patch.object
IDEAS = {  # what is undone: how
    "nothing": [],
    EVERYTHING: [patch(ops, name, twin) for name, twin in TEXTBOOK.items()],
    "fast convolution": [patch(ops, "conv2d", textbook.conv2d)],
    "fused batch norm": [patch(ops, "batch_norm", textbook_batch_norm)],
    "max-pool from stacks": [patch(ops, "max_pool2d", textbook.max_pool2d)],
    "Winograd's convolution": [patch(winograd, "suits", return_value=False)],
    "runs copied as one item": [patch(conv, "windows", windows_of_floats)],
    "chunks that stay in the cache": [patch(module, "CHUNK_VALUES", WHOLE) for module in (conv, winograd)],
    "small GEMMs without repacking": [patch(gemm, "SMALL_GEMM", 0)],
    "one im2col for both gradients": [patch(Conv2d, "backward_stride_one", Conv2d.backward_any_stride)],
    "windows clipped to tiny images": [patch(Conv2d, "mostly_border", return_value=False)],
    "channels repeated to long rows": [patch(norm, "ROW_VALUES", 1)],
    "batch norm in chunks": [patch(norm, "CHUNK_VALUES", WHOLE)],
    "column sums as a matrix product": [patch(norm.Rows, "add_rows", sum_rows)],
}


def with_undone(name, function):
    """The same function, run with an idea undone."""

    def run():
        with contextlib.ExitStack() as stack:
            for undone in IDEAS[name]:
                stack.enter_context(undone)
            function()

    return run
