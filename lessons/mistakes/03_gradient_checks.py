# ruff: noqa: F811, F821, RET503  (the notebook defines the other names)
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


# %% 03.1: from x - h to x + h the distance is 2 * h


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / h
    return result


# %% 03.1: only one side was moved, but the distance is taken as 2 * h


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: down minus up, or a step in the other direction


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(down)).sum() - (cotangent * function(up)).sum()) / (2 * h)
    return result


# %% 03.1: a forward difference has an error of about h, a central one of about h * h; and with a


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / h
    return result


# %% 03.1: the elements moved before were not put back


def slopes(function, x, cotangent, h=1e-5):
    result, up, down = np.empty(x.shape), x.copy(), x.copy()
    for place in np.ndindex(x.shape):
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: the exercise is not done yet, or the last line computes the result but does not return it


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)


# %% 03.1: one thing is changed: `h` is missing


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / 2
    return result


# %% 03.1: the cotangent came in after the sum, so all outputs have the same weight


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = (cotangent * (function(up).sum() - function(down).sum()) / (2 * h)).sum()
    return result


# %% 03.1: the function works in place: += or [...] = on an input, or a view of it, changes the


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        old = x[place]
        x[place] = old + h
        up = (cotangent * function(x)).sum()
        x[place] = old - h
        down = (cotangent * function(x)).sum()
        result[place] = (up - down) / (2 * h)
    return result


# %% 03.1: a value of the function itself was divided by h, not a difference, or not the part with


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() + (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: @ is the matrix product; here every output has a weight of its own


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent @ function(up)).sum() - (cotangent @ function(down)).sum()) / (2 * h)
    return result


# %% 03.1: the function returns in the first turn of the loop


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
        return result


# %% 03.1: the result is an array of integers


def slopes(function, x, cotangent, h=1e-5):
    result = np.zeros(x.shape, int)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: arithmetic with another dtype changes it, and nobody says so


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape, np.float32)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: the numbers are right and in the right order, but cut into another shape


def slopes(function, x, cotangent, h=1e-5):
    result = []
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result.append(((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h))
    return np.array(result)


# %% 03.1: the whole array was nudged, not one element; or each slope was added to the whole result


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up += h
        down -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: it came in twice


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent**2 * function(up)).sum() - (cotangent**2 * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: the nudge was h * x, not h


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] *= 1 + h
        down[place] *= 1 - h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: values are right


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = (cotangent * (function(up) - function(down)) / (2 * h))[0, 0]
    return result


# %% 03.1: an array or list is asked for an element that it does not have


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(cotangent.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: an absolute value was taken


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((abs(cotangent) * function(up)).sum() - (abs(cotangent) * function(down)).sum()) / (2 * h)
    return result


# %% 03.1: an axis is lost


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result.sum()


# %% 03.1: the numbers are right, but the axes are in another order


def slopes(function, x, cotangent, h=1e-5):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        result[place] = ((cotangent * function(up)).sum() - (cotangent * function(down)).sum()) / (2 * h)
    return result.T


# %% 03.2: an array of float64 has no room


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / h
    return result


# %% 03.2: a value of the function itself was divided by h, not a difference, or not the part with


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).real).sum() / h
    return result


# %% 03.2: h is too large, so that the next terms of the series are in the result; or the arithmetic


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


# %% 03.2: there is only one side here, so nothing to halve


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved).imag).sum() / (2 * h)
    return result


# %% 03.2: a slope is a real number; it stands in one part of the complex result


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape, complex)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved)).sum() / h
    return result


# %% 03.2: the elements moved before were not put back


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    moved = x.astype(complex)
    for place in np.ndindex(x.shape):
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved)).sum().imag / h
    return result


# %% 03.2: the whole array was nudged, not one element; or each slope was added to the whole result


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved += 1j * h
        result[place] = (cotangent * function(moved)).sum().imag / h
    return result


# %% 03.2: down minus up, or a step in the other direction


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved)).sum().conj().imag / h
    return result


# %% 03.2: the function returns in the first turn of the loop


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved)).sum().imag / h
        return result


# %% 03.2: the element was replaced by the nudge; the nudge is to be added


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] = 1j * h
        result[place] = (cotangent * function(moved)).sum().imag / h
    return result


# %% 03.2: the others are treated in another way, or not at all: one slice, branch, sign, border or


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * function(moved)).imag[0, 0] / h
    return result


# %% 03.2: the nudge was h * x, not h


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h * x[place]
        result[place] = (cotangent * function(moved)).sum().imag / h
    return result


# %% 03.2: it came in twice


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = (cotangent * cotangent * function(moved)).sum().imag / h
    return result


# %% 03.2: an absolute value was taken


def complex_slopes(function, x, cotangent, h=1e-20):
    result = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1j * h
        result[place] = abs((cotangent * function(moved)).sum().imag) / h
    return result


# %% 03.3: a smooth curve that bends strongly; with half the step the difference halves


def is_kink(function, x, h=1e-3):
    left = (function(x) - function(x - h)) / h
    right = (function(x + h) - function(x)) / h
    return abs(right - left) > 0.1


