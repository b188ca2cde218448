# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 3: How a gradient check lies
#
# *45 to 60 minutes for you. The whole notebook runs in about 5 seconds on two cores and downloads
# nothing.*
#
# A wrong gradient gives no error message. The network still trains, only worse. You look for the fault in
# the data, in the learning rate, in yourself. So every gradient must be checked by something that does
# not believe it.
#
# The check seems easy: nudge a number, see how the result moves, compare. But this check lies in four
# ways. Well-known teaching libraries have fallen for the first one: in one of them 28 of 38 operations
# could ignore the incoming gradient, and all its tests stayed green. In this lesson you see each lie, and
# the cure for it. Then you plant bugs, and at the end a picture shows which check catches which: the usual one,
# the two that you will have written, and tinyhpe's own.

# %%
import inspect
import textwrap
import time

import matplotlib.pyplot as plt
import numpy as np
from checks import check

from tinyhpe import Tensor
from tinyhpe.checks import all_ops, check_op
from tinyhpe.gradcheck import GradientError, derivative, finite_differences, gradcheck
from tinyhpe.ops import relu
from tinyhpe.tensor import Op, Sample, apply

# %% [markdown]
# ## 1. How far to nudge?
#
# The slope of $f$ at $x$ is a limit as $h$ goes to 0. Two quotients go there, the *forward difference* and the
# *central difference*, which looks to both sides:
#
# $$\frac{f(x + h) - f(x)}{h} \qquad\qquad \frac{f(x + h) - f(x - h)}{2h}$$
#
# A computer cannot go to the limit, so we have to choose $h$. We try $\tanh$ at 0.7, where the slope is known.

# %%
x = 0.7
exact = 1 - np.tanh(x) ** 2
print("       h     forward error  central error")
for h in (1e-1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13):
    forward = (np.tanh(x + h) - np.tanh(x)) / h
    central = (np.tanh(x + h) - np.tanh(x - h)) / (2 * h)
    print(f"{h:8.0e} {abs(forward - exact):17.1e} {abs(central - exact):14.1e}")

# %% [markdown]
# Smaller is better, but only up to a point. Then it gets worse again. Two errors fight here.
#
# - **Truncation.** The curve is not a straight line. This error is about `h` for the forward and `h * h`
#   for the central difference. It wants a small `h`.
# - **Rounding.** A float64 has about 16 digits, a float32 about 7. `f(x + h)` and `f(x - h)` agree in
#   most of them. The subtraction removes the digits that agree and leaves those that are noise. Then the
#   noise is divided by `h`. This error wants a large `h`.
#
# Here is the whole fight, for both kinds of number.


# %%
def central_error(h, dtype):
    """Relative error of the central difference of tanh at 0.7, all numbers of one dtype."""
    x, h = dtype(0.7), dtype(h)
    slope = (np.tanh(x + h) - np.tanh(x - h)) / (2 * h)
    return abs(float(slope) / (1 - np.tanh(float(x)) ** 2) - 1)


steps = np.logspace(-15, 0, 200)
fig, ax = plt.subplots(figsize=(8, 4.2))
for dtype, color in ((np.float32, "tab:red"), (np.float64, "tab:blue")):
    usable = [h for h in steps if dtype(0.7) + dtype(h) != dtype(0.7)]
    errors = [max(central_error(h, dtype), 1e-17) for h in usable]
    best = int(np.argmin([np.mean(errors[max(0, i - 5) : i + 6]) for i in range(len(errors))]))
    ax.loglog(usable, errors, ".", ms=4, color=color, label=f"{dtype.__name__}, central difference")
    print(f"{dtype.__name__}: best near h = {usable[best]:.0e}, where the error is about {errors[best]:.0e}")
ax.loglog(steps, steps**2 / 32, "k:", lw=1, label="truncation, h * h")
ax.loglog(steps, 1e-16 / steps, "k--", lw=1, label="rounding, 1 / h")
ax.set(
    xlabel="step h",
    ylabel="relative error of the slope",
    ylim=(1e-17, 10),
    title="The valley of the gradient check",
)
ax.legend()
plt.show()

