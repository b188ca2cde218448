# ruff: noqa: F811, F821, F841, RET504  (the notebook defines the other names)
"""Typical wrong answers of lesson 5. A heading holds the exercise, and what check() must say about the cell."""


# %% 05.1: rows and columns belong to the same channel


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: each channel has its own


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean()
    var = x.var()
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: that is layer norm's idea


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: it is under it


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes)
    return gamma * (x - mean) / (np.sqrt(var) + eps) + beta


# %% 05.1: the root is missing


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes)
    return gamma * (x - mean) / (var + eps) + beta


# %% 05.1: the variance is divided by N - 1


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes, ddof=1)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: the mean must be taken off before squaring


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = (x**2).mean(axis=axes)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: beta comes last


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes)
    return gamma * ((x - mean) / np.sqrt(var + eps) + beta)


# %% 05.1: only the first half is there


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes)
    return (x - mean) / np.sqrt(var + eps)


# %% 05.1: an axis is named that x does not have


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=(0, 1, 2))
    var = x.var(axis=(0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.1: a constant channel divides by 0


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes)
    return gamma * (x - mean) / np.sqrt(var) + beta


# %% 05.2: d_beta: the sum over the rows is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_gamma: gamma multiplies n, not x


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * x).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_gamma: the sum over the rows is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = g * n
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_n: the local derivative is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_inv: the sum over the rows is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = d_n * centred
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_inv: g came in where d_n belongs


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (g * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_var: the power is one too high


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -0.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_var: the sign is wrong


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * 0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_centred: the part through var is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_centred: the division by N is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_centred: the 2 of the square is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_mean: the sign is wrong


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = d_centred.sum(axis=0)
    d_x = d_centred + d_mean / len(x)
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_x: the part through the mean is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_x: the division by N is missing


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = (d_n * centred).sum(axis=0)
    d_var = d_inv * -0.5 * (var + eps) ** -1.5
    d_centred = d_n * inv + d_var * 2 * centred / len(x)
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + d_mean
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.2: d_inv is still to be done


def ladder(x, gamma, beta, eps, g):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv = (var + eps) ** -0.5
    n = centred * inv
    d_beta = g.sum(axis=0)
    d_gamma = (g * n).sum(axis=0)
    d_n = g * gamma
    d_inv = ...
    d_var = ...
    d_centred = ...
    d_mean = ...
    d_x = ...
    return {
        "d_beta": d_beta,
        "d_gamma": d_gamma,
        "d_n": d_n,
        "d_inv": d_inv,
        "d_var": d_var,
        "d_centred": d_centred,
        "d_mean": d_mean,
        "d_x": d_x,
    }


# %% 05.3: momentum is the weight of the new ones here


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes, ddof=1)])
    return momentum * np.stack([mean, var]) + (1 - momentum) * new


# %% 05.3: the unbiased one is divided by N - 1


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes)])
    return (1 - momentum) * np.stack([mean, var]) + momentum * new


# %% 05.3: N counts all values of a channel


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes) * len(x) / (len(x) - 1)])
    return (1 - momentum) * np.stack([mean, var]) + momentum * new


# %% 05.3: nothing of the old is kept


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes, ddof=1)])
    return new


# %% 05.3: the factor 1 - momentum is missing


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes, ddof=1)])
    return np.stack([mean, var]) + momentum * new


# %% 05.3: the root is too much


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.std(axis=axes, ddof=1)])
    return (1 - momentum) * np.stack([mean, var]) + momentum * new


# %% 05.3: the answer is to be one array


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new_mean = (1 - momentum) * mean + momentum * x.mean(axis=axes)
    return new_mean, (1 - momentum) * var + momentum * x.var(axis=axes, ddof=1)


# %% 05.3: the function works in place


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    mean += momentum * (x.mean(axis=axes) - mean)
    var += momentum * (x.var(axis=axes, ddof=1) - var)
    return np.stack([mean, var])


# %% 05.3: one thing is changed: `momentum` plays no part: a fixed number stands in its place
def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    return np.stack([0.9 * mean + 0.1 * x.mean(axes), 0.9 * var + 0.1 * x.var(axes, ddof=1)])


# %% 05.4: the mean that batch norm takes off is forgotten


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, beta


# %% 05.4: it is scaled as w is


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, beta - mean


# %% 05.4: the scale stands at another axis than the outputs


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale[:, None], beta - mean * scale


# %% 05.4: the deviation is missing


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * gamma, beta - mean * scale


# %% 05.4: the root is missing


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / (var + eps)
    return weight * scale, beta - mean * scale


# %% 05.4: batch norm has it under the root


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var)
    return weight * scale, beta - mean * scale


# %% 05.4: beta comes after the scaling


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, (beta - mean) * scale


# %% 05.4: batch norm takes it off


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, beta + mean * scale


# %% 05.4: two arrays are asked for


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    return weight * gamma / np.sqrt(var + eps)


# %% 05.5: the paths through both are missing


def short_gradient(g, n, std, gamma):
    return gamma / std * g


# %% 05.5: the path through var is missing


def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.mean(axis=0))


# %% 05.5: 1 / N is lost


def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.sum(axis=0) - n * (g * n).sum(axis=0))


# %% 05.5: d_var meets centred


def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.mean(axis=0) - (g * n).mean(axis=0))


# %% 05.5: d_n is g times gamma


def short_gradient(g, n, std, gamma):
    return (g - g.mean(axis=0) - n * (g * n).mean(axis=0)) / std


# %% 05.5: inv of the direct part is lost


def short_gradient(g, n, std, gamma):
    return gamma * (g - g.mean(axis=0) - n * (g * n).mean(axis=0))


# %% 05.5: d_var has a minus


def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.mean(axis=0) + n * (g * n).mean(axis=0))


# %% 05.5: one thing is changed: something stands inside of mean that belongs outside
def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.mean(0) - (n * g * n).mean(0))
