"""Ops against naive loops, closed forms and the extremes of their range."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from tinyhpe import ops
from tinyhpe.fast import gemm, winograd
from tinyhpe.ops import conv
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
@given(**geometry, chunk=st.sampled_from([1, 40, 1 << 18]))
def test_convolution_equals_naive_loops_in_any_geometry_and_chunking(size, kernel, stride, padding, chunk):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, *size, 2)), rng.normal(size=(kernel, kernel, 2, 4))
    if min(size) + 2 * padding < kernel:
        with pytest.raises(ValueError, match="do not fit"):
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


@settings(max_examples=60, deadline=None)
@given(size=geometry["size"], images_at_a_time=st.integers(1, 3))
def test_winograds_convolution_equals_naive_loops_for_images_of_any_size(size, images_at_a_time):
    rng = np.random.default_rng(0)
    x, weight, probe = (rng.normal(size=shape) for shape in [(3, *size, 2), (3, 3, 2, 4), (3, *size, 2)])
    with pytest.MonkeyPatch.context() as patch:
        for name in "LEAST_CHANNELS", "LEAST_PRODUCTS", "LEAST_COVERED", "CHUNK_VALUES":
            patch.setattr(winograd, name, 0)  # else these images are too small for it
        patch.setattr(winograd, "CHUNK_TILES", images_at_a_time * math.prod(winograd.tile_grid(*size)))
        patch.setattr(conv, "im2col_chunks", lambda *_: pytest.fail("convolved another way"))
        patch.setattr(conv.Conv2d, "mostly_border", lambda op: False)
        x, weight = Tensor(x, requires_grad=True), Tensor(weight, requires_grad=True)
        y = ops.conv2d(x, weight, padding=1)
        np.testing.assert_allclose(y.data, convolve_by_loops(x.data, weight.data, 1, 1), atol=1e-12)
        g = rng.normal(size=y.shape)
        y.backward(g)
    # convolution is linear in x: <g, conv(probe, w)> = <probe, dx>, and likewise in w
    product = (g * convolve_by_loops(probe, weight.data, 1, 1)).sum()
    np.testing.assert_allclose((x.grad * probe).sum(), product, atol=1e-9)
    probe = rng.normal(size=weight.shape)
    product = (g * convolve_by_loops(x.data, probe, 1, 1)).sum()
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


@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((196, 256, 1024), (49, 256, 64)),
        ((49, 2048, 512), (49, 512, 32)),  # the inner length in four parts, added up
        ((3136, 147, 64), (98, 147, 64)),
        ((16, 1024, 96), (16, 512, 32)),
        ((1, 512, 3), None),
        ((13 * 53, 1031, 1009), None),  # no divisors
        ((10, 256, 512), None),  # too few rows
    ],
)
@pytest.mark.parametrize("stack", [(), (3,)])
def test_a_product_in_blocks_is_the_product(shape, block, stack):
    rng, (m, k, n) = np.random.default_rng(0), shape
    rows, matrix = (rng.integers(-9, 9, (*stack, *size)).astype(np.float32) for size in ((m, k), (k, n)))
    factor, wanted = gemm.RightFactor(matrix), rows.astype(float) @ matrix
    length = factor.block_length(rows)
    assert length == (block[0] if block else 0)
    if block:
        assert factor.blocks.shape[-2:] == block[1:]
        assert math.prod(block) <= gemm.SMALL_GEMM

    def check(part, wanted, *which):
        out = np.full(wanted.shape, np.nan, np.float32)
        factor.multiply(part, out, *which)
        np.testing.assert_array_equal(out, wanted)

    check(rows, wanted)
    check(rows[..., : m // 2, :].copy(), wanted[..., : m // 2, :])  # other rows, the same blocks
    if stack:
        check(rows[1:], wanted[1:], slice(1, 3))
        check(rows[0], rows[0].astype(float) @ matrix)
    with pytest.raises(ValueError, match="mismatch"):
        factor.multiply(rows[..., : k // 2].copy(), np.empty((*stack, m, n), np.float32))


def test_winograds_convolution_rounds_hardly_more_than_im2col(monkeypatch):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 16, 16, 128)), rng.normal(size=(3, 3, 128, 64)) / np.sqrt(9 * 128)
    exact, inputs = convolve_by_tensordot(x, weight), (x.astype(np.float32), weight.astype(np.float32))
    errors = {}
    for way in "winograd", "im2col":
        errors[way] = np.sqrt(np.mean((ops.conv2d(*inputs, padding=1).data - exact) ** 2))
        monkeypatch.setattr(winograd, "suits", lambda *_: False)
    assert errors["im2col"] < errors["winograd"] < 4 * errors["im2col"] < 2e-6  # of outputs of size 1


def convolve_by_tensordot(x, weight):
    """3x3 windows at stride 1 with padding 1, as NumPy lists and multiplies them, in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
    return np.tensordot(windows, weight, ((4, 5, 3), (0, 1, 2)))


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
        ops.pairwise_same_loss(Tensor(scores), levels, Tensor(intercept), Tensor(slope)).data,
    ]
    for angle in range(2):
        for losses, loss in zip(got, (order, same), strict=True):
            wanted = pair_by_pair(scores[:, angle], levels[:, angle], loss)
            np.testing.assert_allclose(losses[angle], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e200, float), (1e-200, float), (1e30, "f4"), (1e-30, "f4"), (64, "f2")]
)
def test_vector_norm_neither_overflows_nor_vanishes(scale, dtype):
    x = Tensor(np.array([[3, 4], [-5, 12]], dtype) * np.dtype(dtype).type(scale), requires_grad=True)
    y = ops.vector_norm(x, axis=1)
    y.backward(np.ones(2, dtype))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y.data, [5 * scale, 13 * scale], rtol=4 * eps)
    np.testing.assert_allclose(x.grad, [[3 / 5, 4 / 5], [-5 / 13, 12 / 13]], rtol=4 * eps)


def test_vector_norm_at_zero_has_gradient_zero():
    x = Tensor(np.array([[0.0, 0.0], [0.0, -2.0]]), requires_grad=True)
    ops.vector_norm(x, axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [0, -1]])


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
            r"of \(3,\), \(3,\), \(3,\), \(2,\)",
        ),
        (lambda x: ops.batch_norm(x[0, 0, :1], *np.ones((4, 3)), training=True), "use a larger batch"),
        (lambda x: ops.pairwise_order_loss(x[0, 0, 0, :1], np.array([1])), "two or more images"),
    ],
)
def test_a_wrong_shape_or_setting_is_explained(action, message):
    with pytest.raises(ValueError, match=message):
        action(Tensor(np.ones((2, 5, 5, 3))))
