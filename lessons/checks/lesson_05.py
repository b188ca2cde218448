"""The judges of lesson 5: batch norm, its gradient rung by rung and in one line, running statistics, folding."""

import numpy as np

from checks.judging import Wrong, call, compare, refuse_borrowed

LETTERS = "compare with the formula, letter by letter, from the inside out"


def tolerance(dtype):
    return 1e-9 if dtype == np.float64 else 2e-5


def problem(rng, shape, dtype):
    """x with channels of different mean and scale, gamma, beta; one channel hardly varies: there eps is seen."""
    channels = shape[-1]
    x = rng.normal(rng.uniform(-2, 3, channels), rng.uniform(0.6, 2.5, channels), shape)
    x[..., 0] = 1.7 + 0.004 * (x[..., 0] - x[..., 0].mean())
    return (
        x.astype(dtype),
        rng.uniform(0.5, 1.8, channels).astype(dtype),
        rng.uniform(-0.9, 0.8, channels).astype(dtype),
    )


def batch_norm(answer):
    refuse_borrowed(answer, "batch_norm", "BatchNorm", "BatchNorm2d")
    for dtype in (np.float64, np.float32):
        for shape in ((5, 3), (3, 2, 4, 5)):
            rng = np.random.default_rng(51)
            x, gamma, beta = problem(rng, shape, dtype)
            axes, eps = tuple(range(len(shape) - 1)), dtype(1e-5)
            mean, var = x.mean(axis=axes), x.var(axis=axes)
            std = np.sqrt(var + eps)
            right = gamma * ((x - mean) / std) + beta
            over = "over which axes: say for each axis of x what it counts"
            first = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) * gamma + beta
            each = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(
                x.var(axis=-1, keepdims=True) + eps
            ) * gamma + beta
            whole = (x - x.mean()) / np.sqrt(x.var() + eps) * gamma + beta
            inner = tuple(range(1, len(shape) - 1))
            mistakes = [
                (first, "the statistics are of axis 0 alone", "rows and columns belong to the same channel", over),
                (each, "each place is normalised over its channels", "that is layer norm's idea", over),
                (whole, "mean and variance are those of all channels together", "each channel has its own", over),
                (right - beta, "beta is missing", "the shift is never added", LETTERS),
                ((x - mean) / std + beta, "gamma is missing", "the scale plays no part", LETTERS),
                ((x - mean) / std, "gamma and beta play no part", "only the first half is there", LETTERS),
                (
                    (x - mean) / std * beta + gamma,
                    "gamma and beta are exchanged",
                    "gamma scales, beta shifts",
                    LETTERS,
                ),
                (
                    (x - mean) / (np.sqrt(var) + eps) * gamma + beta,
                    "eps is outside the root",
                    "it is under it",
                    LETTERS,
                ),
                (
                    (x - mean) / np.sqrt(var) * gamma + beta,
                    "eps is missing",
                    "a constant channel divides by 0",
                    LETTERS,
                ),
                (
                    (x - mean) / (var + eps) * gamma + beta,
                    "it is divided by the variance",
                    "the root is missing",
                    LETTERS,
                ),
                (x / std * gamma + beta, "the mean is not taken off", "mu plays no part", LETTERS),
                ((x + mean) / std * gamma + beta, "the mean is added", "it is to be taken off", LETTERS),
                (x - mean / std * gamma + beta, "only the mean was scaled", "brackets: / comes before -", LETTERS),
                (
                    gamma * ((x - mean) / std + beta),
                    "beta is scaled by gamma",
                    "brackets: beta comes last",
                    LETTERS,
                ),
                (
                    (x - mean) / np.sqrt(x.var(axis=axes, ddof=1) + eps) * gamma + beta,
                    "the variance is divided by N - 1",
                    "in the forward pass it is the mean of the squared distances, divided by N",
                    "look at the text below the formula: what is sigma squared?",
                ),
                (
                    (x - mean) / np.sqrt((x**2).mean(axis=axes) + eps) * gamma + beta,
                    "the variance is the mean of x squared",
                    "the mean must be taken off before squaring",
                    "what is sigma squared the mean of?",
                ),
            ]
            if inner:
                own = (x - x.mean(axis=inner, keepdims=True)) / np.sqrt(x.var(axis=inner, keepdims=True) + eps)
                mistakes.append(
                    (own * gamma + beta, "each image has its own statistics", "images share them, too", over)
                )
            errors = [
                ("axis", "an axis is named that x does not have: x may have two axes or four", "ask x.ndim"),
                (
                    "broadcast",
                    "the statistics have a shape that does not fit x",
                    "print the shapes of mean and var",
                ),
            ]
            got = call(answer, x, gamma, beta, errors=errors)
            compare(f"x {shape}, {dtype.__name__}:", got, right, mistakes, 5 * tolerance(dtype))
            other = gamma * ((x - mean) / np.sqrt(var + dtype(0.3))) + beta
            compare("With eps 0.3:", call(answer, x, gamma, beta, dtype(0.3)), other, (), 5 * tolerance(dtype))
    return "One mean and one variance for each channel, whatever the other axes count."


