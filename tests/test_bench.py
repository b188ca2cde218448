"""The benchmark: what it compares is the same work, and what it prints is what it says."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinyhpe import bench, ops
from tinyhpe.bench.ideas import EVERYTHING, IDEAS, with_undone
from tinyhpe.cli import main
from tinyhpe.nn import resnet
from tinyhpe.tensor import Tensor

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
TINY = bench.Workload("r18n", batch=2, size=32, training=True, seconds=0)
COLUMNS = "workload threads ours_ms torch_ms torch_best_ms ratio_default ratio_best ours_peak_mb torch_peak_mb"


def test_json_has_the_machine_and_a_row_for_each_number_of_threads(monkeypatch, capsys):
    monkeypatch.setattr(bench, "WORKLOADS", {"tiny": TINY})
    monkeypatch.setattr(bench, "peak_memory", lambda name, side: 12.5)
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 2)
    assert main(["bench", "--json", "--workload", "tiny"]) == 0
    output = capsys.readouterr()
    results = json.loads(output.out)
    assert results["machine"]["numpy"] == np.__version__
    assert [row["threads"] for row in results["rows"]] == [1, 2]
    for row in results["rows"]:
        assert list(row) == COLUMNS.split()
        assert row["ours_ms"] > 0
        if row["torch_ms"]:
            assert row["ratio_best"] == pytest.approx(row["torch_best_ms"] / row["ours_ms"])
            assert row["ratio_default"] == pytest.approx(row["torch_ms"] / row["ours_ms"])
            assert row["torch_best_ms"] <= row["torch_ms"]
    assert output.err.count("tiny ") == 2  # the rows, as they came


def test_without_torch_our_times_stand_alone(monkeypatch):
    monkeypatch.setattr(bench, "torch_resnet", None)
    monkeypatch.setattr(bench, "WORKLOADS", {"tiny": bench.Workload("r18n", 1, 32, False, seconds=0)})
    row = bench.measure("tiny", 1)
    assert row["ours_ms"] > 0
    assert row["torch_ms"] is row["ratio_best"] is row["torch_peak_mb"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak memory")
def test_the_resident_memory_grows_with_an_array():
    before = bench.resident("VmRSS")
    array = np.ones(400_000_000 // 8)  # larger than what malloc may have kept
    assert 200 < bench.resident("VmRSS") - before < 420
    assert bench.resident("VmHWM") >= bench.resident("VmRSS")
    assert array.nbytes == 400_000_000


@pytest.mark.slow
def test_peak_memory_is_measured_in_a_process_of_its_own():
    peak = bench.peak_memory("r18n-train", "ours")
    assert peak is None or 10 < peak < 200  # MB


@needs_torch
@pytest.mark.parametrize("name", ["r18n", "resnet50"])
@pytest.mark.parametrize("stem", ["7x7", "3x3"])
def test_torchs_network_is_ours(name, stem):
    import torch

    from tinyhpe.bench import torch_resnet

    ours, theirs = resnet.build(name, outputs=3, stem=stem), torch_resnet.build(name, 3, stem)
    our_blocks = [block for stage in ours.stages() for block in stage]
    layers = [(ours.conv1, theirs[0]), (ours.bn1, theirs[1]), (ours.fc, theirs[-1])]
    for block, other in zip(our_blocks, (m for m in theirs if isinstance(m, torch_resnet.Block)), strict=True):
        convs, norms = zip(*block.pairs(), strict=True)
        layers += [*zip(convs, other.convs, strict=True), *zip(norms, other.norms, strict=True)]
        if block.downsample:
            layers += zip(block.downsample, other.downsample, strict=True)
    with torch.no_grad():  # the same weights in both: then the same outputs
        for layer, other in layers:
            for key, parameter in layer._parameters.items():
                getattr(other, key).copy_(torch.tensor(parameter.data.transpose(parameter.torch_axes)))
        images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
        expected = theirs(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(ours(Tensor(images)).data, expected, atol=1e-3 * np.abs(expected).max())
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.size for p in ours.parameters())


@pytest.mark.parametrize("name", IDEAS)
def test_a_step_with_an_idea_undone_gives_the_same_gradients(name):
    def gradients():
        network = resnet.build("r18n", outputs=3)
        for parameter in network.parameters():
            parameter.data = parameter.data.astype(np.float64)
        images = np.random.default_rng(0).normal(size=(2, 40, 40, 3))
        loss = ops.mse(network(Tensor(images)), np.ones((2, 3)))
        loss.backward()
        collected.append([loss.data, *(parameter.grad for parameter in network.parameters())])

    collected = []
    gradients()
    with_undone(name, gradients)()
    for plain, fast in zip(*collected, strict=True):
        np.testing.assert_allclose(plain, fast, rtol=1e-7, atol=1e-9 * np.abs(fast).max())


def test_an_undone_idea_is_back_afterwards():
    conv2d = ops.conv2d
    seen = []
    with_undone(EVERYTHING, lambda: seen.append(ops.conv2d))()
    assert seen != [conv2d]
    assert ops.conv2d is conv2d


def test_settings_that_slow_numpy_down_are_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    calls = []
    monkeypatch.setattr(bench.subprocess, "run", lambda *a, **k: calls.append(k) or SimpleNamespace(returncode=5))
    with pytest.raises(SystemExit, match="5"):
        bench.clean_environment()
    assert "OPENBLAS_CORETYPE" not in calls[0]["env"]
    assert "PATH" in calls[0]["env"]


def test_an_unknown_workload_is_answered_with_the_known_ones(capsys):
    assert main(["bench", "--workload", "r50"]) == 2
    assert "resnet50-train" in capsys.readouterr().err


def test_the_cost_of_a_step_is_counted_from_the_graph():
    flops, moved = bench.cuda.cost_of_one_image(bench.WORKLOADS["resnet50-train"])
    assert flops == pytest.approx(3 * 2 * 4.09e9, rel=0.01)  # He et al. (2016), table 1: 3.8e9 without shortcuts
    # ResNet-50 has 11.1e6 activations per image after its convolutions; each is written and read a few times
    assert 3 * 2 * 4 * 11.1e6 < moved < 10 * 3 * 2 * 4 * 11.1e6
