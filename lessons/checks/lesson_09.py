"""The judges of lesson 9: errors by range, a line in a layer, the expectation of levels, paired differences."""

from itertools import pairwise

import numpy as np
from scipy import stats

from checks.judging import Wrong, call, case, compare, same

DTYPES = (np.float64, np.float32)


def agree(
    given, got, expected, mistakes, tolerance=1e-6, hint="compute one element of check.case by hand, and compare"
):
    """compare(), where NaN is expected in some places, and any float will do."""
    case.got, case.expected = got, expected
    if isinstance(got, (list, tuple)):
        raise Wrong(
            f"{given} it returns a {type(got).__name__}", "an array is asked for", "np.array(...) round it"
        )
    mistakes = [mistake for mistake in mistakes if not alike(mistake[0], expected)]
    for values, what, why, try_this in mistakes:
        if np.shape(got) == np.shape(values) and alike(got, values, tolerance):
            raise Wrong(f"{given} {what}", why, try_this)
    if np.shape(got) == np.shape(expected) and alike(got, expected, tolerance):
        return
    fits = isinstance(got, np.ndarray) and got.shape == expected.shape and got.dtype.kind == "f"
    if fits and (np.isnan(got) != np.isnan(expected)).any():
        place = int(np.flatnonzero((np.isnan(got) != np.isnan(expected)).ravel())[0])
        raise Wrong(
            f"{given} the result at [{place}] is {got.flat[place]:.6g}; it should be {expected.flat[place]:.6g}",
            "NaN stands where there is nothing to average, there and nowhere else",
            "a range without heads: mask.any() is False",
        )
    compare(
        given, np.nan_to_num(got, nan=-1) if fits else got, np.nan_to_num(expected, nan=-1), (), tolerance, hint
    )


