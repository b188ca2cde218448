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
# # Lesson 4: A convolution is a matrix product
#
# *45 to 60 minutes for you. The whole notebook runs in about 5 seconds on two cores and downloads
# nothing.*
#
# One layer of a small network, eight small photos. Written as you would explain it, with loops over the
# pixels, it takes about a second. The library needs hundreds of times less. Both do exactly the same 42
# million multiplications. **Where does the second go?**
#
# In this lesson you write the layer anew, twice, until yours is the library's. Then you write its way
# back, and let the check of lesson 3 judge it. At the end your convolution computes what the shipped
# network sees first when it looks at a head.

# %%
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
from checks import check

from tinyhpe import Tensor, load_model, plain
from tinyhpe.checks import check_op
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.heads import render_head
from tinyhpe.ops import conv2d
from tinyhpe.ops.conv import Conv2d
from tinyhpe.tensor import Op

# %% [markdown]
# ## 1. One question, asked everywhere
#
# Take a small pattern of numbers, 3 x 3. Lay it on the photo somewhere, multiply each number by the pixel
# below it, and add up. The sum is large where the photo looks like the pattern. Now slide the pattern
# over the whole photo: that is a **convolution**. The pattern is called the *kernel*; the piece of the
# photo below it is a *window*.

# %%
photo = render_head(seed=11, size=96, pose=(-30, 5, 0), margin=0.3).image
grey = photo.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) / 255


def slide(image, kernel):
    """Lay `kernel` (k, k) on every window of `image` (H, W), and add up the products."""
    k = len(kernel)
    height, width = image.shape[0] - k + 1, image.shape[1] - k + 1
    result = np.empty((height, width), image.dtype)
    for i in range(height):
        for j in range(width):
            result[i, j] = (image[i : i + k, j : j + k] * kernel).sum()
    return result


upright = np.float32([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # dark at the left, bright at the right
lying = upright.T
fig, axes = plt.subplots(1, 3, figsize=(10, 3.5))
axes[0].imshow(grey, cmap="gray")
axes[0].set_title("photo")
for ax, kernel, title in ((axes[1], upright, "upright edges"), (axes[2], lying, "lying edges")):
    ax.imshow(slide(grey, kernel), cmap="RdBu", vmin=-2, vmax=2)
    ax.set_title(title)
for ax in axes:
    ax.axis("off")
plt.show()
print("photo", grey.shape, "-> result", slide(grey, upright).shape)

# %% [markdown]
# Nine numbers find all edges. A network is not told which nine: it learns them.
#
# Two remarks. The kernel is **not** turned round. Mathematicians do that, and call ours a
# cross-correlation; in deep learning everybody slides it as it is. And the result is smaller than the
# photo, since a window must not stick out.
#
# A layer does this with more numbers. A pixel has `C_in` channels, so a kernel is (k, k, C_in). And there
# are `C_out` kernels, each of which gives one channel of the result. So the weights are an array
# (k, k, C_in, C_out), and
#
# $$y_{i\,j\,o} = \sum_{a,\,b,\,c} x_{i+a,\;j+b,\;c}\; w_{a\,b\,c\,o}$$
#
# ## 2. How many windows?
#
# Two settings change the number of windows. **Padding** first puts a border of zeros round the photo, so
# many pixels wide **on each side**. **Stride** is how far the kernel moves from one window to the next.
#
# ### Exercise 04.1: the size of the result
#
# Along one axis: how many windows fit? Draw a row of 7 pixels and a kernel of 3, and move it by 2.


# %%
# Exercise 04.1
def output_length(length, kernel, stride, padding):
    """How many windows of `kernel` pixels lie in a row of `length` pixels; a window must fit whole."""


# %%
output_length = check("04.1", output_length)

# %% [markdown]
# With it you know the way of a photo through the shipped network, which takes 64 x 64 pixels. (Its second
# step takes the largest value of each window in place of a sum; it counts windows in the same way.)

# %%
side, steps = 64, [("convolution", 7, 2, 3), ("maximum", 3, 2, 1)] + [("convolution", 3, 2, 1)] * 3
for kind, kernel, stride, padding in steps:
    after = output_length(side, kernel, stride, padding)
    print(f"{kind:11} {kernel} x {kernel}, stride {stride}, padding {padding}: {side:2} -> {after:2} pixels")
    side = after

# %% [markdown]
# And here is the whole layer, as loops. It is right, easy to read, and slow.


# %%
def pad(x, padding):
    """Images (N, H, W, C) with a border of zeros."""
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))


