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
# # Lesson 7: Heads and angles
#
# *45 to 60 minutes for you. The whole notebook runs in about 10 seconds on two cores and downloads
# nothing.*
#
# Two labels in a data set: one says yaw 89, pitch 0, roll 0, the other says yaw 89, pitch 20, roll 20. They
# differ by 20 degrees twice. **Why do they belong to the same picture?**
#
# So far a pose was three numbers, and an error was a difference of numbers. In this lesson you find out what
# the numbers stand for. It ends with a surprise: the network in this package does not learn angles at all.

# %%
import inspect
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
from checks import check
from pictures import FlipBook, show_row
from PIL import Image

from tinyhpe import Tensor, load_model, nn, ops
from tinyhpe.datasets.crops import crop_size
from tinyhpe.heads import render_head
from tinyhpe.methods import rotation
from tinyhpe.optim import Adam, cosine
from tinyhpe.pose import angles, sampling
from tinyhpe.pose.draw import draw_axes

# %% [markdown]
# ## 1. Two labels, one head
#
# The signs, as you see them in the image: **yaw** > 0, the nose points to the image's left. **Pitch** > 0, the
# head looks up. **Roll** > 0, the head leans clockwise. `geodesic` is the library's angle between two heads:
# the one turn that takes one to the other. You will write it yourself in section 5.

# %%
labels = [(89, 0, 0), (89, 20, 20), (89, 20, -20)]
heads = [render_head(33, 128, pose, margin=0.4).image for pose in labels]
show_row(heads, [f"yaw {y}, pitch {p}, roll {r}" for y, p, r in labels])
plt.show()
for pose in labels:
    print(pose, f"is {angles.geodesic(np.array(labels[0]), np.array(pose)):.2f} degrees from", labels[0])

# %% [markdown]
# The first two are the same head, to a third of a degree. Change **one sign**, and it is 40 degrees away. No
# subtraction of labels can know that.
#
# ## 2. Three turns, six orders
#
# A turn about an axis is a matrix. With $c$ and $s$ the cosine and the sine of the angle, x to the right, y up
# and z towards the camera, our three are
#
# $$R_x = \begin{pmatrix} 1 & 0 & 0 \\ 0 & c & s \\ 0 & -s & c \end{pmatrix} \quad
# R_y = \begin{pmatrix} c & 0 & -s \\ 0 & 1 & 0 \\ s & 0 & c \end{pmatrix} \quad
# R_z = \begin{pmatrix} c & s & 0 \\ -s & c & 0 \\ 0 & 0 & 1 \end{pmatrix}$$
#
# $R_x$ takes the pitch, $R_y$ the yaw, $R_z$ the roll. A flip-book shows each of them alone.


# %%
def turn_about(axis, radians):
    """The matrix (3, 3) of one turn; axis 0 is x (pitch), 1 is y (yaw), 2 is z (roll)."""
    c, s = np.cos(radians), np.sin(radians)
    first, second = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = s, -s
    return matrix


swing = 40 * np.sin(np.linspace(0, 2 * np.pi, 12, endpoint=False))
poses = np.concatenate([swing[:, None] * unit for unit in np.eye(3)])
FlipBook([render_head(33, 128, pose, margin=0.4).image for pose in poses], poses)

# %% [markdown]
# To make a pose, multiply the three. But in which order? Turns do not commute. Here are the **same three
# angles**, yaw 50, pitch 40, roll 30, in all six orders.

# %%
turns = {
    "Rx": turn_about(0, np.deg2rad(40)),
    "Ry": turn_about(1, np.deg2rad(50)),
    "Rz": turn_about(2, np.deg2rad(30)),
}
orders = {" ".join(names): np.linalg.multi_dot([turns[n] for n in names]) for names in permutations(turns)}
show_row([render_head(33, 128, angles.matrix_to_euler(m), margin=0.4).image for m in orders.values()], orders)
plt.show()

# %% [markdown]
# Six different heads. Two data sets can both say "yaw, pitch, roll" and mean different ones. Nothing in the
# file tells you; you have to read the paper, or draw the axes and look.
#
# ### Exercise 07.1: from angles to a matrix
#
# The data sets of our course (300W-LP, AFLW2000) mean this: *the head is first rolled about its own axis of
# sight, then turned to the side, and last tipped up or down.* A point $v$ of the head goes to $R v$, so the
# turn that comes first stands next to $v$.


# %%
# Exercise 07.1
def rotation_matrix(pose):
    """The matrix (3, 3) of a pose (3,): yaw, pitch and roll in degrees. Use turn_about."""


# %%
rotation_matrix = check("07.1", rotation_matrix)

