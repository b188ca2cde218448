"""The judges of lesson 3: central differences, complex step, a kink detector, softmax repaired, and a whole op."""

import contextlib
import warnings

import numpy as np

from checks.judging import Wrong, call, case, compare, explain, same
from tinyhpe.checks import check_op
from tinyhpe.gradcheck import GradientError
from tinyhpe.tensor import Op


def mix(x):
    """A smooth, analytic function of an array (n, 4) -> (n, 2), whose outputs depend on several inputs."""
    return np.exp(x[:, :2]) * x[:, 2:] ** 2 + np.sin(x[:, :2])


def mix_slopes(x, cotangent):
    """The gradient of (cotangent * mix(x)).sum(), worked out by hand."""
    left, right = x[:, :2], x[:, 2:]
    return np.concatenate(
        [cotangent * (np.exp(left) * right**2 + np.cos(left)), cotangent * 2 * np.exp(left) * right], axis=1
    )


def random_problems():
    """Inputs and cotangents for mix(), a small one and a larger one, new ones each time."""
    rng = np.random.default_rng()
    for rows in (3, 4):
        sign = rng.choice([-1, 1], (rows, 2))
        yield rng.uniform(0.5, 1.4, (rows, 4)), rng.uniform(1.2, 2, (rows, 2)) * sign


MATMUL = (
    "matmul",
    "@ is the matrix product; here every output has a weight of its own",
    "* multiplies one by one",
)


def central_slopes(answer):
    for x, cotangent in random_problems():
        exact, plain = mix_slopes(x, cotangent), mix_slopes(x, np.ones_like(cotangent))
        got = call(answer, mix, x, cotangent, errors=[MATMUL])
        given = f"For x of shape {x.shape}:"
        if (
            same(call(answer, mix, x, -3 * cotangent), got, 1e-3)
            and not same(got, plain, 1e-3)
            and np.any(np.abs(got) > 1e-3)
        ):
            raise Wrong(
                "with another cotangent the result is the same",
                "the function uses a cotangent of its own, not the one that it is given",
                "where does `cotangent` enter?",
            )
        if isinstance(got, np.ndarray) and got.shape == exact.shape:
            judge_slopes(given, got, exact, x, cotangent)
        halves = (
            (
                2 * exact,
                "twice the right slopes",
                "from x - h to x + h the distance is 2 * h",
                "what is the distance between the two places where the function is evaluated?",
            ),
            (
                exact / 2,
                "half of the right slopes",
                "only one side was moved, but the distance is taken as 2 * h",
                "what is the distance between the two places where the function is evaluated?",
            ),
        )
        compare(given, got, exact, halves, tolerance=1e-7, rough=1e-3)
    return "The random weights see what ones cannot."