def conv_by_loops(x, weight, stride=1, padding=0):
    """x (N, H, W, C_in), weight (k, k, C_in, C_out) -> (N, H_out, W_out, C_out)."""
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.empty((len(x), height, width, weight.shape[3]), x.dtype)
    for n, i, j, o in np.ndindex(y.shape):
        window = padded[n, i * stride : i * stride + k, j * stride : j * stride + k]
        y[n, i, j, o] = (window * weight[:, :, :, o]).sum()
    return y


rng = np.random.default_rng(0)
small, kernels = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 3, 3, 4))
print("small", small.shape, "->", conv_by_loops(small, kernels, stride=2, padding=1).shape)

# %% [markdown]
# ## 3. Loops inside out
#
# There are thousands of windows, but only k * k places in a kernel. Such a place is called a *tap*. Look
# at the tap in the kernel's upper left corner, `weight[0, 0]`. It meets the first pixel of **every**
# window. All these pixels together are an image again: a slice of the padded photo. Each of them has
# C_in channels, and is multiplied by the same matrix (C_in, C_out). So one `@` does this tap for all
# windows of all photos. Do the same for every tap, and add up.
#
# ### Exercise 04.2: convolution by taps


# %%
# Exercise 04.2
def conv_by_taps(x, weight, stride=1, padding=0):
    """As conv_by_loops, but the only loops are over the k * k taps."""


# %%
conv_by_taps = check("04.2", conv_by_taps)

# %% [markdown]
# ## 4. One single product
#
# Now the last step, the idea of this lesson. Write each window as one **row** of k * k * C_in numbers,
# and each kernel as one **column**. Then an output is a row times a column, and *the whole convolution is
# one product of two matrices*. The matrix of all windows is called **im2col**, "image to columns".
#
# NumPy can show all windows of an image without copying a single number: it only plays with the strides
# of lesson 1.

# %%
padded = pad(small, 1)
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
print("small", small.shape, "with padding 1, windows", windows.shape)
print("same memory as the padded image:", np.shares_memory(windows, padded))
print("weights", kernels.shape, "as columns", kernels.reshape(-1, 4).shape)

# %% [markdown]
# Look at the shape: photo, window's row, window's column, **channel, place in the window (down,
# across)**. But the weights run *down, across, channel*. Row and column must list the same things in the
# same order, or pixels meet foreign weights.
#
# ### Exercise 04.3: windows as rows


# %%
# Exercise 04.3
def im2col(x, k, stride=1, padding=0):
    """(N, H, W, C) -> (N * H_out * W_out, k * k * C): a row for each window, in the order of the weights."""


# %%
im2col = check("04.3", im2col)


# %%
def conv(x, weight, stride=1, padding=0):
    """A convolution as one product of two matrices."""
    k, c_out = len(weight), weight.shape[3]
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    rows = im2col(x, k, stride, padding)
    return (rows @ weight.reshape(-1, c_out)).reshape(len(x), height, width, c_out)


for stride, padding in ((1, 0), (1, 1), (2, 1)):
    truth = conv_by_loops(small, kernels, stride, padding)
    errors = [np.abs(way(small, kernels, stride, padding) - truth).max() for way in (conv_by_taps, conv)]
    print(f"stride {stride}, padding {padding}: taps differ by {errors[0]:.0e}, im2col by {errors[1]:.0e}")

# %% [markdown]
# ## 5. Where the second goes
#
# Now the layer of the beginning: 8 photos of 48 x 48 pixels, 16 channels, 16 kernels of 3 x 3. Guess
# first. How many times as long as your single product do the loops need: 10, 100, 1,000 times?

# %%
# Predict
my_ratio = None  # your guess, a number: how many times as long do the loops need?

# %%
rng = np.random.default_rng(1)
x = rng.normal(size=(8, 48, 48, 16)).astype(np.float32)
weight = rng.normal(size=(3, 3, 16, 16)).astype(np.float32)


def library(x, weight, stride, padding):
    return conv2d(Tensor(x), Tensor(weight), stride, padding).data


def library_plain(x, weight, stride, padding):
    with plain():  # without the quicker ways of tinyhpe/fast
        return library(x, weight, stride, padding)