# %% [markdown]
# Read the picture from right to left. The error falls along `h * h`, reaches a valley, and then climbs
# in a cloud of noise. The valley of float32 is almost six powers of ten higher than that of float64.
# Remember this for section 3.
#
# ## 2. Lie number one: a seed of ones
#
# An operation has many outputs, and a derivative needs a single number. The usual way is to sum all
# outputs. Here is such a checker, by hand.


# %%
def slopes_of_the_sum(function, x, h=1e-5):
    """Central differences of function(x).sum() with respect to each element of x."""
    slopes = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        slopes[place] = (function(up).sum() - function(down).sum()) / (2 * h)
    return slopes


# %% [markdown]
# Now we plant a bug. `ForgetfulSquare` computes x * x. Its `backward` returns the local derivative `2 * x`
# and forgets to multiply it by the incoming gradient `g`.
#
# (An `Op` of tinyhpe must bring `samples`: examples to be tested with. You will soon see why.)


# %%
def some_numbers(rng):
    yield Sample((rng.normal(size=(3, 3)),))


class ForgetfulSquare(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        return x * x

    def backward(self, xp, g):
        return (2 * self.x,)


rng = np.random.default_rng(0)
numbers = rng.normal(size=(2, 3))
tensor = Tensor(numbers, requires_grad=True)
apply(ForgetfulSquare(), tensor).sum().backward()
print("largest difference:", np.abs(tensor.grad - slopes_of_the_sum(np.square, numbers)).max())

# %% [markdown]
# The check passes. Of course: behind a sum, every incoming gradient is 1, and a factor of 1 cannot be
# missed. But in a network something else follows, and the incoming gradient is anything but 1.

# %%
tensor = Tensor(numbers, requires_grad=True)
outputs = apply(ForgetfulSquare(), tensor)
(outputs * outputs).sum().backward()
print("in a longer computation:", tensor.grad[0])
print("it should be            ", (4 * numbers**3)[0])

# %% [markdown]
# It gets worse. The outputs of a softmax (lesson 9 uses it) are shares, so they always sum to 1. The
# slope of a constant is 0. With a seed of ones the right gradient is zero everywhere. A `backward` that
# returns nothing but zeros passes, too.
#
# The cure: give each output a **random weight**, and sum then. This weight is called the *cotangent*. It
# is what `backward(cotangent)` starts from.
#
# ### Exercise 03.1: a checker that cannot be fooled
#
# Improve `slopes_of_the_sum`: the number to differentiate is `(cotangent * function(x)).sum()`.


# %%
# Exercise 03.1
def slopes(function, x, cotangent, h=1e-5):
    """Central differences of (cotangent * function(x)).sum() with respect to each element of x."""


# %%
slopes = check("03.1", slopes)

# %% [markdown]
# ## 3. Lie number two: float32
#
# Networks train in float32, so why not check in float32? Let us take one layer, `tanh(photos @ w)`, and
# two gradients of it. One is right. The other is too large by one part in 4,095, as when a mean over the
# 4,096 pixels of a photo divides by 4,095. We check 300 weights, with the best step of each kind of number.


# %%
def errors_of_checks(dtype, bug):
    """Relative errors of 300 checked weights, the gradient multiplied by `bug`."""
    rng = np.random.default_rng(0)
    photos, w, cotangent = (rng.normal(size=s).astype(dtype) for s in [(128, 64), (64, 32), (128, 32)])
    w *= dtype(1 / 8)
    h = dtype(np.finfo(dtype).eps ** (1 / 3))
    tensor = Tensor(photos) @ w
    slope = 1 - np.tanh(tensor.data) ** 2
    gradient = (photos.T @ (cotangent * slope)) * dtype(bug)
    errors = []
    for _ in range(300):
        place = rng.integers(64), rng.integers(32)
        up, down = w.copy(), w.copy()
        up[place] += h
        down[place] -= h
        rise = (cotangent * np.tanh(photos @ up)).sum() - (cotangent * np.tanh(photos @ down)).sum()
        errors.append(abs(float(rise / (2 * h)) / float(gradient[place]) - 1))
    return errors


fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
for ax, dtype in zip(axes, (np.float32, np.float64), strict=True):
    for bug, label in ((1, "right gradient"), (4096 / 4095, "wrong by one part in 4,095")):
        logarithms = np.log10(np.maximum(errors_of_checks(dtype, bug), 1e-16))
        ax.hist(logarithms, bins=np.arange(-13, 0, 0.25), alpha=0.7, label=label)
    ax.set(xlabel="log10 of the relative error", title=f"checked in {dtype.__name__}")
    ax.legend(loc="upper left")
axes[0].set_ylabel("weights")
plt.show()

# %% [markdown]
# In float32 the two hills overlap. No tolerance can tell them apart: either the bug passes, or right
# gradients are refused. One teaching library checks in float32, so it needs a tolerance of 0.005, and
# this bug walks through. In float64 the hills stand some six powers of ten apart.
#
# The cure: check in float64. In tinyhpe every operation works in both, and nothing ever turns one into
# the other silently. That is why the checker may refuse float32.

# %%
try:
    gradcheck(relu, np.ones(3, np.float32))
except TypeError as refusal:
    print(refusal)

# %% [markdown]
# ## 4. The complex step: a check without subtraction
#
# There is a trick that avoids the fight altogether. Nudge `x` not along the number line, but into the
# **imaginary** direction. A Taylor series says
#
# $$f(x + ih) = f(x) + i h f'(x) - \frac{h^2}{2} f''(x) - \ldots \quad\Rightarrow\quad
# f'(x) \approx \frac{\mathrm{Im}\,f(x + ih)}{h}$$
#
# The slope stands alone in the imaginary part. Nothing is subtracted, so nothing is rounded away, and $h$ may be
# absurdly small.

# %%
h = 1e-20
print("central difference with h = 1e-20:", (np.tanh(0.7 + h) - np.tanh(0.7 - h)) / (2 * h))
print("complex step with h = 1e-20:      ", np.tanh(0.7 + 1j * h).imag / h)
print("exact:                            ", exact)

# %% [markdown]
# All 16 digits. The price: every step of `f` has to be *analytic*, a true function of a complex number.
# Sums, products, `exp` and `tanh` are. The absolute value, the maximum and comparisons are not. They give
# a wrong answer without a word:

# %%
print("slope of |x| at 3 by complex step:", np.abs(3 + 1j * h).imag / h, "(it is 1)")

# %% [markdown]
# That is why a `Sample` says whether its operation is analytic there.
#
# ### Exercise 03.2: the complex step for arrays
#
# Write the checker of exercise 03.1 with a complex step.


# %%
# Exercise 03.2
def complex_slopes(function, x, cotangent, h=1e-20):
    """Slopes of (cotangent * function(x)).sum() with respect to each element of x, by complex step."""


# %%
complex_slopes = check("03.2", complex_slopes)

# %% [markdown]
# ## 5. Lie number three: kinks
#
# `relu(x)` is 0 for negative `x` and `x` for positive `x`. At 0 it has a *kink*: the slope is 0 to the
# left and 1 to the right. There is no single slope to compare with. What does the check say there?

# %%
near_zero = np.linspace(-0.25, 0.25, 501)
fig, ax = plt.subplots(figsize=(7, 3.4))
ax.plot(near_zero, near_zero > 0, "k", lw=3, alpha=0.3, label="true slope")
for h in (0.1, 0.02):
    quotient = (np.maximum(near_zero + h, 0) - np.maximum(near_zero - h, 0)) / (2 * h)
    ax.plot(near_zero, quotient, label=f"central difference, h = {h}")
ax.set(xlabel="x", ylabel="slope of relu", title="A kink spoils everything within one step of it")
ax.legend()
plt.show()

# %% [markdown]
# At 0 the check says 0.5, which is neither. And it is wrong in a whole strip of width `2 * h`. A right
# `backward` is called wrong. People then loosen the tolerance until the check is green. From then on it
# finds nothing.
#
# The cure: recognise the kink and say so. Compare the slope to the left with the slope to the right. On a
# smooth curve they differ a little, because the curve bends. **Halve the step, and the difference
# halves.** At a kink it stays.

# %%
for title, function in (("relu", lambda x: max(x, 0.0)), ("1000 * x * x", lambda x: 1000 * x * x)):
    for h in (1e-2, 5e-3, 2.5e-3):
        left, right = (function(0) - function(-h)) / h, (function(h) - function(0)) / h
        print(f"{title:13} h = {h:7}: left {left:6.2f}, right {right:6.2f}, difference {right - left:6.2f}")

# %% [markdown]
# ### Exercise 03.3: a kink detector
#
# Do not use a fixed limit such as "a difference above 0.1 is a kink". The strong bend of `1000 * x * x`
# shows why. But a straight line needs care: there the difference is nothing but rounding, and rounding
# does not halve.


# %%
# Exercise 03.3
def is_kink(function, x, h=1e-3):
    """Whether `function` (a number to a number) has a kink at x."""


# %%
is_kink = check("03.3", is_kink)

# %% [markdown]
# ## 6. The library's checker
#
# Here is the heart of tinyhpe's checker. Find your kink detector. Two things are new. A very steep curve
# looks like a kink until `h` is small enough: the loop halves `h` until the slopes agree. And in the last
# line: with `h` the error of the central difference is 4 times that with `h / 2`. So in `4 * narrow - wide`
# the two errors cancel. This is *Richardson extrapolation*.

# %%
print(inspect.getsource(derivative))

# %% [markdown]
# Does it agree with ours? And is it better?

# %%
inputs, ones = np.random.default_rng(1).normal(size=(4, 5)), np.ones((4, 5))
by_hand = slopes_of_the_sum(np.tanh, inputs)
by_library = finite_differences(lambda arrays: np.tanh(arrays[0]), [inputs], 0, ones)
truth = 1 - np.tanh(inputs) ** 2
print(f"hand and library differ by at most {np.abs(by_hand - by_library).max():.0e}")
print(f"error by hand      {np.abs(by_hand - truth).max():.0e}")
print(f"error of gradcheck {np.abs(by_library - truth).max():.0e}")

# %% [markdown]
# They agree. The library is not faster: it evaluates at least five times where we evaluate twice. It spends the
# time on accuracy, and on refusing kinks.
#
# ## 7. Planted bugs
#
# Now we act as our own enemy. `ForgetfulSquare` was the first of six operations. Here are the others: four have
# a bug that somebody has really made, and in the last one only the sample is bad. Read them before you guess.


# %%
def two_matrices(rng):
    yield Sample((rng.normal(size=(3, 3)), rng.normal(size=(3, 3))))


class TwistedMatMul(Op):  # the gradient of b is transposed; with square matrices no shape complains
    samples = staticmethod(two_matrices)

    def forward(self, xp, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, xp, g):
        return g @ self.b.T, g.T @ self.a


class DoubledExp(Op):  # somebody added the same path twice
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.y = xp.exp(x)
        return self.y

    def backward(self, xp, g):
        return (g * self.y + g * self.y,)


class AddBias(Op):  # the bias was used in every row, and the gradient is not summed back
    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(4, 3)), rng.normal(size=3)))

    def forward(self, xp, x, bias):
        return x + bias

    def backward(self, xp, g):
        return g, g


