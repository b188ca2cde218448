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
# # Lesson 2: Autograd from nothing
#
# *45 to 60 minutes for you. The whole notebook runs in about 5 seconds on two cores and downloads
# nothing.*
#
# A network learns by one question, asked again and again: if I change this number a little, how much
# does the error change? The answer is a derivative. A network has thousands of numbers, so nobody works
# the derivatives out on paper. A program does it, and it is called **autograd**.
#
# You will write it twice. First with *closures*: 25 lines, which show the idea. Then with *classes*: a
# few lines more, and two problems fewer. Then you open tinyhpe's own source and know its lines. At the end
# your own optimizer rolls down a ravine in which plain gradient descent gets stuck.

# %%
import gc
import inspect
import time
import weakref

import matplotlib.pyplot as plt
import numpy as np
from checks import check
from pictures import draw_graph

from tinyhpe import Tensor, ops
from tinyhpe.heads import render_head
from tinyhpe.ops.elementwise import Multiply as LibraryMultiply
from tinyhpe.tensor import backward_order

# %% [markdown]
# ## 1. One derivative, by nudging
#
# Take the smallest possible model of a head pose. It knows one number about a photo, `x`: how far the
# nose lies to the side, in tenths of the face's height. It predicts the yaw angle as `w * x + b`. The
# true yaw is known. The loss is the squared error.
#
# How does the loss depend on `w`? Nudge `w` a little and look.


# %%
def loss_of(w, b, x=2.0, yaw=30.0):
    error = w * x + b - yaw
    return error * error


nudge = 1e-6
slope_w = (loss_of(10.0 + nudge, 1.0) - loss_of(10.0 - nudge, 1.0)) / (2 * nudge)
slope_b = (loss_of(10.0, 1.0 + nudge) - loss_of(10.0, 1.0 - nudge)) / (2 * nudge)
print(f"loss {loss_of(10.0, 1.0):.1f}; slope in w {slope_w:.4f}, slope in b {slope_b:.4f}")

# %% [markdown]
# The slopes are negative: a larger `w` or `b` would make the loss smaller. That is all we need for
# learning. But two evaluations for each number are too many. A small ResNet has 700,000 numbers.
#
# The chain rule does better. It starts at the loss $L$ and walks back. If `a` goes into `out`, then
#
# $$\frac{dL}{da} = \frac{dL}{d\,out} \cdot \frac{d\,out}{da}.$$
#
# The first factor is what comes in from behind, the *gradient* of `out`. The second is the *local derivative* of
# this one step, and that is school mathematics. **One** walk gives the slope for **every** number.
#
# ## 2. With closures
#
# Each `Value` holds one number. It also remembers which values went in, and a function `push`. When
# `push` is called, it hands this value's gradient on to the inputs, multiplied by the local derivative.
#
# For `out = a + b` both local derivatives are 1. For `out = a * b` the derivative with respect to `a` is
# `b`, and the other way round.


# %%
class Value:
    """One number, and how it was made."""

    def __init__(self, data, inputs=(), name=""):
        self.data, self.inputs, self.name = data, inputs, name
        self.grad = 0.0
        self.push = lambda: None  # a number that nobody computed has nothing to hand on

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other), "+")

        def push():
            self.grad += out.grad
            other.grad += out.grad

        out.push = push
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other), "*")

        def push():
            self.grad += out.grad * other.data
            other.grad += out.grad * self.data

        out.push = push
        return out


# %% [markdown]
# `push` is a *closure*: it remembers `self`, `other` and `out` from the moment when it was made.
#
# Now the walk. A value may push only when its own gradient is complete. So all that it went into must
# come first. `order_by_recursion` lists every value after its inputs. Read backwards, the list is the
# right order.


# %%
def order_by_recursion(output):
    """All values behind `output`, each one after its inputs."""
    order, seen = [], set()

    def visit(value):
        if value not in seen:
            seen.add(value)
            for source in value.inputs:
                visit(source)
            order.append(value)

    visit(output)
    return order


