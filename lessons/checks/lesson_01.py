"""The judges of lesson 1: bytes, means, axes, sums back, and xp."""

import numpy as np

from checks.judging import Wrong, call, compare
from checks.pretend_gpu import PretendArray, pretend_gpu


def brighten(answer):
    image = np.random.default_rng().integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image[0, 0] = 0, 128, 255
    for amount in (100, -60):
        try:
            got = call(answer, image, amount)
        except Wrong as wrong:
            if "OverflowError" not in wrong.what:
                raise
            raise Wrong(
                wrong.what, "a byte has no negative numbers, so -60 does not fit", "image.astype(np.int16) first"
            ) from wrong
        wide = image.astype(np.int16) + amount
        mistakes = [
            (
                (wide % 256).astype(np.uint8),
                "some values have jumped to the other end of 0..255",
                "the sum was made in bytes, or went back to bytes before it was cut off; afterwards there is "
                "nothing left to clip",
                "in this order: astype(np.int16), add, np.clip, astype(np.uint8)",
            ),
            (
                wide,
                f"the values go from {wide.min()} to {wide.max()}",
                "nothing cuts them off at 0 and 255",
                "np.clip(values, 0, 255)",
            ),
        ]
        compare(f"With amount {amount}", got, np.clip(wide, 0, 255).astype(np.uint8), mistakes)
    return "No byte runs over."


def centre(answer):
    rng = np.random.default_rng()
    for count in (3, 4):
        images = (rng.uniform(size=(count, 5, 6, 3)) * rng.uniform(0.2, 1, (count, 1, 1, 1))).astype(np.float32)
        images[..., 0] += 0.2  # so that channels have different means
        own = images.mean(axis=(1, 2, 3))
        mistakes = [
            (
                images - images.mean(),
                "one mean for the whole batch was subtracted",
                "a bright photo stays bright this way",
                "axis=(1, 2, 3): all axes but N",
            ),
            (
                images - images.mean(axis=(0, 1, 2)),
                "one mean for each channel was subtracted, over all photos",
                "this corrects the colour of the batch, not the brightness of a photo",
                "axis=(1, 2, 3)",
            ),
            (
                images - images.mean(axis=(1, 2), keepdims=True),
                "each channel has lost its own mean",
                "the channel axis is missing in the mean, so the colours are changed, too",
                "axis=(1, 2, 3)",
            ),
            (
                images / own[:, None, None, None],
                "each photo was divided by its mean",
                "asked for is minus",
                "subtract it",
            ),
        ]
        if count == 3:
            mistakes.append(
                (
                    images - own,
                    "the mean of photo 0 was subtracted from the red of every photo, that of photo 1 "
                    "from all green, that of photo 2 from all blue",
                    "the means have the shape (3,), so they line up with the channels: the third trap",
                    "keepdims=True, or means[:, None, None, None]",
                )
            )
        compare(f"With {count} photos", call(answer, images), images - own[:, None, None, None], mistakes)
    return "It works with 3 photos as with any other number."


def from_torch(answer):
    images = np.random.default_rng().uniform(size=(2, 3, 4, 5)).astype(np.float32)
    mistakes = [
        (
            images.reshape(2, 4, 5, 3),
            "the shape is right, the pixels are not",
            "reshape does not move axes: it "
            "cuts the same row of numbers into other pieces, and colours end up in wrong places",
            "transpose",
        ),
        (
            images.transpose(0, 3, 2, 1),
            "rows and columns are exchanged",
            "the axes came out as N, W, H, C, so all heads lie on their side",
            "after N comes H, which is axis 2 of the input",
        ),
        (
            images.transpose(0, 3, 1, 2),
            "the axes came out as N, W, C, H",
            "this is the way from NHWC to NCHW, once more",
            "for each NEW axis give the number of the old one: N was 0, H was 2, ...",
        ),
        (images.T, "all axes are reversed", ".T turns the whole order round, N too", "transpose(0, ...)"),
    ]
    compare("For (2, 3, 4, 5)", call(answer, images), images.transpose(0, 2, 3, 1), mistakes)
    return "And nothing was copied: only the strides changed."


