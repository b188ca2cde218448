"""Compile CUDA text for real GPUs, without one: NVRTC, NVIDIA's compiler as a library.

The wheel `nvidia-cuda-nvrtc` (or `nvidia-cuda-nvrtc-cu12`) is all that it needs: no GPU, no driver, no toolkit.

    from tinyhpe.fast.cuda.emulator import nvrtc
    for name, use in nvrtc.compile_text(text, "sm_75").items():
        print(f"{name}: {use.registers} registers, {use.spilled_bytes} bytes spilled")
"""

import ctypes
import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

from tinyhpe.fast.cuda.emulator import KernelError

# what ptxas -v prints of each kernel: its name, spilled bytes stored, spilled bytes loaded, registers
REPORT = re.compile(
    r"entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers", re.DOTALL
)


class Resources(NamedTuple):
    """What one thread of a kernel takes. Fewer registers let more threads run at a time."""

    registers: int
    spilled_bytes: int  # stored to and loaded from slow memory, because the registers did not suffice


@functools.cache
def load_library():
    """Load NVRTC from its wheel.

    Returns:
        (library, "") or (None, the reason as a text for the user).
    """
    package = importlib.util.find_spec("nvidia")
    folders = package.submodule_search_locations if package else []
    found = [path for folder in folders for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*"))]
    if not found:
        return None, "NVRTC is not installed; run pip install nvidia-cuda-nvrtc (Linux)"
    try:
        for needed in found[-1].parent.glob("libnvrtc-builtins.so.*"):  # which NVRTC itself may not find
            ctypes.CDLL(str(needed))
        return ctypes.CDLL(str(found[-1])), ""
    except OSError as error:
        return None, f"NVRTC was found but does not load: {error}"


def compile_text(text, architecture):
    """Compile CUDA text down to machine code.

    Args:
        text: CUDA C without includes.
        architecture: "sm_75" (Turing: T4, RTX 20), "sm_80" (A100), "sm_90" (H100) ...

    Returns:
        {name of each kernel: Resources}.

    Raises:
        RuntimeError: NVRTC is missing (see load_library).
        KernelError: the text does not compile; with the compiler's messages and line numbers.
    """
    library, reason = load_library()
    if library is None:
        raise RuntimeError(reason)
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
    try:
        options = [f"--gpu-architecture={architecture}".encode(), b"--ptxas-options=-v"]
        status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = program_log(library, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    if status != 0:
        raise KernelError(f"kernels.cu does not compile for {architecture}:\n{log}")
    return {
        name: Resources(int(registers), int(stored) + int(loaded))
        for name, stored, loaded, registers in REPORT.findall(log)
    }


def program_log(library, program):
    """What the compiler printed."""
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    return log.value.decode()
