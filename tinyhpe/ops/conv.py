"""Convolution as matrix products, in chunks that stay in the cache.

Layout: images (N, H, W, C), weights (k, k, C_in, C_out). Five ideas make it fast on a CPU:

1. im2col: the k x k window of each output pixel becomes one row of a matrix; the convolution
   is then `columns @ weights`, one GEMM. For k = 1 the image *is* the matrix: nothing is copied.
2. Runs: in NHWC a window is only k runs of k*C neighbouring values. Each run is copied as one item.
3. Chunks: the matrix is k*k times larger than the image. It is never made whole: a chunk of about
   1 MB is filled, multiplied while it is still in the cache, and overwritten.
4. Blocks: OpenBLAS multiplies small matrices as they lie, larger ones after repacking both. With few
   channels the repacking is a quarter of the time, so a chunk is multiplied in small blocks.
5. Backward at stride 1 is a convolution too: ONE im2col of the output's gradient serves both
   the gradient of the input and that of the weights. No scattering back (col2im).
"""

import functools

import numpy as np

from tinyhpe.ops.windows import Stacks, output_length, windows, zero_padded
from tinyhpe.tensor import Op, Sample, apply

CHUNK_VALUES = 1 << 18  # values in an im2col chunk: 1 MB of float32, which a core's L2 cache holds
CHUNK_ROWS = 512  # but never fewer rows: each GEMM repacks the weights
SMALL_GEMM = 10**6  # rows * K * C_out that OpenBLAS multiplies without repacking
SMALL_ROWS = 64  # fewer rows are not worth a call