class DriftingScale(Op):  # np.sqrt gives a float64, which turns float32 into float64
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        return x / np.sqrt(64)

    def backward(self, xp, g):
        return (g / np.sqrt(64),)


class KinkedSample(Op):  # nothing wrong here, but the sample lies on the kink
    @staticmethod
    def samples(rng):
        yield Sample((np.array([-1.0, 0.0, 2.0]),), analytic=False)

    def forward(self, xp, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, xp, g):
        return (g * self.mask,)


# %%
# Predict
my_ones = None  # your guess, a number: how many of the six does a check with a seed of ones judge rightly?
my_library = None  # your guess, a number: and how many does tinyhpe's check_op stop?

# %%
planted = [ForgetfulSquare, TwistedMatMul, DoubledExp, AddBias, DriftingScale, KinkedSample]
stopped = 0
for op_class in planted:
    try:
        check_op(op_class)
        print(f"{op_class.__name__}: nothing found")
    except (GradientError, ValueError) as report:
        stopped += 1
        print(*(textwrap.fill(line, 100) for line in str(report).splitlines()), sep="\n", end="\n\n")
check.reveal(my_library, stopped)

# %% [markdown]
# All six are stopped, each for its own reason. Take the first report and read it slowly.
#
# - *the gradient of input 0 is wrong at element ...*: which input, and where the error is largest. Work out
#   this one element by hand, and you have the bug.
# - *got ..., expected ... by central differences*: both numbers, and who the witness is.
# - *9 of 9 elements differ*: all of them, so the formula is wrong. If only a few differ, look for an edge,
#   an index, a special case.
# - *hint*: the checker compares the wrong gradient with the usual mistakes. It found one that is the same
#   whatever comes in.
#
# In the report on `KinkedSample`, the slopes are those of relu times the random cotangent of that element.
# `AddBias` was stopped even earlier, by the tape itself: a gradient must have the shape of its tensor.
#
# ## 8. All operations at once
#
# Every class derived from `Op` enters a register, ours too. A class without `samples` is refused. So one
# loop can check everything that there is, and nobody can forget to write a test.

