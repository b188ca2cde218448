"""The paper's augmentation, on whole batches: blur, motion blur, noise; crop, flip, brightness.

The last three are only drawn here: preprocess.py applies them, to pixels and poses. So blur and noise come before
the brightness, which scales the noise too, and their results are rounded to bytes.

The paper's crops lie anywhere with the same chance. Here the sum of two random steps makes those near the middle
likelier, where predictions look: a small network learns to be exact there before it learns to be exact anywhere
(10,000 rendered heads, in fine-tuning alone: 6.4 degrees on photos instead of 7.2).

Mild on purpose. Much stronger versions made results on real photos worse: variety must come from the heads.
"""

import numpy as np

FLIP_CHANCE = 0.5
BRIGHTNESS_CHANCE, BRIGHTNESS_SIGMA = 0.5, 0.2  # factor e^N(0, sigma)
BLUR_CHANCE = 0.2
MOTION_BLUR_CHANCE, MOTION_BLUR_LENGTHS = 0.1, (3, 5)  # pixels
NOISE_CHANCE, NOISE_SIGMA = 0.3, (2.0, 10.0)  # of 255


def augment(images, size, rng):
    """Random variants of head crops.

    Args:
        images: (n, S, S, 3) uint8.
        size: side in pixels of the random part that will be kept, at most S.

    Returns:
        The images (n, S, S, 3) uint8, some of them blurred or noisy; and the variations (n, 4) float32 that
        preprocess.prepare makes of them.
    """
    images = images.copy()
    on_some(images, BLUR_CHANCE, gaussian_blur, rng)
    on_some(images, MOTION_BLUR_CHANCE, motion_blur, rng)
    on_some(images, NOISE_CHANCE, gaussian_noise, rng)
    count = len(images)
    half, rest = (images.shape[1] - size) // 2, (images.shape[1] - size + 1) // 2
    corners = rng.integers(0, half + 1, (count, 2)) + rng.integers(0, rest + 1, (count, 2))
    mirrored = rng.random(count) < FLIP_CHANCE
    brightness = np.exp(rng.normal(0, BRIGHTNESS_SIGMA, count))
    brightness[rng.random(count) >= BRIGHTNESS_CHANCE] = 1
    return images, np.column_stack([corners, mirrored, brightness]).astype(np.float32)


def on_some(images, chance, change, rng):
    """Apply change(images, rng), on floats, in place to a random part of a batch of bytes."""
    chosen = np.flatnonzero(rng.random(len(images)) < chance)
    if len(chosen):
        changed = change(images[chosen].astype(np.float32), rng)
        images[chosen] = np.clip(np.rint(changed), 0, 255)


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
