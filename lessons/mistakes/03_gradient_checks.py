# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 3. A heading holds the exercise, and what check() must say about the cell."""


# %% 03.1: the cotangent plays no part


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = (function(up).sum() - function(down).sum()) / (2 * h)
    return result


# %% 03.1: divide by (2 * h)


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / h
    return result


# %% 03.1: only one side was moved


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: down minus up


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(down)).sum() - (cotangent * function(up)).sum()) / (2 * h)
    return result


# %% 03.1: a forward difference


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / h
    return result


# %% 03.1: were not put back


def slopes(function, x, cotangent, h=1e-5):
    result, up, down = np.empty(x.shape), x.copy(), x.copy()
    for place in np.ndindex(x.shape):
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: the exercise is not done yet, or the last line


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)


# %% 03.2: no room for an imaginary part


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / h
    return result


# %% 03.2: take .imag, not .real


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).real).sum() / h
    return result


# %% 03.2: all slopes are 0


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum()
    return result


# %% 03.2: nudged by a real 1e-20


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += h
        result[place] = (cotangent * function(moved).imag).sum() / h
    return result


# %% 03.2: h is too large


def complex_slopes(function, x, cotangent, h=1e-20):
    h = 1e-4
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / h
    return result


# %% 03.2: the cotangent plays no part


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = function(moved).imag.sum() / h
    return result


# %% 03.2: nothing to halve


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / (2 * h)
    return result


# %% 03.3: a smooth curve that bends strongly


def is_kink(function, x, h=1e-3):
    left = (function(x) - function(x - h)) / h
    right = (function(x + h) - function(x)) / h
    return abs(right - left) > 0.1


# %% 03.3: the kink is faint


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 0.1


# %% 03.3: slope 0 to the left


def is_kink(function, x, h=1e-3):
    return False


# %% 03.3: a kink far away


def is_kink(function, x, h=1e-3):
    return True


# %% 03.3: the difference is only rounding


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h)


# %% 03.3: use abs()


def is_kink(function, x, h=1e-3):
    def difference(h):
        return (function(x + h) - 2 * function(x) + function(x - h)) / h

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: True or False is asked for


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2)


# %% 03.4: depends on its OWN input


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (g * (self.y - self.y**2),)


# %% 03.4: one s for the whole array


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum()
        return (self.y * (g - s),)


# %% 03.4: a row runs along axis 1


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=0)
        return (self.y * (g - s),)


# %% 03.4: each g counts by its share


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = g.sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: with the wrong sign


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (s - g),)


# %% 03.4: the factor y in front is missing


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (g - s,)


# %% 03.4: a tuple, one gradient per input


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return self.y * (g - s)


# %% 03.4: float64 came out


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e * np.float64(1) / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)
