"""A fully convolutional network that says of every place of a photo whether a face is there, and how large it is.

It answers for cells, one every 8 pixels, five numbers each: the logit of a face's centre being near, how far right
and down of the cell it is (in units of 8 pixels), and the logarithms of its width and height (in units of 16).
Faces are found from 12 to 32 pixels in size (the root of width times height); larger ones in smaller copies of the
photo. So the network need not learn what size is.
After FCOS (Tian et al., 2019), without its pyramid inside the network.
"""

import numpy as np

from tinyhpe import ops
from tinyhpe.nn.layers import BatchNorm2d, Conv2d, Linear
from tinyhpe.nn.module import Module, Sequential
from tinyhpe.nn.resnet import BasicBlock

STRIDE, UNIT = 8, 16  # pixels
SIZES, ALMOST = (12, 32), (9, 44)  # of faces that are to be found, and of those that may be
NEAR, AROUND = 0.33, 0.5  # of a face's size: cells that belong to it, and cells that need not know
RARE = -4.0  # the first logit of all cells: few of them hold a face


class Finder(Module):
    """Images (N, H, W, 3), normalised floats, to answers (N, ceil(H / 8), ceil(W / 8), 5), see above."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.conv1, self.bn1 = Conv2d(3, 16, 3, 2, 1, rng=rng), BatchNorm2d(16, relu=True)
        self.layer1 = BasicBlock(rng, 16, 32, 2)
        self.layer2 = Sequential(
            BasicBlock(rng, 32, 64, 2), BasicBlock(rng, 64, 64, 1), BasicBlock(rng, 64, 64, 1)
        )
        self.answer = Linear(64, 5, rng=rng)
        self.answer.bias.data[:] = RARE, 0, 0, 0, 0

    def forward(self, x):
        x = self.layer2(self.layer1(self.bn1(self.conv1(x))))
        count, rows, columns, channels = x.shape
        return self.answer(x.reshape(-1, channels)).reshape(count, rows, columns, 5)


def normalised(images):
    """Pixels (..., 3) uint8 as the network sees them, float32."""
    return (images.astype(np.float32) - 128) / 64


def cell_centres(rows, columns):
    """x and y (rows, columns) of the pixels that the cells are centred on."""
    return np.meshgrid(STRIDE * np.arange(columns) + 0.5, STRIDE * np.arange(rows) + 0.5)


def encode(boxes, hidden, rows, columns):
    """What the network should answer for a picture with these faces.

    Args:
        boxes: (n, 4) x, y, width, height in pixels. hidden: (n,), whether a face need not be found.

    Returns:
        (1 where a face's centre is near, else 0; whether that counts, (rows, columns) each; the other four
        answers there (rows, columns, 4))
    """
    x, y = cell_centres(rows, columns)
    wanted, counts = np.zeros((rows, columns), np.float32), np.ones((rows, columns), bool)
    answers, nearest = np.zeros((rows, columns, 4), np.float32), np.full((rows, columns), np.inf)
    for (left, top, width, height), unseen in zip(boxes, hidden, strict=True):
        size, right, down = np.sqrt(width * height), left + width / 2 - x, top + height / 2 - y
        if not ALMOST[0] <= size <= ALMOST[1]:
            continue
        distance = np.maximum(np.abs(right), np.abs(down))
        here = distance <= max(NEAR * size, distance.min())
        if unseen or not SIZES[0] <= size <= SIZES[1]:
            counts &= distance > AROUND * size
            continue
        counts &= here | (distance > AROUND * size)
        here &= distance < nearest
        nearest[here], wanted[here] = distance[here], 1
        scale = np.broadcast_to(np.log((width / UNIT, height / UNIT)), (rows, columns, 2))
        answers[here] = np.dstack([right / STRIDE, down / STRIDE, scale])[here]
    return wanted, counts, answers


def decode(answers, threshold):
    """The faces in the answers (rows, columns, 5) for one picture: boxes (n, 4) in pixels, scores (n,) above a
    threshold, one for each cell that has seen one."""
    scores = 1 / (1 + np.exp(-np.clip(answers[..., 0], -50, 50)))
    seen = scores > threshold
    x, y = cell_centres(*scores.shape)
    _, right, down, *scale = answers[seen].T
    width, height = UNIT * np.exp(np.clip(scale, -3, 3))
    return np.stack(
        [x[seen] + STRIDE * right - width / 2, y[seen] + STRIDE * down - height / 2, width, height], 1
    ), scores[seen]


def loss(answers, wanted, counts, boxes):
    """The two losses of a batch, tensors: of finding and of the boxes, both per cell with a face.

    The arrays are encode()'s, stacked. A cell weighs as much as it errs (Lin et al., 2017, with gamma 1): else the
    thousands that see no face, and know it, would count most.
    """
    logits, faces = answers[..., 0], max(1.0, float(wanted.sum()))
    weights = counts * np.abs(ops.sigmoid(logits.detach()).data - wanted)
    finding = (ops.bce_with_logits(logits, wanted, axis=()) * weights).sum() * (1 / faces)
    here = np.nonzero(wanted)
    fitting = abs(answers[here][:, 1:] - boxes[here]).sum() * (1 / faces)
    return finding, fitting
