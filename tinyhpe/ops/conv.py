"""Convolution as matrix products, in chunks that stay in the cache.

Layout: images (N, H, W, C), weights (k, k, C_in, C_out). Seven ideas make it fast on a CPU:

1. im2col: the k x k window of each output pixel becomes one row of a matrix; the convolution
   is then `columns @ weights`, one GEMM. For k = 1 the image *is* the matrix: nothing is copied.
2. Runs: in NHWC a window is only k runs of k*C neighbouring values. Each run is copied as one item.
3. Chunks: the matrix is k*k times larger than the image. It is never made whole: a chunk of about
   1 MB is filled, multiplied while it is still in the cache, and overwritten.
4. Blocks: a chunk is multiplied in blocks that OpenBLAS need not repack (gemm.py).
5. Backward at stride 1 is a convolution too: ONE im2col of the output's gradient serves both
   the gradient of the input and that of the weights. No scattering back (col2im).
6. Winograd: 3x3 windows at stride 1 take a quarter of the multiplications, and no im2col (winograd.py).
7. Clipping: where most of the windows' pixels are border (2x2 images at the end of a ResNet), one GEMM for each
   output pixel, of the part of its window that lies in the image, multiplies no zeros.

On a GPU (forward_cuda) only im2col and chunks are left: a kernel lays out the windows, and a chunk is 256 MB. What
is multiplied there may be float16 (backend.use_precision).
"""

import functools

import numpy as np

from tinyhpe import backend
from tinyhpe.fast import gemm, winograd
from tinyhpe.fast.cuda import cublas, kernels
from tinyhpe.ops.windows import Stacks, clipped, output_size, windows, zero_bordered
from tinyhpe.parallel import least_part, over_parts
from tinyhpe.tensor import Op, Sample, apply

CHUNK_VALUES = 1 << 18  # values in an im2col chunk: 1 MB of float32, which a core's L2 cache holds
CHUNK_ROWS = 512  # but never fewer rows: each chunk reads all weights
CUDA_CHUNK_VALUES = 1 << 26  # values in an im2col matrix on a GPU: 256 MB of float32


