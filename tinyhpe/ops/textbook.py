"""The plain twin of every fast op: the formula as a textbook has it, made of elementary ops.

Slow, short, and differentiated by the tape: so each twin is an oracle for its fast op's value *and*
gradient. `TWINS` says which belongs to which; the tests compare them on every sample.
"""

from tinyhpe.ops import elementwise
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.elementwise import exp, log, power, sigmoid
from tinyhpe.ops.losses import BCEWithLogits, LogSoftmax
from tinyhpe.ops.norm import BatchNorm
from tinyhpe.ops.pairs import PairwiseOrder
from tinyhpe.ops.pool import AvgPool2d, MaxPool2d
from tinyhpe.ops.reduce import VectorNorm, max, mean, sum
from tinyhpe.ops.shape import concatenate, pad, reshape
from tinyhpe.ops.windows import output_length
from tinyhpe.tensor import Tensor


def window_taps(x, kernel, stride):
    """For each of the k*k places in a window: the pixels at that place, (N, H_out, W_out, C)."""
    out_h, out_w = (output_length(length, kernel, stride, 0) for length in x.shape[1:3])
    return [
        x[:, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]


def conv2d(x, weight, stride=1, padding=0):
    """Sum over the window of pixel @ weight."""
    kernel = weight.shape[0]
    matrices = reshape(weight, (kernel * kernel, *weight.shape[2:]))
    total = 0
    for place, tap in enumerate(window_taps(pad(x, padding), kernel, stride)):
        total = tap @ matrices[place] + total
    return total


def batch_norm(x, gamma, beta, residual=None, *, running_mean, running_var, training, eps=1e-5, relu=False):
    """The formula of the paper, one whole array after another. (The running statistics stay as they are.)"""
    mu, var = Tensor(running_mean), Tensor(running_var)
    if training:
        axes = tuple(range(x.ndim - 1))
        mu = mean(x, axes)
        var = mean(power(x - mu, 2), axes)
    y = gamma * (x - mu) / power(var + eps, 0.5) + beta
    y = y if residual is None else y + residual
    return elementwise.relu(y) if relu else y


def max_pool2d(x, kernel, stride, padding=0):
    """All taps side by side, then the maximum over them. (Padding with a number below all others.)"""
    low = float(x.data.min()) - 1
    return max(taps_side_by_side(pad(x - low, padding), kernel, stride), axis=0) + low


def avg_pool2d(x, kernel, stride, padding=0):
    """All taps side by side, then their mean."""
    return mean(taps_side_by_side(pad(x, padding), kernel, stride), axis=0)


def taps_side_by_side(x, kernel, stride):
    """(k*k, N, H_out, W_out, C)."""
    return concatenate([tap[None] for tap in window_taps(x, kernel, stride)])


def binary_cross_entropy(z, targets):
    """-t log p - (1 - t) log(1 - p): right, until p rounds to 0 or 1."""
    p = sigmoid(z)
    return -(targets * log(p) + (1 - targets) * log(1 - p))


def log_softmax(z):
    """log(e^z / sum(e^z)): right, until e^z overflows."""
    return log(exp(z) / sum(exp(z), axis=-1, keepdims=True))


def pairwise_order(scores, levels):
    """One pair after another."""
    n = len(levels)
    total = 0
    for i in range(n):
        for j in range(n):
            if i != j:
                target = (levels[i] > levels[j]) + 0.5 * (levels[i] == levels[j])
                total = binary_cross_entropy(scores[i] - scores[j], target.astype(scores.dtype)) + total
    return total * (1 / (n * (n - 1)))


def vector_norm(x, axis):
    """sqrt(sum of x^2): right, until a square overflows; of no gradient at 0."""
    return power(sum(power(x, 2), axis), 0.5)


TWINS = {
    Conv2d: conv2d,
    BatchNorm: batch_norm,
    MaxPool2d: max_pool2d,
    AvgPool2d: avg_pool2d,
    BCEWithLogits: binary_cross_entropy,
    LogSoftmax: log_softmax,
    PairwiseOrder: pairwise_order,
    VectorNorm: vector_norm,
}
