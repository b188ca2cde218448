"""Run CUDA kernels without a GPU, to test them: a C++ compiler takes their text behind `shim.h`.

A module is called as CuPy's RawModule is, with NumPy arrays:

    text = '''extern "C" __global__ void twice(const float* x, float* y, int n) {
                  int i = blockIdx.x * blockDim.x + threadIdx.x;
                  if (i < n) y[i] = 2 * x[i];
              }'''
    x, y = np.arange(5, dtype=np.float32), np.empty(5, np.float32)
    CpuModule(text).get_function("twice")((1,), (32,), (x, y, np.int32(5)))

It is strict where a GPU is silent. Each call runs the kernel three times, its threads one after the other in three
orders, and raises KernelError if

- the results differ: threads race, a barrier is missing;
- not all threads of a block come to the same barrier;
- something was written outside an array.

Reading outside an array gives NaN or 3e38, reading shared memory that nobody has written gives NaN: seen when the
result is compared with NumPy's.

What it cannot see: between two barriers a thread is never interrupted, so `sum[0] += x` looks right here and needs
atomicAdd on a GPU. It knows no half precision, and says nothing about time; `counting.py` counts reads and writes.
A pointer that is wildly wrong ends Python.

It needs a C++ compiler: g++ on Linux, or `pip install ziglang` anywhere (the extra `kernels`: a compiler in a
wheel), whose first kernel takes longer: 12 seconds on a quiet machine. Tried on Linux with both. What differs on
Windows and macOS was compiled for them; one kernel's library ran right under Wine, called from C. That for macOS
never ran.
"""

import ctypes
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tinyhpe.errors import InputError
from tinyhpe.files import cache_folder, written_by_rename

SHIM = Path(__file__).with_name("shim.h")
COUNTING = Path(__file__).with_name("counting.h")
FLAGS = ["-std=c++14", "-O1", "-shared", "-s", "-fPIC", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-w"]
# C++ is C's library and no more here, so that zig need not build C++'s; and as g++ does, it is to trap nothing
ZIG = [sys.executable, "-m", "ziglang", "c++", "-nostdlib++", "-fno-sanitize=undefined"]
# reads and writes as the text has them, not as an optimizer leaves them; the library that they are for is left out
COUNTED_BY_GXX = ["-O0", "-fsanitize=thread", "-nodefaultlibs"]
COUNTED_BY_ZIG = ["-O0", "-Xclang", "-fsanitize=thread", "-mllvm", "-tsan-instrument-read-before-write"]
USER = os.getuid() if hasattr(os, "getuid") else None  # Windows keeps a cache of each user apart
ORDERS = ("ascending", "descending", "shuffled")  # 0, 1, 2 in shim.h
GUARD_BYTES = 1 << 16  # on each side of an array: what one block without a bounds check writes is seen
# every byte there: a NaN beside what is read; 3e38 beside what is written, so that a NaN written there is seen
READ_POISON, WRITTEN_POISON = 0xFF, 0x7F

KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\(.*?\)\s*)?(\w+)\s*\(([^)]*)\)')
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]")
DTYPES = {
    "bool": np.bool_,
    "unsigned char": np.uint8,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "float": np.float32,
    "double": np.float64,
}


class KernelError(RuntimeError):
    """A kernel does not compile, or did what a kernel must not do."""


class CpuModule:
    """CUDA text, compiled for the CPU. Stands in for cupy.RawModule(code=text).

    Args:
        text: CUDA C; its kernels are `extern "C" __global__ void name(...)`.
        counted: compile it for counting.py.

    Raises:
        KernelError: the compiler does not accept it; the message has its line numbers.
        InputError: there is no compiler, or the cache folder cannot be written.
    """

    def __init__(self, text, counted=False):
        self.parameters = kernel_parameters(text)
        self.library = ctypes.CDLL(str(build(cpp_text(text, self.parameters, counted), counted)))

    def get_function(self, name):
        """Return the kernel as a function (grid, block, args, shared_mem=0), as CuPy does.

        grid, block: tuples of 1 to 3 ints. args: C-contiguous arrays and NumPy scalars, of exactly the types that
        the kernel declares. shared_mem: bytes for its `extern __shared__` array.
        """
        if name not in self.parameters:
            raise KernelError(f"there is no kernel {name} in this text, only: {', '.join(self.parameters)}")
        run = getattr(self.library, f"run_{name}")
        run.restype = ctypes.c_char_p
        return functools.partial(call, name, run, self.parameters[name])


