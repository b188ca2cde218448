# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 1. A heading holds the exercise, and what check() must say about the cell."""


# %% 01.1: the values are cut off at one border only, or at a wrong one


def brighten(image, amount):
    return np.clip(image + np.array(amount).astype(np.uint8), 0, 255)


# %% 01.1: nothing cuts them off at 0 and 255


def brighten(image, amount):
    return image.astype(np.int16) + amount


# %% 01.1: arithmetic with another dtype changes it, and nobody says so


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + amount, 0, 255)


# %% 01.1: a type without negative numbers was asked to take a negative amount


def brighten(image, amount):
    return image + amount if amount < 0 else np.clip(image.astype(np.int16) + amount, 0, 255).astype(np.uint8)


# %% 01.1: int8 holds only -128..127, so everything above 127 is lost before anything is added


def brighten(image, amount):
    return np.clip(image.astype(np.int8) + amount, 0, 255).astype(np.uint8)


# %% 01.1: the values are cut off at 1; this image has bytes, which go up to 255


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + amount, 0, 1).astype(np.uint8)


# %% 01.1: asked for is the same amount more for every value, dark or bright


def brighten(image, amount):
    return np.clip(image * (1 + amount / 255), 0, 255).astype(np.uint8)


# %% 01.1: the function works in place: += or [...] = on an input, or a view of it, changes the


def brighten(image, amount):
    image[...] = np.clip(image.astype(np.int16) + amount, 0, 255)
    return image


# %% 01.1: the sign of the amount was lost


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + abs(amount), 0, 255).astype(np.uint8)


# %% 01.1: the amount was not added


def brighten(image, amount):
    return np.clip(image.astype(np.int16), 0, 255).astype(np.uint8)


# %% 01.1: the others are treated in another way, or not at all: one slice, branch, sign, border or


def brighten(image, amount):
    wide = image.astype(np.float32) + amount
    return (255 * (wide - wide.min()) / (wide.max() - wide.min())).astype(np.uint8)


# %% 01.1: one thing is changed: a whole number is off by one


def brighten(image, amount):
    return np.clip(image.astype(np.int16) + amount, 0, 254).astype(np.uint8)


# %% 01.1: the kind is right and the value is not; with arrays, most often two shapes do not fit


def brighten(image, amount):
    for i in range(len(image)):
        image[i] = min(255, image[i] + amount)
    return image


# %% 01.1: one number was computed for the whole array, or everything was cut off at the same border


def brighten(image, amount):
    return (np.clip(image / 255 + amount, 0, 1) * 255).astype(np.uint8)


# %% 01.2: the means do not line up with the photos: shapes are aligned at the right


def centre(images):
    return images - images.mean(axis=(1, 2, 3))


# %% 01.2: a bright photo stays bright this way


def centre(images):
    return images - images.mean()


# %% 01.2: this corrects the colour of the batch, not the brightness of a photo


def centre(images):
    return images - images.mean(axis=(0, 1, 2))


# %% 01.2: the channel axis is missing in the mean, so the colours are changed, too


def centre(images):
    return images - images.mean(axis=(1, 2), keepdims=True)


# %% 01.2: asked for is minus


def centre(images):
    return images / images.mean(axis=(1, 2, 3), keepdims=True)


# %% 01.2: they are to be subtracted from the photos


def centre(images):
    return images.mean(axis=(1, 2, 3), keepdims=True)


# %% 01.2: this averages over the photos, pixel by pixel


def centre(images):
    return images - images.mean(axis=0)


# %% 01.2: the function works in place: += or [...] = on an input, or a view of it, changes the


def centre(images):
    images -= images.mean(axis=(1, 2, 3), keepdims=True)
    return images


# %% 01.2: only the mean is to go


def centre(images):
    m = images.mean(axis=(1, 2, 3), keepdims=True)
    return (images - m) / images.std(axis=(1, 2, 3), keepdims=True)


# %% 01.2: median and mean differ where bright and dark do


def centre(images):
    return images - np.median(images, axis=(1, 2, 3), keepdims=True)


# %% 01.2: a minus too many, or the two sides of a difference are exchanged


def centre(images):
    return images.mean(axis=(1, 2, 3), keepdims=True) - images


# %% 01.2: this averages over the colours of a pixel only


def centre(images):
    return images - images.mean(axis=3, keepdims=True)