def alike(a, b, tolerance=1e-6):
    """Whether two arrays of numbers agree, their NaN included."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        return False
    return same(np.nan_to_num(a), np.nan_to_num(b), tolerance)


def errors_by_range(answer):
    edges = [0, 20, 50, 80, 99.5]
    for dtype in DTYPES:
        for truth, predicted in (
            ([3, 12, 8, 35, 44, 66], [7, 10, -3, 29, 52, 55]),
            ([-3, 12, -35, 44, -66, -71], [7, -21, -29, 17, -45, -83]),
            ([20, -20, 50, -80, 5, 97], [14, -27, 61, -78.5, 3, 90]),
        ):
            t, p = np.array(truth, dtype), np.array(predicted, dtype)
            expected = by_range(p.astype(float), t.astype(float), edges)
            got = call(answer, p, t, edges)
            if isinstance(got, np.ndarray) and got.dtype.kind == "f":
                got = got.astype(float)
            given = f"For true angles {truth}, predicted {predicted}, edges {edges}:"
            agree(given, got, expected, range_mistakes(p.astype(float), t.astype(float), edges), 1e-5)
    return "By the true angle, and honest about empty ranges."


def by_range(
    predicted, truth, edges, by=None, values=None, low_in=True, high_in=False, empty=np.nan, reduce=np.mean
):
    """The oracle, head by head; its settings are the ways to do it wrong."""
    by = np.abs(truth) if by is None else by
    values = np.abs(predicted - truth) if values is None else values
    means = []
    for low, high in pairwise(edges):
        inside = [
            v
            for v, size in zip(values, by, strict=True)
            if low < size < high or (low_in and size == low) or (high_in and size == high)
        ]
        means.append(reduce(inside) if inside else empty)
    return np.array(means, float)


def range_mistakes(p, t, edges):
    absolute = np.abs(p - t)
    yield (
        by_range(p, t, edges, empty=0.0),
        "an empty range has the error 0",
        ("0 would be the best result of all, and nobody was measured"),
        "np.nan where mask.any() is False",
    )
    yield by_range(p, t, edges, empty=-1.0), "an empty range has the error -1", "NaN is asked for", "np.nan"
    by_prediction = "the ranges were cut by the PREDICTED angle: shrunk answers hide among the small ones"
    signed = "the ranges hold |truth|: -35 belongs to the heads turned by 35"
    cancels = "errors of opposite signs cancel: that is the bias, not the error"
    for empty in (np.nan, 0.0):
        yield by_range(p, t, edges, by=np.abs(p), empty=empty), "cut by |predicted|", by_prediction, "truth"
        yield by_range(p, t, edges, by=p, empty=empty), "cut by predicted", by_prediction, "np.abs(truth)"
        yield by_range(p, t, edges, by=absolute, empty=empty), "cut by the error", by_prediction, "np.abs(truth)"
        yield (
            by_range(p, t, edges, by=t, empty=empty),
            "heads with negative angles are missing",
            signed,
            "np.abs(truth)",
        )
        for sign in (1, -1):
            values = sign * (p - t)
            yield (
                by_range(p, t, edges, values=values, empty=empty),
                "the mean of signed errors",
                cancels,
                "np.abs first",
            )
        biased = np.abs(by_range(p, t, edges, values=p - t, empty=empty))
        yield biased, "the absolute value of the mean", cancels, "first np.abs, then .mean()"
        sizes = np.abs(np.abs(p) - np.abs(t))
        yield (
            by_range(p, t, edges, values=sizes, empty=empty),
            "differences of |predicted| and |truth|",
            ("a head taken for its mirror image would have no error"),
            "np.abs(predicted - truth)",
        )
        yield by_range(p, t, edges, values=(p - t) ** 2, empty=empty), "squared errors", "absolute ones", "np.abs"
        root = np.sqrt(by_range(p, t, edges, values=(p - t) ** 2, empty=empty))
        yield root, "root mean squares", "the mean of absolute values is asked for", "np.abs"
        yield by_range(p, t, edges, empty=empty, reduce=np.sum), "sums", "a mean is asked for", ".mean()"
        yield by_range(p, t, edges, empty=empty, reduce=np.median), "medians", "a mean is asked for", ".mean()"
        why = "an angle on an edge belongs to the range above: low <= |truth| < high"
        for low_in, high_in in ((False, True), (True, True), (False, False)):
            wrong = by_range(p, t, edges, low_in=low_in, high_in=high_in, empty=empty)
            yield wrong, "an angle on an edge counts in the wrong range", why, "<= below, < above"
        rising = [(low, np.inf) for low in edges[:-1]]
        tail = [absolute[np.abs(t) >= low] for low, _ in rising]
        tail = np.array([part.mean() if len(part) else empty for part in tail])
        yield tail, "everything from an edge on", "a range ends at the next edge", "two conditions"
        shares = by_range(p, t, edges, empty=empty, reduce=np.sum) / len(t)
        yield shares, "divided by all heads", "each range has its own number of heads", "errors[mask].mean()"


def fit_into_layer(answer):
    rng = np.random.default_rng(3)
    for k, dtype, tolerance in ((3, np.float64, 1e-8), (3, np.float32, 1e-4), (2, np.float64, 1e-8)):
        weight, bias, h = (rng.normal(size=s).astype(dtype) for s in ((5, k), k, (40, 5)))
        scores = (h.astype(float) @ weight + bias).astype(dtype)
        slopes, intercepts = [1.7, -0.6, 2.3][:k], [0.4, -1.1, 0.8][:k]
        targets = (scores * slopes + intercepts + rng.normal(0, 0.5, (40, k))).astype(dtype)
        got = call(answer, weight, bias, scores, targets)
        if not isinstance(got, tuple) or len(got) != 2:
            raise Wrong(
                f"it returns a {type(got).__name__}", "two arrays are asked for", "return new_weight, new_bias"
            )
        a, b = least_squares(scores.astype(float), targets.astype(float))
        w, c, s, t = (x.astype(float) for x in (weight, bias, scores, targets))
        expected_weight, expected_bias = w * a, c * a + b
        got = [x.astype(float) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in got]
        given = f"With weight (5, {k}), 40 scores ({dtype.__name__}):"
        if np.shape(got[0]) == (k,) and np.shape(got[1]) == (5, k):
            raise Wrong(f"{given} bias and weight are exchanged", "the weight comes first", "weight, bias")
        compare(f"{given} the weight:", got[0], expected_weight, list(weight_mistakes(w, a, b, s, t)), tolerance)
        compare(f"{given} the bias:", got[1], expected_bias, list(bias_mistakes(c, a, b, s, t)), tolerance)
    return "The layer answers with targets now, and nothing was added to the network."


def least_squares(x, y):
    """Slopes and intercepts of each column, by the closed form."""
    dx, dy = x - x.mean(axis=0), y - y.mean(axis=0)
    a = (dx * dy).sum(axis=0) / (dx * dx).sum(axis=0)
    return a, y.mean(axis=0) - a * x.mean(axis=0)


def weight_mistakes(w, a, b, s, t):
    back, start = least_squares(t, s)
    from_target = "the line goes from target to score: np.polyfit(x, y, 1) takes what is known first"
    yield w * back, "the lines go the other way", from_target, "np.polyfit(scores..., targets..., 1)"
    yield w / back, "the lines go the other way, and were turned round", from_target, "scores first"
    yield w / a, "the weight was divided by the slope", "slope * (h W + c) = h (slope * W) + ...", "multiply"
    yield (
        w * b,
        "the weight was multiplied by the intercept",
        "np.polyfit gives the slope FIRST",
        "slope, intercept",
    )
    yield w * start, "the weight was multiplied by the intercept", from_target, "scores first"
    yield w * a + b, "the intercept was added to the weight", "it is added once, so it belongs to the bias", "bias"
    yield w, "the weight is as it was", "slope * (h W + c): the slope multiplies W too", "weight * slopes"
    yield w + a, "the slope was added", "it multiplies", "weight * slopes"
    for slope in (a[0], a.mean(), np.polyfit(s.ravel(), t.ravel(), 1)[0]):
        yield (
            w * slope,
            "all outputs got the same slope",
            "each column has a line of its own",
            "a loop over columns",
        )
    for unit in (30, 1 / 30):
        yield w * a * unit, "a factor 30 too many", "targets are in the units that they are in", "no 30"
    ratio = t.std(axis=0) / s.std(axis=0)
    yield w * ratio, "the ratio of the standard deviations", "least squares: np.polyfit", "np.polyfit"
    through = (s * t).sum(axis=0) / (s * s).sum(axis=0)
    yield w * through, "lines through the origin", "a line has a slope AND an intercept", "np.polyfit(x, y, 1)"
    for wrong in ((t / s).mean(axis=0), t.mean(axis=0) / s.mean(axis=0), np.ptp(t, axis=0) / np.ptp(s, axis=0)):
        yield w * wrong, "a ratio, not a slope", "the least-squares line is asked for", "np.polyfit(x, y, 1)"
    yield a, "these are the slopes", "they are to be multiplied into the weight", "weight * slopes"


def bias_mistakes(c, a, b, s, t):
    old = "slope * (h W + c) + intercept: the old bias is multiplied by the slope too"
    yield c + b, "the old bias was not scaled", old, "bias * slopes + intercepts"
    yield c, "the bias is as it was", "slope * (h W + c) + intercept", "bias * slopes + intercepts"
    yield b, "the old bias is gone", old, "bias * slopes + intercepts"
    yield c * a, "the intercept is missing", "slope * (h W + c) + intercept", "+ intercepts"
    yield (c + b) * a, "the intercept was multiplied by the slope", "slope * score + intercept", "add it last"
    yield c * b + a, "slope and intercept are exchanged", "np.polyfit gives the slope FIRST", "slope, intercept"
    yield c * a - b, "the intercept was subtracted", "slope * score + intercept", "+"
    yield c / a + b, "the old bias was divided by the slope", old, "multiply"
    yield c * a + b[0], "all outputs got the same intercept", "each column has a line of its own", "a loop"
    yield c * a + b.mean(), "all outputs got the same intercept", "each column has a line of its own", "a loop"


def expected_angle(answer):
    rng = np.random.default_rng(8)
    calm, sharp = rng.normal(0, 1, (2, 66)), rng.normal(0, 1, (4, 66))
    sharp[np.arange(4), [3, 40, 17, 60]] += 9
    huge = 300 * rng.normal(0, 1, (3, 66)) + 700
    for title, logits in (
        ("2 rows of logits", calm),
        ("4 rows, each with a peak", sharp),
        ("logits up to 1500", huge),
    ):
        for dtype, tolerance in zip(DTYPES, (1e-9, 1e-5), strict=True):
            z = logits.astype(dtype)
            exact = expectation(z.astype(float))
            with np.errstate(all="ignore"):
                got = call(answer, z)
            given = f"For {title} ({dtype.__name__}):"
            if isinstance(got, np.ndarray) and got.dtype.kind == "f":
                got = got.astype(float)
                if got.shape == exact.shape and not np.isfinite(got).all():
                    case.expected = exact
                    raise Wrong(
                        f"{given} the result is {got}",
                        "e^800 is infinite, and infinite over infinite is NaN",
                        "subtract the largest logit of each row first: the probabilities stay the same",
                    )
            compare(given, got, exact, list(level_mistakes(z.astype(float))), max(tolerance, 1e-7), rough=1e-6)
    return "Between the levels, and never NaN."


def expectation(z, centre=1.5):
    """The oracle, with scipy's softmax."""
    from scipy.special import softmax

    return softmax(z, axis=1) @ (np.arange(66) * 3.0 - 99 + centre)


