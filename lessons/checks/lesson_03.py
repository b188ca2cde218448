"""The judges of lesson 3: central differences, complex step, a kink detector, and softmax repaired."""

import numpy as np

from checks.judging import Wrong, call, compare, explain, same
from tinyhpe.checks import check_op
from tinyhpe.gradcheck import GradientError
from tinyhpe.tensor import Op


def mix(x):
    """A smooth, analytic function of an array (3, 4) -> (3, 2), whose outputs depend on several inputs."""
    return np.exp(x[:, :2]) * x[:, 2:] ** 2 + np.sin(x[:, :2])


def mix_slopes(x, cotangent):
    """The gradient of (cotangent * mix(x)).sum(), worked out by hand."""
    left, right = x[:, :2], x[:, 2:]
    return np.concatenate(
        [cotangent * (np.exp(left) * right**2 + np.cos(left)), cotangent * 2 * np.exp(left) * right], axis=1
    )


def random_problem():
    """An input and a cotangent for mix(), new ones each time."""
    rng = np.random.default_rng()
    return rng.uniform(0.5, 1.5, (3, 4)), rng.uniform(0.5, 2, (3, 2)) * rng.choice([-1, 1], (3, 2))


def central_slopes(answer):
    x, cotangent = random_problem()
    exact, ones = mix_slopes(x, cotangent), np.ones_like(cotangent)
    got = call(answer, mix, x, cotangent)
    mistakes = [
        (
            mix_slopes(x, ones),
            "the slopes of the plain sum",
            "the cotangent plays no part",
            "multiply function(...) by cotangent before .sum()",
        ),
        (2 * exact, "twice the right slopes", "from x - h to x + h the distance is 2 * h", "divide by (2 * h)"),
        (
            exact / 2,
            "half of the right slopes",
            "only one side was moved, but the distance is taken as 2 * h",
            "move x up by h and down by h",
        ),
        (
            np.cumsum(exact).reshape(exact.shape),
            "slopes that add up from element to element",
            "the elements moved before were not put back",
            "a fresh copy of x for every element",
        ),
        (-exact, "the right slopes with the wrong sign", "down minus up", "up minus down"),
    ]
    if same(got, exact, 1e-3) and not same(got, exact, 1e-7):
        raise Wrong(
            "the slopes are right to a few digits, but not to 7",
            "a forward difference has an error of about h; a central difference has h * h",
            "(f(x + h) - f(x - h)) / (2 * h)",
        )
    compare("For x of shape (3, 4):", got, exact, mistakes, tolerance=1e-7, rough=1e-3)
    return "The random weights see what ones cannot."


def complex_slopes(answer):
    x, cotangent = random_problem()
    exact, ones = mix_slopes(x, cotangent), np.ones_like(cotangent)
    try:
        got = call(answer, mix, x, cotangent)
    except Wrong as wrong:
        if "UFunc" not in wrong.what and "complex" not in wrong.what.lower():
            raise
        raise Wrong(
            wrong.what, "an array of float64 has no room for an imaginary part", "moved = x.astype(complex)"
        ) from wrong
    mistakes = [
        (
            mix_slopes(x, ones),
            "the slopes of the plain sum",
            "the cotangent plays no part",
            "multiply function(...) by cotangent before .sum()",
        ),
        (exact / 2, "half of the right slopes", "there is only one side here, so nothing to halve", "divide by h"),
    ]
    if not np.any(np.abs(np.asarray(got)) > 1e-12):
        raise Wrong(
            "all slopes are 0, or as good as 0",
            "the imaginary part is about 1e-20 itself; or x was nudged by a real 1e-20, which is lost",
            "add 1j * h, take .imag, and divide by h at the end",
        )
    if np.abs(np.asarray(got)).max() > 1e15:
        raise Wrong(
            "the slopes are huge, about 1e20",
            "the real part, which is the value of the function itself, was divided by h",
            "take .imag, not .real",
        )
    if same(got, exact, 1e-3) and not same(got, exact, 1e-12):
        raise Wrong(
            "the slopes are right to a few digits, but the complex step gives nearly all 16",
            "h is too large, so the next terms of the Taylor series are in the result, or differences are taken",
            "leave h at 1e-20, and subtract nothing",
        )
    compare("For x of shape (3, 4):", got, exact, mistakes, tolerance=1e-12)
    return "Sixteen digits, and nothing subtracted."


