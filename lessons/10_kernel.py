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
# # Lesson 10: A kernel
#
# *45 to 60 minutes for you. The whole notebook runs in about 8 seconds on two cores and downloads
# nothing.*
#
# A graphics card (GPU) runs a million threads at once. Nobody tells them apart by name, nobody says who is
# first, and they all see the same memory. A million threads: who writes what?
#
# Get it wrong, and a card does not complain. It gives numbers that are almost right, or right on Mondays. In
# this lesson your threads run in an *emulator* on your CPU. It is slow, and it is strict: it runs every
# program in three orders of its threads, and says what a card would keep to itself. You need no GPU, but you
# need a C++ compiler. The first cell looks for one.

# %%
import matplotlib.pyplot as plt
import numpy as np
from checks import check

from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import emulator
from tinyhpe.fast.cuda import launch as library
from tinyhpe.fast.cuda.emulator import CpuModule, KernelError
from tinyhpe.fast.cuda.emulator.counting import count_accesses
from tinyhpe.heads import render_head

try:
    print("compiler:", "g++" if emulator.compiler()[0] == "g++" else "ziglang")
except InputError as problem:
    check.end(f"This lesson cannot go on: {problem} (or, on Linux, apt install g++), then restart the kernel.")

# %% [markdown]
# ## 1. One thread, one number
#
# A *kernel* is a function in CUDA C that every thread runs. Threads come in *blocks* of equal size. A thread
# knows three numbers: its own place in its block, `threadIdx.x`; the number of its block, `blockIdx.x`; and
# the size of a block, `blockDim.x`. From these it works out which number of the result is its own:
#
# $$i = \mathrm{blockIdx} \cdot \mathrm{blockDim} + \mathrm{threadIdx}.$$
#
# Here each thread writes its block's number at its own place. `extern "C" __global__ void` begins every
# kernel. `float*` is an array, `const float*` one that is only read. An array does not know its own length,
# so we pass that, too.

# %%
WHO = """
extern "C" __global__ void who(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = blockIdx.x;
}
"""


def run(source, name, blocks, threads, *args):
    """Compile a kernel and run it on NumPy arrays; CUDA wants 32 bits, so float32 and np.int32."""
    CpuModule(source).get_function(name)((blocks,), (threads,), args)


y = np.full(40, -1, np.float32)
run(WHO, "who", 3, 16, y, np.int32(40))
print(y.astype(int))

# %%
plt.figure(figsize=(9, 1.3))
plt.imshow(y[None], cmap="Set2", aspect="auto")
for i in range(40):
    plt.text(i, 0, i % 16, ha="center", va="center", fontsize=8)
plt.yticks([])
plt.xlabel("i, the place in y")
plt.title("Who writes what: a colour for each block, in it threadIdx.x")
plt.show()

# %% [markdown]
# Three blocks of 16 are 48 threads, for 40 places. The last eight have nothing to do. Blocks have one size,
# and data do not care about it, so almost every kernel has this line: `if (i < n)`.
#
# ### Exercise 10.1: your first kernel
#
# Write a function that returns the source of a kernel as a string. The kernel is
# `average(const float* a, const float* b, float* y, int n)`, and it writes the mean of `a` and `b` to `y`.
# Begin with a copy of `WHO`. Numbers are as in C: `1` and `2` are integers, `0.5f` is a float32.


# %%
# Exercise 10.1
def average_kernel():
    """The source of average(const float* a, const float* b, float* y, int n): y[i] = mean of a[i] and b[i]."""


# %%
average_kernel = check("10.1", average_kernel)

# %% [markdown]
# Two heads, one thread for each number of an image. The third head is born by your kernel.