def rungs(x, gamma, beta, eps, g):
    """All gradients of the ladder, and for each rung the mistakes (array, why, hint)."""
    mean, rows = x.mean(axis=0), len(x)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    direct, through = d_n * inv, d_var * 2 * centred / rows
    d_centred = direct + through
    d_mean = -d_centred.sum(axis=0)
    spread = "what is spread over the rows on the way forward is summed on the way back"
    twice = "centred is used in two of the six lines"
    yield (
        "d_beta",
        g.sum(axis=0),
        [(g, "the sum over the rows is missing", spread), (g.mean(axis=0), "a mean", spread)],
    )
    yield (
        "d_gamma",
        (g * n).sum(axis=0),
        [
            (g * n, "the sum over the rows is missing", spread),
            (g.sum(axis=0) * n.sum(axis=0), "summed before multiplying", "multiply row by row"),
            ((g * x).sum(axis=0), "gamma multiplies n, not x", "what stands beside gamma in the last line?"),
            (g.sum(axis=0), "the local derivative is missing", "what stands beside gamma in the last line?"),
            ((g * centred).sum(axis=0), "gamma multiplies n, not centred", "what stands beside gamma?"),
        ],
    )
    yield (
        "d_n",
        d_n,
        [
            (g, "the local derivative is missing", "what stands beside n in the last line?"),
            (g / gamma, "divided instead of multiplied", "the derivative of gamma * n in n"),
            (d_n.sum(axis=0), "summed over the rows, but n has rows", "which shape has n?"),
            (g + beta, "beta plays no part in it", "the derivative of gamma * n + beta in n"),
        ],
    )
    yield (
        "d_inv",
        d_inv,
        [
            (d_n * centred, "the sum over the rows is missing", spread),
            ((g * centred).sum(axis=0), "g came in where d_n belongs", "each rung starts from the one before"),
            ((d_n * n).sum(axis=0), "inv multiplies centred, not n", "what stands beside inv?"),
            ((d_n * x).sum(axis=0), "inv multiplies centred, not x", "what stands beside inv?"),
        ],
    )
    yield (
        "d_var",
        d_var,
        [
            (-d_var, "the sign is wrong: a larger variance makes inv smaller", "derive t ** -0.5"),
            (d_inv * (var + eps) ** -1.5, "the factor -0.5 is missing", "derive t ** -0.5"),
            (d_inv * -0.5 * (var + eps) ** -0.5, "the power is one too high", "derive t ** -0.5"),
            (d_inv * -0.5 * (var + eps) ** -0.5 * inv, "the power is half a step too high", "derive t ** -0.5"),
            (d_inv * -0.5 * var**-1.5, "eps is missing", "which number is raised to -0.5?"),
            (d_inv, "the local derivative is missing", "derive t ** -0.5"),
        ],
    )
    yield (
        "d_centred",
        d_centred,
        [
            (direct, "the part through var is missing", twice),
            (through, "the direct part, through n, is missing", twice),
            (direct + through / 2, "the 2 of the square is missing", "derive centred ** 2"),
            (direct + through * rows, "the division by N is missing: var is a mean", "derive a mean"),
            (direct - through, "the two parts are subtracted", "a value used twice gets the sum"),
            (direct * through, "the two parts are multiplied", "a value used twice gets the sum"),
            (d_n + through, "inv is missing in the direct part", "n = centred * inv: derive it in centred"),
        ],
    )
    yield (
        "d_mean",
        d_mean,
        [
            (-d_mean, "the sign is wrong", "centred = x - mean: derive it in mean"),
            (-d_centred, "the sum over the rows is missing", spread),
            (d_mean / rows, "a mean was taken where a sum belongs", spread),
        ],
    )
    yield (
        "d_x",
        d_centred + d_mean / rows,
        [
            (d_centred, "the part through the mean is missing", "x is used in two of the six lines"),
            (d_centred + d_mean, "the division by N is missing: mean is a mean", "derive a mean"),
            (d_centred - d_mean / rows, "the two parts are subtracted", "d_mean has its minus already"),
            (direct, "mean and variance are taken for constants", "x is used in two of the six lines"),
            (direct - direct.mean(axis=0), "the variance is taken for a constant", "start from d_centred"),
        ],
    )


