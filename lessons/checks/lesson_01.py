"""The judges of lesson 1: bytes, means, axes, sums back, xp, and a mosaic."""

import numpy as np

from checks.judging import Wrong, call, compare, refuse_borrowed, same
from checks.pretend_gpu import PretendArray, pretend_gpu


def brighten(answer):
    rng = np.random.default_rng()
    for shape, amount in [((1, 2, 3), 97), ((1, 2, 3), -61), ((5, 7, 3), 97), ((5, 7, 3), -255), ((5, 7, 3), 255)]:
        image = rng.integers(0, 256, shape).astype(np.uint8)
        image[0, 0], image[0, 1] = (3, 128, 255), (200, 60, 17)
        try:
            got = call(answer, image, amount)
        except Wrong as wrong:
            if "OverflowError" not in wrong.what:
                raise
            raise Wrong(
                wrong.what,
                "a type without negative numbers was asked to take a negative amount",
                "which integer types hold -255 as well as 510?",
            ) from wrong
        wide = image.astype(np.int16) + amount
        right = np.clip(wide, 0, 255)
        compare(
            f"With amount {amount}", got, right.astype(np.uint8), brighten_mistakes(image, amount, wide, right)
        )
    return "No byte runs over."


def brighten_mistakes(image, amount, wide, right):
    """What typical mistakes make of an image."""
    wraps = (
        "some values have jumped to the other end of 0..255",
        "the sum was made in bytes, or went back to bytes before it was cut off; afterwards there is nothing left "
        "to clip",
        "in which order come the wider type, the addition, the cutting off, and the bytes?",
    )
    border = (
        "values beyond {} have jumped to the other end",
        "the values are cut off at one border only, or at a wrong one",
        "there are two borders: what is the smallest and what the largest value of a byte?",
    )
    darker = np.clip(image.astype(np.int16) - amount, 0, 255) if amount > 0 else wide
    return [
        (
            wide,
            f"the values go from {wide.min()} to {wide.max()}",
            "nothing cuts them off at 0 and 255",
            "what should a value of 300 become, and what -20?",
        ),
        (image, "the image is as it was", "the amount was not added", "where does `amount` enter?"),
        (
            darker,
            "it became darker where it should become brighter",
            "the amount was subtracted",
            "a positive amount makes it brighter",
        ),
        (
            np.clip(image.astype(np.int16) + abs(amount), 0, 255),
            "it became brighter",
            "the sign of the amount was lost",
            "a negative amount makes the image darker",
        ),
        (
            np.clip(image * (1 + amount / 255), 0, 255).astype(np.uint8),
            "the values were multiplied",
            "asked for is the same amount more for every value, dark or bright",
            "add",
        ),
        (
            np.clip((wide + 128) % 256 - 128, 0, 255),
            "bright values have become dark",
            "int8 holds only -128..127, so everything above 127 is lost before anything is added",
            "a byte without a sign does not fit into a byte with one; take a wider type",
        ),
        (
            np.clip(wide, 0, 1),
            "all values are 0 or 1",
            "the values are cut off at 1; this image has bytes, which go up to 255",
            "which are the smallest and the largest value of a byte?",
        ),
        *(
            (result, border[0].format(limit), *border[1:])
            for result, limit in [
                (np.minimum(wide, 255) % 256, 0),
                (np.maximum(wide, 0) % 256, 255),
                (np.clip(wide, 0, 256) % 256, 255),
            ]
        ),
        ((wide % 256).astype(np.uint8), *wraps),
        (np.clip((image.astype(np.int16) + amount) % 256, 0, 255), *wraps),
    ]