# %%
first, second = (render_head(seed, 64, (20, 0, 0)).image.astype(np.float32) for seed in (3, 8))
mixed = np.empty_like(first)
n = mixed.size
run(average_kernel(), "average", -(-n // 256), 256, first, second, mixed, np.int32(n))
print(f"{n} numbers, {-(-n // 256)} blocks of 256 threads")
fig, axes = plt.subplots(1, 3, figsize=(7, 2.6))
for ax, image, title in zip(axes, (first, second, mixed), ("a", "b", "average(a, b)"), strict=True):
    ax.imshow(image / 255)
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %% [markdown]
# ## 2. When threads share
#
# A sum is harder: many numbers go into one, and somebody has to add up what others hold. The threads of a
# block share a small, fast memory for that, declared as `__shared__ float part[256];`. Each thread puts a
# number in, and reads a neighbour's. Here they shift numbers round a ring:

# %%
RING = """
extern "C" __global__ void ring(const float* x, float* y) {
    __shared__ float part[256];
    int t = threadIdx.x;
    part[t] = x[t];
    __syncthreads();
    y[t] = part[(t + 1) % blockDim.x];
}
"""
x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
run(RING, "ring", 1, 8, x, y)
print("with a barrier:   ", y)
RACE = RING.replace("    __syncthreads();\n", "")
try:
    run(RACE, "ring", 1, 8, x, y)
except KernelError as error:
    print("without a barrier:\n   ", error)

# %% [markdown]
# `__syncthreads()` is a *barrier*: every thread of the block waits there until all have come. Without it a
# thread may read a place that its neighbour has not filled yet. Whether it does depends on who is faster: a
# *race*. Look at the three orders in which the emulator runs it. Memory that nobody has written is NaN.


# %%
def in_order(source, name, threads, args, order):
    """Run one block in one of emulator.ORDERS; return what args[1] is after it, and the complaint, if any."""
    _, call, _ = CpuModule(source).get_function(name).args
    guarded = {id(a): emulator.GuardedArray(a, 0xFF) for a in args if isinstance(a, np.ndarray)}
    problem = emulator.launch(call, (1,), (threads,), order, 0, guarded, args)
    return guarded[id(args[1])].copy, problem


fig, axes = plt.subplots(3, 1, figsize=(6, 3.4))
for order, ax in enumerate(axes):
    result, _ = in_order(RACE, "ring", 8, (x, np.zeros(8, np.float32)), order)
    ax.imshow(np.isnan(result)[None], cmap="RdYlGn_r", vmin=-1, vmax=2, aspect="auto")
    for i, value in enumerate(result):
        ax.text(i, 0, f"{value:.0f}", ha="center", va="center")
    ax.set_title(f"threads in {emulator.ORDERS[order]} order", fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
fig.suptitle("One race, three results: what reached y")
plt.tight_layout()
plt.show()

# %% [markdown]
# Now the sum. One thread could add 256 numbers in 255 steps. A *tree* needs 8 steps: in the first, thread $t$
# of the lower half adds the number of thread $t + 128$ to its own; then half of those threads do it again,
# with a distance of 64, and so on, until `part[0]` has all. Every step reads what the step before has
# written.
#
# ### Exercise 10.2: a tree sum
#
# The kernel `tree_sum(const float* x, float* sums, int n)` writes one number for each block:
# `sums[blockIdx.x]`, the sum of the numbers that belong to its threads. A block has a power of two of
# threads, at most 256. A thread beyond `n` puts a 0 in. A loop in C:
# `for (int half = blockDim.x / 2; half > 0; half /= 2) { ... }`. Think of every place where somebody must
# wait.


# %%
# Exercise 10.2
def tree_kernel():
    """The source of tree_sum(const float* x, float* sums, int n): sums[blockIdx.x] = sum of the block's x."""


# %%
tree_kernel = check("10.2", tree_kernel)

# %%
sums = np.empty(-(-n // 256), np.float32)
run(tree_kernel(), "tree_sum", len(sums), 256, mixed, sums, np.int32(n))
print(f"mean brightness by {len(sums)} blocks: {sums.sum() / n:.4f}; by NumPy: {mixed.mean():.4f}")

# %% [markdown]
# ## 3. The pair loss
#
# Lesson 8 ranked strangers: each score is compared with each other one. With $z = s_i - s_j$, and the target
# $t$ of 1, 1/2 or 0 for a level above, equal to or below the other, the loss of a pair is
#
# $$\max(z, 0) - z\,t + \log(1 + e^{-|z|}),$$
#
# written so that no exponential is ever large. Here is the sum over all partners, in NumPy. It makes a matrix
# of $n \times n$.


# %%
def pair_loss(scores, levels):
    """The twin: losses (n,), each summed over all partners j != i."""
    z = scores[:, None] - scores[None, :]
    target = np.where(levels[:, None] > levels, 1.0, np.where(levels[:, None] == levels, 0.5, 0.0))
    losses = np.maximum(z, 0) - z * target + np.log1p(np.exp(-abs(z)))
    np.fill_diagonal(losses, 0)
    return losses.sum(axis=1).astype(np.float32)


rng = np.random.default_rng(0)
scores, levels = rng.normal(size=100).astype(np.float32), rng.integers(0, 12, 100).astype(np.int32)
print(pair_loss(scores, levels)[:4])

# %% [markdown]
# On a GPU nobody needs the matrix. Thread $i$ goes through all $j$, and adds up its own row.
#
# ### Exercise 10.3: the pair loss as a kernel
#
# Write `pair_loss(const float* scores, const int* levels, float* losses, int n)`. C has
# `fmaxf(z, 0.0f)`, `log1pf(u)`, `expf(u)`, `fabsf(z)`, and `condition ? a : b`.


# %%
# Exercise 10.3
def pair_kernel():
    """The source of pair_loss(const float* scores, const int* levels, float* losses, int n)."""


# %%
pair_kernel = check("10.3", pair_kernel)

# %%
losses = np.empty(100, np.float32)
run(pair_kernel(), "pair_loss", 4, 32, scores, levels, losses, np.int32(100))
print(f"kernel and twin differ by {abs(losses - pair_loss(scores, levels)).max():.1e}, of {losses.max():.0f}")

# %% [markdown]
# ## 4. Bytes are time
#
# A large card computes tens of numbers in the time in which its memory delivers one. So before anybody asks
# how clever a kernel is, they ask how many bytes it moves. The arrays here hold two numbers of 4 bytes for
# each head, and take one. How many times more does a kernel move that goes through all pairs?

# %%
# Predict
my_factor = None  # your guess, a number: bytes moved by the pair loss of 100 heads, over bytes in its arrays


# %%
def accesses(source, name, blocks, threads, *args):
    """What the threads read and write, counted by the emulator."""
    return count_accesses(source, name, (blocks,), (threads,), args)


made = accesses(pair_kernel(), "pair_loss", 4, 32, scores, levels, losses, np.int32(100))
held = scores.nbytes + levels.nbytes + losses.nbytes
print(f"a thread reads {made.global_reads} numbers and writes {made.global_writes}")
print(f"all of them move {made.global_bytes:,} bytes; the arrays hold {held:,}")
check.reveal(my_factor, made.global_bytes / held)

# %% [markdown]
# A variable inside a kernel costs nothing: it lives in a *register* of the thread. An array that is given to
# the kernel lies in global memory, and each time that you write `scores[i]`, you ask for it.
#
# ### Exercise 10.4: a budget
#
# The kernel below is right and wasteful. Bring it under the budget: at most $2 n + 2$ reads of global memory
# and one write for each thread. The result must stay the same.


# %%
# Exercise 10.4
def thrifty_kernel():
    """The source of pair_loss as in 10.3, with at most 2 n + 2 reads and 1 write of global memory a thread."""
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        losses[i] = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            losses[i] += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
    }
    """


# %%
thrifty_kernel = check("10.4", thrifty_kernel)

# %% [markdown]
# ## 5. The library's own
#
# tinyhpe's kernel goes a step further. A block loads a *tile* of scores into shared memory, one number by
# each thread; then all of its threads read the whole tile from there. Find the two barriers, and say what
# would go wrong without each. (It makes the gradient on the way, and does several angles at once.)

# %%
source = library.source()
start = source.index('extern "C" __global__ void rank_pairs')
print(source[start : source.index("\n}", start) + 2])

# %% [markdown]
# Your kernel and the library's, on the same heads. (A block of the library's has 256 threads.)

# %%
theirs, gradient = np.empty((2, 100), np.float32)
wide = levels.astype(np.int64)
run(source, "rank_pairs", 1, 256, scores, wide, theirs, gradient, np.int32(100), np.int32(1))
run(thrifty_kernel(), "pair_loss", 1, 128, scores, levels, losses, np.int32(100))
print(f"the largest difference is {abs(theirs - losses).max():.1e}")

# %% [markdown]
# How much is saved? We count at several sizes, with blocks of 32, and put beside it what NumPy's twin moves
# at the least: it writes one matrix and reads it again. The dotted line is what no kernel can beat: each
# array once. The right axis says how long a card takes that moves $10^{12}$ bytes in a second.

# %%
# Slow: it counts at four sizes
library_32 = source.replace("#define THREADS 256", "#define THREADS 32").replace("THREADS = 256", "THREADS = 32")
sizes, moved = [32, 64, 128, 256], {"one row a thread": [], "tiles (the library)": [], "NumPy's matrix": []}
for size in sizes:
    s, k, count = np.zeros(size, np.float32), np.zeros(size, np.int32), np.int32(size)
    blocks, out, slope = size // 32, np.empty(size, np.float32), np.empty(size, np.float32)
    row = accesses(thrifty_kernel(), "pair_loss", blocks, 32, s, k, out, count)
    tile = accesses(library_32, "rank_pairs", blocks, 32, s, k.astype(np.int64), out, slope, count, np.int32(1))
    for values, bytes_moved in zip(
        moved.values(), (row.global_bytes, tile.global_bytes, 8 * size**2), strict=True
    ):
        values.append(bytes_moved)
fig, ax = plt.subplots(figsize=(7, 4))
for (label, values), marker in zip(moved.items(), ("o-", "s-", "^--"), strict=True):
    ax.loglog(sizes, values, marker, label=label)
ax.loglog(sizes, [12 * size for size in sizes], "k:", label="each array once")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.set_xlabel("heads")
ax.set_ylabel("bytes moved")
ax.secondary_yaxis("right", functions=(lambda b: b / 1e6, lambda t: t * 1e6)).set_ylabel(
    "least time, microseconds"
)
ax.set_title("A tile is read once by a block, not once by a thread")
ax.legend()
plt.show()
saved = moved["one row a thread"][-1] / moved["tiles (the library)"][-1]
print(f"at {sizes[-1]} heads tiles save a factor of {saved:.1f}")

# %% [markdown]
# One row a thread and NumPy's matrix lie on each other: our first kernel has saved memory, and no traffic. The
# tiles save that. With blocks of 256 threads they would save more.
#
# ## 6. Payoff: five bugs that a card keeps to itself
#
# Here is a tree sum that also writes down what its shared memory holds after each step. We plant five classic
# bugs in it, one at a time. On a card each of them may give a number, and often the right one.

# %%
TRACED = """
extern "C" __global__ void tree_sum(const float* x, float* trace, float* sums, int n) {
    __shared__ float part[256];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t, step = 0;
    part[t] = i < n ? x[i] : 0.0f;
    trace[t] = part[t];
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        trace[++step * blockDim.x + t] = part[t];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}
"""
BUGS = {
    "none": ("", ""),
    "no barrier before the loop": ("    __syncthreads();\n    for", "    for"),
    "no barrier in the loop": ("= part[t];\n        __syncthreads();", "= part[t];"),
    "a barrier inside the if": ("part[t] += part[t + half];", "{ part[t] += part[t + half]; __syncthreads(); }"),
    "the sum is written one place too far": ("sums[blockIdx.x]", "sums[blockIdx.x + 1]"),
    "x is read out of bounds": ("i < n ? x[i] : 0.0f", "x[i]"),
}
x, total = np.ones(27, np.float32), np.empty(1, np.float32)
verdicts = {}
for bug, (right, wrong) in BUGS.items():
    try:
        run(TRACED.replace(right, wrong), "tree_sum", 1, 32, x, np.zeros((6, 32), np.float32), total, np.int32(27))
        verdicts[bug] = f"the sum of 27 ones is {total[0]:.0f}"
    except KernelError as error:
        verdicts[bug] = "stopped: " + str(error).removeprefix("tree_sum: ")
    print(f"{bug}\n    {verdicts[bug]}")

# %%
fig, axes = plt.subplots(2, 3, figsize=(12, 5))
colours = plt.get_cmap("viridis").with_extremes(bad="red")
for ax, (bug, (right, wrong)) in zip(axes.flat, BUGS.items(), strict=True):
    arrays = x, np.zeros((6, 32), np.float32), total, np.int32(27)
    trace, _ = in_order(TRACED.replace(right, wrong), "tree_sum", 32, arrays, order=2)
    ax.imshow(np.log2(np.maximum(trace, 0.5)), cmap=colours, vmin=-1, vmax=5, aspect="auto")
    ax.set_title(f"{bug}\n{verdicts[bug].split(';')[0].split(':')[0]}", fontsize=9)
    ax.set_xlabel("thread")
    ax.set_ylabel("step")
fig.suptitle("A tree sum of 27 ones, and five bugs: shared memory after each step (red: NaN), threads shuffled")
plt.tight_layout()
plt.show()

# %% [markdown]
# Four are stopped, with the reason. The last one cannot be: reading a foreign place is no crime that anybody
# sees, on a card it gives whatever lies there. The emulator has put NaN there, so the result shows it. That
# is why a kernel's test compares with NumPy, on sizes that are no multiple of the block.
#
# Now plant one of your own in your kernels, and look whether it is found. One kind is not: between barriers
# the emulator never interrupts a thread, so many threads that do `total[0] += x[i]` look right here. On a
# card they need `atomicAdd(&total[0], x[i])`.
#
# ### Challenge 10.5: tiles
#
# No hints. Write `pair_loss` with tiles, for blocks of at most 256 threads. Each thread reads at most two
# numbers of its own, and two for each tile, and writes one. The number of heads is no multiple of anything.


# %%
# Challenge 10.5
def tiled_kernel():
    """The source of pair_loss as in 10.3; global reads a thread: at most 2 + 2 * (number of tiles)."""


# %%
tiled_kernel = check("10.5", tiled_kernel)

# %%
made = accesses(tiled_kernel(), "pair_loss", 4, 32, scores, levels, losses, np.int32(100))
print(f"a thread reads {made.global_reads} numbers of global memory, and {made.shared_reads} of shared memory")
print(f"{made.global_bytes:,} bytes are moved; the arrays hold {held:,}")

# %% [markdown]
# ## What to remember
#
# - One thread, one output: then nobody can be in anybody's way.
# - Threads without work must not read, must not write, and must still come to the barrier.
# - A barrier stands between a write by one thread and a read by another, and again before the next write.
# - Count bytes before you think about anything else: registers first, shared memory next, global memory last.
# - A kernel is tested against a plain twin, in more than one order of its threads, at odd sizes.
#
# This was the last lesson. You have built all of it: arrays, tape, layers, networks, angles, ranking, and the
# kernels below. If you have a card, `tinyhpe train --device cuda` runs the library's.
