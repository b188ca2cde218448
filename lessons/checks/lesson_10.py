"""The judges of lesson 10: kernels as texts, run on small cases by the emulator."""

import re

import numpy as np

from checks.judging import Wrong, compare
from checks.kernels import outcomes, run_apart, source_of

LENGTHS = [(1, 8, 8), (1, 8, 5), (3, 8, 21)]  # blocks, threads, n: full; threads to spare; more than one block
BEFORE = np.float32(70)  # is in the output before the kernel runs
INDEX = "work out i by hand for thread 3 of block 2, with blocks of 8: it is 19"


def words(blocks, threads, n):
    return f"For n = {n}, {blocks} block{'s' * (blocks > 1)} of {threads} threads:"


def judge_foreign_reads(source, name, blocks, threads, arrays, n):
    """Refuse a kernel that reads places beyond n, though the result does not show it; return what it was counted.

    With longer arrays, such places lie in them, and are counted.
    """
    longer = [np.append(array, np.zeros(blocks * threads, array.dtype)) for array in arrays]
    cases = [(blocks, threads, (*some, np.int32(n))) for some in (arrays, longer)]
    made, with_longer = run_apart(source, name, cases, counted=True)
    if with_longer.global_bytes > made.global_bytes:
        raise Wrong(
            f"{words(blocks, threads, n)} the result is right, and "
            f"{with_longer.global_bytes - made.global_bytes} bytes are read that lie beyond n",
            "threads beyond n read what is not theirs: here nobody uses it, and a card may end the program",
            "let the check of the bounds come before the first read",
        )
    return made


def judge_outside(given, source, problem):
    """Explain a write outside an array."""
    if "outside" not in problem:
        return
    what = f"{given} it is stopped: {problem}"
    if re.search(r"<=\s*n\b|n\s*>=|\b\w+\s*>\s*n\b", source):
        raise Wrong(
            what, "off by one: place n does not exist, the last one is n - 1", "compare i with n once more"
        )
    if not re.search(r"[<>]=?\s*n\b|\bn\s*[<>]", re.sub(r"for\s*\([^)]*\)", "", source)):
        raise Wrong(
            what,
            "there is no bounds check, so threads beyond n write behind the end",
            "there are more threads than places: what shall the others do?",
        )
    raise Wrong(what, "the write is not behind the bounds check, or its index is a wrong one", INDEX)


def unwritten(expected, places):
    """The output where only these places were written."""
    result = np.full(len(expected), BEFORE, np.float32)
    places = [place for place in places if place < len(expected)]
    result[places] = expected[places]
    return result


def wrong_places(expected, blocks, threads):
    """Known mistakes of the index, for kernels with one output for each thread."""
    n, block, thread = len(expected), np.arange(blocks)[:, None], np.arange(threads)
    return [
        (
            unwritten(expected, thread),
            "only the first block's places are written",
            "the index is threadIdx.x alone, so every block does the same",
            INDEX,
        ),
        (
            unwritten(expected, (block + thread).ravel()),
            "only the first places are written",
            "the block's number is not multiplied by the size of a block, so blocks overlap",
            INDEX,
        ),
        (
            unwritten(expected, (block * blocks + thread).ravel()),
            "some places are written twice, and others never",
            "gridDim.x is the number of blocks, not the size of one",
            INDEX,
        ),
        (
            unwritten(expected, (thread * threads + block).ravel()),
            "some places are never written",
            "blockIdx and threadIdx have changed places in the index",
            INDEX,
        ),
        *(
            (
                unwritten(expected, (block * size + thread).ravel()),
                "some places are never written",
                "the size of a block is written as a number; it is blockDim.x",
                INDEX,
            )
            for size in (16, 32, 64, 128, 256, threads - 1, threads + 1)
        ),
        (
            unwritten(expected, range(1, n)),
            "place 0 is not written",
            "off by one: the first place is left out",
            "which i is the first that has something to do?",
        ),
        (
            unwritten(expected, range(n - 1)),
            "the last place is not written",
            "off by one: the check leaves out place n - 1",
            "which i is the last that has something to do?",
        ),
        (
            BEFORE + expected,
            "what was in the output before has been added",
            "+= adds to what lies there, and nobody has put a 0 there",
            "which operator replaces what was there?",
        ),
        (
            np.full(n, BEFORE),
            "nothing was written",
            "the condition is never true, or the result stays in a variable",
            "who assigns to the output array, and when?",
        ),
    ]