def level_mistakes(z):
    from scipy.special import softmax

    middles = np.arange(66) * 3.0 - 97.5
    lower = "3 L - 99 is where a level begins; all its angles lie above, so each answer is 1.5 degrees too low"
    yield expectation(z, 0), "the lower edges of the levels", lower, "half a level more"
    yield (
        expectation(z, 3),
        "the upper edges of the levels",
        "a level ends at 3 L - 96; its middle lies lower",
        "1.5",
    )
    yield expectation(z, 1), "99 - 1 and so on", "half of 3 degrees is 1.5", "1.5"
    yield expectation(z, -1.5), "1.5 was subtracted", "the middle lies ABOVE the lower edge", "+ 1.5"
    for centre in (0, 1.5, 3):
        best = z.argmax(axis=1) * 3.0 - 99 + centre
        why = "argmax takes the most probable level alone: steps of 3 degrees, and no gradient"
        yield best, "the angle of the most probable level", why, "all levels, weighted by probability"
    p = softmax(z, axis=1)
    yield p @ np.arange(66), "the mean LEVEL, not its angle", "level L stands for an angle", "3 L - 99 + 1.5"
    yield softmax(z, axis=0) @ middles, "a softmax over the heads", "each head has a row, 66 levels", "axis=1"
    yield softmax(z) @ middles, "a softmax over everything", "each head has probabilities of its own", "axis=1"
    yield z @ middles, "weighted by logits", "logits are no probabilities", "the softmax of the text"
    rounded = np.round(p @ middles)
    yield rounded, "rounded to whole degrees", "the expectation may lie anywhere between", "no rounding"
    yield (
        z @ middles / z.sum(axis=1),
        "weighted by logits",
        "logits are no probabilities",
        "the softmax of the text",
    )
    yield (
        p @ np.linspace(-99, 99, 66),
        "66 angles from -99 to 99",
        "levels are 3 degrees wide; these are 3.05",
        "3 L",
    )
    yield p @ np.linspace(-97.5, 99, 66), "66 angles up to 99", "the last middle is 97.5", "3 L - 99 + 1.5"
    for limit in (30, 50, 80, 88, 100, 500, 700):
        if np.abs(z).max() > limit:
            why = "all large logits become equal, and their levels share the probability"
            yield (
                expectation(np.clip(z, -limit, limit)),
                "large logits were cut off",
                why,
                "subtract the largest one",
            )
    odds = 1 / (1 + np.exp(-z))
    why = "each logit went through a function of its own; probabilities share 1 among all 66"
    yield odds @ middles, "weighted by sigmoids", why, "the softmax of the text"
    yield odds @ middles / odds.sum(axis=1), "weighted by sigmoids", why, "the softmax of the text"
    yield expectation(-z), "a softmax of -z", "a large logit means a likely level", "e^z, and no minus"
    for centre in (-1.5, 0, 1.5, 3):
        rounded = np.round(p @ np.arange(66)) * 3.0 - 99 + centre
        yield rounded, "rounded to a level", "the expectation may lie between two levels", "no rounding"
        yield (
            z @ (middles + centre - 1.5) / z.sum(axis=1),
            "weighted by logits",
            ("logits are no probabilities"),
            "the softmax of the text",
        )
        logs = np.log(p + 1e-300) @ (middles + centre - 1.5)
        yield logs, "weighted by logarithms of p", "probabilities are asked for", "no logarithm"
    largest = (p * middles).max(axis=1)
    yield largest, "the largest term", "the expectation is the SUM of angle times probability", ".sum(axis=1)"
    yield p @ (middles - 0.5), "1 was added to the lower edge", "half of 3 degrees is 1.5", "+ 1.5"
    yield p @ (middles + 0.5), "2 were added to the lower edge", "half of 3 degrees is 1.5", "+ 1.5"
    yield p * middles, "a table", "one angle for each head is asked for", ".sum(axis=1)"
    yield (p * middles).mean(axis=1), "the mean over 66 levels", "probabilities sum to 1 already", ".sum(axis=1)"
    yield (p * middles).sum(axis=0), "summed over the heads", "one angle for each head", "axis=1"
    yield (p * middles).sum(), "one number", "one angle for each head", "axis=1"
    yield np.exp(z - z.max(axis=1, keepdims=True)) @ middles, "not divided by the sum", "p sums to 1", "divide"
    shifted = np.exp(z - z.max()) @ middles
    yield shifted, "not divided by the sum", "probabilities sum to 1", "divide by the sum"


