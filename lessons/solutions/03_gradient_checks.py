# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 3. Each cell stands in place of the exercise cell of the same number."""

# %% 03.1
# Exercise 03.1


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.2
# Exercise 03.2


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / h
    return result


# %% 03.3
# Exercise 03.3


def is_kink(function, x, h=1e-3):
    def difference(h):
        left = (function(x) - function(x - h)) / h
        right = (function(x + h) - function(x)) / h
        return abs(right - left)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6


# %% 03.4
# Exercise 03.4


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.5
# Challenge 03.5


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        self.total = self.e.sum(axis=1, keepdims=True)
        return (xp.log(self.total) + top)[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.total,)
