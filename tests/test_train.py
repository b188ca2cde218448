"""The training loop: it learns, stops, resumes to the bit, and writes what it promises."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.weights import load_arrays
from tinyhpe import backend, cli, datasets, methods
from tinyhpe.datasets import loader
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import emulator, precision, step
from tinyhpe.files import lock, locked
from tinyhpe.nn import resnet
from tinyhpe.train import Interrupted, Run, Settings, read_settings, split
from tinyhpe.train.checkpoint import start_from
from tinyhpe.train.losses import LOOK_EVERY
from tinyhpe.train.memory import memory_held, within_memory
from tinyhpe.train.run import stage_of
from tinyhpe.weight_files import save_arrays

ROOT = Path(__file__).parents[1]
SMALL = Settings(method="siamese", input_size=32, epochs=2, batch_size=8, balanced=False, seed=3)


def blobs(count, size=43):
    """Heads for the poor: a bright blob whose place is yaw and pitch, and whose colour is roll."""
    rng = np.random.default_rng(0)
    poses = rng.uniform(-60, 60, (count, 3)).astype(np.float32)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + poses[:, :2, None, None] / 60 * size * 0.2
    blob = np.exp(-((x - centre[:, 0]) ** 2 + (y + centre[:, 1] - size) ** 2) / 20)
    tint = 0.5 + poses[:, 2] / 120
    images = np.stack([blob * tint[:, None, None], blob * (1 - tint[:, None, None]), blob], axis=-1)
    names, landmarks = [f"blob{i}" for i in range(count)], rng.uniform(0, size, (count, 68, 2)).astype(np.float32)
    return HeadCrops((255 * images).astype(np.uint8), poses, names, landmarks=landmarks)


def weights(run):
    return {name: array.tobytes() for name, array in run.model.state_dict().items()}


# stopped in the first stage, at its very end, in the second
@pytest.mark.parametrize(("stop_after", "workers", "look_every"), [(3, 0, 1), (8, 0, 5), (13, 2, 5)])
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(tmp_path, monkeypatch, stop_after, workers, look_every):
    crops = blobs(64)
    whole = Run(SMALL, crops, tmp_path / "whole")
    whole.train(progress=False)

    monkeypatch.setitem(LOOK_EVERY, "cpu", look_every)
    stopped = Run(SMALL, crops, tmp_path / "stopped", workers=workers)
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
    run, columns, yaws = Run(SMALL, blobs(400), tmp_path), [], []

    loss = run.model.loss

    def watched(stage, images, poses):
        assert images.shape == (SMALL.batch_size, SMALL.input_size, SMALL.input_size, 3)
        light = images.data[..., 2] - images.data[..., 2].min((1, 2), keepdims=True)
        columns.extend(light.sum(1) @ np.arange(SMALL.input_size) / light.sum((1, 2)))
        yaws.extend(poses[:, 0])
        return loss(stage, images, poses)

    run.model.loss = watched
    run.begin_optimizing("ranking")
    for _, batch in zip(range(50), run.batches_left(), strict=False):
        run.step(*batch)
    assert np.corrcoef(columns, yaws)[0, 1] > 0.5  # the blobs' place; and 0 if others were mirrored


def test_both_stages_learn_and_the_folder_holds_what_is_promised(tmp_path):
    settings = Settings("siamese", input_size=32, epochs=6, batch_size=12, lr=3e-3, balanced=False)
    training, validation = split(blobs(240))
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


@pytest.fixture
def tiny(monkeypatch):
    """Settings of a run with a tiny network; and threads run in one order, since other tests try them all."""
    monkeypatch.setitem(resnet.NETWORKS, "tiny", (resnet.BasicBlock, (1, 1, 1, 1), 4))
    monkeypatch.setattr(emulator, "ORDERS", emulator.ORDERS[:1])
    return {"network": "tiny", "input_size": 16, "batch_size": 4, "balanced": False, "lr": 1e-6}


@pytest.mark.parametrize("cupy", ["emulated"], indirect=True)  # whether CuPy waits cannot be seen from here
@pytest.mark.parametrize("method", [name for name, method in methods.METHODS.items() if method.stages])
def test_no_step_waits_for_the_gpu_but_every_other_one_to_fetch_the_losses(
    tmp_path, monkeypatch, waits, tiny, method
):
    stages = len(methods.find(method).stages)
    settings = Settings(method, epochs=stages, **tiny)
    on_cpu = Run(settings, blobs(12), tmp_path / "cpu")
    on_cpu.train(progress=False)
    monkeypatch.setitem(LOOK_EVERY, "cuda", 2)
    run = Run(settings, blobs(12), tmp_path / "cuda", "cuda")
    step, update, waited, updates = run.step, run.update, [], []
    run.update = lambda loss, *rest: updates.append(loss.args[0]) or update(loss, *rest)

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
def test_a_run_in_float16_waits_no_more_and_is_resumed_with_its_loss_scale(tmp_path, monkeypatch, waits, tiny):
    monkeypatch.setattr(precision, "_chosen", "float32")  # put back afterwards
    monkeypatch.setattr(step, "FIRST_SCALE", 4.0)  # so low that no gradient overflows
    monkeypatch.setattr(step, "GROWTH_INTERVAL", 2)  # the run has four steps
    settings = Settings("direct", epochs=1, precision="float16", **tiny)

    def run(name, steps=None):
        run = Run(settings, blobs(16), tmp_path / name, "cuda")
        if (tmp_path / name).exists():
            run.load_checkpoint()
        step, scales = run.step, []

        def step_and_stop(*batch):
            before = len(waits)
            step(*batch)
            assert waits[before:] == []
            scales.append(run.stepper.scale.value.on_device.item())
            if len(scales) == steps:
                os.kill(os.getpid(), signal.SIGINT)

        run.step = step_and_stop
        with contextlib.suppress(Interrupted):
            run.train(progress=False)
        return run, scales

    whole, wanted = run("whole")
    _, before = run("stopped", steps=3)
    resumed, after = run("stopped")
    assert before + after == wanted == [4, 8, 8, 16]
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history
    assert read_settings(tmp_path / "whole").precision == "float16"
    on_cpu = Run(settings, blobs(16), tmp_path / "cpu")
    on_cpu.train(progress=False)
    sizes = [squares(run.optimizer) for run in (whole, on_cpu)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.3)  # of the gradients' squares: the scale is out of them


def squares(adam):
    state = adam.state_dict()
    return np.linalg.norm(np.concatenate([state[name].ravel() for name in state if name.endswith("square")]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the memory as only Linux can")
def test_out_of_memory_says_what_was_asked_and_held_and_which_batch_size_fits(tmp_path):
    code = """