def paired_difference(answer):
    for first, second in (
        ([9.1, 11.4, 10.2], [10.3, 8.7, 9.9]),
        ([14.2, 9.8, 12.1, 17.3, 11.0], [14.9, 10.1, 13.7, 17.1, 12.4]),
    ):
        for dtype in DTYPES:
            a, b = np.array(first, dtype), np.array(second, dtype)
            got = call(answer, a, b)
            given = f"For a = {first} and b = {second}:"
            two = isinstance(got, (tuple, list, np.ndarray)) and len(got) == 2
            if not two or any(np.shape(number) != () for number in got):
                raise Wrong(
                    f"{given} it returns {got}",
                    "two numbers are asked for: the mean difference, and its standard error",
                    "return mean, error",
                )
            exact = float(np.mean(np.subtract(first, second))), float(stats.sem(np.subtract(first, second)))
            mistakes = difference_mistakes(np.array(first), np.array(second))
            case.got, case.expected = got, exact
            for values, what, why, hint in mistakes:
                if np.allclose(got, values, 1e-4, 1e-6) and not np.allclose(values, exact, 1e-4, 1e-6):
                    raise Wrong(f"{given} {what}", why, hint)
            compare(f"{given} the mean difference:", float(got[0]), np.array(exact[0]), (), 1e-4)
            compare(f"{given} the standard error:", float(got[1]), np.array(exact[1]), (), 1e-4)
    return "Luck that both have in common is gone."


