"""From bytes to what a network sees: a part of each image, mirrored or not, brighter or darker, normalised.

It is the last step before the network, and runs where the network does. So the images go to a GPU as bytes, a
quarter of what floats would be.

Each image has its variation, four float32: y and x of the part's upper left corner in pixels, 1 if it is mirrored
left to right (else 0), and the factor of its brightness.
"""

import functools

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda import kernels

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


def prepare(images, variations, size):
    """Return (min(pixel * brightness, 255) - ImageNet's mean) / ImageNet's std of a part of each image.

    Args:
        images: (n, S, S, 3) uint8, NumPy or CuPy. variations: (n, 4) float32 beside them, see above.
        size: side of the parts in pixels.

    Returns:
        (n, size, size, 3) float32, where the images are.

    Raises:
        ValueError: the images are smaller than that.
    """
    if images.shape[1] < size:
        raise ValueError(f"crops of {images.shape[1]} pixels are smaller than the network's input of {size}")
    xp = backend.array_module(images, variations)
    if xp is not np:
        return kernels.prepare_images(kernels.cuda_module(), images, variations, *statistics(xp), size)
    parts = np.empty((len(images), size, size, 3), np.float32)
    for part, image, (y, x, mirrored, _) in zip(parts, images, variations.astype(int), strict=True):
        piece = image[y : y + size, x : x + size]
        part[...] = piece[:, ::-1] if mirrored else piece
    rows = parts.reshape(len(parts), size, -1)  # NumPy's loops over three channels are short, and so slow
    rows *= variations[:, 3, None, None]
    np.minimum(rows, 255, out=rows)
    rows -= np.tile(IMAGENET_MEAN, size)
    rows /= np.tile(IMAGENET_STD, size)
    return parts


@functools.cache
def statistics(xp):
    """ImageNet's mean and std as arrays of the module xp: sent to the GPU once, not for every batch."""
    return xp.asarray(IMAGENET_MEAN), xp.asarray(IMAGENET_STD)


def unvaried(images, size):
    """The variations (n, 4) of images (n, S, S, 3) whose middle is looked at as it is, size x size pixels."""
    start = (images.shape[1] - size) // 2
    return np.tile(np.float32([start, start, 0, 1]), (len(images), 1))
