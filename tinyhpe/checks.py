"""Is this op right, and each of its quicker ways? All that an op's samples promise, checked.

The oracles are independent of the op: finite differences and the complex step for its gradient, the theory of
rounding for its float32 and float16 results. The oracle of a quicker way is, besides, the op itself.
"""

import contextlib
import copy

import numpy as np

from tinyhpe.gradcheck import GradientError, compare, gradcheck, gradients_of, value_and_gradients
from tinyhpe.tensor import Op, Tensor, apply
from tinyhpe.ways import choose_way, plain, without

COMPLEX_TOLERANCE = 1e-10  # of the complex step, which has no truncation and no cancellation
ORDER_TOLERANCE = 1e-12  # of quicker ways and other memory layouts: the same sums in another order
SPARE = 3  # roundings that a number may meet besides those in additions


def check_op(op_class, way=None, seed=0):
    """Check all that an op's samples promise: each check_... below.

    Args:
        way: one of op_class.ways, which is checked in the op's place: with its own limits of size, then with all
            of them 1. (Samples are small: else they would not suit it, or never be cut into chunks.)

    Returns:
        {check: its largest error over the samples}; relative to the largest gradient of that input, but for
        "float32" and "float16" as a share of what rounding explains.

    Raises:
        GradientError: the first promise that is broken.
        ValueError: no sample suits the way.
    """
    samples = list(op_class.samples(np.random.default_rng(seed)))
    if way is None:
        with plain():
            return largest(check_sample(op_class, sample, None, seed) for sample in samples)
    others, results = [other.__name__ for other in op_class.ways if other is not way], []
    for limits in contextlib.nullcontext(), limits_of_one(way):
        with without(*others), limits:
            for sample in samples:
                if choose_way(op_class(**sample.settings), np, *sample.inputs) is way:
                    results.append(check_sample(op_class, sample, way, seed))
    if not results:
        raise ValueError(f"no sample of {op_class.__name__} suits {way.__name__}, so nobody checked it: add one")
    return largest(results)


@contextlib.contextmanager
def limits_of_one(way):
    """Inside this context the limits of size of a way, the constants of its class, are 1."""
    limits = {name: value for name, value in vars(way).items() if name.isupper() and isinstance(value, int)}
    for name in limits:
        setattr(way, name, 1)
    try:
        yield
    finally:
        for name, value in limits.items():
            setattr(way, name, value)


def largest(results):
    """Of dictionaries of errors the largest error by name."""
    results = list(results)
    return {check: max(result.get(check, 0.0) for result in results) for result in results for check in result}


def check_sample(op_class, sample, way, seed):
    """Run all checks on one sample; returns {check: error}."""

    def function(*tensors):
        return apply(op_class(**copy.deepcopy(sample.settings)), *tensors)

    function.__name__ = f"{(way or op_class).__name__}({describe(sample)})"
    cotangent = np.random.default_rng([seed, 2]).normal(size=function(*map(Tensor, sample.inputs)).shape)
    errors = {"central differences": gradcheck(function, *sample.inputs, seed=seed)}
    if way:
        errors["plain op"] = check_against_plain(function, sample, cotangent)
    elif sample.analytic:
        errors["complex step"] = check_complex_step(op_class, function, sample, cotangent)
    movements = sensitivity(function, sample.inputs, cotangent)
    for dtype in ("float32", "float16"):
        errors[dtype] = check_rounding(function, sample.inputs, cotangent, dtype, movements)
    errors["layout"] = check_layout(function, sample, cotangent)
    return errors


def describe(sample):
    """Input shapes and settings in one short text."""
    shapes = ", ".join(str(np.shape(array)) for array in sample.inputs)
    settings = "".join(f", {k}={v}" for k, v in sample.settings.items() if np.size(v) == 1)
    return shapes + settings


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


def check_against_plain(function, sample, cotangent):
    """A quicker way and the op itself agree in value and gradient."""
    value, *_ = value_and_gradients(function, sample.inputs, cotangent)
    with plain():
        expected, *gradients = value_and_gradients(function, sample.inputs, cotangent)
    error = np.abs(value - expected).max() / np.abs(expected).max()
    if not error <= ORDER_TOLERANCE:
        raise GradientError(
            f"{function.__name__}: value differs from the plain op's by {error:.3g} of the largest"
        )
    worst = compare(function, sample.inputs, cotangent, gradients, "the plain op", ORDER_TOLERANCE)
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
    worst = compare(function, strided[:-1], strided[-1], expected, "contiguous input", ORDER_TOLERANCE)
    for before, after in zip(given, strided, strict=True):
        if not np.array_equal(before, after):
            raise GradientError(f"{function.__name__}: changed one of its inputs or its cotangent in place")
    return worst


def all_ops():
    """The registered op classes, by name."""
    return dict(sorted(Op.registry.items()))
