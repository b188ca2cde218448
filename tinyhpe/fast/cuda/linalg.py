"""Products of two matrices on a GPU."""

from tinyhpe import backend
from tinyhpe.fast.cuda.launch import CudaWay
from tinyhpe.fast.cuda.precision import factor_dtype


class CudaMatMul(CudaWay):
    """A way of MatMul of two matrices; stacks of them are multiplied by CuPy, in float32."""

    def suits(op, xp, a, b):
        return a.ndim == b.ndim == 2 and CudaWay.suits(op, xp, a)

    def forward(op, xp, a, b):
        op.check_shapes(a, b)
        op.a, op.b = (array.astype(factor_dtype(), copy=False) for array in (a, b))
        return product(op.a, op.b)

    def backward(op, xp, g):
        g = g.astype(op.a.dtype, copy=False)
        return (
            product(g, op.b.T) if op.needs[0] else None,
            product(op.a.T, g) if op.needs[1] else None,
        )


def product(a, b, out=None):
    """a @ b of two matrices on a GPU, both float32 or both float16.

    Args:
        out: C-contiguous float32 matrix to be filled.

    Returns:
        `out`, or a new float32 matrix.
    """
    from tinyhpe.fast.cuda.cublas import cublas  # here: it needs ctypes, and a Python in a browser may have none

    if out is None:
        out = backend.array_module(a, b).empty((a.shape[0], b.shape[1]), "float32")
    cublas().multiply(a, b, out)
    return out