def judge_slopes(given, got, exact, x, cotangent):
    """Explain slopes of the right shape; what both checkers can get wrong."""
    case.got, case.expected = got, exact
    ones = mix_slopes(x, np.ones_like(cotangent))
    first = np.isclose(got.flat[0], exact.flat[0], rtol=1e-4)
    copies = "which array is nudged, and how does it look when the next element is its turn?"
    weights = "each output is multiplied by its own weight; then all are summed"
    mistakes = [
        (ones, "the slopes of the plain sum", "the cotangent plays no part", weights),
        (mix_slopes(x, cotangent**2), "slopes with the cotangent squared", "it came in twice", weights),
        (
            np.cumsum(exact).reshape(exact.shape),
            "slopes that add up from element to element",
            "the elements moved before were not put back",
            copies,
        ),
        (
            np.full_like(exact, exact.sum()),
            "the same number everywhere, the sum of all slopes",
            "the whole array was nudged, not one element; or each slope was added to the whole result",
            "what does the index say that you nudge at?",
        ),
        (exact * x, "the right slopes times x", "the nudge was h * x, not h", "add h; multiply by nothing"),
        (
            -exact,
            "the right slopes with the wrong sign",
            "down minus up, or a step in the other direction",
            "rise",
        ),
        (np.abs(exact), "the right slopes without their signs", "an absolute value was taken", "a slope can fall"),
        (
            np.trunc(exact),
            "the right slopes without their decimals",
            "the result is an array of integers",
            "print its dtype",
        ),
    ]
    for wrong, what, why, hint in mistakes:
        if same(got, wrong, 1e-3) and not same(got, exact, 1e-3):
            raise Wrong(f"{given} these are {what}", why, hint)
    ratios = got / ones
    if not same(got, exact, 1e-3) and np.all(np.abs(got) > 1e-9) and np.ptp(ratios) < 1e-4 * abs(ratios.flat[0]):
        raise Wrong(
            f"{given} all slopes of the plain sum, times {ratios.flat[0]:.4g}",
            "the cotangent came in after the sum, so all outputs have the same weight",
            weights,
        )
    if first and got.size > 1 and not np.isclose(got.flat[1:], exact.flat[1:], rtol=1e-3).any():
        raise Wrong(
            f"{given} only the first slope is right",
            "the function returns in the first turn of the loop",
            "how far is your `return` indented?",
        )
    if np.abs(got).max() > 1e4:
        raise Wrong(
            f"{given} the slopes go up to {np.abs(got).max():.1e}",
            "a value of the function itself was divided by h, not a difference, or not the part with the "
            "slope in it",
            "what is the part of the result that comes from the nudge alone?",
        )
    if same(got, exact, 0.05) and not same(got, exact, 1e-7):
        raise Wrong(
            f"{given} the slopes are right to {digits(got, exact)} digits only",
            "a forward difference has an error of about h, a central one of about h * h; and with a very "
            "large or very "
            "small h every difference is bad: section 1",
            "how many sides does your quotient look to, and which h does it use?",
        )


def digits(got, exact):
    """How many digits of the worst value agree."""
    return int(-np.log10(np.abs(got - exact).max() / np.abs(exact).max()))


def complex_slopes(answer):
    for x, cotangent in random_problems():
        exact = mix_slopes(x, cotangent)
        room = "an array of float64 has no room for an imaginary part", "which dtype holds 1j * h?"
        errors = [("UFunc", *room), ("ComplexWarning", *room), ("omplex", *room), MATMUL]
        got = call(answer, mix, x, cotangent, errors=errors)
        given = f"For x of shape {x.shape}:"
        if np.iscomplexobj(got):
            raise Wrong(
                f"{given} the result is complex",
                "a slope is a real number; it stands in one part of the complex result",
                "which part of a complex number has the nudge in it?",
            )
        if isinstance(got, np.ndarray) and got.shape == exact.shape:
            judge_imaginary(given, got, exact, x, cotangent)
            judge_slopes(given, got, exact, x, cotangent)
        half = (
            exact / 2,
            "half of the right slopes",
            "there is only one side here, so nothing to halve",
            "distance?",
        )
        compare(given, got, exact, [half], tolerance=1e-12, rough=1e-3)
    return "Sixteen digits, and nothing subtracted."


def judge_imaginary(given, got, exact, x, cotangent):
    """Explain what only the complex step can get wrong."""
    if not np.any(np.abs(got) > 1e-12):
        raise Wrong(
            f"{given} all slopes are 0, or as good as 0",
            "the imaginary part is about 1e-20 itself, and was not divided by h; or nothing imaginary was "
            "ever there: "
            "x was nudged by a real 1e-20, which is lost, or sits in an array that holds no imaginary parts",
            "print the nudged array; is 1e-20j in it? And what does the imaginary part of the result still need?",
        )
    lost = np.empty_like(exact)
    for place in np.ndindex(x.shape):
        there = x.copy()
        there[place] = 0
        lost[place] = mix_slopes(there, cotangent)[place]
    if same(got, lost, 1e-6):
        raise Wrong(
            f"{given} these are the slopes at places where one element is 0",
            "the element was replaced by the nudge; the nudge is to be added",
            "= or +=?",
        )
    if same(got, exact, 0.05) and not same(got, exact, 1e-12):
        raise Wrong(
            f"{given} right to {digits(got, exact)} digits, but the complex step gives nearly all 16",
            "h is too large, so that the next terms of the series are in the result; or the arithmetic has fewer "
            "digits; or differences are taken",
            "nothing has to be subtracted, so h can be as small as it was given",
        )


