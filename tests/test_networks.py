"""Modules, ResNets and weight files, against torch and torchvision (recorded or installed)."""

import importlib.util
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.fixtures.record_resnet50 import FIXTURE, image, random_weights
from tests.weights import load_arrays
from tinyhpe import ops
from tinyhpe.errors import InputError
from tinyhpe.nn import resnet
from tinyhpe.nn.layers import BatchNorm2d, Conv2d, Linear
from tinyhpe.nn.module import Sequential
from tinyhpe.tensor import Tensor, no_grad
from tinyhpe.weight_files import save_arrays

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed; it is no dependency of tinyhpe"
)


def test_a_resnet50_file_with_torchvisions_names_gives_torchvisions_outputs(tmp_path):
    recorded = json.loads(FIXTURE.read_text())
    save_file(random_weights(recorded["shapes"]), tmp_path / "model.safetensors")
    network = resnet.build("resnet50").eval()
    arrays, _ = load_arrays(tmp_path / "model.safetensors")
    network.load_state_dict(arrays)
    with no_grad():
        whole, folded = network(Tensor(image())).numpy(), network.infer(image())
    for outputs in whole, folded:
        error = np.abs(outputs[0, ::100] - recorded["outputs"]).max() / np.abs(recorded["outputs"]).max()
        assert error < 1e-4
    assert sum(parameter.size for parameter in network.parameters()) == 25_557_032


def torch_basic_resnet(torch, state, x, training):
    """torch's own functions in the order of a ResNet with basic blocks, 7x7 stem, from a state dict."""
    f = torch.nn.functional

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return f.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], training, 0.1, 1e-5)

    x = f.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = f.max_pool2d(torch.relu(norm(x, "bn1")), 3, 2, 1)
    for layer in range(1, 5):
        for block in range(2):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            h = f.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            h = f.conv2d(torch.relu(norm(h, f"{name}.bn1")), state[f"{name}.conv2.weight"], padding=1)
            if f"{name}.downsample.0.weight" in state:
                x = norm(f.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
            x = torch.relu(norm(h, f"{name}.bn2") + x)
    return f.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


@needs_torch
@pytest.mark.parametrize("training", [True, False])
def test_a_whole_network_in_float64_agrees_with_torch_in_outputs_and_every_gradient(training):
    import torch

    rng = np.random.default_rng(0)
    network = resnet.build("r18n", outputs=3).train(training)
    for parameter in network.parameters():
        parameter.data = parameter.data.astype(np.float64)
    for module in network.modules():
        for name in module.buffer_names:
            array = getattr(module, name)
            setattr(module, name, array + rng.uniform(0, 0.5, array.shape))
    state = {name: torch.tensor(array) for name, array in network.state_dict().items()}
    names = [name for name, _ in network.named_parameters()]
    for name in names:
        state[name].requires_grad_()
    x, cotangent = rng.normal(size=(3, 47, 33, 3)), rng.normal(size=(3, 3))
    output = network(Tensor(x))
    output.backward(cotangent)
    expected = torch_basic_resnet(torch, state, torch.tensor(x).permute(0, 3, 1, 2), training)
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(output.data, expected.detach().numpy(), rtol=1e-9)
    for name, parameter in network.named_parameters():
        gradient = parameter.grad.transpose(parameter.torch_axes)
        want = state[name].grad.numpy()
        np.testing.assert_allclose(gradient, want, atol=1e-9 * np.abs(want).max(), err_msg=name)
    for name, array in network.state_dict().items():
        if "running" in name:
            np.testing.assert_allclose(array, state[name].numpy(), rtol=1e-12, err_msg=name)


def test_a_frozen_batch_norm_keeps_its_statistics_and_weights_even_after_train():
    norm = BatchNorm2d(2).freeze()
    norm.train()
    x = Tensor(np.random.default_rng(0).normal(5, 3, (4, 2)).astype(np.float32), requires_grad=True)
    norm(x).backward(np.ones((4, 2), np.float32))
    assert not norm.training
    assert norm.weight.grad is None
    np.testing.assert_array_equal(norm.running_mean, [0, 0])
    np.testing.assert_allclose(
        x.grad, np.full((4, 2), 1 / np.sqrt(1 + 1e-5)), rtol=1e-6
    )  # y = x / sqrt(var + eps)


def test_an_evaluation_before_a_training_step_keeps_its_own_gradient():
    norm, cotangent = BatchNorm2d(2).eval(), np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    x = np.random.default_rng(0).normal(5, 3, (6, 2)).astype(np.float32)
    evaluated = norm(Tensor(x))
    norm.train()(Tensor(x))  # moves the running statistics before evaluated.backward() needs them
    evaluated.backward(cotangent)
    np.testing.assert_allclose(norm.weight.grad, (cotangent * x / np.sqrt(1 + 1e-5)).sum(axis=0), rtol=1e-5)


def test_weights_survive_the_way_to_disk_and_back_bit_by_bit(tmp_path):
    network, other = resnet.build("r18n", seed=1), resnet.build("r18n", seed=2)
    save_arrays(tmp_path / "w.safetensors", network.state_dict(), {"net": "r18n"})
    arrays, description = load_arrays(tmp_path / "w.safetensors")
    other.load_state_dict(arrays)
    assert description == {"net": "r18n"}
    for (_, a), (_, b) in zip(network.named_parameters(), other.named_parameters(), strict=True):
        assert a.data.tobytes() == b.data.tobytes()


def test_file_layout_of_a_convolution_is_torchs_oihw():
    layer = Conv2d(c_in=2, c_out=5, kernel=3, rng=np.random.default_rng(0))
    assert layer.state_dict()["weight"].shape == (5, 2, 3, 3)
    assert layer.state_dict()["weight"][4, 1, 0, 2] == layer.weight.data[0, 2, 1, 4]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (np.ma.masked_array([1.0, 2.0], [0, 1]), "lose its mask"),
        (np.array([1.0, 1j]), "same_kind"),
        (np.array(["1", "2"]), "holds no numbers"),
        (np.array([1.0, None]), "holds no numbers"),
    ],
)
def test_what_would_lose_something_on_its_way_into_a_module_is_refused(odd, message):
    norm = BatchNorm2d(2)
    for name in "bias", "running_mean":
        with pytest.raises(TypeError, match=message):
            norm.load_state_dict({**norm.state_dict(), name: odd})
    if odd.dtype.kind != "c":
        with pytest.raises(TypeError, match=message):
            norm.register_buffer("odd", odd)


