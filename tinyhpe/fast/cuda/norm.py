"""Batch norm with residual and ReLU on a GPU: two kernels for sums over rows, and one for all the rest."""

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda.launch import THREADS, CudaWay, check, launch, launch_each

TILE = 32  # channels of a block that sums over rows: a warp reads 128 bytes in a row
SLAB_STEPS = 32  # rows that one of its threads sums, at the least
MOST_SLABS = 1024


class CudaBatchNorm(CudaWay):
    """A way of BatchNorm."""

    def forward(op, xp, x, gamma, beta, residual=None):
        op.check_shapes(x, gamma, beta, residual)
        op.x, op.gamma, beta = (xp.ascontiguousarray(array) for array in (x, gamma, beta))
        running = op.running_mean, op.running_var
        check(np.float32, gamma.shape, running_mean=running[0], running_var=running[1])
        if op.training:
            op.mean, op.var = batch_statistics(op.x, *running, op.momentum)
        else:
            op.mean, op.var = (array.copy() if any(op.needs) else array for array in running)  # for they change
        op.running_mean = op.running_var = None
        y, channels = xp.empty(x.shape, np.float32), x.shape[-1]
        # where there is no residual, the kernel must be given something; it is not read
        addend = op.x if residual is None else xp.ascontiguousarray(residual)
        arrays = op.x, op.mean, op.var, op.gamma, beta, addend, y
        settings = float(op.eps), residual is not None, op.relu
        launch_each("batch_norm_apply", x.size, *arrays, x.size // channels, channels, *settings)
        op.y = y if op.relu else op.x  # not read without a ReLU
        return y

    def backward(op, xp, g):
        x, g, channels, eps = op.x, xp.ascontiguousarray(g), op.x.shape[-1], float(op.eps)
        rows = x.size // channels
        d_gamma, d_beta, dx = (xp.empty(shape, np.float32) for shape in (channels, channels, x.shape))
        grid, block = reduction_shape(rows, channels)
        sums = xp.empty((2, grid[1], channels), np.float64)
        launch("batch_norm_gradient_sums", grid, block, g, x, op.y, op.mean, sums, rows, channels, op.relu)
        arrays = sums, op.var, d_gamma, d_beta
        launch("batch_norm_parameter_gradients", grid[:1], block, *arrays, grid[1], channels, eps)
        masked = op.relu and op.needs[3:] == (True,)  # the residual's gradient is g where the ReLU let it pass
        d_residual = xp.empty(x.shape, np.float32) if masked else dx
        arrays = g, x, op.y, op.mean, op.var, op.gamma, d_gamma, d_beta, dx, d_residual
        share = 1 / rows if op.training else 0.0
        launch_each("batch_norm_input_gradient", x.size, *arrays, rows, channels, eps, share, op.relu, masked)
        return (dx, d_gamma, d_beta, d_residual if masked else g)[: len(op.needs)]


def reduction_shape(rows, channels):
    """Share out the sums over the rows of (rows, channels), see norm.cu.

    Returns:
        grid (tiles of channels, slabs of rows) and block (channels of a tile, rows at a time).
    """
    tile = 1
    while tile < min(TILE, channels):
        tile *= 2
    block = (tile, THREADS // tile)
    slabs = max(1, -(-rows // (block[1] * SLAB_STEPS)))  # one even for an empty batch, whose sums are 0
    return (-(-channels // tile), min(slabs, MOST_SLABS)), block


def batch_statistics(x, running_mean, running_var, momentum):
    """Mean and biased variance (C,) of each channel of x (..., C): sums of slabs of rows, then the slabs' sums.

    The running ones (C,) are updated in place, the variance unbiased. x needs two rows or more.
    """
    channels, xp = x.shape[-1], backend.array_module(x)
    rows = x.size // channels
    grid, block = reduction_shape(rows, channels)
    sums = xp.empty((2, grid[1], channels), np.float64)
    launch("batch_norm_sums", grid, block, x, sums, rows, channels)
    mean, var = xp.empty(channels, np.float32), xp.empty(channels, np.float32)
    args = (x, sums, mean, var, running_mean, running_var, grid[1], rows, channels, float(momentum))
    launch("batch_norm_statistics", grid[:1], block, *args)
    return mean, var