def difference_mistakes(a, b):
    d, m = a - b, len(a)
    mean, error = d.mean(), stats.sem(d)
    alone = np.sort(a) - np.sort(b)
    yield (
        (alone.mean(), stats.sem(alone)),
        "a and b were sorted",
        "so other seeds are compared",
        "leave their order",
    )
    spread, root = "that is how far single differences scatter; a mean of m is surer", "divide by np.sqrt(m)"
    errors = [
        (error, "", "", ""),
        (
            d.std() / np.sqrt(m),
            "the spread was divided by m",
            "np.std divides by m; from m values around their own mean, m - 1 are free",
            "ddof=1",
        ),
        (d.std(ddof=1), "the standard deviation, not the standard error", spread, root),
        (d.std(), "the standard deviation, not the standard error", spread, root),
        (
            d.std(ddof=1) / m,
            "divided by m, not by its root",
            "variances of sums add up, so roots do",
            "np.sqrt(m)",
        ),
        (d.std() / m, "divided by m, not by its root", "variances of sums add up, so roots do", "np.sqrt(m)"),
        (d.var(ddof=1) / np.sqrt(m), "the variance", "its root is in degrees", "the root of it"),
        (d.var(ddof=1) / m, "the variance of the mean", "its root is in degrees", "the root of it"),
        (d.std(ddof=1) / np.sqrt(m - 1), "divided by the root of m - 1", "m - 1 is inside already", "np.sqrt(m)"),
    ]
    errors += [
        (
            2 * error,
            "twice the standard error",
            "the rule of thumb comes later; the error alone is asked for",
            "no 2",
        ),
        (d.std(ddof=1) * np.sqrt(m), "multiplied by the root of m", spread, root),
        (d.std() * np.sqrt(m), "multiplied by the root of m", spread, root),
        ((d.max() - d.min()) / 2, "half of the range", "the formula of the text is asked for", "squares"),
        (d.max() - d.min(), "the range", "the formula of the text is asked for", "squares"),
        (
            np.abs(d - d.mean()).mean(),
            "mean absolute deviation",
            "the formula of the text is asked for",
            "squares",
        ),
    ]
    for below in (m, m - 1):
        around = np.sqrt((d**2).sum() / below)
        for value in (around, around / np.sqrt(m)):
            errors.append((value, "squares of d, not of d - mean", "the mean was not subtracted", "d - d.mean()"))
    for values in (a + b, a, b, np.concatenate([a, b])):
        for ddof in (0, 1):
            value = values.std(ddof=ddof) / np.sqrt(len(values))
            errors.append((value, "the spread of something else than a - b", "subtract first", "one array, a - b"))
            errors.append(
                (value * np.sqrt(len(values)), "the spread of something else", "subtract first", "a - b")
            )
    unpaired = "a and b were taken apart: the luck that they share stays in both spreads"
    for ddof in (0, 1):
        va, vb = a.var(ddof=ddof), b.var(ddof=ddof)
        for value in (
            np.sqrt((va + vb) / m),
            np.sqrt(va + vb),
            (np.sqrt(va) + np.sqrt(vb)) / np.sqrt(m),
            (np.sqrt(va) - np.sqrt(vb)) / np.sqrt(m),
            np.sqrt(va) - np.sqrt(vb),
        ):
            errors.append((value, "the spreads of a and b, not of a - b", unpaired, "subtract first"))
    e = np.abs(d)
    for value, what, why, hint in errors:
        if what:
            yield (mean, value), what, why, hint
        yield (-mean, value), "b - a", "below 0 shall mean that a has the smaller error", "a - b"
        yield (abs(mean), value), "the sign is lost", "who is better is the question", "no abs"
        yield (d[0], value), "the first seed alone", "one seed proves nothing", "the mean over all"
        yield (d.sum(), value), "the sum of the differences", "their mean is asked for", ".mean()"
        yield (np.median(d), value), "the median", "the mean is asked for", ".mean()"
    ratio = a / b
    why = "degrees are subtracted"
    for ddof in (0, 1):
        of_ratio = ratio.std(ddof=ddof)
        yield (ratio.mean(), of_ratio / np.sqrt(m)), "ratios, not differences", why, "a - b"
        yield (ratio.mean() - 1, of_ratio / np.sqrt(m)), "ratios, not differences", why, "a - b"
    yield (e.mean(), stats.sem(e)), "differences without sign", "who is better is the question", "no abs"
    yield (error, mean), "the two numbers are exchanged", "the mean comes first", "mean, error"
    yield (
        (mean, mean / error),
        "the ratio of mean and error",
        "that is t; the error alone is asked for",
        "no ratio",
    )
    yield (a.mean(), b.mean()), "the two means", "mean and standard error of the DIFFERENCE", "a - b first"