def chunk_shape(count, height, width, row_values):
    """Choose a chunk of output pixels: (images, rows of pixels in each).

    Whole images while they fit the budget, else a band of rows of one image.
    """
    pixels = max(CHUNK_ROWS, CHUNK_VALUES // row_values)
    if height * width <= pixels:
        return max(1, min(count, pixels // (height * width))), height
    return 1, max(1, min(height, pixels // width))


def im2col_chunks(xp, x, kernel, stride, padding):
    """Iterate over (rows, columns), chunks of output pixels.

    `rows` is a slice of the M = N * H_out * W_out output pixels; `columns` (rows of the chunk, k*k*C) are their
    windows, in a buffer that the next chunk overwrites.
    """
    if kernel == 1 and padding == 0:
        return pixel_chunks(xp, x, stride)
    return Im2col(xp, x.shape, x.dtype, kernel, stride, padding).chunks(x)


def pixel_chunks(xp, x, stride):
    """im2col_chunks of a 1x1 convolution without padding: the pixels are the columns."""
    pixels = xp.ascontiguousarray(x[:, ::stride, ::stride]).reshape(-1, x.shape[3])
    step = max(CHUNK_ROWS, CHUNK_VALUES // x.shape[3])
    for start in range(0, len(pixels), step):
        yield slice(start, start + step), pixels[start : start + step]


class Im2col:
    """im2col_chunks for images of one shape (N, H, W, C), in buffers that serve for any number of them."""

    def __init__(self, xp, shape, dtype, kernel, stride, padding):
        padded = zero_bordered(xp, shape, dtype, padding)
        self.inside = padded[:, padding : padding + shape[1], padding : padding + shape[2]]
        source = windows(xp, padded, kernel, stride)
        count, out_h, out_w = source.shape[:3]
        row_values = kernel * kernel * shape[3]
        images, band = chunk_shape(count, out_h, out_w, row_values)
        buffer = xp.empty((images * band * out_w, row_values), dtype)
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
            ((7, 8), 3, 1, 1),
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

    def output_shape(self, x, weight):
        """The shape of y; raises ValueError if x and weight do not fit."""
        k = len(weight)
        out_h, out_w = output_size("conv2d", x, k, self.stride, self.padding)
        if weight.ndim != 4 or weight.shape[1] != k or weight.shape[2] != x.shape[3]:
            raise ValueError(
                f"conv2d of x {x.shape} and weight {weight.shape}: expected x (N, H, W, C_in) and weight "
                "(k, k, C_in, C_out) with the same C_in; images from PyTorch need .transpose(0, 2, 3, 1)"
            )
        return len(x), out_h, out_w, weight.shape[3]

    def forward(self, xp, x, weight):
        y = xp.empty(self.output_shape(x, weight), x.dtype)
        self.x, self.weight = x, weight
        if self.mostly_border():
            self.forward_clipped(x, y)
            return y
        if winograd.suits(x, weight, self.stride, self.padding):
            fill = functools.partial(winograd.forward, winograd.weight_values(weight))
        else:
            fill = functools.partial(self.forward_chunks, xp)
        over_parts(lambda images: fill(x[images], y[images]), len(x), self.part_images(y))
        return y

    def part_images(self, y):
        """How many images a thread should have at least; y (N, H_out, W_out, C_out) is the output."""
        return least_part(y[:1].size * self.weight[..., 0].size)

    def forward_chunks(self, xp, x, y):
        """Fill y: the windows of x, a chunk after the other, times the weights."""
        k, _, _, c_out = self.weight.shape
        y_rows, matrix = y.reshape(-1, c_out), gemm.RightFactor(self.weight.reshape(-1, c_out))
        for rows, columns in im2col_chunks(xp, x, k, self.stride, self.padding):
            matrix.multiply(columns, out=y_rows[rows])

    def backward(self, xp, g):
        g = xp.ascontiguousarray(g)
        if g.size == 0 or self.mostly_border():
            return self.backward_clipped(xp, g)
        dx = xp.empty(self.x.shape, g.dtype)
        if self.needs == (True, True) and winograd.suits(self.x, self.weight, self.stride, self.padding):
            method = functools.partial(winograd.backward, winograd.weight_values(self.reversed_weight()))
        elif self.needs[0] and self.stride == 1 and self.padding < len(self.weight):
            method = functools.partial(self.backward_stride_one, xp)
        else:
            method = functools.partial(self.backward_any_stride, xp)
        parts = len(g), self.part_images(g)
        dws = over_parts(lambda images: method(self.x[images], g[images], dx[images]), *parts)
        return dx if self.needs[0] else None, functools.reduce(xp.add, dws) if self.needs[1] else None

    def reversed_weight(self):
        """The weights (k, k, C_out, C_in) of the way back at stride 1: dx is g convolved with them.

        Input pixel (h, w) met weight (i, j) in output pixel (h + p - i, w + p - j). So its window in
        g, padded by k - 1 - p, holds all that it went into, with the weights in reverse order.
        """
        return self.weight[::-1, ::-1].swapaxes(2, 3)

    def forward_cuda(self, xp, x, weight):
        """A kernel lays out the windows of as many images as memory permits, one GEMM multiplies them."""
        y = xp.empty(self.output_shape(x, weight), x.dtype)
        self.x, self.weight = (xp.ascontiguousarray(array, backend.factor_dtype()) for array in (x, weight))
        matrix = self.weight.reshape(-1, y.shape[3])
        for images in self.chunks_cuda(y.shape):
            cublas.product(self.columns_cuda(images), matrix, out=y[images].reshape(-1, y.shape[3]))
        return y

    def backward_cuda(self, xp, g):
        """dx by col2im_cuda; dw = columns.T @ g. Columns are laid out anew: kept, they would fill the memory."""
        dw, dx = None, xp.empty(self.x.shape, g.dtype) if self.needs[0] else None
        g = g.astype(self.x.dtype, copy=False)  # as the other factors
        for images in self.chunks_cuda(g.shape):
            g_rows = g[images].reshape(-1, g.shape[3])
            if self.needs[0]:
                self.col2im_cuda(xp, g_rows, dx[images])
            if self.needs[1]:
                product = cublas.product(self.columns_cuda(images).T, g_rows)
                dw = product if dw is None else dw + product
        return dx, dw.reshape(self.weight.shape) if self.needs[1] else None

    def chunks_cuda(self, out_shape):
        """Slices of images whose im2col matrix has at most CUDA_CHUNK_VALUES, or of one image."""
        count, out_h, out_w, _ = out_shape
        k, _, c_in, _ = self.weight.shape
        images = max(1, CUDA_CHUNK_VALUES // (out_h * out_w * k * k * c_in))
        return [slice(first, first + images) for first in range(0, max(1, count), images)]

    def columns_cuda(self, images):
        """The windows of some images as rows. For a 1x1 convolution at stride 1 the pixels are that already."""
        k, _, c_in, _ = self.weight.shape
        if (k, self.stride, self.padding) == (1, 1, 0):
            return self.x[images].reshape(-1, c_in)
        return kernels.im2col(kernels.cuda_module(), self.x[images], k, self.stride, self.padding)

    def col2im_cuda(self, xp, g_rows, dx):
        """Fill dx: the gradients of the columns, g_rows @ weights.T, summed where they came from."""
        k, _, c_in, c_out = self.weight.shape
        matrix = self.weight.reshape(-1, c_out)
        if (k, self.stride, self.padding) == (1, 1, 0):
            cublas.product(g_rows, matrix.T, out=dx.reshape(-1, c_in))
        else:
            columns = cublas.product(g_rows, matrix.T)
            kernels.col2im(kernels.cuda_module(), columns, dx, k, self.stride, self.padding)

    def mostly_border(self):
        """Whether more than half of an im2col matrix would be zeros of the border: 56 % for 2x2 pixels, k = 3."""
        k, places, covered = len(self.weight), 1, 1
        for length in self.x.shape[1:3]:
            parts = [inside.stop - inside.start for inside, _ in clipped(length, k, self.stride, self.padding)]
            places, covered = places * k * len(parts), covered * sum(parts)
        return 2 * covered < places

    def clipped_windows(self):
        """Yield, for each output pixel, its index in y, and the indices of its window in x and in the weights."""
        k = len(self.weight)
        rows, columns = (clipped(length, k, self.stride, self.padding) for length in self.x.shape[1:3])
        for h, (h_inside, h_taps) in enumerate(rows):
            for w, (w_inside, w_taps) in enumerate(columns):
                yield np.s_[:, h, w], np.s_[:, h_inside, w_inside], np.s_[h_taps, w_taps]

    def forward_clipped(self, x, y):
        """Fill y, tiny images: for each output pixel, one GEMM of what its window covers of the image."""
        for pixel, inside, taps in self.clipped_windows():
            matrix = self.weight[taps].reshape(-1, y.shape[3])
            y[pixel] = x[inside].reshape(len(x), len(matrix)) @ matrix

    def backward_clipped(self, xp, g):
        """Tiny images: for each output pixel, the gradients of its GEMM."""
        x, weight = self.x, self.weight
        dx, dw = xp.zeros(x.shape, x.dtype), xp.zeros(weight.shape, weight.dtype)
        for pixel, inside, taps in self.clipped_windows():
            window, matrix = x[inside], weight[taps].reshape(-1, g.shape[3])
            dx[inside] += (g[pixel] @ matrix.T).reshape(window.shape)
            dw[taps] += (window.reshape(len(x), len(matrix)).T @ g[pixel]).reshape(weight[taps].shape)
        return dx, dw

    def backward_stride_one(self, xp, x, g, dx):
        """Fill dx and return dw. One im2col of g gives dx = columns @ reversed weights, dw = x.T @ columns."""
        k, _, c_in, c_out = self.weight.shape
        matrix = gemm.RightFactor(self.reversed_weight().reshape(-1, c_in))
        x_rows, dx_rows = xp.ascontiguousarray(x).reshape(-1, c_in), dx.reshape(-1, c_in)
        dw_reversed = None
        for rows, columns in im2col_chunks(xp, g, k, 1, k - 1 - self.padding):
            matrix.multiply(columns, out=dx_rows[rows])
            if self.needs[1]:
                dw_reversed = add_product(xp, dw_reversed, x_rows[rows], columns)
        if not self.needs[1]:
            return None
        dw = dw_reversed.reshape(c_in, k, k, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
        return xp.ascontiguousarray(dw)

    def backward_any_stride(self, xp, x, g, dx):
        """Fill dx and return dw: an im2col of x for the weights, the way back (col2im) for x."""
        if self.needs[0]:
            self.scatter_to_input(xp, g, dx)
        if not self.needs[1]:
            return None
        g_rows, dw = g.reshape(-1, g.shape[3]), None
        for rows, columns in im2col_chunks(xp, x, len(self.weight), self.stride, self.padding):
            dw = add_product(xp, dw, columns, g_rows[rows])
        return dw.reshape(self.weight.shape)

    def scatter_to_input(self, xp, g, dx):
        """Fill dx (col2im): each output pixel gives each place of its window its share."""
        k, _, c_in, c_out = self.weight.shape
        out_h, out_w = g.shape[1:3]
        matrices = gemm.RightFactor(self.weight.reshape(k * k, c_in, c_out).swapaxes(1, 2))
        images = max(1, CHUNK_VALUES // (out_h * out_w * k * k * c_in))
        for first in range(0, len(dx), images):
            chunk, d_chunk = g[first : first + images], dx[first : first + images]
            shares = xp.empty((k * k, len(chunk) * out_h * out_w, c_in), g.dtype)
            matrices.multiply(chunk.reshape(-1, c_out), out=shares)
            stacks = Stacks(xp, d_chunk.shape, g.dtype, self.stride, self.padding)
            for tap, share in zip(stacks.taps(k, out_h, out_w), shares, strict=True):
                tap += share.reshape(tap.shape)
            stacks.take(d_chunk)


def add_product(xp, total, a, b):
    """Add a.T @ b to `total`, in place; None counts as 0."""
    length = gemm.small_block(len(a), a.shape[1], b.shape[1])
    a, b = (rows.reshape(-1, length, rows.shape[1]) for rows in (a, b))
    products = a.swapaxes(1, 2) @ b
    product = products[0] if len(products) == 1 else products.sum(axis=0)
    return product if total is None else xp.add(total, product, out=total)


def conv2d(x, weight, stride=1, padding=0):
    """Convolve x (N, H, W, C_in) with weight (k, k, C_in, C_out)."""
    return apply(Conv2d(stride, padding), x, weight)
