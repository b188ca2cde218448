"""The whole idea on one page: a tape, a loss of pairs, twelve heads. To run it: python one_page.py

A network is never told an angle. It is asked which of two heads looks more to the left, for all pairs of twelve,
and is told the answers. After a hundred steps its scores put the twelve in order, and twelve strangers roughly: to
do that well it takes convolutions and more heads. Lesson 2 takes the tape apart, lessons 4 to 6 build the network,
lesson 8 the loss, with 600 heads. Lesson 9 turns scores into degrees.
"""

import numpy as np

from tinyhpe.heads import render_head  # draws heads; all else is on this page


class Tensor:
    """An array on the tape: what it was made of, and for each of these how a gradient gets back to it."""

    def __init__(self, data, made_of=()):
        self.data, self.made_of, self.grad = data, made_of, 0.0

    def __matmul__(self, other):
        ways_back = (self, lambda g: g @ other.data.T), (other, lambda g: self.data.T @ g)
        return Tensor(self.data @ other.data, ways_back)

    def __add__(self, row):
        return Tensor(self.data + row.data, ((self, lambda g: g), (row, lambda g: g.sum(axis=0))))

    def relu(self):
        return Tensor(np.maximum(self.data, 0), ((self, lambda g: g * (self.data > 0)),))

    def backward(self):
        """Walk back from here: every tensor hands its gradient on when all that it went into has handed on."""
        order = []

        def visit(tensor):
            if tensor not in order:
                for source, _ in tensor.made_of:
                    visit(source)
                order.append(tensor)

        visit(self)
        self.grad = 1.0
        for tensor in reversed(order):
            for source, way_back in tensor.made_of:
                source.grad = source.grad + way_back(tensor.grad)  # a sum: it may have been used twice


def pair_loss(scores, angles):
    """Cross-entropy of the answers for all ordered pairs (i, j): is i more to the left, that is, has a larger yaw?

    The answer p = 1 / (1 + exp(s_j - s_i)) needs the scores (n, 1) only: n passes, n * (n - 1) questions.
    """
    z = scores.data - scores.data.T  # (n, n)
    target = (1 + np.sign(angles[:, None] - angles)) / 2  # 1 yes, 0 no
    p, pairs = 1 / (1 + np.exp(-z)), len(z) * (len(z) - 1)
    loss = np.logaddexp(0, z) - target * z
    np.fill_diagonal(loss, 0)  # nobody is compared with himself
    # of one pair the gradient is p - target; a score is in two pairs with each other, with opposite signs
    gradient = 2 * (p - target).sum(axis=1, keepdims=True) / pairs
    return Tensor(loss.sum() / pairs, ((scores, lambda g: g * gradient),))


def draw(seed, yaws):
    """Heads of as many people, as rows of brightness around 0: (n, 24 * 24)."""
    images = [render_head((seed, i), 24, (yaw, 0, 0), margin=0).image.mean(axis=2) for i, yaw in enumerate(yaws)]
    rows = np.reshape(images, (len(yaws), -1))
    return (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)


def network(heads, w1, b1, w2):
    """Scores (n, 1): one hidden layer."""
    return (Tensor(heads) @ w1 + b1).relu() @ w2


rng = np.random.default_rng(0)
yaws = rng.permutation(np.linspace(-66, 66, 12))
heads = draw(1, yaws)
weights = (
    Tensor(rng.normal(0, 576**-0.5, (576, 32))),
    Tensor(np.zeros(32)),
    Tensor(rng.normal(0, 32**-0.5, (32, 1))),
)
for step in range(101):
    loss = pair_loss(network(heads, *weights), yaws)
    loss.backward()
    if step % 20 == 0:
        print(f"step {step:3}: loss {loss.data:.3f}")
    for weight in weights:
        weight.data, weight.grad = weight.data - 0.1 * weight.grad, 0.0

for who, seed in (("the twelve, by score", 1), ("twelve strangers", 2)):
    scores = network(draw(seed, yaws), *weights).data[:, 0]
    print(f"{who:22}", *(f"{yaw:4.0f}" for yaw in yaws[np.argsort(scores)]))