def error_elsewhere(answer):
    edges = [0, 20, 50, 80, 99.5]
    for dtype in DTYPES:
        truth = np.array([-3, 12, -35, 44, -66, -71, 7, 95], dtype)
        predicted = np.array([4, -21, -29, 17, -45, -83, 9, 70], dtype)
        few = np.array([-3, 12, -35, 44, -66], dtype), np.array([4, -21, -29, 17, -45], dtype)
        for (t, p), counts in (
            ((truth, predicted), [10, 30, 20, 5]),
            ((truth, predicted), [7, 0, 13, 1]),
            (few, [9, 4, 2, 0]),
            (few, [9, 4, 2, 3]),
        ):
            means = by_range(p.astype(float), t.astype(float), edges)
            weights = np.array(counts, float)
            there = weights > 0
            exact = (means[there] * weights[there]).sum() / weights.sum()
            for kind in (np.array, list):
                got = call(answer, p, t, edges, kind(counts))
                given = f"For true angles {t.astype(int).tolist()} and counts {counts}:"
                case.got, case.expected = got, exact
                if np.shape(got) != ():
                    raise Wrong(f"{given} it returns {got}", "one number is asked for", "sum over the ranges")
                mistakes = list(elsewhere_mistakes(p.astype(float), t.astype(float), edges, means, weights))
                for values, what, why, hint in mistakes:
                    if np.isclose(got, values, 1e-5) and not np.isclose(values, exact, 1e-5):
                        raise Wrong(f"{given} {what}", why, hint)
                if np.isnan(got) and not np.isnan(exact):
                    raise Wrong(
                        f"{given} it is NaN; it should be {exact:.6g}",
                        "a range that nobody needs has no heads, and 0 * NaN is NaN",
                        "look only at ranges with counts > 0",
                    )
                if np.isnan(exact) and not np.isnan(got):
                    raise Wrong(
                        f"{given} it is {got:.6g}; it should be NaN",
                        "three of their heads lie where we have measured nobody, so their error is unknown",
                        "a NaN that matters must stay: nansum and nan_to_num hide it",
                    )
                if not np.isnan(exact):
                    compare(given, float(got), np.array(exact), (), 1e-5)
    return "The same network, another number. Now you may print one, with its data set beside it."


