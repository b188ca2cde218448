"""The judges of lesson 8: levels, pairs, targets, cross-entropy, the ensemble layer, rank correlation."""

from itertools import combinations

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

from checks.judging import Wrong, call, case, compare, refuse_borrowed, same


def level_of(answer):
    refuse_borrowed(answer, "angle_to_level")
    for angles in (
        np.array([-20.0, 35.5, 12.0, 1.6]),
        np.array([-98.5, -31.9, -0.4, 0.3, 1.6, 47.1, 98.2]),
        np.array([-99.0, -96.0, -3.0, 0.0, 3.0, 96.0, 99.0]),
        np.array([-61.7, 2.9, 99.0], np.float32),
    ):
        exact = np.array(
            [min(sum(3 * k - 99 <= angle for k in range(1, 67)), 65) for angle in angles.astype(float)],
            np.int64,
        )
        got = call(answer, angles)
        shown = ", ".join(f"{angle:g}" for angle in angles)
        mistakes = list(level_mistakes(angles.astype(float), exact))
        if isinstance(got, np.ndarray) and got.dtype.kind == "f" and same(got, exact):
            raise Wrong(
                f"For angles {shown}: the values are right, but the dtype is {got.dtype}",
                "levels are whole numbers: classes and indices",
                ".astype(np.int64)",
            )
        if isinstance(got, np.ndarray) and got.dtype.kind in "iu":
            got = got.astype(np.int64)
        compare(f"For angles {shown}:", got, exact, mistakes)
    return "Sixty-six levels, and 99 degrees has a place."


def level_mistakes(angles, exact):
    shifted = (angles + 99) / 3
    top = np.floor(shifted)
    edge = "99 / 3 and so on: 198 / 3 is 66, one more than the last level"
    for values, what, why, hint in (
        (top, "99 degrees has level 66", edge, "np.minimum(..., 65)"),
        (np.round(shifted), "it was rounded to the nearest level", "a level begins at its lower end", "np.floor"),
        (
            np.ceil(shifted) - 1,
            "an angle on the lower edge counts in the level below",
            "a level holds its lower edge and not its upper one: ceil, or right=True, does it the other way",
            "np.floor",
        ),
        (np.ceil(shifted), "it was rounded up", "a level begins at its lower end", "np.floor"),
        (top + 1, "every level is one too high", "np.digitize and ceil count from 1", "subtract 1"),
        (top - 1, "every level is one too low", "the lowest level is 0", "floor counts from 0 already"),
        (np.floor(angles / 3), "the levels begin below 0", "-99 degrees is level 0", "add 99 first"),
        (
            np.trunc(angles / 3) + 33,
            "angles round 0 share a level of 6 degrees",
            "whole numbers were made before 99 was added, and that cuts towards 0",
            "add 99 first, then divide, then cut",
        ),
        (np.round(angles / 3) + 33, "it was rounded to the nearest level", "a level begins lower", "np.floor"),
        (np.floor((angles + 99) * 3), "it was multiplied by 3", "a level is 3 degrees wide", "divide"),
        (np.floor((angles + 99) / 66), "it was divided by 66", "66 is how many, 3 is how wide", "divide by 3"),
        (
            np.floor((angles + 99) / 198 * 65),
            "66 levels have 65 steps here",
            "the width is 3 degrees",
            "divide by 3",
        ),
        (np.floor((angles + 90) / 3), "90 was added", "the range begins at -99", "add 99"),
        (np.floor((99 - angles) / 3), "the levels run the other way", "-99 degrees is level 0", "angle + 99"),
        (
            np.floor(np.abs(angles) / 3),
            "left and right share levels",
            "-30 is not 30: no absolute value",
            "add 99",
        ),
        (np.floor((angles - 99) / 3), "99 was subtracted", "-99 degrees is level 0", "add 99"),
        (np.floor((angles + 99) % 3), "this is the place inside a level", "% gives the rest", "// or / and floor"),
        (shifted, "the levels are fractions", "they were never made whole", "np.floor"),
        (3 * exact - 99.0, "these are angles again", "3 L - 99 is where level L begins", "the way round"),
    ):
        for limited in (values, np.minimum(values, 65), np.clip(values, 0, 65)):
            if not same(limited, exact):
                yield limited, what, why, hint


