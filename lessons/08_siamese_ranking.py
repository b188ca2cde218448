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
# # Lesson 8: Siamese ranking
#
# *45 to 60 minutes for you. The whole notebook runs in about 20 seconds on two cores and downloads
# nothing.*
#
# Show a person a photo and ask: how many degrees is this head turned? Nobody knows. Show **two** photos and
# ask: which of them looks more to the left? Everybody knows, at once.
#
# **Can a network learn angles that it is never told?** Gao and Wang (2019) say: nearly. First they let it
# answer such questions only, for all pairs of a batch. In this lesson you write this *ranking*, piece by piece:
# levels, pairs, targets, loss, gradient. At the end your code sorts strangers from left to right.

# %%
import inspect
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from checks import check
from pictures import show_row
from scipy.special import expit as sigmoid
from scipy.stats import spearmanr

from tinyhpe import Tensor, nn
from tinyhpe.checks import check_op
from tinyhpe.datasets.preprocess import prepare, unvaried
from tinyhpe.heads import render_head
from tinyhpe.methods.siamese import pairwise_same_loss
from tinyhpe.nn.module import Parameter, evaluation
from tinyhpe.ops.losses import cross_entropies
from tinyhpe.ops.pairs import PairwiseOrder
from tinyhpe.ops.samples import normal
from tinyhpe.optim import Adam, cosine
from tinyhpe.pose.levels import angle_to_level
from tinyhpe.tensor import Op, apply

# %% [markdown]
# ## 1. A question without numbers

# %%
some_yaws = np.array([-20.0, 35.0, -63.0, 12.0, 14.5])
people = (0, 17, 33, 9, 14)
some_heads = [
    render_head(seed, 96, (yaw, 0, 0), margin=0.3).image for seed, yaw in zip(people, some_yaws, strict=True)
]
show_row(some_heads, "ABCDE")
plt.show()

# %% [markdown]
# Which looks most to the left, which most to the right? You have just ranked five heads, without a single
# angle. But D and E: are they different at all?
#
# ## 2. Levels
#
# Labels are not exact, so whether one head is a degree further left than another is not worth asking. The paper
# cuts -99 to 99 degrees into 66 **levels** of 3 degrees. Level $L$ holds all angles from $3L - 99$ (which
# belongs to it) up to $3L - 96$ (which does not). One exception: 99 degrees itself goes to the last level, 65.
#
# ### Exercise 08.1: from angle to level


# %%
# Exercise 08.1
def level_of(angles):
    """The levels (N,), whole numbers from 0 to 65, of angles (N,) in degrees from -99 to 99."""


# %%
level_of = check("08.1", level_of)

# %%
print("yaws  ", some_yaws)
print("levels", level_of(some_yaws))
everything = np.linspace(-99, 99, 1981)
print("equal to the library's, 1,981 angles:", np.array_equal(level_of(everything), angle_to_level(everything)))
print("".join(inspect.getsource(angle_to_level).rpartition("    levels =")[1:]))

# %% [markdown]
# D and E, 12 and 14.5 degrees, share a level. They are a *tie*.
#
# (The authors of HopeNet use `np.digitize`, which counts from 1. Who forgets the -1 has 68 classes.)
#
# ## 3. All pairs
#
# A batch of $n$ heads holds many questions: each head against each other one. The paper takes all $n (n - 1)$
# *ordered* pairs: "is A more to the left than B?" and "is B more to the left than A?" are two of them. A head is
# not compared with itself.
#
# ### Exercise 08.2: all pairs of n


# %%
# Exercise 08.2
def all_pairs(n):
    """Two arrays of n * (n - 1) indices, first and second: every ordered pair of different ones, once."""


# %%
all_pairs = check("08.2", all_pairs)

