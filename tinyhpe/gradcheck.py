"""Is this gradient right? Finite differences, complex step, a kink detector, and a readable report.

The traps that the checks avoid (lesson 3):
- the cotangent is random: with ones, an op that ignores the incoming gradient looks right;
- float64: in float32 rounding drowns a small error;
- four evaluations per element (Richardson): the truncation error falls from h^2 to h^4;
- a kink inside the step is reported as a kink, not as a wrong gradient;
- an error counts relative to the largest gradient of its input: small gradients are checked as well as large.
"""

import numpy as np

from tinyhpe.tensor import Tensor

STEP = 1e-3  # relative step of the finite differences
TOLERANCE = 1e-7  # of finite differences, relative to the largest gradient of that input


class GradientError(AssertionError):
    """A gradient, a value or a dtype is not what it should be; the message is a report."""


def gradcheck(function, *inputs, seed=0, tolerance=TOLERANCE):
    """Compare the gradients of `function` with central differences, for a random cotangent.

    Args:
        function: takes tensors, returns a tensor of any shape; deterministic.
        inputs: float64 arrays, away from kinks.
        tolerance: allowed error, relative to the largest derivative of that input.

    Returns:
        The largest error, relative to the largest derivative of its input.

    Raises:
        GradientError: which input, which element, what was expected, and the usual cause.
    """
    inputs = [np.array(array) for array in inputs]
    if any(array.dtype != np.float64 for array in inputs):
        raise TypeError(
            f"gradcheck needs float64 inputs, got {[str(a.dtype) for a in inputs]}: in float32 the rounding "
            "of the function is larger than the error to be found; use array.astype('float64')"
        )
    # a stream of its own, not that of the samples: a cotangent equal to an input can hide an error
    rng = np.random.default_rng([seed, 1])

    def value(arrays):
        return function(*[Tensor(array) for array in arrays]).data

    value.__name__ = name_of(function)  # for the report of a kink
    output = value(inputs)
    if not np.isfinite(output).all():
        raise GradientError(f"{value.__name__}: the value is NaN or infinite; move the inputs into its domain")
    cotangent = rng.normal(size=output.shape)
    expected = [finite_differences(value, inputs, number, cotangent) for number in range(len(inputs))]
    # some ten roundings of the terms of the sum that is differenced, divided by the step
    rounding = 10 * np.finfo(float).eps * np.abs(cotangent * output).sum() / STEP
    return compare(function, inputs, cotangent, expected, "central differences", tolerance, rounding)


def name_of(function):
    """The function's name for a report; a layer or a partial has none."""
    return getattr(function, "__name__", "function")


def gradients_of(function, inputs, cotangent):
    """Run the tape: the gradient of sum(cotangent * function(inputs)) for each input."""
    return value_and_gradients(function, inputs, cotangent)[1:]


def value_and_gradients(function, inputs, cotangent):
    """Run the tape: [function(inputs), then the gradient of sum(cotangent * value) for each input]."""
    tensors = [Tensor(array, requires_grad=True) for array in inputs]
    output = function(*tensors)
    output.backward(cotangent)
    return [output.data, *(np.zeros_like(t.data) if t.grad is None else t.grad for t in tensors)]


def finite_differences(value, inputs, number, cotangent):
    """Derivative of sum(cotangent * value(inputs)) with respect to input `number`, element by element."""
    gradient = np.empty(inputs[number].shape)
    for place in np.ndindex(gradient.shape):
        x = inputs[number][place]
        step = STEP * max(1.0, abs(x))

        def along(offset, place=place, x=x):
            moved = [array.copy() if i == number else array for i, array in enumerate(inputs)]
            moved[number][place] = x + offset
            return float((cotangent * value(moved)).sum())

        with np.errstate(all="ignore"):  # a step out of the domain gives NaN, and is halved
            gradient[place] = derivative(along, step, f"{value.__name__}: input {number}, element {place}")
    return gradient


def derivative(along, step, where):
    """Fourth-order central difference of along(offset) at 0, refusing a kink.

    At a smooth point the slopes to the left and to the right differ by step * f'': half the step, half the
    difference. At a kink the difference stays, and beside one it vanishes at once. A steep curve shows nothing
    of this until the step is small enough, so the step is halved until the two central slopes agree.
    """
    centre, h, vanished = along(0.0), step, False
    for _ in range(12):
        right, left, near_right, near_left = (along(offset) for offset in (h, -h, h / 2, -h / 2))
        wide, narrow = (right - left) / (2 * h), (near_right - near_left) / h
        jump, near_jump = abs(right - 2 * centre + left) / h, abs(near_right - 2 * centre + near_left) / (h / 2)
        # slopes that differ by 1e-4 leave an error of 1e-9 in the result; 1e-10 is their rounding
        small = 1e-4 * max(abs(wide), abs(narrow)) + 1e-10 * max(1.0, abs(centre))
        vanished = vanished or (jump > small and near_jump < 0.1 * jump)
        if abs(wide - narrow) < small and not vanished and (jump < small or near_jump < 0.75 * jump):
            break
        h /= 2
    else:
        before, after = (centre - along(-step)) / step, (along(step) - centre) / step
        raise GradientError(
            f"{where} lies on a kink or a jump: the slope of the checked sum is {before:.6g} to its left and "
            f"{after:.6g} to its right, so there is no one gradient to compare with; move the sample away from it"
        )
    return (4 * narrow - wide) / 3


def compare(function, inputs, cotangent, expected, oracle, tolerance, rounding=0.0):
    """Return the largest error of the tape's gradients, relative to the largest gradient of its input.

    Raises:
        GradientError: an error is above `tolerance` of that largest gradient, plus the `rounding` of the oracle.
    """
    worst = 0.0
    for number, (got, want) in enumerate(zip(gradients_of(function, inputs, cotangent), expected, strict=True)):
        error, largest = np.abs(got - want), np.abs(want).max(initial=0.0)
        wrong = ~(error <= tolerance * largest + rounding)  # written so that NaN is wrong
        if wrong.any():
            place = tuple(int(i) for i in np.unravel_index(error.argmax(), got.shape))
            raise GradientError(
                f"{name_of(function)}: the gradient of input {number} is wrong at element {place}: "
                f"got {got[place]:.10g}, expected {want[place]:.10g} by {oracle}\n"
                f"  {wrong.sum()} of {wrong.size} elements differ by more than {tolerance:.0e} of the largest\n"
                f"  hint: {hint(function, inputs, number, got, want, cotangent)}"
            )
        if largest:
            worst = max(worst, error.max() / largest)
    return worst


def hint(function, inputs, number, got, want, cotangent):
    """Guess the usual cause from how the wrong gradient relates to the right one."""
    if np.isnan(got).any():
        return "there is a NaN: a logarithm or root of a negative number, 0/0, or an overflow?"
    if not got.any():
        return "it is zero everywhere: did backward return nothing for this input?"
    ratios = {2.0: "doubled: is a gradient added twice?", 0.5: "halved: is a path of the graph forgotten?"}
    ratios[-1.0] = "of the wrong sign"
    for ratio, cause in ratios.items():
        if np.allclose(got, ratio * want, rtol=1e-5):
            return f"it is {cause}"
    with_ones = gradients_of(function, inputs, np.ones_like(cotangent))[number]
    if np.allclose(got, with_ones, rtol=1e-9):
        return "it does not depend on the incoming gradient: multiply by g"
    if np.allclose(np.sort(got, axis=None), np.sort(want, axis=None), rtol=1e-5):
        return "it has the right values in the wrong places: a missing transpose or a flip?"
    return "check the formula with one element by hand; a sum over a broadcast axis is often forgotten"