def all_pairs(answer):
    for n in (3, 2, 5, 8):
        got = call(answer, n)
        case.expected = np.nonzero(~np.eye(n, dtype=bool))
        given = f"For n = {n}"
        if isinstance(got, np.ndarray) and got.shape == (n * (n - 1), 2) and n != 2:
            raise Wrong(
                f"{given} the result is one array of shape {got.shape}",
                "one row for each pair, where two arrays are asked for: all that come first, all that come second",
                "two columns, each on its own",
            )
        if not isinstance(got, (tuple, list, np.ndarray)) or len(got) != 2:
            size = f" of {len(got)}" if hasattr(got, "__len__") else ""
            raise Wrong(
                f"{given} it returns a {type(got).__name__}{size}",
                "two arrays are asked for: all that come first, all that come second",
                "return first, second",
            )
        if not all(isinstance(part, np.ndarray) and part.dtype.kind in "iu" for part in got):
            kinds = " and ".join(
                f"{type(part).__name__}{' of ' + str(part.dtype) if isinstance(part, np.ndarray) else ''}"
                for part in got
            )
            raise Wrong(
                f"{given} it returns {kinds}",
                "first and second are arrays of whole numbers, which can be used as indices",
                "np.array(...) of a list; np.nonzero gives indices from a table of True and False",
            )
        first, second = got
        if first.shape != second.shape or first.ndim != 1:
            raise Wrong(
                f"{given} the shapes are {first.shape} and {second.shape}",
                "the two lists belong together, entry by entry, so they are equally long and have one axis",
                "print both for n = 3: which pairs are they?",
            )
        judge_pairs(given, n, list(zip(first.tolist(), second.tolist(), strict=True)))
    return "n * (n - 1) questions from n heads."


def judge_pairs(given, n, pairs):
    """Explain a wrong list of pairs."""
    if any(not 0 <= i < n for pair in pairs for i in pair):
        raise Wrong(
            f"{given} there is an index outside 0 to {n - 1}",
            "heads are counted from 0",
            "range(n) ends before n",
        )
    itself = sum(i == j for i, j in pairs)
    if itself:
        raise Wrong(
            f"{given} {itself} pairs hold a head with itself",
            "a head against itself is no question: its difference is always 0",
            "leave the diagonal out: np.eye(n, dtype=bool) is True there",
        )
    found = set(pairs)
    if len(found) < len(pairs):
        raise Wrong(
            f"{given} there are {len(pairs)} pairs, but only {len(found)} different ones",
            "a pair comes several times",
            "every ordered pair once",
        )
    if found in (set(combinations(range(n), 2)), {(j, i) for i, j in combinations(range(n), 2)}):
        raise Wrong(
            f"{given} there are {len(pairs)} pairs; there should be {n * (n - 1)}",
            "each unordered pair is there once, and ordered pairs are asked for: (0, 1) and (1, 0)",
            "both triangles of the table, not one",
        )
    if len(found) != n * (n - 1):
        missing = sorted({(i, j) for i in range(n) for j in range(n) if i != j} - found)
        raise Wrong(
            f"{given} there are {len(pairs)} pairs; there should be {n * (n - 1)}. Missing: {missing[:3]}",
            "some pairs were left out",
            "for each of n heads there are n - 1 partners",
        )


def pair_targets(answer):
    for dtype in (np.int64, np.uint8):
        for first, second in (
            ([7, 4, 9], [3, 4, 12]),
            ([0, 65, 31, 31, 5], [65, 0, 30, 31, 6]),
            ([[3, 8], [5, 5]], [[4, 8], [9, 1]]),
        ):
            a, b = np.array(first, dtype), np.array(second, dtype)
            with np.errstate(all="ignore"):
                got = call(answer, a, b)
                mistakes = [*target_mistakes(a, b), *by_kind(a, b, got)]
            exact = np.array(np.heaviside(a.astype(float) - b.astype(float), 0.5))
            given = f"For levels {first} and {second} ({dtype.__name__}):"
            if isinstance(got, np.ndarray) and got.dtype.kind == "b":
                case.expected = exact
                why = "targets are numbers, and a tie is neither True nor False"
                raise Wrong(f"{given} it is True and False", why, "0.5 * (...) of two comparisons")
            compare(given, got, exact, mistakes)
    return "Ties are a half, and bytes do no harm."


