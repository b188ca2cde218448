"""Convolution in chunks: the im2col of ops/conv.py, with less traffic between processor and memory.

1. Chunks: the matrix of windows is k*k times larger than the image. It is never made whole: a chunk of about
   1 MB is filled, multiplied while it is still in the cache, and overwritten.
2. Runs: in NHWC a window is only k runs of k*C neighbouring values. Each run is copied as one item.
3. For k = 1 the image *is* the matrix: nothing is copied.
4. Blocks: a chunk is multiplied in blocks that OpenBLAS need not repack (gemm.py).
5. Backward at stride 1 is a convolution too: ONE im2col of the output's gradient serves both
   the gradient of the input and that of the weights. No scattering back (col2im).
"""

import numpy as np

from tinyhpe.fast import gemm
from tinyhpe.fast.polyphase import Polyphase
from tinyhpe.ops.windows import output_length


class ChunkedConv:
    """A way of Conv2d for NumPy's float32 and float64."""

    CHUNK_VALUES = 1 << 18  # values in a chunk: 1 MB of float32, which a core's L2 cache holds
    CHUNK_ROWS = 512  # but never fewer rows: each chunk reads all weights

    def suits(op, xp, x, weight):
        return xp is np and x.dtype.char in "fd" and x.size > 0 and weight.size > 0

    def forward(op, xp, x, weight):
        y = np.empty(op.output_shape(x, weight), x.dtype)
        op.x, op.weight = x, weight
        c_out = y.shape[3]
        y_rows, matrix = y.reshape(-1, c_out), gemm.RightFactor(weight.reshape(-1, c_out))
        for rows, columns in im2col_chunks(x, len(weight), op.stride, op.padding):
            matrix.multiply(columns, out=y_rows[rows])
        return y

    def backward(op, xp, g):
        g = np.ascontiguousarray(g)
        if op.needs[0] and op.stride == 1 and op.padding < len(op.weight):
            return gradients_at_stride_one(op, g)
        dx = scatter_to_input(op, g) if op.needs[0] else None
        return dx, weight_gradient(op, g) if op.needs[1] else None