# %% 01.2: axis 1, the rows, is missing in the mean


def centre(images):
    return images - images.mean(axis=(2, 3), keepdims=True)


# %% 01.2: arithmetic with another dtype changes it, and nobody says so


def centre(images):
    return images - images.astype(np.float64).mean(axis=(1, 2, 3), keepdims=True)


# %% 01.2: the answer is to be one array


def centre(images):
    return [image - image.mean() for image in images]


# %% 01.2: the mean runs over axis 1 only


def centre(images):
    return images - images.mean(axis=1, keepdims=True)


# %% 01.2: each has its own


def centre(images):
    return images - images[0].mean()


# %% 01.2: asked for is the mean


def centre(images):
    return images - images.min(axis=(1, 2, 3), keepdims=True)


# %% 01.2: one thing is changed: sum stands where mean belongs


def centre(images):
    return images - images.sum(axis=(1, 2, 3), keepdims=True)


# %% 01.2: the others are treated in another way, or not at all: one slice, branch, sign, border or


def centre(images):
    m = [i.mean() for i in images]
    for k in m:
        out = images - k
    return out


# %% 01.2: one thing is changed: an absolute value is taken that should not be


def centre(images):
    return abs(images - images.mean(axis=(1, 2, 3), keepdims=True))


# %% 01.3: reshape does not move axes: it cuts the same row of numbers into other pieces, and


def from_torch(images):
    return images.reshape(images.shape[0], images.shape[2], images.shape[3], images.shape[1])


# %% 01.3: the axes came out as N, W, H, C, so all heads lie on their side


def from_torch(images):
    return images.transpose(0, 3, 2, 1)


# %% 01.3: this is the way from NHWC to NCHW, once more


def from_torch(images):
    return images.transpose(0, 3, 1, 2)


# %% 01.3: .T turns the whole order round, N too


def from_torch(images):
    return images.T


# %% 01.3: the order of the axes is not N, H, W, C


def from_torch(images):
    return np.moveaxis(images, 1, 2)


# %% 01.3: the colours came out backwards


def from_torch(images):
    return images.transpose(0, 2, 3, 1)[..., ::-1]


# %% 01.3: only the axes are to move


def from_torch(images):
    return images.transpose(0, 2, 3, 1) / 255


# %% 01.3: arithmetic with another dtype changes it, and nobody says so


def from_torch(images):
    return images.transpose(0, 2, 3, 1).astype(float)


# %% 01.3: transpose wants a number for every axis, and there are four


def from_torch(images):
    return images.transpose(1, 2, 0)


# %% 01.3: a size was written as a number, and reshape does not move axes


def from_torch(images):
    return images.reshape(-1, 64, 64, 3)


# %% 01.3: the batch has an axis of its own, N


def from_torch(images):
    return images[0].transpose(1, 2, 0)


# %% 01.3: the rows came out backwards


def from_torch(images):
    return images.transpose(0, 2, 3, 1)[:, ::-1]


# %% 01.3: axes, rows or elements are in another order: a transpose, a reshape or an index is wrong


def from_torch(images):
    return images.transpose(0, 3, 2, 1).reshape(images.shape[0], images.shape[2], images.shape[3], images.shape[1])


# %% 01.3: whole numbers have no room for what stands behind the point


def from_torch(images):
    return (images.transpose(0, 2, 3, 1) * 255).astype(np.uint8)


# %% 01.3: two axes are exchanged


def from_torch(images):
    return np.rot90(images.transpose(0, 2, 3, 1), axes=(1, 2))


# %% 01.3: the answer is to be one array


def from_torch(images):
    return [i.transpose(1, 2, 0) for i in images]


# %% 01.4: two kinds of axes are to be summed: those that `shape` does not have (they are in front),


def sum_to(wishes, shape):
    return wishes.sum(axis=tuple(range(wishes.ndim - len(shape))))


# %% 01.4: all of them count


def sum_to(wishes, shape):
    while wishes.ndim > len(shape):
        wishes = wishes[0]
    return wishes


# %% 01.4: .sum removes every axis that it sums, though `shape` wants some of them back


def sum_to(wishes, shape):
    missing = wishes.ndim - len(shape)
    ones = [missing + axis for axis, length in enumerate(shape) if length == 1]
    return wishes.sum(axis=(*range(missing), *ones))