def seconds_for(way, images, repeats):
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        way(images, weight, 1, 1)
        runs.append(time.perf_counter() - start)
    return min(runs)


seconds = {"loops": 8 * seconds_for(conv_by_loops, x[:1], 1)}  # eight times the time for one photo
for name, way in (
    ("taps", conv_by_taps),
    ("im2col", conv),
    ("library, plain", library_plain),
    ("library", library),
):
    seconds[name] = seconds_for(way, x, 8)
for name, value in seconds.items():
    print(f"{name:14} {1000 * value:8.2f} ms")
check.reveal(my_ratio, round(seconds["loops"] / seconds["im2col"]))
fig, ax = plt.subplots(figsize=(8, 3))
ax.barh(list(seconds)[::-1], [1000 * value for value in seconds.values()][::-1], log=True)
ax.set(xlabel="milliseconds, each line ten times the one before", title="The same 42 million multiplications")
ax.grid(axis="x")
plt.show()

# %% [markdown]
# The arithmetic was never the problem. For 295,000 outputs Python decided 295,000 times what to do next.
# `@` decides once, and then a library tuned by experts for decades (BLAS) multiplies. That is why all of
# deep learning tries to say everything as a product of matrices.
#
# The price is memory: a pixel stands in nine rows, so the matrix is nine times as large as the image. Taps
# need no such matrix, so they can keep up with it, or win, where memory is slow. The library's quicker ways
# (`tinyhpe/fast`) build the matrix piece by piece.
#
# ## 6. The way back
#
# The layer is a product `rows @ columns`, and you know the gradient of a product from lesson 2. With `g`
# the gradient that comes in, as a matrix:
#
# $$\frac{\partial L}{\partial \mathrm{columns}} = \mathrm{rows}^T g \qquad
# \frac{\partial L}{\partial \mathrm{rows}} = g \; \mathrm{columns}^T$$
#
# The first is the gradient of the weights, and done. The second has a row for each *window*. But we need
# a number for each *pixel*, and a pixel was copied into several windows. Lesson 1 knows what to do: where
# the way forward repeats, the way back **sums**.
#
# ### Exercise 04.4: from rows back to the image


# %%
# Exercise 04.4
def col2im(d_rows, shape, k, stride=1, padding=0):
    """The way back of im2col: d_rows (N * H_out * W_out, k * k * C) -> an array of `shape` (N, H, W, C)."""


# %%
col2im = check("04.4", col2im)

# %% [markdown]
# Your function can count. Give it a matrix of ones, and each pixel gets one for every window that it was
# in. Before you run the cell: which of the four settings treats all inner pixels alike? Which never looks
# at some of them?

# %%
settings = [(3, 1, 1), (3, 2, 1), (7, 2, 3), (1, 2, 0)]
fig, axes = plt.subplots(1, 4, figsize=(12, 3.3))
for ax, (k, stride, padding) in zip(axes, settings, strict=True):
    windows_along = output_length(12, k, stride, padding)
    count = col2im(np.ones((windows_along**2, k * k)), (1, 12, 12, 1), k, stride, padding)[0, :, :, 0]
    ax.imshow(count, cmap="viridis", vmin=0, vmax=1.5 * count.max())  # no yellow, on which white is not seen
    for i, j in np.ndindex(count.shape):
        ax.text(j, i, f"{count[i, j]:.0f}", ha="center", va="center", color="white", fontsize=7)
    ax.set_title(f"{k} x {k}, stride {stride}, padding {padding}")
    ax.axis("off")
fig.suptitle("How many windows look at each pixel?")
plt.show()

# %% [markdown]
# With stride 2 a 3 x 3 kernel looks at some pixels four times and at others once. A 1 x 1 kernel with
# stride 2 throws three quarters of the image away, and their gradient is 0. (Lesson 6 has such kernels.)
#
# Now put all together: an operation, as in lessons 2 and 3, made of your own functions. The library's
# samples try nine geometries. Finite differences and the complex step are the judges.


