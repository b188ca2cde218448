"""Is this gradient right? Finite differences, complex step, a kink detector, and a readable report.

The traps that the checks avoid (lesson 3):
- the cotangent is random: with ones, an op that ignores the incoming gradient looks right;
- float64: in float32 rounding drowns a small error;
- four evaluations per element (Richardson): the truncation error falls from h^2 to h^4;
- a kink inside the step is reported as a kink, not as a wrong gradient;
- an error counts relative to the largest gradient of its input: small gradients are checked as well as large.
"""

import copy

import numpy as np

from tinyhpe.ops.textbook import TWINS
from tinyhpe.tensor import Op, Tensor, apply

STEP = 1e-3  # relative step of the finite differences
TOLERANCE = 1e-7  # of finite differences, relative to the largest gradient of that input
COMPLEX_TOLERANCE = 1e-10  # of the complex step, which has no truncation and no cancellation
TWIN_TOLERANCE = 1e-12  # of textbook twins and other memory layouts: the same sums in another order
SPARE = 3  # roundings that a number may meet besides those in additions


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


def check_op(op_class, seed=0):
    """Check all that an op's samples promise: each check_... below.

    Returns:
        {check: its largest error over the samples}; relative to the largest gradient of that input, but for
        "float32" and "float16" as a share of what rounding explains.

    Raises:
        GradientError: the first promise that is broken.
    """
    rng = np.random.default_rng(seed)
    errors = {}

    def record(check, error):
        errors[check] = max(error, errors.get(check, 0.0))

    for sample in op_class.samples(rng):

        def function(*tensors, sample=sample):
            return apply(op_class(**copy.deepcopy(sample.settings)), *tensors)

        function.__name__ = f"{op_class.__name__}({describe(sample)})"
        cotangent = rng.normal(size=function(*map(Tensor, sample.inputs)).shape)
        record("central differences", gradcheck(function, *sample.inputs, seed=seed))
        if sample.analytic:
            record("complex step", check_complex_step(op_class, function, sample, cotangent))
        if op_class in TWINS:
            record("textbook twin", check_twin(TWINS[op_class], function, sample, cotangent))
        movements = sensitivity(function, sample.inputs, cotangent)
        for dtype in ("float32", "float16"):
            record(dtype, check_rounding(function, sample.inputs, cotangent, dtype, movements))
        record("layout", check_layout(function, sample, cotangent))
    return errors


def describe(sample):
    """Input shapes and settings in one short text."""
    shapes = ", ".join(str(np.shape(array)) for array in sample.inputs)
    settings = "".join(f", {k}={v}" for k, v in sample.settings.items() if np.size(v) == 1)
    return shapes + settings


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


def check_complex_step(op_class, function, sample, cotangent):
    """Im f(x + ih) / h with h = 1e-20: exact to rounding, since nothing is subtracted."""
    expected = []
    for number, array in enumerate(sample.inputs):
        gradient = np.empty(np.shape(array))
        for place in np.ndindex(gradient.shape):
            moved = [np.array(a, complex) for a in sample.inputs]
            moved[number][place] += 1e-20j
            output = op_class(**copy.deepcopy(sample.settings)).forward(np, *moved)
            gradient[place] = (cotangent * output.imag).sum() / 1e-20
        expected.append(gradient)
    return compare(function, sample.inputs, cotangent, expected, "the complex step", COMPLEX_TOLERANCE)


def check_twin(twin, function, sample, cotangent):
    """The fast op and its textbook twin agree in value and gradient."""

    def plain(*tensors):
        return twin(*tensors, **copy.deepcopy(sample.settings))

    value, *_ = value_and_gradients(function, sample.inputs, cotangent)
    expected, *gradients = value_and_gradients(plain, sample.inputs, cotangent)
    error = np.abs(value - expected).max() / np.abs(expected).max()
    if not error <= TWIN_TOLERANCE:
        raise GradientError(
            f"{function.__name__}: value differs from its textbook twin by {error:.3g} of the largest"
        )
    worst = compare(function, sample.inputs, cotangent, gradients, "its textbook twin", TWIN_TOLERANCE)
    return max(error, worst)


