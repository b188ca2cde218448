"""Products of two matrices on a GPU."""

from tinyhpe.fast.cuda import cublas
from tinyhpe.fast.cuda.launch import CudaWay
from tinyhpe.fast.cuda.precision import factor_dtype


class CudaMatMul(CudaWay):
    """A way of MatMul of two matrices; stacks of them are multiplied by CuPy, in float32."""

    def suits(op, xp, a, b):
        return a.ndim == b.ndim == 2 and CudaWay.suits(op, xp, a)

    def forward(op, xp, a, b):
        op.check_shapes(a, b)
        op.a, op.b = (array.astype(factor_dtype(), copy=False) for array in (a, b))
        return cublas.product(op.a, op.b)

    def backward(op, xp, g):
        g = g.astype(op.a.dtype, copy=False)
        return (
            cublas.product(g, op.b.T) if op.needs[0] else None,
            cublas.product(op.a.T, g) if op.needs[1] else None,
        )
