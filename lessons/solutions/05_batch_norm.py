# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 5. Each cell stands in place of the exercise cell of the same number."""

# %% 05.1
# Exercise 05.1


def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    var = ((x - mean) ** 2).mean(axis=axes)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


# %% 05.2
# Exercise 05.2


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


# %% 05.3
# Exercise 05.3


def update_running(mean, var, x, momentum=0.1):
    axes = tuple(range(x.ndim - 1))
    new = np.stack([x.mean(axis=axes), x.var(axis=axes, ddof=1)])
    return (1 - momentum) * np.stack([mean, var]) + momentum * new


# %% 05.4
# Exercise 05.4


def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, beta - mean * scale


# %% 05.5
# Challenge 05.5


def short_gradient(g, n, std, gamma):
    return gamma / std * (g - g.mean(axis=0) - n * (g * n).mean(axis=0))
