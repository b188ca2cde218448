"""The paper's augmentation, on whole batches: crop, flip, brightness, blur, motion blur, noise.

Mild on purpose. Much stronger versions made results on real photos worse: variety must come from the heads.
"""

import numpy as np

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255

FLIP_CHANCE = 0.5
BRIGHTNESS_CHANCE, BRIGHTNESS_SIGMA = 0.5, 0.2  # factor e^N(0, sigma)
BLUR_CHANCE = 0.2
MOTION_BLUR_CHANCE, MOTION_BLUR_LENGTHS = 0.1, (3, 5)  # pixels
NOISE_CHANCE, NOISE_SIGMA = 0.3, (2.0, 10.0)  # of 255


def augment(images, poses, crop_size, rng):
    """Random variants of head crops.

    Args:
        images: (n, S, S, 3) uint8. poses: (n, 3) degrees.
        crop_size: side of the random part that is kept, at most S.

    Returns:
        (n, crop_size, crop_size, 3) float32 in 0..255, and (n, 3) poses: yaw and roll of mirrored heads negated.
    """
    flipped = rng.random(len(images)) < FLIP_CHANCE
    crops, poses = random_crops(images, crop_size, flipped, rng), poses.copy()
    poses[flipped] *= (-1, 1, -1)
    brightness = np.exp(rng.normal(0, BRIGHTNESS_SIGMA, len(crops)))
    brightness[rng.random(len(crops)) >= BRIGHTNESS_CHANCE] = 1
    crops *= brightness.astype(np.float32)[:, None, None, None]
    on_some(crops, BLUR_CHANCE, gaussian_blur, rng)
    on_some(crops, MOTION_BLUR_CHANCE, motion_blur, rng)
    on_some(crops, NOISE_CHANCE, gaussian_noise, rng)
    return np.clip(crops, 0, 255, out=crops), poses


def random_crops(images, size, flipped, rng):
    """A random size x size part of each image, mirrored where `flipped`."""
    crops = np.empty((len(images), size, size, 3), np.float32)
    corners = rng.integers(0, images.shape[1] - size + 1, (len(images), 2))
    for crop, image, (y, x), mirror in zip(crops, images, corners, flipped, strict=True):
        part = image[y : y + size, x : x + size]
        crop[:] = part[:, ::-1] if mirror else part
    return crops


def on_some(images, chance, change, rng):
    """Apply change(images, rng) in place to a random part of a batch."""
    chosen = np.flatnonzero(rng.random(len(images)) < chance)
    if len(chosen):
        images[chosen] = change(images[chosen], rng)


def gaussian_blur(images, rng):
    """Binomial weights 1 2 1 along both axes: a Gaussian of sigma 0.7 pixels."""
    return weighted_sum(weighted_sum(images, 1, (1, 2, 1)), 2, (1, 2, 1))


def motion_blur(images, rng):
    """The mean over 3 or 5 pixels along x or along y, one direction for the batch."""
    return weighted_sum(images, rng.integers(1, 3), (1,) * rng.choice(MOTION_BLUR_LENGTHS))


def weighted_sum(images, axis, weights):
    """Convolve along one axis; pixels beyond the border are copies of the border."""
    radius = len(weights) // 2
    margins = [(radius, radius) if a == axis else (0, 0) for a in range(4)]
    padded = np.moveaxis(np.pad(images, margins, mode="edge"), axis, 0)
    length = images.shape[axis]
    total = sum(np.float32(w / sum(weights)) * padded[i : i + length] for i, w in enumerate(weights))
    return np.moveaxis(total, 0, axis)


def gaussian_noise(images, rng):
    """Normal noise, of another strength for each image."""
    sigma = rng.uniform(*NOISE_SIGMA, (len(images), 1, 1, 1)).astype(np.float32)
    return images + sigma * rng.standard_normal(images.shape, np.float32)


def center_crop(images, size):
    """The size x size pixels in the middle of images (n, S, S, 3), S at least `size`."""
    if images.shape[1] < size:
        raise ValueError(f"crops of {images.shape[1]} pixels are smaller than the network's input of {size}")
    start = (images.shape[1] - size) // 2
    return images[:, start : start + size, start : start + size]


def normalise(images):
    """Pixels 0..255 (n, S, S, 3) to float32 with ImageNet's mean 0 and standard deviation 1."""
    rows = images.reshape(*images.shape[:2], -1)  # NumPy's loops over three channels are short, and so slow
    rows = rows - np.tile(IMAGENET_MEAN, images.shape[2])
    rows /= np.tile(IMAGENET_STD, images.shape[2])
    return rows.reshape(images.shape)