def tile_race(source):
    """The cause of a race between tiles."""
    if "__shared__" not in source:
        return (
            "two threads write one place, or a variable is read before it has a value",
            "which place does each thread write? Which value does each variable begin with?",
        )
    if "__syncthreads" not in source:
        return "there is no barrier at all", "who reads what another thread has written? There all must wait"
    loops = list(re.finditer(r"\b(for|while)\b", source))
    if len(loops) > 1 and "__syncthreads" not in source[loops[0].end() : loops[-1].start()]:
        return (
            "a barrier is missing in the tile's loop: a tile is read before all have filled it",
            "all must have put their numbers in before anybody reads one",
        )
    return (
        "a barrier is missing in the tile's loop: the next tile is put in while others still read this one",
        "who may change a tile, and when has the last reader finished?",
    )


def race(source):
    """The cause of a race in a sum, as far as the text shows it."""
    loop = re.search(r"\b(for|while)\b", source)
    before, after = source.split(loop[0], 1) if loop else (source, "")
    if "__syncthreads" not in source:
        return "there is no barrier at all", "who reads what another thread has written? There all must wait"
    if re.search(r"<=\s*\w+", source):
        return (
            "off by one: with <= a thread too many works, and reads what another one changes",
            "how many threads have work in the first step? Their numbers begin with 0",
        )
    if "__syncthreads" not in after:
        return (
            "a barrier is missing in the loop: each step reads what the step before has written",
            "wait in every round, all threads together",
        )
    if "__syncthreads" not in before:
        return (
            "a barrier is missing before the loop: its first step reads what other threads put in",
            "all must have put their number in before anybody reads one",
        )
    return "two threads use one place, and no barrier lies between", "who writes this place, and who reads it?"


def judge_stopped(given, source, problem, race=tile_race):
    """Explain why the emulator stopped a kernel."""
    judge_outside(given, source, problem)
    what = f"{given} it is stopped: {problem}"
    if "deadlock" in problem or "two different barriers" in problem:
        if re.search(r"return\s*;", source):
            raise Wrong(
                what,
                "threads that return early never come to the barrier, and the others wait for ever",
                "keep every thread till the end: give those beyond n a harmless value instead",
            )
        raise Wrong(
            what,
            "a barrier stands inside an if or a loop that not all threads go through",
            "close the if before the barrier: all wait, though not all have worked",
        )
    if "is another one" in problem:
        raise Wrong(what, *race(source))
    raise Wrong(what, "the emulator stopped it", "read the message: it names the block and the line")


def average(answer):
    source = source_of(answer, "average(const float* a, const float* b, float* y, int n)")
    rng = np.random.default_rng(1)
    cases = []
    for blocks, threads, n in LENGTHS:
        a, b = rng.uniform(3, 9, (2, n)).astype(np.float32)
        cases.append((blocks, threads, (a, b, np.full(n, BEFORE), np.int32(n))))
    for _, (blocks, threads, (a, b, _, n)), got, problem in outcomes(source, "average", cases):
        given = words(blocks, threads, n)
        if problem:
            judge_stopped(given, source, problem)
        if np.isnan(got).any():
            raise Wrong(f"{given} y is {got}", "a or b is read out of bounds", INDEX)
        expected = (a + b) / np.float32(2)
        mistakes = [
            (
                np.zeros(n, np.float32),
                "every value is 0",
                "1 / 2 is a division of integers, and gives 0",
                "0.5f is a float32",
            ),
            (a + b, "it is the sum", "nothing is halved", "a mean of two is half of their sum"),
            (
                a + b / 2,
                "it is a + b / 2",
                "only b is halved: a division comes before an addition",
                "put the sum into brackets",
            ),
            (np.trunc(expected), "the decimals are cut off", "a float went through an int", "look at each type"),
            ((a - b) / 2, "it is (a - b) / 2", "a minus stands where a plus belongs", "the mean of 3 and 5 is 4"),
            (np.sqrt(a * b), "it is the root of a times b", "that is the geometric mean", "half of the sum"),
            ((a + b) / n, "it is (a + b) / n", "n is how many places there are; two numbers are averaged", "/ 2"),
            (expected / 2, "it is a quarter of the sum", "it was halved twice", "half of the sum"),
            (np.maximum(a, b), "it is the larger one", "a mean is asked for", "half of the sum"),
            (np.minimum(a, b), "it is the smaller one", "a mean is asked for", "half of the sum"),
            (np.append(((a + np.roll(b, -1)) / 2)[:-1], got[-1]), "b is that of the next place", "i + 1", INDEX),
            (a / 2 + b, "it is a / 2 + b", "only a is halved", "put the sum into brackets"),
            (a, "it is a", "b is not read", "both images are to be seen"),
            (b, "it is b", "a is not read", "both images are to be seen"),
            *wrong_places(expected, blocks, threads),
        ]
        compare(given, got, expected, mistakes, tolerance=1e-5)
    blocks, threads, (*arrays, n) = cases[-1]
    made = judge_foreign_reads(source, "average", blocks, threads, arrays, n)
    if made.global_writes > 1:
        raise Wrong(
            f"{words(blocks, threads, n)} the result is right, and a thread writes {made.global_writes} places",
            "every thread does the work of all",
            "one thread, one number: which one is its own?",
        )
    return "Each place has one thread that writes it, and the threads to spare keep still."


