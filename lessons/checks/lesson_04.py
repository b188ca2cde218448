"""The judges of lesson 4: how many windows, convolution by taps, windows as rows, and the way back."""

import itertools

import numpy as np

from checks.judging import UNKNOWN, Wrong, call, case, compare, refuse_borrowed, same

GEOMETRIES = [(3, 1, 0), (3, 1, 1), (3, 2, 0), (3, 2, 1), (2, 1, 1), (4, 3, 2), (1, 2, 0)]  # k, stride, padding
TOLERANCES = {np.float64: 1e-9, np.float32: 1e-5}


def output_length(answer):
    small = [(7, 3, 2, 0), (7, 3, 1, 0), (8, 3, 2, 0), (7, 3, 1, 1), (5, 2, 3, 2)]
    cases = [*small, *itertools.product((6, 11, 20), (1, 2, 5), (1, 2, 3), (0, 1, 2))]
    answers = []
    for length, kernel, stride, padding in cases:
        got = call(answer, length, kernel, stride, padding)
        if not isinstance(got, (int, np.integer)):
            what = (
                f"For {length} pixels, kernel {kernel}, stride {stride}, padding {padding} it returns {got!r}, a "
                f"{type(got).__name__}"
            )
            if not isinstance(got, (float, np.floating)):
                raise Wrong(
                    what, "one whole number is asked for", "which of the things in it is the number of windows?"
                )
            raise Wrong(
                what,
                "a number of windows is a whole number, and / always gives a float",
                "// divides and rounds down; what does rounding down say about the last window?",
            )
        answers.append(got)
    for (length, kernel, stride, padding), got in zip(cases, answers, strict=True):
        starts = range(0, length + 2 * padding - kernel + 1, stride)
        if got != len(starts):
            case.inputs, case.got, case.expected = (length, kernel, stride, padding), got, len(starts)
            given = f"For {length} pixels, kernel {kernel}, stride {stride}, padding {padding}: {got}"
            raise explain_length(f"{given}; it should be {len(starts)}", cases, answers)
    return "The same formula counts the windows of every convolution and every pooling."


