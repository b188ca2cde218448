"""The quicker ways: the same as the plain ops, taken where they should be, and not needed."""

import copy
import gc
import math
import os
import shutil
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyhpe
from tests.test_ops import check_convolution, geometry
from tinyhpe import nn, ops
from tinyhpe.fast import folded, gemm, winograd
from tinyhpe.fast.conv import ChunkedConv
from tinyhpe.fast.conv_clipped import ClippedConv
from tinyhpe.fast.folded import FoldedResNet
from tinyhpe.fast.winograd import WinogradConv
from tinyhpe.nn import resnet
from tinyhpe.nn.layers import BatchNorm2d
from tinyhpe.optim import SGD
from tinyhpe.tensor import Tensor, apply, no_grad
from tinyhpe.ways import choose_way, plain, without

ROOT = Path(tinyhpe.__file__).parents[1]


@settings(max_examples=150, deadline=None)
@given(**geometry, chunk=st.sampled_from([1, 40, 1 << 18]), way=st.sampled_from([ChunkedConv, ClippedConv]))
def test_convolution_in_chunks_or_clipped_equals_naive_loops_in_any_geometry(
    size, kernel, stride, padding, chunk, way
):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, *size, 2)), rng.normal(size=(kernel, kernel, 2, 4))
    if min(size) + 2 * padding < kernel:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops.conv.Conv2d, "ways", (way,))
        patch.setattr(way, "suits", lambda *_: True)
        patch.setattr(ChunkedConv, "CHUNK_VALUES", chunk)
        patch.setattr(ChunkedConv, "CHUNK_ROWS", 1)
        check_convolution(rng, x, weight, stride, padding)


@settings(max_examples=60, deadline=None)
@given(size=geometry["size"], images_at_a_time=st.integers(1, 3))
def test_winograds_convolution_equals_naive_loops_for_images_of_any_size(size, images_at_a_time):
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops.conv.Conv2d, "ways", (WinogradConv,))
        patch.setattr(WinogradConv, "suits", lambda *_: True)
        patch.setattr(WinogradConv, "CHUNK_VALUES", 0)
        patch.setattr(WinogradConv, "CHUNK_TILES", images_at_a_time * math.prod(winograd.tile_grid(*size)))
        patch.setattr(ChunkedConv, "backward", lambda *_: pytest.fail("convolved another way"))
        check_convolution(rng, rng.normal(size=(3, *size, 2)), rng.normal(size=(3, 3, 2, 4)), 1, 1)


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


def test_winograds_convolution_rounds_hardly_more_than_im2col_in_any_order_of_sums():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 16, 16, 128)), rng.normal(size=(3, 3, 128, 64)) / np.sqrt(9 * 128)
    inputs = x.astype(np.float32), weight.astype(np.float32)
    exact = convolve_by_tensordot(*(array.astype(float) for array in inputs))
    assert choose_way(ops.conv.Conv2d(padding=1), np, *inputs) is WinogradConv
    error = np.sqrt(np.mean((ops.conv2d(*inputs, padding=1).data - exact) ** 2))
    # a sum of n = 9 * 128 numbers of variance 1/n, in any order, has partial sums of about 1 at the most, and each
    # is rounded by eps / sqrt(12) in the mean: sqrt(n) times that is the most that im2col may have
    assert 0 < error < np.finfo(np.float32).eps * np.sqrt(9 * 128 / 12)


