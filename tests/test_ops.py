"""Every op: the one check that its samples promise, mutants that must die, and naive loops as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhpe import ops
from tinyhpe.gradcheck import GradientError, all_ops, check_op
from tinyhpe.ops import conv
from tinyhpe.tensor import Tensor

OPS = all_ops()


@pytest.mark.parametrize("name", OPS)
def test_op_passes_every_check_that_its_samples_promise(name):
    check_op(OPS[name])


def replace(gradients, number, change):
    return tuple(change(g) if i == number and g is not None else g for i, g in enumerate(gradients))


def blank(g):
    g = g.copy()
    g.flat[abs(g).argmax()] = 0
    return g


MUTATIONS = {
    "ignores the incoming gradient": lambda backward: lambda op, xp, g: backward(op, xp, xp.ones_like(g)),
    "returns zero": lambda backward: (
        lambda op, xp, g: tuple(None if d is None else d * 0 for d in backward(op, xp, g))
    ),
    "flips the sign": lambda backward: lambda op, xp, g: backward(op, xp, -g),
    "doubles": lambda backward: lambda op, xp, g: backward(op, xp, 2 * g),
    "zeroes the last input's gradient": lambda backward: (
        lambda op, xp, g: replace(backward(op, xp, g), len(op.needs) - 1, lambda d: d * 0)
    ),
    "loses the largest element of the first gradient": lambda backward: (
        lambda op, xp, g: replace(backward(op, xp, g), 0, blank)
    ),
    "reverses the order of the gradients": lambda backward: (
        lambda op, xp, g: backward(op, xp, g)[::-1] if len(op.needs) > 1 else backward(op, xp, -g)
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", OPS)
def test_no_mutant_of_a_backward_survives(name, mutation, monkeypatch):
    monkeypatch.setattr(OPS[name], "backward", MUTATIONS[mutation](OPS[name].backward))
    with pytest.raises((GradientError, ValueError, TypeError)):
        check_op(OPS[name])


def convolve_by_loops(x, weight, stride, padding):
    k = len(weight)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    out_h, out_w = ((length - k) // stride + 1 for length in x.shape[1:3])
    y = np.empty((len(x), out_h, out_w, weight.shape[3]))
    for n, h, w, c in np.ndindex(y.shape):
        window = x[n, h * stride : h * stride + k, w * stride : w * stride + k]
        y[n, h, w, c] = (window * weight[..., c]).sum()
    return y


def pool_by_loops(x, kernel, stride, padding, reduce, fill):
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = np.pad(x, pads, constant_values=fill)
    out_h, out_w = ((length - kernel) // stride + 1 for length in x.shape[1:3])
    y = np.empty((len(x), out_h, out_w, x.shape[3]))
    for n, h, w, c in np.ndindex(y.shape):
        y[n, h, w, c] = reduce(x[n, h * stride : h * stride + kernel, w * stride : w * stride + kernel, c])
    return y


geometry = {
    "size": st.tuples(st.integers(1, 9), st.integers(1, 9)),
    "kernel": st.integers(1, 5),
    "stride": st.integers(1, 3),
    "padding": st.integers(0, 3),
}


@settings(max_examples=150, deadline=None)
@given(**geometry, chunk=st.sampled_from([1, 40, 1 << 18]))
def test_convolution_equals_naive_loops_in_any_geometry_and_chunking(size, kernel, stride, padding, chunk):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, *size, 2)), rng.normal(size=(kernel, kernel, 2, 4))
    if min(size) + 2 * padding < kernel:
        with pytest.raises(ValueError, match="does not fit"):
            ops.conv2d(Tensor(x), Tensor(weight), stride, padding)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "CHUNK_VALUES", chunk)
        patch.setattr(conv, "CHUNK_ROWS", 1)
        x, weight = Tensor(x, requires_grad=True), Tensor(weight, requires_grad=True)
        y = ops.conv2d(x, weight, stride, padding)
        np.testing.assert_allclose(y.data, convolve_by_loops(x.data, weight.data, stride, padding), atol=1e-12)
        # convolution is linear in both inputs: <g, conv(x, w)> = <dx, x> = <dw, w>
        g = rng.normal(size=y.shape)
        y.backward(g)
        product = (g * y.data).sum()
        np.testing.assert_allclose((x.grad * x.data).sum(), product, atol=1e-9)
        np.testing.assert_allclose((weight.grad * weight.data).sum(), product, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(**geometry)
def test_pooling_equals_naive_loops_in_any_geometry(size, kernel, stride, padding):
    x = np.random.default_rng(0).normal(size=(2, *size, 3))
    for pool, reduce, fill in (ops.max_pool2d, np.max, -np.inf), (ops.avg_pool2d, np.mean, 0.0):
        if min(size) + 2 * padding < kernel or 2 * padding > kernel:
            with pytest.raises(ValueError, match="do not fit"):
                pool(Tensor(x), kernel, stride, padding)
            continue
        expected = pool_by_loops(x, kernel, stride, padding, reduce, fill)
        np.testing.assert_allclose(pool(Tensor(x), kernel, stride, padding).data, expected, atol=1e-12)


def test_of_equal_maxima_the_first_row_by_row_takes_the_gradient():
    x = Tensor(np.ones((1, 3, 3, 1), np.float32), requires_grad=True)
    ops.max_pool2d(x, kernel=2, stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad[0, :, :, 0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_batch_norm_variance_survives_a_large_mean_in_float32():
    x = np.random.default_rng(0).normal(1000, 1, (4096, 3)).astype(np.float32)
    gamma, beta = np.ones(3, np.float32), np.zeros(3, np.float32)
    y = ops.batch_norm(Tensor(x), gamma, beta, np.zeros(3, np.float32), np.ones(3, np.float32), training=True)
    exact = (x - x.mean(0, dtype=float)) / x.std(0, dtype=float)
    assert np.abs(y.data - exact).max() < 1e-3  # x itself is rounded to 6e-5


@pytest.mark.parametrize("logit", [-1e4, -50.0, 0.0, 50.0, 1e4])
def test_ranking_loss_is_exact_for_huge_logits(logit):
    scores = Tensor(np.array([logit, 0.0]), requires_grad=True)
    levels = np.array([5, 2])  # the first should rank higher
    loss = ops.pairwise_order_loss(scores, levels)
    loss.backward()
    # -log sigmoid(logit) = log(1 + e^-logit), and its derivative -1 / (1 + e^logit)
    np.testing.assert_allclose(loss.item(), np.logaddexp(0, -logit), rtol=1e-12)
    np.testing.assert_allclose(scores.grad, np.array([-1, 1]) * np.exp(-np.logaddexp(0, logit)), atol=1e-15)


def test_same_loss_is_equation_1_pair_by_pair():
    rng = np.random.default_rng(0)
    scores, levels = rng.normal(size=5), np.array([1, 1, 2, 3, 3])
    expected = []
    for i in range(5):
        for j in range(5):
            p = 1 / (1 + np.exp(-(0.3 - 2.0 * abs(scores[i] - scores[j]))))
            if i != j:
                expected.append(-np.log(p) if levels[i] == levels[j] else -np.log(1 - p))
    loss = ops.pairwise_same_loss(Tensor(scores), levels, Tensor(np.array(0.3)), Tensor(np.array(2.0)))
    np.testing.assert_allclose(loss.item(), np.mean(expected), rtol=1e-12)


def test_log_softmax_does_not_overflow():
    z = Tensor(np.array([[1e4, 0.0, -1e4]]), requires_grad=True)
    y = ops.log_softmax(z)
    y.backward(np.array([[0.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(y.data, [[0.0, -1e4, -2e4]])
    np.testing.assert_array_equal(z.grad, [[-1.0, 1.0, 0.0]])


def test_cross_entropy_of_a_fair_guess_is_the_logarithm_of_the_classes():
    assert ops.cross_entropy(Tensor(np.zeros((4, 66))), np.array([0, 1, 2, 65])).item() == pytest.approx(
        np.log(66)
    )


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda x: ops.conv2d(x, Tensor(np.ones((3, 3, 4, 2)))), "same C_in"),
        (lambda x: ops.batch_norm(x, *np.ones((4, 2)), training=True), "one value per channel"),
        (lambda x: ops.batch_norm(x[0, 0, :1], *np.ones((4, 3)), training=True), "use a larger batch"),
        (lambda x: ops.pairwise_order_loss(x[0, 0, 0, :1], np.array([1])), "two or more images"),
    ],
)
def test_a_wrong_shape_is_explained(action, message):
    with pytest.raises(ValueError, match=message):
        action(Tensor(np.ones((2, 5, 5, 3))))