# %%
start, verdicts = time.perf_counter(), {}
for name, op_class in all_ops().items():
    try:
        check_op(op_class)
        verdicts[name] = "right"
    except (GradientError, ValueError):
        verdicts[name] = "WRONG"
wrong = [name for name, verdict in verdicts.items() if verdict == "WRONG"]
print(f"{len(verdicts)} operations checked in {time.perf_counter() - start:.1f} s")
print(f"right: {len(verdicts) - len(wrong)}; wrong: {', '.join(wrong)}")

# %% [markdown]
# All of the library's operations pass, and all that we planted are caught.
#
# ## 9. Lie number four: right gradient, wrong function
#
# One thing no gradient check can see. `HalfMean` should give the mean of each row. It divides by the wrong
# number, in `forward` **and** in `backward`. The gradient is perfectly right, for the wrong function.


# %%
class HalfMean(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        self.x = x
        return x.sum(axis=1) / (x.shape[1] - 1)

    def backward(self, xp, g):
        return (xp.repeat(g[:, None], self.x.shape[1], axis=1) / (self.x.shape[1] - 1),)


check_op(HalfMean)
rows = np.array([[1.0, 2.0, 3.0]])
print("gradient check passed; the mean of 1, 2, 3 is", apply(HalfMean(), Tensor(rows)).item())

# %% [markdown]
# The cure is a second opinion on the **value**. In tinyhpe the operations in `ops/` are formulas in their
# plainest form. The slow ones have *quicker ways* beside them, in `fast/`. `check_op(op, way)` compares value
# and gradient of both. Lesson 4 builds the first pair.
#
# ## 10. Payoff: who catches what
#
# Four checks, seven operations. The first check is the usual one, with a seed of ones. The next two are yours,
# where they were right. Green is a right judgement, red a wrong one: a bug that passes, or a right operation
# that is called wrong. Where is each check blind?


# %%
def judge_by(checker, ones, op_class):
    """Whether all gradients of an operation's first sample agree with what a checker of ours says."""
    rng = np.random.default_rng(5)
    inputs = list(next(iter(op_class.samples(rng))).inputs)
    op = op_class()
    op.needs = [True] * len(inputs)
    output = op.forward(np, *inputs)
    cotangent = np.ones_like(output) if ones else rng.normal(size=output.shape)
    for i, gradient in enumerate(op.backward(np, cotangent)):

        def function(x, i=i):
            return op_class().forward(np, *inputs[:i], x, *inputs[i + 1 :])

        expected = checker(function, inputs[i], cotangent)
        if gradient.shape != expected.shape or not np.allclose(gradient, expected, 1e-4):
            return "wrong"
    return "right"


def judge_by_library(op_class):
    try:
        check_op(op_class)
    except (GradientError, ValueError) as report:
        return "bad sample" if "kink" in str(report) else "wrong"
    return "right"


judges = {
    "seed of ones": lambda op_class: judge_by(lambda f, x, g: slopes_of_the_sum(f, x), True, op_class),
    "slopes (yours)": lambda op_class: judge_by(slopes, False, op_class),
    "complex_slopes (yours)": lambda op_class: judge_by(complex_slopes, False, op_class),
    "check_op": judge_by_library,
}
truth = dict.fromkeys(planted, ("wrong",)) | {KinkedSample: ("right", "bad sample"), HalfMean: ("wrong",)}
fig, ax = plt.subplots(figsize=(9, 4.6))
for row, (op_class, accepted) in enumerate(truth.items()):
    for column, judge in enumerate(judges.values()):
        says = judge(op_class)
        ax.add_patch(plt.Rectangle((column, row), 1, 1, fc="#bfe5bf" if says in accepted else "#f2b8b5", ec="w"))
        ax.text(column + 0.5, row + 0.5, f"says: {says}", ha="center", va="center", fontsize=9)
ax.set(xlim=(0, len(judges)), ylim=(len(truth), 0), title="Seven operations before four judges")
ax.set_xticks(np.arange(len(judges)) + 0.5, judges)
ax.set_yticks(np.arange(len(truth)) + 0.5, [op_class.__name__ for op_class in truth])
ax.tick_params(length=0)
plt.show()
check.reveal(my_ones, sum(judges["seed of ones"](op_class) in truth[op_class] for op_class in planted))

# %% [markdown]
# Your checks catch what ones cannot. Only the library's sees the drifting dtype and the bad sample. The last row
# is red all along: nobody who looks at gradients alone can see it. Hang the picture beside your desk.
#
# ### Exercise 03.4: repair an operation
#
# The softmax of a row is $y_i = e^{x_i} / \sum_k e^{x_k}$. The `backward` below is what most people write first.
# But each output depends on **every** input of its row:
#
# $$\frac{\partial y_i}{\partial x_j} = y_i\,(1 - y_i) \;\text{ if } i = j, \qquad -\,y_i\,y_j \;\text{ else.}$$
#
# Call `check_op(Softmax)` in a cell of its own, and read the report. Then sum $g_i\,\partial y_i / \partial x_j$
# over all outputs $i$, on paper, and repair it. One sum per row is enough.


# %%
# Exercise 03.4
class Softmax(Op):
    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        e = xp.exp(x)
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, xp, g):
        return (g * self.y * (1 - self.y),)