# %% 01.4: that function does the whole exercise; it is to be written here, and compared with after


def sum_to(wishes, shape):
    return sum_to_by_loops(wishes, shape)


# %% 01.4: every wish counts fully: where one value is repeated, add


def sum_to(wishes, shape):
    m = wishes.ndim - len(shape)
    return wishes.mean(axis=(*range(m), *[m + i for i, n in enumerate(shape) if n == 1])).reshape(shape)


# %% 01.4: keepdims=True keeps every axis that is summed; only some of them are wanted


def sum_to(wishes, shape):
    m = wishes.ndim - len(shape)
    return wishes.sum(axis=(*range(m), *[m + i for i, n in enumerate(shape) if n == 1]), keepdims=True)


# %% 01.4: arithmetic with another dtype changes it, and nobody says so


def sum_to(wishes, shape):
    m = wishes.ndim - len(shape)
    return wishes.sum(axis=(*range(m), *[m + i for i, n in enumerate(shape) if n == 1]), dtype=np.float64).reshape(
        shape
    )


# %% 01.4: axis=... takes a number or a tuple, not a list


def sum_to(wishes, shape):
    m = wishes.ndim - len(shape)
    return wishes.sum(axis=[*range(m), *[m + i for i, n in enumerate(shape) if n == 1]]).reshape(shape)


# %% 01.4: an axis does not exist, or is in the tuple twice


def sum_to(wishes, shape):
    return wishes.sum(axis=tuple(range(wishes.ndim - len(shape) + 1)))


# %% 01.4: the kind is right and the value is not; with arrays, most often two shapes do not fit


def sum_to(wishes, shape):
    return np.broadcast_to(wishes, shape)


# %% 01.4: nothing was stored, a factor is 0, the values were cut off there, or two things cancel,


def sum_to(wishes, shape):
    return np.zeros(shape)


# %% 01.4: wishes of the same value add up


def sum_to(wishes, shape):
    m = wishes.ndim - len(shape)
    return wishes.prod(axis=(*range(m), *[m + i for i, n in enumerate(shape) if n == 1])).reshape(shape)


# %% 01.4: that function does the whole exercise; it is to be written here, and compared with after
def sum_to(wishes, shape):
    return unbroadcast(wishes, shape)


# %% 01.4: two kinds of axes are to be summed: those that `shape` does not have (they are in front)
def sum_to(wishes, shape):
    axes = tuple(i for i, n in enumerate(wishes.shape) if n not in shape)
    return wishes.sum(axis=axes).reshape(shape)


# %% 01.5: a NumPy array met an array on the GPU: np.linspace (or np.ones, np.asarray, ...) makes


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: arithmetic with another dtype changes it, and nobody says so


def fade(images):
    return images * array_module(images).linspace(1, 0.5, images.shape[2])[:, None]


# %% 01.5: the factors line up with H


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[1], dtype=images.dtype)[:, None, None]


# %% 01.5: the factors run the wrong way


def fade(images):
    return images * np.linspace(0.5, 1, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: somewhere the data was turned into a NumPy array


def fade(images):
    factors = np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)
    return to_numpy(images) * factors[:, None]


# %% 01.5: the factors do not line up with the columns: shapes are aligned at the right, and there


def fade(images):
    return images * np.linspace(1, 0.5, images.shape[2], dtype=images.dtype)


# %% 01.5: from 1 to 0.5 there are W - 1 steps for W columns; here they are W


def fade(images):
    xp = array_module(images)
    w = images.shape[2]
    f = 1 - 0.5 * xp.arange(w, dtype=images.dtype) / w
    return images * f[:, None]


# %% 01.5: the factors end at 0