def centre(answer):
    rng = np.random.default_rng()
    for count, height, width in [(2, 2, 4), (3, 5, 6), (4, 5, 6)]:
        images = rng.uniform(size=(count, height, width, 3)) * rng.uniform(0.2, 1, (count, 1, 1, 1))
        images = images.astype(np.float32)
        images[..., 0] += 0.2  # so that channels have different means
        means = images.mean(axis=(1, 2, 3), keepdims=True)
        mistakes = centre_mistakes(images, means)
        try:
            got = call(answer, images)
        except Wrong as wrong:
            if "ValueError: operands could not be broadcast" not in wrong.what:
                raise
            raise Wrong(
                wrong.what,
                "the means do not line up with the photos: shapes are aligned at the right",
                "write the two shapes of the message below each other; which axes of length 1 does the "
                "second lack?",
            ) from wrong
        compare(f"With {count} photos", got, images - means, mistakes)
    return "It works with 3 photos as with any other number."


def centre_mistakes(images, means):
    """What typical mistakes make of a batch."""
    own = means.reshape(-1)
    axes = {
        (0, 1, 2, 3): ("one mean for the whole batch was subtracted", "a bright photo stays bright this way"),
        (0, 1, 2): (
            "one mean for each channel was subtracted, over all photos",
            "this corrects the colour of the batch, not the brightness of a photo",
        ),
        (1, 2): (
            "each channel has lost its own mean",
            "the channel axis is missing in the mean, so the colours are changed, too",
        ),
        (0,): ("the mean photo was subtracted", "this averages over the photos, pixel by pixel"),
        (3,): ("each pixel has lost its own mean", "this averages over the colours of a pixel only"),
        (2, 3): ("each row has lost its own mean", "axis 1, the rows, is missing in the mean"),
        (1, 3): ("each column has lost its own mean", "axis 2, the columns, is missing in the mean"),
        (1,): ("each column and channel has lost its own mean", "the mean runs over axis 1 only"),
        (2,): ("each row and channel has lost its own mean", "the mean runs over axis 2 only"),
    }
    which = "one number for each photo: over which of N, H, W, C does it average?"
    mistakes = [(images - images.mean(axis=a, keepdims=True), what, why, which) for a, (what, why) in axes.items()]
    if len(images) == 3:
        trap = (
            "the mean of photo 0 was subtracted from the red of every photo, that of photo 1 from all green, that "
            "of photo 2 from all blue",
            "the means have the shape (3,), so they line up with the channels: the third trap",
            "which shape must the means have to line up with the first axis?",
        )
        mistakes.append((images - own, *trap))
    std = images.std(axis=(1, 2, 3), keepdims=True)
    median = np.median(images, axis=(1, 2, 3), keepdims=True)
    lowest = images.min(axis=(1, 2, 3), keepdims=True)
    return [
        *mistakes,
        (images / means, "each photo was divided by its mean", "asked for is minus", "subtract it"),
        ((images - means) / std, "the spread was changed, too", "only the mean is to go", "divide by nothing"),
        (images - median, "the median was subtracted", "median and mean differ where bright and dark do", "mean"),
        (images - lowest, "the smallest value was subtracted", "asked for is the mean", "mean"),
        (images - images[0].mean(), "every photo lost the mean of photo 0", "each has its own", which),
        (means, "it returns the means alone", "they are to be subtracted from the photos", "images - ..."),
        (own, "it returns the means alone", "they are to be subtracted from the photos", "images - ..."),
    ]