def by_kind(a, b, got):
    """A wrong answer that has one value each for above, tie, below."""
    if not isinstance(got, np.ndarray) or got.shape != a.shape or got.dtype.kind not in "fiu":
        return
    for kind, mask, target in (("above", a > b, 1), ("a tie", a == b, 0.5), ("below", a < b, 0)):
        values = np.unique(got[mask])
        if len(values) == 1 and values[0] != target:
            why = "the target is the probability that the first is higher"
            yield (
                got,
                f"for {kind} it is {values[0]:g}; it should be {target}",
                why,
                "1 above, 0.5 for a tie, 0 below",
            )


def target_mistakes(a, b):
    above, below, tie = (a > b), (a < b), (a == b)
    half = "a tie is one half: neither is higher, so both answers are equally right"
    wide = a.astype(float) - b.astype(float)
    yield 1.0 * above, "a tie is 0", half, "a > b and a >= b differ in the ties alone"
    yield 1.0 * (a >= b), "a tie is 1", half, "a > b and a >= b differ in the ties alone"
    yield (
        below + 0.5 * tie,
        "1 where the SECOND is above",
        "the question is whether the first is higher",
        "swap them",
    )
    yield 1.0 * below, "1 where the SECOND is above", "the question is whether the first is higher", "swap them"
    yield (
        1.0 * tie,
        "1 for equal levels",
        "that is the target of `same`, Eq. 1 to the letter",
        "order: above, equal, below",
    )
    yield np.sign(wide), "1, 0 and -1", "p lies between 0 and 1, so its target does too", "squeeze -1..1 into 0..1"
    yield 0.5 * np.sign(wide), "0.5, 0 and -0.5", "p lies between 0 and 1, so its target does too", "add a half"
    yield wide, "the difference of the levels", "the target says which is higher, not by how much", "compare: >"
    yield (
        1 / (1 + np.exp(-wide)),
        "a sigmoid of the difference",
        "that is for scores; levels are compared",
        "a > b",
    )
    why = "the target says which is higher, not by how much"
    for scale in (66, 65, 3, 99, 198):
        yield wide / scale, "the difference of the levels, scaled", why, "compare: >"
    if a.dtype.kind == "u":
        wrapped = a - b
        why = "bytes have no room below 0: 3 - 5 is 254, so every difference is positive"
        for values in (
            np.heaviside(wrapped.astype(float), 0.5),
            (np.sign(wrapped).astype(float) + 1) / 2,
            1.0 * (wrapped > 0),
            np.clip(0.5 + 0.5 * wrapped, 0, 1),
            np.clip(wrapped.astype(float), 0, 1),
        ):
            yield values, "bytes were subtracted", why, "compare the levels; or make them int64 first"


