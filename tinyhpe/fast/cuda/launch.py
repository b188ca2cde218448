"""Calling kernels: their text, kernels/*.cu, is compiled once for the GPU of this machine.

The functions that launch a family of kernels are in the file of its name beside this one, with the ops' ways that
use them. All arrays are C-contiguous, and float32 unless a docstring says otherwise; a kernel sees only a pointer,
so every function checks them and raises TypeError or ValueError.

To change a kernel, no GPU is needed. Change it in kernels/, and the function that launches it if its arguments
change. Then

    python -m pytest tests/test_kernels.py     runs it on the CPU, and compares with what the ops do in float64
    python -m pytest tests/test_emulator.py    compiles it for real GPUs (sm_75, sm_80, sm_90): registers, spills
    python -m pytest tests/test_cuda.py        runs ops and a step of training with it

g++ names the line that it does not understand; emulator/ says what else is seen, and what is not. A new kernel
needs a function that launches it and a test beside the others. Where there is a GPU, `.ci/gpu` runs the same tests
there, then compute-sanitizer (memcheck, racecheck) over them, and the bench.
"""

import functools
from pathlib import Path

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError

FOLDER = Path(__file__).with_name("kernels")
FAMILIES = ("common", "conv", "pool", "norm", "pairs", "adam")  # common.cu is used by the others
THREADS = 256  # of a block, as in common.cu


class CudaWay:
    """Base of the ways on a GPU: they are for arrays of float32."""

    def suits(op, xp, *arrays):
        return xp is not np and arrays[0].dtype == np.float32


def source():
    """The text of all kernels; #line lets a compiler name the file and the line in it."""
    texts = {name: (FOLDER / f"{name}.cu").read_text(encoding="utf-8") for name in FAMILIES}
    return "".join(f'#line 1 "{name}.cu"\n{text}' for name, text in texts.items())


@functools.cache
def module():
    """Compile the kernels for the GPU of this machine, once.

    Raises:
        InputError: there is no usable GPU, or the kernels do not compile for it.
    """
    cupy = backend.device_module("cuda")
    compiled = cupy.RawModule(code=source())
    try:
        compiled.compile()
    except Exception as error:  # whatever CuPy, NVRTC or the driver raise: the reason is what matters
        reason = next((line for line in str(error).splitlines() if "error" in line), str(error)).strip()
        raise InputError(
            f"the CUDA kernels do not compile here ({reason}); stay on the device 'cpu', and see `tinyhpe doctor`"
        ) from error
    return compiled


def check(dtype, shape, **arrays):
    """Raise unless every array is of this dtype and shape, and C-contiguous."""
    for name, array in arrays.items():
        if array.dtype != dtype:
            raise TypeError(f"{name} is {array.dtype}, the CUDA kernel reads {np.dtype(dtype)}: convert it first")
        if array.shape != tuple(shape):
            raise ValueError(f"{name} has the shape {array.shape}, the CUDA kernel reads {tuple(shape)}")
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} is not C-contiguous, and a CUDA kernel sees no strides: copy it first")


def launch(name, grid, block, *args):
    """Run a kernel. CuPy would pass a Python number as 8 bytes; our kernels take int and float, of 4."""
    exact = [np.int32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float) else a for a in args]
    find_kernel(module(), name)(grid, block, tuple(exact))


@functools.cache
def find_kernel(compiled, name):
    """A kernel of the module. (CuPy would make a new object for it at every call.)"""
    return compiled.get_function(name)


def launch_each(name, count, *args):
    """Run a kernel that has one thread for each of `count` values."""
    launch(name, (-(-count // THREADS),), (THREADS,), *args)
