"""It keeps working: kills, neighbours, closed and full streams, files that somebody has damaged.

The long form of the trials with damaged files and with kills: python -m pytest -m campaign
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from tests.damage import PHOTOS, VARIABLES
from tinyhpe import methods
from tinyhpe.datasets import rendered
from tinyhpe.datasets.mat_files import read_mat
from tinyhpe.datasets.photos import open_photo
from tinyhpe.errors import InputError
from tinyhpe.terminal import COMMANDS

COMMAND = [sys.executable, "-m", "tinyhpe"]
TRAIN = ["train", "--heads", "200", "--input-size", "32", "--epochs", "400", "--out", "run"]
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture
def start(tmp_path):
    """Start a command in an empty folder, wait until a file is there, and return the process."""

    def run(arguments, until, **settings):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True} | settings
        environment = os.environ | {"TINYHPE_CACHE": str(tmp_path / "cache")}
        process = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, env=environment, **settings)
        started.append(process)
        while not list(tmp_path.glob(until)):
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        return process

    started = []
    yield run
    for process in started:
        with process:  # closes its pipe, too
            process.kill()


@needs_signals
def test_who_kills_a_rendering_leaves_no_process_behind(start):
    process = start(["render", "5000", "--size", "64", "--out", "heads"], "heads/*.jpg")
    process.kill()
    process.communicate(timeout=10)  # its workers hold the other end of the pipe: this waits for them, too


@needs_signals
def test_ctrl_c_ends_a_rendering_at_once_and_without_a_traceback(start):
    process = start(["render", "5000", "--size", "64", "--out", "heads"], "heads/*.jpg")
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=10)
    assert time.monotonic() - asked < 5  # two seconds on a quiet machine
    assert process.returncode == 130
    assert b"interrupted; no file was left half-written" in said
    assert b"Traceback" not in said


@needs_signals
def test_a_training_that_is_terminated_goes_on_where_it_was(start, tmp_path):
    process = start(TRAIN, "run/checkpoint.safetensors")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"go on with: tinyhpe train --resume --out run" in said
    written = (tmp_path / "run" / "checkpoint.safetensors").stat().st_mtime_ns
    process = start(["train", "--resume", "--out", "run"], "run/checkpoint.safetensors")
    while (tmp_path / "run" / "checkpoint.safetensors").stat().st_mtime_ns == written:  # until the next epoch
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert b"go on with" in process.communicate(timeout=20)[0]


SHORT = ["--heads", "40", "--epochs", "4", "--input-size", "32", "--batch-size", "8", "--out", "out/run"]
WORK = {  # what takes seconds, and writes into the folder out/
    "render": ["render", "60", "--size", "32", "--out", "out/heads"],
    "train": ["train", *SHORT],
    "predict": ["predict", "photos", "--box", "middle", "--out", "out/poses"],
    "evaluate": ["evaluate", "--data", "rendered"],
    "reproduce": ["reproduce", "--quick", *SHORT],
}
TIMED = (".mat", "model.safetensors", "metrics.json", "result.json", "times.json", "index.html")  # tell the time


def run_until_killed(command, folder, number, seconds):
    """Do some WORK, send it a signal after some seconds, see that nobody is left; returns the exit status."""
    resume = ["--resume"] if command == "train" and (folder / "out/run/checkpoint.safetensors").exists() else []
    process = subprocess.Popen(
        [*COMMAND, *WORK[command], *resume],
        cwd=folder,
        env=os.environ | {"TINYHPE_CACHE": str(folder / "out/cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)  # its workers have the other end of the pipe, too
    assert process.returncode in (0, 130, -number) or b"KeyboardInterrupt" in said, said  # while Python starts
    return process.returncode


def made(folder):
    """{name: content} of the files in a folder; only the name of those that tell the time."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.name.endswith(TIMED) or path.read_bytes() for path in paths}


@needs_signals
@pytest.mark.parametrize(
    ("command", "count"),
    [("predict", 1), *(pytest.param(command, 20, marks=pytest.mark.campaign) for command in WORK)],
)
def test_what_is_killed_at_any_moment_leaves_whole_files_and_goes_on_to_the_same_end(tmp_path, command, count):
    rendered.write_folder(3, tmp_path / "photos", 64, progress=False)
    out, rng, started = tmp_path / "out", np.random.default_rng(count), time.monotonic()
    assert run_until_killed(command, tmp_path, 0, None) == 0
    seconds, expected = time.monotonic() - started, made(out)
    for number in rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], count):
        shutil.rmtree(out)
        run_until_killed(command, tmp_path, number, rng.uniform(0.2, 1) * seconds)
        left = {name: content for name, content in made(out).items() if not name.endswith(".tmp")}
        different = {name for name, content in left.items() if content != expected.get(name)}
        assert all("checkpoint" in name for name in different)  # it may be an earlier one
        time.sleep(1.1)  # a file that young may belong to somebody who is about to lock it
        assert run_until_killed(command, tmp_path, 0, None) == 0
        assert made(out).keys() == expected.keys()


