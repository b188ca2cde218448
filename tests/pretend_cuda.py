"""A GPU for machines without one: what the engine uses of CuPy, and of the library cuBLAS, done by the CPU.

The arrays are lesson 1's pretended ones, as strict as CuPy about NumPy arrays that come near them. The kernels are
those of fast/cuda/kernels, run by tinyhpe.fast.cuda.emulator.
"""

import ctypes
from ctypes import c_int, c_size_t, c_void_p
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import blas

from tests.test_tensor import pretend_gpu
from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import cublas, launch
from tinyhpe.fast.cuda.emulator import CpuModule


class Recording:
    """The orders that the GPU is given between begin() and end(): written down, and their effects undone.

    So the recorded function has had no effect. Looks at values and copies from the CPU are refused, as by CUDA.
    """

    now = None  # the recording that is under way

    def __init__(self):
        self.orders, self.before = [], []

    @classmethod
    def begin(cls):
        cls.now = cls()

    @classmethod
    def end(cls):
        recording, cls.now = cls.now, None
        for array, values in reversed(recording.before):
            array[...] = values
        return SimpleNamespace(launch=recording.launch)

    @classmethod
    def refuse(cls, what):
        if cls.now:
            raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a graph is recorded")

    def note(self, function, inputs, settings):
        """Write an order down, and what its arrays hold before."""
        inside = [function.__self__] if hasattr(function, "__self__") else []
        for array in arrays_in([*inside, inputs, settings]):
            while isinstance(array.base, np.ndarray):
                array = array.base
            if not any(array is known for known, _ in self.before) and array.flags.writeable:
                self.before.append((array, array.copy()))

    def launch(self):
        for function, inputs, settings, result in self.orders:
            again = function(*inputs, **settings)
            for memory, values in zip(arrays_in(result), arrays_in(again), strict=True):
                if memory.flags.writeable:  # else it is a view
                    memory[...] = values


def arrays_in(value):
    """All arrays in lists and dictionaries of values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in arrays_in(part)]
    return [np.asarray(value)] if isinstance(value, (np.ndarray, np.generic)) else []


def do(function, inputs, settings):
    """Call a function of NumPy arrays on the pretended GPU."""
    recording = Recording.now
    if not recording:
        return function(*inputs, **settings)
    if getattr(function, "__name__", "") in ("item", "tolist"):
        Recording.refuse("a look at a value")
    recording.note(function, inputs, settings)
    result = function(*inputs, **settings)
    result = np.asarray(result) if isinstance(result, np.generic) else result  # memory that can be written to
    recording.orders.append((function, inputs, settings, result))
    return result


def recordable(function):
    """checks.pretend_gpu.on_device, for functions that can be recorded."""
    from checks.pretend_gpu import unwrap, wrap

    def run(*inputs, **settings):
        settings = {name: unwrap(value) for name, value in settings.items()}
        return wrap(do(function, [unwrap(value) for value in inputs], settings))

    return run


def make_recordable(monkeypatch):
    """Let all that the pretended arrays do be recorded."""
    from checks import pretend_gpu

    array = pretend_gpu.PretendArray
    get_item, set_item = recordable(np.ndarray.__getitem__), recordable(np.ndarray.__setitem__)
    monkeypatch.setattr(array, "__getitem__", lambda self, index: get_item(self, index))
    monkeypatch.setattr(array, "__setitem__", lambda self, index, value: set_item(self, index, value))
    get = array.get
    monkeypatch.setattr(array, "get", lambda self: Recording.refuse("a look at values") or get(self))
    monkeypatch.setattr(pretend_gpu, "on_device", recordable)


class EmulatedModule:
    """cupy.RawModule for pretended arrays."""

    launches = []  # noqa: RUF012  the names of the kernels that ran

    def __init__(self, code):
        self.module = CpuModule(code)

    def compile(self):
        pass

    def get_function(self, name):
        function = recordable(self.module.get_function(name))

        def run(grid, block, args):
            self.launches.append(name)
            function(grid, block, list(args))

        return run


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def cupy(request, monkeypatch):
    """The module of the device's arrays. Its empty() gives NaN, so that an output that nobody writes is seen."""
    if request.param == "gpu":
        module, reason = backend.probe_cuda()
        if module is None:
            pytest.skip(reason)
        monkeypatch.setattr(module, "empty", poisoned(module.empty))
        yield module
        return
    with pretend_gpu(monkeypatch) as module:
        make_recordable(monkeypatch)
        complete(module)
        address = property(lambda array: SimpleNamespace(ptr=array.on_device.ctypes.data))
        monkeypatch.setattr(module.ndarray, "data", address, raising=False)
        monkeypatch.setattr(backend, "probe_cuda", lambda: (module, ""))
        library = cublas.Cublas(module, PretendCublas())
        monkeypatch.setattr(cublas, "cublas", lambda: library)
        monkeypatch.setattr(EmulatedModule, "launches", [])
        launch.module.cache_clear()
        try:
            launch.module()
        except InputError as reason:
            pytest.skip(str(reason))
        yield module
        launch.module.cache_clear()