def kernel_parameters(text):
    """Read the kernels' signatures: {name: [(type as written without *, is it a pointer, is it const)]}."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return {name: [parse_parameter(name, p) for p in listed.split(",")] for name, listed in KERNEL.findall(text)}


def parse_parameter(kernel, declaration):
    """Return (base type, is a pointer, is const) of a parameter such as `const float* __restrict__ x`."""
    *words, _ = [w for w in declaration.replace("*", " ").split() if w != "__restrict__"]
    base = " ".join(w for w in words if w != "const")
    if base not in DTYPES:
        raise KernelError(f"{kernel}: parameter `{declaration.strip()}`: the emulator knows {', '.join(DTYPES)}")
    return base, "*" in declaration, "const" in words


def cpp_text(text, parameters, counted=False):
    """The text behind the shim, and for each kernel a C function that the Python side can call."""
    exports = []
    for name, types in parameters.items():
        casts = [f"*({base}{'*' * pointer}*)args[{i}]" for i, (base, pointer, _) in enumerate(types)]
        exports.append(f"EXPORT_KERNEL({name}, {', '.join(casts)})")
    text = DYNAMIC_SHARED.sub(r"\1* const \2 = (\1*)emulator::dynamic_shared", text)
    headers = [path.read_text(encoding="utf-8") for path in ([SHIM, COUNTING] if counted else [SHIM])]
    return "\n".join([*headers, '#line 1 "kernels.cu"', text, *exports])


def compiler(counted=False):
    """The command that compiles C++ from standard input on this machine.

    Raises:
        InputError: there is no compiler.
    """
    if sys.platform.startswith("linux") and shutil.which("g++"):
        command = ["g++", *FLAGS, *(COUNTED_BY_GXX if counted else [])]
    elif importlib.util.find_spec("ziglang"):
        command = [*ZIG, *FLAGS, *(COUNTED_BY_ZIG if counted else [])]
    else:
        raise InputError("running CUDA kernels on the CPU needs a C++ compiler; run pip install ziglang")
    return [*command, "-x", "c++", "-"]


def build(code, counted=False):
    """Compile C++ into a shared library, unless that was done before; return its path."""
    folder = cache_folder() / f"emulator-{USER}"
    library = folder / f"{hashlib.sha256(repr((FLAGS, counted, code)).encode()).hexdigest()[:20]}.so"
    if library.exists():
        check_ours(folder)
        return library
    command, zig_cache = compiler(counted), folder / "zig"
    if command[0] != "g++" and not zig_cache.exists():
        print("compiling a first kernel with ziglang: 12 seconds or more, this once", file=sys.stderr)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error}; name another with TINYHPE_CACHE") from error
    check_ours(folder)
    settings = os.environ | dict.fromkeys(["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"], str(zig_cache))
    settings["LC_ALL"] = "C"  # messages in English, and in ASCII
    with tempfile.TemporaryDirectory() as workplace:
        built = Path(workplace) / library.name
        command += ["-o", str(built)]
        result = subprocess.run(command, input=code, encoding="utf-8", capture_output=True, env=settings)
        if result.returncode != 0:
            raise KernelError(f"kernels.cu does not compile:\n{result.stderr}")
        with written_by_rename(library) as file:
            file.write(built.read_bytes())
    return library


def check_ours(folder):
    """Raise InputError if others may put a library into the folder: its code would run as ours."""
    status = folder.stat()
    if USER is not None and (status.st_uid != USER or status.st_mode & 0o022):
        raise InputError(f"others can write to {folder}: remove it, or name another folder with TINYHPE_CACHE")


class GuardedArray:
    """A copy of an array with poison on both sides of it."""

    def __init__(self, array, poison):
        self.poison = poison
        self.memory = np.full(array.nbytes + 2 * GUARD_BYTES, poison, np.uint8)
        self.copy = self.memory[GUARD_BYTES:-GUARD_BYTES].view(array.dtype).reshape(array.shape)
        self.copy[...] = array

    def is_whole(self):
        """Whether the poison is untouched."""
        sides = self.memory[:GUARD_BYTES], self.memory[-GUARD_BYTES:]
        return all((side == self.poison).all() for side in sides)


def call(name, run, parameters, grid, block, args, shared_mem=0):
    """Run a kernel in every order of its threads; then copy what it wrote into the arrays among `args`."""
    check_arguments(name, parameters, args)
    if not 0 < np.prod(block) <= 1024:
        raise ValueError(f"{name}: a block of {block} threads; 1 to 1024 are possible")
    written = {id(a): a for a, (_, pointer, const) in zip(args, parameters, strict=True) if pointer and not const}
    first = None
    for number, order in enumerate(ORDERS):
        guarded = {
            id(arg): GuardedArray(arg, WRITTEN_POISON if id(arg) in written else READ_POISON)
            for arg in args
            if isinstance(arg, np.ndarray)
        }
        problem = launch(run, grid, block, number, shared_mem, guarded, args)
        if problem:
            raise KernelError(f"{name}: {problem}")
        for position, arg in enumerate(args):
            if isinstance(arg, np.ndarray) and not guarded[id(arg)].is_whole():
                raise KernelError(f"{name}: a thread wrote outside argument {position}; check its index")
        results = [guarded[key].copy for key in written]
        first = first or results
        if not all(map(same, first, results)):
            raise KernelError(
                f"{name}: the result is another one when the threads run in {order} order: "
                "one reads what another writes; is a __syncthreads() missing?"
            )
    for array, result in zip(written.values(), first, strict=True):
        array[...] = result


def same(a, b):
    """Whether two results are equal; floats up to the rounding that another order of atomic additions brings."""
    if a.dtype.kind != "f":
        return (a == b).all()
    return np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)


def check_arguments(name, parameters, args):
    """Raise TypeError or ValueError unless a GPU would read the arguments as the kernel declares them."""
    if len(args) != len(parameters):
        raise TypeError(f"{name} takes {len(parameters)} arguments, {len(args)} were given")
    for number, (arg, (base, pointer, _)) in enumerate(zip(args, parameters, strict=True)):
        where, wanted = f"{name}: argument {number}", np.dtype(DTYPES[base])
        if not isinstance(arg, np.ndarray if pointer else np.generic) or arg.dtype != wanted:
            found = f"{type(arg).__name__} of {getattr(arg, 'dtype', 'Python')}"
            needed = (
                f"an array of {wanted}"
                if pointer
                else f"np.{wanted}(...), since CuPy passes any Python number as 8 bytes"
            )
            raise TypeError(f"{where} is {found}; the kernel takes {needed}")
        if pointer and not arg.flags.c_contiguous:
            raise ValueError(f"{where} is not C-contiguous, and a kernel sees no strides; copy it first")


def launch(run, grid, block, order, shared_mem, guarded, args):
    """Call the compiled kernel once on the guarded copies; return what went wrong as a text, or ""."""
    values = [np.array(guarded[id(a)].copy.ctypes.data if isinstance(a, np.ndarray) else a) for a in args]
    pointers = (ctypes.c_void_p * len(values))(*[value.ctypes.data for value in values])
    # a grid of 0 becomes 1, as in CuPy: kernels must check their bounds
    sizes = [(ctypes.c_uint * 3)(*[max(1, n) for n in (*size, 1, 1)[:3]]) for size in (grid, block)]
    return run(pointers, *sizes, order, shared_mem).decode()
