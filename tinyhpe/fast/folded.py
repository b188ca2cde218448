"""A trained ResNet made ready for prediction: batch norms folded into the convolutions, arrays instead of tensors.

In evaluation mode batch norm is a fixed line for each channel, y = scale * x + shift. A line after a convolution
is another convolution: the weights times the scale, and a bias. Bias, residual and ReLU are then put on each chunk
of the output while it is still in the cache (on all of it after Winograd's convolution).
"""

import functools
import itertools
import math
import operator
import threading
from weakref import WeakKeyDictionary

import numpy as np

from tinyhpe import nn
from tinyhpe.fast import gemm, winograd
from tinyhpe.fast.conv import Im2col, pixel_chunks
from tinyhpe.fast.norm import ChunkedNorm
from tinyhpe.nn.resnet import BasicBlock, Bottleneck, ResNet
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.linalg import linear
from tinyhpe.ops.pool import max_pool2d
from tinyhpe.tensor import Tensor

MOST_CHANNELS = 16  # for each tile in Winograd's convolution, whose weights are prepared once here
PARTS = {ResNet, BasicBlock, Bottleneck, nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.MaxPool2d}
_folded = WeakKeyDictionary()  # network -> FoldedResNet


class FoldedResNet:
    """A way of ResNet's infer(): a function from images (N, H, W, 3), normalised floats, to outputs (N, outputs).

    A network is folded at its first prediction, and again when it is not the same any more.
    """

    def suits(network, xp, images):
        if xp is not np or images.dtype.char not in "fd":
            return False
        folded = _folded.get(network)
        if folded is None or not folded.source.is_unchanged(network):
            folded = _folded[network] = FoldedResNet(network)
        return folded.possible

    def inference(network, images):
        return _folded[network](images)

    def __init__(self, network):
        self.source, self.lock, self.possible = Source(network), threading.Lock(), is_as_built(network)
        if not self.possible:
            return
        self.stem = FoldedConv(network.conv1, network.bn1)
        self.maxpool = network.maxpool
        self.blocks = [FoldedBlock(block) for stage in network.stages() for block in stage]
        self.fc = [Tensor(parameter.data.copy()) for parameter in (network.fc.weight, network.fc.bias)]

    def __call__(self, images):
        with self.lock:  # the layers have buffers, which are one thread's at a time
            x = self.stem(images)
            if self.maxpool:
                x = max_pool2d(x, self.maxpool.kernel, self.maxpool.stride, self.maxpool.padding).data
            for block in self.blocks:
                x = block(x)
            return linear(Tensor(x.mean(axis=(1, 2))), *self.fc).data


def is_as_built(network):
    """Whether no part of a network was taken out, derived, patched, or replaced by a layer of another kind."""
    as_they_were = all(type(part) in PARTS and "forward" not in vars(part) for part in network.modules())
    return as_they_were and type(network.fc) is nn.Linear and type(network.maxpool) in (nn.MaxPool2d, type(None))


