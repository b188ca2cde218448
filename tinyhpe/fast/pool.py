"""Max-pooling in long loops."""

import numpy as np

from tinyhpe.fast.polyphase import Polyphase


class PolyphasePool:
    """A way of MaxPool2d: the k*k pixels of all windows are compared one after another, each in a long loop."""

    def suits(op, xp, x):
        return xp is np and x.dtype.char in "fd"

    def forward(op, xp, x):
        out = op.check_geometry(x)
        phases = Polyphase(x.shape, x.dtype, op.stride, op.padding, fill=-np.inf)
        phases.put(x)
        op.shape, op.taps = x.shape, phases.taps(op.kernel, *out)
        op.y = op.taps[0].copy()
        for tap in op.taps[1:]:
            np.maximum(op.y, tap, out=op.y)
        op.may_have_nan = np.isnan(op.y.sum())
        return op.y

    def backward(op, xp, g):
        phases = Polyphase(op.shape, g.dtype, op.stride, op.padding)
        free = np.ones(g.shape, bool)  # the windows whose gradient is still to be given
        for tap, d_tap in zip(op.taps, phases.taps(op.kernel, *g.shape[1:3]), strict=True):
            taken = tap == op.y
            if op.may_have_nan:
                taken |= np.isnan(tap)
            taken &= free
            free ^= taken
            d_tap += g * taken
        dx = np.empty(op.shape, g.dtype)
        phases.take(dx)
        return (dx,)