def ladder(answer):
    for dtype in (np.float64, np.float32):
        rng = np.random.default_rng(52)
        x, gamma, beta = problem(rng, (7, 3), dtype)
        x[:, 0] = rng.normal(1.3, 0.6, 7)
        eps, g = dtype(0.03), rng.normal(0.3, 1.1, (7, 3)).astype(dtype)
        got = call(answer, x, gamma, beta, eps, g)
        if not isinstance(got, dict):
            raise Wrong(
                f"it returns a {type(got).__name__}", "the last line of the stub was changed", "return the dict"
            )
        for name, right, mistakes in rungs(x, gamma, beta, eps, g):
            if got.get(name) is None or got[name] is ...:
                raise Wrong(
                    f"{name} is still to be done",
                    "the rungs are checked from the top of the list, and this is the first without a value",
                    "one line is enough; derive the line of steps_forward in which it appears",
                )
            try:
                value = np.asarray(got[name], float)
            except (TypeError, ValueError):
                raise Wrong(f"{name} is no array", "the rung before it may be missing", "print it") from None
            known = [(wrong, f"{name}: {why}", why, hint) for wrong, why, hint in mistakes]
            compare(
                f"The rung {name}, {dtype.__name__}:",
                value,
                np.asarray(right, float),
                known,
                20 * tolerance(dtype),
                hint="the rungs before it are right; derive this one line of steps_forward",
            )
    return "Eight lines that anybody can check, and the whole is right."


