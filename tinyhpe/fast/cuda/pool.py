"""Max pooling on a GPU."""

import numpy as np

from tinyhpe.fast.cuda.launch import CudaWay, launch_each


class CudaMaxPool2d(CudaWay):
    """A way of MaxPool2d: the number of the largest value in each window, one byte, is kept for backward."""

    def suits(op, xp, x):
        return CudaWay.suits(op, xp, x) and op.kernel**2 <= 256  # numbers that a byte can hold

    def forward(op, xp, x):
        out = op.check_geometry(x)
        y = xp.empty((len(x), *out, x.shape[3]), np.float32)
        op.shape, op.winners = x.shape, xp.empty(y.shape, np.uint8)
        settings = *x.shape, *out, op.kernel, op.stride, op.padding
        launch_each("max_pool", y.size, xp.ascontiguousarray(x), y, op.winners, *settings)
        return y

    def backward(op, xp, g):
        dx = xp.empty(op.shape, np.float32)
        settings = *op.shape, *g.shape[1:3], op.kernel, op.stride, op.padding
        launch_each("max_pool_backward", dx.size, xp.ascontiguousarray(g), op.winners, dx, *settings)
        return (dx,)
