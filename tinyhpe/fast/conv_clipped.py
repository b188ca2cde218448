"""Convolution of tiny images, such as the 2x2 pixels at the end of a ResNet: no zeros of the border multiplied.

There more than half of an im2col matrix would be border. Here it is one product for each output pixel, of the part
of its window that lies in the image.
"""

import functools

import numpy as np

from tinyhpe.ops.windows import output_length


class ClippedConv:
    """A way of Conv2d for images of a few pixels."""

    def suits(op, xp, x, weight):
        op.output_shape(x, weight)  # raises where no window fits
        return xp is np and x.dtype.char in "fd" and mostly_border(x.shape, len(weight), op.stride, op.padding)

    def forward(op, xp, x, weight):
        op.x, op.weight = x, weight
        y = np.empty(op.output_shape(x, weight), x.dtype)
        for pixel, inside, taps in clipped_windows(op):
            matrix = weight[taps].reshape(-1, y.shape[3])
            y[pixel] = x[inside].reshape(len(x), len(matrix)) @ matrix
        return y

    def backward(op, xp, g):
        x, weight = op.x, op.weight
        dx, dw = np.zeros(x.shape, x.dtype), np.zeros(weight.shape, weight.dtype)
        for pixel, inside, taps in clipped_windows(op):
            window, matrix = x[inside], weight[taps].reshape(-1, g.shape[3])
            dx[inside] += (g[pixel] @ matrix.T).reshape(window.shape)
            dw[taps] += (window.reshape(len(x), len(matrix)).T @ g[pixel]).reshape(weight[taps].shape)
        return dx, dw


@functools.cache
def mostly_border(shape, kernel, stride, padding):
    """Whether more than half of an im2col matrix would be zeros of the border: 56 % for 2x2 pixels, k = 3."""
    places = covered = 1
    for length in shape[1:3]:
        parts = [inside.stop - inside.start for inside, _ in clipped(length, kernel, stride, padding)]
        places, covered = places * kernel * len(parts), covered * sum(parts)
    return 2 * covered < places


def clipped_windows(op):
    """Yield, for each output pixel, its index in y, and the indices of its window in x and in the weights."""
    rows, columns = (clipped(length, len(op.weight), op.stride, op.padding) for length in op.x.shape[1:3])
    for h, (h_inside, h_taps) in enumerate(rows):
        for w, (w_inside, w_taps) in enumerate(columns):
            yield np.s_[:, h, w], np.s_[:, h_inside, w_inside], np.s_[h_taps, w_taps]


@functools.cache
def clipped(length, kernel, stride, padding):
    """For each window along an axis: the slice of the axis that it covers, and the slice of the kernel on it."""
    slices = []
    for number in range(output_length(length, kernel, stride, padding)):
        first = number * stride - padding
        low = max(0, first)
        high = max(low, min(length, first + kernel))
        slices.append((slice(low, high), slice(low - first, high - first)))
    return tuple(slices)
