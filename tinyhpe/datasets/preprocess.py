"""From bytes and labels to what a network sees and learns: a part of each image, mirrored, brighter or darker.

It is the last step before the network, and runs where the network does. So the images go to a GPU as bytes, a
quarter of what floats would be. Here alone pixels are cut and mirrored, and with them poses and landmarks.

Each image has its variation, four float32: y and x of the part's upper left corner in pixels, 1 if it is mirrored
left to right (else 0), and the factor of its brightness (augment.py draws them).
"""

import functools

import numpy as np

from tinyhpe.backend import array_module
from tinyhpe.errors import InputError
from tinyhpe.pose.landmarks import MIRROR

IMAGENET_MEAN = 255 * np.float32([0.485, 0.456, 0.406])
IMAGENET_STD = 255 * np.float32([0.229, 0.224, 0.225])


def prepare(images, variations, labels, size):
    """Cut a part out of each image, mirror it and its label, brighten it, at most to white, and normalise it.

    Args:
        images: (n, S, S, 3) uint8. variations: (n, 4) float32, see above.
        labels: poses, (n, 3) float32, degrees of yaw, pitch and roll; or landmarks, (n, 68, 2) float32, x and y in
            pixels of the image. All three NumPy or all CuPy; no value of them is looked at.
        size: side of the parts in pixels.

    Returns:
        (images for the network, (n, size, size, 3) float32; their labels, of the shape of `labels`, landmarks in
        pixels of the part), where the images are.

    Raises:
        InputError: no such images, or smaller ones.
    """
    check_images(images, size)
    xp = array_module(images, variations, labels)
    y, x, mirrored, _ = variations.T.astype(int)[:, :, None]
    count, side, across = *images.shape[:2], xp.arange(size)
    rows = y + across
    columns = x + xp.where(mirrored == 1, size - 1 - across, across)
    vary = vary_landmarks if labels.ndim == 3 else vary_poses
    places = (xp.arange(count)[:, None, None] * side + rows[:, :, None]) * side + columns[:, None, :]
    parts = images.reshape(-1, 3).take(places, axis=0)
    bright = xp.minimum(parts.reshape(count, -1) * variations[:, 3:], 255)
    return normalised(xp, bright.reshape(parts.shape)), vary(xp, labels, variations, size)


def vary_poses(xp, poses, variations, size):
    """Poses (n, 3) of heads with these variations: of a mirrored head, yaw and roll change their sign."""
    poses = poses.copy()
    poses[:, ::2] *= 1 - 2 * variations[:, 2:3]
    return poses


def vary_landmarks(xp, landmarks, variations, size):
    """Where landmarks (n, 68, 2) lie in parts of side `size`. In a mirrored one, left and right are exchanged."""
    moved = landmarks - variations[:, None, 1::-1]
    across = xp.stack([size - moved[:, :, 0], moved[:, :, 1]], axis=-1)
    return xp.where(variations[:, None, 2:3] == 1, across.take(mirror(xp), axis=1), moved)


@functools.cache
def mirror(xp):
    """pose.landmarks.MIRROR, sent to a GPU once."""
    return xp.asarray(MIRROR)


def unvaried(images, size):
    """The middles of images as they are, normalised: for predictions. Shapes and errors are those of prepare()."""
    check_images(images, size)
    xp, start = array_module(images), (images.shape[1] - size) // 2
    middle = slice(start, start + size)
    return normalised(xp, xp.ascontiguousarray(images[:, middle, middle], np.float32))


def normalised(xp, pixels):
    """(pixel - ImageNet's mean) / ImageNet's std of float32 pixels from 0 to 255, in their own memory."""
    mean, std = statistics(xp, pixels.shape[2])
    # NumPy's loops over three channels would be short, and so slow
    rows = pixels.reshape(*pixels.shape[:2], 3 * pixels.shape[2])
    rows -= mean
    rows /= std
    return pixels


@functools.cache
def statistics(xp, size):
    """ImageNet's mean and std for a row of `size` pixels, (3 size,) each: sent to a GPU once."""
    return [xp.asarray(np.tile(values, size)) for values in (IMAGENET_MEAN, IMAGENET_STD)]


def check_images(images, size):
    """Raise InputError unless images are (n, S, S, 3) uint8 with S at least `size`."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2:] != (images.shape[1], 3):
        raise InputError(
            f"images of {images.dtype}, {images.shape}, are not (n, S, S, 3) uint8: give square RGB crops from 0 "
            "to 255; floats from 0 to 1 become that by (255 * images).round().astype('uint8')"
        )
    if images.shape[1] < size:
        raise InputError(
            f"crops of {images.shape[1]} pixels are smaller than the network's input of {size}: give larger ones"
        )
