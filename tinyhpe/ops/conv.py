"""Convolution as one matrix product (im2col). Images (N, H, W, C), weights (k, k, C_in, C_out).

Each k x k window of the image becomes a row of k*k*C_in numbers. Then every output pixel is its row times the
weights, and all of them together are one product of two matrices. Backward is the product's gradient, and the way
back from windows to the image: a pixel gets the sum over all the windows that it was in.

The quicker ways of the same thing are in tinyhpe/fast.
"""

from tinyhpe.ops.samples import normal
from tinyhpe.ops.windows import output_size, pad, taps
from tinyhpe.tensor import Op, apply


class Conv2d(Op):
    """2-D convolution (cross-correlation, as everywhere in deep learning), without bias.

    Inputs: x (N, H, W, C_in), weight (k, k, C_in, C_out). Output (N, H_out, W_out, C_out).
    """

    def __init__(self, stride=1, padding=0):
        self.stride, self.padding = stride, padding

    @staticmethod
    def samples(rng):
        for height, width, kernel, stride, padding in [
            (4, 5, 3, 1, 1),
            (7, 8, 3, 1, 1),
            (5, 4, 3, 2, 1),
            (6, 6, 7, 2, 3),
            (4, 3, 1, 1, 0),
            (5, 4, 1, 2, 0),
            (5, 5, 2, 1, 0),
            (4, 4, 2, 2, 1),
            (3, 3, 1, 1, 1),
        ]:
            x, weight = (2, height, width, 2), (kernel, kernel, 2, 3)
            yield normal(rng, x, weight, stride=stride, padding=padding)

    def output_shape(self, x, weight):
        """The shape of y; raises ValueError if x and weight do not fit."""
        k = len(weight)
        size = output_size("conv2d", x, k, self.stride, self.padding)
        if weight.ndim != 4 or weight.shape[1] != k or weight.shape[2] != x.shape[3]:
            raise ValueError(
                f"conv2d of x {x.shape} and weight {weight.shape}: expected x (N, H, W, C_in) and weight "
                "(k, k, C_in, C_out) with the same C_in; images from PyTorch need .transpose(0, 2, 3, 1)"
            )
        return len(x), *size, weight.shape[3]

    def im2col(self, xp):
        """Each window as a row: (N * H_out * W_out, k * k * C_in)."""
        k, _, c_in, _ = self.weight.shape
        padded, s = pad(xp, self.x, self.padding), self.stride
        windows = xp.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::s, ::s]
        return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k * k * c_in)  # from (N, H_out, W_out, C_in, k, k)

    def forward(self, xp, x, weight):
        shape = self.output_shape(x, weight)
        self.x, self.weight = x, weight
        return (self.im2col(xp) @ weight.reshape(-1, shape[3])).reshape(shape)

    def backward(self, xp, g):
        k, _, c_in, c_out = self.weight.shape
        g_rows = g.reshape(-1, c_out)
        dw = (self.im2col(xp).T @ g_rows).reshape(self.weight.shape)
        if not self.needs[0]:  # the first layer of a network: nobody asks how its images should change
            return None, dw
        d_columns = g_rows @ self.weight.reshape(-1, c_out).T
        d_pixels = d_columns.reshape(*g.shape[:3], k * k, c_in)
        d_padded = xp.zeros_like(pad(xp, self.x, self.padding))
        for number, d_tap in enumerate(taps(d_padded, k, self.stride)):
            d_tap += d_pixels[:, :, :, number]
        p, height, width = self.padding, *self.x.shape[1:3]
        return d_padded[:, p : p + height, p : p + width], dw


def conv2d(x, weight, stride=1, padding=0):
    """Convolve x (N, H, W, C_in) with weight (k, k, C_in, C_out)."""
    return apply(Conv2d(stride, padding), x, weight)