# %%
Softmax = check("03.4", Softmax)

# %% [markdown]
# ### Challenge 03.5: a whole operation
#
# No hints. For each row of `x`, of shape (N, C), compute $\log \sum_k e^{x_k}$: shape (N,). This is half of the
# loss that classifiers use. It has to be right for values of 800 and of -800, too, where `exp` alone is not. Write
# `forward` and `backward`; `check_op` has the last word.


# %%
# Challenge 03.5
class LogSumExp(Op):
    """(N, C) -> (N,): the logarithm of the sum of exp over each row, without overflow."""

    samples = staticmethod(some_numbers)

    def forward(self, xp, x):
        """Return an array (N,), and keep what backward needs."""

    def backward(self, xp, g):
        """g has the shape (N,). Return a tuple with the gradient of x."""


# %%
LogSumExp = check("03.5", LogSumExp)

# %% [markdown]
# ## What to remember
#
# - Use a **random cotangent**. With ones, an operation may ignore what comes in.
# - Check in **float64**. In float32 small bugs drown in rounding.
# - The **complex step** is exact, where the function is analytic.
# - At a **kink** there is nothing to compare. Say so, and move the sample.
# - A gradient check proves that the gradient fits the function. Whether it is the right function, a
#   **plainer form** must say.
#
# From now on every operation that you write in this course goes through `check_op` first.
