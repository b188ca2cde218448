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
# # Lesson 6: Residual networks and published weights
#
# *45 to 60 minutes for you. The whole notebook runs in about 3 seconds on two cores and downloads
# nothing.*
#
# tinyhpe ships a file of numbers, trained for hours on heads that were drawn by a program. It is a plain list
# of arrays. Nothing in it says what to do with them. Can thirty lines of NumPy, written by you, read a face
# with it?
#
# They can, if three agreements are kept: the **names** of the arrays, the **order of their axes**, and the
# **order of the steps**. Whoever breaks one of them gets an error, if he is lucky, and otherwise a wrong
# angle. At the end your network draws its answer on a face, and it may be your own.

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np
from checks import check
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from safetensors.numpy import load_file

import tinyhpe
from tinyhpe import Tensor, methods, ops
from tinyhpe.datasets.crops import crop_photo, crop_size
from tinyhpe.datasets.photos import open_photo
from tinyhpe.heads import contact_sheet, render_head
from tinyhpe.nn import resnet
from tinyhpe.pose.boxes import default_box, square, testing_box
from tinyhpe.pose.draw import draw_axes

# %% [markdown]
# ## 1. What is in the file?
#
# safetensors is the simplest format for weights: names, shapes, and the bytes. There is no code in it. (The
# older pickle files hold code that runs when you open them, so tinyhpe refuses those.)

# %%
published = load_file(methods.SHIPPED_WEIGHTS)
print(len(published), "arrays,", sum(array.size for array in published.values()), "numbers. Some of them:")
for name in sorted(published)[::11]:
    print(f"  {name:45} {published[name].shape} {published[name].dtype}")

# %% [markdown]
# The names are paths. `backbone.layer2.0.conv1.weight` is the weight of the first convolution, in the first
# block (counting from 0) of the second stage, of the backbone. torchvision, the best known collection of
# networks, uses these very names, so its files fit, too.
#
# Beside the weights lie `running_mean` and `running_var`: the statistics of lesson 5, which batch norm
# collected while it was trained. They were never trained themselves, and without them nothing works.
#
# ## 2. The order of axes
#
# torch keeps a convolution's weight as (output channels, input channels, rows, columns), for short OIHW. Our
# images are (image, rows, columns, channels), and our convolution wants HWIO. The last layer, `fc`, is a
# matrix: torch stores (outputs, inputs) and we multiply `x @ weight`, with `x` of shape (images, inputs).
#
# ### Exercise 06.1: from torch's axes to ours
#
# Turn one array of the file into our order of axes. Arrays of four axes are OIHW and become HWIO. Arrays of
# two axes are (outputs, inputs) and become (inputs, outputs). All others stay as they are.


# %%
# Exercise 06.1
def to_ours(array):
    """An array in torch's order of axes -> the same numbers in ours: HWIO, (inputs, outputs), or as it is."""


# %%
to_ours = check("06.1", to_ours)

# %% [markdown]
# We take the backbone's arrays, cut that word off, and turn them into float32: some files keep half of the
# digits, to be half as large.

# %%
prefix = "backbone."
file = {
    name.removeprefix(prefix): to_ours(array).astype(np.float32)
    for name, array in published.items()
    if name.startswith(prefix)
}
filters = file["conv1.weight"]
print("the first layer looks through windows of", filters.shape, "(rows, columns, colours, filters)")

# %%
low, high = filters.min(), filters.max()
sheet = contact_sheet(((filters - low) / (high - low)).transpose(3, 0, 1, 2), columns=11)
plt.figure(figsize=(9, 2))
plt.imshow(sheet)
plt.title("What the first layer looks for: edges, spots, a little colour")
plt.axis("off")
plt.show()

# %% [markdown]
# Nobody designed these. They look alike in almost every network that has learned to see, whatever it was
# trained on.
#
# ## 3. Two tools from earlier lessons
#
# A convolution as in lesson 4, with half a window of zeros on each side; and a pooling layer, which keeps the
# largest value of each 3 x 3 window and every second window.