@needs_signals
@pytest.mark.parametrize(
    ("redirection", "status"),
    [("2>&-", 0), ("2>/dev/full", 0), (">&-", 0), (">/dev/full", 2), ("2>&1 | head -c 1", 0)],
)
def test_streams_that_are_closed_full_or_unread_do_not_end_the_work(tmp_path, redirection, status):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    arguments = (
        f"{sys.executable} -m tinyhpe render 3 --size 32 --out heads {redirection}; exit ${{PIPESTATUS[0]}}"
    )
    ran = subprocess.run(["bash", "-c", arguments], cwd=tmp_path, timeout=60, capture_output=True)
    assert ran.returncode == status, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert len(list((tmp_path / "heads").glob("*.jpg"))) == 3


def mat_file(variables, **settings):
    file = io.BytesIO()
    savemat(file, variables, **settings)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_files_of_every_class_are_read_as_scipy_reads_them(dtype, compressed):
    variables = {
        "text": "abc",
        **{name: array.astype(dtype) for name, array in VARIABLES.items()},
        "cell": [["x"]],
    }
    content = mat_file(variables, do_compression=compressed)
    read, expected = read_mat(content, set(VARIABLES)), loadmat(io.BytesIO(content))
    for name in VARIABLES:
        np.testing.assert_array_equal(read[name], expected[name])
        assert read[name].shape == expected[name].shape
    assert read_mat(content, {"text", "cell"}) == {"text": None, "cell": None}


@pytest.mark.parametrize("count", [10, pytest.param(20000, marks=pytest.mark.campaign)])
def test_damaged_files_are_read_or_refused_in_little_memory_and_without_a_word(count):
    kinds = ["mat", "packed", "text", "json", "checkpoint", "model", *PHOTOS]
    for chosen in [kinds] if count < 100 else [[kind] for kind in kinds]:
        arguments = [sys.executable, "-W", "error", "-m", "tests.damage", str(count), *chosen]
        ran = subprocess.run(arguments, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")  # libtiff would print, past Python
        results = list(map(json.loads, ran.stdout.splitlines()))
        assert [result["kind"] for result in results] == chosen
        assert all(result["MB"] < 100 for result in results), results
        assert 0.01 < np.mean([result["refused"] for result in results]) <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": 10**6},
        {"input_size": True},
        {"input_size": 48.0},
        {"network": []},
        {"stem": None},
        {"method": {"a": 1}},
        {"input_size": 10**400},
    ],
)
def test_a_description_of_another_type_or_range_is_refused(tmp_path, change):
    description = {"method": "direct", "network": "r18n", "stem": "7x7", "input_size": 48} | change
    methods.save_model(tmp_path / "model.safetensors", methods.build("direct"), description)
    with pytest.raises(InputError, match=next(iter(change))):
        methods.load_model(tmp_path)


@pytest.mark.parametrize("kind", ["images", "poses"])
def test_a_cache_in_which_one_bit_has_changed_is_rendered_anew(tmp_path, kind):
    first = rendered.load(2, 32, cache=tmp_path, progress=False)
    expected = np.array(first.images[:]), first.poses.copy()
    file = next(tmp_path.rglob(f"{kind}.npy"))
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    again = rendered.load(2, 32, cache=tmp_path, progress=False)
    np.testing.assert_array_equal(again.images[:], expected[0])
    np.testing.assert_array_equal(again.poses, expected[1])


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGBA", "png"), ("LA", "png"), ("I;16", "png"), ("I;16", "tif"), ("F", "tif")]
)
def test_a_small_file_of_a_huge_photo_is_refused_before_it_is_unpacked(tmp_path, mode, suffix):
    path = tmp_path / f"huge.{suffix}"
    Image.new(mode, (9000, 9000)).save(path, **({"compression": "tiff_deflate"} if suffix == "tif" else {}))
    with pytest.raises(InputError, match="scale it down"):
        open_photo(path)


@needs_signals
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match="not a file, but a pipe"):
        open_photo(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match="not a file, but a pipe"):
        methods.load_model(tmp_path / "photo.jpg")


@needs_signals
def test_ctrl_c_while_libraries_are_loaded_is_one_line():
    code = """import os, signal, sys, types, tinyhpe_command
finder = types.SimpleNamespace(find_spec=lambda *_: os.kill(os.getpid(), signal.SIGINT))  # asked at every import
sys.meta_path.insert(0, finder)
tinyhpe_command.main()"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (ran.returncode, ran.stderr) == (130, b"tinyhpe: interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no flock")
def test_a_second_container_finds_the_folder_locked(start, tmp_path):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-fp", "true"], capture_output=True).returncode:
        pytest.skip("this user cannot make a pid namespace, as containers have")
    start(TRAIN, "run/checkpoint.safetensors")
    ran = subprocess.run(["unshare", "-fp", *COMMAND, *TRAIN], cwd=tmp_path, capture_output=True, timeout=60)
    assert ran.returncode == 2
    assert b"run is in use by the process" in ran.stderr


def test_no_name_of_a_file_can_command_the_terminal_or_begin_a_line_of_its_own(tmp_path):
    name = "a\x1b]0;owned\x07\n\x9b2J\u202e.jpg"
    try:
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    except OSError:
        pytest.skip("this system allows no such name")
    arguments = [*COMMAND, "predict", "--box", "middle", "--no-draw", name, name + "x"]
    ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, timeout=60)
    for stream in ran.stdout, ran.stderr:
        text = stream.decode("utf-8")
        assert len(text.splitlines()) == 1
        assert not COMMANDS.search(text)
    ran = subprocess.run([*arguments, "--json"], cwd=tmp_path, capture_output=True, timeout=60)
    assert json.loads(ran.stdout)[0]["image"] == name
