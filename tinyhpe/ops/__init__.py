"""Every differentiable operation. Importing this package gives Tensor its operators (+, @, [] ...)."""

from tinyhpe.ops.conv import conv2d
from tinyhpe.ops.elementwise import absolute, add, divide, exp, log, multiply, power, relu, sigmoid, subtract
from tinyhpe.ops.linalg import linear, matmul
from tinyhpe.ops.losses import bce_with_logits, cross_entropy, log_softmax, mse, softmax
from tinyhpe.ops.norm import batch_norm
from tinyhpe.ops.pairs import pairwise_order_loss, pairwise_same_loss
from tinyhpe.ops.pool import avg_pool2d, global_avg_pool, max_pool2d
from tinyhpe.ops.reduce import max, mean, sum, vector_norm
from tinyhpe.ops.shape import concatenate, index, pad, reshape, transpose
from tinyhpe.tensor import Tensor

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__ = subtract
Tensor.__rsub__ = lambda self, other: subtract(other, self)
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__truediv__ = divide
Tensor.__rtruediv__ = lambda self, other: divide(other, self)
Tensor.__pow__ = power
Tensor.__neg__ = lambda self: multiply(self, -1)
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)
Tensor.__getitem__ = index
Tensor.sum = sum
Tensor.mean = mean
Tensor.max = max
Tensor.reshape = reshape
Tensor.transpose = transpose

__all__ = [
    "absolute",
    "add",
    "avg_pool2d",
    "batch_norm",
    "bce_with_logits",
    "concatenate",
    "conv2d",
    "cross_entropy",
    "divide",
    "exp",
    "global_avg_pool",
    "index",
    "linear",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "mean",
    "mse",
    "multiply",
    "pad",
    "pairwise_order_loss",
    "pairwise_same_loss",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "subtract",
    "sum",
    "transpose",
    "vector_norm",
]