def bce_from_logits(answer):
    refuse_borrowed(answer, "cross_entropies")
    big = np.array([40.0, -40.0, 90.0, -90.0, 800.0, -800.0])
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-5)):
        for z, t in (
            (np.array([0.7, -1.3, 2.1]), np.array([1.0, 0.0, 0.5])),
            (np.array([[0.3, -2.2], [1.9, -0.6], [3.1, 0.2]]), np.array([[0.0, 1.0], [0.25, 0.9], [1.0, 0.6]])),
            (big, np.array([0.0, 1.0, 0.3, 0.8, 0.0, 1.0])),
            (big, np.array([1.0, 0.0, 0.5, 0.5, 1.0, 0.0])),
        ):
            z, t = z.astype(dtype), t.astype(dtype)
            exact = t.astype(float) * np.logaddexp(0, -z.astype(float))
            exact = (exact + (1 - t.astype(float)) * np.logaddexp(0, z.astype(float))).astype(dtype)
            with np.errstate(all="ignore"):
                got = call(answer, z, t)
                mistakes = list(bce_mistakes(z.astype(float), t.astype(float), exact.astype(float)))
            mistakes = [mistake for mistake in mistakes if np.isfinite(mistake[0]).all()]
            given = f"For z = {np.array2string(z, separator=', ')} and t = {np.array2string(t, separator=', ')}:"
            given = " ".join(given.split())
            if isinstance(got, np.ndarray) and got.shape == z.shape and got.dtype.kind == "f":
                case.expected = exact
                if (np.isfinite(got) & (got > 1e30)).any():
                    why = "nan_to_num (or a clip) hides an infinity, and the gradient of that is lost"
                    raise Wrong(f"{given} the loss is {got.max():.3g}", why, "no p anywhere: rewrite the formula")
                capped = (got < exact - 1) & (exact > 15)
                if np.isfinite(got).all() and capped.any():
                    place = np.unravel_index(np.argmax(exact - got), exact.shape)
                    raise Wrong(
                        f"{given} the loss is {got[place]:.4g}; it should be {exact[place]:.4g}",
                        "a small number in the logarithm caps the loss: a very wrong answer costs too little",
                        "no p anywhere, and no clipping: rewrite the formula",
                    )
            if isinstance(got, np.ndarray) and got.dtype.kind == "f" and not np.isfinite(got).all():
                case.expected = exact
                raise Wrong(
                    f"{given} the result is {np.array2string(got, separator=', ')}",
                    "p was rounded to 0 or 1 and its logarithm taken, or an exponential overflowed",
                    "only exponentials of numbers below 0: e^-|z|. And no p anywhere",
                )
            compare(given, got, exact, mistakes, tolerance, rough=max(tolerance, 1e-7))
    return "Exact for 800 as for 0.7, and never infinite."