import os, resource
import numpy as np
from tests.test_train import blobs
from tinyhpe.errors import InputError
from tinyhpe.train import Run, Settings
run = Run(Settings(method="direct", epochs=1, batch_size=512), blobs(512, 64), "run")
np.ones((999, 999)) @ np.ones((999, 999))  # BLAS ends Python if it finds no memory: now it has its own
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * os.sysconf("SC_PAGE_SIZE") + 150 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    run.train(progress=False)
except InputError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    found = re.fullmatch(
        r"out of memory in a training step of 512 images \(Unable to allocate (.*) for an array .*; "
        r"(0\.\d\d) GiB held\); a step of (\d+) was tried and fits: start again with --batch-size \3 and .*\n",
        ran.stdout,
    )
    assert found, ran.stdout + ran.stderr
    assert int(found[3]) in (32, 64, 128, 256)


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


def test_what_is_held_of_a_gpus_memory_is_all_that_is_in_use(monkeypatch):
    runtime = SimpleNamespace(memGetInfo=lambda: (2**30, 4 * 2**30))  # free, total
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(backend, "probe_cuda", lambda: (cupy, ""))
    assert memory_held("cuda") == "3.00 GiB"


SMALL_RUN = ("--input-size", "32", "--batch-size", "8", "--epochs", "2", "--out", "run")


def train(*arguments):
    """What `tinyhpe train` does, in this process."""
    cli.run_train(cli.make_parser(["train"]).parse_args(["train", *arguments]))