def kink_cases():
    """Yield (function, x, whether it has a kink there, title, why), simple ones first."""
    smooth = "a smooth curve: its difference of slopes halves with h, since it is the bend times h"
    late = "a smooth curve that bends strongly; with half the step the difference halves"
    straight = "a straight line: the difference is only rounding, and rounding does not halve"
    yield lambda x: max(x, 0.0), 0.0, True, "relu at 0", "slope 0 to the left, slope 1 to the right"
    yield lambda x: max(x, 0.0), 1.0, False, "relu at 1", "a kink far away does no harm"
    yield lambda x: x * x, 1.3, False, "x * x at 1.3", smooth
    yield lambda x: abs(x - 1.5), 1.5, True, "|x - 1.5| at 1.5", "slope -1 to the left, slope 1 to the right"
    yield lambda x: x * x + abs(x), 0.0, True, "x * x + |x| at 0", "it bends, and it has a kink on top"
    yield (
        lambda x: -abs(x),
        0.0,
        True,
        "-|x| at 0",
        "the slope falls here, so the difference is negative; its size counts",
    )
    yield lambda x: 1000 * x * x, 0.0, False, "1000 * x * x at 0", late
    yield lambda x: float(np.exp(8 * x)), 0.5, False, "exp(8 * x) at 0.5", late
    for place in (0.4, 1.0, 2.2, 2.7):
        yield lambda x: float(np.sin(x)), place, False, f"sin at {place}", smooth
        yield lambda x: float(np.cos(3 * x)), place, False, f"cos(3 * x) at {place}", smooth
    yield (
        lambda x: 0.01 * abs(x),
        0.0,
        True,
        "0.01 * |x| at 0",
        "the kink is faint, but halving the step does not shrink the difference",
    )
    yield (
        lambda x: 0.01 * abs(x) + 7 * x,
        0.0,
        True,
        "0.01 * |x| + 7 * x at 0",
        "the kink is faint beside the slope; only the difference of the slopes matters, not its share of them",
    )
    for slope, place in [(3.1, 2.3), (0.7, 1.1), (-5.3, 0.9), (1.7, 3.3), (2.9, 0.3), (-0.9, 4.7)]:
        yield lambda x, slope=slope: slope * x, place, False, f"{slope} * x at {place}", straight
    yield lambda x: 3.0, 1.0, False, "the constant 3", "both differences are 0, so their quotient does not exist"


def whole_cause(seen):
    """What all cases together say of a wrong detector, or None."""
    places = [place for _, _, some in seen for place in some]
    if len({says for says, _, _ in seen}) == 1:
        return f"it says {seen[0][0]} of every function"
    if all(says != right for says, right, _ in seen):
        return "True and False are the wrong way round"
    if any(some and min(map(abs, some)) > 0.05 for _, _, some in seen):
        return "the function is not asked near x: x plays no part"
    if min(places) >= 0 or max(places) <= 0:
        return "it looks to one side of x only, and a kink is a difference between two sides"
    return None