def bce_mistakes(z, t, exact):
    p, soft, big = 1 / (1 + np.exp(-z)), np.log1p(np.exp(-np.abs(z))), np.maximum(z, 0)
    yield exact.mean(), "it is one number, the mean", "one loss for each element is asked for", "no mean, no sum"
    yield (
        np.minimum(z, 0) - z * t + soft,
        "min(z, 0) stands where max(z, 0) belongs",
        "which sign is large?",
        "max",
    )
    yield big - z * t + np.log1p(-np.exp(-np.abs(z))), "log(1 - e^-|z|)", "1 + e^-z stands below p", "a plus"
    yield big - z * t - soft, "the logarithm has the wrong sign", "at z = 0 the loss is log 2, above 0", "a plus"
    yield exact.sum(), "it is one number, the sum", "one loss for each element is asked for", "no mean, no sum"
    yield (
        np.maximum(z, 0) + z * t + soft,
        "z * t has the wrong sign",
        "t = 1 and large z should cost nothing",
        "- z * t",
    )
    yield (
        -z * t + soft,
        "max(z, 0) is missing",
        "for z > 0 and t = 0 the loss is about z",
        "two cases, then one line",
    )
    yield np.maximum(z, 0) - z * t, "the logarithm is missing", "at z = 0 the loss is log 2, not 0", "log1p"
    yield np.maximum(z, 0) + soft, "the target plays no part", "for t = 1 something must be taken off", "- z * t"
    yield (
        z - z * t + soft,
        "z stands where max(z, 0) belongs",
        "for z < 0 the first term vanishes",
        "np.maximum(z, 0)",
    )
    yield (
        np.abs(z) - z * t + soft,
        "|z| stands where max(z, 0) belongs",
        "for z < 0 it vanishes",
        "np.maximum(z, 0)",
    )
    yield (
        np.maximum(-z, 0) - z * t + soft,
        "max(-z, 0) stands where max(z, 0) belongs",
        "which sign is large?",
        "z > 0",
    )
    why = "the target of the other head: t and 1 - t are exchanged"
    yield (
        np.maximum(z, 0) - z * (1 - t) + soft,
        "t and 1 - t are exchanged",
        why,
        "t = 1 and large z costs nothing",
    )
    yield (p - t) ** 2, "the squared error of p", "cross-entropy is asked for", "use the logarithms of the text"
    yield np.abs(p - t), "the difference of p and t", "that is its slope", "use the logarithms of the text"
    yield p - t, "the difference of p and t", "that is its slope", "use the logarithms of the text"
    yield (
        big - z * t + np.log1p(np.exp(np.abs(z))),
        "e^|z| stands where e^-|z| belongs",
        ("only exponentials of numbers below 0 are at most 1"),
        "a minus",
    )
    yield (
        big - z * t + np.log1p(np.exp(-z)),
        "e^-z stands where e^-|z| belongs",
        ("for z < 0 it is large: only exponentials of numbers below 0"),
        "np.abs",
    )
    yield big - z * t + soft / np.log(2), "log2 was used", "log is the natural logarithm here", "np.log1p"
    yield big - t + soft, "t is not multiplied by z", "the term is z * t", "- z * t"
    hard = np.where(t == 1, np.log1p(np.exp(-z)), z + np.log1p(np.exp(-z)))
    yield hard, "every target but 1 is taken for 0", "a tie has the target one half", "use t as a number"
    hard = np.where(t > 0.5, np.log1p(np.exp(-z)), z + np.log1p(np.exp(-z)))
    yield hard, "every target is rounded", "a tie has the target one half", "use t as a number"
    yield big * (1 - t) + soft, "max(z, 0) (1 - t)", "right for z > 0; for z < 0 the term is -z t", "two cases"
    yield (
        np.log1p(np.exp(-np.abs(z))),
        "the logarithm alone",
        "at z = 5 and t = 0 the loss is about 5",
        "two more terms",
    )
    yield (
        (1 - t) * np.logaddexp(0, z),
        "only -(1 - t) log(1 - p)",
        "the other half, for t, is missing",
        "both halves",
    )
    yield t * np.logaddexp(0, -z), "only -t log p", "the other half, for 1 - t, is missing", "both halves"
    yield np.logaddexp(0, z), "the target plays no part", "for t = 1 something must be taken off", "- z * t"
    yield np.logaddexp(0, -z), "the target plays no part", "for t = 0 something must be added", "z * (1 - t)"
    yield np.abs(z) * (1 - t) + soft, "|z| (1 - t)", "right for z > 0; for z < 0 the term is -z t", "two cases"
    only = -t * np.log(p)
    yield only, "only -t log p", "the other half, for 1 - t, is missing", "both halves of the formula"
    for small in (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-300):
        capped = -t * np.log(p + small) - (1 - t) * np.log(1 - p + small)
        clipped = np.clip(p, small, 1 - small)
        cut = -t * np.log(clipped) - (1 - t) * np.log(1 - clipped)
        if not same(capped, exact, 1e-5) and np.isfinite(capped).all():
            yield (
                capped,
                f"{small:g} was added to p",
                ("a small number in the logarithm caps the loss: a very wrong answer costs too little"),
                "no p anywhere: rewrite the formula",
            )
        if not same(cut, exact, 1e-5) and np.isfinite(cut).all():
            yield (
                cut,
                f"p was clipped at {small:g}",
                ("a small number in the logarithm caps the loss: a very wrong answer costs too little"),
                "no p anywhere: rewrite the formula",
            )


def pair_gradient(answer):
    rng = np.random.default_rng(5)
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-5)):
        for n in (4, 7):
            scores = rng.normal(0, 1.3, n).astype(dtype)
            levels = rng.integers(0, 4, n)
            levels[:2] = levels[-1] + 2, levels[-1]  # one tie, one that is not
            got = call(answer, scores, levels)
            exact = gradient_by_differences(scores.astype(float), levels)
            given = f"For {n} scores ({dtype.__name__}) with levels {levels.tolist()}:"
            if isinstance(got, np.ndarray) and got.dtype.kind == "f":
                got = got.astype(float)
            mistakes = list(gradient_mistakes(scores.astype(float), levels))
            compare(given, got, exact, mistakes, max(tolerance, 1e-8), rough=1e-6)
    return "Two row sums in one. The library has the same line."


def gradient_by_differences(scores, levels):
    """The oracle: complex steps on the loss, pair by pair."""

    def loss(s):
        n, total = len(s), 0
        for i in range(n):
            for j in range(n):
                if i != j:
                    t = 0.5 * (levels[i] > levels[j]) + 0.5 * (levels[i] >= levels[j])
                    total += t * np.log1p(np.exp(s[j] - s[i])) + (1 - t) * np.log1p(np.exp(s[i] - s[j]))
        return total / (n * (n - 1))

    return np.array([loss(scores + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(scores))])