# %% 03.3: the kink is faint, but halving the step does not shrink the difference


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 0.1


# %% 03.3: it says False of every function


def is_kink(function, x, h=1e-3):
    return False


# %% 03.3: it says True of every function


def is_kink(function, x, h=1e-3):
    return True


# %% 03.3: a straight line: the difference is only rounding, and rounding does not halve


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h)


# %% 03.3: the slope falls here, so the difference is negative; its size counts


def is_kink(function, x, h=1e-3):
    def difference(h):
        return (function(x + h) - 2 * function(x) + function(x - h)) / h

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: True or False is asked for


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2)


# %% 03.3: a smooth curve that bends strongly; with half the step the difference halves


def is_kink(function, x, h=1e-3):
    return abs((function(x + h) - function(x)) / h - (function(x) - function(x - h)) / h) > 0.1


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.5 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: a straight line: the difference is only rounding, and rounding does not halve


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h)


# %% 03.3: the slope falls here, so the difference is negative; its size counts


def is_kink(function, x, h=1e-3):
    def difference(h):
        return (function(x + h) - 2 * function(x) + function(x - h)) / h

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: slope 0 to the left, slope 1 to the right


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) < 0.75 * difference(h)


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) or difference(h / 2) > 1e-6


# %% 03.3: the kink is faint, but halving the step does not shrink the difference


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 0.1


# %% 03.3: True or False is asked for


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) / difference(h)


# %% 03.3: it bends, and it has a kink on top


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) == difference(h) and difference(h) > 1e-6


# %% 03.3: a kink far away does no harm


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return bool(np.isclose(difference(h / 2), difference(h)))


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(2 * h) > 0.75 * difference(h) and difference(h) > 1e-6


# %% 03.3: slope 0 to the left, slope 1 to the right


def is_kink(function, x, h=1e-3):
    a = (function(x + h) - function(x - h)) / (2 * h)
    b = (function(x + h / 2) - function(x - h / 2)) / h
    return abs(a - b) > 1e-6


# %% 03.3: it says True of every function


def is_kink(function, x, h=1e-3):
    return True


# %% 03.3: it says False of every function


def is_kink(function, x, h=1e-3):
    return False


# %% 03.3: it looks to one side of x only, and a kink is a difference between two sides


def is_kink(function, x, h=1e-3):
    return function(x) == 0


# %% 03.3: it says False of every function


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs(function(x + h) - 2 * function(x) + function(x - h))

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: slope 0 to the left, slope 1 to the right


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs(function(x + h) - 2 * function(x) + function(x - h))

    return difference(h / 2) > 0.75 * difference(h)


# %% 03.3: a straight line: the difference is only rounding, and rounding does not halve


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) / difference(h) > 0.75 and difference(h / 2) > 1e-6


# %% 03.3: a straight line: the difference is only rounding, and rounding does not halve


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-16


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h) > 0.75 * difference(h) and difference(h) > 1e-6


# %% 03.3: a kink far away does no harm


def is_kink(function, x, h=1e-3):
    left = (function(x) - function(x - h)) / h
    right = (function(x + h) - function(x)) / h
    return left != right


# %% 03.3: the exercise is not done yet, or the last line computes the result but does not return it


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    print(difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6)


# %% 03.3: True or False is asked for


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return "kink" if difference(h / 2) > 0.75 * difference(h) else "smooth"


# %% 03.3: a smooth curve that bends strongly; with half the step the difference halves


def is_kink(function, x, h=1e-3):
    left = (function(x) - function(x - h)) / h
    right = (function(x + h) - function(x)) / h
    return abs(left - right) > 0.1 * (abs(left) + abs(right))


# %% 03.3: a smooth curve that bends strongly; with half the step the difference halves


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h) > 0.01


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h) > 1e-6


# %% 03.3: True or False is asked for


def is_kink(function, x, h=1e-3):
    left = (function(x) - function(x - h)) / h
    right = (function(x + h) - function(x)) / h
    return right - left


# %% 03.3: True and False are the wrong way round


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return not (difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-6)


# %% 03.3: a smooth curve: its difference of slopes halves with h, since it is the bend times h


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.25 * difference(h) and difference(h / 2) > 1e-6


# %% 03.3: the kink is faint, but halving the step does not shrink the difference


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return difference(h / 2) > 0.75 * difference(h) and difference(h / 2) > 1e-1


# %% 03.3: slope 0 to the left, slope 1 to the right


def is_kink(function, x, h=1e-3):
    def difference(h):
        return abs((function(x + h) - 2 * function(x) + function(x - h)) / h)

    return (function(x + h) - function(x - h)) / (2 * h) == 0


# %% 03.4: this is how each output depends on its OWN input. But a larger input also makes the sum


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (g * (self.y - self.y**2),)


# %% 03.4: rows have nothing to do with each other, so each needs its own sum


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum()
        return (self.y * (g - s),)


# %% 03.4: in the sum each g counts by its share y


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = g.sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: a difference is the wrong way round


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


# %% 03.4: it returns a tuple with one gradient for each input, and there is one input


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return self.y * (g - s)


