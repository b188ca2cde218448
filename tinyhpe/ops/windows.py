"""Where the windows of a convolution or a pooling lie in memory. Arrays are (N, H, W, C)."""


def output_length(length, kernel, stride, padding):
    """How many windows fit along an axis."""
    return (length + 2 * padding - kernel) // stride + 1


def zero_padded(xp, x, padding):
    """x inside a border of zeros, contiguous."""
    if padding == 0:
        return xp.ascontiguousarray(x)
    count, height, width, channels = x.shape
    padded = xp.empty((count, height + 2 * padding, width + 2 * padding, channels), x.dtype)
    padded[:, :padding] = padded[:, -padding:] = 0
    padded[:, :, :padding] = padded[:, :, -padding:] = 0
    padded[:, padding:-padding, padding:-padding] = x
    return padded


def windows(xp, x, kernel, stride):
    """View x as windows (N, H_out, W_out, k, k*C), without a copy.

    The last axis is a run: k neighbouring pixels lie side by side in memory.
    """
    out_h, out_w = (output_length(length, kernel, stride, 0) for length in x.shape[1:3])
    n, h, w, c = x.strides
    shape = (len(x), out_h, out_w, kernel, kernel * x.shape[3])
    return xp.lib.stride_tricks.as_strided(x, shape, (n, stride * h, stride * w, h, c))


def clipped(length, kernel, stride, padding):
    """For each window along an axis: the slice of the axis that it covers, and the slice of the kernel on it."""
    slices = []
    for number in range(output_length(length, kernel, stride, padding)):
        first = number * stride - padding
        low = max(0, first)
        high = max(low, min(length, first + kernel))
        slices.append((slice(low, high), slice(low - first, high - first)))
    return slices


class Stacks:
    """x inside a border, its columns dealt out to `stride` stacks: every stride-th column is in the same one.

    So the first (second, ...) elements of all windows of a row lie side by side in memory, and NumPy runs over
    them in one long loop instead of one for each pixel.

    Args:
        shape: (N, H, W, C) of x.
        fill: value of the border, and of all else until put() is called.
    """

    def __init__(self, xp, shape, dtype, stride, padding, fill=0):
        count, height, width, channels = shape
        columns = -(-(width + 2 * padding) // stride)
        self.array = xp.full((count, height + 2 * padding, stride, columns, channels), fill, dtype)
        self.stride, self.inside = stride, slice(padding, padding + height)
        self.places = []  # for each stack: its columns inside the border, and the columns of x that they are
        for stack in range(stride):
            first = (stack - padding) % stride
            start = (first + padding) // stride
            length = len(range(first, width, stride))
            self.places.append((slice(start, start + length), slice(first, None, stride)))

    def put(self, x):
        """Fill the inside with x (N, H, W, C)."""
        for stack, (columns, source) in enumerate(self.places):
            self.array[:, self.inside, stack, columns] = x[:, :, source]
        return self

    def take(self, x):
        """Fill x (N, H, W, C) with the inside."""
        for stack, (columns, target) in enumerate(self.places):
            x[:, :, target] = self.array[:, self.inside, stack, columns]
        return x

    def taps(self, kernel, out_h, out_w):
        """The k*k views (N, out_h, out_w, C): the first elements of all windows, the second, ... row by row."""
        s = self.stride
        return [
            self.array[:, i : i + s * (out_h - 1) + 1 : s, j % s, j // s : j // s + out_w]
            for i in range(kernel)
            for j in range(kernel)
        ]
