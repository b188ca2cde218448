"""Residual networks (He et al., 2016), with torchvision's names, so that its weights load as they are."""

import numpy as np

from tinyhpe import ops
from tinyhpe.errors import InputError
from tinyhpe.nn.layers import BatchNorm2d, Conv2d, Linear, MaxPool2d
from tinyhpe.nn.module import Module, Sequential


class BasicBlock(Module):
    """Two 3x3 convolutions and a shortcut round them."""

    expansion = 1

    def __init__(self, rng, c_in, width, stride):
        self.conv1 = Conv2d(c_in, width, 3, stride, 1, rng=rng)
        self.bn1 = BatchNorm2d(width, relu=True)
        self.conv2 = Conv2d(width, width, 3, 1, 1, rng=rng)
        self.bn2 = BatchNorm2d(width, relu=True)
        self.downsample = shortcut(rng, c_in, width, stride)

    def forward(self, x):
        residual = self.downsample(x) if self.downsample else x
        return self.bn2(self.conv2(self.bn1(self.conv1(x))), residual)


class Bottleneck(Module):
    """1x1 down to `width` channels, 3x3, 1x1 up to four times as many, and a shortcut round them."""

    expansion = 4

    def __init__(self, rng, c_in, width, stride):
        self.conv1 = Conv2d(c_in, width, 1, rng=rng)
        self.bn1 = BatchNorm2d(width, relu=True)
        self.conv2 = Conv2d(width, width, 3, stride, 1, rng=rng)
        self.bn2 = BatchNorm2d(width, relu=True)
        self.conv3 = Conv2d(width, 4 * width, 1, rng=rng)
        self.bn3 = BatchNorm2d(4 * width, relu=True)
        self.downsample = shortcut(rng, c_in, 4 * width, stride)

    def forward(self, x):
        residual = self.downsample(x) if self.downsample else x
        h = self.bn1(self.conv1(x))
        return self.bn3(self.conv3(self.bn2(self.conv2(h))), residual)


def shortcut(rng, c_in, c_out, stride):
    """A 1x1 convolution where the block changes the shape, else None: the input itself."""
    if stride == 1 and c_in == c_out:
        return None
    return Sequential(Conv2d(c_in, c_out, 1, stride, rng=rng), BatchNorm2d(c_out))


class ResNet(Module):
    """Stem, four stages of residual blocks, global average, linear layer.

    Args:
        rng: numpy Generator for the initial weights.
        block: BasicBlock or Bottleneck.
        depths: how many blocks in each of the four stages.
        width: channels of the first stage; each next stage has twice as many.
        outputs: length of the output vector.
        stem: "7x7" (stride 2, then max-pool, as in the paper), or "3x3" (stride 1, for small images).

    Input: (N, H, W, 3), any H and W from 32 on. Output: (N, outputs).
    """

    def __init__(self, rng, block, depths, width=64, outputs=1000, stem="7x7"):
        kernel, stride = STEMS[stem]
        self.conv1 = Conv2d(3, width, kernel, stride, kernel // 2, rng=rng)
        self.bn1 = BatchNorm2d(width, relu=True)
        self.maxpool = MaxPool2d(3, 2, 1) if stem == "7x7" else None
        channels = width
        for stage, depth in enumerate(depths):
            blocks = []
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(block(rng, channels, width * 2**stage, stride))
                channels = width * 2**stage * block.expansion
            setattr(self, f"layer{stage + 1}", Sequential(*blocks))
        self.fc = Linear(channels, outputs, rng=rng)

    def stages(self):
        """The four stages, each a Sequential of blocks."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        if self.maxpool:
            x = self.maxpool(x)
        for stage in self.stages():
            x = stage(x)
        return self.fc(ops.global_avg_pool(x))


STEMS = {"7x7": (7, 2), "3x3": (3, 1)}  # kernel and stride of the first convolution
NETWORKS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 64),
    "r18n": (BasicBlock, (2, 2, 2, 2), 16),
    "r18m": (BasicBlock, (2, 2, 2, 2), 22),
}


def build(name, outputs=1000, stem="7x7", seed=0):
    """Build a network by name: resnet18, 34 or 50, or ResNet-18 at a quarter (r18n), a third (r18m) of its width.

    Raises:
        InputError: no network or stem of that name.
    """
    if name not in NETWORKS or stem not in STEMS:
        raise InputError(
            f"unknown network {name!r} with stem {stem!r}: "
            f"choose one of {', '.join(NETWORKS)} and one of {', '.join(STEMS)}"
        )
    return ResNet(np.random.default_rng(seed), *NETWORKS[name], outputs, stem)
