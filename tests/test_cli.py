"""The command line as a user meets it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tinyhpe.backend import probe_cuda

TRAIN = ["--heads", "40", "--input-size", "32", "--batch-size", "8", "--epochs", "2"]


@pytest.fixture
def tinyhpe(tmp_path):
    """Run `tinyhpe ARGUMENTS` in an empty folder, with a cache of its own."""
    environment = {**os.environ, "TINYHPE_CACHE": str(tmp_path / "cache"), "PYTHONWARNINGS": "error"}

    def run(*arguments, start=subprocess.run, **options):
        command = [sys.executable, "-m", "tinyhpe", *map(str, arguments)]
        options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **options}
        return start(command, cwd=tmp_path, env=environment, **options)

    return run


def one_line(result):
    """The one line that a failed command says, progress bars aside."""
    lines = [
        line
        for line in result.stderr.split("\n")
        if line.strip() and "it/s]" not in line and "head/s]" not in line
    ]
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tinyhpe")
    return lines[0]


def photo(path, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_train_evaluate_and_predict_work_from_nothing(tinyhpe, tmp_path):
    trained = tinyhpe("train", *TRAIN, "--out", "run")
    assert trained.returncode == 0, trained.stderr
    assert "yaw" in trained.stdout
    assert {"model.safetensors", "metrics.json", "loss.png"} <= {p.name for p in (tmp_path / "run").iterdir()}

    evaluated = tinyhpe("evaluate", "run", "--data", f"300wlp:{heads(tinyhpe, tmp_path)}", "--json")
    result = json.loads(evaluated.stdout)
    assert result["n"] == 6
    assert set(result) >= {"mae", "ranges", "bias", "geodesic", "mae_yaw60"}

    predicted = tinyhpe("predict", photo(tmp_path / "a.png"), "--model", "run", "--box", "10,10,60,70", "--json")
    (entry,) = json.loads(predicted.stdout)
    assert entry["box"] == [10, 10, 60, 70]
    assert all(abs(entry[angle]) < 200 for angle in ("yaw", "pitch", "roll"))
    with Image.open(tmp_path / "poses" / "a_pose.png") as picture:
        assert picture.size == (80, 90)


def heads(tinyhpe, tmp_path):
    """A folder of six rendered heads in 300W-LP's layout."""
    result = tinyhpe("render", 6, "--out", "heads", "--size", "160")
    assert result.returncode == 0, result.stderr
    return tmp_path / "heads"


def test_one_bad_photo_is_reported_the_others_are_done_and_the_status_tells(tinyhpe, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "c.jpg"):
        photo(folder / name)
    (folder / "b.jpg").write_bytes((folder / "c.jpg").read_bytes()[:500])
    (folder / "notes.txt").write_text("not a photo, not looked at")
    result = tinyhpe("predict", folder)
    assert "b.jpg" in one_line(result)
    assert sorted(p.name for p in (tmp_path / "poses").iterdir()) == ["a_pose.png", "c_pose.png"]


def test_no_photo_is_overwritten_by_a_picture_of_poses(tinyhpe, tmp_path):
    for folder in ("photos", "others"):
        (tmp_path / folder).mkdir()
        photo(tmp_path / folder / "a.png")
    photo(tmp_path / "photos" / "a_pose.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert tinyhpe("predict", "photos", "others", "--out", "photos").returncode == 0
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((tmp_path / "photos").iterdir())) == 2 + 3  # each of the three has a picture of its own


def test_one_bad_label_file_is_reported_and_the_others_are_evaluated(tinyhpe, tmp_path):
    folder = heads(tinyhpe, tmp_path)
    mat = sorted(folder.glob("*.mat"))[2]
    mat.write_bytes(mat.read_bytes()[:50])
    result = tinyhpe("evaluate", "--data", f"300wlp:{folder}", "--json")
    assert mat.name in one_line(result)
    assert json.loads(result.stdout)["n"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "missing.jpg"], "missing.jpg"),
        (["predict", "empty"], "no photos in"),
        (["predict", "good.png", "--box", "1,2,3"], "four numbers"),
        (["predict", "good.png", "--box", "500,500,20,20"], "outside"),
        (["predict", "good.png", "--model", "good.png"], "not a complete safetensors"),
        (["predict", "good.png", "--out", "good.png/x"], "cannot write"),
        (["evaluate", "--data", "aflw2000:nowhere"], "nowhere"),
        (["evaluate", "--data", "imagenet"], "imagenet"),
        (["evaluate", "nowhere.safetensors"], "No such file"),
        (["train", "--resume", "--out", "nowhere"], "No such file"),
        (["train", "--method", "magic"], "invalid choice"),
        (["train", "--net", "vgg"], "choose from"),
        (["train", "--epochs", "0"], "--epochs"),
        (["train", "--lr", "nan"], "--lr"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--input-size", "7"], "32 to 1024"),
        (["train", "--out", "good.png"], "cannot write"),
        (["train", "--precision", "float16"], "--precision float16 is for GPUs: add --device cuda"),
        (["evaluate", "--precision", "float16"], "float16 is for GPUs"),
        (["predict", "good.png", "--precision", "tf32"], "tf32 is for GPUs"),
        (["bench", "--precision", "float16"], "float16 is for GPUs"),
        (["predict", "good.png", "--box", ""], "four numbers"),
        (["render", "0", "--out", "x"], "0 is not from 1"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_gives_one_clear_line_and_status_2(tinyhpe, tmp_path, arguments, message):
    photo(tmp_path / "good.png")
    (tmp_path / "empty").mkdir()
    assert message in one_line(tinyhpe(*arguments))


@pytest.mark.skipif(probe_cuda()[0] is not None, reason="this machine has a GPU")
def test_cuda_without_a_gpu_says_why(tinyhpe):
    assert "no usable GPU" in one_line(tinyhpe("train", "--device", "cuda"))


def test_ctrl_c_leaves_a_checkpoint_says_how_to_resume_and_resuming_finishes(tinyhpe, tmp_path):
    long = [*TRAIN[:-1], "400"]
    process = tinyhpe("train", *long, "--out", "run", start=subprocess.Popen)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "tinyhpe train --resume --out run" in errors
    assert "Traceback" not in errors

    assert "already holds a run" in one_line(tinyhpe("train", "--out", "run"))
    assert "epochs 400, not 2" in one_line(tinyhpe("train", "--resume", "--out", "run", "--epochs", "2"))


def test_doctor_tells_what_works(tinyhpe):
    result = tinyhpe("doctor")
    assert result.returncode == 0
    for word in ("python", "numpy", "cores", "gpu", "cache", "weights"):
        assert word in result.stdout