def complete(module):
    """What the lesson can do without."""
    as_array = module.asarray

    def asarray(value, dtype=None):
        if not isinstance(value, module.ndarray):
            Recording.refuse("a copy from the CPU")
        return as_array(value, dtype)

    def array(value, dtype=None, order="K"):
        return recordable(np.array)(asarray(value), dtype, order=order)

    module.asarray, module.array = asarray, array
    module.empty, module.RawModule, module.add = poisoned(module.empty), EmulatedModule, recordable(np.add)
    module.add.at = recordable(np.add.at)
    module.lib = SimpleNamespace(
        stride_tricks=SimpleNamespace(sliding_window_view=recordable(sliding_window_view))
    )
    module.get_default_memory_pool = mock.MagicMock()
    module.cuda = mock.MagicMock(
        Device=lambda: SimpleNamespace(compute_capability="80"),
        alloc=lambda size: SimpleNamespace(ptr=1),
        get_current_stream=lambda: mock.MagicMock(ptr=1),
        alloc_pinned_memory=bytearray,
        Stream=lambda non_blocking: mock.MagicMock(begin_capture=Recording.begin, end_capture=Recording.end),
    )


def poisoned(empty):
    def empty_with_nan(*args, **settings):
        array = empty(*args, **settings)
        array[...] = np.nan if array.dtype.kind == "f" else 255
        return array

    return empty_with_nan


class PretendCublas:
    """libcublas, as NVIDIA's manual says that it is called: matrices column by column, in memory of the CPU."""

    DTYPES = {0: np.float32, 2: np.float16}  # noqa: RUF012  CUDA_R_32F, CUDA_R_16F

    def __init__(self):
        scalars, operand = [c_void_p, c_int, c_int, c_int, c_int, c_int], [c_void_p, c_int, c_int]
        arguments = [*scalars, c_void_p, *operand, *operand, c_void_p, *operand, c_int, c_int]
        self.cublasCreate_v2 = ctypes.CFUNCTYPE(c_int, c_void_p)(lambda handle: 0)
        self.cublasSetStream_v2 = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)(lambda handle, stream: 0)
        self.cublasSetWorkspace_v2 = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)(lambda *_: 0)
        self.cublasGetStatusName = ctypes.CFUNCTYPE(c_void_p, c_int)(lambda status: ctypes.addressof(self.name))
        self.cublasGemmEx = ctypes.CFUNCTYPE(c_int, *arguments)(self.gemm)
        self.name = ctypes.create_string_buffer(b"CUBLAS_STATUS_INVALID_VALUE")

    def gemm(self, handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, *result):
        """C (m x n) = alpha op(A) op(B) + beta C; A is m x k, or k x m if it is to be transposed, B likewise."""
        c, c_type, ldc, compute_type, algorithm = result
        a_shape, b_shape = (k, m) if transa else (m, k), (n, k) if transb else (k, n)
        strides = (lda, a_shape), (ldb, b_shape), (ldc, (m, n))
        if (c_type, algorithm) != (0, -1) or any(stride < max(1, rows) for stride, (rows, _) in strides):
            return 7  # CUBLAS_STATUS_INVALID_VALUE; an exception would be printed, and taken for success
        factors = self.matrix(a, a_type, lda, *a_shape), self.matrix(b, b_type, ldb, *b_shape)
        if compute_type not in (68, 77):  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32
            return 7
        target = self.matrix(c, c_type, ldc, m, n)
        numbers = [ctypes.cast(place, ctypes.POINTER(ctypes.c_float))[0] for place in (alpha, beta)]
        do(multiply, [target, *numbers, *factors, transa, transb, compute_type == 77], {})
        return 0

    def matrix(self, address, kind, stride, rows, columns):
        """What lies at an address, `stride` values from one column to the next."""
        dtype = np.dtype(self.DTYPES[kind])
        memory = (ctypes.c_char * (stride * columns * dtype.itemsize)).from_address(address)
        return np.frombuffer(memory, dtype).reshape(columns, stride).T[:rows]


def multiply(target, alpha, beta, a, b, transa, transb, tf32):
    """target = alpha op(a) op(b) + beta target, as a Fortran programmer would have it."""
    factors = [rounded_to_tf32(factor) for factor in (a, b)] if tf32 else [a, b]
    product = blas.sgemm(alpha, *factors, trans_a=transa, trans_b=transb)
    target[...] = product if beta == 0 else product + beta * target


def rounded_to_tf32(matrix):
    """float32 with 10 bits after the point instead of 23."""
    bits = np.asfortranarray(matrix, np.float32).view(np.uint32)
    return ((bits + 0x1000) & ~np.uint32(0x1FFF)).view(np.float32)