def elsewhere_mistakes(p, t, edges, means, counts):
    here = np.array([((low <= abs(t)) & (abs(t) < high)).sum() for low, high in pairwise(edges)])
    filled = np.nan_to_num(means)
    yield np.abs(p - t).mean(), "the mean over OUR heads", "the customers' heads decide", "weigh by counts"
    yield filled.mean(), "the plain mean of the ranges", "ranges with many heads weigh more", "weigh by counts"
    yield np.nanmean(means), "the plain mean of the ranges", "ranges with many heads weigh more", "weigh by counts"
    yield filled @ counts, "not divided", "a mean: divide by the number of heads", "counts.sum()"
    yield filled @ counts / len(counts), "divided by the ranges", "divide by the number of heads", "counts.sum()"
    yield (
        filled @ counts / here.sum(),
        "divided by OUR heads",
        "their number of heads is counts.sum()",
        "counts.sum()",
    )
    yield filled @ here / here.sum(), "weighed by OUR numbers of heads", "the customers' decide", "counts"
    both = here * counts
    yield (
        filled @ both / both.sum(),
        "weighed by both numbers",
        "the mean of a range is a mean already",
        "counts alone",
    )
    known = np.isfinite(means)
    yield (
        filled @ counts / counts[known].sum(),
        "divided by known heads only",
        "all their heads count",
        "counts.sum()",
    )


JUDGES = {
    "09.1": errors_by_range,
    "09.2": fit_into_layer,
    "09.3": expected_angle,
    "09.4": paired_difference,
    "09.5": error_elsewhere,
}
HINTS = {
    "09.1": [
        "One array with all absolute errors, one with all sizes |truth|. Then a mask for each range.",
        "A mask: (low <= sizes) & (sizes < high), with the brackets. errors[mask] are the errors in it.",
        "mask.any() is False if nobody is there. Collect the means in a list, and return np.array of it.",
    ],
    "09.2": [
        "Write slope * (h W + c) + intercept, and multiply out. What stands before h, what stands alone?",
        "Column i of scores and column i of targets make line i; it concerns weight[:, i] and bias[i].",
        "Make new arrays, the caller needs the old ones. weight * slopes multiplies column by column.",
    ],
    "09.3": [
        "Three steps: probabilities (n, 66), the 66 angles, the weighted mean of each row.",
        "Level 0 holds -99 to -96. Its middle?",
        "The probabilities stay the same if you subtract one number from a whole row of logits. Which one?",
    ],
    "09.4": [
        "Subtract first. From then on there is one array of m numbers.",
        "np.std has an argument ddof. Compare the formula of np.std with the one in the text: m or m - 1?",
        "The standard deviation tells how far one difference scatters. A mean of m differences scatters less.",
    ],
}
