"""Every differentiable operation. Importing this package gives Tensor its operators (+, @, [] ...) and methods."""

import operator

from tinyhpe.ops.conv import conv2d
from tinyhpe.ops.elementwise import absolute, add, divide, exp, log, multiply, power
from tinyhpe.ops.elementwise import relu, sigmoid, sqrt, subtract, tanh
from tinyhpe.ops.linalg import linear, matmul
from tinyhpe.ops.losses import bce_with_logits, cross_entropy, log_softmax, mse, softmax
from tinyhpe.ops.norm import batch_norm
from tinyhpe.ops.pairs import pairwise_order_loss
from tinyhpe.ops.pool import avg_pool2d, global_avg_pool, max_pool2d
from tinyhpe.ops.reduce import max, mean, sum
from tinyhpe.ops.shape import concatenate, index, reshape, stack, transpose
from tinyhpe.tensor import Tensor


def compare(relation):
    """A comparison of tensors, arrays and numbers: a plain array of truth values, which has no gradient."""

    def compared(self, other):
        return relation(self.data, other.data if isinstance(other, Tensor) else other)

    return compared


for name in "eq", "ne", "lt", "le", "gt", "ge":
    setattr(Tensor, f"__{name}__", compare(getattr(operator, name)))
for function in exp, log, log_softmax, max, mean, relu, reshape, sigmoid, softmax, sqrt, sum, tanh, transpose:
    setattr(Tensor, function.__name__, function)

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__ = subtract
Tensor.__rsub__ = lambda self, other: subtract(other, self)
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__truediv__ = divide
Tensor.__rtruediv__ = lambda self, other: divide(other, self)
Tensor.__pow__ = power
Tensor.__neg__ = lambda self: multiply(self, -1)
Tensor.__abs__ = absolute
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)
Tensor.__getitem__ = index
Tensor.__len__ = lambda self: len(self.data)
Tensor.__bool__ = lambda self: bool(self.data)
Tensor.__float__ = lambda self: float(self.item())
Tensor.T = property(transpose)