def chunk_shape(count, height, width, row_values):
    """Choose a chunk of output pixels: (images, rows of pixels in each).

    Whole images while they fit the budget, else a band of rows of one image.
    """
    pixels = max(CHUNK_ROWS, CHUNK_VALUES // row_values)
    if height * width <= pixels:
        return max(1, min(count, pixels // (height * width))), height
    return 1, max(1, min(height, pixels // width))


@functools.cache
def block_rows(pixels, row_values, outputs):
    """The rows of one GEMM: the largest divisor of `pixels` that is a small GEMM, or 0 if there is none."""
    limit = min(pixels, SMALL_GEMM // (row_values * outputs))
    return next((rows for rows in range(limit, SMALL_ROWS - 1, -1) if pixels % rows == 0), 0)


def im2col_chunks(xp, x, kernel, stride, padding, outputs):
    """Yield (rows, columns) over chunks of output pixels.

    `rows` is a slice of the M = N * H_out * W_out output pixels; `columns` (blocks, rows of a block, k*k*C)
    are their windows, in a buffer that the next chunk overwrites.

    Args:
        outputs: how many values each row will be multiplied into; it decides the size of a block.
    """
    source = windows(xp, zero_padded(xp, x, padding), kernel, stride)
    count, out_h, out_w, _, run_values = source.shape
    row_values = kernel * run_values
    images, band = chunk_shape(count, out_h, out_w, row_values)
    block = block_rows(out_w * out_h if band == out_h else out_w, row_values, outputs)
    buffer = xp.empty((images * band * out_w, row_values), x.dtype)
    runs = buffer.reshape(-1, kernel, run_values)
    if xp is np:
        run = np.dtype((np.void, run_values * x.itemsize))
        source, runs = source.view(run), runs.view(run)
    start = 0
    for first in range(0, count, images):
        for top in range(0, out_h, band):
            chunk = source[first : first + images, top : top + band]
            size = chunk.shape[0] * chunk.shape[1] * out_w
            runs[:size].reshape(chunk.shape)[...] = chunk
            yield slice(start, start + size), buffer[:size].reshape(-1, block or size, row_values)
            start += size


class Conv2d(Op):
    """2-D convolution (cross-correlation, as everywhere in deep learning), without bias.

    Inputs: x (N, H, W, C_in), weight (k, k, C_in, C_out). Output (N, H_out, W_out, C_out).
    """

    def __init__(self, stride=1, padding=0):
        self.stride, self.padding = stride, padding

    @staticmethod
    def samples(rng):
        for size, kernel, stride, padding in [
            ((4, 5), 3, 1, 1),
            ((5, 4), 3, 2, 1),
            ((6, 6), 7, 2, 3),
            ((4, 3), 1, 1, 0),
            ((5, 4), 1, 2, 0),
            ((5, 5), 2, 1, 0),
            ((4, 4), 2, 2, 1),
            ((3, 3), 1, 1, 1),
        ]:
            x, weight = rng.normal(size=(2, *size, 2)), rng.normal(size=(kernel, kernel, 2, 3))
            yield Sample((x, weight), {"stride": stride, "padding": padding})

    def forward(self, xp, x, weight):
        k, stride, padding = len(weight), self.stride, self.padding
        if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != k or weight.shape[2] != x.shape[3]:
            raise ValueError(
                f"conv2d of x {x.shape} and weight {weight.shape}: expected x (N, H, W, C_in) and weight "
                "(k, k, C_in, C_out) with the same C_in; images from PyTorch need .transpose(0, 2, 3, 1)"
            )
        out_h, out_w = (output_length(length, k, stride, padding) for length in x.shape[1:3])
        if out_h < 1 or out_w < 1:
            raise ValueError(
                f"conv2d: a {k}x{k} kernel does not fit an image of {x.shape[1]}x{x.shape[2]} pixels with "
                f"padding {padding}; use a larger image, a smaller kernel, or more padding"
            )
        self.x, self.weight = x, weight
        y = xp.empty((len(x), out_h, out_w, weight.shape[3]), x.dtype)
        y_rows, matrix = y.reshape(-1, y.shape[3]), weight.reshape(-1, weight.shape[3])
        if k == 1 and padding == 0:
            xp.matmul(pixels(xp, x, stride), matrix, out=y_rows)
        else:
            for rows, columns in im2col_chunks(xp, x, k, stride, padding, y.shape[3]):
                xp.matmul(columns, matrix, out=blocks(y_rows[rows], columns))
        return y

    def backward(self, xp, g):
        k = len(self.weight)
        g = xp.ascontiguousarray(g)
        if k == 1 and self.padding == 0:
            return self.backward_pointwise(xp, g)
        if self.stride == 1 and self.padding < k and self.needs[0]:
            return self.backward_stride_one(xp, g)
        return (
            self.scatter_to_input(xp, g) if self.needs[0] else None,
            self.correlate_with_input(xp, g) if self.needs[1] else None,
        )

    def backward_pointwise(self, xp, g):
        """k = 1: two plain matrix products."""
        x, weight, s = self.x, self.weight, self.stride
        g_rows, dx, dw = g.reshape(-1, g.shape[3]), None, None
        if self.needs[1]:
            dw = (pixels(xp, x, s).T @ g_rows).reshape(weight.shape)
        if self.needs[0]:
            dx_read = (g_rows @ weight[0, 0].T).reshape(*g.shape[:3], x.shape[3])
            if s == 1:
                return dx_read, dw
            dx = xp.zeros(x.shape, x.dtype)
            dx[:, ::s, ::s] = dx_read
        return dx, dw

    def backward_stride_one(self, xp, g):
        """Stride 1: one im2col of g gives dx = columns @ flipped weights, dw = x.T @ columns.

        Input pixel (h, w) met weight (i, j) in output pixel (h + p - i, w + p - j). So its window in
        g, padded by k - 1 - p, holds all that it went into, with the weights in reverse order.
        """
        x, weight = self.x, self.weight
        k, _, c_in, c_out = weight.shape
        flipped = xp.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3)).reshape(-1, c_in)  # (k*k*C_out, C_in)
        dx, dw_flipped = xp.empty(x.shape, x.dtype), None
        x_rows, dx_rows = xp.ascontiguousarray(x).reshape(-1, c_in), dx.reshape(-1, c_in)
        for rows, columns in im2col_chunks(xp, g, k, 1, k - 1 - self.padding, c_in):
            xp.matmul(columns, flipped, out=blocks(dx_rows[rows], columns))
            if self.needs[1]:
                dw_flipped = add_products(xp, dw_flipped, blocks(x_rows[rows], columns), columns)
        if not self.needs[1]:
            return dx, None
        dw = dw_flipped.reshape(c_in, k, k, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
        return dx, xp.ascontiguousarray(dw)

    def correlate_with_input(self, xp, g):
        """dw at any stride: columns.T @ g, summed over chunks."""
        g_rows, dw = g.reshape(-1, g.shape[3]), None
        for rows, columns in im2col_chunks(xp, self.x, len(self.weight), self.stride, self.padding, g.shape[3]):
            dw = add_products(xp, dw, columns, blocks(g_rows[rows], columns))
        return dw.reshape(self.weight.shape)

    def scatter_to_input(self, xp, g):
        """dx at any stride (col2im): each output pixel gives each place of its window its share."""
        k, c_in, c_out = len(self.weight), self.x.shape[3], g.shape[3]
        out_h, out_w = g.shape[1:3]
        matrices = xp.ascontiguousarray(self.weight.reshape(k * k, c_in, c_out).swapaxes(1, 2))
        images = max(1, CHUNK_VALUES // (out_h * out_w * k * k * c_in))
        dx = xp.empty(self.x.shape, g.dtype)
        for first in range(0, len(dx), images):
            chunk, d_chunk = g[first : first + images], dx[first : first + images]
            shares = chunk.reshape(-1, c_out) @ matrices  # (k*k, pixels, C_in)
            stacks = Stacks(xp, d_chunk.shape, g.dtype, self.stride, self.padding)
            for tap, share in zip(stacks.taps(k, out_h, out_w), shares, strict=True):
                tap += share.reshape(tap.shape)
            stacks.take(d_chunk)
        return dx


def blocks(rows, columns):
    """Cut rows (len, C) into the blocks that the columns have."""
    return rows.reshape(columns.shape[0], columns.shape[1], rows.shape[1])


def add_products(xp, total, a, b):
    """Add a[i].T @ b[i] of all blocks i to `total`, in place; None counts as 0."""
    products = a.swapaxes(1, 2) @ b
    product = products[0] if len(products) == 1 else products.sum(axis=0)
    return product if total is None else xp.add(total, product, out=total)


def pixels(xp, x, stride):
    """Every stride-th pixel as a row (M, C); no copy at stride 1."""
    return xp.ascontiguousarray(x[:, ::stride, ::stride]).reshape(-1, x.shape[3])


def conv2d(x, weight, stride=1, padding=0):
    """Convolve x (N, H, W, C_in) with weight (k, k, C_in, C_out)."""
    return apply(Conv2d(stride, padding), x, weight)