def from_torch(answer):
    for shape, dtype in (((1, 2, 3, 4), np.float32), ((2, 3, 4, 5), np.float32), ((2, 3, 4, 5), np.uint8)):
        images = (255 * np.random.default_rng().uniform(size=shape)).astype(dtype)
        n, c, h, w = shape
        right = images.transpose(0, 2, 3, 1)
        mistakes = [
            (
                images.reshape(n, h, w, c),
                "the shape is right, the pixels are not",
                "reshape does not move axes: it cuts the same row of numbers into other pieces, and colours "
                "end up "
                "in wrong places",
                "which of the two functions of section 7 moves axes?",
            ),
            (
                images.transpose(0, 3, 2, 1),
                "rows and columns are exchanged",
                "the axes came out as N, W, H, C, so all heads lie on their side",
                "after N comes H: which number had it in the old order?",
            ),
            (
                images.transpose(0, 3, 1, 2),
                "the axes came out as N, W, C, H",
                "this is the way from NHWC to NCHW, once more",
                "for each NEW axis give the number of the old one: N was 0, H was 2, ...",
            ),
            (images.T, "all axes are reversed", ".T turns the whole order round, N too", "N stays in front"),
            (
                right[..., ::-1],
                "red and blue are exchanged",
                "the colours came out backwards",
                "leave their order",
            ),
            (right[:, ::-1], "all heads stand on their heads", "the rows came out backwards", "leave their order"),
            (right[:, :, ::-1], "the photos are mirrored", "the columns came out backwards", "leave their order"),
            (right / 255, "the values were divided by 255", "only the axes are to move", "change no value"),
            (right[0], "only photo 0 came back", "the batch has an axis of its own, N", "keep axis 0"),
            *(
                (
                    images.transpose(order),
                    f"the axes came out as {', '.join('NCHW'[i] for i in order)}",
                    "the order of the axes is not N, H, W, C",
                    "write the new order down, with the OLD number below each",
                )
                for order in np.ndindex(4, 4, 4, 4)
                if sorted(order) == [0, 1, 2, 3] and order != (0, 2, 3, 1)
            ),
        ]
        try:
            got = call(answer, images)
        except Wrong as wrong:
            if "axes don't match" in wrong.what:
                raise Wrong(
                    wrong.what, "transpose wants a number for every axis, and there are four", "what about N?"
                ) from wrong
            if "cannot reshape" in wrong.what:
                raise Wrong(
                    wrong.what, "a size was written as a number, and reshape does not move axes", "use no sizes"
                ) from wrong
            raise
        compare(f"For {shape}", got, right, mistakes)
    return "And nothing was copied: only the strides changed."


class Counted(np.ndarray):
    """An array that counts how often a single place of it is looked at."""

    looks = 0

    def __getitem__(self, index):
        Counted.looks += 1
        if Counted.looks > 25:
            raise Wrong(
                "more than 25 places of `wishes` were looked at, one by one",
                "there is a loop over its elements, which is slow: section 4",
                "one call of a NumPy function can sum over several axes",
            )
        return super().__getitem__(index)


