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
# # Lesson 1: Arrays, images and `xp`
#
# *45 to 60 minutes for you. The whole notebook runs in about 5 seconds on two cores and downloads
# nothing.*
#
# Here is what this course builds: a program that looks at a photo and says where the head points. Run the
# next two cells, and see it at work.

# %%
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
from checks import check

from tinyhpe import Tensor, predict
from tinyhpe.backend import array_module, probe_cuda, to_device, to_numpy
from tinyhpe.heads import render_head
from tinyhpe.ops.elementwise import unbroadcast

# %%
rng = np.random.default_rng(3)
fig, axes = plt.subplots(2, 4, figsize=(11, 6))
for seed, ax in zip(range(20, 28), axes.flat, strict=True):
    head = render_head(seed, 128, (rng.uniform(-60, 60), rng.uniform(-20, 20), rng.uniform(-20, 20)), margin=0.3)
    face = *head.landmarks.min(axis=0), *np.ptp(head.landmarks, axis=0)  # x, y, width, height
    seen = predict(head.image, face)
    ax.imshow(seen.draw(head.image))
    true = ", ".join(f"{angle:.0f}" for angle in head.pose)
    ax.set_title(f"true: {true}\nnetwork: {seen.yaw:.0f}, {seen.pitch:.0f}, {seen.roll:.0f}", fontsize=9)
    ax.axis("off")
plt.show()

# %% [markdown]
# The blue axis is where the network thinks that the face looks. It never saw these people. Above each photo stand
# three angles, in degrees, as you see them in the picture:
#
# - **yaw**: positive if the nose points to the left side of the picture,
# - **pitch**: positive if the head looks up,
# - **roll**: positive if the head leans clockwise.
#
# You will have built this: the derivatives, the layers, the training. You need Python and a little calculus.
# Everything in it is made of one thing: the array. This lesson is about arrays, and about four traps that
# cost beginners whole days, since none of them gives an error message.
#
# How to work: run the cells from top to bottom. An exercise is a cell with an empty function. Write its
# body, run it, and run the `check` cell below it. The check tells you at once what is wrong, and why, and it
# gives back your function if it is right, else ours. So the rest of the notebook always runs. Stuck?
# `check.hint()` gives a hint, and the next time the next one.
#
# ## 1. A photo is an array
#
# We have no photos, and need none: tinyhpe brings a renderer. It draws a person from a number, the
# *seed*, turned to any pose. So we know the true angles exactly. It also knows 68 *landmarks* of each face,
# such as the corners of the eyes, as points in the picture.

# %%
head = render_head(seed=11, size=128, pose=(-30, 5, 0), margin=0.3)
photo = head.image
print("shape", photo.shape, " dtype", photo.dtype, " from", photo.min(), "to", photo.max())
print("yaw, pitch, roll:", head.pose)

# %% [markdown]
# 128 rows, 128 columns, 3 colours. `uint8` means: whole numbers from 0 to 255, one byte each. Let us look
# at the photo, and then so closely at one eye that the pixels turn into numbers.

# %%
column, row = (int(c) for c in head.landmarks[36])  # number 36: the outer corner of the eye at the left
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6))
left.imshow(photo)
left.add_patch(plt.Rectangle((column - 0.5, row - 3.5), 6, 6, fill=False, color="yellow", lw=2))
left.set(title="photo", xlabel="column", ylabel="row")
patch = photo[row - 3 : row + 3, column : column + 6]
right.imshow(patch)
for i in range(6):
    for j in range(6):
        ink = "black" if patch[i, j].mean() > 120 else "white"
        right.text(j, i, "\n".join(map(str, patch[i, j])), ha="center", va="center", color=ink, fontsize=8)
right.set(title="the yellow square: red, green, blue")
right.axis("off")
plt.show()

# %% [markdown]
# `photo[row, column, channel]` is one number. The row comes **first**, and rows are counted from the top.
# Landmarks and mouse positions are given as (x, y), which is (column, row). Mixing them up is the first
# trap.
#
# ## 2. Slices are windows, not copies
#
# A slice selects a part of an array. It copies nothing. It only describes the same memory in another way:
# where to begin, and how many bytes to go for one step along each axis. These step widths are called
# *strides*.