# %% [markdown]
# ## 4. What should the answer be?
#
# The network gives each head one number, its **score**. For a pair, $p = \sigma(s_i - s_j)$ is the probability
# that $i$ has the higher level, with $\sigma(z) = 1 / (1 + e^{-z})$. Only the difference counts: add 1,000 to
# all scores, and nothing changes. The target is 1 if $i$ has the higher level, 0 if $j$ has, and for a tie
# one half: then the two scores should be equal.
#
# Levels are often stored in bytes, `uint8`. What is `np.uint8(3) - np.uint8(5)`? Remember lesson 1.
#
# ### Exercise 08.3: the targets


# %%
# Exercise 08.3
def pair_targets(first, second):
    """1.0, 0.5 or 0.0 (float64) where the level in `first` is above, equal to, below that in `second`."""


# %%
pair_targets = check("08.3", pair_targets)

# %%
first, second = all_pairs(5)
levels = level_of(some_yaws)
print("pairs, of five heads:", len(first))
for i, j, target in list(zip(first, second, pair_targets(levels[first], levels[second]), strict=True))[:6]:
    print(f"is {'ABCDE'[i]} more to the left than {'ABCDE'[j]}?  target {target}")

# %% [markdown]
# ## 5. A loss that survives
#
# How wrong is an answer $p$ for a target $t$? Binary cross-entropy says $-t \log p - (1 - t) \log(1 - p)$. Let
# us write it down as it stands.


# %%
def naive(z, t):
    p = sigmoid(z)
    return -t * np.log(p) - (1 - t) * np.log(1 - p)


with np.errstate(all="ignore"):
    for z in (2.0, 20.0, 40.0, 800.0):
        print(
            f"target 0, score difference {z:5.0f}: loss {naive(z, 0.0):.6g}; it should be {np.logaddexp(0, z):.6g}"
        )

# %% [markdown]
# From 40 on $p$ is rounded to 1, and $\log(1 - p)$ is the logarithm of 0. **The worse the mistake, the more
# certain is the crash.** So never make $p$ at all. For $z > 0$ take out what is large:
#
# $$-\log p = \log(1 + e^{-z}), \qquad -\log(1 - p) = z + \log(1 + e^{-z})$$
#
# The exponential is at most 1 here. For $z < 0$ find the twins, in which $e^{z}$ is at most 1. Then write both
# cases in one line: $|z|$ and $\max(z, 0)$ help.
#
# ### Exercise 08.4: cross-entropy from the difference of scores


# %%
# Exercise 08.4
def bce_from_logits(z, t):
    """-t log p - (1 - t) log(1 - p), p = sigmoid(z), for each element of arrays z and t; any z, never infinite."""


# %%
bce_from_logits = check("08.4", bce_from_logits)

# %%
print(inspect.getsource(cross_entropies))
z, t = np.random.default_rng(0).normal(0, 100, 1000), np.random.default_rng(1).uniform(size=1000)
print("largest difference:", f"{np.abs(bce_from_logits(z, t) - cross_entropies(np, z, t)).max():.0e}")

# %% [markdown]
# ## 6. The ensemble layer
#
# Classic *Siamese* networks have two branches with the same weights: one photo goes left, one goes right, the
# answer comes from both. So every pair costs two passes. Even if A and B meet only once, and the second question
# is answered by turning the sign round, $n$ heads make $n (n - 1) / 2$ pairs and cost $n (n - 1)$ passes.
#
# But the score of a head does not depend on its partner! The paper runs the network **once** on each head, and
# pairs the *scores*: $n$ passes. It calls this the *ensemble layer*, and says that it saves a factor of $n - 1$.
# Is that so? Here are a small network and both ways.


# %%
class SmallNet(nn.Module):
    """Three convolutions with batch norm, from 32 x 32 pixels to 4 x 4, then one number for each image."""

    def __init__(self, seed=0, width=16):
        rng, channels = np.random.default_rng(seed), (3, width, 2 * width, 4 * width)
        self.convolutions = [nn.Conv2d(a, b, 3, 2, 1, rng=rng) for a, b in pairwise(channels)]
        self.norms = [nn.BatchNorm2d(c, relu=True) for c in channels[1:]]
        self.fc = nn.Linear(16 * channels[-1], 1, rng=rng)

    def forward(self, x):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x))
        return self.fc(x.reshape((x.shape[0], -1))).reshape((-1,))


