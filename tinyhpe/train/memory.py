"""The memory of a training step: kept for the next one; and when it runs out, what would fit."""

import contextlib
from pathlib import Path

from tinyhpe import backend
from tinyhpe.errors import InputError, is_out_of_memory


def within_memory(step, smaller, count, device):
    """Call step(), one training step of `count` images on "cpu" or "cuda".

    Raises:
        InputError: memory ran out. To say which batch size would fit, smaller(count) is called with halves,
            quarters, ... of the batch until it goes through.
    """
    try:
        step()
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = f"{str(error).rstrip('.') or 'no more to be had'}; {memory_held(device)} held"
    # only here, outside of `except`, the arrays of the failed step are freed
    size = largest_fitting(smaller, count // 2)
    raise InputError(
        f"out of memory in a training step of {count} images ({reason}); "
        + (
            f"a step of {size} was tried and fits: start again with --batch-size {size} and another --out"
            if size
            else "not even a step of 2 fits: use a smaller --net or --input-size"
        )
    )


def largest_fitting(step, size):
    """The largest of size, size / 2, ... with which step() goes through; 0 if 2 images are too many."""
    while size >= 2:
        try:
            step(size)
            return size
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        size //= 2
    return 0


def memory_held(device):
    """What this process holds of the memory of the "cpu", or what is in use of that of the GPU, as a text."""
    if device == "cuda":
        free, total = backend.device_module(device).cuda.runtime.memGetInfo()
        held = total - free
    elif (status := Path("/proc/self/status")).exists():
        lines = status.read_text().splitlines()
        held = 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
    else:
        return "an unknown amount"
    return f"{held / 2**30:.2f} GiB"


def keep_freed_memory():
    """Tell glibc's malloc to keep freed memory for the next training step instead of giving it back to the kernel.

    Else each step's arrays are pages that the kernel must find and clear anew: 15 % of the time of a step of a
    small network. Does nothing where the C library is another one.
    """
    with contextlib.suppress(AttributeError, ImportError, OSError, TypeError):
        import ctypes  # here: a Python in a browser may have none

        mallopt = ctypes.CDLL(None).mallopt  # TypeError on Windows, AttributeError on macOS and musl
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: free memory at the top of the heap that is not given back
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD: smaller arrays come from the heap