def backward(output):
    output.grad = 1.0  # the slope of a number with respect to itself
    for value in reversed(order_by_recursion(output)):
        value.push()


w, b = Value(10.0, name="w"), Value(1.0, name="b")
x, minus_yaw = Value(2.0, name="x"), Value(-30.0, name="-yaw")
error = w * x + b + minus_yaw
loss = error * error
backward(loss)
print(f"loss {loss.data}; slope in w {w.grad}, slope in b {b.grad}")

# %% [markdown]
# The same slopes, without a single nudge. Look at the graph. Each box is a `Value`, an arrow goes from
# an input to a result. The upper number is the data, which flows to the right. The lower number is the
# gradient, which flows to the left.

# %%
draw_graph(loss)
plt.show()

# %% [markdown]
# ## 3. Why `+=`
#
# `error` goes into the product twice, so two arrows leave it, and its gradient is the sum over both:
# -9 + -9 = -18. This is a rule: **a value that is used several times gets the sum of what comes back.**
#
# Here is what happens if `push` writes `=` where `+=` belongs.


# %%
class Careless(Value):
    def __mul__(self, other):
        out = Careless(self.data * other.data, (self, other))

        def push():
            self.grad = out.grad * other.data
            other.grad = out.grad * self.data

        out.push = push
        return out


for kind in (Value, Careless):
    error = kind(-9.0)
    backward(error * error)
    print(f"{kind.__name__:8}: the gradient of error * error at -9 is {error.grad}")

# %% [markdown]
# Half of the truth, and no message at all. A network with such a bug still learns a little. This is what
# makes gradient bugs hard to find, and why lesson 3 is about nothing else.
#
# ### Exercise 02.1: your first operation
#
# $\mathrm{relu}(a) = \max(a, 0)$ is the most common bend in a network. Write it in the style of `__mul__`: make
# `out`, define `push`, attach it, return `out`. What is its local derivative?


# %%
# Exercise 02.1
def relu(a):
    """The larger of a.data and 0, as a Value that can push."""


# %%
relu = check("02.1", relu)

# %% [markdown]
# ## 4. Why sort?
#
# Sorting looks like a detail. Why not simply push, and then tell each input to do the same? Let us try,
# on the worst case: a *diamond*. `a + a` uses `a` twice. Do it again with the result, and again. After n
# levels the answer is $2^n a$, so the gradient must be $2^n$. How many pushes will that take?

# %%
# Predict
my_sorted = None  # your guess, a number: pushes at depth 12, if every value waits for its turn
my_unsorted = None  # your guess, a number: pushes at depth 12, if everybody pushes at once


# %%
def push_without_sorting(value):
    """Push at once, then do the same for each input. Returns the number of pushes."""
    value.push()
    return 1 + sum(push_without_sorting(source) for source in value.inputs)


def diamond(start, depth):
    top = start
    for _ in range(depth):
        top = top + top
    return top


print("depth  right gradient  sorted: pushes, gradient    unsorted: pushes, gradient")
pushes_unsorted, pushes_sorted, depths = [], [], range(1, 13)
for depth in depths:
    a, a_unsorted = Value(1.0), Value(1.0)
    top = diamond(a, depth)
    backward(top)
    pushes_sorted.append(len(order_by_recursion(top)))
    top = diamond(a_unsorted, depth)
    top.grad = 1.0
    pushes_unsorted.append(push_without_sorting(top))
    if depth % 3 == 0:
        print(
            f"{depth:5} {2**depth:15} {pushes_sorted[-1]:15} {a.grad:9.0f} "
            f"{pushes_unsorted[-1]:20} {a_unsorted.grad:9.0f}"
        )
check.reveal(my_sorted, pushes_sorted[-1])
check.reveal(my_unsorted, pushes_unsorted[-1])

# %% [markdown]
# Two disasters at once. The gradient is **wrong**: a value pushes before its own gradient is complete,
# and then pushes the early part again. And the work **doubles** with each level.