# %% 03.4: check_op found this


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e * np.float64(1) / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: the sum over a row has lost its axis, so it does not line up with the rows


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1)
        return (self.y * (g - s),)


# %% 03.4: the sum of y is always 1; it is g * y that is summed


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = self.y.sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: g and y are exchanged


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (g * (self.y - s),)


# %% 03.4: the other outputs become smaller, so their share is subtracted


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g + s),)


# %% 03.4: the chain rule adds; nothing is divided


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).mean(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: it looks as if the sum were a constant; but a larger input makes it larger


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (g * self.y,)


# %% 03.4: that passes a check with a seed of ones, and only that


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (xp.zeros_like(g),)


# %% 03.4: the factor y belongs to both terms


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * g - s,)


# %% 03.4: one factor y too many


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * self.y * (g - s),)


# %% 03.4: the function works in place: += or [...] = on an input, or a view of it, changes the


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        g -= s
        g *= self.y
        return (g,)


# %% 03.4: forward was changed


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return xp.log(self.y)

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: in forward, each row is to sum to 1


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum()
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: the input is in place of the result y


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.x).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: the incoming gradient is missing in the second term


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (self.y * g - self.y * self.y,)


# %% 03.4: g plays no part, and neither do the other outputs of the row


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (self.y * (1 - self.y),)


# %% 03.4: the other outputs count by g_i * y_i, each of them


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (g * self.y * (1 - self.y) - self.y * self.y,)


# %% 03.4: s appears once, in the difference


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s) * s,)


# %% 03.4: one factor y too many in the sum


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: one thing is changed: a part counts half, twice or with the wrong sign


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (self.y * (g - s) / 2,)


# %% 03.4: the factor y is missing in the first term


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        return (g - self.y * s,)


# %% 03.4: the outputs of a ROW share a sum


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=-2, keepdims=True)
        return (self.y * (g - s),)


# %% 03.4: the exercise is not done yet, or the last line computes the result but does not return it


class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        s = (g * self.y).sum(axis=1, keepdims=True)
        self.result = self.y * (g - s)


# %% 03.4: one thing is changed: `g` is missing
class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (-self.y * (g * self.y).sum(axis=1, keepdims=True),)


# %% 03.5: exp of 800 is more than a float holds, and exp of -1600 is 0, whose logarithm is


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.e = xp.exp(x)
        return xp.log(self.e.sum(axis=1))

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: what was subtracted inside has to come back outside


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1))

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: g has one number for each ROW, and lines up with the columns


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: g plays no part


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: the sum runs over the wrong axis


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=0, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=0)) + top[0]

    def backward(self, xp, g):
        return (g * self.e / self.e.sum(axis=0, keepdims=True),)


# %% 03.5: each row has its own sum


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(),)


# %% 03.5: the derivative of the logarithm is missing: 1 / (the sum)


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e,)


# %% 03.5: the inner derivative is missing: exp(x) itself


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] / self.e.sum(axis=1, keepdims=True) * xp.ones_like(self.e),)


# %% 03.5: this op returns one number for a row


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        y = self.e / self.e.sum(axis=1, keepdims=True)
        return (g[:, None] * y * (1 - y),)


# %% 03.5: it returns a tuple with one gradient for each input, and there is one input


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return g[:, None] * self.e / self.e.sum(axis=1, keepdims=True)


# %% 03.5: first the sum of the exponentials, then the logarithm


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.e = xp.exp(x)
        return xp.log(self.e).sum(axis=1)

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: each row has its own


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.e = xp.exp(x - x.max())
        return xp.log(self.e.sum()) + x.max()

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: the function works in place: += or [...] = on an input, or a view of it, changes the


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        x -= top
        self.e = xp.exp(x)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: log is the natural one


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log10(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: check_op found this


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp((x - top).astype(np.float64))
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: it is to come back once


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + 2 * top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: the sum is wanted


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.mean(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: it comes before the largest value


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return self.e.sum(axis=1) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: what was taken out inside is added outside


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) - top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: there is an axis too many


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return self.e / self.e.sum(axis=1, keepdims=True)

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: that is the slope of the maximum; every value has a share in the sum of exponentials


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * (self.e == 1),)


# %% 03.5: x appears only as exp(x)


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * xp.log(self.e),)


# %% 03.5: one number was computed for the whole array, or everything was cut off at the same border


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.e = xp.exp(xp.minimum(x, 700))
        return xp.log(self.e.sum(axis=1))

    def backward(self, xp, g):
        return (g[:, None] * self.e / self.e.sum(axis=1, keepdims=True),)


# %% 03.5: that is the slope of a plain sum; the exponential and the logarithm have slopes, too


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g[:, None] * xp.ones_like(self.e),)


# %% 03.5: g has one number for each row, and a row gets its own


class LogSumExp(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        top = x.max(axis=1, keepdims=True)
        self.e = xp.exp(x - top)
        return xp.log(self.e.sum(axis=1)) + top[:, 0]

    def backward(self, xp, g):
        return (g.sum() * self.e / self.e.sum(axis=1, keepdims=True),)
