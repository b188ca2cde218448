"""The judges of lesson 6: axes, batch norm from a file, a residual block, a ResNet-18, and dotted names."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from checks.judging import Wrong, call, case, compare

AXES = "say for each axis of the array what it counts: output, input, row or column"


def to_ours(answer):
    for dtype in (np.float64, np.float32, np.float16):
        weight = np.arange(5 * 3 * 2 * 4).reshape(5, 3, 2, 4).astype(dtype)
        known = [
            (
                (3, 2, 1, 0),
                "all axes are reversed, as .T does",
                "rows and columns of the window are exchanged, too",
            ),
            ((0, 2, 3, 1), "the axes are output, row, column, input", "the output channels are not the last axis"),
            ((2, 3, 0, 1), "the axes are row, column, output, input", "outputs and inputs are exchanged"),
            ((3, 2, 0, 1), "the axes are column, row, output, input", "two pairs of axes are exchanged"),
            ((1, 2, 3, 0), "the axes are input, row, column, output", "rows and columns do not stand first"),
            ((0, 1, 2, 3), "the axes are as they were", "nothing was moved"),
        ]
        mistakes = [(weight.transpose(order), what, why, AXES) for order, what, why in known]
        shape = weight.transpose(2, 3, 1, 0).shape
        mistakes.append(
            (
                weight.reshape(shape),
                "the shape is right and the numbers are in the wrong places",
                "reshape cuts the numbers anew, in the order in which they lie; it moves no axis",
                "transpose moves axes",
            )
        )
        compare(
            f"For a window, OIHW, {dtype.__name__}:", call(answer, weight), weight.transpose(2, 3, 1, 0), mistakes
        )
        matrix = np.arange(28).reshape(4, 7).astype(dtype)
        mistakes = [
            (
                matrix,
                "it is as it was",
                "arrays of two axes are turned, too: fc.weight is (outputs, inputs)",
                AXES,
            ),
            (
                matrix.reshape(7, 4),
                "the shape is right and the numbers are in the wrong places",
                "reshape cuts the numbers anew, in the order in which they lie; it moves no axis",
                "transpose moves axes",
            ),
        ]
        axes_do_not_fit = (
            "axes don't match",
            "one order of four axes is used for every array",
            "look at .ndim first",
        )
        point = np.arange(20).reshape(5, 4, 1, 1).astype(dtype)
        unmoved = (point, "it is as it was", "a window of one pixel has four axes like the others", AXES)
        compare("For a window of one pixel, OIHW:", call(answer, point), point.transpose(2, 3, 1, 0), [unmoved])
        got = call(answer, matrix, errors=[axes_do_not_fit])
        compare("For a matrix (outputs, inputs):", got, matrix.T, mistakes)
        vector = np.arange(6).astype(dtype)
        compare("For an array of one axis:", call(answer, vector, errors=[axes_do_not_fit]), vector)
    return "Any network of torchvision can now be read."


# ------------------------------------------------------------------------------------ what the answers must equal


def conv(x, weight, stride=1):
    half = len(weight) // 2
    x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    windows = sliding_window_view(x, weight.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, weight, optimize=True)


def pool(x):
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    return sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(4, 5))


def relu(x):
    return np.maximum(x, 0)


def normed(x, file, name):
    gain = file[f"{name}.weight"] / np.sqrt(file[f"{name}.running_var"] + 1e-5)
    return (x - file[f"{name}.running_mean"]) * gain + file[f"{name}.bias"]


def add_norm(file, rng, name, channels, dtype):
    """Put the four arrays of a batch norm into the file."""
    file[f"{name}.weight"] = rng.uniform(0.6, 1.7, channels).astype(dtype)
    file[f"{name}.bias"] = rng.uniform(-0.8, 0.8, channels).astype(dtype)
    file[f"{name}.running_mean"] = rng.uniform(-0.7, 0.9, channels).astype(dtype)
    file[f"{name}.running_var"] = rng.uniform(0.3, 2.5, channels).astype(dtype)


def add_block(file, rng, name, c_in, c_out, stride, dtype):
    """Put the arrays of a block into the file."""
    for number, channels in ((1, c_in), (2, c_out)):
        file[f"{name}.conv{number}.weight"] = rng.normal(0, 0.4, (3, 3, channels, c_out)).astype(dtype)
        add_norm(file, rng, f"{name}.bn{number}", c_out, dtype)
    if stride != 1 or c_in != c_out:
        file[f"{name}.downsample.0.weight"] = rng.normal(0, 0.6, (1, 1, c_in, c_out)).astype(dtype)
        add_norm(file, rng, f"{name}.downsample.1", c_out, dtype)


def tolerance(dtype):
    return 1e-9 if dtype == np.float64 else 2e-5


# ------------------------------------------------------------------------------------------------- the judges


def norm(answer):
    for dtype in (np.float64, np.float32):
        rng, file = np.random.default_rng(61), {}
        add_norm(file, rng, "layer3.bn2", 5, dtype)
        file["layer3.bn2.running_var"][1] = 4e-4  # where epsilon can be seen
        x = rng.normal(0.3, 1.3, (3, 2, 4, 5)).astype(dtype)
        w, b, mean, var = (
            file[f"layer3.bn2.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        axes, root, eps = (0, 1, 2), np.sqrt(var + 1e-5), dtype(1e-5)
        own = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + eps) * w + b
        letters = "compare with the formula, letter by letter, from the inside out"
        mistakes = [
            (
                own.astype(dtype),
                "it is what the batch's own mean and variance give",
                "these are the statistics of this batch, as in training; the file's are not used",
                "where do running_mean and running_var come in?",
            ),
            (
                (x - mean) / (np.sqrt(var) + eps) * w + b,
                "epsilon is added to the root",
                "it belongs under it",
                letters,
            ),
            (
                (x - mean) / np.sqrt(var) * w + b,
                "epsilon is missing",
                "a variance of 0 would divide by 0",
                letters,
            ),
            ((x - mean) / (var + eps) * w + b, "it is divided by the variance", "the root is missing", letters),
            (
                (x - mean) * root * w + b,
                "it is multiplied by the root",
                "small variances must be made larger",
                letters,
            ),
            (
                (x - mean) / root,
                "weight and bias play no part",
                "only the first half of the formula is there",
                letters,
            ),
            ((x - mean) / root * w, "the bias is missing", "beta is never added", letters),
            ((x - mean) / root + b, "the weight is missing", "gamma plays no part", letters),
            ((x - mean) / root * b + w, "weight and bias are exchanged", "gamma scales and beta shifts", letters),
            (x / root * w + b, "the mean is not taken off", "mu plays no part", letters),
            ((x + mean) / root * w + b, "the mean is added", "it is to be taken off", letters),
            (
                (x - mean) / root * (w + b),
                "weight and bias are added first",
                "brackets: x * (w + b) is not it",
                letters,
            ),
            (
                (x - mean) / (root * w) + b,
                "it is divided by the weight",
                "brackets: x / (r * w) is not it",
                letters,
            ),
            (
                x - mean / root * w + b,
                "only the mean was scaled",
                "brackets are missing: / comes before -",
                letters,
            ),
            ((x - mean) / root * w - b, "the bias is taken off", "it is to be added", letters),
            (
                relu((x - mean) / root * w + b),
                "nothing is below 0",
                "a ReLU is in it; it has a place of its own",
                letters,
            ),
        ]
        errors = [
            (
                "KeyError",
                "the name is put together in another way than in the file",
                "print the name that you look up, and compare: layer, dot, part",
            )
        ]
        got = call(answer, x, file, "layer3.bn2", errors=errors)
        compare(f"With {dtype.__name__}:", got, normed(x, file, "layer3.bn2"), mistakes, tolerance(dtype))
    return "It gives the same answer for an image whoever else is in the batch."


def blocks(x, file, name, stride):
    """What a block with one mistake gives: yield (array, what, why, hint)."""

    def part(kind, number, value, step=1):
        if kind == "conv":
            return conv(value, file[f"{name}.conv{number}.weight"], step)
        return normed(value, file, f"{name}.bn{number}")

    down = f"{name}.downsample.0.weight" in file
    short = conv(x, file[f"{name}.downsample.0.weight"], stride) if down else x
    bare, short = short, normed(short, file, f"{name}.downsample.1") if down else x
    inner = relu(part("bn", 1, part("conv", 1, x, stride)))
    outer = part("conv", 2, inner)
    h = part("bn", 2, outer)
    order = "follow one number through the formula, from the innermost bracket outwards"
    yield short + relu(h), "the ReLU comes before the addition", "it belongs round the whole sum", order
    yield short + h, "there is no ReLU at the end", "the outermost relu(...) of the formula is missing", order
    yield relu(short) + relu(h), "each part has a ReLU of its own", "it belongs round the whole sum", order
    yield relu(h), "the shortcut is missing", "nothing of x is added", "what does the formula add to bn2?"
    yield h, "neither shortcut nor ReLU is there at the end", "these are the two convolutions alone", order
    yield relu(short * h), "the two parts are multiplied", "a shortcut is added", order
    straight = part("bn", 2, part("conv", 2, part("bn", 1, part("conv", 1, x, stride))))
    yield (
        relu(short + straight),
        "there is no ReLU between the convolutions",
        "the one after bn1 is missing",
        order,
    )
    early = part("bn", 2, part("conv", 2, part("bn", 1, relu(part("conv", 1, x, stride)))))
    yield relu(short + early), "the inner ReLU comes before bn1", "norm first, then the ReLU", order
    yield relu(short + outer), "bn2 is missing", "the second convolution has its own batch norm", order
    raw = part("bn", 2, part("conv", 2, relu(part("conv", 1, x, stride))))
    yield relu(short + raw), "bn1 is missing", "the first convolution has its own batch norm", order
    names = "which numbers stand in the names that you look up?"
    yield relu(short + part("bn", 1, outer)), "bn1 is used twice", "the second batch norm is bn2", names
    yield (
        relu(part("bn", 2, outer + short)),
        "the shortcut is added before bn2",
        "so it is normalised, too, and its ones are gone",
        order,
    )
    if down:
        yield relu(bare + h), "downsample.1 is missing", "the shortcut's convolution has a batch norm, too", order
        yield relu(relu(short) + h), "the shortcut has a ReLU of its own", "s(x) has none", order
        if stride > 1:
            late = part("bn", 2, part("conv", 2, relu(part("bn", 1, part("conv", 1, x))), stride))
            stride_hint = "conv has a stride of 1 unless it is told"
            yield (
                relu(short + late),
                "the stride is at the second convolution",
                "it is the first one's",
                stride_hint,
            )
    else:
        again = part("bn", 2, part("conv", 1, inner))
        yield relu(short + again), "conv1 is used twice", "the second convolution is conv2", names
        yield relu(short + short + h), "the shortcut is added twice", "x comes in once too often", order


def block(answer):
    for dtype in (np.float64, np.float32):
        for c_in, c_out, stride in ((4, 4, 1), (3, 5, 2), (2, 3, 1)):
            rng, file = np.random.default_rng(62), {}
            add_block(file, rng, "layer2.0", c_in, c_out, stride, dtype)
            x = rng.normal(0.2, 1, (2, 6, 8, c_in)).astype(dtype)
            changes = f"{c_in} to {c_out} channels, stride {stride}"
            errors = [
                (
                    "KeyError: 'layer2.0.downsample",
                    "downsample is looked up in every block, but only those that change the shape have it",
                    "ask first: is the name in file?",
                ),
                (
                    "KeyError",
                    "the name is put together in another way than in the file",
                    "print the name that you look up, and compare: block, dot, layer, dot, part",
                ),
                (
                    "could not be broadcast",
                    "the two sides of the sum have different shapes: one lacks the stride, or x the downsample",
                    "print the shape of both sides before you add them",
                ),
                (
                    "does not match previous terms",
                    "a convolution gets an array with another number of channels than its weight has",
                    "which array goes into which convolution? The shortcut's gets x",
                ),
            ]
            got = call(answer, x, file, "layer2.0", stride, errors=errors)
            expected, *_ = (relu(array) for array, *_ in list(blocks(x, file, "layer2.0", stride))[1:2])
            compare(f"{changes}:", got, expected, blocks(x, file, "layer2.0", stride), tolerance(dtype))
    return "Eight of these, and there is your ResNet-18."


def small_file(dtype):
    """A ResNet-18 of 3, 4, 5 and 6 channels, with 7 outputs."""
    rng, file, widths = np.random.default_rng(63), {}, (3, 4, 5, 6)
    file["conv1.weight"] = rng.normal(0, 0.15, (7, 7, 3, 3)).astype(dtype)
    add_norm(file, rng, "bn1", 3, dtype)
    file["bn1.weight"][1] *= -1  # so that a maximum before it is another one after it
    c_in = 3
    for stage, width in enumerate(widths, 1):
        add_block(file, rng, f"layer{stage}.0", c_in, width, 1 if stage == 1 else 2, dtype)
        add_block(file, rng, f"layer{stage}.1", width, width, 1, dtype)
        c_in = width
    file["fc.weight"] = rng.normal(0, 0.7, (6, 7)).astype(dtype)
    file["fc.bias"] = rng.normal(0, 0.9, 7).astype(dtype)
    return file


def whole(images, file, stem=2, pooling=pool, middle=relu, strides=(1, 2, 2, 2), blocks_of=(0, 1), end=None):
    """A ResNet-18, right or with one thing changed; end turns the last map into (N, C)."""
    x = pooling(middle(normed(conv(images, file["conv1.weight"], stem), file, "bn1")))
    for stage, stride in enumerate(strides, 1):
        for number in blocks_of:
            name = f"layer{stage}.{number}"
            step = stride if number == 0 else 1
            h = relu(normed(conv(x, file[f"{name}.conv1.weight"], step), file, f"{name}.bn1"))
            h = normed(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
            if f"{name}.downsample.0.weight" in file:
                x = normed(conv(x, file[f"{name}.downsample.0.weight"], step), file, f"{name}.downsample.1")
            x = relu(x + h)
    pooled = x.mean(axis=(1, 2)) if end is None else end(x)
    return pooled @ file["fc.weight"] + file["fc.bias"]


def network(answer):
    for dtype in (np.float64, np.float32):
        file = small_file(dtype)
        images = np.random.default_rng(64).normal(0, 1, (2, 64, 64, 3)).astype(dtype)
        table = (
            "make a table of the layers, with the stride and the shape that each should give, and print the shapes"
        )
        end = "read the last sentence of the text once more"
        expected = whole(images, file)
        mistakes = [
            (whole(images, file, stem=1), "the stem has no stride", "conv1's stride is 2", table),
            (
                whole(images, file, pooling=lambda x: x),
                "there is no pool",
                "it follows the ReLU of the stem",
                table,
            ),
            (whole(images, file, middle=lambda x: x), "the stem has no ReLU", "it follows bn1", table),
            (
                whole(images, file, strides=(1, 1, 1, 1)),
                "no stage has a stride",
                "the stages 2, 3 and 4 have 2",
                table,
            ),
            (
                whole(images, file, blocks_of=(0,)),
                "each stage has one block only",
                "the blocks .1 are missing",
                table,
            ),
            (
                whole(images, file, end=lambda x: x.max(axis=(1, 2))),
                "the largest value was taken",
                "average it",
                end,
            ),
            (whole(images, file, end=lambda x: x.sum(axis=(1, 2))), "the values are summed", "average them", end),
            (
                whole(images, file, end=lambda x: x[:, 0, 0]),
                "one corner was taken",
                "average over all places",
                end,
            ),
            (expected - file["fc.bias"], "fc has no bias", "fc.bias is never added", end),
            (relu(expected), "no output is below 0", "there is a ReLU after fc", end),
        ]
        errors = [
            (
                "KeyError",
                "the name is put together in another way than in the file",
                "print the names of the file",
            ),
            (
                "matmul",
                "what goes into fc has another shape than (images, channels)",
                "which axes are left when you average over rows and columns?",
            ),
            (
                "could not be broadcast",
                "two parts of a sum have different shapes: a block has a stride that should have none",
                table,
            ),
        ]
        got = call(answer, images, file, errors=errors)
        compare(f"With {dtype.__name__}:", got, expected, mistakes, 10 * tolerance(dtype))
    return "That is a ResNet-18, and the file does not know that torch is not here."


def named_arrays(answer):
    a, b, c, d, e = (np.arange(n, dtype=float) for n in (2, 3, 4, 5, 6))
    for nest, expected in (
        ({"weight": a, "bias": b}, {"weight": a, "bias": b}),
        (
            {"conv1": {"weight": a}, "bn1": {"weight": b, "bias": c}},
            {"conv1.weight": a, "bn1.weight": b, "bn1.bias": c},
        ),
        (
            {"layer1": [{"weight": a}, {"weight": b}], "fc": c},
            {"layer1.0.weight": a, "layer1.1.weight": b, "fc": c},
        ),
        (
            {
                "layer1": [{"downsample": [a, {"bias": b}]}, {"conv2": {"weight": c}}],
                "layer2": [[d]],
                "layer3": [e],
            },
            {
                "layer1.0.downsample.0": a,
                "layer1.0.downsample.1.bias": b,
                "layer1.1.conv2.weight": c,
                "layer2.0.0": d,
                "layer3.0": e,
            },
        ),
    ):
        got = call(
            answer, nest, errors=[("items", "a list is asked for its items; it has none", "ask what kind it is")]
        )
        case.expected = expected
        judge_names(got, expected)
    return "Save, load, train and freeze: all of them begin with this list."


def judge_names(got, expected):
    """Raise Wrong unless the dictionary has the names and arrays."""
    if not isinstance(got, dict):
        raise Wrong(
            f"it returns a {type(got).__name__}", "the answer is a dictionary: name -> array", "start with {}"
        )
    names, wanted = [str(name) for name in got], list(expected)
    shown = f"the names are {sorted(names)}; they should be {sorted(wanted)}"
    walk = "what does your function do with a dictionary, with a list, and with an array?"
    last = [name.rpartition(".")[2] for name in wanted]
    raised = [".".join(str(int(p) + 1) if p.isdigit() else p for p in name.split(".")) for name in wanted]
    reversed_names = [".".join(name.split(".")[::-1]) for name in wanted]
    for known, why, hint in (
        (["." + name for name in wanted], "every name begins with a dot", "where is the first dot put in?"),
        ([name + "." for name in wanted], "every name ends with a dot", "what is left when the path ends?"),
        ([name.replace(".", "_") for name in wanted], "the parts are joined with _", "join them with dots"),
        ([name.replace(".", "/") for name in wanted], "the parts are joined with /", "join them with dots"),
        (
            [name.replace(".", "") for name in wanted],
            "the parts are joined with nothing between",
            "join them with dots",
        ),
        (raised, "lists are counted from 1", "the first block is 0"),
        (reversed_names, "the path is written from the inside out", "the outermost name comes first"),
        (
            [name for name in wanted if not any(part.isdigit() for part in name.split("."))],
            "lists are passed over, so what is in them has vanished",
            walk,
        ),
        ([name for name in wanted if "." not in name], "only the outermost arrays are found", walk),
        (list(dict.fromkeys(last)), "only the last part of each path is kept, so equal names overwrite", walk),
        (
            list(dict.fromkeys(".".join(p for p in name.split(".") if not p.isdigit()) for name in wanted)),
            "the numbers of a list are left out, so its blocks overwrite each other",
            "what is the name of the first block?",
        ),
        (
            [name for name in wanted if name.count(".") < 2],
            "it goes down one level only",
            "a nest can be of any depth",
        ),
    ):
        if sorted(names) == sorted(known) and sorted(known) != sorted(wanted):
            raise Wrong(shown, why, hint)
    if sorted(names) != sorted(wanted):
        raise Wrong(shown, "some names are missing, too many, or put together in another way", walk)
    for name, array in expected.items():
        if not isinstance(got[name], np.ndarray) or not np.array_equal(got[name], array):
            raise Wrong(
                f"{name} is {got[name]!r}; it should be {array!r}",
                "a name has the array of another one, or no array at all",
                "which name is current when you store an array?",
            )


JUDGES = {"06.1": to_ours, "06.2": norm, "06.3": block, "06.4": network, "06.5": named_arrays}
HINTS = {
    "06.1": [
        "How many axes does an array have? .ndim tells. There are three cases.",
        "In O, I, H, W the axes are counted 0, 1, 2, 3. Which of them comes first in H, W, I, O?",
        "transpose() takes the old places in the new order.",
    ],
    "06.2": [
        'An array of the file is file[f"{name}.weight"]. You need four of them.',
        "They have one number for each channel, and channels are the last axis of x: broadcasting does the rest.",
        "Write x minus the mean in one line, divide in the next, then scale and shift.",
    ],
    "06.3": [
        "Write the formula from the inside out, one line for each layer, beginning with conv1 of x.",
        "Which of your convolutions need the stride? One on the branch; and one on the shortcut, if it has any.",
        "Keep x. You need it at the end, as it is or through downsample.",
    ],
    "06.4": [
        "First the stem, in four calls. Print the shape after it: rows and columns are a quarter of the image's.",
        "A loop over the stages 1 to 4, with two calls of block in it. Only one of them can have a stride of 2.",
        "mean(axis=...) takes several axes at once.",
    ],
}
