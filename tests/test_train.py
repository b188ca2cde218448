"""The training loop: it learns, stops, resumes to the bit, and writes what it promises."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyhpe import backend, methods, optim
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.errors import InputError
from tinyhpe.train.memory import within_memory
from tinyhpe.train.run import LOOK_EVERY, Interrupted, Run, Settings, read_settings, split, stage_of

TINY = Settings(method="siamese", input_size=32, epochs=2, batch_size=8, balanced=False, seed=3)


def blobs(count, size=43):
    """Heads for the poor: a bright blob whose place is yaw and pitch, and whose colour is roll."""
    rng = np.random.default_rng(0)
    poses = rng.uniform(-60, 60, (count, 3)).astype(np.float32)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + poses[:, :2, None, None] / 60 * size * 0.2
    blob = np.exp(-((x - centre[:, 0]) ** 2 + (y + centre[:, 1] - size) ** 2) / 20)
    tint = 0.5 + poses[:, 2] / 120
    images = np.stack([blob * tint[:, None, None], blob * (1 - tint[:, None, None]), blob], axis=-1)
    return HeadCrops((255 * images).astype(np.uint8), poses, [f"blob{i}" for i in range(count)])


def weights(run):
    return {name: array.tobytes() for name, array in run.model.state_dict().items()}


# stopped in the first stage, at its very end, in the second
@pytest.mark.parametrize(("stop_after", "workers", "look_every"), [(3, 0, 1), (8, 0, 5), (13, 2, 5)])
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(tmp_path, monkeypatch, stop_after, workers, look_every):
    crops = blobs(64)
    whole = Run(TINY, crops, tmp_path / "whole")
    whole.train(progress=False)

    monkeypatch.setitem(LOOK_EVERY, "cpu", look_every)
    stopped = Run(TINY, crops, tmp_path / "stopped", workers=workers)
    step, steps = stopped.step, []

    def step_and_stop(*batch):
        steps.append(None)
        if len(steps) == stop_after:
            os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C in the middle of a step
        return step(*batch)

    stopped.step = step_and_stop
    with pytest.raises(Interrupted):
        stopped.train(progress=False)
    assert len(steps) == stop_after

    resumed = Run(read_settings(tmp_path / "stopped"), crops, tmp_path / "stopped")
    resumed.load_checkpoint()
    resumed.train(progress=False)
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path):
    results = []
    for seed in (1, 1, 2):
        run = Run(Settings(method="direct", input_size=32, epochs=1, batch_size=8, seed=seed), blobs(32), tmp_path)
        run.train(progress=False)
        results.append(weights(run))
    assert results[0] == results[1] != results[2]


def test_a_step_is_told_the_poses_of_the_heads_that_it_sees(tmp_path):
    run, columns, yaws = Run(TINY, blobs(400), tmp_path), [], []

    loss = run.model.loss

    def watched(stage, images, poses):
        assert images.shape == (TINY.batch_size, TINY.input_size, TINY.input_size, 3)
        light = images.data[..., 2] - images.data[..., 2].min((1, 2), keepdims=True)
        columns.extend(light.sum(1) @ np.arange(TINY.input_size) / light.sum((1, 2)))
        yaws.extend(poses[:, 0])
        return loss(stage, images, poses)

    run.model.loss = watched
    for _, batch in zip(range(50), run.batches_left(), strict=False):
        run.step("ranking", *batch)
    assert np.corrcoef(columns, yaws)[0, 1] > 0.5  # the blobs' place; and 0 if others were mirrored


def test_both_stages_learn_and_the_folder_holds_what_is_promised(tmp_path):
    settings = Settings("siamese", input_size=32, epochs=6, batch_size=16, lr=3e-3, balanced=False)
    training, validation = split(blobs(400))
    run = Run(settings, training, tmp_path)
    run.train(progress=False)
    by_stage = {"ranking": [], "fine-tuning": []}
    for entry in run.history:
        by_stage[entry["stage"]].append(entry["yaw"] + entry["pitch"])
    assert [len(losses) for losses in by_stage.values()] == [3, 3]
    assert all(losses[-1] < losses[0] for losses in by_stage.values())
    assert by_stage["ranking"][0] < 2 * np.log(2)  # better than answering 1/2 to every pair

    run.save_model()
    run.save_report({"n": len(validation)})
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["history"] == run.history
    assert metrics["settings"]["lr"] == 3e-3
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    loaded = methods.load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(validation.images[:4]), run.model.predict(validation.images[:4]))
    assert loaded.description["method"] == "siamese"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "loss.png",
        "metrics.json",
        "model.safetensors",
    ]


def test_validation_images_are_never_trained_on():
    training, validation = split(blobs(100))
    assert (len(training), len(validation)) == (95, 5)
    assert not set(training.names) & set(validation.names)
    place = training.names.index("blob50")
    np.testing.assert_array_equal(training.images[[place]][0], blobs(100).images[50])
    np.testing.assert_array_equal(training.poses[place], blobs(100).poses[50])


def test_stages_share_the_epochs():
    assert [stage_of(("a", "b"), 5, epoch) for epoch in range(5)] == [("a", 0, 2)] * 2 + [("b", 2, 5)] * 3


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({"epochs": 1}, 64, "at least one epoch for each"),
        ({"batch_size": 1}, 64, "pairs"),
        ({"batch_size": 32}, 20, "fewer than one batch"),
        ({"method": "nothing"}, 64, "unknown method"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings, images, message, tmp_path):
    with pytest.raises(InputError, match=message):
        Run(Settings(**settings), blobs(images), tmp_path)


def test_too_few_images_and_a_diverging_loss_are_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="19 images are too few"):
        split(blobs(19))
    run = Run(Settings(method="direct", input_size=32, epochs=1, batch_size=8, lr=1.0), blobs(64), tmp_path)
    run.model.backbone.fc.bias.data[0] = np.inf
    with pytest.raises(InputError, match="smaller --lr"):
        run.train(progress=False)


@pytest.fixture
def waits(cupy, monkeypatch):
    """A list that grows whenever the program asks the pretended GPU for a value, and so would wait for it."""
    waits, array = [], cupy.ndarray

    def counted(name, original):
        def ask(self, *args):
            waits.append(name)
            return original(self, *args)

        return ask

    monkeypatch.setattr(array, "get", counted("get", array.get))
    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "__index__"):
        values = counted(name, lambda self, name=name: getattr(self.on_device, name)())
        monkeypatch.setattr(array, name, values, raising=False)
    for name in ("nonzero", "flatnonzero", "argwhere", "unique"):  # the shape of the result is a value, too
        monkeypatch.setattr(cupy, name, counted(name, getattr(cupy, name)), raising=False)

    def set_values(self, values, stream):
        self[...] = cupy.asarray(values)

    monkeypatch.setattr(array, "set", set_values, raising=False)
    return waits


@pytest.mark.parametrize("cupy", ["emulated"], indirect=True)  # whether CuPy waits cannot be seen from here
@pytest.mark.parametrize("method", methods.METHODS)
def test_no_step_waits_for_the_gpu_but_every_other_one_to_fetch_the_losses(tmp_path, monkeypatch, waits, method):
    stages = len(methods.find(method).stages)
    settings = Settings(method=method, input_size=32, epochs=stages, batch_size=4, balanced=False, lr=1e-6)
    on_cpu = Run(settings, blobs(12), tmp_path / "cpu")
    on_cpu.train(progress=False)
    monkeypatch.setitem(LOOK_EVERY, "cuda", 2)
    run = Run(settings, blobs(12), tmp_path / "cuda", "cuda")
    step, update, waited, updates = run.step, run.update, [], []
    run.update = lambda stage, *batch: updates.append(stage) or update(stage, *batch)

    def counted_step(*batch):
        before = len(waits)
        step(*batch)
        waited.append(waits[before:])

    run.step = counted_step
    run.train(progress=False)
    assert waited == [[], ["get"], []] * stages  # and once more at the end of the epoch
    assert updates == [stage for stage in run.model.stages for _ in range(2)]  # the third step was replayed
    for on_gpu, wanted in zip(run.history, on_cpu.history, strict=True):
        for part in run.model.parts:
            assert on_gpu[part] == pytest.approx(wanted[part], rel=1e-4)


@pytest.mark.parametrize("cupy", ["emulated"], indirect=True)
def test_a_run_in_float16_waits_no_more_and_is_resumed_with_its_loss_scale(tmp_path, monkeypatch, waits):
    monkeypatch.setattr(backend, "precision", "float16")
    monkeypatch.setattr(optim, "FIRST_SCALE", 2.0**8)  # so low that no gradient overflows
    monkeypatch.setattr(optim, "GROWTH_INTERVAL", 2)  # the run has four steps
    settings = Settings(
        "direct", input_size=32, epochs=1, batch_size=4, balanced=False, lr=1e-6, precision="float16"
    )

    def run(name, steps=None):
        run = Run(settings, blobs(16), tmp_path / name, "cuda")
        if (tmp_path / name).exists():
            run.load_checkpoint()
        step, scales = run.step, []

        def step_and_stop(*batch):
            before = len(waits)
            step(*batch)
            assert waits[before:] == []
            scales.append(run.optimizer.loss_scale.value.on_device.item())
            if len(scales) == steps:
                os.kill(os.getpid(), signal.SIGINT)

        run.step = step_and_stop
        with contextlib.suppress(Interrupted):
            run.train(progress=False)
        return run, scales

    whole, wanted = run("whole")
    _, before = run("stopped", steps=3)
    resumed, after = run("stopped")
    assert before + after == wanted == [2.0**8, 2.0**9, 2.0**9, 2.0**10]
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history
    assert read_settings(tmp_path / "whole").precision == "float16"
    on_cpu = Run(settings, blobs(16), tmp_path / "cpu")
    on_cpu.train(progress=False)
    sizes = [np.linalg.norm(run.optimizer.state_dict()["square"]) for run in (whole, on_cpu)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.2)  # of the gradients' squares: the scale is out of them


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the memory as only Linux can")
def test_out_of_memory_says_what_was_asked_and_held_and_which_batch_size_fits(tmp_path):
    code = """
