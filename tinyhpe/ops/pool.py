"""Pooling over k x k windows, and over whole images. Layout (N, H, W, C)."""

import numpy as np

from tinyhpe.ops.conv import output_length
from tinyhpe.ops.reduce import mean
from tinyhpe.tensor import Op, Sample, apply


def geometries(rng):
    """Samples of kernel, stride and padding with odd and even sizes; all values differ, so no ties."""
    for size, kernel, stride, padding in [
        ((4, 5), 2, 2, 0),
        ((5, 4), 3, 2, 1),
        ((3, 3), 3, 1, 1),
        ((5, 5), 2, 1, 1),
        ((4, 4), 1, 3, 0),
    ]:
        x = rng.permutation(np.arange(4.0 * size[0] * size[1])).reshape(2, *size, 2) / 10
        yield Sample((x,), {"kernel": kernel, "stride": stride, "padding": padding}, analytic=False)


def check_geometry(name, x, kernel, stride, padding):
    """Return (out_h, out_w), or raise if the windows do not fit x."""
    out = tuple(output_length(length, kernel, stride, padding) for length in x.shape[1:3])
    if x.ndim != 4 or min(out) < 1 or 2 * padding > kernel:
        raise ValueError(
            f"{name}: {kernel}x{kernel} windows with padding {padding} do not fit x {x.shape}: x must be "
            "(N, H, W, C), at least as large as the window, and the padding at most half of the window"
        )
    return out


def taps(array, axis, kernel, stride, length):
    """The k strided views of an array along one axis: tap i holds element i of every window."""
    keep = (slice(None),) * axis
    return [array[(*keep, slice(i, i + stride * (length - 1) + 1, stride))] for i in range(kernel)]


class MaxPool2d(Op):
    """The largest value in each window; of equal ones the first (row by row) takes the gradient.

    Separable: the maximum along the rows of each window, then along its columns: 2k instead of k*k steps.
    """

    samples = staticmethod(geometries)

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, xp, x):
        self.out_h, self.out_w = check_geometry("max_pool2d", x, self.kernel, self.stride, self.padding)
        self.x = x
        _, self.row_max = self.pool_rows(xp)
        y = self.maximum(xp, taps(self.row_max, 1, self.kernel, self.stride, self.out_h))
        self.y = y
        return y

    def pool_rows(self, xp):
        """Return x padded with the lowest number, and its maxima along W: (N, H + 2p, out_w, C)."""
        x, p = self.x, self.padding
        padded = xp.full((len(x), x.shape[1] + 2 * p, x.shape[2] + 2 * p, x.shape[3]), -np.inf, x.dtype)
        padded[:, p : p + x.shape[1], p : p + x.shape[2]] = x
        return padded, self.maximum(xp, taps(padded, 2, self.kernel, self.stride, self.out_w))

    def maximum(self, xp, views):
        """The largest of several views, element by element."""
        largest = views[0].copy()
        for view in views[1:]:
            xp.maximum(largest, view, out=largest)
        return largest

    def backward(self, xp, g):
        k, s, p = self.kernel, self.stride, self.padding
        padded, row_max = self.pool_rows(xp)
        d_rows = xp.zeros(row_max.shape, g.dtype)
        self.route(xp, g, self.y, taps(row_max, 1, k, s, self.out_h), taps(d_rows, 1, k, s, self.out_h))
        d_padded = xp.zeros(padded.shape, g.dtype)
        self.route(xp, d_rows, row_max, taps(padded, 2, k, s, self.out_w), taps(d_padded, 2, k, s, self.out_w))
        return (d_padded[:, p : p + self.x.shape[1], p : p + self.x.shape[2]],)

    def route(self, xp, g, largest, views, gradients):
        """Add g to the gradient of the first view that equals the largest value."""
        left = g.copy()  # what no view has taken yet
        for view, gradient in zip(views, gradients, strict=True):
            taken = left * (view == largest)
            gradient += taken
            left -= taken


class AvgPool2d(Op):
    """The mean of each window; zeros of the padding count, as in torch's default."""

    samples = staticmethod(geometries)

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, xp, x):
        out_h, out_w = check_geometry("avg_pool2d", x, self.kernel, self.stride, self.padding)
        p, self.shape = self.padding, x.shape
        padded = xp.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        y = xp.zeros((len(x), out_h, out_w, x.shape[3]), x.dtype)
        for row_view in taps(padded, 1, self.kernel, self.stride, out_h):
            for view in taps(row_view, 2, self.kernel, self.stride, out_w):
                y += view
        return y * (1 / self.kernel**2)

    def backward(self, xp, g):
        count, height, width, channels = self.shape
        p, out_h, out_w = self.padding, g.shape[1], g.shape[2]
        d_padded = xp.zeros((count, height + 2 * p, width + 2 * p, channels), g.dtype)
        share = g * (1 / self.kernel**2)
        for row_view in taps(d_padded, 1, self.kernel, self.stride, out_h):
            for view in taps(row_view, 2, self.kernel, self.stride, out_w):
                view += share
        return (d_padded[:, p : p + height, p : p + width],)


def max_pool2d(x, kernel, stride, padding=0):
    """The largest value in each kernel x kernel window of x (N, H, W, C)."""
    return apply(MaxPool2d(kernel, stride, padding), x)


def avg_pool2d(x, kernel, stride, padding=0):
    """The mean of each kernel x kernel window of x (N, H, W, C)."""
    return apply(AvgPool2d(kernel, stride, padding), x)


def global_avg_pool(x):
    """The mean over each image: (N, H, W, C) -> (N, C)."""
    return mean(x, axis=(1, 2))