# %%
def conv(x, weight, stride=1):
    """Convolve x (N, H, W, C_in) with weight (k, k, C_in, C_out); k // 2 zeros are added on each side."""
    half = len(weight) // 2
    x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    windows = sliding_window_view(x, weight.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, weight, optimize=True)


def pool(x):
    """The largest value in each 3 x 3 window, every second window."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    return sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(4, 5))


def relu(x):
    return np.maximum(x, 0)


# %% [markdown]
# After training, batch norm does not look at the batch any more. It uses the statistics of the file:
#
# $$y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta, \qquad \epsilon = 10^{-5}.$$
#
# In the file $\gamma$ is called `weight`, $\beta$ is `bias`, $\mu$ is `running_mean`, and $\sigma^2$ is
# `running_var`, each behind the name of the layer and a dot: `bn1.weight`.
#
# ### Exercise 06.2: batch norm that reads from the file
#
# Write the formula for a layer of any name.


# %%
# Exercise 06.2
def norm(x, file, name):
    """Batch norm of x (N, H, W, C) with name.weight, name.bias, name.running_mean and name.running_var."""


# %%
norm = check("06.2", norm)

# %% [markdown]
# ## 4. Why blocks have a shortcut
#
# Until 2015 deeper networks were worse, even on the images that they were trained with. He and others found a
# cure of one plus sign: a block adds its input to its result, $y = x + f(x)$.
#
# The reason can be measured. Stack layers, each a matrix and a ReLU, and send a gradient from the end back to
# the start. Each layer multiplies it by something. If that is a little below 1, what is left after forty
# layers?

# %%
# Predict
my_shrinking = None  # your guess, a number: 40 plain layers, by what factor does the gradient shrink?


# %%
DEPTH, CHANNELS = 40, 32
rng = np.random.default_rng(0)
matrices = rng.normal(0, 0.7 * np.sqrt(2 / CHANNELS), (DEPTH, CHANNELS, CHANNELS))
inputs, weighting = rng.normal(size=(2, 64, CHANNELS))


def gradient_sizes(shortcut):
    """How large the gradient is when it arrives before each layer, first layer first."""
    x, probes = Tensor(inputs), []
    for matrix in matrices:
        probes.append(Tensor(np.zeros_like(inputs), requires_grad=True))
        x = x + probes[-1]  # adding 0 changes nothing, but the 0 gets the gradient of x
        branch = ops.relu(x @ matrix)
        x = x + 0.2 * branch if shortcut else branch
    (x * weighting).sum().backward()
    return [float(np.sqrt((probe.grad**2).mean())) for probe in probes]


plain, residual = gradient_sizes(shortcut=False), gradient_sizes(shortcut=True)
print(f"from the last layer to the first: plain {plain[-1]:.2g} -> {plain[0]:.2g}, ", end="")
print(f"with shortcuts {residual[-1]:.2g} -> {residual[0]:.2g}")
check.reveal(my_shrinking, f"{plain[-1] / plain[0]:,.0f}")

# %%
plt.figure(figsize=(7, 3.5))
plt.semilogy(range(1, DEPTH + 1), plain, "o-", ms=3, label="plain: y = f(x)")
plt.semilogy(range(1, DEPTH + 1), residual, "s-", ms=3, label="residual: y = x + 0.2 f(x)")
plt.xlabel("layer, counted from the image")
plt.ylabel("size of the gradient before it")
plt.title("Without shortcuts the first layers hear nothing of the loss")
plt.legend()
plt.show()

# %% [markdown]
# The first layers of the plain stack would need nearly two million steps where the last ones need one.
#
# The derivative of $x + f(x)$ is $1 + f'(x)$: along the ones a gradient walks from the loss to the first
# layer without being multiplied by anything. And a block that is of no use can stay near 0 and does no harm.
#
# ## 5. The block
#
# A *basic block* of a ResNet is two convolutions of 3 x 3, each with a batch norm. Its order has to be kept
# exactly:
#
# $$h = \mathrm{relu}(\mathrm{bn1}(\mathrm{conv1}(x)))$$
#
# $$y = \mathrm{relu}(s(x) + \mathrm{bn2}(\mathrm{conv2}(h)))$$
#
# A stride, if there is one, is that of the first convolution. The shortcut $s(x)$ is `x` itself. Where the
# block changes the shape, `x` would not fit any more. There the file has a convolution of 1 x 1 and a batch
# norm for the shortcut, called `downsample.0` and `downsample.1`, and the convolution has the stride of the
# block.
#
# ### Exercise 06.3: a residual block
#
# Write it, with `conv`, `norm` and `relu`. `name` is the block's, such as `"layer2.0"`, so its first
# convolution is `file[f"{name}.conv1.weight"]`. Whether there is a `downsample` the file will tell you.


# %%
# Exercise 06.3
def block(x, file, name, stride):
    """A basic block: x (N, H, W, C_in) -> (N, H / stride, W / stride, C_out)."""


# %%
block = check("06.3", block)

# %% [markdown]
# ## 6. The network
#
# Now put it together. The *stem* is a convolution of 7 x 7 with stride 2, `conv1`, then `bn1`, a ReLU, and
# `pool`. Four stages follow, `layer1` to `layer4`, of two blocks each, `.0` and `.1`. The first block of the
# stages 2, 3 and 4 has the stride 2; all others have 1. Then each channel is averaged over rows and columns,
# and `fc` is a matrix and a bias.
#
# ### Exercise 06.4: a ResNet-18
#
# From images to the outputs of `fc`.


# %%
# Exercise 06.4
def network(images, file):
    """Normalised images (N, H, W, 3) -> outputs (N, outputs)."""


# %%
network = check("06.4", network)

# %% [markdown]
# ## 7. The library's own
#
# Here is the same block in tinyhpe. It is built from layers that own their arrays, and its batch norm takes
# the addition and the ReLU along. Find your six steps.

# %%
print(inspect.getsource(resnet.BasicBlock))

# %% [markdown]
# Do they agree? Eight heads that the network has never seen. It looks at the middle of each crop, and its
# colours are shifted and scaled as torchvision does it: minus a mean, over a deviation.

# %%
model = methods.load_model()
side, seen = crop_size(model.input_size), model.input_size
heads = [render_head((6, seed), side) for seed in range(8)]
crops = np.stack([head.image for head in heads])


def prepared(crops):
    """Crops (N, S, S, 3) uint8 -> their middles as the network wants them, float32."""
    edge = (crops.shape[1] - seen) // 2
    middle = crops[:, edge : edge + seen, edge : edge + seen] / np.float32(255)
    return (middle - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


mine, theirs = network(prepared(crops), file), model.evaluate_network(crops)
print(f"outputs {mine.shape}; the largest difference from the library's is {abs(mine - theirs).max():.1e}")

# %% [markdown]
# Float32 has seven digits, so this is equality. And your code is how long?

# %%
functions = [to_ours, conv, pool, relu, norm, block, network]
lines = [line for function in functions for line in inspect.getsource(function).splitlines()]
code = [line for line in lines if line.strip() and not line.strip().startswith(("#", '"""'))]
print(f"{len(code)} lines of NumPy, {sum(array.size for array in file.values()):,} numbers")