# %%
class MyConv(Op):
    samples = staticmethod(Conv2d.samples)

    def __init__(self, stride=1, padding=0):
        self.stride, self.padding = stride, padding

    def forward(self, xp, x, weight):
        self.x, self.weight = x, weight
        return conv(x, weight, self.stride, self.padding)

    def backward(self, xp, g):
        k, _, _, c_out = self.weight.shape
        g_rows, settings = g.reshape(-1, c_out), (k, self.stride, self.padding)
        d_weight = im2col(self.x, *settings).T @ g_rows
        d_rows = g_rows @ self.weight.reshape(-1, c_out).T
        return col2im(d_rows, self.x.shape, *settings), d_weight.reshape(self.weight.shape)


for what, error in check_op(MyConv).items():
    print(f"{what:20} {error:.0e}")

# %% [markdown]
# ## 7. The library's source
#
# This is tinyhpe's convolution. You have written every line of it. `taps` lists the k * k slices of
# exercise 04.2; `self.needs` spares the first layer of a network the gradient of the photo.

# %%
for part in (Conv2d.im2col, Conv2d.forward, Conv2d.backward):
    print(inspect.getsource(part))

# %%
g = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)
tensors = [Tensor(array, requires_grad=True) for array in (x, weight)]
with plain():
    result = conv2d(*tensors, stride=1, padding=1)
    result.backward(g)
mine = MyConv(stride=1, padding=1)
pairs = {"result": (mine.forward(np, x, weight), result.data)}
pairs["gradient of x"], pairs["of weight"] = zip(mine.backward(np, g), [t.grad for t in tensors], strict=True)
for name, (ours, theirs) in pairs.items():
    print(f"{name:14} largest value {np.abs(theirs).max():8.1f}, you differ by {np.abs(ours - theirs).max():.0e}")

# %% [markdown]
# ## 8. Payoff: what the shipped network sees first
#
# tinyhpe ships a trained network. Its first layer is a convolution with kernels of 7 x 7 x 3 numbers,
# which nobody chose: they were learned. Let **your** function run them over a head.

# %%
model = load_model()
first = model.backbone.conv1
head = render_head(seed=11, size=model.input_size, pose=(-30, 5, 0))
seen = unvaried(head.image[None], model.input_size)
maps = conv(seen, first.weight.data, first.stride, first.padding)
theirs = model.backbone.conv1(Tensor(seen)).data
print("weights", first.weight.shape, " maps", maps.shape)
print(
    f"largest value {np.abs(theirs).max():.1f}, you differ from the network by {np.abs(maps - theirs).max():.0e}"
)

# %%
count = maps.shape[3]
columns = 8
fig = plt.figure(figsize=(12, 1.6 * 2 * -(-count // columns)))
for o in range(count):
    kernel, place = first.weight.data[:, :, :, o], 2 * columns * (o // columns) + o % columns + 1
    rows = 2 * -(-count // columns)
    top, below = fig.add_subplot(rows, columns, place), fig.add_subplot(rows, columns, place + columns)
    top.imshow(0.5 + 0.5 * kernel / np.abs(kernel).max())
    below.imshow(maps[0, :, :, o], cmap="gray")
    top.axis("off")
    below.axis("off")
fig.suptitle("Learned kernels (in colour), and what your convolution makes of the head with each of them", y=0.93)
plt.show()

# %% [markdown]
# Each kernel asks its own question: an edge this way, an edge that way, a colour, a bright spot. All that
# follows in the network looks at these maps, and no longer at the photo.
#
# ## 9. A challenge, without hints
#
# `col2im` is fiddly. For stride 1 there is another way: **the gradient of x is itself a convolution** of
# `g`, with a kernel made from `weight`. Three things are to be found: how to turn the kernel, what its
# channels are now, and which padding brings back the size of x. Think of one pixel: which outputs did it
# go into, and with which weights?
#
# ### Challenge 04.5: backward is a convolution


# %%
# Challenge 04.5
def gradient_of_x(g, weight, padding):
    """For y = conv(x, weight, padding=padding) and g of y's shape: the gradient of x, by one call of conv()."""


# %%
gradient_of_x = check("04.5", gradient_of_x)

# %% [markdown]
# ## What to remember
#
# - A convolution asks the same question at every place. Its answers are a map.
# - Windows as rows, kernels as columns: then it is **one matrix product**, and as fast as your machine
#   can multiply.
# - Rows and weights must list down, across and channel in the same order.
# - On the way back a pixel gets the **sum** over all windows that it was in.
# - im2col pays with memory for speed.
#
# A network stacks many of these. In lesson 5 you will see that a stack of eight learns nothing at all,
# until one line is added.