# %% [markdown]
# The library has multiplied the product out by hand, for many poses at once. It is the same matrix. You can
# read the nine entries here; you need some of them next.

# %%
print(inspect.getsource(angles.euler_to_matrix))
some = np.random.default_rng(0).uniform(-89, 89, (1000, 3))
matrices = np.stack([rotation_matrix(pose) for pose in some])
print("largest difference:", f"{np.abs(matrices - angles.euler_to_matrix(some)).max():.0e}")

# %% [markdown]
# ## 3. The way back
#
# ### Exercise 07.2: from a matrix to angles
#
# Look for entries that hold one angle alone, or two entries whose quotient does. Then mind three traps.
# `np.arctan(y / x)` cannot know in which quadrant (x, y) lies; `np.arctan2(y, x)` does. The angles should come
# back in degrees. And the matrix may come from a network or from float32, so that an entry is 1.0000001: what
# does `np.arcsin` say to that?


# %%
# Exercise 07.2
def angles_of(matrix):
    """Yaw, pitch, roll (3,) in degrees of a rotation matrix (3, 3); yaw within -90..90. Never NaN."""


# %%
angles_of = check("07.2", angles_of)

# %% [markdown]
# There and back again. And yaw **beyond** 90 degrees?

# %%
back = np.stack([angles_of(matrix) for matrix in matrices])
print(f"1000 poses: largest change {np.abs(back - some).max():.0e} degrees")
print("yaw 100, pitch 10, roll 5 comes back as", angles_of(rotation_matrix(np.array([100.0, 10.0, 5.0]))).round(3))

# %% [markdown]
# The same head has two names. A label is a name, and the head is the matrix.
#
# ## 4. Where labels jump: gimbal lock
#
# Take a profile: a head turned by 85 degrees. Now it nods, from 15 degrees down to 15 degrees up. In the image
# of a profile, a nod is a tilt of the picture. `view_to_matrix` makes the matrix from *turn, elevation, tilt*,
# as a photographer would count. What happens to the label?

# %%
tilts = np.linspace(-15, 15, 31)
nod = [angles.view_to_matrix(np.array([85, 0, tilt])) for tilt in tilts]
names = np.stack([angles_of(matrix) for matrix in nod])
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
for angle, line, values in zip(("yaw", "pitch", "roll"), ("-", "-", "--"), names.T, strict=True):
    left.plot(tilts, values, line, label=angle)
left.set(xlabel="tilt of the profile (degrees)", ylabel="label (degrees)", title="The label jumps")
left.legend()
right.plot(tilts, np.reshape(nod, (-1, 9)))
right.set(xlabel="tilt of the profile (degrees)", ylabel="entry", title="The nine entries of R hardly move")
fig.tight_layout()
plt.show()
print("tilt 5:", names[20].round(0), " tilt 10:", names[25].round(0), " tilt 15:", names[30].round(0))

# %%
FlipBook([render_head(33, 128, pose, margin=0.4).image for pose in names[::2]], names[::2])

# %% [markdown]
# A nod of 5 degrees, and pitch **and** roll leap to 45. This is *gimbal lock*. The middle turn, a yaw near 90,
# lays the axis of roll onto the axis of pitch. Two dials now do the same, and no dial is left for the third
# direction. It must be made of a huge pitch and a huge roll that undo most of each other. That is also the
# answer to our first question.
#
# A network is a continuous function. It cannot leap, and its squared error punishes it for every leap of the
# label. And who draws training poses angle by angle never shows it such labels at all:

# %%
rng = np.random.default_rng(0)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
for ax, draw, title in (
    (axes[0], sampling.fig4_poses, "each angle drawn on its own"),
    (axes[1], sampling.photographed_poses, "as cameras meet heads"),
):
    drawn = draw(rng, 4000)
    turn = angles.matrix_to_view(angles.euler_to_matrix(drawn))[:, 0]
    pitch, roll = np.abs(drawn[np.abs(turn) > 75, 1:]).mean(axis=0)
    ax.plot(drawn[:, 0], drawn[:, 1], ".", ms=2)
    ax.set(xlabel="yaw", title=f"{title}\nprofiles: |pitch| {pitch:.0f}, |roll| {roll:.0f} on average")
axes[0].set_ylabel("pitch (degrees)")
plt.show()
print(inspect.getdoc(sampling).split("\n\n")[2])  # what real photos say

# %% [markdown]
# ## 5. One angle between two heads
#
# Let $D = A^T B$ be the turn from head $A$ to head $B$. It turns by some angle $\theta$ about some axis, and
# its trace is $1 + 2\cos\theta$. So textbooks write $\theta = \arccos\frac{\mathrm{trace}\,D - 1}{2}$. Try
# it on two heads that are almost the same.