# %%
slices = {
    "photo": photo,
    "crop [20:100, 30:110]": photo[20:100, 30:110],
    "mirror [:, ::-1]": photo[:, ::-1],
    "small [::8, ::8]": photo[::8, ::8],
    "red [:, :, 0]": photo[:, :, 0],
}
for name, part in slices.items():
    shared = np.shares_memory(part, photo)
    print(f"{name:22} shape {part.shape!s:14} strides {part.strides!s:14} same memory: {shared}")

# %%
fig, axes = plt.subplots(1, 5, figsize=(12, 2.9))
for ax, (name, part) in zip(axes, slices.items(), strict=True):
    ax.imshow(part, cmap="gray")
    ax.set_title(name, fontsize=9)
    ax.axis("off")
plt.show()

# %% [markdown]
# Look at the strides of the photo: 384 bytes to the next row, 3 to the next column, 1 to the next colour.
# The mirror has -3: it walks backwards. No pixel was moved.
#
# (Mirrored, the head looks to the other side and leans to the other side: yaw -30 has become +30, and a roll of
# 10 would become -10. Pitch stays. In training we will mirror half of all photos, and whoever forgets one of
# the two signs teaches the network nonsense.)
#
# ## 3. Numbers that overflow
#
# Let us make the photo brighter, by 100. A byte can hold no more than 255.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.8))
brighter = photo + np.uint8(100)
axes[0].imshow(photo)
axes[1].imshow(brighter)
axes[0].set_title("photo")
axes[1].set_title("photo + 100: the bright parts turn dark")
for ax in axes:
    ax.axis("off")
plt.show()
place = np.unravel_index(photo.argmax(), photo.shape)
print("one value:", photo[place], "+ 100 =", brighter[place])

# %% [markdown]
# The second trap: after 255 comes 0, and no message. Calculate in a type that has room, and only then go
# back to bytes.
#
# ### Exercise 01.1: brighter, but right


# %%
# Exercise 01.1
def brighten(image, amount):
    """Add amount (-255 to 255) to a uint8 image. What leaves 0..255 stays at the border. Returns uint8."""


# %%
brighten = check("01.1", brighten)

# %% [markdown]
# ## 4. One line in place of three loops
#
# A grey picture weighs the colours as the eye does: $0.299\,r + 0.587\,g + 0.114\,b$. Below it is computed
# twice: by hand, pixel by pixel, and as one line for the whole array. Guess first.

# %%
# Predict
my_factor = None  # your guess, a number: how many times faster is the line for the whole array?

# %%
eye = np.array([0.299, 0.587, 0.114], np.float32)