def two_branches(network, images):
    """Scores of the first and of the second head of each pair i < j: every pair goes through the network."""
    n, (first, second) = len(images), all_pairs(len(images))
    meet_once = first < second

    def branch(indices):
        batches = [images[indices[k : k + n]] for k in range(0, len(indices), n)]
        return np.concatenate([network(Tensor(batch)).data for batch in batches])

    return branch(first[meet_once]), branch(second[meet_once])


def ticks(clock):
    start = clock()
    sum(range(10**6))
    return clock() > start


# the time of this program alone, whatever else the computer does; in a browser that clock stands still
clock = time.process_time if ticks(time.process_time) else time.perf_counter


def seconds_for(function, *inputs):
    start, runs = clock(), 0
    while clock() - start < 0.15:
        function(*inputs)
        runs += 1
    return (clock() - start) / runs


# %%
network, ratios, sizes = SmallNet(), [], (5, 9, 17, 25)
with evaluation():  # batch norm of one head must not depend on the others
    for n in sizes:
        images = np.random.default_rng(n).normal(size=(n, 32, 32, 3)).astype(np.float32)
        ratios.append(seconds_for(two_branches, network, images) / seconds_for(network, Tensor(images)))
    first, second = all_pairs(n)
    scores, (left, right) = network(Tensor(images)).data, two_branches(network, images)
differences = (scores[first] - scores[second])[first < second]
print("same answers: largest difference", np.abs((left - right) - differences).max())
fig, ax = plt.subplots(figsize=(6, 3.4))
ax.plot(sizes, [n - 1 for n in sizes], "k--", label="n - 1")
ax.plot(sizes, ratios, "o-", label="measured: time of two branches / time of one")
ax.set(xlabel="heads in the batch, n", ylabel="times as long", title="Pair the scores, not the photos")
ax.legend()
plt.show()

# %% [markdown]
# The answers are the same to rounding, and the paper is right about the cost. (The measured line wavers when the
# computer is busy; the count of passes does not.) At a batch of 32 it is the difference between a minute and
# half an hour.
#
# What about the way back? The loss is the mean over all ordered pairs,
#
# $$L = \frac{1}{n (n - 1)} \sum_{i \neq j} \ell(s_i - s_j,\; t_{ij}), \qquad
# \frac{\partial \ell}{\partial z} = p - t$$
#
# Now derive $\partial L / \partial s_i$. Mind that $s_i$ stands in *two* kinds of pairs: first in $(i, j)$, and
# second, with a minus, in $(j, i)$. And what are $p_{ji}$ and $t_{ji}$, if you know $p_{ij}$ and $t_{ij}$? No
# loop is needed.
#
# ### Exercise 08.5: the gradient of the ensemble layer


# %%
# Exercise 08.5
def pair_gradient(scores, levels):
    """The gradient (n,) of L with respect to scores (n,), for levels (n,). Use sigmoid and pair_targets."""


# %%
pair_gradient = check("08.5", pair_gradient)

# %% [markdown]
# All your pieces together are an operation like those of lesson 3. `check_op` does not believe them, of
# course. It takes differences.


# %%
class EnsembleLayer(Op):
    """The ranking loss of scores (n,), made of your functions."""

    def __init__(self, levels):
        self.levels = levels

    @staticmethod
    def samples(rng):
        yield normal(rng, (6,), analytic=False, levels=rng.integers(0, 4, 6))

    def forward(self, xp, scores):
        self.scores = scores
        first, second = all_pairs(len(scores))
        targets = pair_targets(self.levels[first], self.levels[second]).astype(scores.dtype)
        return np.asarray(bce_from_logits(scores[first] - scores[second], targets).mean(), scores.dtype)

    def backward(self, xp, g):
        return ((g * pair_gradient(self.scores, self.levels)).astype(g.dtype),)


