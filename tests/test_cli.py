"""The command line as a user meets it: in this process where that makes no difference, else in one of its own."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tinyhpe import cli, pictures
from tinyhpe.backend import probe_cuda
from tinyhpe.heads import render_head
from tinyhpe.prediction import HeadPose

TRAIN = ["--heads", "40", "--input-size", "32", "--batch-size", "8", "--epochs", "2"]


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """An empty folder to work in, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def tinyhpe(in_folder, capsys):
    """Run `tinyhpe ARGUMENTS` in the folder, in this process."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=output.out, stderr=output.err)

    return run


@pytest.fixture
def shell(in_folder):
    """Run a line of the shell in the folder, in a process of its own; $tinyhpe is our program."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", "tinyhpe": f"{sys.executable} -m tinyhpe"}

    def run(line, start=subprocess.run):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return start(["bash", "-o", "pipefail", "-c", line], env=environment, **pipes)

    return run


def one_line(result):
    """The one line that a failed command says, progress bars aside."""
    lines = [
        line
        for line in result.stderr.replace("\r", "\n").split("\n")
        if line.strip() and "it/s]" not in line and "head/s]" not in line
    ]
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tinyhpe")
    return lines[0]


@functools.cache
def drawn_head():
    return render_head(33, 80, (10, 0, 0), margin=0.7).image


def photo(path, seed=0, **options):
    """A head, and ten rows of noise above it, so that no two photos are alike."""
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    pixels[10:] = drawn_head()
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_train_evaluate_and_predict_work_from_nothing(shell, tinyhpe, tmp_path):
    trained = shell(f"$tinyhpe train {' '.join(TRAIN)} --out run")
    assert trained.returncode == 0, trained.stderr
    assert "yaw" in trained.stdout
    assert {"model.safetensors", "metrics.json", "loss.png"} <= {p.name for p in (tmp_path / "run").iterdir()}

    evaluated = tinyhpe("evaluate", "run", "--data", f"300wlp:{heads(tinyhpe, tmp_path)}", "--json")
    result = json.loads(evaluated.stdout)
    assert (result["n"], result["left_out"]) == (6, 0)
    assert set(result) >= {"mae", "ranges", "bias", "geodesic", "mae_yaw60"}

    predicted = tinyhpe("predict", photo(tmp_path / "a.png"), "--model", "run", "--box", "10,10,60,70", "--json")
    (entry,) = json.loads(predicted.stdout)
    assert list(entry) == ["image", "yaw", "pitch", "roll", "box"]
    assert entry["box"] == [10, 10, 60, 70]
    assert all(abs(entry[angle]) < 200 for angle in ("yaw", "pitch", "roll"))
    with Image.open(tmp_path / "poses" / "a_pose.jpg") as picture:
        assert (picture.size, picture.format) == ((80, 90), "JPEG")


def heads(tinyhpe, tmp_path):
    """A folder of six rendered heads in 300W-LP's layout."""
    result = tinyhpe("render", 6, "--out", "heads", "--size", "160")
    assert result.returncode == 0, result.stderr
    return tmp_path / "heads"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_whatever_goes_wrong_with_one_photo_is_reported_and_the_others_are_done(
    tinyhpe, tmp_path, monkeypatch, form
):
    folder = tmp_path / "photos"
    names = ["a.png", "drawing.png", "memory.png", "truncated.jpg", "writing.png", "x" * 250 + ".png", "z.png"]
    for seed, name in enumerate(names):
        photo(folder / name, seed)
    (folder / "truncated.jpg").write_bytes((folder / "truncated.jpg").read_bytes()[:500])
    (folder / "notes.txt").write_text("not a photo, not looked at")
    (folder / "folder.jpg").mkdir()
    (folder / ".hidden.jpg").write_bytes(b"not looked at")
    draw, write = HeadPose.draw, pictures.write_picture
    pixel = {name: Image.open(folder / name).getpixel((0, 0)) for name in ("drawing.png", "memory.png")}

    def failing_draw(self, image):
        if image.getpixel((0, 0)) == pixel["drawing.png"]:
            raise ZeroDivisionError("no length")
        if image.getpixel((0, 0)) == pixel["memory.png"]:
            raise MemoryError
        return draw(self, image)

    def failing_write(picture, path, out):
        if path.name == "writing.png":
            raise OSError(28, "No space left on device", "writing_pose.jpg")
        return write(picture, path, out)

    monkeypatch.setattr(HeadPose, "draw", failing_draw)
    monkeypatch.setattr(pictures, "write_picture", failing_write)
    result = tinyhpe("predict", folder, tmp_path / "missing.png", *form)
    assert result.returncode == 2
    assert {p.name for p in (tmp_path / "poses").iterdir()} == {"a_pose.jpg", "z_pose.jpg"}
    problems = result.stderr.strip().split("\n")
    reasons = ["no length", "out of memory", "damaged", "No space", "File name too long", "no such file"]
    for problem, name, reason in zip(problems, [*names[1:-1], "missing.png"], reasons, strict=True):
        assert problem.startswith("tinyhpe: ")
        assert name in problem
        assert reason in problem
    done = json.loads(result.stdout) if form else result.stdout.split("\n")[:-2]
    assert len(done) == 6  # all but the truncated one have a pose