# %%
fig, ax = plt.subplots(figsize=(7, 3.5))
ax.semilogy(depths, pushes_unsorted, "o-", label="unsorted: once for every path")
ax.semilogy(depths, pushes_sorted, "s-", label="sorted: once for every value")
ax.set(xlabel="depth of the diamond", ylabel="pushes", title="Twelve levels: 8,191 pushes or 13")
ax.legend()
plt.show()

# %% [markdown]
# A diamond is nothing exotic. A residual block computes `x + f(x)`, and ResNet-50 has 16 of them in a
# row: 65,536 paths.
#
# ## 5. Why not by recursion
#
# Our sort is right. It has another weakness: `visit` calls itself once for each level of the graph.
# Python allows about 1,000 such calls.

# %%
first = chain = Value(0.0)
for _ in range(2000):
    chain = chain + Value(1.0)
try:
    backward(chain)
except RecursionError as problem:
    print(f"2,000 additions in a row: RecursionError: {problem}")

# %% [markdown]
# A loop over a few thousand steps is quite normal. The cure is a list of our own in place of Python's
# call stack. Such a list can be as long as memory allows.
#
# ### Exercise 02.2: sort without recursion
#
# Keep a list `stack` of things to do. Take the last one off. There are two kinds of work: *look at this
# value for the first time*, and *all its inputs are done, so write it down*. A pair `(value,
# inputs_done)` says which.


# %%
# Exercise 02.2
def order_without_recursion(output):
    """All values behind `output`, each exactly once, each one after its inputs. No recursion."""


# %%
order_without_recursion = check("02.2", order_without_recursion)

# %% [markdown]
# From here on, sorting is yours. Does the long chain pass now?


# %%
def backward(output):
    output.grad = 1.0
    for value in reversed(order_without_recursion(output)):
        value.push()


backward(chain)
print("2,000 additions in a row: the gradient at the far end is", first.grad)

# %% [markdown]
# ## 6. From closures to classes
#
# There is a third weakness, and you cannot see it. `out` holds `push`, and `push` holds `out`: a
# *cycle*. Python frees an object at once when nobody refers to it any more. But in a cycle the objects
# refer to each other. They stay until the garbage collector comes by. For one float that does not
# matter. For the arrays of a network it can mean gigabytes.

# %%
gc.disable()  # so that the collector does not come by during the experiment
product = Value(2.0) * Value(3.0)
watcher = weakref.ref(product)  # it watches, but does not hold
del product
print("closures: still in memory after del?         ", watcher() is not None)
gc.collect()
print("closures: still in memory after gc.collect()?", watcher() is not None)
gc.enable()

# %% [markdown]
# So we turn the idea round. An operation becomes a small **class**. `forward` computes and keeps what
# `backward` will need. `backward` stands right below it, and turns the gradient of the output, `g`, into
# one gradient for each input. Both take plain arrays and return plain arrays.


# %%
class Add:
    def forward(self, a, b):
        return a + b

    def backward(self, g):
        return g, g


class Multiply:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a * b

    def backward(self, g):
        return g * self.b, g * self.a


op = Multiply()
print("forward: ", op.forward(np.array([1.0, 2.0]), np.array([10.0, 20.0])))
print("backward:", op.backward(np.array([1.0, 0.5])))

# %% [markdown]
# The last three lines show the first gain: an operation can be tried **alone**, without any graph.
#
# Now the graph. A `Variable` knows the operation that made it, and the operation knows its inputs.
# Nothing points back, so there are no cycles. In `backward_all` a dictionary keeps the gradients while
# they are on their way.


# %%
class Variable:
    """An array, and the operation that made it."""

    def __init__(self, data, op=None):
        self.data, self.op, self.grad = data, op, None

    @property
    def inputs(self):
        return self.op.inputs if self.op else ()

    def __add__(self, other):
        return run(Add(), self, other)

    def __mul__(self, other):
        return run(Multiply(), self, other)


def run(op, *inputs):
    op.inputs = inputs
    return Variable(op.forward(*[variable.data for variable in inputs]), op)