def sum_to(answer):
    refuse_borrowed(answer, "unbroadcast", "sum_to_by_loops")
    rng = np.random.default_rng()
    cases = [((2, 3), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((4, 1, 3), (1, 3))]
    cases += [
        ((4, 5, 3), (3,)),
        ((4, 5, 3), (5, 1)),
        ((4, 5, 3), (4, 1, 1)),
        ((2, 1, 3), (2, 1, 3)),
        ((3, 2, 3), (3,)),
    ]
    for dtype in (np.float64, np.float32):
        for big, shape in cases:
            wishes = rng.normal(size=big).astype(dtype)
            front = len(big) - len(shape)
            axes = (*range(front), *(i + front for i, n in enumerate(shape) if n == 1))
            right = wishes.sum(axis=axes).reshape(shape)
            Counted.looks = 0
            try:
                got = np.asarray(call(answer, wishes.view(Counted), shape))
            except Wrong as wrong:
                raise sum_to_error(wrong, f"From {big} to {shape}:") from wrong
            mistakes = sum_to_mistakes(wishes, shape, axes, front)
            compare(f"From {big} to {shape} in {dtype.__name__}:", got, right, mistakes, 1e-5)
    return "Where broadcasting repeats, the way back sums."


PARTLY = (
    "not all of the axes were summed, or wrong ones",
    "two kinds of axes are to be summed: those that `shape` does not have (they are in front), and those "
    "that have "
    "length 1 in `shape`",
    "for this case write down the numbers of the axes to sum, as axes of `wishes`; then print yours",
)


def sum_to_error(wrong, given):
    """Explain what happens most often when a reshape or a sum fails."""
    what = f"{given} {wrong.what}"
    if "cannot reshape" in wrong.what:
        return Wrong(what, *PARTLY[1:])
    if "'list' object" in wrong.what:
        return Wrong(what, "axis=... takes a number or a tuple, not a list", "tuple(...)")
    if "out of bounds" in wrong.what or "duplicate" in wrong.what:
        return Wrong(what, "an axis does not exist, or is in the tuple twice", PARTLY[2])
    return Wrong(what, wrong.why, wrong.hint)


def sum_to_mistakes(wishes, shape, axes, front):
    """What typical mistakes make of the wishes."""
    mean = (
        "this is the mean",
        "every wish counts fully: where one value is repeated, add",
        "which function adds?",
    )
    times = ("this is the product of the wishes", "wishes of the same value add up", "which function adds?")
    picked = ("the first of the repeated values was taken", "all of them count", "sum over the axis")
    most = ("this is the largest wish", "all of them count", "sum over the axis")
    first = wishes[(0,) * front]
    first = first[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)] if shape else first
    mistakes = [
        (wishes.mean(axis=axes).reshape(shape), *mean),
        (wishes.max(axis=axes).reshape(shape), *most),
        (wishes.prod(axis=axes).reshape(shape), *times),
        (np.asarray(first), *picked),
        (wishes.sum(axis=tuple(range(front))), *PARTLY),
        (wishes.sum(axis=tuple(i + front for i, n in enumerate(shape) if n == 1), keepdims=True), *PARTLY),
        (
            wishes.sum(axis=axes, keepdims=True),
            "the axes that `shape` does not have are still there, with length 1",
            "keepdims=True keeps every axis that is summed; only some of them are wanted",
            "look at section 6: what puts numbers into another shape?",
        ),
        (
            wishes.sum(axis=axes),
            "the axes of length 1 are lost",
            ".sum removes every axis that it sums, though `shape` wants some of them back",
            "what puts numbers into another shape without moving them?",
        ),
        (wishes.sum(axis=0), *PARTLY),
        (wishes.sum(axis=-1), *PARTLY),
        (wishes.sum(), *PARTLY),
        (wishes, *PARTLY),
    ]
    trailing = wishes.sum(axis=tuple(range(len(shape), wishes.ndim)))
    return [*mistakes, (trailing, *PARTLY), (wishes.reshape(-1, *shape).sum(axis=0) if shape else wishes, *PARTLY)]


def fade(answer):
    for dtype in (np.float32, np.float64):
        images = np.random.default_rng().uniform(0.2, 1, (2, 4, 6, 3)).astype(dtype)
        factors = np.linspace(1, 0.5, 6, dtype=dtype)
        right = images * factors[:, None]
        try:
            got = call(answer, images)
        except Wrong as wrong:
            raise fade_error(wrong, images.shape) from wrong
        name = np.dtype(dtype).name
        judge_factors(got, images, factors)
        tolerance = 10 * np.finfo(dtype).eps
        compare(f"On the CPU, in {name}:", got, right, fade_mistakes(images, factors), tolerance, rough=1e-6)
        with pretend_gpu():
            try:
                got = call(answer, PretendArray(images.copy()))
            except Wrong as wrong:
                raise Wrong(
                    f"on the CPU it is right. On the pretend GPU {wrong.what}",
                    "a NumPy array met an array on the GPU: np.linspace (or np.ones, np.asarray, ...) makes its "
                    "array on the CPU, always",
                    "who knows where the images live? Ask it for the functions",
                ) from wrong
            if not isinstance(got, PretendArray):
                raise Wrong(
                    "on the pretend GPU the result came back to the CPU",
                    "somewhere the data was turned into a NumPy array",
                    "use xp's functions only: whoever called you decides where the data lives",
                )
        compare("On the pretend GPU", got.get(), right, (), tolerance)
    return "One function, any device."


