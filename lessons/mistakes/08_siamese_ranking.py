# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 8. A heading holds the exercise, and what check() must say about the cell."""


# %% 08.1: it was rounded to the nearest level


def level_of(angles):
    return np.round((angles + 99) / 3).astype(int).clip(0, 65)


# %% 08.1: 99 degrees has level 66


def level_of(angles):
    return np.floor((angles + 99) / 3).astype(int)


# %% 08.1: every level is one too high


def level_of(angles):
    return np.digitize(angles, np.arange(-99, 99, 3))


# %% 08.1: angles round 0 share a level of 6 degrees


def level_of(angles):
    return (angles / 3).astype(int) + 33


# %% 08.1: but the dtype is float64


def level_of(angles):
    return np.floor((angles + 99) / 3).clip(0, 65)


# %% 08.1: the levels begin below 0


def level_of(angles):
    return np.floor(angles / 3).astype(int)


# %% 08.2: pairs hold a head with itself


def all_pairs(n):
    return np.repeat(np.arange(n), n), np.tile(np.arange(n), n)


# %% 08.2: each unordered pair is there once


def all_pairs(n):
    return np.triu_indices(n, 1)


# %% 08.2: one row for each pair


def all_pairs(n):
    return np.array([(i, j) for i in range(n) for j in range(n) if i != j])


# %% 08.2: it returns list and list


def all_pairs(n):
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return [i for i, _ in pairs], [j for _, j in pairs]


# %% 08.2: it returns a list of 6


def all_pairs(n):
    return [(i, j) for i in range(n) for j in range(n) if i != j]


# %% 08.3: a tie is 0


def pair_targets(first, second):
    return (first > second).astype(float)


# %% 08.3: a tie is 1


def pair_targets(first, second):
    return np.where(first >= second, 1.0, 0.0)


# %% 08.3: it is True and False


def pair_targets(first, second):
    return first > second


# %% 08.3: bytes were subtracted


def pair_targets(first, second):
    return (np.sign(first - second) + 1) / 2


# %% 08.3: 1, 0 and -1


def pair_targets(first, second):
    return np.sign(first.astype(float) - second.astype(float))


# %% 08.3: 1 where the SECOND is above


def pair_targets(first, second):
    return 0.5 * (first < second) + 0.5 * (first <= second)


# %% 08.3: that is the target of `same`


def pair_targets(first, second):
    return (first == second).astype(float)


# %% 08.3: arithmetic with another dtype changes it, and nobody says so
def pair_targets(first, second):
    return np.where(first > second, 1.0, np.where(first == second, 0.5, 0.0)).astype(np.float32)


# %% 08.4: p was rounded to 0 or 1


def bce_from_logits(z, t):
    p = 1 / (1 + np.exp(-z))
    return -t * np.log(p) - (1 - t) * np.log(1 - p)


# %% 08.4: a small number in the logarithm caps the loss


def bce_from_logits(z, t):
    p = 1 / (1 + np.exp(-z))
    return -t * np.log(p + 1e-12) - (1 - t) * np.log(1 - p + 1e-12)


# %% 08.4: p was rounded to 0 or 1


def bce_from_logits(z, t):
    return z - z * t + np.log(1 + np.exp(-z))


# %% 08.4: it is one number, the mean


def bce_from_logits(z, t):
    return (np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))).mean()


# %% 08.4: t and 1 - t are exchanged


def bce_from_logits(z, t):
    return np.maximum(z, 0) - z * (1 - t) + np.log1p(np.exp(-np.abs(z)))


# %% 08.4: max(z, 0) is missing


def bce_from_logits(z, t):
    return -z * t + np.log1p(np.exp(-np.abs(z)))


# %% 08.5: half of the right gradient


def pair_gradient(scores, levels):
    n = len(scores)
    p = sigmoid(scores[:, None] - scores[None, :])
    return (p - pair_targets(levels[:, None], levels[None, :])).sum(axis=1) / (n * (n - 1))


# %% 08.5: divided by n * n


def pair_gradient(scores, levels):
    n = len(scores)
    p = sigmoid(scores[:, None] - scores[None, :])
    return 2 * (p - pair_targets(levels[:, None], levels[None, :])).sum(axis=1) / n**2


# %% 08.5: the wrong sign


def pair_gradient(scores, levels):
    n = len(scores)
    p = sigmoid(scores[:, None] - scores[None, :])
    return 2 * (p - pair_targets(levels[:, None], levels[None, :])).sum(axis=0) / (n * (n - 1))


# %% 08.5: the sum, not the mean


def pair_gradient(scores, levels):
    p = sigmoid(scores[:, None] - scores[None, :])
    return 2 * (p - pair_targets(levels[:, None], levels[None, :])).sum(axis=1)


# %% 08.5: they cancel


def pair_gradient(scores, levels):
    n = len(scores)
    d = sigmoid(scores[:, None] - scores[None, :]) - pair_targets(levels[:, None], levels[None, :])
    return (d.sum(axis=0) + d.sum(axis=1)) / (n * (n - 1))


# %% 08.5: a table of all pairs


def pair_gradient(scores, levels):
    n = len(scores)
    d = sigmoid(scores[:, None] - scores[None, :]) - pair_targets(levels[:, None], levels[None, :])
    return 2 * d / (n * (n - 1))


# %% 08.6: the values must become ranks first


def rank_correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


# %% 08.6: argsort was taken for the ranks


def rank_correlation(a, b):
    return np.corrcoef(np.argsort(a), np.argsort(b))[0, 1]


# %% 08.6: ties have ranks in the order of the array


def rank_correlation(a, b):
    ranks = [np.argsort(np.argsort(values, kind="stable")) for values in (a, b)]
    return np.corrcoef(*ranks)[0, 1]


# %% 08.6: ties have ranks without gaps


def rank_correlation(a, b):
    ranks = [np.unique(values, return_inverse=True)[1] for values in (a, b)]
    return np.corrcoef(*ranks)[0, 1]


# %% 08.6: np.corrcoef gives all correlations


def rank_correlation(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))
