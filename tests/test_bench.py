"""The benchmark: what it compares is the same work, and what it prints is what it says."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinyhpe import bench, methods
from tinyhpe.bench import tables, timing, workloads
from tinyhpe.bench.cuda import cost_of_one_image
from tinyhpe.cli import main
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.nn import resnet
from tinyhpe.tensor import Tensor
from tinyhpe.train.run import Run

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
TINY = {
    "tiny": workloads.Workload("r18n", batch=2, size=32, training=True, seconds=0),
    "tiny-predict": workloads.Workload("r18n", batch=1, size=32, training=False, seconds=0),
}
COLUMNS = "workload ours_ms torch_ms torch_best_ms torch_all_cores_ms ratio_default ratio_best ratio_all_cores"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(bench, "WORKLOADS", TINY)
    monkeypatch.setattr(bench, "peak_memory", lambda name, side: 12.5)


def test_json_has_the_machine_and_a_row_for_each_workload(tiny, capsys):
    for name in TINY:
        assert main(["bench", "--json", "--workload", name]) == 0
        output = capsys.readouterr()
        results = json.loads(output.out)
        assert results["machine"]["numpy"] == np.__version__
        (row,) = results["rows"]
        assert list(row) == [*COLUMNS.split(), "ours_peak_mb", "torch_peak_mb"]
        assert row["ours_ms"] > 0
        if row["torch_ms"]:
            for ratio in "best", "all_cores":
                assert row[f"ratio_{ratio}"] == pytest.approx(row[f"torch_{ratio}_ms"] / row["ours_ms"])
            assert row["ratio_default"] == pytest.approx(row["torch_ms"] / row["ours_ms"])
            assert row["torch_best_ms"] <= row["torch_ms"]
        assert f"\n{name} " in output.err  # the row, as it came


def test_without_torch_our_times_stand_alone(tiny, monkeypatch):
    monkeypatch.setattr(bench, "torch_resnet", None)
    row = bench.measure("tiny-predict")
    assert row["ours_ms"] > 0
    assert row["torch_ms"] is row["ratio_best"] is row["torch_peak_mb"] is None


def test_what_is_timed_is_what_train_and_predict_call(monkeypatch):
    calls = []
    for owner, name in (Run, "update"), (methods.METHODS["direct"], "predict"):
        function = getattr(owner, name)
        spy = lambda self, *args, function=function, name=name: calls.append(name) or function(self, *args)  # noqa: E731
        monkeypatch.setattr(owner, name, spy)
    for workload in TINY.values():
        workloads.our_step(workload)()
    assert calls == ["update", "predict"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak memory")
def test_the_memory_of_a_step_is_its_largest():
    arrays = []

    def make_step():
        return lambda: arrays.append(np.ones(400_000_000 // 8).sum())  # freed at once

    assert 350 < timing.memory_grown(make_step) < 450


@pytest.mark.slow
def test_peak_memory_is_measured_in_a_process_of_its_own():
    peak = bench.peak_memory("r18n-default-train", "ours")
    assert peak is None or 5 < peak < 200  # MB


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
        numbers = range(1, len(other.convs) + 1)
        convs, norms = ([getattr(block, f"{kind}{i}") for i in numbers] for kind in ("conv", "bn"))
        layers += [*zip(convs, other.convs, strict=True), *zip(norms, other.norms, strict=True)]
        if block.downsample:
            layers += zip(block.downsample, other.downsample, strict=True)
    with torch.no_grad():  # the same weights in both: then the same outputs
        for layer, other in layers:
            for key, parameter in layer.named_parameters():
                getattr(other, key).copy_(torch.tensor(parameter.data.transpose(parameter.torch_axes)))
        images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
        expected = theirs(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(ours(Tensor(images)).data, expected, atol=1e-3 * np.abs(expected).max())
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.size for p in ours.parameters())


@needs_torch
@pytest.mark.parametrize("channels_last", [False, True])
def test_torch_sees_what_our_network_sees(monkeypatch, channels_last):
    from tinyhpe.bench import torch_resnet

    seen = []
    network = SimpleNamespace(eval=lambda: None, to=lambda *_, **__: seen_by)
    seen_by = type("Seen", (), {"eval": lambda self: self, "__call__": lambda self, x: seen.append(x) or x})()
    monkeypatch.setattr(torch_resnet, "build", lambda *_: network)
    images, poses = workloads.example(TINY["tiny-predict"], 1)
    torch_resnet.step(TINY["tiny-predict"], images, poses, channels_last)()
    np.testing.assert_allclose(seen[0].permute(0, 2, 3, 1).numpy(), unvaried(images, 32), atol=1e-5)


def test_each_quicker_way_is_left_out_in_its_row(monkeypatch):
    monkeypatch.setattr(tables, "WORKLOADS", TINY)
    monkeypatch.setattr(tables, "USED", tuple(TINY))
    rows = tables.measure_ways()
    names = [row["left_out"] for row in rows]
    assert {"ChunkedConv", "WinogradConv", "FoldedResNet"} < set(names)
    assert names[-1] == "all of them"
    assert all(row["tiny"] > 0 for row in rows)
    assert rows[-1]["tiny-predict"] > 1


def test_settings_that_slow_numpy_down_are_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    calls = []
    monkeypatch.setattr(bench.subprocess, "run", lambda *a, **k: calls.append(k) or SimpleNamespace(returncode=5))
    with pytest.raises(SystemExit, match="5"):
        bench.clean_environment()
    assert "OPENBLAS_CORETYPE" not in calls[0]["env"]
    assert "PATH" in calls[0]["env"]


def test_an_unknown_workload_is_answered_with_the_known_ones(monkeypatch, capsys):
    for name in bench.SLOWING:
        monkeypatch.delenv(name, raising=False)
    assert main(["bench", "--workload", "r50"]) == 2
    assert "resnet50-train" in capsys.readouterr().err


def test_the_cost_of_a_step_is_counted_from_the_graph():
    flops, moved = cost_of_one_image(bench.WORKLOADS["resnet50-train"])
    assert flops == pytest.approx(3 * 2 * 4.09e9, rel=0.01)  # He et al. (2016), table 1: 3.8e9 without shortcuts
    # ResNet-50 has 11.1e6 activations per image after its convolutions; each is written and read a few times
    assert 3 * 2 * 4 * 11.1e6 < moved < 10 * 3 * 2 * 4 * 11.1e6
