"""Pooling over k x k windows, and over whole images. Layout (N, H, W, C)."""

import numpy as np

from tinyhpe.fast.cuda import kernels
from tinyhpe.ops.reduce import mean
from tinyhpe.ops.windows import Stacks, output_size
from tinyhpe.parallel import over_parts
from tinyhpe.tensor import Op, Sample, apply

PART_VALUES = 1 << 18  # values of x that are worth a thread


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
    size = output_size(name, x, kernel, stride, padding)
    if 2 * padding > kernel:
        raise ValueError(
            f"{name}: windows of {kernel}x{kernel} with padding {padding} may hold no pixel of x at all: "
            "the padding must be at most half of the window"
        )
    return size


class MaxPool2d(Op):
    """The largest value in each window; of equal ones the first (row by row) takes the gradient, as in torch."""

    samples = staticmethod(geometries)

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, xp, x):
        out_h, out_w = check_geometry("max_pool2d", x, self.kernel, self.stride, self.padding)
        self.shape, self.y = x.shape, xp.empty((len(x), out_h, out_w, x.shape[3]), x.dtype)

        def fill(images):
            stacks = Stacks(xp, x[images].shape, x.dtype, self.stride, self.padding, fill=-np.inf).put(x[images])
            taps, y = stacks.taps(self.kernel, out_h, out_w), self.y[images]
            y[...] = taps[0]
            for tap in taps[1:]:
                xp.maximum(y, tap, out=y)
            return images, taps

        self.parts = over_parts(fill, len(x), max(1, PART_VALUES * len(x) // (x.size + 1)))
        return self.y

    def backward(self, xp, g):
        dx = xp.empty(self.shape, g.dtype)

        def fill(parts):
            for images, taps in self.parts[parts]:
                self.share_out(xp, g[images], self.y[images], taps, dx[images])

        over_parts(fill, len(self.parts))
        return (dx,)

    def forward_cuda(self, xp, x):
        check_geometry("max_pool2d", x, self.kernel, self.stride, self.padding)
        self.shape, settings = x.shape, (self.kernel, self.stride, self.padding)
        y, self.winners = kernels.max_pool(kernels.cuda_module(), xp.ascontiguousarray(x), *settings)
        return y

    def backward_cuda(self, xp, g):
        g, settings = xp.ascontiguousarray(g), (self.kernel, self.stride, self.padding)
        return (kernels.max_pool_backward(kernels.cuda_module(), g, self.winners, self.shape, *settings),)

    def share_out(self, xp, g, y, taps, dx):
        """Fill dx: each window's gradient goes to the first of its taps that equals its largest value."""
        stacks = Stacks(xp, dx.shape, g.dtype, self.stride, self.padding)
        free = xp.ones(g.shape, bool)  # the windows whose gradient is still to be given
        for tap, d_tap in zip(taps, stacks.taps(self.kernel, *g.shape[1:3]), strict=True):
            taken = tap == y
            taken &= free
            free ^= taken
            d_tap += g * taken
        stacks.take(dx)


class AvgPool2d(Op):
    """The mean of each window; zeros of the padding count, as in torch's default."""

    samples = staticmethod(geometries)

    def __init__(self, kernel, stride, padding=0):
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, xp, x):
        out = check_geometry("avg_pool2d", x, self.kernel, self.stride, self.padding)
        self.shape = x.shape
        stacks = Stacks(xp, x.shape, x.dtype, self.stride, self.padding).put(x)
        return sum(stacks.taps(self.kernel, *out)) * (1 / self.kernel**2)

    def backward(self, xp, g):
        stacks = Stacks(xp, self.shape, g.dtype, self.stride, self.padding)
        share = g * (1 / self.kernel**2)
        for d_tap in stacks.taps(self.kernel, *g.shape[1:3]):
            d_tap += share
        return (stacks.take(xp.empty(self.shape, g.dtype)),)


def max_pool2d(x, kernel, stride, padding=0):
    """The largest value in each kernel x kernel window of x (N, H, W, C)."""
    return apply(MaxPool2d(kernel, stride, padding), x)


def avg_pool2d(x, kernel, stride, padding=0):
    """The mean of each kernel x kernel window of x (N, H, W, C)."""
    return apply(AvgPool2d(kernel, stride, padding), x)


def global_avg_pool(x):
    """The mean over each image: (N, H, W, C) -> (N, C)."""
    return mean(x, axis=(1, 2))
