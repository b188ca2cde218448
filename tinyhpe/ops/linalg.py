"""Matrix products."""

from tinyhpe import backend
from tinyhpe.fast.cuda import cublas
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

    def check_shapes(self, a, b):
        """Raise ValueError unless a and b can be multiplied."""
        if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(
                f"matmul of shapes {a.shape} and {b.shape}: both need two or more dimensions, and the last "
                "of the first must equal the last but one of the second; reshape or transpose one of them"
            )

    def forward(self, xp, a, b):
        self.check_shapes(a, b)
        self.a, self.b = a, b
        return a @ b

    def backward(self, xp, g):
        a, b = self.a, self.b
        return (
            unbroadcast(g @ b.swapaxes(-1, -2), a.shape) if self.needs[0] else None,
            unbroadcast(a.swapaxes(-1, -2) @ g, b.shape) if self.needs[1] else None,
        )

    def forward_cuda(self, xp, a, b):
        """Two matrices in the precision of backend.use_precision; stacks of them by CuPy, in float32."""
        self.check_shapes(a, b)
        if a.ndim > 2 or b.ndim > 2:
            return self.forward(xp, a, b)
        self.a, self.b = (array.astype(backend.factor_dtype(), copy=False) for array in (a, b))
        return cublas.product(self.a, self.b)

    def backward_cuda(self, xp, g):
        if self.a.ndim > 2 or self.b.ndim > 2:
            return self.backward(xp, g)
        g = g.astype(self.a.dtype, copy=False)
        return (
            cublas.product(g, self.b.T) if self.needs[0] else None,
            cublas.product(self.a.T, g) if self.needs[1] else None,
        )


def matmul(a, b):
    """a @ b."""
    return apply(MatMul(), a, b)


def linear(x, weight, bias):
    """x (N, in) @ weight (in, out) + bias (out,)."""
    return matmul(x, weight) + bias