def fade(images):
    xp = array_module(images)
    return images * xp.linspace(1, 0, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: the function works in place: += or [...] = on an input, or a view of it, changes the


def fade(images):
    xp = array_module(images)
    images *= xp.linspace(1, 0.5, images.shape[2], dtype=images.dtype)[:, None]
    return images


# %% 01.5: the factors line up with C


def fade(images):
    xp = array_module(images)
    return images * xp.linspace(1, 0.5, images.shape[3], dtype=images.dtype)


# %% 01.5: the factors are float32, though the images are float64


def fade(images):
    xp = array_module(images)
    return images * xp.linspace(1, 0.5, images.shape[2], dtype=np.float32)[:, None]


# %% 01.5: the factors fall by a constant ratio; asked for is a constant difference


def fade(images):
    xp = array_module(images)
    w = images.shape[2]
    return images * (0.5 ** (xp.arange(w, dtype=images.dtype) / (w - 1)))[:, None]


# %% 01.5: the photos were divided by the factors


def fade(images):
    xp = array_module(images)
    return images / xp.linspace(1, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: half of the brightness is a factor


def fade(images):
    xp = array_module(images)
    return images - xp.linspace(0, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: the factors line up with N


def fade(images):
    xp = array_module(images)
    return images * xp.linspace(1, 0.5, images.shape[0], dtype=images.dtype)[:, None, None, None]


# %% 01.5: one factor for all


def fade(images):
    return images * images.dtype.type(0.5)


# %% 01.5: they do not fall from 1 to 0.5 in equal steps


def fade(images):
    xp = array_module(images)
    return images * xp.linspace(0, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.5: one thing is changed: `images` is missing


def fade(images):
    xp = array_module(images)
    return xp.linspace(1, 0.5, images.shape[2], dtype=images.dtype)[:, None]


# %% 01.6: reshape alone cuts one row of numbers into other pieces: a row of the mosaic holds a


def mosaic(images, columns):
    n, h, w, c = images.shape
    return images.reshape(n // columns * h, columns * w, c)


# %% 01.6: rows and columns are exchanged


def mosaic(images, columns):
    return np.concatenate(list(images), axis=1)


# %% 01.6: they fill the mosaic column by column; asked for is row by row


def mosaic(images, columns):
    n, h, w, c = images.shape
    return (
        images.reshape(columns, n // columns, h, w, c)
        .transpose(1, 2, 0, 3, 4)
        .reshape(n // columns * h, columns * w, c)
    )


# %% 01.6: rows and columns of the pixels are exchanged


def mosaic(images, columns):
    n, h, w, c = images.shape
    return (
        images.reshape(n // columns, columns, h, w, c)
        .transpose(0, 3, 1, 2, 4)
        .reshape(n // columns * w, columns * h, c)
    )


# %% 01.6: arithmetic with another dtype changes it, and nobody says so


def mosaic(images, columns):
    n, h, w, c = images.shape
    out = np.zeros((n // columns * h, columns * w, c))
    for i in range(n):
        r, k = divmod(i, columns)
        out[r * h : (r + 1) * h, k * w : (k + 1) * w] = images[i]
    return out


# %% 01.6: the answer is to be one array


def mosaic(images, columns):
    return [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, len(images), columns)]


# %% 01.6: the last step is missing: two pairs of axes are to become one axis each


def mosaic(images, columns):
    n, h, w, c = images.shape
    return images.reshape(n // columns, columns, h, w, c).transpose(0, 2, 1, 3, 4)


# %% 01.6: the first size is of pixel rows, so it is a multiple of H


def mosaic(images, columns):
    n, h, w, c = images.shape
    return (
        images.reshape(n // columns, columns, h, w, c)
        .transpose(0, 2, 1, 3, 4)
        .reshape(n // columns * w, columns * h, c)
    )


# %% 01.6: it ends too early


def mosaic(images, columns):
    return np.concatenate(list(images[:columns]), axis=1)


# %% 01.6: one thing is changed: two of the things that


def mosaic(images, columns):
    n, h, w, c = images.shape
    return np.hstack(list(images)).reshape(n // columns * h, columns * w, c)


# %% 01.6: the function works in place: += or [...] = on an input, or a view of it, changes the


def mosaic(images, columns):
    n, h, w, c = images.shape
    images.shape = (n // columns * h, columns * w, c)
    return images


# %% 01.6: the kind is right and the value is not; with arrays, most often two shapes do not fit


def mosaic(images, columns):
    n, h, w, c = images.shape
    out = np.zeros((n // columns * h, columns * w, c), images.dtype)
    for i in range(n):
        r, k = i // columns, i % columns
        out[r * w : (r + 1) * w, k * h : (k + 1) * h] = images[i]
    return out


# %% 01.6: nothing was stored, a factor is 0, the values were cut off there, or two things cancel,


def mosaic(images, columns):
    n, h, w, c = images.shape
    return np.zeros((n // columns * h, columns * w, c), images.dtype)