def sensitivity(function, inputs, cotangent):
    """How value and gradients move with the inputs and the cotangent, which are x here.

    Returns:
        for the value and each gradient, two arrays of its shape: sum over i of |dy_j/dx_i| |x_i|, and how many x_i
        move y_j.
    """
    arrays, nudge = [np.array(array) for array in (*inputs, cotangent)], 1e-6
    before = value_and_gradients(function, arrays[:-1], cotangent)
    moved, count = ([np.zeros(y.shape) for y in before] for _ in range(2))
    for array in arrays:
        for place in np.ndindex(array.shape):
            x, array[place] = array[place], array[place] * (1 + nudge)
            for number, y in enumerate(value_and_gradients(function, arrays[:-1], arrays[-1])):
                change = np.abs(y - before[number]) / nudge
                moved[number] += change
                count[number] += change > 0
            array[place] = x
    return list(zip(moved, count, strict=True))


def check_rounding(function, inputs, cotangent, dtype, movements):
    """`dtype` in, `dtype` out; and value and gradients are as near to float64's as rounding lets them be.

    How near is derived, not chosen. Output j depends on n_j numbers. A sound formula rounds each of them some
    n_j + SPARE times on the way: in n_j - 1 additions, and in a few steps that are no sums. One rounding is a
    relative change of number i by at most u = eps / 2, and moves the output by u |dy_j/dx_i| |x_i|. Together:

        error_j <= (n_j + SPARE) * u * (sum over i of |dy_j/dx_i| |x_i|  +  |y_j|)

    A formula that passes through larger numbers than its inputs and outputs (a cancellation) or through a shorter
    dtype breaks it. The gradients are outputs as well: of the inputs and of the cotangent.
    """
    arrays = [np.asarray(array, dtype) for array in (*inputs, cotangent)]
    came_out = function(*map(Tensor, arrays[:-1])).dtype  # the tape sees to the gradients' dtypes
    if came_out != dtype:
        raise GradientError(
            f"{function.__name__}: {dtype} went in, {came_out} came out (a NumPy scalar such as np.sqrt(2)?)"
        )
    doubles = [array.astype(np.float64) for array in arrays]
    exact = value_and_gradients(function, doubles[:-1], doubles[-1])
    rounding, worst = np.finfo(dtype), 0.0
    for number, got in enumerate(value_and_gradients(function, arrays[:-1], arrays[-1])):
        moved, count = movements[number]
        size = rounding.eps / 2 * (moved + np.abs(exact[number])) + rounding.smallest_subnormal
        share = (np.abs(got - exact[number]) / ((count + SPARE) * size)).max()
        if not share <= 1:
            what = f"gradient of input {number - 1}" if number else "value"
            raise GradientError(
                f"{function.__name__}: in {dtype} the {what} is {share:.3g} times as far from float64's as "
                "rounding explains (a difference of large numbers, or a step in a shorter dtype?)"
            )
        worst = max(worst, share)
    return worst


def check_layout(function, sample, cotangent):
    """Inputs and cotangent that are not contiguous give the same, and none of them is changed."""
    given = [np.array(array) for array in (*sample.inputs, cotangent)]
    strided = [np.repeat(array[..., None], 2, axis=-1)[..., 0] for array in given]
    expected = gradients_of(function, sample.inputs, cotangent)
    worst = compare(function, strided[:-1], strided[-1], expected, "contiguous input", TWIN_TOLERANCE)
    for before, after in zip(given, strided, strict=True):
        if not np.array_equal(before, after):
            raise GradientError(f"{function.__name__}: changed one of its inputs or its cotangent in place")
    return worst


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


def all_ops():
    """The registered op classes, by name."""
    return dict(sorted(Op.registry.items()))
