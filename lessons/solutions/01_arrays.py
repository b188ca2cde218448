# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 1. Each cell stands in place of the exercise cell of the same number."""

# %% 01.1
# Exercise 01.1


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + amount, 0, 255).astype(np.uint8)


# %% 01.2
# Exercise 01.2


def centre(images):
    return images - images.mean(axis=(1, 2, 3), keepdims=True)


# %% 01.3
# Exercise 01.3


def from_torch(images):
    return images.transpose(0, 2, 3, 1)


# %% 01.4
# Exercise 01.4


def sum_to(wishes, shape):
    missing = wishes.ndim - len(shape)
    ones = [missing + axis for axis, length in enumerate(shape) if length == 1]
    return wishes.sum(axis=(*range(missing), *ones)).reshape(shape)


# %% 01.5
# Exercise 01.5


def fade(images):
    xp = array_module(images)
    factors = xp.linspace(1, 0.5, images.shape[2], dtype=images.dtype)
    return images * factors[:, None]


# %% 01.6
# Challenge 01.6


def mosaic(images, columns):
    n, height, width, channels = images.shape
    grid = images.reshape(n // columns, columns, height, width, channels)
    return grid.transpose(0, 2, 1, 3, 4).reshape(n // columns * height, columns * width, channels)