check_op(EnsembleLayer)
scores, levels = np.random.default_rng(2).normal(size=50), np.random.default_rng(3).integers(0, 66, 50)
for name, op in {"yours": EnsembleLayer(levels), "library": PairwiseOrder(levels)}.items():
    print(f"{name:8} loss {float(op.forward(np, scores)):.12f}", end="   ")
    print("gradient", op.backward(np, np.array(1.0))[0][:3])
print(inspect.getsource(PairwiseOrder.forward))
print(inspect.getsource(PairwiseOrder.backward))

# %% [markdown]
# Equal. The library makes one table of all $n \times n$ differences, instead of two lists of indices.
#
# ## 7. Never told an angle
#
# Six hundred heads, each with a random yaw, some pitch and roll. Their yaws enter the training as levels in
# pairs, and in no other way. Each time a head is shown, chance decides whether it is mirrored, and which 32 x 32
# of its 36 x 36 pixels are seen: so the network never meets exactly the same picture.
#
# There is a riddle in the paper. Its text ranks by **order**, as we did. But its Eq. 1, to the letter, asks
# something else: do two heads have the **same** level? That is $p = \sigma(a - b\,|s_i - s_j|)$ with target 1
# for equal levels and 0 for others. We train both, 400 steps each.
#
# Look at the training below before you run it: there is no angle in the loss. `level_of` turns the yaws into
# levels, `EnsembleLayer` compares them, and that is all.
#
# Whether the order is right is measured on 150 strangers, by Spearman's *rank correlation*: 1 if the scores are
# in the order of the yaws, 0 if they have nothing to do with it, -1 if the order is reversed. (`same` is trained
# twice, with two seeds. Can you think of a reason why that might matter?)

# %%
# Predict
my_order = None  # your guess: the rank correlation of score and true yaw, trained by order
my_same = None  # your guess: the same, trained by `same`, first seed

# %%
# Slow: 750 heads are drawn.
rng = np.random.default_rng(7)
poses = np.stack([rng.uniform(-75, 75, 750), rng.normal(0, 12, 750), rng.normal(0, 8, 750)], axis=1)
poses = poses.astype(np.float32)
heads = np.stack([render_head((7, number), 36, pose, margin=0.2).image for number, pose in enumerate(poses)])


# %%
def train(loss_of, seed=0, more_parameters=(), steps=400):
    """Train a new SmallNet on the first 600 heads; loss_of(scores, levels of yaw) says what to learn."""
    rng, network = np.random.default_rng(seed), SmallNet(seed)
    optimizer = Adam([*network.parameters(), *more_parameters])
    for step in range(steps):
        optimizer.lr = cosine(3e-3, step / steps)
        chosen = rng.choice(600, 32, replace=False)
        variations = np.ones((32, 4), np.float32)  # of each head: corner y, corner x, mirrored or not, brightness
        variations[:, :3] = rng.integers(0, (5, 5, 2), (32, 3))
        images, seen = prepare(heads[chosen], variations, poses[chosen], 32)
        loss_of(network(Tensor(images)), level_of(seen[:, 0])).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.infer(unvaried(heads, 32))  # the scores of all heads, in evaluation mode


def by_order(scores, levels):
    return apply(EnsembleLayer(levels), scores)


def train_same(seed):
    a, b = Parameter(np.array(0, np.float32)), Parameter(np.array(1, np.float32))
    return train(lambda scores, levels: pairwise_same_loss(scores, levels, a, b), seed, (a, b))


# %%
# Slow: three networks are trained.
new = slice(600, 750)
results = {"order": train(by_order), "same, seed 0": train_same(0), "same, seed 2": train_same(2)}
correlations = {name: spearmanr(scores[new], poses[new, 0])[0] for name, scores in results.items()}
check.reveal(my_order, float(correlations["order"]))
check.reveal(my_same, float(correlations["same, seed 0"]))

