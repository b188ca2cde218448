"""Patacchiola and Cangelosi (2017), "Head pose estimation in the wild using Convolutional Neural Networks and
adaptive gradient methods": direct regression by a small network, trained by a method of adaptive gradients.

The network is the one that they published (github.com/mpatacchiola/deepgaze, head_pose_estimation.py): three 3x3
convolutions, each with tanh and max-pooling by 2, and two linear layers with tanh; an output of 1 is 100 degrees.
Of the adaptive methods that they compare (AdaGrad, AdaDelta, RMSProp, Adam) we take Adam, as everywhere here.

What differs: one network gives all three angles, where they train one for each. After a convolution stands batch
norm, where they add a bias and normalise over neighbouring channels, which has gone out of use. There is no
dropout, which the paper tries and their published network has switched off.
"""

import itertools
import math

import numpy as np

from tinyhpe import ops
from tinyhpe.methods.base import Method
from tinyhpe.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, Module
from tinyhpe.nn.resnet import NETWORKS

LARGEST_ANGLE = 100.0  # degrees, of an output of 1


class SmallNet(Module):
    """Three convolutions, of `width`, 2 `width` and 4 `width` channels, and two linear layers.

    Input: (N, side, side, 3). Output: (N, outputs), from -1 to 1.
    """

    def __init__(self, rng, width, side, outputs):
        channels = [3, width, 2 * width, 4 * width]
        pairs = list(itertools.pairwise(channels))
        self.convs = [Conv2d(c_in, c_out, 3, padding=1, rng=rng) for c_in, c_out in pairs]
        self.norms = [BatchNorm2d(c_out) for _, c_out in pairs]
        self.pool = MaxPool2d(2, 2)
        self.hidden = Linear((side // 8) ** 2 * channels[-1], channels[-1], rng=rng)
        self.fc = Linear(channels[-1], outputs, rng=rng)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = ops.tanh(self.pool(norm(conv(x))))  # tanh keeps the order: so pooling after it gives the same
        x = ops.tanh(self.hidden(x.reshape((len(x), math.prod(x.shape[1:])))))
        return ops.tanh(self.fc(x))


class Patacchiola(Method):
    """Three outputs are the three angles. Of `network` only the width matters: 64, or 16 as of r18n."""

    lr = 1e-3  # at 6e-3 its tanh saturate at once

    def __init__(self, network="r18n", stem="7x7", input_size=48, seed=0):
        super().__init__(network, stem, input_size, seed)
        _, _, width = NETWORKS[network]
        self.backbone = SmallNet(np.random.default_rng(seed), width, input_size, self.outputs)

    def loss(self, stage, images, poses):
        return ops.mse(self(images), poses / LARGEST_ANGLE, axis=0)

    def decode(self, outputs):
        return outputs * LARGEST_ANGLE
