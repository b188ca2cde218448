"""Matrix products on a GPU, by NVIDIA's library cuBLAS. Called directly, since CuPy's `a @ b` stands in our way:

1. it refuses while a CUDA graph is recorded (graph.py);
2. of float16 factors it rounds the sums to float16, too, and they are infinite beyond 65504;
3. it can be asked for TF32 once in a process, and before all else.

cuBLAS reads and writes matrices column by column, NumPy and CuPy row by row: what is C to us is C.T to cuBLAS. And
C.T = B.T @ A.T. So it is given B and A in this order, and nothing must be transposed or copied.
"""

import ctypes
import functools
from ctypes import c_float, c_int, c_size_t, c_void_p

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.fast.cuda.precision import precision

# the numbers that stand for these words in cublas_api.h and library_types.h
AS_IT_IS, TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 2}  # CUDA_R_32F, CUDA_R_16F
FLOAT32, TF32 = 68, 77  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
MATRIX = [c_void_p, c_int, c_int]  # address, type, stride
GEMM_ARGUMENTS = [
    *(c_void_p, c_int, c_int, c_int, c_int, c_int),  # handle, both transpositions, m, n, k
    *(c_void_p, *MATRIX, *MATRIX, c_void_p, *MATRIX),  # alpha, both factors, beta, result
    *(c_int, c_int),  # the type of the sums, the algorithm
]
WORKSPACE_BYTES = 32 << 20  # what NVIDIA's manual advises for its fastest cards


@functools.cache
def cublas():
    """The library, ready for use.

    Raises:
        InputError: there is no usable GPU, or no cuBLAS that works with it.
    """
    cupy = backend.device_module("cuda")
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib  # comes with CuPy, and finds what CuPy finds

        return Cublas(cupy, ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path))
    except MemoryError:
        raise
    except Exception as error:  # whatever cuda.pathfinder, the loader or cuBLAS say: the reason is what matters
        reason = str(error).split("\n")[0]
        raise InputError(
            f"cuBLAS does not work here ({reason}); stay on the device 'cpu', and see `tinyhpe doctor`"
        ) from error


class Cublas:
    """cuBLAS for one GPU: its handle, and memory to work in. (Else cuBLAS would allocate some in a recording.)

    Args:
        library: libcublas as ctypes loads it.
    """

    def __init__(self, cupy, library):
        self.cupy, self.library, self.handle = cupy, library, c_void_p()
        library.cublasGemmEx.argtypes = GEMM_ARGUMENTS
        library.cublasGetStatusName.restype = ctypes.c_char_p
        self.call("cublasCreate_v2", ctypes.byref(self.handle))
        self.workspace = cupy.cuda.alloc(WORKSPACE_BYTES)
        self.one, self.zero = c_float(1), c_float(0)

    def call(self, name, *args):
        """Call a function of the library; raises RuntimeError if it fails."""
        status = getattr(self.library, name)(*args)
        if status:
            raise RuntimeError(f"{name} failed: {self.library.cublasGetStatusName(status).decode()}")

    def multiply(self, a, b, out):
        """out = 1 * a @ b + 0 * out, in CuPy's current stream."""
        if 0 in (*a.shape, *b.shape):
            out[...] = 0
            return
        a, b = (
            array if by_rows(array) or by_rows(array.T) else self.cupy.ascontiguousarray(array) for array in (a, b)
        )
        sums = TF32 if precision() == "tf32" else FLOAT32
        stream = c_void_p(self.cupy.cuda.get_current_stream().ptr)
        self.call("cublasSetStream_v2", self.handle, stream)
        room = c_void_p(self.workspace.ptr), c_size_t(WORKSPACE_BYTES)
        self.call("cublasSetWorkspace_v2", self.handle, *room)  # cublasSetStream makes it use its own again
        shapes = transposition(b), transposition(a), b.shape[1], *a.shape
        one, zero = ctypes.addressof(self.one), ctypes.addressof(self.zero)
        args = one, *described(b), *described(a), zero, *described(out), sums, DEFAULT_ALGORITHM
        self.call("cublasGemmEx", self.handle, *shapes, *args)


def by_rows(matrix):
    """Whether the matrix lies in memory row by row, without gaps."""
    return matrix.flags.c_contiguous


def transposition(matrix):
    """A matrix that lies by rows is already what cuBLAS wants of it, its transpose."""
    return AS_IT_IS if by_rows(matrix) else TRANSPOSED


def described(matrix):
    """Address, type, and how many values there are from one row (or column, if it lies by columns) to the next."""
    return matrix.data.ptr, TYPES[matrix.dtype], matrix.shape[1] if by_rows(matrix) else matrix.shape[0]