# %%
# Slow: it shows what was trained.
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4))
for ax, (name, scores) in zip(axes, results.items(), strict=True):
    ax.plot(poses[new, 0], scores[new], "o", ms=4)
    ax.set(xlabel="true yaw (degrees)", title=f"{name}: {correlations[name]:.2f}")
axes[0].set_ylabel("score of a head never seen")
plt.show()

# %% [markdown]
# The left picture is the answer to the question of this lesson. Nobody told the network an angle, and its
# scores follow the angles of strangers.
#
# `same` is worse, and it cannot know left from right at all: $|s_i - s_j|$ is the same if all scores change
# their sign. Which end is up is chance. That is the riddle's solution: **order is what works**, and it is
# tinyhpe's default. The other is kept as `siamese-same`, for comparison.
#
# But the scale of the scores is their own. How far is "2.5"? Now, at last, we tell **ten** angles, and lay a
# straight line through ten heads.

# %%
# Slow: it uses what was trained.
scores = results["order"]
slope, intercept = np.polyfit(scores[:10], poses[:10, 0], 1)
error = np.abs(slope * scores[new] + intercept - poses[new, 0]).mean()
print(f"yaw = {slope:.1f} * score {intercept:+.1f}")
print(f"mean error on strangers: {error:.1f} degrees; always zero: {np.abs(poses[new, 0]).mean():.1f}")

# %% [markdown]
# Ten labels. This *affine fit* stands between the two stages of the method. What follows, fine-tuning with all
# angles, is lesson 9.
#
# What is the ranking good for, if we have all the angles anyway? A batch of 32 heads holds 32 angles, but 992
# questions. And a question forgives: a label that is wrong by ten degrees spoils only the answers of its close
# neighbours. The paper's claim is that a network that has learned to compare has a better start. Whether it is
# right, you can measure in lesson 9.
#
# ## 8. Payoff: strangers, sorted
#
# Ten strangers, in the order of their scores alone: from left to right they should turn from the image's
# left to its right. Above each is the true yaw. Change 99 for other strangers.

# %%
# Slow: it uses what was trained.
places = np.random.default_rng(99).choice(np.arange(600, 750), 10, replace=False)
places = places[np.argsort(-scores[places])]
large = [render_head((7, int(place)), 96, poses[place], margin=0.2).image for place in places]
show_row(large, [f"{yaw:.0f}" for yaw in poses[places, 0]])
plt.show()
print("rank correlation of these ten:", round(float(spearmanr(scores[places], poses[places, 0])[0]), 2))

# %% [markdown]
# Who stands wrong? Look at these heads: what has fooled the network?
#
# ## 9. The challenge
#
# We borrowed the rank correlation from SciPy. Write it. It is the ordinary (Pearson) correlation, but of the
# *ranks*: the smallest value has rank 1, the next 2, and so on. Equal values share the mean of the ranks that
# they take up together. No loop over elements.
#
# ### Challenge 08.6: rank correlation


# %%
# Challenge 08.6
def rank_correlation(a, b):
    """Spearman's rank correlation, -1 to 1, of arrays (N,) and (N,). Equal values share their mean rank."""


# %%
rank_correlation = check("08.6", rank_correlation)

# %% [markdown]
# ## What to remember
#
# - A comparison is easier to answer than a number. **n heads hold n(n - 1) questions.**
# - The **ensemble layer** pairs scores, not photos: the same answers, n - 1 times cheaper.
# - A tie has a target too: one half.
# - Compute cross-entropy from the **difference of the scores**, never from p.
# - `order` knows left from right; `same` cannot.
# - Scores are in the right order, on a scale of their own. A few labels give them degrees.
#
# In lesson 9 the scores become degrees, and rivals come.