def judge_factors(got, images, factors):
    """Explain factors that are the same in every column, but not the right ones (nor those of a known mistake)."""
    if not isinstance(got, np.ndarray) or got.shape != images.shape or got.dtype.kind != "f":
        return
    found = got / images
    columns = found[0, 0, :, 0]
    if not same(found, np.broadcast_to(columns[:, None], found.shape), 1e-5) or same(columns, factors, 1e-5):
        return
    if any(same(got, mistake[0], 1e-5) for mistake in fade_mistakes(images, factors)):
        return
    raise Wrong(
        f"for {len(factors)} columns the factors are {', '.join(f'{f:.3g}' for f in columns)}",
        "they do not fall from 1 to 0.5 in equal steps",
        "print your factors: the first, the last, and their differences",
    )


def fade_error(wrong, shape):
    """Explain factors that do not fit."""
    if "could not be broadcast" not in wrong.what:
        return wrong
    return Wrong(
        f"for images of shape {shape} {wrong.what}",
        "the factors do not line up with the columns: shapes are aligned at the right, and there the "
        "colours stand",
        "how many columns has THIS batch, and which axis of length 1 has to stand to the right of the factors?",
    )


def fade_mistakes(images, factors):
    """What typical mistakes make of the photos."""
    n, h, w, c = images.shape
    column = factors[:, None]

    def along(count, *shape):
        return images * np.linspace(1, 0.5, count, dtype=images.dtype).reshape(shape)

    steps = np.arange(w, dtype=images.dtype)
    ends = "the last factor is too large; it should be 0.5"
    late = "from 1 to 0.5 there are W - 1 steps for W columns; here they are W"
    return [
        (along(h, h, 1, 1), "it darkens from top to bottom", "the factors line up with H", "which axis is W?"),
        (along(c, c), "it darkens from red to blue", "the factors line up with C", "which axis is W?"),
        (along(n, n, 1, 1, 1), "it darkens from photo to photo", "the factors line up with N", "which axis is W?"),
        (images * column[::-1], "it darkens from right to left", "the factors run the wrong way", "1 at the left"),
        (images * (1 - 0.5 * steps / w)[:, None], ends, late, "print your factors: do they end at 0.5?"),
        (
            images * (steps[::-1] / (w - 1))[:, None],
            "the last column is black",
            "the factors end at 0",
            "half of it",
        ),
        (
            images * (0.5 ** (steps / (w - 1)))[:, None],
            "the steps are not equal",
            "the factors fall by a constant ratio; asked for is a constant difference",
            "print the differences of your factors",
        ),
        (
            images * column.astype(np.float32),
            "the values are right to 7 digits only",
            "the factors are float32, though the images are float64",
            "the factors need the dtype of the images, whatever it is",
        ),
        (images / column, "it becomes brighter", "the photos were divided by the factors", "multiply"),
        (images - (1 - column), "the factors were subtracted", "half of the brightness is a factor", "multiply"),
        (images * images.dtype.type(0.5), "every column got half", "one factor for all", "W factors"),
    ]


def mosaic(answer):
    rng = np.random.default_rng()
    for count, columns, dtype in [(2, 2, np.uint8), (2, 1, np.uint8), (6, 3, np.uint8), (8, 2, np.float32)]:
        images = (255 * rng.uniform(size=(count, 4, 5, 3))).astype(dtype)
        rows = [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, count, columns)]
        try:
            got = call(answer, images, columns)
        except Wrong as wrong:
            if "cannot reshape" not in wrong.what:
                raise
            raise Wrong(
                wrong.what,
                "the new sizes do not multiply to the number of values",
                "write down each size: of what?",
            ) from wrong
        given = f"For {count} photos of 4 x 5 in {columns} columns:"
        compare(given, got, np.concatenate(rows), mosaic_mistakes(images, columns))
    return "Five axes, one transpose, and no loop is needed."


