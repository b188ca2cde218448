"""Calling the kernels of kernels.cu: each function allocates the output, chooses the grid, and launches.

`module` is what holds the compiled kernels: `cuda_module()` for CuPy arrays on a GPU, or, in the tests,
emulator.CpuModule for NumPy arrays. All arrays are C-contiguous, and float32 unless a docstring says otherwise; a
kernel sees only a pointer, so every function checks them and raises TypeError or ValueError.

To change a kernel, no GPU is needed. Change it in kernels.cu, and the function here that calls it if its arguments
change. Then

    python -m pytest tests/test_kernels.py     runs it on the CPU, and compares with what the ops do in float64
    python -m pytest tests/test_emulator.py    compiles it for real GPUs (sm_75, sm_80, sm_90): registers, spills
    python -m pytest tests/test_cuda.py        runs ops and a step of training with it

g++ names the line of kernels.cu that it does not understand; tinyhpe/emulator says what else is seen, and what is
not. A new kernel needs a function here and a test beside the others. Where there is a GPU, `.ci/gpu` runs the same
tests there, then compute-sanitizer (memcheck, racecheck) over them, and the bench.
"""

import functools
from pathlib import Path

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError

SOURCE = Path(__file__).with_name("kernels.cu")
THREADS = 256  # of a block, as in kernels.cu
TILE = 32  # channels of a block that sums over rows: a warp reads 128 bytes in a row
SLAB_STEPS = 32  # rows that one of its threads sums, at the least
MOST_SLABS = 1024
LARGEST_WINDOW = 256  # numbers that one byte can hold


@functools.cache
def cuda_module():
    """Compile kernels.cu for the GPU of this machine, once.

    Raises:
        InputError: there is no usable GPU, or the kernels do not compile for it.
    """
    cupy = backend.device_module("cuda")
    module = cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"))
    try:
        module.compile()
    except Exception as error:  # whatever CuPy, NVRTC or the driver raise: the reason is what matters
        reason = next((line for line in str(error).splitlines() if "error" in line), str(error)).strip()
        raise InputError(
            f"the CUDA kernels do not compile here ({reason}); use --device cpu, and see `tinyhpe doctor`"
        ) from error
    return module


def check(dtype, shape, **arrays):
    """Raise unless every array is of this dtype and shape, and C-contiguous."""
    for name, array in arrays.items():
        if array.dtype != dtype:
            raise TypeError(f"{name} is {array.dtype}, the CUDA kernel reads {np.dtype(dtype)}: convert it first")
        if array.shape != tuple(shape):
            raise ValueError(f"{name} has the shape {array.shape}, the CUDA kernel reads {tuple(shape)}")
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} is not C-contiguous, and a CUDA kernel sees no strides: copy it first")


def launch(module, name, grid, block, *args):
    """Run a kernel. CuPy would pass a Python number as 8 bytes; our kernels take int and float, of 4."""
    exact = [np.int32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float) else a for a in args]
    find_kernel(module, name)(grid, block, tuple(exact))


@functools.cache
def find_kernel(module, name):
    """A kernel of the module. (CuPy would make a new object for it at every call.)"""
    return module.get_function(name)