def grey_by_loops(image):
    height, width, channels = image.shape
    result = np.zeros((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                result[i, j] += image[i, j, c] * eye[c]
    return result


def grey_by_arrays(image):
    return (image * eye).sum(axis=2)


def seconds_for(function, *inputs, repeats=5):
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*inputs)
        runs.append(time.perf_counter() - start)
    return min(runs)


difference = np.abs(grey_by_loops(photo) - grey_by_arrays(photo)).max()
slow, fast = seconds_for(grey_by_loops, photo, repeats=2), seconds_for(grey_by_arrays, photo, repeats=50)
print(f"largest difference {difference:.1e}")
print(f"loops {slow * 1000:.1f} ms, arrays {fast * 1000:.3f} ms: {slow / fast:.0f} times faster")
check.reveal(my_factor, f"{slow / fast:.0f}")

# %% [markdown]
# Python spends its time on deciding what to do next, for each single number. NumPy decides once and then
# works through the array in compiled code. So this is how we will write everything: **whole arrays, no
# loops over pixels.**
#
# ## 5. Broadcasting
#
# `image * eye` multiplied an array of shape (128, 128, 3) by one of shape (3,). How? NumPy writes the two
# shapes below each other, **aligned at the right**:
#
#     image   128  128    3
#     eye                 3
#
# On each axis the lengths must be equal, or one of them must be 1 or missing. That one is repeated as
# often as necessary. This is *broadcasting*. Here is the rule as a program. It agrees with NumPy's own.


# %%
def broadcast_shape(a, b):
    """The shape that arrays of shapes a and b make together, or None if they do not fit."""
    length = max(len(a), len(b))
    a, b = (1,) * (length - len(a)) + a, (1,) * (length - len(b)) + b
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


for a, b in [((128, 128, 3), (3,)), ((128, 128, 3), (128, 1, 1)), ((5, 1), (4,)), ((128, 128, 3), (128,))]:
    try:
        numpy_says = np.broadcast_shapes(a, b)
    except ValueError:
        numpy_says = None
    print(f"{a!s:14} with {b!s:12} -> {broadcast_shape(a, b)!s:14} NumPy: {numpy_says}")

# %% [markdown]
# The last line does not fit: 3 stands above 128. To fade the photo row by row, 128 factors need the shape
# (128, 1, 1). `factors[:, None, None]` makes it: each `None` adds an axis of length 1.
#
# ## 6. A batch: NHWC
#
# A network looks at many photos at once. We stack them along a new first axis. The axes are now **N**
# (which photo), **H** (row), **W** (column), **C** (colour channel). This order is called NHWC. We also
# go from bytes to `float32`, because a network calculates with fractions.

# %%
images = np.stack([render_head(seed, 64).image for seed in range(8)])
batch = images.astype(np.float32) / 255
print("images", images.shape, images.dtype, " batch", batch.shape, batch.dtype)
print("the batch takes", batch.nbytes // 1024, "KB, four times as much as the bytes")

# %% [markdown]
# Photos are dark or bright. A network should not care. So we subtract from each photo its own mean. And
# here waits the third trap, the worst of the four.

# %%
for count in (8, 3):
    some = batch[:count]
    means = some.mean(axis=(1, 2, 3))  # one number for each photo: shape (count,)
    try:
        centred = some - means
        print(f"{count} photos: no error; the means are now", centred.mean(axis=(1, 2, 3)).round(3))
    except ValueError as problem:
        print(f"{count} photos: {problem}")

# %% [markdown]
# With 8 photos NumPy refuses: 8 does not fit the 3 channels. With **3** photos it fits, by accident. The
# mean of the first photo was subtracted from the red of all photos, that of the second from all green.
# The result is wrong and nothing complains. So: know your shapes, and keep an axis where you want to line
# it up.
#
# ### Exercise 01.2: each photo minus its own mean


# %%
# Exercise 01.2
def centre(images):
    """float32 (N, H, W, 3): subtract from each photo its mean over all its pixels and channels."""


# %%
centre = check("01.2", centre)

# %% [markdown]
# ## 7. The other order: NCHW
#
# PyTorch stores photos as NCHW: first the whole red picture, then the green, then the blue. You will meet
# files in that order. `transpose` puts the axes in another order; `reshape` only cuts the same row of
# numbers into other pieces. To the shape they look alike. To the eye they do not.

# %%
torch_style = np.ascontiguousarray(photo[None].transpose(0, 3, 1, 2))
print("NCHW", torch_style.shape)
candidates = {
    "transpose(0, 2, 3, 1)": torch_style.transpose(0, 2, 3, 1),
    "reshape(1, 128, 128, 3)": torch_style.reshape(1, 128, 128, 3),
}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.6))
for ax, (name, result) in zip(axes, candidates.items(), strict=True):
    print(f"{name:23}", result.shape)
    ax.imshow(result[0])
    ax.set_title(name)
    ax.axis("off")
plt.show()

# %% [markdown]
# Both have the right shape. One of them is nonsense. This is the fourth trap.
#
# Why does tinyhpe use NHWC? In memory, the channels of a pixel stand side by side. So a batch of photos
# **is** already a matrix: one row for each pixel, one column for each channel. To mix the channels of all
# pixels takes one matrix product, and no copy. Lesson 4 turns this into a fast convolution.