def test_a_buffer_is_a_plain_array_whatever_it_was():
    norm = BatchNorm2d(2)
    norm.register_buffer("counts", [1, 2])
    norm.register_buffer("big", np.array([1.0, 2.0], ">f4"))
    assert {array.dtype.str for name, array in norm.state_dict().items() if name in ("counts", "big")} == {"<f4"}


@pytest.mark.parametrize("part", [ops.relu, None, [Linear(2, 2, rng=np.random.default_rng(0))]])
def test_sequential_passes_over_nothing_that_it_is_given(part):
    with pytest.raises(TypeError, match=r"takes modules, one by one: nn\.ReLU\(\)"):
        Sequential(BatchNorm2d(2), part)


def test_weights_of_another_architecture_are_refused_with_the_reason():
    with pytest.raises(InputError, match=r"another architecture: 2 arrays.*fc\.bias has shape \(7,\)"):
        resnet.build("r18n", outputs=3).load_state_dict(resnet.build("r18n", outputs=7).state_dict())
    with pytest.raises(InputError, match=r"arrays do not fit .* is missing"):
        resnet.build("resnet34").load_state_dict(resnet.build("resnet18").state_dict())


def test_an_unknown_network_or_stem_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"'vgg'.*choose one of resnet18, .*r18m and one of 7x7, 3x3"):
        resnet.build("vgg")
    with pytest.raises(InputError, match="stem '5x5'"):
        resnet.build("r18n", stem="5x5")


def test_weights_with_more_arrays_are_refused_but_torchs_counters_are_passed_over():
    network = resnet.build("r18n")
    state = network.state_dict() | {"bn1.num_batches_tracked": np.array(5)}
    network.load_state_dict(state)
    with pytest.raises(InputError, match=r"1 arrays do not fit \(fc2.bias is too many"):
        network.load_state_dict(state | {"fc2.bias": np.zeros(3)})


def test_the_3x3_stem_keeps_the_resolution_and_the_network_takes_any_size():
    network = resnet.build("r18n", outputs=4, stem="3x3")
    with no_grad():
        assert network.conv1(Tensor(np.zeros((1, 33, 50, 3), np.float32))).shape == (1, 33, 50, 16)
        assert network(Tensor(np.zeros((1, 33, 50, 3), np.float32))).shape == (1, 4)


def test_global_pooling_is_the_mean_over_the_image():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_allclose(ops.global_avg_pool(Tensor(x)).data, [[5, 6], [17, 18]])