# %% [markdown]
# ## 8. The switch that everybody forgets
#
# A network in *training mode* takes batch norm's statistics from the batch, not from the file. Then the
# answer for one head depends on who else is in the batch. Nothing fails; the angles are just wrong.

# %%
images = Tensor(prepared(crops))
with tinyhpe.no_grad():
    for mode, words in ((True, "training mode  "), (False, "evaluation mode")):
        other = methods.load_model().train(mode)
        alone = np.concatenate([other.decode(other(images[i : i + 1]).data) for i in range(8)])
        difference = abs(alone - other.decode(other(images).data)).mean()
        print(f"{words}: alone and in a batch of 8, the angles differ by {difference:.2g} degrees on average")

# %% [markdown]
# `load_model()` returns a network in evaluation mode. If you build one yourself, call `.eval()` before you
# trust it.
#
# ## 9. Payoff: your network reads faces
#
# Nine outputs: they are the entries of a rotation matrix (lesson 7 tells why). `decode` turns them into yaw,
# pitch and roll. The rest, every multiplication from the pixels on, is yours. Red points to the side, green
# down, and blue where the nose goes.


# %%
def with_axes(crop, pose):
    """A crop, four times as large, with the axes of the pose."""
    photo = Image.fromarray(crop).resize((4 * len(crop),) * 2, Image.Resampling.BICUBIC)
    return draw_axes(photo, pose, (2 * len(crop), 2 * len(crop)), 1.2 * len(crop))