def gradient_mistakes(scores, levels):
    n = len(scores)
    p = 1 / (1 + np.exp(scores[None, :] - scores[:, None]))
    first, second = levels[:, None], levels[None, :]
    t = 0.5 * (first > second) + 0.5 * (first >= second)
    rows = (p - t).sum(axis=1)
    pairs, both = n * (n - 1), "s_i stands in pairs (i, j) and (j, i), and both give the same: twice"
    yield rows / pairs, "half of the right gradient", both, "a factor 2"
    yield (
        4 * rows / pairs,
        "twice the right gradient",
        "both kinds of pairs were counted twice",
        "2 row sums, not 4",
    )
    for factor in (1, 2):
        why = "there are n (n - 1) pairs: a head is not compared with itself"
        yield factor * rows / n**2, "divided by n * n", why, "n * (n - 1)"
        yield factor * (p - t).mean(axis=1), "divided by n", why, "n * (n - 1)"
        yield (
            factor * rows / (n - 1),
            "divided by n - 1",
            "the mean over ALL pairs has n (n - 1) of them",
            "n * (n - 1)",
        )
        yield factor * rows, "the sum, not the mean", "L is a mean over n (n - 1) pairs", "divide"
        yield factor * rows / (pairs / 2), "divided by half of the pairs", "n (n - 1) ordered pairs", "count them"
        why = "it is t - p in place of p - t, or summed over the first index in place of the second"
        yield (
            factor * (t - p).sum(axis=1) / pairs,
            "the wrong sign",
            why,
            "what is wanted is one number for each i",
        )
        why = "the slope of the loss is p - t; a second p (1 - p) comes with squared errors only"
        yield factor * ((p - t) * p * (1 - p)).sum(axis=1) / pairs, "p (1 - p) is too much", why, "p - t"
        why = "the slope of the loss is p - t"
        yield factor * p.sum(axis=1) / pairs, "t is missing", why, "p - t"
        for wrong, what in ((first > second, "0"), (first >= second, "1")):
            yield (
                factor * (p - wrong).sum(axis=1) / pairs,
                f"ties have the target {what}",
                "a tie is 0.5",
                "pair_targets",
            )
            off = (p - wrong) * ~np.eye(n, dtype=bool)
            yield factor * off.sum(axis=1) / pairs, f"ties have the target {what}", "a tie is 0.5", "pair_targets"
        yield (
            factor * (p - (first < second) - 0.5 * (first == second)).sum(axis=1) / pairs,
            ("first and second are exchanged in one of p and t"),
            "p and t must speak of the same pair",
            "both with [:, None] first",
        )
        yield (
            factor * (p - (first == second)).sum(axis=1) / pairs,
            "the targets of `same`",
            "order",
            "pair_targets",
        )
        z = scores[:, None] - scores[None, :]
        yield factor * (z - t).sum(axis=1) / pairs, "the sigmoid is missing", "p = sigmoid(z)", "sigmoid"
    later = np.triu(np.ones((n, n)), 1)
    one_score = 1 / (1 + np.exp(-scores))
    hard = (scores[:, None] > scores[None, :]) * 1.0
    z = scores[:, None] - scores[None, :]
    losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    overwritten = np.zeros(n)
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    overwritten[i] += (p - t)[i, j]
    alone = overwritten.copy()
    overwritten[j] -= (p - t)[i, j]
    for factor in (1, 2):
        yield (
            factor * ((p - t) * later).sum(axis=1) / pairs,
            "half of the pairs is missing: j > i only",
            ("s_i meets every other score, not only later ones"),
            "all j but i",
        )
        yield (
            factor * (one_score[:, None] - t).sum(axis=1) / pairs,
            "p is the sigmoid of ONE score",
            ("p belongs to a pair: the sigmoid of the difference"),
            "scores[:, None] - scores[None, :]",
        )
        apart = 1 / (1 + np.exp(-np.abs(z)))
        yield (
            factor * (apart - t).sum(axis=1) / pairs,
            "sigmoid of |s_i - s_j|",
            "the sign is the answer",
            "no abs",
        )
        yield factor * (hard - t).sum(axis=1) / pairs, "p is 0 or 1", "p is a probability, sigmoid(z)", "sigmoid"
        yield factor * losses.sum(axis=1) / pairs, "sums of losses", "their slope is asked for: p - t", "p - t"
        for power in (((p - t) ** 2), np.abs(p - t)):
            yield factor * power.sum(axis=1) / pairs, "the signs are lost", "the slope is p - t itself", "p - t"
        why = "g[i] += d with repeated i keeps only the last of them"
        yield factor * overwritten / pairs, "all but one pair of each head are lost", why, "a sum over a table"
        yield factor * alone / pairs, "all but one pair of each head are lost", why, "a sum over a table"
    yield (rows - (p - t).sum(axis=0)).sum() / pairs, "one number", "one for each score is asked for", "axis=1"
    yield (
        np.zeros(n),
        "zero",
        "rows and columns were added, and they cancel: p_ji = 1 - p_ij",
        "the minus of (j, i)",
    )
    yield 2 * (p - t) / pairs, "a table of all pairs", "one number for each score is asked for", ".sum(axis=1)"
    yield (p - t) / pairs, "a table of all pairs", "one number for each score is asked for", ".sum(axis=1)"


