"""Matrix products."""

import numpy as np

from tinyhpe import backend
from tinyhpe.ops.elementwise import unbroadcast
from tinyhpe.tensor import Op, Sample, apply


class MatMul(Op):
    """a @ b for arrays of two or more dimensions; leading axes broadcast."""

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(2, 3)), rng.normal(size=(3, 4))))
        yield Sample((rng.normal(size=(2, 2, 3)), rng.normal(size=(3, 2))))
        yield Sample((rng.normal(size=(2, 1, 2, 3)), rng.normal(size=(3, 3, 2))))
        yield Sample((rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(1, 3, 2))))

    def forward(self, xp, a, b):
        if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(
                f"matmul of shapes {a.shape} and {b.shape}: both need two or more dimensions, and the last "
                "of the first must equal the last but one of the second; reshape or transpose one of them"
            )
        self.a, self.b = a, b
        return a @ b

    def backward(self, xp, g):
        a, b = self.a, self.b
        return (
            unbroadcast(g @ b.swapaxes(-1, -2), a.shape) if self.needs[0] else None,
            unbroadcast(a.swapaxes(-1, -2) @ g, b.shape) if self.needs[1] else None,
        )

    def forward_cuda(self, xp, a, b):
        """Two matrices may be multiplied as float16 (backend.use_float16). CuPy has tensor cores for them only."""
        if a.ndim == b.ndim == 2:
            a, b = (array.astype(backend.factor_dtype, copy=False) for array in (a, b))
        return self.forward(xp, a, b).astype(np.float32, copy=False)

    def backward_cuda(self, xp, g):
        gradients = self.backward(xp, g.astype(self.a.dtype, copy=False))
        return [None if gradient is None else gradient.astype(np.float32, copy=False) for gradient in gradients]


def matmul(a, b):
    """a @ b."""
    return apply(MatMul(), a, b)


def linear(x, weight, bias):
    """x (N, in) @ weight (in, out) + bias (out,)."""
    return matmul(x, weight) + bias
