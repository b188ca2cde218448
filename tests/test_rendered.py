"""Rendered heads as a data set: reproducible, cached, complete or absent, and readable as 300W-LP."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from tinyhpe.datasets import RENDERED, open_dataset, rendered
from tinyhpe.datasets.rendered import FOLDER_MARGIN
from tinyhpe.datasets.w300lp import load_300wlp
from tinyhpe.errors import InputError
from tinyhpe.files import cache_folder
from tinyhpe.heads import render_head


def test_image_i_of_a_seed_is_the_same_whatever_the_count_and_the_workers(tmp_path):
    short = rendered.load(3, 32, seed=7, cache=tmp_path, workers=1, progress=False)
    long = rendered.load(rendered.CHUNK + 2, 32, seed=7, cache=tmp_path, workers=2, progress=False)
    assert np.array_equal(long.images[:3], short.images)
    assert np.array_equal(long.poses[:3], short.poses)
    last = render_head((7, rendered.CHUNK + 1), 32)
    assert np.array_equal(long.images[-1], last.image)
    assert np.array_equal(long.poses[-1], last.pose)
    assert len(long) == len(long.names) == rendered.CHUNK + 2


def test_the_poses_of_fig_4_are_a_data_set_of_their_own_with_the_same_people(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path))
    assert set(RENDERED) == set(rendered.POSES)
    usual, _ = open_dataset("rendered", 32, 3, 7)
    fig4, _ = open_dataset("rendered-fig4", 32, 2, 7)
    assert np.array_equal(usual.images[2], render_head((7, 2), 32).image)
    assert np.array_equal(fig4.images[1], render_head((7, 1), 32, pose=fig4.poses[1]).image)
    assert np.abs(fig4.poses - usual.poses[:2]).max() > 1
    assert np.array_equal(open_dataset("rendered-fig4", 32, 3, 7)[0].poses[:2], fig4.poses)


def test_a_script_that_its_workers_would_run_again_ends_with_the_reason(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from tinyhpe.datasets import rendered\n"
        f"rendered.load({rendered.CHUNK + 1}, 16, cache={str(tmp_path)!r}, workers=2, progress=False)\n"
    )
    finished = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "InputError: a worker process died" in finished.stderr.splitlines()[-1]


def test_a_program_from_standard_input_hears_the_true_reason(tmp_path):
    program = (
        "from tinyhpe.datasets import rendered\n"
        f"rendered.load({rendered.CHUNK + 1}, 16, cache={str(tmp_path)!r}, workers=2, progress=False)\n"
    )
    finished = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60)
    message = finished.stderr.splitlines()[-1]
    assert "<stdin> is no file: save the program in a file" in message
    assert "TINYHPE_CACHE" not in message


def test_the_second_call_reads_the_file(tmp_path, monkeypatch):
    first = rendered.load(2, 32, cache=tmp_path, progress=False)
    monkeypatch.setattr(rendered, "render_head", None)
    again = rendered.load(2, 32, cache=tmp_path, progress=False)
    assert isinstance(again.images[:], np.memmap)
    assert np.array_equal(first.images[np.array([1, 0])], again.images[np.array([1, 0])])


def test_an_interrupted_rendering_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(seed, size, **settings):
        if seed[1] == 1:
            raise KeyboardInterrupt
        return render_head(seed, size, **settings)

    monkeypatch.setattr(rendered, "render_head", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rendered.load(2, 32, cache=tmp_path, progress=False)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="TINYHPE_CACHE names another folder") as caught:
        rendered.load(2, 32, progress=False)
    assert "\n" not in str(caught.value)


def no_home():
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("trouble", ["no home", "not writable", "not there and not writable", "none"])
def test_who_has_no_home_that_can_be_written_gets_a_temporary_folder(trouble, tmp_path, monkeypatch):
    home = tmp_path / "home" / "of" / "somebody"
    (home if trouble == "not writable" else tmp_path / "home").mkdir(parents=True)
    monkeypatch.delenv("TINYHPE_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", no_home if trouble == "no home" else lambda: home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    if trouble != "none":  # root, who may run the tests, can write everywhere
        monkeypatch.setattr("os.access", lambda path, mode: not str(path).startswith(str(tmp_path / "home")))
    expected = home / ".cache" / "tinyhpe" if trouble == "none" else tmp_path / "temporary" / "tinyhpe-cache"
    assert cache_folder() == expected
    assert rendered.load(1, 16, progress=False).images[:].shape == (1, 16, 16, 3)
    assert list(expected.rglob("*.npy"))
    monkeypatch.setenv("TINYHPE_CACHE", "named")
    assert cache_folder() == Path("named")


@pytest.mark.parametrize(("count", "size", "seed"), [(0, 64, 0), (1, 2, 0), (1, 64, -1)])
def test_senseless_numbers_are_refused(count, size, seed):
    with pytest.raises(InputError):
        rendered.load(count, size, seed)


def test_a_folder_of_heads_reads_as_300w_lp(tmp_path):
    rendered.write_folder(2, tmp_path, size=96, seed=3, workers=1, progress=False)
    head = render_head((3, 1), 96, margin=rendered.FOLDER_MARGIN)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"head0000{i}{end}" for i in (0, 1) for end in (".jpg", ".mat", "_depth.png")
    ]
    labels = loadmat(tmp_path / "head00001.mat")
    pitch, yaw, roll = np.rad2deg(labels["Pose_Para"][0, :3])
    assert np.allclose((yaw, pitch, roll), head.pose, atol=1e-4)
    assert labels["Pose_Para"].shape == (1, 7)
    assert np.allclose(labels["pt2d"], head.landmarks.T)
    assert labels["pt2d"].min() > 0.2 * 96, "room for the crop"
    assert labels["pt2d"].max() < 0.8 * 96, "room for the crop"
    photo = np.asarray(Image.open(tmp_path / "head00001.jpg")).astype(float)
    assert np.abs(photo - head.image).mean() < 8
    depth = rendered.read_depth(tmp_path / "head00001_depth.png")
    assert np.array_equal(np.isnan(depth), np.isnan(head.depth))
    assert np.nanmax(np.abs(depth - head.depth)) < 2e-4


def test_the_sample_in_the_repository_is_what_the_renderer_makes_now():
    folder = Path(__file__).parents[1] / "data" / "sample"
    crops, problems = load_300wlp(folder, 64, progress=False)
    assert problems == []
    assert len(crops) >= 24
    assert sum(file.stat().st_size for file in folder.iterdir()) < 500_000
    for index in (0, 11, 23):
        head = render_head((0, index), 112, margin=FOLDER_MARGIN)
        np.testing.assert_allclose(crops.poses[index], head.pose, atol=1e-3)
        photo = np.asarray(Image.open(folder / f"head{index:05d}.jpg")).astype(float)
        assert np.abs(photo - head.image).mean() < 6  # of 255: the loss of JPEG