def convolve_by_tensordot(x, weight):
    """3x3 windows at stride 1 with padding 1, as NumPy lists and multiplies them."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
    return np.tensordot(windows, weight, ((4, 5, 3), (0, 1, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e8, -1e30])
@pytest.mark.parametrize("where", ["image", "gradient"])
def test_one_extreme_value_reaches_only_the_windows_that_hold_it(value, where):
    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=(2, 16, 16, 64)).astype(np.float32) for _ in range(2))
    weight = rng.normal(size=(3, 3, 64, 64)).astype(np.float32) / 24
    if where == "image":
        x[0, 5, 5, 3] = value
    results = []
    for context in no_ways, plain:
        a = Tensor(x, requires_grad=True)
        with context(), np.errstate(all="ignore"):
            y = ops.conv2d(a, weight, padding=1)
            if where == "gradient":
                g[0, 5, 5, 3] = value
                y.backward(g)
        results.append(y.data if where == "image" else a.grad)
    beyond = np.ones(results[0].shape[:3], bool)
    beyond[0, 4:7, 4:7] = False
    fast, exact = (result[beyond] for result in results)
    np.testing.assert_allclose(fast, exact, atol=1e-4)


def no_ways():
    """A context in which all ways are taken."""
    return without()


@pytest.mark.parametrize(
    ("pixel", "value"), [(0, 1e4), (0, 1e8), (700, 1e8), (700, 1e30), (..., 1e20), (700, np.nan)]
)
def test_batch_norm_of_extreme_values_is_the_plain_one(pixel, value):
    x, g = np.random.default_rng(0).normal(size=(2, 64 * 24 * 24, 4)).astype(np.float32)
    x[pixel, 1:] *= value

    def results():
        inputs = [Tensor(a, requires_grad=True) for a in (x, np.ones(4, np.float32), np.zeros(4, np.float32))]
        running = np.zeros(4), np.ones(4)
        y = ops.batch_norm(*inputs, *running, training=True)
        y.backward(g)
        return [y.data, *running, *(tensor.grad for tensor in inputs)]

    with np.errstate(all="ignore"):
        got = results()
        with plain():
            expected = results()
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(b)))


def test_a_nan_in_a_window_takes_the_gradient_as_in_the_plain_op():
    x = np.array([[1, np.nan], [3, np.nan]], np.float32).reshape(1, 2, 2, 1)
    gradients = []
    for context in without, plain:
        a = Tensor(x, requires_grad=True)
        with context():
            ops.max_pool2d(a, 2, 2).sum().backward()
        gradients.append(a.grad.ravel())
    np.testing.assert_array_equal(gradients, [[0, 1, 0, 0]] * 2)


def as_if_trained(network, rng):
    """Statistics and scales as after training, but so that the signal lives through all the layers."""
    for layer in network.modules():
        if isinstance(layer, BatchNorm2d):
            layer.running_mean[...], layer.bias.data[...] = rng.normal(0, 0.1, (2, len(layer.bias.data)))
            layer.running_var[...], layer.weight.data[...] = rng.uniform(0.5, 1.5, (2, len(layer.bias.data)))
    return network.eval()


@pytest.fixture
def network():
    return as_if_trained(resnet.build("r18n", outputs=3), np.random.default_rng(0))


def test_a_folded_network_answers_as_the_whole_one(network):
    images = np.random.default_rng(1).normal(size=(32, 64, 64, 3)).astype(np.float32)
    assert choose_way(network, np, images) is FoldedResNet
    with no_grad():
        for part in np.s_[:1], np.s_[:], np.s_[:1, 16:], np.s_[:0]:  # the whole batch by Winograd's convolution
            wanted, got = network(Tensor(images[part])).numpy(), network.infer(images[part])
            np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max(initial=0))
    with pytest.raises(ValueError, match="the same C_in"):
        network.infer(images[..., :1])


def train_a_step(network):
    sgd = SGD(network.parameters(), lr=1e-3)
    network.train()(Tensor(np.ones((2, 32, 32, 3), np.float32))).sum().backward()
    sgd.step()


CHANGES = {
    "in place": lambda network: network.fc.bias.data.__iadd__(100),
    "one value of a bias": lambda network: network.bn1.bias.data.__setitem__(3, 5.0),
    "another array": lambda network: setattr(network.conv1.weight, "data", network.conv1.weight.data * 2),
    "another parameter": lambda network: setattr(network.fc, "bias", nn.Parameter(np.ones(3, np.float32))),
    "another layer": lambda network: setattr(network, "fc", nn.Linear(128, 3, rng=np.random.default_rng(5))),
    "another setting": lambda network: setattr(network.bn1, "eps", 1.0),
    "running statistics": lambda network: network.bn1.running_mean.__isub__(1),
    "a training step": train_a_step,
    "other weights": lambda network: network.load_state_dict(resnet.build("r18n", 3, seed=9).state_dict()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_is_folded_once_until_it_changes(network, change, monkeypatch):
    images = np.random.default_rng(1).normal(size=(1, 32, 32, 3)).astype(np.float32)
    folds, fold = [], FoldedResNet.__init__
    monkeypatch.setattr(FoldedResNet, "__init__", lambda self, net: folds.append(net) or fold(self, net))
    before = [network.infer(images) for _ in range(3)]
    assert len(folds) == 1
    CHANGES[change](network)
    after = network.infer(images)
    assert len(folds) == 2
    assert np.abs(after - before[0]).max() > 1e-3
    with plain():
        np.testing.assert_allclose(after, network.infer(images), rtol=1e-3, atol=1e-3)


def test_a_single_filter_that_is_cleared_changes_a_folded_network(network):
    source = folded.Source(network)
    for name, parameter in network.named_parameters():
        for channel in range(parameter.shape[-1]):
            before = parameter.data[..., channel].copy()
            parameter.data[..., channel] = 0.0 if before.any() else 1.0
            assert not source.is_unchanged(network), (name, channel)
            parameter.data[..., channel] = before
    assert source.is_unchanged(network)


def test_a_folded_network_is_freed_with_the_network():
    network = resnet.build("r18n", 3).eval()
    network.infer(np.zeros((1, 32, 32, 3), np.float32))
    alive = weakref.ref(network)
    del network
    gc.collect()
    assert alive() is None


def test_a_network_that_computes_something_else_is_not_folded(network):
    class Doubled(resnet.ResNet):
        def forward(self, x):
            return super().forward(x) * 2

    images = np.zeros((1, 32, 32, 3), np.float32)
    doubled = copy.deepcopy(network)
    doubled.__class__ = Doubled
    np.testing.assert_allclose(doubled.infer(images), 2 * network.infer(images), rtol=1e-4, atol=1e-5)
    network.layer1 = nn.Sequential(nn.ReLU())
    assert choose_way(network, np, images) is not FoldedResNet


class DoubledConv(nn.Conv2d):
    """A layer that somebody derived."""

    def forward(self, x):
        return super().forward(x) * 2.0


def double(layer):
    before = layer.forward
    layer.forward = lambda *inputs: before(*inputs) * 2.0


SURGERY = {
    "no last layer": lambda network: setattr(network, "fc", nn.ReLU()),
    "more last layers": lambda network: setattr(network, "fc", nn.Sequential(network.fc, nn.ReLU())),
    "no pooling": lambda network: setattr(network, "maxpool", nn.ReLU()),
    "a derived layer": lambda network: setattr(network.conv1, "__class__", DoubledConv),
    "a patched stage": lambda network: double(network.layer4),
    "a patched last layer": lambda network: double(network.fc),
}


@pytest.mark.parametrize("change", SURGERY)
def test_a_network_whose_parts_were_changed_answers_as_it_is(network, change):
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    before = network.infer(images)
    SURGERY[change](network)
    after = network.infer(images)
    assert after.shape != before.shape or np.abs(after - before).max() > 1e-3
    with plain():
        np.testing.assert_array_equal(after.shape, network.infer(images).shape)
        np.testing.assert_allclose(after, network.infer(images), rtol=1e-3, atol=1e-3)


def test_predictions_in_one_thread_leave_the_training_in_another_alone(network):
    images = np.random.default_rng(1).normal(size=(8, 32, 32, 3)).astype(np.float32)
    expected, stop, wrong = network.infer(images), threading.Event(), []

    def predict():
        while not stop.is_set():
            wrong.append(np.abs(network.infer(images) - expected).max())

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(wrong) < 9:
        y = network(Tensor(images))  # in evaluation mode, so that nothing changes
        assert y.requires_grad
        y.sum().backward()
    stop.set()
    for thread in threads:
        thread.join()
    assert max(wrong) == 0


def test_ways_are_left_out_by_name_or_all_of_them():
    x, weight = np.ones((2, 16, 16, 64), np.float32), np.ones((3, 3, 64, 64), np.float32)
    op = ops.conv.Conv2d(padding=1)
    assert choose_way(op, np, x, weight) is WinogradConv
    with without("WinogradConv"):
        assert choose_way(op, np, x, weight) is ChunkedConv
        with without("ChunkedConv"):
            assert choose_way(op, np, x, weight) is ops.conv.Conv2d
    with plain():
        assert choose_way(op, np, x, weight) is ops.conv.Conv2d
    assert choose_way(op, np, x, weight) is WinogradConv
    assert choose_way(op, np, x.astype(np.float16), weight) is ops.conv.Conv2d


def test_an_op_that_is_derived_from_another_has_none_of_its_ways():
    class Doubled(ops.conv.Conv2d):
        def forward(self, xp, x, weight):
            return 2 * super().forward(xp, x, weight)

    del Doubled.registry["Doubled"]
    x, weight = np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 2))
    np.testing.assert_array_equal(apply(Doubled(), x, weight).data, 2 * ops.conv2d(x, weight).data)


TESTS_OF_THE_PLAIN_ENGINE = "tensor", "ops", "optim", "properties", "networks", "methods", "golden"


def test_without_the_quicker_ways_all_else_works(tmp_path):
    shutil.copytree(ROOT / "tinyhpe", tmp_path / "tinyhpe", ignore=shutil.ignore_patterns("fast", "__pycache__"))
    for folder in "tests", "lessons":
        os.symlink(ROOT / folder, tmp_path / folder)
    ways = [sys.executable, "-c", "import tinyhpe; print(tinyhpe.ops.conv.Conv2d.ways)"]
    ran = subprocess.run(ways, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert ran.stdout.strip() == "()", ran  # nor does it find those of another tinyhpe that is installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["-c", str(ROOT / "pyproject.toml"), "-m", "not gpu", "-k", "not cuda and not gpu"]
    command += [f"tests/test_{name}.py" for name in TESTS_OF_THE_PLAIN_ENGINE]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_a_variable_of_the_environment_leaves_the_quicker_ways_out():
    code = "import tinyhpe; print(tinyhpe.ops.conv.Conv2d.ways)"
    environment = {**os.environ, "TINYHPE_PLAIN": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert ran.stdout.strip() == "()", ran.stderr
    environment["TINYHPE_PLAIN"] = "0"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "ClippedConv" in ran.stdout
