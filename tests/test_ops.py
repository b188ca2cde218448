"""Ops against naive loops, closed forms and the extremes of their range."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from tinyhpe import ops
from tinyhpe.methods.siamese import pairwise_same_loss
from tinyhpe.tensor import Tensor


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
@given(**geometry)
def test_convolution_equals_naive_loops_in_any_geometry(size, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, *size, 2)), rng.normal(size=(kernel, kernel, 2, 4))
    if min(size) + 2 * padding < kernel:
        with pytest.raises(ValueError, match="do not fit"):
            ops.conv2d(Tensor(x), Tensor(weight), stride, padding)
        return
    check_convolution(rng, x, weight, stride, padding)


def check_convolution(rng, x, weight, stride, padding):
    """conv2d against naive loops, in value and gradients."""
    probe = rng.normal(size=x.shape)
    x, weight = Tensor(x, requires_grad=True), Tensor(weight, requires_grad=True)
    y = ops.conv2d(x, weight, stride, padding)
    np.testing.assert_allclose(y.data, convolve_by_loops(x.data, weight.data, stride, padding), atol=1e-12)
    g = rng.normal(size=y.shape)
    y.backward(g)
    # convolution is linear in x: <g, conv(probe, w)> = <probe, dx>, and likewise in w
    product = (g * convolve_by_loops(probe, weight.data, stride, padding)).sum()
    np.testing.assert_allclose((x.grad * probe).sum(), product, atol=1e-9)
    probe = rng.normal(size=weight.shape)
    product = (g * convolve_by_loops(x.data, probe, stride, padding)).sum()
    np.testing.assert_allclose((weight.grad * probe).sum(), product, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(**geometry)
def test_pooling_equals_naive_loops_in_any_geometry(size, kernel, stride, padding):
    x = np.random.default_rng(0).normal(size=(2, *size, 3))
    for pool, reduce, fill in (ops.max_pool2d, np.max, -np.inf), (ops.avg_pool2d, np.mean, 0.0):
        if min(size) + 2 * padding < kernel or 2 * padding > kernel:
            with pytest.raises(ValueError, match=r"do not fit|at most half"):
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


logits_up_to_ten_thousand = st.floats(-1e4, 1e4, width=16)  # numbers that float32 has exactly, too


@given(logits_up_to_ten_thousand, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([np.float32, np.float64]))
def test_ranking_loss_and_cross_entropy_are_exact_for_huge_logits(logit, target, dtype):
    levels = np.array([2 * target, 1.0])  # the first image ranks below, with, or above the second
    for loss_of, logits in [
        (lambda x: ops.pairwise_order_loss(x, levels), np.array([logit, 0], dtype)),
        (lambda x: ops.bce_with_logits(x, np.array([target])), np.array([logit], dtype)),
    ]:
        x = Tensor(logits, requires_grad=True)
        loss = loss_of(x)
        loss.backward()
        # -log sigmoid(z) = log(1 + e^-z), and its derivative is -1 / (1 + e^z)
        exact = target * np.logaddexp(0, -logit) + (1 - target) * np.logaddexp(0, logit)
        slope = (1 - target) * special.expit(logit) - target * special.expit(-logit)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(loss.item(), exact, rtol=2 * eps, atol=eps * eps)
        np.testing.assert_allclose(x.grad, [slope, -slope][: len(x)], atol=2 * eps)


@given(st.lists(logits_up_to_ten_thousand, min_size=1, max_size=5), st.sampled_from([np.float32, np.float64]))
def test_softmax_and_its_losses_are_exact_for_huge_logits(logits, dtype):
    x = np.array([logits], dtype)
    probabilities, eps = special.softmax(x.astype(float)), np.finfo(dtype).eps
    first = np.eye(1, x.shape[1], dtype=dtype)
    logs = special.log_softmax(x.astype(float))
    for function, exact, gradient in [
        (ops.log_softmax, logs, first - probabilities),
        (ops.softmax, probabilities, probabilities[:, :1] * (first - probabilities)),
        (lambda z: ops.cross_entropy(z, np.array([0])) * first, -logs[:, :1] * first, probabilities - first),
    ]:
        z = Tensor(x, requires_grad=True)
        y = function(z)
        y.backward(first)
        np.testing.assert_allclose(y.data, exact, rtol=4 * eps, atol=4 * eps)
        np.testing.assert_allclose(z.grad, gradient, atol=4 * eps)


def test_a_loss_that_is_used_twice_goes_back_on_the_cpu():
    scores = Tensor(np.array([0.5, -0.5], np.float32), requires_grad=True)
    loss = ops.pairwise_order_loss(scores, np.array([2, 1]))
    (loss + loss).backward()  # NumPy adds two gradients without axes to a number that is no array
    np.testing.assert_allclose(scores.grad, np.array([-2, 2]) / (1 + np.e), rtol=1e-6)


def pair_by_pair(scores, levels, loss):
    """The mean of loss(s_i, s_j, level_i, level_j) over all pairs of images but those of an image with itself."""
    pairs = [(i, j) for i in range(len(scores)) for j in range(len(scores)) if i != j]
    return np.mean([loss(scores[i], scores[j], levels[i], levels[j]) for i, j in pairs])


def test_the_ranking_losses_of_several_angles_are_those_of_their_pairs_one_by_one():
    rng = np.random.default_rng(0)
    scores, levels = rng.normal(size=(5, 2)), np.array([[1, 1, 2, 3, 3], [9, 5, 5, 5, 0]]).T
    intercept, slope = np.array([0.3, -0.2]), np.array([2.0, 0.5])

    def order(s, other, level, other_level):
        p, target = special.expit(s - other), 0.5 + 0.5 * np.sign(level - other_level)
        return -target * np.log(p) - (1 - target) * np.log(1 - p)

    def same(s, other, level, other_level):  # equation 1
        p = special.expit(intercept[angle] - slope[angle] * abs(s - other))
        return -np.log(p) if level == other_level else -np.log(1 - p)

    got = [
        ops.pairwise_order_loss(Tensor(scores), levels).data,
        pairwise_same_loss(Tensor(scores), levels, Tensor(intercept), Tensor(slope)).data,
    ]
    for angle in range(2):
        for losses, loss in zip(got, (order, same), strict=True):
            wanted = pair_by_pair(scores[:, angle], levels[:, angle], loss)
            np.testing.assert_allclose(losses[angle], wanted, rtol=1e-12)


def test_cross_entropy_of_a_fair_guess_is_the_logarithm_of_the_classes():
    assert ops.cross_entropy(Tensor(np.zeros((4, 66))), np.array([0, 1, 2, 65])).item() == pytest.approx(
        np.log(66)
    )


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda x: ops.conv2d(x, Tensor(np.ones((3, 3, 4, 2)))), "same C_in"),
        (lambda x: ops.conv2d(x[0], Tensor(np.ones((3, 3, 3, 2)))), r"one image is x\[None\]"),
        (lambda x: ops.conv2d(x, Tensor(np.ones((3, 3, 3, 2))), stride=0), "stride 1 or more"),
        (lambda x: ops.conv2d(x, Tensor(np.ones((3, 3, 3, 2))), padding=-1), "padding 0 or more"),
        (lambda x: ops.max_pool2d(x, kernel=0, stride=1), "kernel and stride 1 or more"),
        (lambda x: ops.avg_pool2d(x, kernel=2, stride=1.5), "whole numbers"),
        (lambda x: ops.batch_norm(x, *np.ones((4, 2)), training=True), "one value per channel"),
        (
            lambda x: ops.batch_norm(x, *np.ones((3, 3)), np.ones(2), training=True),
            r"\(3,\), \(3,\), \(3,\), \(2,\)",
        ),
        (lambda x: ops.batch_norm(x[0, 0, :1], *np.ones((4, 3)), training=True), "use a larger batch"),
        (lambda x: ops.pairwise_order_loss(x[0, 0, 0, :1], np.array([1])), "two or more images"),
    ],
)
def test_a_wrong_shape_or_setting_is_explained(action, message):
    with pytest.raises(ValueError, match=message):
        action(Tensor(np.ones((2, 5, 5, 3))))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("x", [-87.0, -50.0, -20.0, -16.0, -1.0, 0.0, 1.0, 16.0, 50.0])
def test_sigmoid_and_tanh_are_exact_to_the_last_digits_however_small(x, dtype):
    x = np.array(x if dtype != "f2" else x / 10, dtype)
    tiny, eps = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).eps
    for function, exact, slope in [
        (ops.sigmoid, special.expit(float(x)), special.expit(float(x)) * special.expit(-float(x))),
        (ops.tanh, math.tanh(x), 1 / math.cosh(x) ** 2),
    ]:
        t = Tensor(x, requires_grad=True)
        y = function(t)
        y.backward()
        np.testing.assert_allclose(y.data.astype(float), exact, rtol=4 * eps, atol=tiny)
        np.testing.assert_allclose(t.grad.astype(float), slope, rtol=8 * eps, atol=4 * tiny)


def test_the_gradient_of_a_ranking_is_exact_where_the_answer_is_nearly_right():
    scores = Tensor(np.array([20.0, 0.0], np.float32), requires_grad=True)
    ops.pairwise_order_loss(scores, [1, 0]).backward()
    np.testing.assert_allclose(scores.grad, [-special.expit(-20.0), special.expit(-20.0)], rtol=1e-6)


def test_the_gradient_of_a_constant_power_is_zero_even_at_zero():
    x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    (x**0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


@pytest.mark.parametrize(
    "function",
    [
        lambda x, zeros: x.mean(axis=0),
        lambda x, zeros: x.mean(),
        lambda x, zeros: x.sum(axis=0),
        lambda x, zeros: ops.global_avg_pool(x.reshape(1, 50, 40, 4)),
        lambda x, zeros: ops.avg_pool2d(x.reshape(1, 50, 40, 4), 10, 10),
        lambda x, zeros: ops.log_softmax(x.transpose()),
        lambda x, zeros: ops.batch_norm(x, zeros + 1, zeros, zeros + 0, zeros + 1, training=True),
        lambda x, zeros: x @ (zeros[:, None] + 1),
        lambda x, zeros: (x * (zeros + 1)).mean(axis=0),
    ],
)
def test_sums_of_float16_are_made_in_a_wider_type(function):
    values = np.random.default_rng(0).uniform(20, 28, (2000, 4)).astype("f2")  # 48,000 in a column
    results = []
    for dtype in "f2", "f8":
        x, zeros = Tensor(values.astype(dtype), requires_grad=True), np.zeros(4, dtype)
        y = function(x, zeros)
        y.backward(np.random.default_rng(1).uniform(1, 2, y.shape).astype("f2").astype(dtype))
        results.append([y.data.astype(float), x.grad.astype(float)])
    for narrow, wide in zip(*results, strict=True):
        np.testing.assert_allclose(narrow, wide, rtol=2e-3, atol=2e-3 * np.abs(wide).max())


def test_a_gradient_that_is_summed_over_a_batch_in_float16_is_summed_in_a_wider_type():
    bias = Tensor(np.zeros(1, "f2"), requires_grad=True)
    (Tensor(np.zeros((5000, 1), "f2")) + bias).backward(np.full((5000, 1), 1.001, "f2"))
    np.testing.assert_allclose(bias.grad.astype(float), 5000 * float(np.float16(1.001)), rtol=1e-3)


def test_what_is_computed_from_whole_numbers_has_fractions():
    pixels, levels = Tensor(np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)), np.array([1, 0, 3])
    assert ops.avg_pool2d(pixels, 2, 2).data.ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    scores, floats = Tensor(levels), Tensor(levels.astype(float))
    np.testing.assert_allclose(ops.softmax(scores).data, special.softmax(floats.data))
    targets = np.array([0.5, 0.25, 0.0])
    for loss in ops.bce_with_logits, ops.pairwise_order_loss:
        assert loss(scores, targets).item() == pytest.approx(loss(floats, targets).item(), rel=1e-12)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("make", [np.matrix, lambda values: np.array(values, ">i2"), list])
@pytest.mark.parametrize("loss", [ops.bce_with_logits, ops.pairwise_order_loss])
def test_labels_in_an_array_of_any_sort_count_as_a_plain_ones_do(make, loss):
    scores, labels = Tensor(np.array([[0.3, -1.0], [2.0, 0.5], [1.0, 1.5]])), [[0, 1], [1, 1], [1, 0]]
    assert np.array_equal(loss(scores, make(labels)).data, loss(scores, np.array(labels)).data)


@pytest.mark.parametrize("function", [ops.cross_entropy, ops.bce_with_logits, ops.pairwise_order_loss, ops.index])
def test_labels_and_indices_that_are_masked_are_refused(function):
    shape = (3, 4) if function is ops.cross_entropy else 3
    with pytest.raises(TypeError, match="lose its mask"):
        function(Tensor(np.ones(shape)), np.ma.masked_array([0, 1, 1], [0, 0, 1]))


def test_an_element_that_is_picked_often_gets_all_its_gradients_in_float16():
    x = Tensor(np.ones(2, np.float16), requires_grad=True)
    x[np.zeros(5000, int)].sum().backward()  # in float16, 2048 + 1 is 2048
    np.testing.assert_array_equal(x.grad, np.array([5000, 0], np.float16))