def update_running(answer):
    for dtype in (np.float64, np.float32):
        for shape in ((6, 3), (2, 3, 2, 4)):
            rng = np.random.default_rng(53)
            x, mean, var = problem(rng, shape, dtype)
            var = np.abs(var) + dtype(0.4)
            axes, m = tuple(range(len(shape) - 1)), dtype(0.2)
            count = x.size // shape[-1]
            own, biased = x.mean(axis=axes), x.var(axis=axes)
            unbiased = biased * dtype(count / (count - 1))

            def mixed(new_mean, new_var, m=m, mean=mean, var=var):
                return np.stack([(1 - m) * mean + m * new_mean, (1 - m) * var + m * new_var])

            by_images = biased * dtype(shape[0] / (shape[0] - 1))
            mistakes = [
                (
                    mixed(own, unbiased, 1 - m),
                    "most of the new statistics is taken and little of the old",
                    "momentum is the weight of the new ones here, as in torch",
                    "which of the two has the weight 0.1?",
                ),
                (
                    mixed(own, biased),
                    "the variance is the biased one",
                    "it is divided by N; the unbiased one is divided by N - 1",
                    "np.var has an argument for this",
                ),
                (
                    mixed(own, by_images),
                    "the variance is corrected with the number of images",
                    "N counts all values of a channel: images times rows times columns",
                    "how many values go into the mean of one channel?",
                ),
                (
                    mixed(own, np.sqrt(unbiased)),
                    "a deviation is mixed in",
                    "the root is too much: v is a variance",
                    "v",
                ),
                (np.stack([own, unbiased]), "only the new ones are left", "nothing of the old is kept", "mix"),
                (np.stack([mean, var]), "nothing has changed", "the old ones are returned", "return the new ones"),
                (
                    np.stack([mean + m * own, var + m * unbiased]),
                    "the old ones keep all of their weight",
                    "the factor 1 - momentum is missing",
                    "the two weights add up to 1",
                ),
                (
                    mixed(own, unbiased)[::-1],
                    "mean and variance are exchanged",
                    "the order is mean, variance",
                    "order",
                ),
            ]
            got = call(answer, mean, var, x, m)
            if isinstance(got, (tuple, list)):
                raise Wrong(
                    "it returns a tuple", "the answer is to be one array (2, C)", "np.stack makes one of two"
                )
            compare(f"x {shape}, {dtype.__name__}:", got, mixed(own, unbiased), mistakes, tolerance(dtype))
            default = mixed(own, unbiased, dtype(0.1))
            compare("Without a momentum:", call(answer, mean, var, x), default, (), tolerance(dtype))
    return "Now one photo is enough: nobody else needs to be in its batch."


def fold(answer):
    for dtype in (np.float64, np.float32):
        rng = np.random.default_rng(54)
        weight = rng.normal(0, 1, (3, 3, 4, 5)).astype(dtype)
        gamma, var = rng.uniform(0.5, 2.2, (2, 5)).astype(dtype)
        beta, mean = rng.normal(0.4, 1, (2, 5)).astype(dtype)
        var[0] = 3e-4
        std, eps = np.sqrt(var + dtype(1e-5)), dtype(1e-5)
        scale = gamma / std
        errors = [
            (
                "broadcast",
                "the scale stands at another axis than the outputs, which are the last",
                "print the shapes",
            ),
        ]
        got = call(answer, weight, gamma, beta, mean, var, errors=errors)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise Wrong(
                f"it returns a {type(got).__name__}",
                "two arrays are asked for, the weight and the bias",
                "return both, with a comma between them",
            )
        formula = "write y for one output channel, multiply out, and collect what stands with w"
        weights = [
            (weight, "the weight is as it was", "gamma / std scales it, too", formula),
            (weight * gamma, "the weight is scaled by gamma alone", "the deviation is missing", formula),
            (weight / std, "the weight is divided by the deviation alone", "gamma is missing", formula),
            (weight * (gamma / (var + eps)), "it is divided by the variance", "the root is missing", formula),
            (weight * (gamma / np.sqrt(var)), "eps is missing", "batch norm has it under the root", formula),
            (
                weight * (gamma / (np.sqrt(var) + eps)),
                "eps is outside the root",
                "batch norm has it under it",
                formula,
            ),
            (weight * scale + beta, "the bias was added to the weight", "beta has a place of its own", formula),
            (weight * gamma * std, "it is multiplied by the deviation", "batch norm divides by it", formula),
            ((weight - mean) * scale, "the mean was taken off the weight", "it is taken off w * x", formula),
        ]
        compare(f"The weight, {dtype.__name__}:", got[0], weight * scale, weights, tolerance(dtype))
        biases = [
            (beta, "the bias is beta alone", "the mean that batch norm takes off is forgotten", formula),
            (beta - mean, "the mean is taken off unscaled", "it is scaled as w is", formula),
            (beta + mean * scale, "the mean is added", "batch norm takes it off", formula),
            (-mean * scale, "beta is missing", "the shift is forgotten", formula),
            (mean * scale - beta, "the sign is turned round", "beta comes with a plus", formula),
            (beta * scale - mean * scale, "beta is scaled, too", "beta comes after the scaling", formula),
            (beta - mean * gamma, "the deviation is missing", "gamma / std scales the mean", formula),
            (beta - mean / std, "gamma is missing", "gamma / std scales the mean", formula),
            (np.zeros_like(beta), "the bias is 0", "a line has a shift", formula),
        ]
        compare(f"The bias, {dtype.__name__}:", got[1], beta - mean * scale, biases, tolerance(dtype))
    return "A batch norm less, and not a digit changed."