MISCOUNTS = [  # what it gives, why, hint
    (
        lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1,
        "it rounds up, so the last window sticks out at the end",
        "a window that does not fit whole does not count: round down",
    ),
    (
        lambda n, k, s, p: (n + 2 * p - k) // s,
        "it counts the steps between windows; there is one window more than there are steps",
        "a fence of three panels has four posts",
    ),
    (
        lambda n, k, s, p: (n + 2 * p) // s + 1,
        "the kernel's own length is forgotten: its first pixel cannot stand on the last pixel of the row",
        "how many places can the FIRST pixel of the kernel take, with stride 1?",
    ),
    (
        lambda n, k, s, p: (n + 2 * p) // s,
        "the kernel's own length is forgotten, as if windows were one pixel wide",
        "how many places can the FIRST pixel of the kernel take, with stride 1?",
    ),
    (
        lambda n, k, s, p: (n + p - k) // s + 1,
        "the padding is counted once; there is a border on each side",
        "how long is the row, with its border at both ends?",
    ),
    (
        lambda n, k, s, p: (n - k) // s + 1,
        "the padding plays no part",
        "the border makes the row longer: by how much?",
    ),
    (
        lambda n, k, s, p: (n + 2 * p - k + 1) // s,
        "the + 1 stands inside the division. There it is lost whenever the last step is not a whole one",
        "divide the way that the kernel can move first, and then count the first window",
    ),
    (
        lambda n, k, s, p: (n - 2 * p - k) // s + 1,
        "the padding makes the row shorter, but it is put round it",
        "how long is the row, with its border?",
    ),
    (
        lambda n, k, s, p: n + 2 * p - k + 1,
        "the stride plays no part: these are the windows of stride 1",
        "of those, only every stride-th is visited",
    ),
    (
        lambda n, k, s, p: (n + 2 * p) // k,
        "it counts windows that lie side by side, as if the stride were the kernel's length",
        "by how many pixels does the kernel move from one window to the next?",
    ),
    (
        lambda n, k, s, p: (n + 2 * p - k) // k + 1,
        "it divides by the kernel; the kernel moves by stride",
        "which of the numbers is the length of a step?",
    ),
    (
        lambda n, k, s, p: round((n + 2 * p - k) / s) + 1,
        "it rounds to the nearest; a half of a window more does not fit",
        "round down",
    ),
    *(
        (
            miscount,
            "the kernel's own length is forgotten: its first pixel cannot stand on the last pixel of the row",
            "how many places can the FIRST pixel of the kernel take, with stride 1?",
        )
        for miscount in (lambda n, k, s, p: -(-(n + 2 * p) // s), lambda n, k, s, p: (n + 2 * p - 1) // s + 1)
    ),
    *(
        (
            lambda n, k, s, p, border=border: (n - k) // s + 1 + border * p,
            "the padding is added to the number of windows, after the division",
            "the border makes the row longer, before any window is counted",
        )
        for border in (1, 2)
    ),
    (
        lambda n, k, s, p: n + 2 * p - k // s + 1,
        "the division reaches only the kernel: // comes before + and -",
        "put brackets round the way that the kernel can move",
    ),
    (
        lambda n, k, s, p: (n + 2 * p - k) // (s + 1),
        "the division is by stride + 1",
        "the 1 is a window, the first one; it is no part of a step",
    ),
    (
        lambda n, k, s, p: (n + 2 * p + k) // s + 1,
        "the kernel makes the row longer; it should leave less room",
        "how many places can the FIRST pixel of the kernel take, with stride 1?",
    ),
    (
        lambda n, k, s, p: (n + 2 * p - s) // k + 1,
        "kernel and stride are exchanged",
        "by how many pixels does the kernel move from one window to the next?",
    ),
    (
        lambda n, k, s, p: -(-n // s),
        "that is how many there are with another rule, called 'same' padding; kernel and padding play no part",
        "here the padding is a number that is given",
    ),
    (
        lambda n, k, s, p: (n - 1) * s - 2 * p + k,
        "that is the way back, from windows to pixels: the size of a transposed convolution",
        "a larger stride gives FEWER windows",
    ),
    (lambda n, k, s, p: n + 2 * p, "that is the length of the padded row", "where can a kernel begin in it?"),
]


def explain_length(what, cases, answers):
    """The Wrong for numbers of windows: the mistake that gives all of them, if one is known."""
    for miscount, why, hint in MISCOUNTS:
        if answers == [miscount(*settings) for settings in cases]:
            return Wrong(what, why, hint)
    draw = "draw this row with its border, and lay the kernel on it, window by window"
    excess = [got - (n + 2 * p - k) // s - 1 for (n, k, s, p), got in zip(cases, answers, strict=True)]
    wrong = [settings for settings, more in zip(cases, excess, strict=True) if more]
    for why, found in [
        ("the last window is missing where it ends just at the end of the row", set(excess) == {0, -1}),
        ("a window that sticks out is counted", set(excess) == {0, 1}),
        ("it is wrong only where there is padding", all(p for _, _, _, p in wrong)),
        ("it is wrong only where the stride is more than 1", all(s > 1 for _, _, s, _ in wrong)),
        ("it is wrong only where the kernel is longer than 1", all(k > 1 for _, k, _, _ in wrong)),
        (
            "it counts too many nearly everywhere: what makes room is counted twice, or the kernel not",
            min(excess) >= 0,
        ),
        ("it counts too few: something takes away room, or windows, that are there", max(excess) <= 0),
    ]:
        if found:
            return Wrong(what, why, draw)
    return Wrong(what, UNKNOWN, draw)


# -------------------------------------------------------------------------------- what the answers must equal


def pad(x, padding, **settings):
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), **settings)


def convolve(x, weight, stride=1, padding=0, taps=None):
    """By loops over windows; `taps` are the (a, b) that count, by default all. No window: an empty result."""
    k, padded = len(weight), pad(x, padding)
    if taps is not None:
        weight = weight * [[[[(a, b) in taps]] for b in range(k)] for a in range(k)]
    height, width = (max(0, (length - k) // stride + 1) for length in padded.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]))
    for i, j in np.ndindex(height, width):
        window = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
        y[:, i, j] = np.tensordot(window.astype(float), weight.astype(float), 3)
    return y


def problems(c_in=2, c_out=3):
    """Yield (x, weight, k, stride, padding, tolerance, the case in words), the small ones first."""
    rng = np.random.default_rng()
    for dtype, (k, stride, padding) in itertools.product(TOLERANCES, GEOMETRIES):
        x = rng.normal(size=(2, 6, 7, c_in)).astype(dtype)
        weight = rng.normal(size=(k, k, c_in, c_out)).astype(dtype)
        given = f"For x {x.shape} of {dtype.__name__}, kernel {k}, stride {stride}, padding {padding}:"
        yield x, weight, k, stride, padding, TOLERANCES[dtype], given


def judge_call(answer, given, *inputs):
    """call(), with the errors explained that slices of different sizes give."""
    try:
        return call(answer, *inputs)
    except Wrong as wrong:
        if "broadcast" in wrong.what:
            raise Wrong(
                f"{given} {wrong.what}",
                "two pieces that are to be added have different sizes: a slice without an end, or a wrong one, "
                "runs on to the border",
                "every piece has exactly H_out rows and W_out columns; the end of a slice is its start plus "
                "stride * H_out",
            ) from wrong
        if "cannot reshape" in wrong.what:
            raise Wrong(
                f"{given} {wrong.what}",
                "the array holds another number of windows than the shape asked for; stride and padding count",
                "print the shape of the windows, and compare it with output_length(...)",
            ) from wrong
        raise


# ------------------------------------------------------------------------------------------------- the judges


def conv_by_taps(answer):
    refuse_borrowed(answer, "conv_by_loops", "conv2d", "Conv2d")
    for x, weight, k, stride, padding, tolerance, given in problems():
        right = convolve(x, weight, stride, padding)
        got = judge_call(answer, given, x, weight, stride, padding)
        if same(got, np.zeros_like(right)):
            raise Wrong(
                f"{given} all is 0",
                "the result was made and never filled",
                "each tap adds its share to the result",
            )
        last, every = k - 1, [*np.ndindex(k, k)]
        turned = weight[::-1, ::-1]
        shapeless = convolve(x, weight, stride)
        mistakes = [
            (
                convolve(x, turned, stride, padding),
                "the kernel is turned by 180 degrees",
                "tap (0, 0) met the LAST pixel of each window; here the kernel slides as it is",
                "tap (a, b) meets the pixels that begin at row a and column b of the padded image",
            ),
            (
                convolve(x, weight.swapaxes(0, 1), stride, padding),
                "the kernel is transposed",
                "down and across are exchanged: the first axis of weight goes down, as the rows of the image do",
                "which of the two loops moves the slice down?",
            ),
            (
                convolve(x, weight, 1, padding),
                "these are the windows of stride 1",
                "the stride plays no part",
                "a slice can have a step: [start:end:step]",
            ),
            (
                shapeless,
                "the result has no border",
                "the padding plays no part",
                "put the border round x first",
            ),
            (
                pad(shapeless, padding),
                "a border of zeros lies round the RESULT",
                "the padding was put on after the convolution; the windows at the edge never saw it",
                "pad x, then slice the padded x",
            ),
            (
                convolve(x, weight, stride, padding, [(last, last)]),
                "only the last tap is in it",
                "each tap writes over what the ones before have added",
                "the result of all taps is a sum",
            ),
            (
                convolve(x, weight, stride, padding, [(0, 0)]),
                "only the first tap is in it",
                "the function returns inside the loop",
                "look at the indentation of `return`",
            ),
            (
                convolve(x, weight, stride, padding, [(a, b) for a, b in every if a < last and b < last]),
                "the last row and the last column of the kernel are missing",
                "the loops end too early",
                "range(k) counts from 0 to k - 1 by itself",
            ),
            (
                convolve(x, weight, stride, padding, [(a, b) for a, b in every if a and b]),
                "the first row and the first column of the kernel are missing",
                "the loops begin too late",
                "range(k) counts from 0 to k - 1 by itself",
            ),
            (
                convolve(x, weight[-np.arange(k)][:, -np.arange(k)], stride, padding),
                "the kernel is read backwards, from tap 0 to the last one and down",
                "an index of -a counts from the end, but -0 is 0",
                "tap (a, b) meets weight[a, b]",
            ),
            (
                convolve(x, weight, 1, padding)[:, : right.shape[1], : right.shape[2]],
                "these are the first windows of stride 1",
                "the slices begin and end where they should or not, but they have no step",
                "a slice can have a step: [start:end:step]",
            ),
            (
                sum(
                    pad(x, padding)[:, a * stride :, b * stride :][:, : right.shape[1], : right.shape[2]]
                    @ weight[a, b]
                    if a * stride + right.shape[1] <= x.shape[1] + 2 * padding
                    and b * stride + right.shape[2] <= x.shape[2] + 2 * padding
                    else np.zeros_like(right)
                    for a, b in every
                ),
                "the taps lie `stride` pixels apart, and the windows side by side",
                "the stride moves windows; the pixels of one window are neighbours",
                "start at a, and take every stride-th row from there",
            ),
            (
                convolve(x, weight, stride, padding, [(a, a) for a in range(k)]),
                "only the taps (0, 0), (1, 1), ... are in it",
                "one loop for both directions walks along the diagonal",
                "two loops, one inside the other",
            ),
            (
                convolve(pad(x, padding, mode="edge"), weight, stride),
                "the border repeats the edge of the photo",
                "the border is to be zeros",
                "pad(x, padding) from the cell above makes it",
            ),
            (
                convolve(x, weight, stride, padding) / k**2,
                "the mean over the taps",
                "a convolution is the sum",
                "add, and do not divide",
            ),
        ]
        compare(given, got, right.astype(x.dtype), mistakes, tolerance)
    return "k * k products of matrices, whatever the size of the image."


def im2col(answer):
    refuse_borrowed(answer, "Conv2d", "conv2d")
    for x, _, k, stride, padding, tolerance, given in itertools.chain(problems(c_in=3), problems(c_in=2)):
        padded = pad(x, padding)
        view = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))  # N, H, W, C, a, b
        every, c = view[:, ::stride, ::stride], x.shape[3]

        def rows(windows, order, length=k * k * c):
            return np.ascontiguousarray(windows.transpose(order)).reshape(-1, length)

        right = rows(every, (0, 1, 2, 4, 5, 3))
        unpadded = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
        mistakes = [
            (
                rows(every, (0, 1, 2, 3, 4, 5)),
                "each row lists channel after channel: all of the first, then all of the second",
                "reshape does not move axes, so the channels stay in front of down and across; the weights list "
                "down, across, channel",
                "transpose, so that the channel axis comes last, and reshape then",
            ),
            (
                rows(every, (0, 1, 2, 5, 4, 3)),
                "across and down are exchanged within each row",
                "the two last axes of the view came out in the wrong order",
                "the view has the axes photo, row, column, channel, down, across: number them from 0",
            ),
            (
                rows(every, (0, 1, 2, 3, 5, 4)),
                "each row lists channel, across, down",
                "the weights list down, across, channel",
                "number the axes of the view from 0, and write the numbers in the order wanted",
            ),
            (
                rows(every, (0, 2, 1, 4, 5, 3)),
                "the windows are listed column by column",
                "the rows of the matrix go along the image row by row, or the outputs end up transposed",
                "the first three axes stay as they are",
            ),
            (
                rows(view, (0, 1, 2, 4, 5, 3)),
                "these are the windows of stride 1",
                "the stride plays no part",
                "of the view, only every stride-th row and column of windows is wanted",
            ),
            (
                rows(unpadded, (0, 1, 2, 4, 5, 3)),
                "the windows do not reach into the border",
                "the padding plays no part",
                "look through the windows at pad(x, padding)",
            ),
            (
                right.T,
                "the matrix is transposed: a COLUMN for each window",
                "the name im2col comes from there; here a window is a row, so that rows @ weights works",
                "reshape(-1, numbers in a window) makes rows",
            ),
            (
                right[:, ::-1],
                "each row is turned round",
                "the kernel would be turned by 180 degrees",
                "leave the order of down and across as the view has it",
            ),
            (
                rows(every, (4, 5, 0, 1, 2, 3)),
                "the taps come first, so each row mixes pixels of different windows",
                "reshape cuts the numbers in the order of the axes: what belongs to one row must come last",
                "photo, row and column of the window first",
            ),
        ]
        if k == c:  # as many as there are channels
            across = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, ::stride, ::stride]
            mistakes.append(
                (
                    rows(across, (0, 1, 2, 4, 5, 3)) if across.size % right.shape[1] == 0 else right,
                    "the windows lie across columns and channels",
                    "the two axes to slide along are the image's rows and columns",
                    "number the axes of x from 0: photo, row, column, channel",
                )
            )
        if padding:
            edge = pad(x, padding, mode="edge")
            edge = np.lib.stride_tricks.sliding_window_view(edge, (k, k), axis=(1, 2))[:, ::stride, ::stride]
            mistakes.append(
                (
                    rows(edge, (0, 1, 2, 4, 5, 3)),
                    "the border repeats the edge of the photo",
                    "the border is to be zeros",
                    "pad(x, padding) from the cell above makes it",
                )
            )
        got = judge_call(answer, given, x, k, stride, padding)
        judge_matrix(given, got, right)
        compare(given, got, right, mistakes, tolerance)
    return "Rows times columns: a convolution is one product."


def judge_matrix(given, got, right):
    """Explain an im2col that holds the right windows in an array of another form."""
    shape = np.shape(got)
    if len(shape) > 2 and np.size(got) == right.size:
        raise Wrong(
            f"{given} the result has {len(shape)} axes, {shape}",
            "a matrix has two: the windows, and the numbers of each",
            "end with one reshape",
        )
    if (
        shape
        and len(shape) == 2
        and shape[0] * shape[1] == right.size
        and shape not in (right.shape, right.T.shape)
    ):
        raise Wrong(
            f"{given} the matrix is {shape}; it should be {right.shape}",
            "the numbers are there, but cut into rows of another length",
            "a row holds k * k * C numbers: one window of all channels",
        )


def spread(d_rows, shape, k, stride, padding, add=True, order=(0, 1, 2), crop=True):
    """col2im by loops over windows; `order` says how a row's axes down, across and channel are stored."""
    n, height, width, c = shape
    d_padded = np.zeros((n, height + 2 * padding, width + 2 * padding, c))
    h_out, w_out = ((length + 2 * padding - k) // stride + 1 for length in (height, width))
    stored = [(k, k, c)[axis] for axis in order]
    pieces = d_rows.reshape(n, h_out, w_out, *stored).transpose(0, 1, 2, *(3 + np.argsort(order)))
    taps = itertools.product(range(k), range(k))
    for a, b in taps:
        place = d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride]
        place[:] = place + pieces[:, :, :, a, b] if add else pieces[:, :, :, a, b]
    return d_padded[:, padding : padding + height, padding : padding + width] if crop else d_padded


def overwritten(d_rows, shape, k, stride, padding):
    """col2im, window by window, each written over those before."""
    n, height, width, c = shape
    d_padded = np.zeros((n, height + 2 * padding, width + 2 * padding, c))
    h_out, w_out = ((length + 2 * padding - k) // stride + 1 for length in (height, width))
    pieces = d_rows.reshape(n, h_out, w_out, k, k, c)
    for i, j in np.ndindex(h_out, w_out):
        d_padded[:, i * stride : i * stride + k, j * stride : j * stride + k] = pieces[:, i, j]
    return d_padded[:, padding : padding + height, padding : padding + width]


def col2im(answer):
    rng = np.random.default_rng()
    for x, _, k, stride, padding, tolerance, given in problems(c_in=3):
        h_out, w_out = ((length + 2 * padding - k) // stride + 1 for length in x.shape[1:3])
        d_rows = rng.normal(size=(2 * h_out * w_out, k * k * 3)).astype(x.dtype)
        geometry = x.shape, k, stride, padding
        right, whole = spread(d_rows, *geometry), spread(d_rows, *geometry, crop=False)
        count = spread(np.ones_like(d_rows), *geometry)
        overwrites = (
            "a pixel has only what ONE of its windows says",
            "where windows overlap, each writes over what the others have left: = in place of +=",
            "the way forward copied the pixel; the way back sums",
        )
        mistakes = [
            (spread(d_rows, *geometry, add=False), *overwrites),
            (overwritten(d_rows, *geometry), *overwrites),
            (
                whole,
                f"the result has the shape {whole.shape}, and x has {x.shape}",
                "the border is still there: it is no part of x, so its gradient is thrown away",
                "cut `padding` off on each side, at the very end",
            ),
            (
                whole[:, : x.shape[1], : x.shape[2]],
                "the image is shifted",
                "the border was cut off at the right and below only",
                "rows padding to padding + H are the image's",
            ),
            (
                whole[:, 2 * padding :, 2 * padding :],
                "the image is shifted",
                "the border was cut off at the left and above only",
                "rows padding to padding + H are the image's",
            ),
            (
                right / np.maximum(count, 1),
                "the mean over the windows",
                "every window's wish counts fully",
                "sum, and do not divide",
            ),
            (
                spread(d_rows, *geometry, order=(2, 0, 1)),
                "the rows are read as channel, down, across",
                "im2col wrote them as down, across, channel",
                "reshape each row to (k, k, C)",
            ),
            (
                spread(d_rows, *geometry, order=(1, 0, 2)),
                "down and across are exchanged within each window",
                "the first of the two k goes down",
                "tap (a, b): a moves the slice down",
            ),
            (
                spread(np.moveaxis(d_rows.reshape(k * k, len(d_rows), 3), 0, 1).reshape(d_rows.shape), *geometry),
                "the rows are read as if the taps came first, then the windows",
                "reshape cuts numbers in the order in which they lie; a row is one window",
                "photo, row and column of the window come first: (N, H_out, W_out, k, k, C)",
            ),
            (
                spread(d_rows[:, ::-1], *geometry)[..., ::-1],
                "each window is turned by 180 degrees",
                "tap (a, b) went to the other end of its window",
                "the slice of tap (a, b) begins at row a and column b",
            ),
            (
                spread(d_rows, x.shape, k, stride, padding)[:, ::-1, ::-1],
                "the image is turned by 180 degrees",
                "the places are counted from the wrong end",
                "the slice of tap (a, b) begins at row a and column b",
            ),
        ]
        got = judge_call(answer, given, d_rows, *geometry)
        if np.any(got) and padding and same(got, narrow(d_rows, *geometry), tolerance):
            raise Wrong(
                f"{given} what fell on the border is lost in the wrong place",
                "the windows were laid on an image without a border, so they lie `padding` too far right and down",
                "collect in an array of zeros WITH a border, and cut the border off at the end",
            )
        if np.size(got) == 0:
            raise Wrong(
                f"{given} the result is empty, {np.shape(got)}",
                "with padding 0 a slice that ends at -0 ends at 0",
                "count the end from the start: padding + how many rows?",
            )
        if np.any(right) and not np.any(got):
            raise Wrong(
                f"{given} all is 0",
                "the zeros were never filled: a slice that is copied or computed with is no view any more",
                "add to the slice in place, d_padded[...] += ...",
            )
        compare(given, got, right.astype(x.dtype), mistakes, tolerance)
    return "It is the gradient of im2col: what was copied is summed."


def narrow(d_rows, shape, k, stride, padding):
    """col2im into an image without a border; what sticks out at the end is lost."""
    whole = spread(d_rows, shape, k, stride, padding, crop=False)
    return whole[:, : shape[1], : shape[2]]


def gradient_of_x(answer):
    rng = np.random.default_rng()
    for dtype, (k, padding) in itertools.product(
        TOLERANCES, [(3, 1), (3, 0), (2, 0), (2, 1), (1, 0), (5, 2), (4, 1)]
    ):
        x_shape, weight = (2, 6, 7, 2), rng.normal(size=(k, k, 2, 3)).astype(dtype)
        h_out, w_out = (length + 2 * padding - k + 1 for length in x_shape[1:3])
        g = rng.normal(size=(2, h_out, w_out, 3)).astype(dtype)
        rows = g.reshape(-1, 3).astype(float) @ weight.reshape(-1, 3).T.astype(float)
        right = spread(rows, x_shape, k, 1, padding)
        given = f"For g {g.shape}, weight {weight.shape}, padding {padding}:"
        swapped, border = weight.swapaxes(2, 3), k - 1 - padding
        try:
            got = call(answer, g, weight, padding)
        except Wrong as wrong:
            raise explain_challenge(given, wrong) from wrong
        mistakes = [
            (
                convolve(g, swapped, 1, border),
                "the kernel is not turned",
                "y[i] holds x[i + a] * w[a], so x[i] went into y[i - a]: the way back walks the other way",
                "a kernel turned by 180 degrees reads from the last number to the first, down AND across",
            ),
            (
                convolve(g, swapped[::-1], 1, border),
                "the kernel is turned down, but not across",
                "both directions are turned",
                "two axes of weight",
            ),
            (
                convolve(g, swapped[:, ::-1], 1, border),
                "the kernel is turned across, but not down",
                "both directions are turned",
                "two axes of weight",
            ),
            (
                convolve(g, swapped.swapaxes(0, 1), 1, border),
                "the kernel is transposed",
                "turning by 180 degrees is another thing than exchanging down and across",
                "a kernel turned by 180 degrees reads from the last number to the first",
            ),
            (
                convolve(g, weight[::-1, ::-1, ::-1, ::-1].swapaxes(2, 3), 1, border),
                "the channels are turned round, too",
                "only down and across are directions; a channel stays the channel that it is",
                "turn two axes of weight, not four",
            ),
            *(
                (
                    convolve(g, np.rot90(swapped, turns), 1, border),
                    "the kernel is turned by 90 degrees",
                    "a half turn is needed: the way back walks the other way, down AND across",
                    "which weight took x[i] into y[i], and which into y[i - 1]?",
                )
                for turns in (1, 3)
            ),
            *(
                (
                    convolve(g, swapped[::-1, ::-1], 1, other),
                    f"the result is {convolve(g, swapped[::-1, ::-1], 1, other).shape[1:3]} pixels; x has "
                    f"{x_shape[1:3]}",
                    "with this padding the convolution does not give back the size of x",
                    "which padding turns output_length(H, k, 1, padding) pixels into H again?",
                )
                for other in {0, padding, k - 1, k // 2, k - padding} - {border}
            ),
        ]
        compare(given, got, right.astype(dtype), mistakes, TOLERANCES[dtype])
    return "So a machine that convolves fast also learns fast."


def explain_challenge(given, wrong):
    """The Wrong for an error inside conv()."""
    if "matmul" in wrong.what or "mismatch" in wrong.what:
        return Wrong(
            f"{given} {wrong.what}",
            "g has C_out channels, and the result shall have C_in: the kernel's channels must change their roles",
            "which axes of weight are C_in and C_out? They change places",
        )
    if "reshape" in wrong.what or "larger than input" in wrong.what or "negative" in wrong.what:
        return Wrong(
            f"{given} {wrong.what}",
            "conv() got a shape or a padding that fits nothing; a padding cannot be negative",
            "print the shapes of g, of your kernel, and the padding",
        )
    return wrong


JUDGES = {
    "04.1": output_length,
    "04.2": conv_by_taps,
    "04.3": im2col,
    "04.4": col2im,
    "04.5": gradient_of_x,
}
HINTS = {
    "04.1": [
        "How long is the row once the border lies round it? Mind the word 'each'.",
        "How far can the kernel move in it from its first place, before its end meets the end of the row?",
        "How many whole steps of `stride` pixels is that? And the first window was there before any step.",
    ],
    "04.2": [
        "Start with the padded image, an array of zeros for the result, and two loops: for a, for b.",
        "Which pixels does tap (0, 0) meet with stride 2? Rows 0, 2, 4, ... H_out of them. And tap (1, 0)?",
        "A slice has a start, an end and a step. The end matters: all taps need the same number of rows.",
        "(N, H_out, W_out, C_in) @ (C_in, C_out) is allowed: @ works on the last axis, for all pixels at once.",
    ],
    "04.3": [
        "The cell above shows all windows of stride 1. Which of them remain with stride 2?",
        "Number the axes of the view from 0 to 5. In which order do you want them, if a row lists down, across, "
        "channel?",
        "transpose first. Then reshape(-1, ...): how many numbers are in a row?",
    ],
    "04.4": [
        "Give the rows their axes back: (N, H_out, W_out, k, k, C).",
        "Where to collect? In zeros of the PADDED shape; the border's share is thrown away at the end.",
        "The loops are those of 04.2. There tap (a, b) read from a slice; here it adds to the same slice.",
    ],
}