# %%
print("true angle   arccos, in degrees")
for true in (1e-2, 1e-4, 1e-6, 1e-8):
    cosine_of_it = (np.trace(turn_about(1, np.deg2rad(true))) - 1) / 2
    print(f"{true:10.0e}   {np.rad2deg(np.arccos(min(cosine_of_it, 1))):.6e}")

# %% [markdown]
# At 0 the cosine is flat: it is 1 for every tiny angle, and the digits are gone. The sine is steep there. It
# hides in the part of $D$ that is not symmetric: $\|D - D^T\| = 2\sqrt{2}\,\sin\theta$, where the norm is the
# root of the sum of all nine squares. From sine **and** cosine, `arctan2` gives all digits everywhere.
#
# ### Exercise 07.3: the geodesic angle


# %%
# Exercise 07.3
def angle_between(a, b):
    """Degrees (0 to 180) of the one turn from rotation matrix a to rotation matrix b, both (3, 3)."""


# %%
angle_between = check("07.3", angle_between)

# %%
print(inspect.getsource(angles.geodesic).split('"""')[2])
pairs = [(rotation_matrix(a), rotation_matrix(b)) for a, b in zip(some[::2], some[1::2], strict=True)]
ours = np.array([angle_between(a, b) for a, b in pairs])
print("largest difference:", f"{np.abs(ours - angles.geodesic(some[::2], some[1::2])).max():.0e} degrees")

# %% [markdown]
# ## 6. In the mirror
#
# Training mirrors half of all photos: twice the data for nothing. The label must go along. In the mirror x
# becomes -x, so the matrix becomes $M R M$ with $M = \mathrm{diag}(-1, 1, 1)$. Work out what that does to the
# three angles, or think of a mirror.
#
# ### Exercise 07.4: the label of a mirrored head


# %%
# Exercise 07.4
def mirror_pose(poses):
    """Poses (N, 3) of the same heads seen in a mirror; the dtype stays as it is."""


# %%
mirror_pose = check("07.4", mirror_pose)

# %%
head = render_head(14, 128, (35, 10, 25), margin=0.4)
mirrored = render_head(14, 128, mirror_pose(head.pose[None])[0], margin=0.4)
show_row(
    [head.image, head.image[:, ::-1], mirrored.image], ["head", "its pixels mirrored", "rendered from your label"]
)
plt.show()

# %% [markdown]
# The light comes from the other side, but the pose is the same.
#
# ## 7. Angles or a matrix: which should a network learn?
#
# Now the experiment. A tiny network sees five points of a face in the image: the eyes, the nose, the corners
# of the mouth, a little blurred. In one run its target is the three angles. In the other it is the nine
# entries of $R$. All else is equal, and the poses are those of cameras.
#
# Three numbers are less to learn than nine. What do you expect?

# %%
# Predict
my_ratio = None  # your guess, a number: error in profiles with the matrix, divided by that with angles

# %%
# Slow: two networks are trained.
face = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, -0.45, 0.55], [-0.4, -0.9, 0.1], [0.4, -0.9, 0.1]])
rng = np.random.default_rng(1)
poses = sampling.photographed_poses(rng, 5000)
turned = np.stack([rotation_matrix(pose) for pose in poses])
points = (turned @ face.T)[:, :2].reshape(5000, 10)
points = (points + rng.normal(0, 0.03, points.shape)).astype(np.float32)
held_out = slice(4000, 5000)  # the others are trained on