class Source:
    """What a folded network was made of, and whether it still is so.

    Of each array all values are compared if it is small, else some, evenly spread, two or more for each of its
    output channels: so a change of a few elements in place may be missed; a channel that is cleared, a training
    step, or other weights are not.
    """

    def __init__(self, network):
        _, *self.parts = network.modules()  # not the network: what is kept for it would keep it alive
        self.parameters = network.parameters()
        self.objects = self.look(network)
        arrays = [p.data for p in self.parameters] + [array for _, array in network.named_buffers()]
        self.views = [array.reshape(-1)[:: array.size // max(256, 2 * array.shape[-1]) | 1] for array in arrays]
        self.seen = np.concatenate(self.views) if all(map(np.shares_memory, self.views, arrays)) else None

    def look(self, network):
        """The modules' classes, everything that they have as attributes, and the parameters' arrays."""
        modules = [network, *self.parts]
        attributes = itertools.chain.from_iterable(vars(module).values() for module in modules)
        return [*map(type, modules), *attributes, *(parameter.data for parameter in self.parameters)]

    def is_unchanged(self, network):
        """Whether the network has the same parts, settings and arrays, and the same numbers in them."""
        return (
            self.seen is not None
            and all(map(operator.is_, self.look(network), self.objects))
            and (np.concatenate(self.views) == self.seen).all()
        )


class FoldedBlock:
    """A residual block, basic or bottleneck: its convolutions, and its shortcut if it has one."""

    def __init__(self, block):
        numbers = range(1, 4 if isinstance(block, Bottleneck) else 3)
        self.convs = [FoldedConv(getattr(block, f"conv{i}"), getattr(block, f"bn{i}")) for i in numbers]
        self.downsample = FoldedConv(*block.downsample) if block.downsample else None

    def __call__(self, x):
        residual = self.downsample(x) if self.downsample else x
        for conv in self.convs[:-1]:
            x = conv(x)
        return self.convs[-1](x, residual)


class FoldedConv:
    """A Conv2d and the BatchNorm2d after it as one function: relu(x * weight + bias + residual).

    Args:
        conv: layers.Conv2d.
        norm: layers.BatchNorm2d; its running statistics are used, and its `relu`.
    """

    def __init__(self, conv, norm):
        scale = norm.weight.data / np.sqrt(norm.running_var + norm.eps)
        self.weight = conv.weight.data * scale
        self.bias = norm.bias.data - norm.running_mean * scale
        self.repeats = max(1, ChunkedNorm.ROW_VALUES // len(self.bias))
        self.bias_row = np.tile(self.bias, self.repeats)
        self.zero_row = np.zeros_like(self.bias_row)
        self.stride, self.padding, self.relu = conv.stride, conv.padding, norm.relu
        self.matrix = gemm.RightFactor(self.weight.reshape(-1, len(self.bias)))
        self.prepared_for = None  # shape and dtype of images

    def __call__(self, x, residual=None):
        """x (N, H, W, C_in) to (N, H_out, W_out, C_out); the residual has the shape of the result."""
        if self.prepared_for != (x.shape, x.dtype):
            self.prepare_for(x)
        y = np.empty(self.out_shape, x.dtype)
        if self.by_winograd and winograd.evenly_sized(x):
            winograd.convolve(self.weight_values, x, y)
            self.finish(y, residual)
            return y
        y_rows = y.reshape(-1, y.shape[3])
        residual_rows = None if residual is None else residual.reshape(y_rows.shape)
        for rows, columns in self.im2col.chunks(x) if self.im2col else pixel_chunks(x, self.stride):
            self.matrix.multiply(columns, y_rows[rows])
            self.finish(y_rows[rows], None if residual is None else residual_rows[rows])
        return y

    def prepare_for(self, x):
        """Choose the way for images of x's shape, and get the buffers that it needs."""
        geometry = len(self.weight), self.stride, self.padding
        self.out_shape = Conv2d(self.stride, self.padding).output_shape(x, self.weight)
        self.by_winograd = winograd.worth_it(x.shape, self.weight.shape, self.stride, self.padding, MOST_CHANNELS)
        self.im2col = None if geometry[::2] == (1, 0) else Im2col(x.shape, x.dtype, *geometry)
        self.prepared_for = x.shape, x.dtype

    @functools.cached_property
    def weight_values(self):
        """The weights as Winograd's convolution wants them."""
        return winograd.weight_values(self.weight)

    def finish(self, y, residual):
        """Add residual and bias to y (..., C_out), in place, and clip it at 0; in long rows, as fast/norm.py."""
        if residual is not None:
            y += residual
        pixels = math.gcd(y.size // len(self.bias), self.repeats)  # in a row
        rows = y.reshape(-1, pixels * len(self.bias))
        rows += self.bias_row[: rows.shape[1]]
        if self.relu:
            np.maximum(rows, self.zero_row[: rows.shape[1]], out=rows)
