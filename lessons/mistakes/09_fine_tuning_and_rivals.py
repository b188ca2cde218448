# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 9. A heading holds the exercise, and what check() must say about the cell."""


# %% 09.1: the ranges were cut by the PREDICTED angle


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = np.abs(predicted - truth), np.abs(predicted), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes < high)
        means.append(errors[inside].mean() if inside.any() else np.nan)
    return np.array(means)


# %% 09.1: that is the bias, not the error


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = predicted - truth, np.abs(truth), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes < high)
        means.append(abs(errors[inside].mean()) if inside.any() else np.nan)
    return np.array(means)


# %% 09.1: heads with negative angles are missing


def errors_by_range(predicted, truth, edges):
    errors, means = np.abs(predicted - truth), []
    for low, high in pairwise(edges):
        inside = (low <= truth) & (truth < high)
        means.append(errors[inside].mean() if inside.any() else np.nan)
    return np.array(means)


# %% 09.1: an empty range has the error 0


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = np.abs(predicted - truth), np.abs(truth), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes < high)
        means.append(errors[inside].mean() if inside.any() else 0)
    return np.array(means)


# %% 09.1: an angle on an edge counts in the wrong range


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = np.abs(predicted - truth), np.abs(truth), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes <= high)
        means.append(errors[inside].mean() if inside.any() else np.nan)
    return np.array(means)


# %% 09.1: it returns a list


def errors_by_range(predicted, truth, edges):
    errors, sizes, means = np.abs(predicted - truth), np.abs(truth), []
    for low, high in pairwise(edges):
        inside = (low <= sizes) & (sizes < high)
        means.append(errors[inside].mean() if inside.any() else np.nan)
    return means


# %% 09.2: the old bias was not scaled


def fit_into_layer(weight, bias, scores, targets):
    lines = np.array([np.polyfit(scores[:, i], targets[:, i], 1) for i in range(3)], weight.dtype)
    return weight * lines[:, 0], bias + lines[:, 1]


# %% 09.2: the lines go the other way


def fit_into_layer(weight, bias, scores, targets):
    lines = np.array([np.polyfit(targets[:, i], scores[:, i], 1) for i in range(3)], weight.dtype)
    return weight * lines[:, 0], bias * lines[:, 0] + lines[:, 1]


# %% 09.2: np.polyfit gives the slope FIRST


def fit_into_layer(weight, bias, scores, targets):
    lines = np.array([np.polyfit(scores[:, i], targets[:, i], 1) for i in range(3)], weight.dtype)
    return weight * lines[:, 1], bias * lines[:, 1] + lines[:, 0]


# %% 09.2: all outputs got the same slope


def fit_into_layer(weight, bias, scores, targets):
    slope, intercept = np.polyfit(scores.ravel(), targets.ravel(), 1)
    return weight * slope, bias * slope + intercept


# %% 09.2: works in place


def fit_into_layer(weight, bias, scores, targets):
    for i in range(weight.shape[1]):
        slope, intercept = np.polyfit(scores[:, i], targets[:, i], 1)
        weight[:, i] *= slope
        bias[i] = bias[i] * slope + intercept
    return weight, bias


# %% 09.2: the old bias is gone


def fit_into_layer(weight, bias, scores, targets):
    lines = np.array([np.polyfit(scores[:, i], targets[:, i], 1) for i in range(3)], weight.dtype)
    return weight * lines[:, 0], lines[:, 1]


# %% 09.2: an array or list is asked for an element that it does not have
def fit_into_layer(weight, bias, scores, targets):
    w, c = weight.copy(), bias.copy()
    for k in range(3):
        a, b = np.polyfit(scores[:, k], targets[:, k], 1)
        w[:, k] *= a
        c[k] = c[k] * a + b
    return w, c


# %% 09.3: argmax takes the most probable level alone


def expected_angle(logits):
    return logits.argmax(axis=1) * 3.0 - 99 + 1.5


# %% 09.3: the lower edges of the levels


def expected_angle(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights @ (np.arange(66) * 3.0 - 99) / weights.sum(axis=1)


# %% 09.3: infinite over infinite is NaN


def expected_angle(logits):
    weights = np.exp(logits)
    return weights @ (np.arange(66) * 3.0 - 97.5) / weights.sum(axis=1)


# %% 09.3: a softmax over the heads


def expected_angle(logits):
    weights = np.exp(logits - logits.max(axis=0))
    return weights / weights.sum(axis=0) @ (np.arange(66) * 3.0 - 97.5)


# %% 09.3: the mean LEVEL, not its angle


def expected_angle(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights @ np.arange(66) / weights.sum(axis=1)


# %% 09.3: levels are 3 degrees wide; these are 3.05


def expected_angle(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights @ np.linspace(-99, 99, 66) / weights.sum(axis=1)


# %% 09.4: m - 1 are free


def paired_difference(a, b):
    return (a - b).mean(), (a - b).std() / np.sqrt(len(a))


# %% 09.4: a and b were taken apart


def paired_difference(a, b):
    return a.mean() - b.mean(), np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))


# %% 09.4: not the standard error


def paired_difference(a, b):
    return (a - b).mean(), (a - b).std(ddof=1)


# %% 09.4: b - a


def paired_difference(a, b):
    return (b - a).mean(), (b - a).std(ddof=1) / np.sqrt(len(a))


# %% 09.4: one seed proves nothing


def paired_difference(a, b):
    return a[0] - b[0], (a - b).std(ddof=1) / np.sqrt(len(a))


# %% 09.4: two numbers are asked for


def paired_difference(a, b):
    return (a - b).mean()


# %% 09.4: a and b were sorted
def paired_difference(a, b):
    d = np.sort(a) - np.sort(b)
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))


# %% 09.5: 0 * NaN is NaN


def error_elsewhere(predicted, truth, edges, counts):
    return (errors_by_range(predicted, truth, edges) * counts).sum() / np.sum(counts)


# %% 09.5: a NaN that matters must stay


def error_elsewhere(predicted, truth, edges, counts):
    return np.nansum(errors_by_range(predicted, truth, edges) * counts) / np.sum(counts)


# %% 09.5: the plain mean of the ranges


def error_elsewhere(predicted, truth, edges, counts):
    return errors_by_range(predicted, truth, edges)[np.array(counts) > 0].mean()


# %% 09.5: the mean over OUR heads


def error_elsewhere(predicted, truth, edges, counts):
    return np.abs(predicted - truth).mean()
