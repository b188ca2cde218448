"""Convolution on a GPU: a kernel lays out the windows of as many images as memory permits, one GEMM multiplies.

The factors may be float16 (precision.py); sums and results are float32.
"""

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda.launch import CudaWay, check, launch_each
from tinyhpe.fast.cuda.linalg import product
from tinyhpe.fast.cuda.precision import factor_dtype
from tinyhpe.ops.windows import output_length


class CudaConv2d(CudaWay):
    """A way of Conv2d. The matrix of windows is made anew for backward: kept, it would fill the memory."""

    CHUNK_VALUES = 1 << 26  # in that matrix: 256 MB of float32

    def forward(op, xp, x, weight):
        y = xp.empty(op.output_shape(x, weight), x.dtype)
        op.x, op.weight = (xp.ascontiguousarray(array, factor_dtype()) for array in (x, weight))
        matrix = op.weight.reshape(-1, y.shape[3])
        for images in chunks(op, y.shape):
            product(columns_of(op, images), matrix, out=y[images].reshape(-1, y.shape[3]))
        return y

    def backward(op, xp, g):
        dw, dx = None, xp.empty(op.x.shape, g.dtype) if op.needs[0] else None
        g = xp.ascontiguousarray(g, op.x.dtype)
        for images in chunks(op, g.shape):
            g_rows = g[images].reshape(-1, g.shape[3])
            if op.needs[0]:
                fill_input_gradient(op, g_rows, dx[images])
            if op.needs[1]:
                dw_part = product(columns_of(op, images).T, g_rows)
                dw = dw_part if dw is None else dw + dw_part
        return dx, dw.reshape(op.weight.shape) if op.needs[1] else None


def chunks(op, out_shape):
    """Slices of images whose matrix of windows has at most CudaConv2d.CHUNK_VALUES, or of one image."""
    count, out_h, out_w, _ = out_shape
    k, _, c_in, _ = op.weight.shape
    images = max(1, CudaConv2d.CHUNK_VALUES // (out_h * out_w * k * k * c_in))
    return [slice(first, first + images) for first in range(0, max(1, count), images)]


def is_a_product(op):
    """Whether the pixels are the rows of the matrix as they are: 1x1 windows at stride 1."""
    return (len(op.weight), op.stride, op.padding) == (1, 1, 0)


def columns_of(op, images):
    """The windows of some images as rows."""
    x = op.x[images]
    return x.reshape(-1, x.shape[3]) if is_a_product(op) else im2col(x, len(op.weight), op.stride, op.padding)


def fill_input_gradient(op, g_rows, dx):
    """Fill dx: the gradients of the columns, g_rows @ weights.T, summed where they came from."""
    matrix = op.weight.reshape(-1, g_rows.shape[1])
    if is_a_product(op):
        product(g_rows, matrix.T, out=dx.reshape(-1, len(matrix)))
    else:
        col2im(product(g_rows, matrix.T), dx, len(op.weight), op.stride, op.padding)


def im2col(x, kernel, stride, padding):
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
    launch_each(name, pixels * x.shape[3], *args)
    return columns


def col2im(columns, dx, kernel, stride, padding):
    """The gradient of im2col: fill dx (N, H, W, C) with the sums of columns (N * H_out * W_out, k * k * C)."""
    out = windows(dx.shape, kernel, stride, padding)
    check(np.float32, (len(dx) * out[0] * out[1], kernel * kernel * dx.shape[3]), columns=columns)
    check(np.float32, dx.shape, dx=dx)
    launch_each("col2im", dx.size, columns, dx, *dx.shape, *out, kernel, stride, padding)


def windows(shape, kernel, stride, padding):
    """How many windows fit into images (N, H, W, C): (out_height, out_width)."""
    return tuple(output_length(length, kernel, stride, padding) for length in shape[1:3])