def is_kink(answer):
    seen = []  # (whether it says so, whether it should, the places where the function was asked, as seen from x)
    for function, x, expected, _, _ in kink_cases():
        places = []
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            got = answer(lambda at, f=function, x=x, places=places: (places.append(at - x), f(at))[1], x)
            seen.append((bool(got), expected, places))
    for function, x, expected, title, why in kink_cases():
        with np.errstate(all="ignore"):
            got = call(answer, function, x, errors=[("ZeroDivision", why, "multiply in place of dividing")])
        case.got, case.expected = got, expected
        if not isinstance(got, (bool, np.bool_)):
            raise Wrong(
                f"for {title} it returns {got!r}, a {type(got).__name__}",
                "True or False is asked for",
                "which comparison decides?",
            )
        if bool(got) != expected:
            raise Wrong(
                f"for {title} it says {bool(got)}; it should say {expected}",
                whole_cause(seen) or why,
                "print the difference of the two slopes with h and with h / 2, here and for relu at 0",
            )
    return "Strong bends pass, faint kinks do not. Look for the same two conditions in the library."


def judge_op(answer):
    """Refuse what is not a class derived from Op."""
    if not (isinstance(answer, type) and issubclass(answer, Op)):
        raise Wrong("this is not a class derived from Op", "check_op needs one", "look at ForgetfulSquare")


