"""CUDA graphs: the many orders of a training step, given once and repeated with a single one.

A step of a small network is hundreds of kernels of a few microseconds each. To order one takes Python and CuPy
longer than that, so the GPU waits for orders. A graph is the list of them, which the GPU keeps: which kernel, on
which addresses, with which numbers. So whatever changes from step to step must be in the GPU's memory.
"""

import contextlib
import warnings

from tinyhpe import backend
from tinyhpe.errors import is_out_of_memory


class CudaGraph:
    """A function of arrays on a GPU that is recorded at its second call, and from then on replayed.

    The first call is an ordinary one: it compiles kernels and fills caches, which a recording cannot hold. If the
    second cannot be recorded either, it warns, and all calls are ordinary ones.

    Args:
        function: takes arrays, returns one array, and
            - always does the same with arrays of the same shapes;
            - keeps what it needs from one call to the next in arrays on the GPU, changed in place, never replaced;
            - neither waits for the GPU nor copies from or to the processor's memory.
            What it does besides, in Python, is done by the first two calls only.
    """

    def __init__(self, function):
        self.function, self.calls, self.graph = function, 0, None

    def __call__(self, *arrays):
        """function(*arrays), a new array; the arrays must have the shapes of the first call."""
        self.calls += 1
        if self.calls == 2:
            self.try_to_record(arrays)
        if self.graph is None:
            return self.function(*arrays)
        for recorded, array in zip(self.inputs, arrays, strict=True):
            recorded[...] = array
        self.graph.launch()
        return self.output.copy()

    def try_to_record(self, arrays):
        """record(), or a warning."""
        try:
            self.record(arrays)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            warnings.warn(f"no CUDA graph of the training step, it will be slower: {error}", stacklevel=3)

    def record(self, arrays):
        """Call the function while a stream writes down the orders that it is given, instead of obeying."""
        cupy = backend.device_module("cuda")
        inputs = [cupy.empty_like(array) for array in arrays]
        cupy.get_default_memory_pool().free_all_blocks()  # that the first call used: now it would be twice as much

        def allocate(size):
            """Memory for the pool. At a CUDARuntimeError it would give back what recorded kernels are to use."""
            try:
                return cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)
            except cupy.cuda.runtime.CUDARuntimeError as error:
                raise MemoryError(str(error)) from error

        # What the function frees, its next kernels may use again, as in any step: but nobody else, for ever. So
        # the memory is from a pool that nobody else is given memory from.
        pool, stream = cupy.cuda.MemoryPool(allocate), cupy.cuda.Stream(non_blocking=True)
        with stream, cupy.cuda.using_allocator(pool.malloc):
            stream.begin_capture()
            try:
                output = self.function(*inputs)
            except BaseException:
                with contextlib.suppress(Exception):  # that the recording is broken is known
                    stream.end_capture()
                raise
            self.graph = stream.end_capture()
        self.inputs, self.output, self.pool = inputs, output, pool