# %%
matrix = batch.reshape(-1, 3)
mixed = matrix @ np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
print("batch", batch.shape, "as a matrix", matrix.shape, "- same memory:", np.shares_memory(matrix, batch))
print("16 new channels for each pixel:", mixed.reshape(8, 64, 64, 16).shape)

# %% [markdown]
# ### Exercise 01.3: from PyTorch's order to ours


# %%
# Exercise 01.3
def from_torch(images):
    """(N, C, H, W) -> (N, H, W, C)."""


# %%
from_torch = check("01.3", from_torch)

# %% [markdown]
# ## 8. Broadcasting backwards
#
# Broadcasting has an opposite, and the next lesson depends on it.
#
# Suppose one colour of shape (3,) is added to a whole photo. Each pixel now says how much *it* would like
# that colour to change. The 128 * 128 wishes concern the same three numbers. So they must be **added up**,
# back to the shape (3,). The rule: *where broadcasting repeats, the way back sums.* By hand:


# %%
def sum_to_by_loops(wishes, shape):
    """Sum an array back to `shape`, from which it was broadcast."""
    total = np.zeros(shape, wishes.dtype)
    for place in np.ndindex(wishes.shape):
        aligned = place[wishes.ndim - len(shape) :]  # at the right, as in broadcasting
        total[tuple(0 if n == 1 else i for i, n in zip(aligned, shape, strict=True))] += wishes[place]
    return total


wishes = np.random.default_rng(1).normal(size=photo.shape)
print("to (3,):      ", sum_to_by_loops(wishes, (3,)))
print("to (128, 1, 1):", sum_to_by_loops(wishes, (128, 1, 1)).shape)

# %% [markdown]
# ### Exercise 01.4: the same without loops
#
# Two things are to be summed: axes that `shape` does not have at all (they are at the front), and axes
# that have the length 1 in `shape`.


# %%
# Exercise 01.4
def sum_to(wishes, shape):
    """Sum an array back to `shape`, from which it was broadcast. No loop over elements."""


# %%
sum_to = check("01.4", sum_to)

# %% [markdown]
# Now open tinyhpe's own version. It is called `unbroadcast`. Each operation with two inputs uses it.

# %%
print(inspect.getsource(unbroadcast))
for shape in [(3,), (128, 1, 1), (128, 3), (128, 128, 3), ()]:
    difference = np.abs(unbroadcast(wishes, shape) - sum_to_by_loops(wishes, shape)).max()
    print(f"{shape!s:14} difference between loops and library: {difference:.1e}")
slow = seconds_for(sum_to_by_loops, wishes, (3,), repeats=1)
fast = seconds_for(unbroadcast, wishes, (3,), repeats=50)
print(f"loops {slow * 1000:.0f} ms, library {fast * 1000:.3f} ms: {slow / fast:.0f} times faster")

# %% [markdown]
# ## 9. From array to tensor
#
# A `Tensor` is an array in a small box. The box will remember how the array was made, and then it can be
# differentiated: that is lesson 2. For now, one thing matters. A box refuses to mix `float32` with
# `float64`. NumPy would turn everything into `float64`: twice the memory, half the speed, and no message.

# %%
tensor = Tensor(batch)
print("tensor:", tensor.shape, tensor.dtype)
print("one array, times np.sqrt(2):", (batch * np.sqrt(2)).dtype, "- it was", batch.dtype)
try:
    tensor * Tensor(np.ones(3))
except TypeError as refusal:
    print("the tensor:", refusal)

# %% [markdown]
# ## 10. The same line on a GPU
#
# A graphics card calculates on thousands of numbers at once. The library **CuPy** offers NumPy's functions
# for arrays that live there: `cupy.exp`, `cupy.zeros`. Must we now write everything twice? No. We ask the
# data where it lives, and take the functions from there. By custom, the answer is called `xp`.

# %%
print(inspect.getsource(array_module))

# %% [markdown]
# Here is a function written in this way. It runs on every device that this machine has.