def judge_report(answer):
    """Let check_op have the last word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an imaginary part that is dropped is found by check_op itself
            check_op(answer)
    except (GradientError, ValueError) as report:
        what = " ".join(str(report).split())
        raise Wrong(what, "check_op found this", "read the report: element, both numbers, hint") from report
    except Exception as error:
        no_complex = (
            "not supported for the input types",
            "check_op looks with a complex step, too, and a function is used that knows no complex numbers",
            "build it from exp, log, sum and max, as in the text",
        )
        raise explain(error, [no_complex]) from error


def one_gradient(op, g, errors=()):
    """What backward(xp, g) returns, which has to be a tuple with one array."""
    shares = call(op.backward, np, g, errors=errors)
    if not isinstance(shares, tuple) or len(shares) != 1:
        raise Wrong(
            f"backward returns a {type(shares).__name__} of length {len(shares)}",
            "it returns a tuple with one gradient for each input, and there is one input",
            "(a) is only a; the comma makes the tuple",
        )
    return shares[0]


def softmax(answer):
    judge_op(answer)
    rng = np.random.default_rng()
    for shape in ((2, 3), (3, 4)):
        x, g = rng.normal(size=(2, *shape))
        e = np.exp(x)
        y = e / e.sum(axis=1, keepdims=True)
        op = call(answer)
        op.needs = (True,)
        forwards = [
            (
                e / e.sum(),
                "one sum for the whole array",
                "in forward, each row is to sum to 1",
                "the stub's forward",
            ),
            (np.log(y), "the logarithm of softmax", "forward was changed", "the stub's forward is right"),
            (e, "exp alone", "forward was changed", "the stub's forward is right"),
        ]
        compare(
            f"forward, for x of shape {shape}:",
            call(op.forward, np, x),
            y,
            forwards,
            hint="leave it as it was",
            unknown="forward was changed",
        )
        axis = (
            "could not be broadcast",
            "the sum over a row has lost its axis, so it does not line up with the rows",
            "print the shape of s; what keeps an axis?",
        )
        got = one_gradient(op, g, [axis])
        compare(
            f"backward, for x of shape {shape}:",
            got,
            y * (g - (g * y).sum(axis=1, keepdims=True)),
            softmax_mistakes(x, y, g),
        )
    judge_report(answer)
    return "check_op agrees, with differences, with the complex step, and in float32."


def softmax_mistakes(x, y, g):
    """What typical mistakes make of the gradient of softmax."""

    def row(values, how=np.sum):
        return how(values, axis=1, keepdims=True)

    s = row(g * y)
    derive = "write down the sum over i of g_i * dy_i/dx_j; which terms contain the other outputs?"
    names = "compare with your own formula on paper, letter by letter"
    return [
        (
            g * y * (1 - y),
            "g * y * (1 - y)",
            "this is how each output depends on its OWN input. But a larger input "
            "also makes the sum larger, and so all other outputs of the row smaller",
            derive,
        ),
        (y * (1 - y), "y * (1 - y)", "g plays no part, and neither do the other outputs of the row", derive),
        (g * y, "g * y", "it looks as if the sum were a constant; but a larger input makes it larger", derive),
        (
            y * (g - (g * y).sum()),
            "a sum over the whole array",
            "rows have nothing to do with each other, so each needs its own sum",
            "along which axis does a row run?",
        ),
        (
            y * (g - (g * y).sum(axis=0)),
            "a sum down the columns",
            "the outputs of a ROW share a sum",
            "along which axis does a row run?",
        ),
        (y * (g - row(g)), "y * (g - the sum of g)", "in the sum each g counts by its share y", names),
        (
            y * (g - row(y)),
            "y * (g - the sum of y)",
            "the sum of y is always 1; it is g * y that is summed",
            names,
        ),
        (y * (g - row(g * y, np.mean)), "the mean over the row", "the chain rule adds; nothing is divided", names),
        (y * (g - row(g * x)), "a sum of g * x", "the input is in place of the result y", names),
        (y * (s - g), "the right gradient with the wrong sign", "a difference is the wrong way round", names),
        (y * (g + s), "y * (g + s)", "the other outputs become smaller, so their share is subtracted", names),
        (g - s, "g - s", "the factor y in front is missing", names),
        (g * (y - s), "g * (y - s)", "g and y are exchanged", names),
        (y * g - s, "y * g - s", "the factor y belongs to both terms", names),
        (y * y * (g - s), "y * y * (g - s)", "one factor y too many", names),
        (g * y - y * y, "g * y - y * y", "the incoming gradient is missing in the second term", names),
        (
            y * (g - row(g * y * y)),
            "y * (g - the sum of g * y * y)",
            "one factor y too many in the sum",
            names,
        ),
        (g - y * s, "g - y * s", "the factor y is missing in the first term", names),
        (
            g * y * (1 - y) - y * y,
            "g * y * (1 - y) - y * y",
            "the other outputs count by g_i * y_i, each of them",
            derive,
        ),
        (y * (g - s) * s, "one factor s too many", "s appears once, in the difference", names),
        (np.zeros_like(g), "0 everywhere", "that passes a check with a seed of ones, and only that", derive),
    ]


def log_sum_exp(answer):
    judge_op(answer)
    rng = np.random.default_rng()
    for shape, shift in [
        ((2, 3), 0),
        ((3, 4), 0),
        ((3, 4), 800),
        ((3, 4), -800),
        ((3, 4), np.array([[0], [800], [-800]])),
        ((2, 3), np.array([-800, 0, 800])),
    ]:
        x, g = rng.normal(size=shape) + shift, rng.normal(size=shape[0])
        top = x.max(axis=1, keepdims=True)
        e = np.exp(x - top)
        right = np.log(e.sum(axis=1)) + top[:, 0]
        given = f"for x of shape {shape} with values from {x.min():.0f} to {x.max():.0f}"
        op = call(answer)
        op.needs = (True,)
        with np.errstate(all="ignore"):
            got = call(op.forward, np, x)
            if not np.isfinite(got).all():
                raise Wrong(
                    f"forward, {given}: some values are infinite or NaN",
                    "exp of 800 is more than a float holds, and exp of -1600 is 0, whose logarithm is "
                    "-infinity: the "
                    "exponents of EACH row have to be made small first",
                    "log(sum(exp(x))) = m + log(sum(exp(x - m))) for every m; which m makes all exponents "
                    "of a row at "
                    "most 0, and one of them 0?",
                )
            compare(f"forward, {given}:", got, right, value_mistakes(x, right, top))
            share = e / e.sum(axis=1, keepdims=True)
            lines_up = (
                "could not be broadcast",
                "g has one number for each ROW, and lines up with the columns",
                "which shape must g have to line up with the rows?",
            )
            got = one_gradient(op, g, [lines_up])
            mistakes = [
                (
                    g[:, None] * (e == 1),
                    "only the largest value of each row gets something",
                    "that is the slope of the maximum; every value has a share in the sum of exponentials",
                    "derive it on paper",
                ),
                (
                    g[:, None] * np.ones_like(e),
                    "every value gets the whole g",
                    "that is the slope of a plain sum; the exponential and the logarithm have slopes, too",
                    "derive it on paper",
                ),
                (g[:, None] * np.log(e), "x itself comes in", "x appears only as exp(x)", "derive it on paper"),
                (
                    g.sum() * share,
                    "all rows get the same g",
                    "g has one number for each row, and a row gets its own",
                    "which shape must g have to line up with the rows?",
                ),
                (share, "the shares alone", "g plays no part", "the chain rule multiplies by what comes in"),
                (
                    g[:, None] * e,
                    "not shares of 1",
                    "the derivative of the logarithm is missing: 1 / (the sum)",
                    "derive",
                ),
                (
                    g[:, None] * np.exp(x),
                    "not shares of 1",
                    "the derivative of the logarithm is missing",
                    "derive it",
                ),
                (g[:, None] * e / e.sum(), "shares of the whole array", "each row has its own sum", "axis"),
                (
                    g[:, None] * share * (1 - share),
                    "the slope of softmax",
                    "this op returns one number for a row",
                    "derive",
                ),
                (
                    g[:, None] / e.sum(axis=1, keepdims=True) * np.ones_like(e),
                    "g / sum",
                    "the inner derivative is missing: exp(x) itself",
                    "the chain rule goes on inside the logarithm",
                ),
            ]
            compare(f"backward, {given}:", got, g[:, None] * share, mistakes)
    judge_report(answer)
    return "A whole operation, safe from overflow, and checked. You will meet it as a loss in lesson 8."


def value_mistakes(x, right, top):
    """What typical mistakes make of the value of log-sum-exp."""
    one, total = np.exp(x - x.max()), np.exp(x)
    rows = "each row is to have one number: over which axis do you sum?"
    return [
        (
            right - top[:, 0],
            "the largest value was not added back",
            "what was subtracted inside has to come back outside",
            "log(sum(exp(x))) = m + log(sum(exp(x - m)))",
        ),
        (np.log(total.sum(axis=0)), "it is summed down the columns", "the sum runs over the wrong axis", rows),
        (x.sum(axis=1), "it is the sum of x", "first the sum of the exponentials, then the logarithm", "order"),
        (top[:, 0], "it is the largest value", "that is close, but not the same", "nothing may be left out"),
        (
            (right - top[:, 0]) / np.log(10) + top[:, 0],
            "the logarithm has base 10",
            "log is the natural one",
            "xp.log",
        ),
        (
            (right - top[:, 0]) / np.log(2) + top[:, 0],
            "the logarithm has base 2",
            "log is the natural one",
            "xp.log",
        ),
        (
            right + top[:, 0],
            "the largest value was added twice",
            "it is to come back once",
            "how often is it taken out?",
        ),
        (
            right - 2 * top[:, 0],
            "the largest value was subtracted",
            "what was taken out inside is added outside",
            "sign",
        ),
        (right - np.log(x.shape[1]), "it is the logarithm of the mean", "the sum is wanted", "sum"),
        (np.exp(right), "the logarithm is missing", "it comes last", "order"),
        (
            np.exp(right - top[:, 0]) + top[:, 0],
            "the logarithm is missing",
            "it comes before the largest value",
            "order",
        ),
        (np.log10(total.sum(axis=1)), "the logarithm has base 10", "log is the natural one", "xp.log"),
        (np.log(total.sum()), "it is one number for the whole array", "each row has its own", rows),
        (np.log(one.sum()) + x.max(), "it is one number for the whole array", "each row has its own", rows),
    ]


JUDGES = {
    "03.1": central_slopes,
    "03.2": complex_slopes,
    "03.3": is_kink,
    "03.4": softmax,
    "03.5": log_sum_exp,
}

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
