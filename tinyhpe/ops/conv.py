"""Convolution as matrix products, in chunks that stay in the cache.

Layout: images (N, H, W, C), weights (k, k, C_in, C_out). Three ideas make it fast on a CPU:

1. im2col: the k x k window of each output pixel becomes one row of a matrix; the convolution
   is then `columns @ weights`, one GEMM. In NHWC a window is only k runs of k*C values, and
   for k = 1 the image *is* the matrix: nothing is copied.
2. Chunks: the matrix is k*k times larger than the image. It is never made whole: a chunk of
   about 1 MB is filled, multiplied while it is still in the cache, and overwritten.
3. Backward at stride 1 is a convolution too: ONE im2col of the output's gradient serves both
   the gradient of the input and that of the weights. No scattering back (col2im).
"""

from tinyhpe.tensor import Op, Sample, apply

CHUNK_VALUES = 1 << 18  # values in an im2col chunk: 1 MB of float32, which a core's L2 cache holds
CHUNK_ROWS = 512  # but never fewer rows: a GEMM repacks the weights on every call


def output_length(length, kernel, stride, padding):
    """How many windows fit along an axis."""
    return (length + 2 * padding - kernel) // stride + 1


def chunk_shape(count, height, width, row_values):
    """Choose a chunk of output pixels: (images, rows of pixels in each).

    Whole images while they fit the budget, else a band of rows of one image.
    """
    pixels = max(CHUNK_ROWS, CHUNK_VALUES // row_values)
    if height * width <= pixels:
        return max(1, min(count, pixels // (height * width))), height
    return 1, max(1, min(height, pixels // width))


def windows(xp, x, kernel, stride, height, width):
    """View x (N, H, W, C) as windows (N, height, width, k, k*C), without a copy.

    The last axis is a run: k neighbouring pixels lie side by side in memory.
    """
    n, h, w, c = x.strides
    shape = (len(x), height, width, kernel, kernel * x.shape[3])
    return xp.lib.stride_tricks.as_strided(x, shape, (n, stride * h, stride * w, h, c))


def im2col_chunks(xp, x, kernel, stride, padding):
    """Yield (rows, columns) over chunks of output pixels.

    `rows` is a slice of the M = N * H_out * W_out output pixels, `columns` (len, k*k*C) their
    windows, in a buffer that the next chunk overwrites.
    """
    count, height, width, channels = x.shape
    out_h, out_w = (output_length(length, kernel, stride, padding) for length in (height, width))
    images, band = chunk_shape(count, out_h, out_w, kernel * kernel * channels)
    padded = xp.zeros((images, height + 2 * padding, width + 2 * padding, channels), x.dtype)
    columns = xp.empty((images, band, out_w, kernel, kernel * channels), x.dtype)
    for first in range(0, count, images):
        n = min(images, count - first)
        # only the inside is ever written: the border stays zero
        padded[:n, padding : padding + height, padding : padding + width] = x[first : first + n]
        for top in range(0, out_h, band):
            lines = min(band, out_h - top)
            chunk = columns[:n, :lines]
            chunk[...] = windows(xp, padded[:n, top * stride :], kernel, stride, lines, out_w)
            start = (first * out_h + top) * out_w
            yield slice(start, start + n * lines * out_w), chunk.reshape(n * lines * out_w, -1)


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
            for rows, columns in im2col_chunks(xp, x, k, stride, padding):
                xp.matmul(columns, matrix, out=y_rows[rows])
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
        """Stride 1: one im2col of g gives dx = columns @ flipped weights, dw = columns.T @ x.

        Input pixel (h, w) met weight (i, j) in output pixel (h + p - i, w + p - j). So its window in
        g, padded by k - 1 - p, holds all that it went into, with the weights in reverse order.
        """
        x, weight = self.x, self.weight
        k, _, c_in, c_out = weight.shape
        flipped = xp.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3)).reshape(-1, c_in)
        dw_flipped = xp.zeros(flipped.shape, x.dtype)
        dx = xp.empty(x.shape, x.dtype)
        x_rows, dx_rows = xp.ascontiguousarray(x).reshape(-1, c_in), dx.reshape(-1, c_in)
        for rows, columns in im2col_chunks(xp, g, k, 1, k - 1 - self.padding):
            xp.matmul(columns, flipped, out=dx_rows[rows])
            if self.needs[1]:
                dw_flipped += columns.T @ x_rows[rows]
        dw = dw_flipped.reshape(k, k, c_out, c_in)[::-1, ::-1].swapaxes(2, 3)
        return dx, xp.ascontiguousarray(dw)

    def correlate_with_input(self, xp, g):
        """dw at any stride: columns.T @ g, summed over chunks."""
        g_rows = g.reshape(-1, g.shape[3])
        dw = xp.zeros((self.weight[..., 0].size, g.shape[3]), g.dtype)
        for rows, columns in im2col_chunks(xp, self.x, len(self.weight), self.stride, self.padding):
            dw += columns.T @ g_rows[rows]
        return dw.reshape(self.weight.shape)

    def scatter_to_input(self, xp, g):
        """dx at any stride (col2im): each output pixel gives its window's share back."""
        k, s, p = len(self.weight), self.stride, self.padding
        count, height, width, c_in = self.x.shape
        out_h, out_w, c_out = g.shape[1:]
        matrix = self.weight.reshape(-1, c_out).T
        images = max(1, CHUNK_VALUES // (out_h * out_w * k * k * c_in))
        dx = xp.empty(self.x.shape, g.dtype)
        for first in range(0, count, images):
            chunk = g[first : first + images]
            columns = (chunk.reshape(-1, c_out) @ matrix).reshape(len(chunk), out_h, out_w, k, k, c_in)
            padded = xp.zeros((len(chunk), height + 2 * p, width + 2 * p, c_in), g.dtype)
            for i in range(k):
                for j in range(k):
                    padded[:, i : i + s * out_h : s, j : j + s * out_w : s] += columns[:, :, :, i, j]
            dx[first : first + images] = padded[:, p : p + height, p : p + width]
        return dx


def pixels(xp, x, stride):
    """Every stride-th pixel as a row (M, C); no copy at stride 1."""
    return xp.ascontiguousarray(x[:, ::stride, ::stride]).reshape(-1, x.shape[3])


def conv2d(x, weight, stride=1, padding=0):
    """Convolve x (N, H, W, C_in) with weight (k, k, C_in, C_out)."""
    return apply(Conv2d(stride, padding), x, weight)
