"""A trained ResNet made ready for prediction: batch norms folded into the convolutions, arrays instead of tensors.

In evaluation mode batch norm is a fixed line for each channel, y = scale * x + shift. A line after a convolution
is another convolution: the weights times the scale, and a bias. Bias, residual and ReLU are then put on each chunk
of the output while it is still in the cache (on all of it after Winograd's convolution); on a GPU, by one kernel.
"""

import functools
import math

from tinyhpe.backend import array_module
from tinyhpe.fast import gemm, winograd
from tinyhpe.ops.conv import CHUNK_ROWS, CHUNK_VALUES, Conv2d, Im2col
from tinyhpe.ops.linalg import linear
from tinyhpe.ops.norm import ROW_VALUES
from tinyhpe.ops.pool import max_pool2d
from tinyhpe.parallel import least_part, over_parts
from tinyhpe.tensor import Tensor


class FoldedConv:
    """A Conv2d and the BatchNorm2d after it as one function: relu(x * weight + bias + residual).

    Args:
        conv: layers.Conv2d.
        norm: layers.BatchNorm2d; its running statistics are used, and its `relu`.
    """

    def __init__(self, conv, norm):
        xp = self.xp = array_module(conv.weight.data)
        scale = norm.weight.data / xp.sqrt(norm.running_var + norm.eps)
        self.weight = conv.weight.data * scale
        self.bias = norm.bias.data - norm.running_mean * scale
        self.repeats = max(1, ROW_VALUES // len(self.bias))
        self.bias_row = xp.tile(self.bias, self.repeats)
        self.zero_row = xp.zeros_like(self.bias_row)
        self.stride, self.padding, self.relu = conv.stride, conv.padding, norm.relu
        self.matrix = gemm.RightFactor(self.weight.reshape(-1, len(self.bias)))
        self.prepared_for = None  # shape and dtype of images

    def __call__(self, x, residual=None):
        """x (N, H, W, C_in) to (N, H_out, W_out, C_out); the residual has the shape of the result."""
        if self.prepared_for != (x.shape, x.dtype):
            self.prepare_for(x)
        y = self.xp.empty(self.out_shape, x.dtype)
        if self.by_winograd:
            winograd.forward(self.weight_values, x, y)
            self.finish(y, residual)
            return y
        y_rows = y.reshape(-1, y.shape[3])
        residual_rows = None if residual is None else residual.reshape(y_rows.shape)
        if self.im2col:
            for rows, columns in self.im2col.chunks(x):
                self.fill(columns, y_rows[rows], None if residual is None else residual_rows[rows])
        else:
            pixels = self.xp.ascontiguousarray(x[:, :: self.stride, :: self.stride])
            self.fill(pixels.reshape(-1, x.shape[3]), y_rows, residual_rows)
        return y

    def prepare_for(self, x):
        """Choose the way for images of x's shape, and get the buffers that it needs."""
        geometry = len(self.weight), self.stride, self.padding
        self.out_shape = Conv2d(self.stride, self.padding).output_shape(x, self.weight)
        self.by_winograd = winograd.suits(x, self.weight, self.stride, self.padding, prepared=True)
        plain = self.by_winograd or geometry[::2] == (1, 0)
        self.im2col = None if plain else Im2col(self.xp, x.shape, x.dtype, *geometry)
        self.prepared_for = x.shape, x.dtype

    def fill(self, columns, y, residual):
        """Fill y (M, C_out) with columns (M, K) times the weights, and finish it chunk by chunk, in the cache."""
        step, least = max(CHUNK_ROWS, CHUNK_VALUES // columns.shape[1]), least_part(self.weight.size)

        def fill_rows(part):
            for start in range(part.start, part.stop, step):
                rows = slice(start, min(start + step, part.stop))
                self.matrix.multiply(columns[rows], y[rows])
                self.finish(y[rows], None if residual is None else residual[rows])

        if len(columns) <= min(step, least):  # r18n: not to cut what is one piece saves 4 % of a prediction
            self.matrix.multiply(columns, y)
            self.finish(y, residual)
        else:
            over_parts(fill_rows, len(columns), least)

    @functools.cached_property
    def weight_values(self):
        """The weights as Winograd's convolution wants them."""
        return winograd.weight_values(self.weight)

    def finish(self, y, residual):
        """Add residual and bias to y (..., C_out), in place, and clip it at 0; in long rows, as ops/norm.py."""
        if residual is not None:
            y += residual
        pixels = math.gcd(y.size // len(self.bias), self.repeats)  # in a row
        rows = y.reshape(-1, pixels * len(self.bias))
        rows += self.bias_row[: rows.shape[1]]
        if self.relu:
            self.xp.maximum(rows, self.zero_row[: rows.shape[1]], out=rows)


class FoldedResNet:
    """A function from images (N, H, W, 3), normalised floats, to outputs (N, outputs): arrays, nothing recorded.

    Args:
        network: resnet.ResNet. Later changes of its weights are not seen.
    """

    def __init__(self, network):
        self.stem = FoldedConv(network.conv1, network.bn1)
        self.maxpool = network.maxpool
        self.blocks = [FoldedBlock(block) for stage in network.stages() for block in stage]
        self.fc = [Tensor(parameter.data.copy()) for parameter in (network.fc.weight, network.fc.bias)]

    def __call__(self, images):
        x = self.stem(images)
        if self.maxpool:
            x = max_pool2d(x, self.maxpool.kernel, self.maxpool.stride, self.maxpool.padding).data
        for block in self.blocks:
            x = block(x)
        return linear(Tensor(x.mean(axis=(1, 2))), *self.fc).data


class FoldedBlock:
    """A residual block, basic or bottleneck: its convolutions, and its shortcut if it has one."""

    def __init__(self, block):
        self.convs = [FoldedConv(conv, norm) for conv, norm in block.pairs()]
        self.downsample = FoldedConv(*block.downsample) if block.downsample else None

    def __call__(self, x):
        residual = self.downsample(x) if self.downsample else x
        for conv in self.convs[:-1]:
            x = conv(x)
        return self.convs[-1](x, residual)