def tree(answer):
    source = source_of(answer, "tree_sum(const float* x, float* sums, int n)")
    rng = np.random.default_rng(2)
    cases = [
        (blocks, threads, (rng.uniform(1, 9, n).astype(np.float32), np.full(blocks, BEFORE), np.int32(n)))
        for blocks, threads, n in [*LENGTHS, (2, 256, 400)]
    ]
    for _, (blocks, threads, (x, _, n)), got, problem in outcomes(source, "tree_sum", cases):
        given = words(blocks, threads, n)
        if problem and re.search(r"sums\s*\[\s*0\s*\]", source) and blocks > 1:
            raise Wrong(
                f"{given} it is stopped: {problem}",
                "all blocks write their sum to the same place",
                "there is a place in sums for each block",
            )
        if problem and "outside" in problem:
            raise Wrong(
                f"{given} it is stopped: {problem}",
                "sums has one place for each block, and a thread wrote beside them",
                "who writes the sum of a block, and with which index?",
            )
        if problem:
            judge_stopped(given, source, problem, race)
        part = np.zeros(blocks * threads, np.float32)
        part[:n] = x
        part = part.reshape(blocks, threads)
        expected = part.sum(axis=1)
        if np.isnan(got).any():
            judge_nan(given, source, got, n == blocks * threads)
        mistakes = [
            (
                part[:, ::2].sum(axis=1),
                "it is the sum of every second number",
                "the loop ends one step early",
                "in the last step the distance is 1",
            ),
            (
                part[:, 0],
                "it is the block's first number",
                "nothing is added up",
                "follow part[0] through the loop",
            ),
            (
                part[:, -1],
                "it is the block's last number",
                "= replaces what a thread has, instead of adding to it",
                "which operator adds?",
            ),
            (
                expected / threads,
                "it is the mean",
                "a sum is asked for",
                "nothing is divided here",
            ),
            (
                expected * threads + BEFORE,
                "the sum is there many times over",
                "all threads of a block add its sum to the result",
                "which of them shall write, and with which operator?",
            ),
            (
                expected + (blocks * threads - n) * (np.arange(blocks) == blocks - 1),
                "each thread without a number has added 1",
                "threads beyond n put in something that is not 0",
                "which number changes no sum?",
            ),
            (
                each_half(part),
                "some numbers are added more than once",
                "the distance goes down by 1; it is to be halved",
                "write down the distances for a block of 8",
            ),
            *(
                (
                    partial_tree(part, factor),
                    "only some of the numbers are in the sum",
                    "the distance is not halved from step to step",
                    "write down the distances for a block of 8: 4, 2, 1",
                )
                for factor in (3, 4, 8)
            ),
            (
                partial_tree(part, 2, part.shape[1] // 4),
                "half of the numbers are missing",
                "the first distance is too small: a quarter of the block",
                "in a block of 8, whom does thread 0 add first?",
            ),
            (part.max(axis=1), "it is the largest number", "a sum is asked for", "add"),
            (part.astype(float).prod(axis=1), "it is the product", "a sum is asked for", "add"),
            (np.trunc(part).sum(axis=1), "decimals are cut off", "the shared array is of int", "float part[256]"),
            (
                np.where(np.arange(blocks * threads).reshape(blocks, threads) < n, part[0], 0).sum(axis=1),
                "each block has the sum of the first",
                "x is read at threadIdx.x, so every block reads the same numbers",
                INDEX,
            ),
            (
                np.append(expected[0], np.full(blocks - 1, BEFORE)),
                "only the first block's sum is written",
                "only one thread of the whole grid writes, not one of each block",
                "which number is 0 in each block?",
            ),
            (
                expected + BEFORE,
                "what was in sums before has been added",
                "+= adds to what lies there, and nobody has put a 0 there",
                "which operator replaces what was there?",
            ),
            (
                np.full(blocks, BEFORE),
                "nothing was written",
                "nobody writes part[0] to sums",
                "one thread of each block does it, at the end",
            ),
        ]
        compare(given, got, expected, mistakes, tolerance=1e-5)
    blocks, threads, (*arrays, n) = cases[2]
    judge_foreign_reads(source, "tree_sum", blocks, threads, arrays, n)
    return "Eight steps for 256 numbers, and nobody reads too early."


def each_half(part):
    """The sums of rows where the distance goes down by 1 each time."""
    part = part.copy()
    for half in range(part.shape[1] // 2, 0, -1):
        part[:, :half] += part[:, half : 2 * half]
    return part[:, 0]


def partial_tree(part, factor, half=None):
    """The sums of rows where the distance is divided by a factor from step to step."""
    part, half = part.copy(), half or part.shape[1] // 2
    while half:
        part[:, :half] += part[:, half : 2 * half]
        half //= factor
    return part[:, 0]


def judge_nan(given, source, got, full):
    """Explain NaN in a sum."""
    what = f"{given} the sums are {got}"
    if not full and not re.search(r"[<>]=?\s*n\b|\bn\s*[<>]", source):
        raise Wrong(
            what,
            "x is read out of bounds: threads beyond n read what is not theirs",
            "condition ? a : b chooses without reading both",
        )
    if not full:
        raise Wrong(
            what,
            "places of the shared memory are read that nobody has filled, or x is read out of bounds",
            "what do the threads beyond n put in?",
        )
    raise Wrong(
        what,
        "shared memory is read behind the block's numbers: the distance is too large, or a thread too many works",
        "in the first step of a block of 8, which places does thread 0 add? Which thread is the last to work?",
    )


def cross_entropies(scores, levels, ties=0.5):
    z = scores[:, None].astype(np.float64) - scores[None, :]
    target = np.where(levels[:, None] > levels, 1.0, np.where(levels[:, None] == levels, ties, 0.0))
    return z, target, np.maximum(z, 0) - z * target + np.log1p(np.exp(-abs(z)))


def k_is_i(losses, threads):
    """The sums where place k in a tile is left out for i = k, instead of partner i."""
    i, j = np.indices(losses.shape)
    return np.where(j % threads == i, 0, losses).sum(axis=1).astype(np.float32)


def pair_cases(lengths):
    rng = np.random.default_rng(3)
    cases = []
    for blocks, threads, n in lengths:
        scores, levels = rng.normal(0, 1.7, n).astype(np.float32), rng.integers(0, 4, n).astype(np.int32)
        cases.append((blocks, threads, (scores, levels, np.full(n, BEFORE), np.int32(n))))
    blocks, threads, (scores, levels, out, n) = cases[-1]
    return [*cases, (blocks, threads, (80 * scores, levels, out.copy(), n))]  # exp(100) is too large


def judge_pairs(source, cases):
    """Raise Wrong unless a kernel computes the pair loss."""
    for _, (blocks, threads, (scores, levels, _, n)), got, problem in outcomes(source, "pair_loss", cases):
        given = words(blocks, threads, n)
        if problem:
            judge_stopped(given, source, problem)
        z, target, losses = cross_entropies(scores, levels)
        others = ~np.eye(n, dtype=bool)
        if not np.isfinite(got).all() and abs(scores).max() > 40:
            raise Wrong(
                f"{given} with scores up to {abs(scores).max():.0f} the result is {got[~np.isfinite(got)][0]}",
                "an exponential is too large for a float32",
                "the formula takes exp of -|z|, which is never above 1",
            )
        if np.isnan(got).any():
            raise Wrong(
                f"{given} {np.isnan(got).sum()} losses are NaN",
                "something is read out of bounds, or in shared memory before it is there",
                "which is the largest j, or the largest place in a tile, that is read?",
            )

        def summed(values, mask=others):
            return np.where(mask, values, 0).sum(axis=1).astype(np.float32)

        expected = summed(losses)
        whole = np.where(target == 1, 1.0, 0.0)  # 0.5 as an int is 0
        last = losses[:, n - 1].copy()
        last[n - 1] = losses[n - 1, n - 2]
        lower = np.tri(n, k=-1, dtype=bool)
        mistakes = [
            (
                summed(losses, np.ones((n, n), bool)),
                "each is larger by log(2)",
                "an image is paired with itself",
                "which j is to be left out?",
            ),
            (
                summed(np.maximum(z, 0) - z * whole + np.log1p(np.exp(-abs(z)))),
                "pairs of one level count as if the other were above",
                "a tie is not seen as one: its target is 1/2, and 1 / 2 of integers, or 0.5 in an int, is 0",
                "look at the type of the target, and of its constants",
            ),
            (
                summed(cross_entropies(scores, levels, 1.0)[2]),
                "pairs of one level count as if the first were above",
                "a tie is not seen as one: >= stands where > belongs",
                "there are three cases, not two",
            ),
            (
                summed(np.maximum(-z, 0) + z * target + np.log1p(np.exp(-abs(z)))),
                "every difference has the other sign",
                "z is s_j - s_i, or the levels are compared the other way round",
                "z is positive where i has the larger score",
            ),
            (
                last.astype(np.float32),
                "only the last partner's loss is there",
                "= replaces the sum, instead of adding to it",
                "which operator adds?",
            ),
            (
                summed(losses, lower),
                "partners behind i are missing",
                "j goes up to i only, so every pair is seen from one side",
                "each i has n - 1 partners",
            ),
            (
                summed(losses, lower.T),
                "partners before i are missing",
                "j begins behind i, so every pair is seen from one side",
                "each i has n - 1 partners",
            ),
            (
                summed(np.maximum(z, 0) + z * target + np.log1p(np.exp(-abs(z)))),
                "z times the target is added",
                "a sign of the formula is wrong",
                "compare sign by sign with the formula",
            ),
            (
                summed(np.maximum(z, 0) - z * target + np.logaddexp(0, abs(z))),
                "the exponential is that of |z|",
                "a minus is missing in the exponential",
                "the exponent is never above 0",
            ),
            (
                summed(np.maximum(z, 0) - z * target + np.logaddexp(0, -z)),
                "the exponential is that of -z",
                "the absolute value is missing in the exponential",
                "the exponent is never above 0, whatever the sign of z",
            ),
            (
                summed(np.maximum(z, 0) - z * target - abs(z)),
                "the logarithm is that of the exponential alone",
                "logf stands where log1pf belongs: the 1 is missing",
                "log1pf(u) is log(1 + u)",
            ),
            (
                summed(np.maximum(np.trunc(z), 0) - np.trunc(z) * target + np.log1p(np.exp(-abs(np.trunc(z))))),
                "decimals of the differences are cut off",
                "z, or a score, went through an int",
                "look at the type of each variable",
            ),
            (
                np.append(BEFORE + expected.sum(), np.full(n - 1, BEFORE)),
                "all are added up in the first place",
                "all threads write to the same place",
                "each head has a place of its own",
            ),
            (
                summed(losses, (np.arange(n) % threads != np.arange(n)[:, None] % threads)),
                "a partner is left out in each tile",
                "the place in the tile is compared, not the number of the partner",
                "which j is it that stands at place k of this tile?",
            ),
            (
                k_is_i(losses, threads),
                "partners are left out, or an image is paired with itself",
                "the place in the tile is compared with i, not the number of the partner",
                "which j is it that stands at place k of this tile?",
            ),
            (
                expected / np.float32(n - 1),
                "it is the mean over the partners",
                "a sum is asked for",
                "nothing is divided here",
            ),
            (
                summed(np.where(np.arange(n) == n - 1, 0, losses)),
                "the last partner is missing",
                "off by one: j ends one too early",
                "which is the last j?",
            ),
            (
                summed(np.where(np.arange(n) == 0, 0, losses)),
                "the first partner is missing",
                "off by one: j begins at 1",
                "which is the first j?",
            ),
            (
                summed(np.maximum(z, 0) - z * target),
                "the logarithm is missing",
                "one of the three terms is left out",
                "compare term by term with the formula",
            ),
            (
                summed(np.where(np.arange(n) < threads, losses, 0)),
                "only partners of the first tile are there",
                "only the first tile is gone through",
                "the outer loop goes from tile to tile, up to n",
            ),
            *wrong_formulas(scores, levels, summed),
            *wrong_partners(n, threads, losses, summed),
            *wrong_places(expected, blocks, threads),
        ]
        compare(given, got, expected, mistakes, tolerance=1e-5)


def wrong_formulas(scores, levels, summed):
    """Losses with one thing wrong in the formula; summed adds up a table of them over the partners."""
    z, target, _ = cross_entropies(scores, levels)
    soft, letter = np.log1p(np.exp(-abs(z))), "compare term by term with the formula"
    sigmoid = 0.5 + 0.5 * np.tanh(z / 2)
    whole, of_levels = np.trunc(scores), levels.astype(np.float64)
    for table, what, why in (
        (soft - z * target, "max(z, 0) is missing", "one of the three terms is left out"),
        (np.maximum(z, 0) + soft, "z times the target is missing", "one of the three terms is left out"),
        (np.maximum(z, 1) - z * target + soft, "it is the larger of z and 1", "the border is 0"),
        (np.minimum(z, 0) - z * target + soft, "it is min(z, 0)", "the larger of the two is wanted"),
        (abs(z) - z * target + soft, "it is |z| in place of max(z, 0)", "for z below 0 the term is 0"),
        (np.maximum(z, 0) - target + soft, "the target is subtracted alone", "it is multiplied by z"),
        (
            np.maximum(z, 0) - z * (1 - target) + soft,
            "it is 1 minus the target",
            "the cases are the wrong way round",
        ),
        (np.maximum(z, 0) - z * (target > 0) + soft, "a tie counts as above", "a tie has the target 1/2"),
        (np.maximum(z, 0) - z * target - soft, "the logarithm is subtracted", "all of it is added"),
        (np.maximum(z, 0) - z * target + np.exp(-abs(z)), "the logarithm is missing", "log1pf of the exponential"),
        (
            np.maximum(z, 0) - z * target + soft / np.log(2),
            "the logarithm has base 2",
            "log1pf is the natural one",
        ),
        ((sigmoid - target) ** 2, "it is the squared error", "cross-entropy is asked for"),
        (sigmoid - target, "it is the gradient", "the loss is asked for"),
        (
            cross_entropies(of_levels, levels)[2],
            "z is a difference of levels",
            "z is the difference of the SCORES",
        ),
        (cross_entropies(whole, levels)[2], "decimals of the scores are cut off", "a score went through an int"),
        (cross_entropies(scores, scores)[2], "the target comes from the scores", "it comes from the LEVELS"),
        (cross_entropies(scores, 0 * levels)[2], "all pairs count as ties", "the levels are not compared rightly"),
    ):
        yield summed(table), what, why, letter
    for k in range(min(len(levels), 8)):
        mine = np.where(levels[k] > levels, 1.0, np.where(levels[k] == levels, 0.5, 0.0))
        table = np.maximum(z, 0) - z * mine + soft
        yield (
            summed(table),
            f"all heads have the level of head {k}",
            "the own level is read at a fixed place",
            INDEX,
        )


def wrong_partners(n, threads, losses, summed):
    """Sums over some of the partners only, as tiles that go wrong give them."""
    i, j = np.indices((n, n))
    other, tile, last = i != j, j // threads, (n - 1) // threads
    for mask, what, why in (
        (tile == i // threads, "only partners of the own block are there", "there is no way to the other tiles"),
        (tile != i // threads, "partners of the own block are missing", "the own tile is left out, not one head"),
        (tile == last, "only partners of the last tile are there", "the sum begins anew in each tile"),
        (tile < n // threads, "partners of the last tile are missing", "a tile that is not full is left out"),
        (tile > 0, "partners of the first tile are missing", "the first tile is left out"),
        (tile % 2 == 0, "every second tile is missing", "the start of a tile goes on too far"),
        (j % threads != threads - 1, "the last partner of each tile is missing", "off by one in the tile's loop"),
        (j % threads != 0, "the first partner of each tile is missing", "the loop over a tile begins at 1"),
    ):
        yield (
            summed(losses, other & mask),
            what,
            why,
            "for n = 21 and 8 threads, write down the tiles and who is in them",
        )


def pairs(answer):
    source = source_of(answer, "pair_loss(const float* scores, const int* levels, float* losses, int n)")
    cases = pair_cases(LENGTHS)
    judge_pairs(source, cases)
    blocks, threads, (*arrays, n) = cases[2]
    judge_foreign_reads(source, "pair_loss", blocks, threads, arrays, n)
    return "No matrix anywhere: a thread keeps its own row in one number."


def counted(source, reads, writes, n, threads):
    """What a thread of a pair loss reads and writes; raises Wrong where it writes too often."""
    scores, levels = np.arange(n, dtype=np.float32), np.arange(n, dtype=np.int32)
    arguments = scores, levels, np.zeros(n, np.float32), np.int32(n)
    (made,) = run_apart(source, "pair_loss", [(-(-n // threads), threads, arguments)], counted=True)
    what = (
        f"For n = {n} the result is right, and a thread reads {made.global_reads} numbers of global memory "
        f"and writes {made.global_writes}; the budget is {reads} and {writes}."
    )
    if made.global_writes > writes:
        raise Wrong(
            what,
            "the sum is kept in global memory, and is read and written in every step",
            "add up in a variable of the thread, and write it once, at the end",
        )
    return made, what


def thrifty(answer):
    source = source_of(answer, "pair_loss(const float* scores, const int* levels, float* losses, int n)")
    cases = pair_cases([*LENGTHS, (2, 256, 300)])
    judge_pairs(source, cases)
    blocks, threads, (*arrays, n) = cases[2]
    judge_foreign_reads(source, "pair_loss", blocks, threads, arrays, n)
    n = 40
    made, what = counted(source, 2 * n + 2, 1, n, 8)
    if made.global_reads > 2 * n + 2:
        own = re.search(r"\{[^{}]*(scores|levels)\s*\[\s*i\s*\]", source[re.search("for|while", source).end() :])
        if own:
            raise Wrong(
                what,
                "the thread's own score or level is read anew for each partner",
                "which values do not change in the loop? Keep them in variables",
            )
        raise Wrong(
            what,
            "a partner's score or level is read more than once",
            "put it into a variable when you read it first",
        )
    return f"{made.global_reads} reads instead of more than {5 * n}, for two variables."


def tiled(answer):
    source = source_of(answer, "pair_loss(const float* scores, const int* levels, float* losses, int n)")
    cases = pair_cases([*LENGTHS, (2, 32, 50), (2, 256, 300)])
    judge_pairs(source, cases)
    blocks, threads, (*arrays, n) = cases[2]
    judge_foreign_reads(source, "pair_loss", blocks, threads, arrays, n)
    n, threads = 40, 8
    budget = 2 + 2 * n // threads
    made, what = counted(source, budget, 1, n, threads)
    if made.global_reads > budget and made.shared_reads == 0:
        raise Wrong(
            what, "nothing goes through shared memory", "let a block load its tile together, then read there"
        )
    if made.global_reads > budget:
        raise Wrong(
            what,
            "there are tiles, and global memory is still read for each partner, or each thread loads a whole tile",
            "a thread loads one score and one level of a tile, no more",
        )
    return f"{made.global_reads} reads of global memory where there were more than {2 * n}."


JUDGES = {"10.1": average, "10.2": tree, "10.3": pairs, "10.4": thrifty, "10.5": tiled}
HINTS = {
    "10.1": [
        "Copy WHO, and change its name and its parameters first. Let it return a string between triple quotes.",
        "Two things stay as they are: how i is worked out, and the check of the bounds.",
        "Write a constant with a point and an f, so that C does not take it for an integer.",
    ],
    "10.2": [
        "Three parts: put a number in; the loop; one thread writes. Begin with RING, which has the first.",
        "In the loop only threads below half add. All threads wait, so the barrier is not inside the if.",
        "There are two barriers: count the places where a thread reads what another one has written.",
    ],
    "10.3": [
        "Work out i and leave if it is too large: there is no barrier here. Then loop over j from 0 to n.",
        "Write z and the target in lines of their own, and read the formula from left to right.",
        "The target needs two conditions: a ? 1.0f : b ? 0.5f : 0.0f",
    ],
    "10.4": [
        "Which three arrays are read or written in the loop with an index that does not change?",
        "The target reads levels[j] once or twice, depending on its first condition.",
    ],
}
