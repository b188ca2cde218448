"""Quicker ways of the ops and of prediction. They are optional: without this folder all works, but slower.

A way is a small class whose functions take the place of the plain ones (ways.py); README.md says what each buys.
The plain op is the oracle of its ways: checks.check_op compares them.
"""

from tinyhpe.fast.conv import ChunkedConv
from tinyhpe.fast.conv_clipped import ClippedConv
from tinyhpe.fast.folded import FoldedResNet
from tinyhpe.fast.norm import ChunkedNorm
from tinyhpe.fast.pool import PolyphasePool
from tinyhpe.fast.winograd import WinogradConv
from tinyhpe.nn.resnet import ResNet
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.norm import BatchNorm
from tinyhpe.ops.pool import MaxPool2d

Conv2d.ways = ClippedConv, WinogradConv, ChunkedConv
BatchNorm.ways = (ChunkedNorm,)
MaxPool2d.ways = (PolyphasePool,)
ResNet.ways = (FoldedResNet,)

from tinyhpe.fast import cuda  # noqa: E402  last, so that its ways come first