def mosaic_mistakes(images, columns):
    """What typical mistakes make of the photos."""
    n, h, w, c = images.shape
    rows = n // columns
    size = (rows * h, columns * w, c)
    grid = images.reshape(rows, columns, h, w, c)
    cut = (
        "the pixels of different photos are mixed",
        "reshape alone cuts one row of numbers into other pieces: a row of the mosaic holds a pixel row of "
        "the first "
        "photo, then one of the second",
        "name the five axes of images cut into rows and columns; in which order does the mosaic need them?",
    )
    lies = ("every photo lies on its side", "rows and columns of the pixels are exchanged", cut[2])
    fills = (
        "the photos are in another order",
        "they fill the mosaic column by column; asked for is row by row",
        "which of the photo's two new axes comes first?",
    )
    turned = images.reshape(columns, rows, h, w, c)
    return [
        (images.reshape(size), *cut),
        (
            grid.transpose(0, 2, 1, 3, 4),
            "the pixels are in place, but there are five axes",
            "the last step is missing: two pairs of axes are to become one axis each",
            "what joins neighbouring axes?",
        ),
        (turned.transpose(1, 2, 0, 3, 4).reshape(size), *fills),
        (
            turned.transpose(0, 2, 1, 3, 4).reshape(columns * h, rows * w, c),
            "it has as many rows as it should have columns",
            "rows and columns are exchanged",
            "how many photos stand side by side?",
        ),
        (grid.transpose(0, 3, 1, 2, 4).reshape(rows * w, columns * h, c), *lies),
        (
            grid.transpose(0, 2, 1, 3, 4).reshape(rows * w, columns * h, c),
            "the sizes of rows and columns are mixed up",
            "the first size is of pixel rows, so it is a multiple of H",
            "write down each size: of what?",
        ),
        (
            np.concatenate(list(images), axis=1),
            "all photos stand in one row",
            "`columns` plays no part",
            "cut first",
        ),
        (
            np.concatenate(list(images), axis=0),
            "all photos stand in one column",
            "`columns` plays no part",
            "cut first",
        ),
        (
            np.concatenate(list(images[:columns]), axis=1),
            "only the first row is there",
            "it ends too early",
            "go on",
        ),
    ]


JUDGES = {
    "01.1": brighten,
    "01.2": centre,
    "01.3": from_torch,
    "01.4": sum_to,
    "01.5": fade,
    "01.6": mosaic,
}

HINTS = {
    "01.1": [
        "Where does 200 + 100 go wrong: in the addition, or later? So what has to come before the addition?",
        "image.astype(...) gives a wider type. Which one holds negative numbers, too?",
        "After the addition the values may lie outside 0..255. NumPy has a function that cuts off: look for clip. "
        "When do you go back to bytes?",
    ],
    "01.2": [
        "How many means are there for a batch of N photos? Over which of the four axes do you average?",
        "The means have the shape (N,). With which axis of the photos would they line up, and with which should "
        "they?",
        "Look at help(np.mean): one of its arguments leaves axes of length 1 where it has averaged.",
    ],
    "01.3": [
        "Write the old order with numbers below it: N 0, C 1, H 2, W 3. Now write the new order, with the same "
        "numbers.",
        "Section 7 has shown two functions. Only one of them moves axes.",
    ],
    "01.4": [
        "Take wishes of shape (4, 5, 3) and shape (5, 1). Which axes of wishes were made by broadcasting?",
        "Some axes are missing in front; how many? Others have length 1 in `shape`; what is their number in "
        "wishes?",
        ".sum takes a tuple of axes. It removes them, though `shape` wants some of them back, with length 1: "
        "what brings such an axis back without moving anything?",
    ],
    "01.5": [
        "How many factors are there, and which shape must they have to line up with the columns?",
        "Where does the array of factors live? Who decides it: you, or the images?",
        "Print the dtype of your factors, and that of your result. linspace has an argument for it.",
    ],
}