def backward_all(output, g):
    gradients = {output: g}
    for variable in reversed(order_without_recursion(output)):
        g = gradients.pop(variable)
        if variable.op is None:
            variable.grad = g
            continue
        for source, share in zip(variable.inputs, variable.op.backward(g), strict=True):
            gradients[source] = gradients[source] + share if source in gradients else share


product = Variable(2.0) * Variable(3.0)
watcher = weakref.ref(product)
del product
print("classes: still in memory after del?", watcher() is not None)

# %% [markdown]
# ### Exercise 02.3: an operation as a class
#
# Write `Tanh`. It squeezes every number into -1..1. Its derivative can be written with its own result: if
# $y = \tanh x$, then $dy/dx = 1 - y^2$. Why is that handy?


# %%
# Exercise 02.3
class Tanh:
    """tanh of each element. forward(x) returns an array, backward(g) a tuple with one array."""

    def forward(self, x):
        """Compute np.tanh(x), and keep on self what backward needs."""

    def backward(self, g):
        """Return (the gradient of x,)."""


# %%
Tanh = check("02.3", Tanh)

# %% [markdown]
# ## 7. The library's source
#
# tinyhpe works in just this way. Below is its multiplication. You know all of it but three things: `xp`
# and `unbroadcast` are from lesson 1, and `needs` says which inputs want a gradient at all. (`samples`
# gives examples for tests: lesson 3.) And below that is its sort. Compare it with yours: what is `seen` for, and
# what is left out where nobody wants a gradient?

# %%
print(inspect.getsource(LibraryMultiply))
print(inspect.getsource(backward_order))

# %% [markdown]
# And here is a tensor that draws its own tape, after two steps of the walk back. A "~" stands before an average
# size.

# %%
w, b = Tensor(np.array([10.0]), requires_grad=True), Tensor(np.array([1.0]), requires_grad=True)
error = w * np.array([2.0]) + b - np.array([30.0])
(error * error).sum().graph(steps=2)
plt.show()

# %% [markdown]
# The walk itself is in `Tensor.backward`: a dictionary `gradients`, as in `backward_all`, and messages for people
# who make mistakes. Run `Tensor.backward??` in a cell of your own to read it.
#
# Do they agree? One formula with a diamond in it, three engines, random numbers. Your `relu` and your `Tanh` are
# in it, if they are right, and your sort.


# %%
def formula(a, b, c, relu, tanh):
    d = relu(a * b + c)
    return d * d * a + tanh(d)


def tanh_of_value(a):  # closures have no tanh: two lines, in the style of relu
    out = Value(float(np.tanh(a.data)), (a,), "tanh")
    out.push = lambda: setattr(a, "grad", a.grad + out.grad * (1 - out.data**2))
    return out


class Relu:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, g):
        return (g * self.mask,)


numbers = np.random.default_rng(0).normal(size=3)
values = [Value(float(number)) for number in numbers]
variables = [Variable(number) for number in numbers]
tensors = [Tensor(np.array(number), requires_grad=True) for number in numbers]
backward(formula(*values, relu, tanh_of_value))
backward_all(formula(*variables, lambda v: run(Relu(), v), lambda v: run(Tanh(), v)), 1.0)
formula(*tensors, ops.relu, ops.tanh).backward()
print("closures:", [round(float(v.grad), 12) for v in values])
print("classes: ", [round(float(v.grad), 12) for v in variables])
print("tinyhpe: ", [round(t.grad.item(), 12) for t in tensors])

# %% [markdown]
# Equal to twelve digits. The library sorts without recursion, so long chains and deep diamonds are
# harmless.

# %%
for title, depth, grow in [
    ("chain of 100,000 additions", 100_000, lambda t: t + 1.0),
    ("diamond with 1,000 levels ", 1_000, lambda t: t + t),
]:
    leaf = Tensor(np.array(1.0), requires_grad=True)
    start, top = time.perf_counter(), leaf
    for _ in range(depth):
        top = grow(top)
    top.backward()
    print(f"{title}: gradient {leaf.grad:.3g}, {time.perf_counter() - start:.2f} s")

