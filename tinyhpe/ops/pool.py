"""Pooling over k x k windows, and over whole images. Layout (N, H, W, C)."""

import numpy as np

from tinyhpe.ops.reduce import mean, narrowed, widened
from tinyhpe.ops.samples import distinct
from tinyhpe.ops.windows import output_size, pad, taps
from tinyhpe.tensor import Op, Sample, apply


class Pool2d:
    """What both kinds of pooling have in common: the settings, and the way between images and windows."""

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    @staticmethod
    def samples(rng):
        for height, width, kernel, stride, padding in (4, 5, 2, 2, 0), (5, 4, 3, 2, 1), (5, 5, 2, 1, 1):
            settings = {"kernel": kernel, "stride": stride, "padding": padding}
            x = distinct(rng, 2, height, width, 2)  # so there are no ties
            yield Sample((x,), settings, analytic=False)

    def check_geometry(self, x):
        """Return (out_h, out_w), or raise ValueError if the windows do not fit x."""
        size = output_size(type(self).__name__, x, self.kernel, self.stride, self.padding)
        if 2 * self.padding > self.kernel:
            raise ValueError(
                f"{self.kernel}x{self.kernel} windows with padding {self.padding} may hold no pixel of x at all: "
                "the padding must be at most half of the window"
            )
        return size

    def windows(self, xp, x, border):
        """All windows of x, their k * k pixels along a new first axis: (k * k, N, H_out, W_out, C)."""
        self.check_geometry(x)
        self.shape = x.shape
        padded = pad(xp, x, self.padding, border)
        return xp.stack(taps(padded, self.kernel, self.stride))

    def give_back(self, xp, shares):
        """The gradient of windows(): a pixel gets the sum of its shares (k * k, N, H_out, W_out, C)."""
        p, (count, height, width, channels) = self.padding, self.shape
        dx = xp.zeros((count, height + 2 * p, width + 2 * p, channels), shares.dtype)
        for d_tap, share in zip(taps(dx, self.kernel, self.stride), shares, strict=True):
            d_tap += share
        return dx[:, p : p + height, p : p + width]


class MaxPool2d(Pool2d, Op):
    """The largest value in each window; of equal ones the first (row by row) takes the gradient, as in torch."""

    def forward(self, xp, x):
        windows = self.windows(xp, x, -np.inf)
        self.winners = windows.argmax(axis=0)
        return windows.max(axis=0)

    def backward(self, xp, g):
        numbers = xp.arange(self.kernel**2)[:, None, None, None, None]
        shares = xp.where(self.winners == numbers, g, 0)
        return (self.give_back(xp, shares),)


class AvgPool2d(Pool2d, Op):
    """The mean of each window; zeros of the padding count, as in torch's default."""

    def forward(self, xp, x):
        windows = self.windows(xp, x, 0)
        return narrowed(widened(windows).mean(axis=0), x)

    def backward(self, xp, g):
        shares = xp.broadcast_to(g / self.kernel**2, (self.kernel**2, *g.shape))
        return (self.give_back(xp, shares),)


def max_pool2d(x, kernel, stride, padding=0):
    """The largest value in each kernel x kernel window of x (N, H, W, C)."""
    return apply(MaxPool2d(kernel, stride, padding), x)


def avg_pool2d(x, kernel, stride, padding=0):
    """The mean of each kernel x kernel window of x (N, H, W, C)."""
    return apply(AvgPool2d(kernel, stride, padding), x)


def global_avg_pool(x):
    """The mean over each image: (N, H, W, C) -> (N, C)."""
    return mean(x, axis=(1, 2))
