"""Is this gradient right? Finite differences, complex step, a kink detector, and a readable report.

The traps that the checks avoid (lesson 3):
- the cotangent is random: with ones, an op that ignores the incoming gradient looks right;
- float64: in float32 rounding drowns a small error;
- four evaluations per element (Richardson): the truncation error falls from h^2 to h^4;
- a kink inside the step is reported as a kink, not as a wrong gradient.
"""

import copy

import numpy as np

from tinyhpe.ops.textbook import TWINS
from tinyhpe.tensor import Op, Tensor, apply

STEP = 1e-3  # relative step of the finite differences
TOLERANCE = 1e-7  # of finite differences, relative to the largest gradient of that input
COMPLEX_TOLERANCE = 1e-10  # of the complex step, which has no truncation and no cancellation
TWIN_TOLERANCE = 1e-10


class GradientError(AssertionError):
    """A gradient, a value or a dtype is not what it should be; the message is a report."""


def gradcheck(function, *inputs, seed=0, tolerance=TOLERANCE):
    """Compare the gradients of `function` with central differences, for a random cotangent.

    Args:
        function: takes tensors, returns a tensor of any shape; deterministic.
        inputs: float64 arrays, away from kinks.
        tolerance: allowed error, relative to the largest derivative of that input (or 1).

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
    name = getattr(function, "__name__", "function")

    def value(arrays):
        return function(*[Tensor(array) for array in arrays]).data

    value.__name__ = name  # for the report of a kink
    cotangent = rng.normal(size=value(inputs).shape)
    expected = [finite_differences(value, inputs, number, cotangent) for number in range(len(inputs))]
    compare(name, function, inputs, cotangent, expected, tolerance, "central differences")


def check_op(op_class, seed=0):
    """Check all that an op's samples promise; see the five checks below.

    Raises:
        GradientError: the first promise that is broken.
    """
    rng = np.random.default_rng(seed)
    for sample in op_class.samples(rng):

        def function(*tensors, sample=sample):
            return apply(op_class(**copy.deepcopy(sample.settings)), *tensors)

        function.__name__ = f"{op_class.__name__}({describe(sample)})"
        gradcheck(function, *sample.inputs, seed=seed)
        if sample.analytic:
            check_complex_step(op_class, function, sample, rng)
        if op_class in TWINS:
            check_twin(TWINS[op_class], function, sample, rng)
        check_dtypes(function, sample)
        check_layout(function, sample, rng)


def describe(sample):
    """Input shapes and settings in one short text."""
    shapes = ", ".join(str(np.shape(array)) for array in sample.inputs)
    settings = "".join(f", {k}={v}" for k, v in sample.settings.items() if np.size(v) == 1)
    return shapes + settings


def gradients_of(function, inputs, cotangent):
    """Run the tape: the gradient of sum(cotangent * function(inputs)) for each input."""
    tensors = [Tensor(array, requires_grad=True) for array in inputs]
    function(*tensors).backward(cotangent)
    return [np.zeros_like(t.data) if t.grad is None else t.grad for t in tensors]


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

        gradient[place] = derivative(along, step, f"{value.__name__}: input {number}, element {place}")
    return gradient


def derivative(along, step, where):
    """Fourth-order central difference of along(offset) at 0, refusing a kink.

    At a smooth point the slopes to the left and to the right differ by step * f'': half the step, half the
    difference. At a kink the difference stays.
    """
    centre = along(0.0)
    right, left, near_right, near_left = (along(o) for o in (step, -step, step / 2, -step / 2))
    wide, narrow = (right - left) / (2 * step), (near_right - near_left) / step
    jump = abs(right - 2 * centre + left) / step
    near_jump = abs(near_right - 2 * centre + near_left) / (step / 2)
    scale = max(1.0, abs(wide), abs(narrow))
    kink = near_jump > 1e-4 * scale and near_jump > 0.75 * jump
    if kink or abs(wide - narrow) > 1e-3 * scale:
        before, after = (centre - near_left) / (step / 2), (near_right - centre) / (step / 2)
        raise GradientError(
            f"{where} lies on a kink or a jump: the slope of the checked sum is {before:.6g} to its left and "
            f"{after:.6g} to its right, so there is no one gradient to compare with; move the sample away from it"
        )
    return (4 * narrow - wide) / 3


def check_complex_step(op_class, function, sample, rng):
    """Im f(x + ih) / h with h = 1e-20: exact to rounding, since nothing is subtracted."""

    def forward(arrays):
        return np.asarray(op_class(**copy.deepcopy(sample.settings)).forward(np, *arrays))

    cotangent = rng.normal(size=forward(sample.inputs).shape)
    expected = []
    for number, array in enumerate(sample.inputs):
        gradient = np.empty(np.shape(array))
        for place in np.ndindex(gradient.shape):
            moved = [np.array(a, complex) for a in sample.inputs]
            moved[number][place] += 1e-20j
            gradient[place] = (cotangent * forward(moved).imag).sum() / 1e-20
        expected.append(gradient)
    compare(function.__name__, function, sample.inputs, cotangent, expected, COMPLEX_TOLERANCE, "the complex step")


def check_twin(twin, function, sample, rng):
    """The fast op and its textbook twin agree in value and gradient."""

    def plain(*tensors):
        return twin(*tensors, **copy.deepcopy(sample.settings))

    value, expected = (f(*map(Tensor, sample.inputs)).data for f in (function, plain))
    error = np.abs(value - expected).max() / max(1.0, np.abs(expected).max())
    if value.shape != expected.shape or error > TWIN_TOLERANCE:
        raise GradientError(f"{function.__name__}: value differs from its textbook twin by {error:.3g}")
    cotangent = rng.normal(size=value.shape)
    expected = gradients_of(plain, sample.inputs, cotangent)
    compare(function.__name__, function, sample.inputs, cotangent, expected, TWIN_TOLERANCE, "its textbook twin")


def check_dtypes(function, sample):
    """float32 in, float32 out, forward and backward, and close to the float64 result."""
    exact = function(*map(Tensor, sample.inputs)).data
    tensors = [Tensor(np.asarray(array, np.float32), requires_grad=True) for array in sample.inputs]
    output = function(*tensors)
    if output.dtype != np.float32:
        raise GradientError(
            f"{function.__name__}: float32 went in, {output.dtype} came out (a NumPy scalar such as np.sqrt(2)?)"
        )
    # the bound: some hundred roundings of the largest value involved
    largest = max([1.0, np.abs(exact).max(), *(np.abs(array).max() for array in sample.inputs)])
    error = np.abs(output.data - exact).max()
    if error > 500 * np.finfo(np.float32).eps * largest:
        raise GradientError(f"{function.__name__}: the float32 result is off by {error:.3g}")
    output.backward(np.ones_like(output.data))  # raises if a gradient's dtype is not float32


def check_layout(function, sample, rng):
    """Inputs and cotangent that are not contiguous give the same, and none of them is changed."""
    cotangent = rng.normal(size=function(*map(Tensor, sample.inputs)).shape)
    expected = gradients_of(function, sample.inputs, cotangent)
    strided = [np.repeat(np.asarray(array)[..., None], 2, axis=-1)[..., 0] for array in sample.inputs]
    strided_cotangent = np.repeat(cotangent[..., None], 2, axis=-1)[..., 0]
    compare(function.__name__, function, strided, strided_cotangent, expected, 1e-12, "contiguous input")
    for before, after in zip([*sample.inputs, cotangent], [*strided, strided_cotangent], strict=True):
        if not np.array_equal(before, after):
            raise GradientError(f"{function.__name__}: changed one of its inputs or its cotangent in place")


def compare(name, function, inputs, cotangent, expected, tolerance, oracle):
    """Raise a report if the tape's gradients differ from the expected ones."""
    actual = gradients_of(function, inputs, cotangent)
    for number, (got, want) in enumerate(zip(actual, expected, strict=True)):
        scale = max(1.0, np.abs(want).max(initial=0.0))
        wrong = ~(np.abs(got - want) <= tolerance * scale)  # written so that NaN is wrong
        if wrong.any():
            place = tuple(int(i) for i in np.unravel_index(np.abs(got - want).argmax(), got.shape))
            raise GradientError(
                f"{name}: the gradient of input {number} is wrong at element {place}: "
                f"got {got[place]:.10g}, expected {want[place]:.10g} by {oracle}\n"
                f"  {wrong.sum()} of {wrong.size} elements differ by more than {tolerance:.0e}\n"
                f"  hint: {hint(function, inputs, number, got, want, cotangent)}"
            )


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