def is_kink(answer):
    late = "a smooth curve that bends strongly; with half the step the difference halves"
    faint = "the kink is faint, but halving the step does not shrink the difference"
    cases = [
        (lambda x: max(x, 0.0), 0.0, True, "relu at 0", "slope 0 to the left, slope 1 to the right"),
        (lambda x: max(x, 0.0), 1.0, False, "relu at 1", "a kink far away does no harm"),
        (lambda x: abs(x - 1.5), 1.5, True, "|x - 1.5| at 1.5", "slope -1 to the left, slope 1 to the right"),
        (lambda x: x * x + abs(x), 0.0, True, "x * x + |x| at 0", "it bends, and it has a kink on top"),
        (lambda x: 1000 * x * x, 0.0, False, "1000 * x * x at 0", late),
        (lambda x: float(np.exp(8 * x)), 0.5, False, "exp(8 * x) at 0.5", late),
        (lambda x: 0.01 * abs(x), 0.0, True, "0.01 * |x| at 0", faint),
        (
            lambda x: -abs(x),
            0.0,
            True,
            "-|x| at 0",
            "the slope falls here, so the difference is negative: use abs()",
        ),
        *(
            (lambda x, a=a: a * x, b, False, f"{a} * x at {b}", "a straight line: the difference is only rounding")
            for a, b in [(3.1, 2.3), (0.7, 1.1), (-5.3, 0.9), (1.7, 3.3)]
        ),
    ]
    for function, x, expected, title, why in cases:
        got = call(answer, function, x)
        if not isinstance(got, (bool, np.bool_)):
            raise Wrong(
                f"it returns {got!r}, a {type(got).__name__}", "True or False is asked for", "return ... > ..."
            )
        if bool(got) != expected:
            raise Wrong(
                f"for {title} it says {bool(got)}; it should say {expected}",
                why,
                "two conditions, both needed: abs(difference with h / 2) > 0.75 * abs(difference with h), "
                "and it is above 1e-6",
            )
    return "Strong bends pass, faint kinks do not. Look for the same two conditions in the library."


def softmax(answer):
    if not (isinstance(answer, type) and issubclass(answer, Op)):
        raise Wrong("this is not a class derived from Op", "check_op needs one", "class Softmax(Op): ...")
    rng = np.random.default_rng()
    x, g = rng.normal(size=(2, 3, 4))
    e = np.exp(x)
    y = e / e.sum(axis=1, keepdims=True)
    op = call(answer)
    op.needs = (True,)
    compare("forward, for x of shape (3, 4):", call(op.forward, np, x), y, hint="leave forward as it was")
    shares = call(op.backward, np, g)
    if not isinstance(shares, tuple) or len(shares) != 1:
        raise Wrong(
            f"backward returns a {type(shares).__name__}", "it returns a tuple, one gradient per input", "(a,)"
        )
    mistakes = [
        (
            g * y * (1 - y),
            "g * y * (1 - y)",
            "this is how each output depends on its OWN input. But a larger input "
            "also makes the sum larger, and so all other outputs of the row smaller",
            "y * (g - s), s a sum over the row",
        ),
        (
            y * (g - (g * y).sum()),
            "y * (g - s) with one s for the whole array",
            "rows have nothing to do with each other, so each needs its own sum",
            "axis=1, keepdims=True",
        ),
        (
            y * (g - (g * y).sum(axis=0)),
            "y * (g - s) with s summed down the columns",
            "the outputs of a ROW share a sum, and a row runs along axis 1",
            "axis=1, keepdims=True",
        ),
        (
            y * (g - g.sum(axis=1, keepdims=True)),
            "y * (g - the sum of g)",
            "in s each g counts by its share y",
            "sum g * y",
        ),
        (y * ((g * y).sum(axis=1, keepdims=True) - g), "the right gradient with the wrong sign", "s - g", "g - s"),
        (g - (g * y).sum(axis=1, keepdims=True), "g - s", "the factor y in front is missing", "y * (g - s)"),
    ]
    compare("backward:", shares[0], y * (g - (g * y).sum(axis=1, keepdims=True)), mistakes)
    try:
        check_op(answer)
    except (GradientError, ValueError) as report:
        raise Wrong(str(report), "check_op found this", "read the report: element, both numbers, hint") from report
    except Exception as error:
        raise explain(error) from error
    return "check_op agrees, with differences, with the complex step, and in float32."


JUDGES = {"03.1": central_slopes, "03.2": complex_slopes, "03.3": is_kink, "03.4": softmax}

HINTS = {
    "03.1": [
        "Where does slopes_of_the_sum turn the outputs into one number? What is the number now?",
        "cotangent has the shape of the outputs. One factor for each of them, before they are summed.",
    ],
    "03.2": [
        "Which line of exercise 03.1 nudges x? In which direction does it nudge now, and can the array hold that?",
        "There is only one side, so only one evaluation. In which part of the complex result is the slope?",
    ],
    "03.3": [
        "Write the slope to the left and that to the right. Their difference depends on h: make it a function.",
        "Ask it for h and for h / 2. What is the second, compared with the first, on a smooth curve? At a kink?",
        "A straight line: both differences are rounding. Which size can you be sure that rounding stays below? "
        "And which sign may the difference have?",
    ],
    "03.4": [
        "Call check_op(Softmax), and read the first element that is wrong.",
        "In y * (g - s), what is the shape of s for x of shape (3, 4)? Which axis is summed, and which one stays?",
    ],
}