# %% [markdown]
# And how fast is it? Take one layer of a network: 16 inputs times 32 features, times a matrix of 32 x 16
# weights. With one `Value` per number that makes 16,000 objects. The library sees **two**: one matrix
# product and one sum.

# %%
rng = np.random.default_rng(1)
photos, weights = rng.normal(size=(16, 32)), rng.normal(size=(32, 16))


def layer_with_values():
    rows = [[Value(v) for v in row] for row in photos.tolist()]
    columns = [[Value(v) for v in column] for column in weights.T.tolist()]
    total = Value(0.0)
    for row in rows:
        for column in columns:
            product = row[0] * column[0]
            for p, q in zip(row[1:], column[1:], strict=True):
                product = product + p * q
            total = total + product
    backward(total)
    return np.array([[v.grad for v in column] for column in columns]).T


def layer_with_tensors():
    matrix = Tensor(weights, requires_grad=True)
    (Tensor(photos) @ matrix).sum().backward()
    return matrix.grad


seconds, gradients = {}, {}
for function, repeats in [(layer_with_values, 3), (layer_with_tensors, 200)]:
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        gradients[function] = function()
        runs.append(time.perf_counter() - start)
    seconds[function] = min(runs)
    print(f"{function.__name__:18}: {seconds[function] * 1000:9.3f} ms")
print(f"largest difference {np.abs(gradients[layer_with_values] - gradients[layer_with_tensors]).max():.1e}")
print(f"the library is {seconds[layer_with_values] / seconds[layer_with_tensors]:,.0f} times faster here")

# %% [markdown]
# The idea is the same; the *grain* differs. An object per array costs as much as an object per number,
# and there are thousands of times fewer. For single numbers the library is even slower than `Value`,
# since it checks shapes and dtypes on the way.
#
# ## 8. A first head pose
#
# Time to use it. We render 60 heads with known yaw. On each we measure our `x`: how far the tip of the
# nose lies to the left of the middle between the eyes, in tenths of the face's height. The renderer
# knows 68 points of each face: number 30 is the tip of the nose, 36 to 47 are the eyes. Then `w` and `b`
# learn, by **gradient descent**: a small step against the gradient, again and again.

# %%
rng = np.random.default_rng(2)
yaws = rng.uniform(-60, 60, 60).astype(np.float32)
points = np.stack([render_head(seed, 64, (float(yaw), 0, 0)).landmarks for seed, yaw in enumerate(yaws)])
face_height = np.ptp(points[:, :, 1], axis=1)
nose = 10 * (points[:, 36:48, 0].mean(axis=1) - points[:, 30, 0]) / face_height

w, b = (Tensor(np.zeros(1, np.float32), requires_grad=True) for _ in range(2))
losses = []
for _ in range(40):
    error = w * nose + b - yaws
    loss = (error * error).mean()
    loss.backward()
    losses.append(loss.item())
    for parameter in (w, b):
        parameter.data = parameter.data - 0.1 * parameter.grad
        parameter.grad = None  # backward() adds to what is there, so clear it
mean_error = np.abs(w.data * nose + b.data - yaws).mean()
print(f"yaw = {w.item():.1f} * nose {b.item():+.1f}; mean absolute error {mean_error:.1f} degrees")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.semilogy(losses)
left.set(xlabel="step", ylabel="loss (squared degrees)", title="The loss falls")
right.plot(nose, yaws, "o", label="60 rendered heads")
ends = np.array([nose.min(), nose.max()])
right.plot(ends, w.data * ends + b.data, label="what w and b have learned")
right.set(xlabel="nose to the left (tenths of a face)", ylabel="true yaw (degrees)", title="Two numbers")
right.legend()
plt.show()

# %% [markdown]
# Two numbers, and a mean error of a few degrees. Why not simply stop here? Because the landmarks came
# from the renderer. In a real photo nobody hands them to you, so a network has to start from the pixels.
# And at large angles the line bends, and the nose hides.
#
# ### Exercise 02.4: momentum
#
# Real optimizers remember where they were going. Each parameter $p$ has a *velocity* $v$. With the gradient
# $g$, the rate $\eta$ and the momentum $\mu$, one step is
#
# $$v \leftarrow \mu v + g, \qquad p \leftarrow p - \eta v.$$
#
# Write one step for a list of parameters.