def launch_each(module, name, count, *args):
    """Run a kernel that has one thread for each of `count` values."""
    launch(module, name, (-(-count // THREADS),), (THREADS,), *args)


def windows(shape, kernel, stride, padding):
    """How many windows fit into images (N, H, W, C): (out_height, out_width)."""
    return tuple((length + 2 * padding - kernel) // stride + 1 for length in shape[1:3])


def im2col(module, x, kernel, stride, padding):
    """Lay the windows of x (N, H, W, C) out as rows: (N * H_out * W_out, k * k * C).

    The matrix is up to k * k times as large as x: give a part of the batch at a time (x[first:last]). x is float32
    or float16, and so is the matrix.
    """
    name, dtype, seen_as = "im2col", np.float32, np.float32
    if x.dtype == np.float16:  # the kernel copies two bytes, whatever they mean
        name, dtype, seen_as = "im2col_float16", np.float16, np.uint16
    check(dtype, x.shape, x=x)
    out = windows(x.shape, kernel, stride, padding)
    pixels = len(x) * out[0] * out[1]
    columns = backend.array_module(x).empty((pixels, kernel * kernel * x.shape[3]), dtype)
    args = (x.view(seen_as), columns.view(seen_as), *x.shape, *out, kernel, stride, padding)
    launch_each(module, name, pixels * x.shape[3], *args)
    return columns


def col2im(module, columns, dx, kernel, stride, padding):
    """The gradient of im2col: fill dx (N, H, W, C) with the sums of columns (N * H_out * W_out, k * k * C)."""
    out = windows(dx.shape, kernel, stride, padding)
    check(np.float32, (len(dx) * out[0] * out[1], kernel * kernel * dx.shape[3]), columns=columns)
    check(np.float32, dx.shape, dx=dx)
    launch_each(module, "col2im", dx.size, columns, dx, *dx.shape, *out, kernel, stride, padding)


def max_pool(module, x, kernel, stride, padding):
    """The largest value in each window of x (N, H, W, C).

    Returns:
        y (N, H_out, W_out, C), and the winners: uint8 of y's shape, the largest value's number in its window.
    """
    check(np.float32, x.shape, x=x)
    if kernel * kernel > LARGEST_WINDOW:
        raise ValueError(f"max_pool with windows of {kernel}x{kernel}: at most 16x16 are possible on a GPU")
    out, xp = windows(x.shape, kernel, stride, padding), backend.array_module(x)
    y = xp.empty((len(x), *out, x.shape[3]), np.float32)
    winners = xp.empty(y.shape, np.uint8)
    launch_each(module, "max_pool", y.size, x, y, winners, *x.shape, *out, kernel, stride, padding)
    return y, winners


def max_pool_backward(module, g, winners, shape, kernel, stride, padding):
    """Give the gradient g of max_pool's output to the winners: dx of `shape` (N, H, W, C)."""
    out = windows(shape, kernel, stride, padding)
    check(np.float32, (shape[0], *out, shape[3]), g=g)
    check(np.uint8, g.shape, winners=winners)
    dx = backend.array_module(g).empty(shape, np.float32)
    launch_each(module, "max_pool_backward", dx.size, g, winners, dx, *shape, *out, kernel, stride, padding)
    return dx


def reduction_shape(rows, channels):
    """Share out the sums over the rows of (rows, channels), see "Batch norm" in kernels.cu.

    Returns:
        grid (tiles of channels, slabs of rows) and block (channels of a tile, rows at a time).
    """
    tile = 1
    while tile < min(TILE, channels):
        tile *= 2
    block = (tile, THREADS // tile)
    slabs = max(1, -(-rows // (block[1] * SLAB_STEPS)))  # one even for an empty batch, whose sums are 0
    return (-(-channels // tile), min(slabs, MOST_SLABS)), block


def batch_statistics(module, x, running_mean, running_var, momentum):
    """Mean and biased variance of each channel of x (..., C), in two steps: slabs of rows, then the slabs' sums.

    The running ones (C,) are updated in place, the variance unbiased. x needs two rows or more.

    Returns:
        mean (C,) and var (C,).
    """
    check(np.float32, x.shape, x=x)
    check(np.float32, x.shape[-1:], running_mean=running_mean, running_var=running_var)
    channels, xp = x.shape[-1], backend.array_module(x)
    rows = x.size // channels
    grid, block = reduction_shape(rows, channels)
    sums = xp.empty((2, grid[1], channels), np.float64)
    launch(module, "batch_norm_sums", grid, block, x, sums, rows, channels)
    mean, var = xp.empty(channels, np.float32), xp.empty(channels, np.float32)
    args = (x, sums, mean, var, running_mean, running_var, grid[1], rows, channels, float(momentum))
    launch(module, "batch_norm_statistics", grid[:1], block, *args)
    return mean, var


def batch_norm(module, x, mean, var, gamma, beta, eps, residual=None, relu=False):
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, then + residual if given, then optionally ReLU.

    x (..., C) and residual have one shape; mean, var, gamma and beta are (C,).
    """
    add_residual = residual is not None
    if not add_residual:
        residual = x  # a kernel must be given something; it is not read
    check(np.float32, x.shape, x=x, residual=residual)
    check(np.float32, x.shape[-1:], mean=mean, var=var, gamma=gamma, beta=beta)
    y = backend.array_module(x).empty(x.shape, np.float32)
    channels = x.shape[-1]
    args = (x, mean, var, gamma, beta, residual, y, x.size // channels, channels, float(eps), add_residual, relu)
    launch_each(module, "batch_norm_apply", x.size, *args)
    return y


def add_bias(module, y, bias, residual=None, relu=False):
    """Add bias (C,) to y (..., C) in place, and the residual if given (of y's shape), then optionally ReLU."""
    add_residual = residual is not None
    if not add_residual:
        residual = y  # a kernel must be given something; it is not read
    check(np.float32, y.shape, y=y, residual=residual)
    check(np.float32, y.shape[-1:], bias=bias)
    channels = y.shape[-1]
    args = (y, bias, residual, y.size // channels, channels, add_residual, relu)
    launch_each(module, "add_bias", y.size, *args)


def batch_norm_backward(module, g, x, mean, var, gamma, eps, training, y=None, residual=False):
    """The gradients of batch_norm.

    Args:
        g: gradient of the output, of x's shape (..., C).
        training: mean and var are x's own (batch_statistics), and are differentiated through.
        y: the output, where it went through the ReLU.
        residual: whether there was one, and its gradient is wanted.

    Returns:
        dx, d_gamma (C,), d_beta (C,), d_residual (g itself without a ReLU, None if not wanted).
    """
    relu, write_residual = y is not None, residual and y is not None
    y = y if relu else x  # a kernel must be given something; it is not read
    check(np.float32, x.shape, x=x, g=g, y=y)
    check(np.float32, x.shape[-1:], mean=mean, var=var, gamma=gamma)
    channels, xp = x.shape[-1], backend.array_module(x)
    rows = x.size // channels
    grid, block = reduction_shape(rows, channels)
    sums = xp.empty((2, grid[1], channels), np.float64)
    launch(module, "batch_norm_gradient_sums", grid, block, g, x, y, mean, sums, rows, channels, relu)
    d_gamma, d_beta, dx = (xp.empty(shape, np.float32) for shape in (channels, channels, x.shape))
    args = (sums, var, d_gamma, d_beta, grid[1], channels, float(eps))
    launch(module, "batch_norm_parameter_gradients", grid[:1], block, *args)
    d_residual = xp.empty(x.shape, np.float32) if write_residual else dx
    args = (g, x, y, mean, var, gamma, d_gamma, d_beta, dx, d_residual, rows, channels)
    share = 1 / rows if training else 0.0
    launch_each(module, "batch_norm_input_gradient", x.size, *args, float(eps), share, relu, write_residual)
    if residual:
        return dx, d_gamma, d_beta, d_residual if write_residual else g
    return dx, d_gamma, d_beta, None


def rank_pairs(module, scores, levels):
    """The ranking loss over all ordered pairs, of several angles at once; see ops.pairs.PairwiseOrder.

    Args:
        scores: (n, angles). levels: (n, angles) int32. n is 2 or more.

    Returns:
        The loss of each angle (angles,), and its gradient with respect to the scores (n, angles).
    """
    check(np.float32, scores.shape, scores=scores)
    check(np.int32, scores.shape, levels=levels)
    n, angles = scores.shape
    xp = backend.array_module(scores)
    losses, gradient = xp.empty(scores.shape, np.float32), xp.empty(scores.shape, np.float32)
    grid = (-(-n // THREADS), angles)
    launch(module, "rank_pairs", grid, (THREADS,), scores, levels, losses, gradient, n, angles)
    return losses.sum(axis=0) / np.float32(n * (n - 1)), gradient


def adam(module, parameters, gradient, mean, square, rates, overflow, betas, eps):
    """One step of Adam on flat arrays (P,); parameters, mean and square change in place.

    Args:
        rates: (2,) on the same device: lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t), for step t = 1, 2, ...
        overflow: () int32 on the same device; if it is not 0, nothing changes. See unscale().
        betas: (beta1, beta2).
    """
    flat = (parameters.size,)
    check(np.float32, flat, parameters=parameters, gradient=gradient, mean=mean, square=square)
    check(np.float32, (2,), rates=rates)
    check(np.int32, (), overflow=overflow)
    beta1, beta2 = map(float, betas)
    args = (parameters, gradient, mean, square, rates, overflow, parameters.size)
    launch_each(module, "adam", parameters.size, *args, beta1, 1 - beta1, beta2, 1 - beta2, float(eps))


def unscale(module, gradient, scale, overflow):
    """Divide a flat gradient (P,) by scale (), in place; overflow, () int32, becomes 1 if it is not all finite."""
    check(np.float32, (gradient.size,), gradient=gradient)
    check(np.float32, (), scale=scale)
    check(np.int32, (), overflow=overflow)
    launch_each(module, "unscale", gradient.size, gradient, scale, overflow, gradient.size)


def adapt_scale(module, scale, steps_without, overflow, growth_interval, largest):
    """Halve scale () after an overflow, double it after `growth_interval` steps without one; all in place.

    Args:
        steps_without: () int32, how many steps there have been since.
        overflow: () int32 from unscale(); it becomes 0.
        largest: beyond which the scale does not grow. Nor does it fall below 1.
    """
    check(np.float32, (), scale=scale)
    check(np.int32, (), steps_without=steps_without, overflow=overflow)
    launch(module, "adapt_scale", (1,), (1,), scale, steps_without, overflow, growth_interval, float(largest))


def prepare_images(module, images, variations, mean, std, size):
    """Bytes to what the network sees: (min(pixel * brightness, 255) - mean) / std of a part of each image.

    Args:
        images: (n, S, S, 3) uint8.
        variations: (n, 4), for each image y and x of the part's upper left corner, from 0 to S - size (not
            checked); 1 if it is mirrored left to right, else 0; and the brightness. See nn/images.py.
        mean, std: (3,) in units of 0..255.
        size: side of the part in pixels, at most S.

    Returns:
        (n, size, size, 3).
    """
    count, side = images.shape[:2]
    check(np.uint8, (count, side, side, 3), images=images)
    check(np.float32, (count, 4), variations=variations)
    check(np.float32, (3,), mean=mean, std=std)
    out = backend.array_module(images).empty((count, size, size, 3), np.float32)
    launch_each(module, "prepare_images", out.size, images, variations, mean, std, out, count, side, size)
    return out
