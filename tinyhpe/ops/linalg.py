"""Matrix products."""

from tinyhpe.ops.elementwise import unbroadcast
from tinyhpe.ops.samples import normal
from tinyhpe.tensor import Op, apply


class MatMul(Op):
    """a @ b for arrays of two or more dimensions; leading axes broadcast."""

    @staticmethod
    def samples(rng):
        yield normal(rng, (2, 3), (3, 4))
        yield normal(rng, (2, 2, 3), (3, 2))
        yield normal(rng, (2, 1, 2, 3), (3, 3, 2))
        yield normal(rng, (2, 3, 2, 3), (1, 3, 2))

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


def matmul(a, b):
    """a @ b."""
    return apply(MatMul(), a, b)


def linear(x, weight, bias):
    """x (N, in) @ weight (in, out) + bias (out,)."""
    return matmul(x, weight) + bias