# %%
# Exercise 02.4
def momentum_step(parameters, velocities, rate, momentum):
    """Change the .data of each Tensor in `parameters`, and `velocities`, a list of arrays. Clear .grad."""


# %%
momentum_step = check("02.4", momentum_step)

# %% [markdown]
# ## 9. Payoff: two balls in a ravine
#
# In section 8 plain descent was good enough, because the nose was measured from the middle of the face. Measure it
# from the edge of the face, 5 tenths further to the side, and `w` and `b` pull against each other: the valley
# of the loss becomes a ravine. Both runs below take the same number of steps at the same rate. Only the
# momentum differs.


# %%
from_edge = nose + 5


def descend(momentum, rate=0.02, steps=120):
    """The way of (w, b) down from (0, 0) with your momentum_step, and the loss at each step."""
    w, b = (Tensor(np.zeros(1, np.float32), requires_grad=True) for _ in range(2))
    velocities, way, losses = [np.zeros(1, np.float32) for _ in range(2)], [], []
    for _ in range(steps):
        error = w * from_edge + b - yaws
        loss = (error * error).mean()
        loss.backward()
        way.append((w.item(), b.item()))
        losses.append(loss.item())
        momentum_step([w, b], velocities, rate, momentum)
    return np.array(way), losses


grid_w, grid_b = np.meshgrid(np.linspace(-12, 28, 81), np.linspace(-120, 30, 91))
surface = ((grid_w[..., None] * from_edge + grid_b[..., None] - yaws) ** 2).mean(axis=-1)
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
left.contourf(grid_w, grid_b, np.log10(surface), 30, cmap="Blues_r")
for momentum, color in ((0.0, "tab:orange"), (0.9, "tab:red")):
    way, losses = descend(momentum)
    left.plot(*way.T, ".-", color=color, lw=1, ms=4, label=f"momentum {momentum}")
    right.semilogy(losses, color=color, label=f"momentum {momentum}")
    print(f"momentum {momentum}: loss {losses[-1]:.1f} after {len(losses)} steps")
left.set(xlabel="w", ylabel="b", title="Seen from above: the lighter, the higher")
right.set(xlabel="step", ylabel="loss (squared degrees)", title="Same rate, same steps")
left.legend()
right.legend()
plt.show()

# %% [markdown]
# Without momentum the ball falls to the floor of the ravine and then creeps. With it, the ball swings from wall to
# wall at first; but along the floor the small slopes add up, and it arrives. That is your optimizer, if it is
# green.
#
# ### Challenge 02.5: a layer's gradient
#
# No hints. Write the matrix product as a class with two inputs: `a` of shape (m, k), `b` of shape (k, n). Element
# $(i, j)$ of the output is $\sum_l a_{il} b_{lj}$. The incoming `g` has the shape (m, n). Work out what one
# element of `a` does to the outputs, sum, and look for a matrix product that says it in one go. Check the shapes.


# %%
# Challenge 02.5
class MatMul:
    """a @ b. forward(a, b) returns an array, backward(g) a tuple with the gradients of a and of b."""

    def forward(self, a, b):
        """Compute a @ b, and keep on self what backward needs."""

    def backward(self, g):
        """Return (the gradient of a, the gradient of b)."""


# %%
MatMul = check("02.5", MatMul)

# %% [markdown]
# ## What to remember
#
# - The chain rule walks from the loss back. One walk gives the slope for every parameter.
# - A value that is used several times gets the **sum**: `+=`.
# - Sort first. Otherwise the answer is wrong, and the work grows with the number of paths.
# - Recursion ends at about 1,000 levels; a list of your own does not.
# - An operation as a class can be tested alone, and leaves no cycles in memory.
#
# In lesson 3 you will meet wrong gradients that look right, and the tool that finds them.