def short_gradient(answer):
    for dtype in (np.float64, np.float32):
        rng = np.random.default_rng(55)
        x, gamma, _ = problem(rng, (7, 3), dtype)
        x[:, 0] = rng.normal(1.3, 0.6, 7)
        std = np.sqrt(x.var(axis=0) + dtype(1e-5))
        n, g = (x - x.mean(axis=0)) / std, rng.normal(0.3, 1.1, (7, 3)).astype(dtype)
        s, mean, slope = gamma / std, g.mean(axis=0), (g * n).mean(axis=0)
        right = s * (g - mean - n * slope)
        both = "two means come off: one from the rung d_mean, one from the rung d_var"
        mistakes = [
            (s * g, "mean and variance are taken for constants", "the paths through both are missing", both),
            (s * (g - mean), "the variance is taken for a constant", "the path through var is missing", both),
            (s * (g - n * slope), "the mean is taken for a constant", "the path through mean is missing", both),
            (
                g - mean - n * slope,
                "the factor in front is missing",
                "gamma and std play no part",
                "d_n, then d_centred",
            ),
            (
                gamma * (g - mean - n * slope),
                "std is missing",
                "inv of the direct part is lost",
                "d_centred has inv",
            ),
            ((g - mean - n * slope) / std, "gamma is missing", "d_n is g times gamma", "d_n"),
            (s * (g - mean + n * slope), "the sign of the last part is wrong", "d_var has a minus", both),
            (s * (g - mean - slope), "n is missing before the last mean", "d_var meets centred", both),
            (
                s * (g - g.sum(axis=0) - n * (g * n).sum(axis=0)),
                "sums stand where means belong",
                "the 1 / N is lost",
                both,
            ),
            (s * (g - mean - n * mean), "the last mean is that of g", "it is the mean of g times n", both),
            (right * std**2, "it is multiplied by std", "n has been divided by it already", "d_centred has inv"),
        ]
        compare(f"With {dtype.__name__}:", call(answer, g, n, std, gamma), right, mistakes, 20 * tolerance(dtype))
    return "The library's three lines, and you know where they come from."


JUDGES = {
    "05.1": batch_norm,
    "05.2": ladder,
    "05.3": update_running,
    "05.4": fold,
    "05.5": short_gradient,
}
HINTS = {
    "05.1": [
        "Which axes are averaged over? All but the last. Their numbers are 0, 1, ... x.ndim - 2.",
        "mean() takes a tuple of axes. What is left has the shape (C,), and fits the last axis of x by itself.",
        "Write four lines: the mean, the variance, the normalised x, the scaled and shifted one.",
    ],
    "05.2": [
        "Each rung is one line of steps_forward, derived in one letter, times the gradient of its left side.",
        "The shape tells whether to sum: d_gamma has the shape of gamma, so the rows must go.",
        "The derivative of t ** -0.5 is -0.5 * t ** -1.5, that of a mean over N rows is 1 / N for each row.",
        "d_centred: once through n, where it stands beside inv; once through var, squared and averaged.",
    ],
    "05.3": [
        "Two weights that add up to 1: momentum for the new, the rest for the old.",
        "np.var divides by N. Look at its argument ddof, or multiply by N / (N - 1).",
        "np.stack puts the two rows together.",
    ],
    "05.4": [
        "Write s for gamma / sqrt(var + eps). Then y = s * (w * x - mean) + beta. Multiply out.",
        "What stands with w is the new weight; what stands alone is the bias.",
        "The outputs are the last axis of the weight, so an array (C_out,) fits by itself.",
    ],
}
