# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 9. Each cell stands in place of the exercise cell of the same number."""

# %% 09.1
# Exercise 09.1


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = np.abs(predicted - truth), np.abs(truth), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes < high)
        means.append(errors[inside].mean() if inside.any() else np.nan)
    return np.array(means)


# %% 09.2
# Exercise 09.2


def fit_into_layer(weight, bias, scores, targets):
    lines = [np.polyfit(x, y, 1) for x, y in zip(scores.T, targets.T, strict=True)]
    slopes, intercepts = np.array(lines, weight.dtype).T
    return weight * slopes, bias * slopes + intercepts


# %% 09.3
# Exercise 09.3


def expected_angle(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    middles = 3 * np.arange(66) - 99 + 1.5
    return weights @ middles / weights.sum(axis=1)


# %% 09.4
# Exercise 09.4


def paired_difference(a, b):
    differences = a - b
    return differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))


# %% 09.5
# Challenge 09.5


def error_elsewhere(predicted, truth, edges, counts):
    counts = np.asarray(counts)
    there = counts > 0
    return (errors_by_range(predicted, truth, edges)[there] * counts[there]).sum() / counts.sum()