def test_pictures_are_no_photos_and_photos_are_never_overwritten(tinyhpe, tmp_path):
    mine = [photo(tmp_path / "photos" / name, seed) for seed, name in enumerate(["a.png", "a_pose.jpg", "a.jpg"])]
    other = photo(tmp_path / "others" / "a.png", 7)
    before = {path: path.read_bytes() for path in (*mine, other)}
    assert tinyhpe("predict", "photos", "others", "--out", "photos").returncode == 0
    after_one = contents(tmp_path / "photos")
    assert len(after_one) == 3 + 4  # each of the four has a picture of its own

    for path in mine:  # the same photos again, in other words, and changed
        photo(path, 20)
        before[path] = path.read_bytes()
    result = tinyhpe("predict", tmp_path / "others", *sorted((tmp_path / "photos").iterdir()), "--out", "photos")
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "photos").keys() == after_one.keys()
    assert {path: path.read_bytes() for path in before} == before
    changed = {name for name, content in contents(tmp_path / "photos").items() if content != after_one[name]}
    assert len(changed) == 3 + 3  # the pictures of all but the other, which is as it was

    (tmp_path / "photos" / "a_pose_2.jpg").rename(tmp_path / "photos" / "holiday.jpg")  # it remains a picture
    result = tinyhpe("predict", "photos", "--no-draw", "--json")
    assert {Path(entry["image"]).name for entry in json.loads(result.stdout)} == {path.name for path in mine}
    assert "these are pictures" in one_line(tinyhpe("predict", tmp_path / "photos" / "holiday.jpg"))


