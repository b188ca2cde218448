"""Where the windows of a convolution or a pooling lie in memory. Arrays are (N, H, W, C)."""

import functools

import numpy as np


def output_size(name, x, kernel, stride, padding):
    """Return (out_h, out_w) of windows over x (N, H, W, C); `name` is the op's, for the message.

    Raises:
        ValueError: x has not four axes, the settings are no whole numbers in range, or no window fits.
    """
    if not all(isinstance(value, int) and value >= low for value, low in ((kernel, 1), (stride, 1), (padding, 0))):
        raise ValueError(
            f"{name} with kernel {kernel}, stride {stride}, padding {padding}: they must be whole numbers, "
            "kernel and stride 1 or more, padding 0 or more"
        )
    if x.ndim != 4:
        raise ValueError(f"{name} of x {x.shape}: expected images (N, H, W, C); one image is x[None]")
    size = tuple(output_length(length, kernel, stride, padding) for length in x.shape[1:3])
    if min(size) < 1:
        raise ValueError(
            f"{name}: {kernel}x{kernel} windows do not fit an image of {x.shape[1]}x{x.shape[2]} pixels with "
            f"padding {padding}; use a larger image, a smaller kernel, or more padding"
        )
    return size


def output_length(length, kernel, stride, padding):
    """How many windows fit along an axis."""
    return (length + 2 * padding - kernel) // stride + 1


def zero_bordered(xp, shape, dtype, padding):
    """Room for images of a shape (N, H, W, C) inside a border of zeros: (N, H + 2 padding, W + 2 padding, C)."""
    count, height, width, channels = shape
    padded = xp.empty((count, height + 2 * padding, width + 2 * padding, channels), dtype)
    if padding:
        padded[:, :padding] = padded[:, -padding:] = 0
        padded[:, :, :padding] = padded[:, :, -padding:] = 0
    return padded


def windows(xp, x, kernel, stride):
    """View x, contiguous, as windows (N, H_out, W_out, k) of runs, without a copy.

    A run is k*C values that lie side by side: k neighbouring pixels. In NumPy it is one item, which is copied
    at once; in CuPy, which has no such items, it is a further axis.
    """
    out_h, out_w = (output_length(length, kernel, stride, 0) for length in x.shape[1:3])
    n, h, w, c = x.strides
    shape, strides = (len(x), out_h, out_w, kernel), (n, stride * h, stride * w, h)
    if xp is np:
        return np.ndarray(shape, np.dtype((np.void, kernel * x.shape[3] * x.itemsize)), x, 0, strides)
    return xp.lib.stride_tricks.as_strided(x, (*shape, kernel * x.shape[3]), (*strides, c))


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


class Stacks:
    """x inside a border, its columns dealt out to `stride` stacks: every stride-th column is in the same one.

    So the first (second, ...) elements of all windows of a row lie side by side in memory, and NumPy runs over
    them in one long loop instead of one for each pixel.

    Args:
        shape: (N, H, W, C) of x.
        fill: value of the border, and of all else until put() is called.
    """

    def __init__(self, xp, shape, dtype, stride, padding, fill=0):
        count, height, width, channels = shape
        columns = -(-(width + 2 * padding) // stride)
        self.array = xp.full((count, height + 2 * padding, stride, columns, channels), fill, dtype)
        self.stride, self.inside = stride, slice(padding, padding + height)
        self.places = []  # for each stack: its columns inside the border, and the columns of x that they are
        for stack in range(stride):
            first = (stack - padding) % stride
            start = (first + padding) // stride
            length = len(range(first, width, stride))
            self.places.append((slice(start, start + length), slice(first, None, stride)))

    def put(self, x):
        """Fill the inside with x (N, H, W, C)."""
        for stack, (columns, source) in enumerate(self.places):
            self.array[:, self.inside, stack, columns] = x[:, :, source]
        return self

    def take(self, x):
        """Fill x (N, H, W, C) with the inside."""
        for stack, (columns, target) in enumerate(self.places):
            x[:, :, target] = self.array[:, self.inside, stack, columns]
        return x

    def taps(self, kernel, out_h, out_w):
        """The k*k views (N, out_h, out_w, C): the first elements of all windows, the second, ... row by row."""
        s = self.stride
        return [
            self.array[:, i : i + s * (out_h - 1) + 1 : s, j % s, j // s : j // s + out_w]
            for i in range(kernel)
            for j in range(kernel)
        ]