def rank_correlation(answer):
    refuse_borrowed(answer, "spearmanr")
    rng = np.random.default_rng()
    a = np.array([0.3, -1.2, 4.5, 2.2, 0.9])
    cases = [
        ("five pairs", a, np.array([1.0, -2.0, 3.0, 9.0, 0.5])),
        ("five pairs, the second reversed", a, np.array([2.0, 9.0, -3.0, -4.0, 2.5])),
        ("values with ties", np.array([3.0, 1.0, 3.0, 2.0, 1.0, 3.0]), np.array([2.0, 2.0, 5.0, 1.0, 0.0, 7.0])),
        ("many", rng.normal(size=40), rng.normal(size=40) ** 3),
        ("whole numbers with many ties", rng.integers(0, 9, 60), rng.integers(0, 7, 60)),
        ("many, float32", *rng.normal(size=(2, 50)).astype(np.float32)),
    ]
    for title, x, y in cases:
        exact = np.asarray(spearmanr(x, y)[0], float)
        got = call(answer, x, y)
        if isinstance(got, np.ndarray) and got.shape == (2, 2):
            raise Wrong(
                f"For {title}: the result is a table (2, 2)", "np.corrcoef gives all correlations", "[0, 1]"
            )
        if isinstance(got, (np.ndarray, np.generic)) and got.shape == ():
            got = float(got)
        compare(f"For {title}:", got, exact, list(correlation_mistakes(x, y)), 1e-6)
    if "for " in source(answer):
        raise Wrong(
            "there is a loop in it",
            "no loop over elements was asked for",
            "np.unique has return_inverse, return_counts",
        )
    return "SciPy says the same."


def source(function):
    import inspect

    try:
        code = inspect.getsource(function)
    except OSError:  # not from a notebook's cell
        return ""
    return "\n".join(line.partition("#")[0] for line in code.splitlines() if '"""' not in line)