def sum_to(answer):
    rng = np.random.default_rng()
    for big, shape in [
        ((4, 5, 3), (3,)),
        ((4, 5, 3), (5, 1)),
        ((4, 5, 3), (4, 1, 1)),
        ((2, 3), (2, 3)),
        ((2, 3), ()),
        ((4, 1, 3), (1, 3)),
        ((2, 1, 3), (2, 1, 3)),
    ]:
        wishes = rng.normal(size=big)
        front = len(big) - len(shape)
        axes = (*range(front), *(i + front for i, n in enumerate(shape) if n == 1))
        right = wishes.sum(axis=axes).reshape(shape)
        given = f"From {big} to {shape}:"
        partly = (
            "only some of the axes were summed",
            "two kinds of axes are summed: those that `shape` does not have (in front), and those of length 1",
            "put both kinds into one tuple",
        )
        mean = ("this is the mean", "every wish counts fully: where one value is repeated, add", ".sum(axis=...)")
        picked = ("the first of the repeated values was taken", "all of them count", "sum over the axis")
        first = wishes[(0,) * front]
        first = first[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)] if shape else first
        mistakes = [
            (wishes.mean(axis=axes).reshape(shape), *mean),
            (np.asarray(first), *picked),
            (wishes.sum(axis=tuple(range(front))), *partly),
            (wishes.sum(axis=tuple(i + front for i, n in enumerate(shape) if n == 1), keepdims=True), *partly),
            (wishes, *partly),
        ]
        compare(given, call(answer, wishes, shape), right, mistakes)
    return "Where broadcasting repeats, the way back sums."


def fade(answer):
    images = np.random.default_rng().uniform(0.2, 1, (2, 4, 6, 3)).astype(np.float32)
    factors = np.linspace(1, 0.5, 6, dtype=np.float32)
    right = images * factors[:, None]
    rows = np.linspace(1, 0.5, 4, dtype=np.float32)[:, None, None]
    mistakes = [
        (
            images * rows,
            "it darkens from top to bottom",
            "the factors line up with H; columns are axis 2",
            "the shape (W, 1): factors[:, None]",
        ),
        (
            images * factors[::-1, None],
            "it darkens from right to left",
            "the factors run the wrong way",
            "1 to 0.5",
        ),
    ]
    got = call(answer, images)
    if getattr(got, "dtype", None) == np.float64 and np.allclose(got, right):
        raise Wrong(
            "on the CPU: the values are right, but float32 went in and float64 came out",
            "linspace gives float64 unless told otherwise, and float32 * float64 is float64",
            "linspace(..., dtype=images.dtype)",
        )
    compare("On the CPU", got, right, mistakes)
    with pretend_gpu():
        try:
            got = call(answer, PretendArray(images.copy()))
        except Wrong as wrong:
            raise Wrong(
                f"on the CPU it is right. On the pretend GPU {wrong.what}",
                "a NumPy array met an array on the GPU: np.linspace (or np.ones, np.asarray, ...) makes its "
                "array on the CPU, always",
                "xp = array_module(images), and xp.linspace in place of np.linspace",
            ) from wrong
        if not isinstance(got, PretendArray):
            raise Wrong(
                "on the pretend GPU the result came back to the CPU",
                "somewhere the data was turned into a NumPy array",
                "use xp's functions only: whoever called you decides where the data lives",
            )
    compare("On the pretend GPU", got.get(), right)
    return "One function, any device."


JUDGES = {"01.1": brighten, "01.2": centre, "01.3": from_torch, "01.4": sum_to, "01.5": fade}

HINTS = {
    "01.1": [
        "Where does 200 + 100 go wrong: in the addition, or later? So what has to come before the addition?",
        "image.astype(...) gives a wider type. Which one holds negative numbers, too?",
        "After the addition the values may lie outside 0..255. NumPy has a function that cuts off; look at "
        "help(np.clip). Going back to uint8 comes last.",
    ],
    "01.2": [
        "How many means are there for a batch of N photos? Over which of the four axes do you average?",
        "The means have the shape (N,). With which axis of the photos would they line up, and with which should "
        "they?",
        "help(np.mean): one of its arguments leaves axes of length 1 where it has averaged.",
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
        "what brings a length-1 axis back without moving anything?",
    ],
    "01.5": [
        "How many factors are there, and which shape must they have to line up with the columns?",
        "Where does the array of factors live? Who decides it: you, or the images?",
        "print the dtype of your factors, and that of your result.",
    ],
}