poses = model.decode(mine)
errors = abs(poses - np.stack([head.pose for head in heads])).mean(axis=1)
fig, axes = plt.subplots(2, 4, figsize=(11, 6))
for ax, crop, pose, error in zip(axes.flat, crops, poses, errors, strict=True):
    ax.imshow(with_axes(crop, pose))
    ax.set_title(f"{pose[0]:.0f}, {pose[1]:.0f}, {pose[2]:.0f}; off by {error:.0f}", fontsize=10)
    ax.axis("off")
fig.suptitle("Yaw, pitch and roll of eight strangers, by your own NumPy")
fig.tight_layout()
plt.show()

# %% [markdown]
# Now you. Put the name of a photo of yours between the quotes, one with a single head, and run the cell. If
# the face is not in the middle, give its box: x, y, width and height in pixels, from the brows to the chin.
# With no photo, a drawn head sits for you.

# %%
my_photo, my_box = "", None
photo = open_photo(my_photo) if my_photo else Image.fromarray(render_head(3, 450, (-35, 10, 8), margin=0.6).image)
box = my_box or default_box(*photo.size)
crop = crop_photo(photo, square(testing_box(box)), side)
pose = model.decode(network(prepared(crop[None]), file))[0]
library = tinyhpe.predict(photo, box)
print("yours:   yaw {:.2f}, pitch {:.2f}, roll {:.2f}".format(*pose))
print(f"library: yaw {library.yaw:.2f}, pitch {library.pitch:.2f}, roll {library.roll:.2f}")
plt.figure(figsize=(5, 5))
plt.imshow(library._replace(yaw=pose[0], pitch=pose[1], roll=pose[2]).draw(photo))
plt.title("The pose of one head, by your own network")
plt.axis("off")
plt.show()

# %% [markdown]
# ### Challenge 06.5: where names come from
#
# No hints. A network is a nest: dictionaries and lists, in dictionaries and lists, and in the innermost ones
# arrays. Write the function that gives every array its dotted name. In the list of a stage, the blocks are
# called 0, 1, 2 ... If your function passes over lists, the blocks in them vanish: they are never saved,
# never loaded, and never trained. That has happened in real libraries.


# %%
# Challenge 06.5
def named_arrays(part):
    """{"layer1": [{"weight": a}, {"weight": b}]} -> {"layer1.0.weight": a, "layer1.1.weight": b}, any depth."""


# %%
named_arrays = check("06.5", named_arrays)

# %% [markdown]
# ## What to remember
#
# - A file of weights is arrays with names. The names, the order of axes and the order of steps are the
#   agreement; break one and the answer is wrong, often without a message.
# - $y = x + f(x)$: gradients walk along the ones.
# - Running statistics are part of the network, though nobody trains them.
# - Evaluation mode for answers, training mode for learning.
#
# In lesson 7 you will learn what those nine outputs are, and why three angles would not do.