def correlation_mistakes(a, b):
    def pearson(x, y):
        return np.corrcoef(x, y)[0, 1]

    n = len(a)
    yield (
        pearson(a, b),
        "Pearson's correlation of the values",
        "the values must become ranks first",
        "ranks of a, of b",
    )
    once = pearson(np.argsort(a), np.argsort(b))
    why = "argsort says which element comes k-th, not which place an element takes"
    yield once, "argsort was taken for the ranks", why, "the inverse of that order"
    twice = [np.argsort(np.argsort(values)) for values in (a, b)]
    why = "equal values share the mean of the ranks that they take up"
    yield pearson(*twice), "ties have ranks in the order of the array", why, "np.unique"
    short = 1 - 6 * ((twice[0] - twice[1]) ** 2).sum() / (n * (n * n - 1))
    yield short, "ties have ranks in the order of the array", why, "np.unique"
    yield pearson(np.sort(a), np.sort(b)), "both were sorted", "then nobody knows who belonged to whom", "ranks"
    signs = (np.sign(a[:, None] - a) * np.sign(b[:, None] - b)).sum()
    for pairs in (n * n, n * (n - 1)):
        yield signs / pairs, "Kendall's tau", "that counts pairs; Spearman correlates ranks", "np.corrcoef"
    for method, what in (
        ("ordinal", "in the order of the array"),
        ("min", "the lowest"),
        ("max", "the highest"),
        ("dense", "without gaps"),
    ):
        x, y = rankdata(a, method), rankdata(b, method)
        why = "equal values share the mean of the ranks that they take up"
        yield pearson(x, y), f"ties have ranks {what}", why, "np.unique with return_inverse and return_counts"
        square = ((x - y) ** 2).sum()
        yield 1 - 6 * square / (n * (n * n - 1)), f"ties have ranks {what}", why, "np.unique"
    square = ((rankdata(a) - rankdata(b)) ** 2).sum()
    why = "1 - 6 sum d^2 / (n (n^2 - 1)) holds without ties only"
    yield 1 - 6 * square / (n * (n * n - 1)), "the short formula", why, "Pearson's correlation of the ranks"
    yield 1 - 6 * square / (n**3), "the short formula", why, "Pearson's correlation of the ranks"
    yield kendalltau(a, b)[0], "Kendall's tau", "that counts pairs; Spearman correlates ranks", "np.corrcoef"
    yield spearmanr(a, b)[0] ** 2, "the square", "a correlation is not squared, or its sign is lost", "no square"
    yield abs(spearmanr(a, b)[0]), "the sign is lost", "a reversed order has -1", "no abs"
    x, y = rankdata(a), rankdata(b)
    cosine = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    yield (
        cosine,
        "the mean rank was not subtracted",
        "a correlation is about deviations from the mean",
        "np.corrcoef",
    )
    yield np.cov(x, y)[0, 1], "the covariance", "divide by both standard deviations", "np.corrcoef"
    yield np.cov(a, b)[0, 1], "the covariance", "divide by both standard deviations", "np.corrcoef"
    x, y = rankdata(a) - rankdata(a).mean(), rankdata(b) - rankdata(b).mean()
    yield (x * y).mean(), "the covariance", "divide by both standard deviations", "np.corrcoef"
    yield x @ y / (n - 1) / (x.std() * y.std()), "n and n - 1 are mixed", "std divides by n", "np.corrcoef"


JUDGES = {
    "08.1": level_of,
    "08.2": all_pairs,
    "08.3": pair_targets,
    "08.4": bce_from_logits,
    "08.5": pair_gradient,
    "08.6": rank_correlation,
}
HINTS = {
    "08.1": [
        "Move the range so that it begins at 0, then count in threes.",
        "np.floor cuts down, also below 0. Which level does 99 get then?",
        "np.minimum or .clip keeps the last one in. Levels are whole numbers: .astype(np.int64).",
    ],
    "08.2": [
        "Draw a table of n rows and n columns. Which cells are pairs?",
        "np.eye(n, dtype=bool) is True on the diagonal, and ~ turns True into False.",
        "np.nonzero(table) gives rows and columns of all True cells.",
    ],
    "08.3": [
        "Subtract nothing. Compare.",
        "a > b misses the ties, a >= b takes them for 1. What lies in the middle?",
    ],
    "08.4": [
        "For z < 0: -log(1 - p) = log(1 + e^z). And -log p? Take the large part out.",
        "In both cases log(1 + e^-|z|) is left. What else is there for z > 0 and t = 0? For z < 0 and t = 1?",
        "The rest is z (1 - t) for z > 0, and -z t for z < 0. Write it with np.maximum(z, 0).",
    ],
    "08.5": [
        "As first: the sum over j of p_ij - t_ij, over n (n - 1). As second: minus the sum of p_ji - t_ji.",
        "p_ji = 1 - p_ij, and t_ji = 1 - t_ij. So how much is p_ji - t_ji?",
        "scores[:, None] - scores[None, :] is the table of all differences; the diagonal gives p - t = 0.",
    ],
}