def test_a_run_is_resumed_from_another_folder_or_after_its_data_moved_but_not_on_other_data(tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "default_workers", lambda device: 0)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "data" / "sample", "heads")
    train("--data", "300wlp:heads", *SMALL_RUN)
    assert load_arrays("run/model.safetensors")[1]["data"] == "300wlp"  # not where our folders are
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    train("--resume", "--out", "../run")
    (tmp_path / "heads").rename("moved")
    with pytest.raises(InputError, match=r"no folder .*heads"):
        train("--resume", "--out", "../run")
    train("--resume", "--out", "../run", "--data", "300wlp:moved")
    next(Path("moved").glob("*7.mat")).unlink()
    with pytest.raises(InputError, match="other data"):
        train("--resume", "--out", "../run", "--data", "300wlp:moved")


def test_a_second_training_in_one_folder_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "open_dataset", lambda *_: pytest.fail("it begins to work"))
    with locked(tmp_path), pytest.raises(InputError, match=f"in use by the process {os.getpid()} on "):
        train("--out", str(tmp_path))


def test_a_folder_is_locked_until_the_process_that_holds_it_ends_or_is_killed(tmp_path):
    code = "import sys; from tinyhpe.files import locked\nwith locked(sys.argv[1]): print(flush=True); input()"
    command = [sys.executable, "-c", code, tmp_path]
    for end in (lambda other: other.communicate("\n"), lambda other: other.kill() or other.communicate()):
        other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        other.stdout.readline()
        with pytest.raises(InputError, match=f"in use by the process {other.pid} on "), locked(tmp_path):
            pass
        end(other)
        with locked(tmp_path):
            pass


def test_on_windows_what_is_locked_is_a_byte_that_nobody_reads(monkeypatch, tmp_path):
    locked_bytes = []
    msvcrt = SimpleNamespace(
        LK_NBLCK=2, locking=lambda file, *how: locked_bytes.append((os.lseek(file, 0, 1), *how))
    )
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    with (tmp_path / "file").open("a+") as file, monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        lock(file)
    assert locked_bytes == [(2**30, 2, 1)]


@pytest.mark.parametrize("published", [True, False])
def test_training_starts_from_weights_but_for_a_last_layer_of_another_shape(tmp_path, tiny, published):
    source = methods.build("hopenet", "tiny", seed=5)
    arrays = (source.backbone if published else source).state_dict()
    save_arrays(
        tmp_path / "weights", arrays | {"bn1.num_batches_tracked": np.array(3)} if published else arrays, {}
    )
    run = Run(
        Settings("direct", epochs=1, init=str(tmp_path / "weights"), **tiny | {"lr": 1e-12}), blobs(4), tmp_path
    )
    before = run.model.backbone.state_dict()
    run.train(progress=False)
    after = run.model.backbone.state_dict()
    for name, array in source.backbone.state_dict().items():
        if not name.endswith(("running_mean", "running_var")):
            wanted = before[name] if name.startswith("fc.") else array
            np.testing.assert_allclose(after[name], wanted, atol=1e-9, err_msg=name)
    assert not np.array_equal(before["conv1.weight"], after["conv1.weight"])
    (tmp_path / "weights").unlink()
    resumed = Run(read_settings(tmp_path), blobs(4), tmp_path)
    resumed.load_checkpoint()
    resumed.train(progress=False)
    assert weights(resumed) == weights(run)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path, tiny):
    save_arrays(tmp_path / "weights", resnet.build("tiny").state_dict(), {})
    with pytest.raises(InputError, match=r"weights holds another network: \d+ arrays do not fit .*--net"):
        start_from(methods.build("direct"), tmp_path / "weights")


@pytest.mark.parametrize(("name", "after"), [("no-such-backend", "agg"), ("svg", "svg")])
def test_a_plot_does_not_depend_on_the_name_in_mplbackend(tmp_path, name, after):
    code = """
import os
from tinyhpe.train.plot import plot_losses
plot_losses([{"epoch": 1, "stage": "training", "yaw": 1.0, "pitch": 2.0, "roll": 3.0}], "loss.png")
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.get_backend().lower())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": name}
    environment.pop("DISPLAY", None)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ran.stdout == f"{name} {after}\n", ran.stderr
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    Run(SMALL, blobs(64), tmp_path).save_checkpoint()
    with pytest.raises(InputError, match="other data"):
        Run(SMALL, blobs(65), tmp_path).load_checkpoint()


def test_a_model_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_settings(tmp_path)
    methods.save_model(tmp_path / "checkpoint.safetensors", methods.build("direct"), {})
    with pytest.raises(InputError, match="not a checkpoint of this version"):
        read_settings(tmp_path)
