"""What a wrong array has to do with the right one: the mistakes that need no knowledge of the exercise."""

import numpy as np

UNCHANGED = "the work is done on a copy, or on another name, and the input is returned; or nothing is added to it"
SIGN = "a minus too many, or the two sides of a difference are exchanged"
DEFINITE = {UNCHANGED, SIGN}  # these say what is wrong; the others say what the result looks like


def same(got, expected, tolerance=1e-6):
    """Whether two arrays agree in shape and, relative to the largest value, in content."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape or got.dtype.kind not in "biufc" or not np.isfinite(expected).all():
        return False
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool((np.abs(got.astype(complex) - expected) <= tolerance * scale).all())  # a NaN is not the same


def cancels(result, expected):
    """Whether a result is nothing but the rounding of 0, which many a mistake gives."""
    largest = np.abs(np.asarray(result, complex)).max(initial=0) if np.asarray(result).dtype.kind in "fc" else 0
    return 0 < largest < 1e-9 * np.abs(expected).max(initial=0)


def explain_values(got, expected, inputs, tolerance):
    """Return (what, why, hint) for wrong values of the right shape, or None.

    Args:
        inputs: what the function was given; arrays of the same shape are compared with, too.
    """
    if not np.isfinite(got).all():
        return (
            f"{int((~np.isfinite(got)).sum())} of {got.size} values are NaN or infinite",
            "somewhere 0 is divided by 0, or a logarithm or root is taken of what has none, or numbers overflow",
            "print the largest and smallest value after every line",
        )
    if got.dtype.kind in "iub" and expected.dtype.kind == "f":
        return (
            f"the result has the dtype {got.dtype}; it should be {expected.dtype}",
            "whole numbers have no room for what stands behind the point",
            "print the dtype after every line",
        )
    wide, right = got.astype(complex), expected.astype(complex)
    if got.dtype.kind != "c" and expected.dtype.kind != "c":
        wide, right = wide.real, right.real
    inputs = [x for x in inputs if isinstance(x, np.ndarray) and x.shape == right.shape and x.dtype.kind in "iuf"]
    for find in (unchanged, few_values, sign, factor, offset, change, cut_off, few_digits, moved, part):
        if found := find(wide, right, inputs, tolerance):
            return found
    return None


def unchanged(got, right, inputs, tolerance):
    if any(same(got, x, tolerance) for x in inputs):
        return (
            "the result has the values of an input, unchanged",
            UNCHANGED,
            "which name holds the result on your last line?",
        )
    return None


def few_values(got, right, inputs, tolerance):
    if cancels(got, right) or (not got.any() and right.any()):
        return (
            "every value is 0",
            "nothing was stored, a factor is 0, the values were cut off there, or two things cancel, as in x - x "
            "or a sum of deviations from the mean",
            "print the range of the values after every line: where do they become 0?",
        )
    if got.size < 2 or np.ptp(right.real) < 1e-9 or np.abs(got - got.flat[0]).max() > 1e-12 * np.abs(got).max():
        return None
    return (
        f"every value is {got.flat[0]:.4g}",
        "one number was computed for the whole array, or everything was cut off at the same border",
        "print the shape and the range after every line",
    )


def sign(got, right, inputs, tolerance):
    if not right.any():
        return None
    if same(-got, right, tolerance):
        return (
            "every value has the wrong sign",
            SIGN,
            "look at one value: should it be above or below 0?",
        )
    if right.dtype.kind == "f" and (right < 0).any() and same(got, np.abs(right), tolerance):
        return "the sizes are right, the signs are lost", "an absolute value or a square was taken", "where?"
    return None


def ratio_of(got, right, tolerance):
    """The one number that got / right is everywhere, or None."""
    if right.size < 2 or np.any(np.abs(right) < 1e-9) or np.ptp(np.abs(right)) < 1e-9 * np.abs(right).max():
        return None
    ratio = complex(np.median((got / right).real))
    close = np.abs(got - ratio * right).max() <= 10 * tolerance * np.abs(ratio * right).max()
    return ratio.real if ratio and close else None


def factor(got, right, inputs, tolerance):
    if (ratio := ratio_of(got, right, tolerance)) is None:
        return None
    for number, why in (
        (np.pi / 180, "degrees and radians are mixed up"),
        (np.log(2), "a logarithm or a power has base 2 where it should be e, or the other way round"),
        (np.log(10), "a logarithm or a power has base 10 where it should be e, or the other way round"),
    ):
        if any(abs(abs(ratio) / power - 1) < 1e-4 for power in (number, 1 / number)):
            return f"every value is {ratio:.4g} times what it should be", why, "in which unit is each number?"
    return (
        f"every value is {ratio:.4g} times what it should be",
        "a constant factor is wrong: a division or a multiplication is missing, or is one too many",
        f"where does a {max(ratio, 1 / ratio, key=abs):.4g} come from in your code?",
    )


def offset(got, right, inputs, tolerance):
    difference = got - right
    if (
        right.size < 2
        or np.ptp(right.real) < 1e-9
        or np.abs(difference - difference.flat[0]).max() > 10 * tolerance
    ):
        return None
    return (
        f"every value is {difference.flat[0]:.4g} too large",
        "the same number is added to all of them, or was not subtracted",
        f"where does a {difference.flat[0]:.4g} come from in your code?",
    )


def change(got, right, inputs, tolerance):
    for x in inputs:
        times = ratio_of(got - x, right - x, min(100 * tolerance, 1e-5))
        if times is not None and abs(times - 1) > 0.05:
            return (
                f"the change of the input is {times:.4g} times what it should be",
                "what is added to or subtracted from the input has the wrong sign, or a wrong factor, such "
                "as a sum "
                "in place of a mean",
                "look at the difference between result and input: which factor is wrong?",
            )
    return None


def cut_off(got, right, inputs, tolerance):
    if (
        right.dtype.kind == "c"
        or np.ptp(got) < 1e-9
        or np.isclose(got, right).sum() < 2
        or ((got > got.min()) & (got < got.max())).sum() < 2
        or not same(got, np.clip(right, got.min(), got.max()), tolerance)
    ):
        return None
    return (
        f"the values end at {got.min():.4g} and {got.max():.4g}, not at {right.min():.4g} and {right.max():.4g}",
        "they are cut off at a wrong border",
        "which are the smallest and the largest value that may come out?",
    )


def few_digits(got, right, inputs, tolerance):
    error = np.abs(got - right).max() / max(np.abs(right).max(), 1e-30)
    if error > 3e-3:
        return None
    return (
        f"the values are right to {int(-np.log10(error))} digits only",
        "somewhere the arithmetic has fewer digits (float16, float32), or a formula is only nearly right",
        "print the dtype after every line; and is every constant exact?",
    )


def moved(got, right, inputs, tolerance):
    if (
        right.size < 3
        or right.dtype.kind == "c"
        or not same(np.sort(got.ravel()), np.sort(right.ravel()), tolerance)
    ):
        return None
    return (
        "the right numbers are there, but in wrong places",
        "axes, rows or elements are in another order: a transpose, a reshape or an index is wrong",
        "follow one number of check.case from the input to the result",
    )


def part(got, right, inputs, tolerance):
    fits = np.abs(got - right) <= 10 * tolerance * max(1.0, np.abs(right).max())
    if right.size < 4 or not 0.1 < fits.mean() < 1:
        return None
    where = ""
    for axis in range(right.ndim):
        rest = tuple(other for other in range(right.ndim) if other != axis)
        whole, some = fits.all(axis=rest), fits.any(axis=rest)
        if whole.any() and (whole == some).all():
            where = f": those with index {', '.join(map(str, np.flatnonzero(whole)))} along axis {axis}"
    return (
        f"{int(fits.sum())} of {fits.size} values are right{where}",
        "the others are treated in another way, or not at all: one slice, branch, sign, border or turn of a loop",
        "what is special about the values that are right?",
    )