def train(targets, steps=600):
    """Train a network of three layers, and return what it answers for all 5,000 faces."""
    rng = np.random.default_rng(0)
    layers = [nn.Linear(m, n, rng=rng) for m, n in ((10, 32), (32, 32), (32, targets.shape[1]))]
    optimizer = Adam([p for layer in layers for p in layer.parameters()])
    for step in range(steps):
        optimizer.lr = cosine(1e-2, step / steps)
        chosen = rng.integers(0, 4000, 128)
        ops.mse(answer(layers, points[chosen]), targets[chosen]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return answer(layers, points).data


def answer(layers, x):
    return layers[2](ops.tanh(layers[1](ops.tanh(layers[0](Tensor(x))))))


def nearest(matrix):
    u, _, vt = np.linalg.svd(matrix.astype(float))
    return u @ vt  # why this is a rotation, and when it is not: the challenge


answers = {
    "angles": [rotation_matrix(pose) for pose in train((poses / 30).astype(np.float32)) * 30],
    "matrix": [nearest(m) for m in train(turned.reshape(-1, 9).astype(np.float32)).reshape(-1, 3, 3)],
}
profile = np.abs(poses[held_out, 0]) > 75
print("mean error in degrees     all   profiles   profiles, |error of pitch|")
in_profiles = {}
for name, rotations in answers.items():
    off = np.array([angle_between(a, b) for a, b in zip(rotations[held_out], turned[held_out], strict=True)])
    of_pitch = np.abs([angles_of(m)[1] for m in rotations[held_out]] - poses[held_out, 1])
    in_profiles[name] = off[profile].mean()
    print(f"learned as {name:11} {off.mean():6.1f} {off[profile].mean():10.1f} {of_pitch[profile].mean():20.1f}")
check.reveal(my_ratio, in_profiles["matrix"] / in_profiles["angles"])

# %% [markdown]
# Read two things from the table. **Nine numbers are easier than three**, since they move as the head moves;
# most of all in profiles. And the last column: for the network that learned the matrix, the error of *pitch*
# in profiles is still large, far larger than the error of the *head*. The label leaps, so a tiny error of the
# head becomes a huge error of the label. **Errors of angles are not errors of heads.** That is why `tinyhpe
# evaluate` prints the geodesic error, and a line for |yaw| below 60.
#
# So the method that tinyhpe trains by default has nine outputs. Zhou et al. (2019) prove that three numbers
# can never do: every such labelling of rotations has leaps.

# %%
print(inspect.getsource(rotation.SiameseRotation))

# %% [markdown]
# ## 8. Payoff: guess the pose
#
# Twelve strangers. The network in this package against you. Guess first! Write your guesses into the cell
# below the pictures, and do not scroll on before.

# %%
model = load_model()
side = crop_size(model.input_size)
strangers = [render_head((77, number), 2 * side) for number in range(12)]
show_row([head.image for head in strangers], [f"head {number}" for number in range(12)], columns=6)
plt.show()

# %%
my_guesses = {}  # number of the head: (yaw, pitch, roll), for example {0: (30, 0, -10), 3: (-60, 5, 0)}

# %% [markdown]
# The axes are the network's: red to the side of the head, green down, blue along the nose.

# %%
crops = np.stack([np.asarray(Image.fromarray(head.image).resize((side, side))) for head in strangers])
truth = np.stack([head.pose for head in strangers])
network = model.predict(crops)


def off_by(poses, numbers):
    """Mean geodesic error in degrees of poses for the heads with these numbers."""
    return np.mean(
        [angle_between(rotation_matrix(p), rotation_matrix(truth[n])) for p, n in zip(poses, numbers, strict=True)]
    )


pictures = [
    np.asarray(draw_axes(Image.fromarray(head.image), pose, (side, side), side * 0.6))
    for head, pose in zip(strangers, network, strict=True)
]
errors = [off_by([pose], [number]) for number, pose in enumerate(network)]
show_row(pictures, [f"head {number}: off by {error:.0f}" for number, error in enumerate(errors)], columns=6)
plt.show()
numbers = list(my_guesses) or list(range(12))
print(f"heads {numbers}, mean error in degrees")
print(f"always straight ahead {off_by(np.zeros((len(numbers), 3)), numbers):8.1f}")
print(f"the network           {off_by(network[numbers], numbers):8.1f}")
if my_guesses:
    print(f"you                   {off_by(list(my_guesses.values()), numbers):8.1f}   <- write it on the board")

# %% [markdown]
# Most people are good at yaw and poor at pitch. Is the network the same? Change 77 for new strangers.
#
# ## 9. The challenge
#
# What a network answers is near a rotation, but none. Which rotation is **nearest**, in the sum of squared
# differences? The singular value decomposition $M = U S V^T$ knows, and `nearest` above was almost it. But it
# has a flaw: for some matrices it answers with a mirrored head. Find out which, and do better.
#
# ### Challenge 07.5: the nearest rotation


# %%
# Challenge 07.5
def nearest_rotation(matrix):
    """The rotation (3, 3) that is nearest to any matrix (3, 3)."""


# %%
nearest_rotation = check("07.5", nearest_rotation)

# %% [markdown]
# ## What to remember
#
# - A pose is a rotation. Yaw, pitch and roll are a **name** for it, and the order of the turns is a convention.
# - `arctan2`, never `arctan`; and `arcsin` only of what is clipped.
# - Near yaw 90 names leap where heads do not: **gimbal lock**.
# - Measure heads by the **geodesic** angle, from sine and cosine together.
# - In the mirror yaw **and** roll change their signs.
# - Let a network learn what moves as the head moves: the **matrix**.
#
# In lesson 8 a network learns where heads look without ever being told.
