"""Count what the threads of a kernel read and write: the first thing to know about its speed.

    made = count_accesses(text, "twice", (1,), (32,), (x, y, np.int32(5)))
    print(made.global_reads, made.global_bytes)

The kernel runs for real, as CpuModule runs it.
"""

import ctypes
from typing import NamedTuple

import numpy as np

from tinyhpe.fast.cuda.emulator import READ_POISON, CpuModule, GuardedArray, KernelError, check_arguments, launch


class Accesses(NamedTuple):
    """Reads and writes, as the text of the kernel has them; `y[i] += 1` is one of each.

    A compiler for a GPU may leave some out, if it can keep the value in a register.
    """

    global_reads: int  # of arrays given to the kernel: the most of any thread
    global_writes: int
    shared_reads: int  # of __shared__ memory: the most of any thread
    shared_writes: int
    global_bytes: int  # read and written by all threads together


def count_accesses(text, name, grid, block, args, shared_mem=0):
    """Run a kernel on copies of its arrays, and count.

    Args:
        text: CUDA C, as for CpuModule.
        name: the kernel.
        grid, block, args, shared_mem: as for a kernel of CpuModule.

    Returns:
        Accesses.

    Raises:
        KernelError: it does not compile, or stops.
    """
    module = CpuModule(text, counted=True)
    _, run, parameters = module.get_function(name).args
    check_arguments(name, parameters, args)
    guarded = {id(arg): GuardedArray(arg, READ_POISON) for arg in args if isinstance(arg, np.ndarray)}
    arrays = np.array([(g.copy.ctypes.data, g.copy.nbytes) for g in guarded.values()], np.int64)
    counts = np.zeros((int(np.prod(grid) * np.prod(block)), 4), np.int64)
    moved = np.zeros(4, np.int64)  # bytes
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (counts, moved, arrays)]
    module.library.count_into(*pointers, len(arrays))
    problem = launch(run, grid, block, 0, shared_mem, guarded, args)
    if problem:
        raise KernelError(f"{name}: {problem}")
    return Accesses(*map(int, counts.max(axis=0)), int(moved[:2].sum()))