# %%
def grey(images):
    xp = array_module(images)  # numpy or cupy
    weights = xp.asarray([0.299, 0.587, 0.114], images.dtype)
    return images @ weights


cupy, reason = probe_cuda()
for device in ("cpu", "cuda"):
    if device == "cuda" and cupy is None:
        print(f"cuda: not on this machine ({reason})")
        continue
    there = to_device(np.tile(batch, (16, 1, 1, 1)), device)
    seconds = seconds_for(lambda there=there: to_numpy(grey(there)))
    print(f"{device}: {type(there).__module__} array, {len(there)} photos in {seconds * 1000:.2f} ms")

# %% [markdown]
# Without a GPU you lose nothing: the whole course runs on a laptop. But write with `xp` from the first
# day. Arrays that meet in one line must live on the same device. A new array is where it goes wrong:
# `np.zeros` makes it on the CPU, always. `xp.zeros` makes it where the data is.
#
# ### Exercise 01.5: write for both
#
# Darken the photos from left to right: the first column keeps its brightness, the last one gets half of
# it, in equal steps. The check runs your function on the CPU, and then on a *pretend GPU*: NumPy in
# disguise, as strict as CuPy.


# %%
# Exercise 01.5
def fade(images):
    """(N, H, W, 3), float32 or float64: multiply column by column, by 1 at the left to 0.5 at the right."""


# %%
fade = check("01.5", fade)

# %% [markdown]
# ### Challenge 01.6: a mosaic
#
# A challenge is an exercise without hints. Put N photos into one picture, row by row, `columns` of them side by
# side, as in the figure at the top. N is a multiple of `columns`. Four lines will do, and no loop is needed.


# %%
# Challenge 01.6
def mosaic(images, columns):
    """(N, H, W, C) -> (N / columns * H, columns * W, C), of the same dtype: photo 1 stands to the right of 0."""


# %%
mosaic = check("01.6", mosaic)

# %% [markdown]
# ## 11. Payoff: the traps, as a network sees them
#
# Does all this matter? Let us ask the network that you saw at the top. Its weights were trained on photos that
# were prepared without any of the traps. We show it the head of section 1 in six versions. `brighten`, `fade`
# and `mosaic` are yours, where the check was green.

# %%
faded = fade(photo[None].astype(np.float32))[0].astype(np.uint8)
versions = {
    "as it is": (photo, -30),
    "mirrored": (photo[:, ::-1], 30),
    "brighten(photo, 90)": (brighten(photo, 90), -30),
    "fade(photo)": (faded, -30),
    "trap 1: rows for columns": (photo.transpose(1, 0, 2), -30),
    "trap 2: photo + 90": (photo + np.uint8(90), -30),
}
drawn = []
for name, (version, true_yaw) in versions.items():
    version = np.ascontiguousarray(version)
    seen = predict(version, "middle")
    drawn.append(np.asarray(seen.draw(version)))
    print(f"{name:25} true yaw {true_yaw:3}, the network says {seen.yaw:6.1f}; roll {seen.roll:6.1f} (true: 0)")
plt.figure(figsize=(9, 6.2))
plt.imshow(mosaic(np.stack(drawn), 3))
plt.title("Six versions of one head, and what the network makes of them")
plt.axis("off")
plt.show()

# %% [markdown]
# Mirrored, the answer changes its sign; brighter or faded, it hardly moves. With rows and columns exchanged the
# network sees a head that lies on its side, and calls out an answer with the same confidence. Nothing complained.
# Show the picture to somebody, and let them say which two versions are broken.
#
# ## What to remember
#
# - `photo[row, column, channel]`; points are (x, y), which is (column, row).
# - A slice is a window on the same memory.
# - Bytes overflow silently. Calculate in a wider type, then clip.
# - Broadcasting aligns shapes at the right. It can fit by accident. Its opposite is a sum.
# - `transpose` moves axes; `reshape` never does.
# - `xp = array_module(data)`, and everything new comes from `xp`, in the dtype of the data.
#
# In lesson 2 the box learns to differentiate.