import os, resource
from tests.test_train import blobs
from tinyhpe.errors import InputError
from tinyhpe.train.run import Run, Settings
run = Run(Settings(method="direct", epochs=1, batch_size=1024), blobs(1024, 64), "run")
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * os.sysconf("SC_PAGE_SIZE") + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    run.train(progress=False)
except InputError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    found = re.fullmatch(
        r"out of memory in a training step of 1024 images \(Unable to allocate (.*) for an array .*; "
        r"(0\.\d\d) GiB held\); a step of (\d+) was tried and fits: start again with --batch-size \3 and .*\n",
        ran.stdout,
    )
    assert found, ran.stdout + ran.stderr
    assert int(found[3]) in (64, 128, 256, 512)


@pytest.mark.parametrize(
    "error", [MemoryError("Out of memory allocating 9 bytes"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
@pytest.mark.parametrize(("most", "advice"), [(13, "--batch-size 8"), (2, "--batch-size 2"), (1, "smaller --net")])
def test_the_batch_size_that_fits_is_found_by_halving(error, most, advice):
    tried = []

    def update(size):
        tried.append(size)
        if size > most:
            raise error

    with pytest.raises(InputError, match=f"{error}; .* GiB held.*{advice}"):
        within_memory(lambda: update(32), update, 32, "cpu")
    assert tried == [32, 16, 8, 4, 2][: {13: 3, 2: 5, 1: 5}[most]]
    with pytest.raises(ZeroDivisionError):  # not what we are there for
        within_memory(lambda: 1 / 0, update, 32, "cpu")


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    Run(TINY, blobs(64), tmp_path).save_checkpoint()
    with pytest.raises(InputError, match="other data"):
        Run(TINY, blobs(65), tmp_path).load_checkpoint()


def test_a_model_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_settings(tmp_path)
    methods.save_model(tmp_path / "checkpoint.safetensors", methods.build("direct"), {})
    with pytest.raises(InputError, match="not a checkpoint of this version"):
        read_settings(tmp_path)