def gradients_at_stride_one(op, g):
    """One im2col of g gives dx = columns @ reversed weights, and dw = x.T @ columns."""
    k, _, c_in, c_out = op.weight.shape
    dx, dw_reversed = np.empty(op.x.shape, g.dtype), None
    matrix = gemm.RightFactor(reversed_weight(op.weight).reshape(-1, c_in))
    x_rows, dx_rows = np.ascontiguousarray(op.x).reshape(-1, c_in), dx.reshape(-1, c_in)
    for rows, columns in im2col_chunks(g, k, 1, k - 1 - op.padding):
        matrix.multiply(columns, out=dx_rows[rows])
        if op.needs[1]:
            dw_reversed = add_product(dw_reversed, x_rows[rows], columns)
    if not op.needs[1]:
        return dx, None
    dw = dw_reversed.reshape(c_in, k, k, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    return dx, np.ascontiguousarray(dw)


def reversed_weight(weight):
    """The weights (k, k, C_out, C_in) of the way back at stride 1: dx is g convolved with them.

    Input pixel (h, w) met weight (i, j) in output pixel (h + p - i, w + p - j). So its window in
    g, padded by k - 1 - p, holds all that it went into, with the weights in reverse order.
    """
    return weight[::-1, ::-1].swapaxes(2, 3)


def weight_gradient(op, g):
    """dw at any stride: columns.T @ g."""
    g_rows, dw = g.reshape(-1, g.shape[3]), None
    for rows, columns in im2col_chunks(op.x, len(op.weight), op.stride, op.padding):
        dw = add_product(dw, columns, g_rows[rows])
    return dw.reshape(op.weight.shape)


def scatter_to_input(op, g):
    """dx at any stride (col2im): each output pixel gives each place of its window its share."""
    k, _, c_in, c_out = op.weight.shape
    dx = np.empty(op.x.shape, g.dtype)
    matrices = gemm.RightFactor(op.weight.reshape(k * k, c_in, c_out).swapaxes(1, 2))
    images = max(1, ChunkedConv.CHUNK_VALUES // (g[0, ..., 0].size * k * k * c_in))
    for first in range(0, len(dx), images):
        chunk, d_chunk = g[first : first + images], dx[first : first + images]
        shares = np.empty((k * k, chunk[..., 0].size, c_in), g.dtype)
        matrices.multiply(chunk.reshape(-1, c_out), out=shares)
        phases = Polyphase(d_chunk.shape, g.dtype, op.stride, op.padding)
        for tap, share in zip(phases.taps(k, *g.shape[1:3]), shares, strict=True):
            tap += share.reshape(tap.shape)
        phases.take(d_chunk)
    return dx


def add_product(total, a, b):
    """Add a.T @ b to `total`, in place; None counts as 0."""
    length = gemm.small_block(len(a), a.shape[1], b.shape[1])
    a, b = (rows.reshape(-1, length, rows.shape[1]) for rows in (a, b))
    products = a.swapaxes(1, 2) @ b
    product = products[0] if len(products) == 1 else products.sum(axis=0)
    return product if total is None else np.add(total, product, out=total)


def im2col_chunks(x, kernel, stride, padding):
    """Iterate over (rows, columns), chunks of output pixels.

    `rows` is a slice of the M = N * H_out * W_out output pixels; `columns` (rows of the chunk, k*k*C) are their
    windows, in a buffer that the next chunk overwrites.
    """
    if kernel == 1 and padding == 0:
        return pixel_chunks(x, stride)
    return Im2col(x.shape, x.dtype, kernel, stride, padding).chunks(x)


def pixel_chunks(x, stride):
    """im2col_chunks of a 1x1 convolution without padding: the pixels are the columns."""
    pixels = np.ascontiguousarray(x[:, ::stride, ::stride]).reshape(-1, x.shape[3])
    step = max(ChunkedConv.CHUNK_ROWS, ChunkedConv.CHUNK_VALUES // x.shape[3])
    for start in range(0, len(pixels), step):
        yield slice(start, start + step), pixels[start : start + step]


class Im2col:
    """im2col_chunks for images of one shape (N, H, W, C), in buffers that serve for any number of them."""

    def __init__(self, shape, dtype, kernel, stride, padding):
        count, height, width, channels = shape
        padded = np.zeros((count, height + 2 * padding, width + 2 * padding, channels), dtype)
        self.inside = padded[:, padding : padding + height, padding : padding + width]
        source = windows_of_runs(padded, kernel, stride)
        out_h, out_w = source.shape[1:3]
        row_values = kernel * kernel * channels
        images, band = chunk_shape(count, out_h, out_w, row_values)
        buffer = np.empty((images * band * out_w, row_values), dtype)
        runs = buffer.view(source.dtype)
        self.steps, start = [], 0  # of each chunk: its rows, its windows, the same in the buffer, once as runs
        for first in range(0, count, images):
            for top in range(0, out_h, band):
                chunk = source[first : first + images, top : top + band]
                size = chunk.shape[0] * chunk.shape[1] * out_w
                rows, places = slice(start, start + size), runs[:size].reshape(chunk.shape)
                self.steps.append((rows, chunk, places, buffer[:size]))
                start += size

    def chunks(self, x):
        """Yield (rows, columns) for images x."""
        self.inside[...] = x
        for rows, chunk, runs, columns in self.steps:
            runs[...] = chunk
            yield rows, columns


def chunk_shape(count, height, width, row_values):
    """Choose a chunk of output pixels: (images, rows of pixels in each).

    Whole images while they fit the budget, else a band of rows of one image.
    """
    pixels = max(ChunkedConv.CHUNK_ROWS, ChunkedConv.CHUNK_VALUES // row_values)
    if height * width <= pixels:
        return max(1, min(count, pixels // (height * width))), height
    return 1, max(1, min(height, pixels // width))


def windows_of_runs(x, kernel, stride):
    """View x, contiguous, as windows (N, H_out, W_out, k) of runs: k*C values side by side, as one item each."""
    out_h, out_w = (output_length(length, kernel, stride, 0) for length in x.shape[1:3])
    n, h, w, _ = x.strides
    run = np.dtype((np.void, kernel * x.shape[3] * x.itemsize))
    return np.ndarray((len(x), out_h, out_w, kernel), run, x, 0, (n, stride * h, stride * w, h))