def test_without_drawing_nothing_is_written(tinyhpe, tmp_path):
    photo(tmp_path / "photos" / "a.png")
    result = tinyhpe("predict", "photos", "--no-draw")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"photos{os.sep}a.png: yaw ")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_many_photos_show_a_bar_and_few_do_not(tinyhpe, tmp_path):
    for number in range(30):
        photo(tmp_path / "photos" / f"{number}.png")
    result = tinyhpe("predict", "photos", "--no-draw", "--json")
    assert len(json.loads(result.stdout)) == 30
    assert "/30 [" in result.stderr
    assert tinyhpe("predict", "photos/1.png", "photos/2.png", "--no-draw").stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_file_names_cannot_write_lines_or_command_the_terminal(tinyhpe, tmp_path):
    names = ["new\nline.png", "title\x1b]0;owned\x07.png", "right\u202eto left.png", os.fsdecode(b"byte\xff.png")]
    for name in (*names, "Grüße 日本.png"):
        photo(tmp_path / "photos" / name)
        photo(tmp_path / "photos" / name).with_suffix(".jpg").write_bytes(b"damaged")
    result = tinyhpe("predict", "photos")
    assert len(result.stdout.split("\n")) == 5 + 1 + 1
    assert len(result.stderr.split("\n")) == 5 + 1
    for text in result.stdout, result.stderr:
        assert "Grüße 日本" in text
        assert "new\\nline" in text
        assert "title\\x1b]0;owned\\x07" in text
        assert "right\\u202eto" in text
        assert "byte\\udcff" in text
    assert len(list((tmp_path / "poses").iterdir())) == 5
    entries = json.loads(tinyhpe("predict", "photos", "--json", "--no-draw").stdout)
    assert {Path(entry["image"]).name for entry in entries} == {*names, "Grüße 日本.png"}


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
        (["predict", "blank.png"], "blank.png: no head was found; give the face as box=x,y,width,height"),
        (["predict", "good.png", "--box", "1,2,3"], "four numbers"),
        (["predict", "good.png", "--box", "500,500,20,20"], "good.png: box 500,500,20,20 lies outside"),
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
        (["train", "--input-size", "7"], "16 to 1024"),
        (["train", "--out", "good.png"], "cannot write"),
        (["train", "--precision", "float16"], "--precision float16 is for GPUs: add --device cuda"),
        (["evaluate", "--precision", "float16"], "float16 is for GPUs"),
        (["predict", "good.png", "--precision", "tf32"], "tf32 is for GPUs"),
        (["bench", "--precision", "float16"], "float16 is for GPUs"),
        (["predict", "good.png", "--box", ""], "four numbers"),
        (["render", "0", "--out", "x"], "0 is not from 1"),
        (["predict"], "PHOTO"),
        (["predict", "good.png", "--magic"], "--magic"),
        (["magic"], "invalid choice: 'magic'"),
        (["a\nb"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_gives_one_clear_line_and_status_2(tinyhpe, tmp_path, arguments, message):
    photo(tmp_path / "good.png")
    Image.new("RGB", (90, 80)).save(tmp_path / "blank.png")
    (tmp_path / "empty").mkdir()
    assert message in one_line(tinyhpe(*arguments))


def test_where_no_head_is_found_the_middle_is_taken_if_asked(tinyhpe, tmp_path):
    Image.new("RGB", (450, 450)).save(tmp_path / "blank.png")
    result = tinyhpe("predict", "blank.png", "--box", "middle", "--json")
    assert json.loads(result.stdout)[0]["box"] == pytest.approx([129.15, 180.9, 191.7, 188.1])


def test_the_heads_that_are_found_are_evaluated(tinyhpe, tmp_path):
    folder = heads(tinyhpe, tmp_path)
    result = json.loads(tinyhpe("evaluate", "--found", "--data", f"300wlp:{folder}", "--json").stdout)
    finder = result["finder"]
    assert finder["heads"] == 6
    assert result["n"] == finder["found"] >= 5
    assert finder["false"] < 3
    assert abs(result["mae"]["mean"] - finder["labelled"]) < 5
    assert (
        f"{finder['found']} of 6 heads were found"
        in tinyhpe("evaluate", "--found", "--data", f"300wlp:{folder}").stdout
    )
    assert "are no photos" in one_line(tinyhpe("evaluate", "--found"))


@pytest.mark.skipif(probe_cuda()[0] is not None, reason="this machine has a GPU")
def test_cuda_without_a_gpu_says_why(tinyhpe):
    assert "no usable GPU" in one_line(tinyhpe("train", "--device", "cuda"))


def test_each_command_tells_its_options(tinyhpe):
    general = tinyhpe("--help")
    for name in cli.COMMANDS:
        result = tinyhpe(name, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert f"usage: tinyhpe {name}" in result.stdout
        assert name in general.stdout
    assert "--no-draw" in tinyhpe("predict", "--help").stdout


def test_ctrl_c_leaves_a_checkpoint_says_how_to_resume_and_resuming_finishes(shell, tinyhpe, tmp_path):
    long = [*TRAIN[:-1], "400"]
    process = shell(f"exec $tinyhpe train {' '.join(long)} --out 'my run'", start=subprocess.Popen)
    deadline = time.monotonic() + 60
    while not (tmp_path / "my run" / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "tinyhpe train --resume --out 'my run'" in errors
    assert "Traceback" not in errors

    assert "already holds a run" in one_line(tinyhpe("train", "--out", "my run"))
    assert "epochs 400, not 2" in one_line(tinyhpe("train", "--resume", "--out", "my run", "--epochs", "2"))


def test_a_reader_that_goes_away_does_not_end_the_work(shell, tmp_path):
    for number in range(3):
        photo(tmp_path / "photos" / f"{number}.png")
    result = shell("$tinyhpe predict photos | true")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(list((tmp_path / "poses").iterdir())) == 3


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_trouble(shell, tmp_path, closed):
    for number in range(cli.FEW_PHOTOS):  # so many that they have a progress bar
        photo(tmp_path / "photos" / f"{number}.png")
    for command in "doctor", "predict photos":
        result = shell(f"$tinyhpe {command} {closed}")
        assert (result.returncode, "Traceback" in result.stderr) == (0, False)
    assert len(list((tmp_path / "poses").iterdir())) == cli.FEW_PHOTOS


def test_doctor_tells_what_works_also_without_a_home(tinyhpe, monkeypatch):
    def words():
        result = tinyhpe("doctor")
        assert (result.returncode, result.stderr) == (0, "")
        return {line.split()[0] for line in result.stdout.strip().split("\n")}

    here = words()
    assert here == {"tinyhpe", "python", "numpy", "blas", "cores", "gpu", "kernels", "cache", "weights"}

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TINYHPE_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    assert words() == here
