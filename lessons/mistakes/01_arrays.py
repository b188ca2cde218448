# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 1. A heading holds the exercise, and what check() must say about the cell."""


# %% 01.1: have jumped to the other end


def brighten(image, amount):
    return np.clip(image + np.array(amount).astype(np.uint8), 0, 255)


# %% 01.1: have jumped to the other end


def brighten(image, amount):
    return (image.astype(np.int16) + amount).astype(np.uint8)


# %% 01.1: nothing cuts them off


def brighten(image, amount):
    return image.astype(np.int16) + amount


# %% 01.1: the dtype is int16


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + amount, 0, 255)


# %% 01.1: a byte has no negative numbers


def brighten(image, amount):
    return image + amount if amount < 0 else np.clip(image.astype(np.int16) + amount, 0, 255).astype(np.uint8)


# %% 01.2: the third trap


def centre(images):
    return images - images.mean(axis=(1, 2, 3))


# %% 01.2: one mean for the whole batch


def centre(images):
    return images - images.mean()


# %% 01.2: one mean for each channel


def centre(images):
    return images - images.mean(axis=(0, 1, 2))


# %% 01.2: each channel has lost its own mean


def centre(images):
    return images - images.mean(axis=(1, 2), keepdims=True)


# %% 01.2: asked for is minus


def centre(images):
    return images / images.mean(axis=(1, 2, 3), keepdims=True)


# %% 01.2: an axis is lost, added


def centre(images):
    return images.mean(axis=(1, 2, 3), keepdims=True)


# %% 01.3: reshape does not move axes


def from_torch(images):
    return images.reshape(images.shape[0], images.shape[2], images.shape[3], images.shape[1])


# %% 01.3: rows and columns are exchanged


def from_torch(images):
    return images.transpose(0, 3, 2, 1)


# %% 01.3: the way from NHWC to NCHW


def from_torch(images):
    return images.transpose(0, 3, 1, 2)


# %% 01.3: turns the whole order round


def from_torch(images):
    return images.T


# %% 01.4: only some of the axes


def sum_to(wishes, shape):
    return wishes.sum(axis=tuple(range(wishes.ndim - len(shape))))


# %% 01.4: this is the mean


def sum_to(wishes, shape):
    return wishes.mean(axis=tuple(range(wishes.ndim - len(shape)))).reshape(shape) if shape == (3,) else wishes


# %% 01.4: the first of the repeated values


def sum_to(wishes, shape):
    while wishes.ndim > len(shape):
        wishes = wishes[0]
    return wishes


# %% 01.4: an axis is lost


def sum_to(wishes, shape):
    missing = wishes.ndim - len(shape)
    ones = [missing + axis for axis, length in enumerate(shape) if length == 1]
    return wishes.sum(axis=(*range(missing), *ones))


# %% 01.5: on the CPU it is right


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: float64 came out


def fade(images):
    return images * array_module(images).linspace(1, 0.5, images.shape[2])[:, None]


# %% 01.5: from top to bottom


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[1], dtype=images.dtype)[:, None, None]


# %% 01.5: from right to left


def fade(images):
    return images * np.linspace(0.5, 1, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: came back to the CPU


def fade(images):
    factors = np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)
    return to_numpy(images) * factors[:, None]


# %% 01.5: ValueError


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)
