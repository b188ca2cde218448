"""The loader: the same batches to the bit for any number of workers, errors that arrive, nothing left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyhpe.datasets.crops import HeadCrops, PhotoCrops, StoredImages
from tinyhpe.datasets.loader import Loader, default_workers, images_per_second
from tinyhpe.datasets.processes import deaf_to_interrupts
from tinyhpe.errors import InputError

SIDE, INPUT, BATCH, COUNT = 20, 16, 4, 26


def pixels():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)


def stored(folder):
    np.save(folder / "images.npy", pixels())
    return StoredImages("images.npy")


def photos(folder):
    for number, image in enumerate(pixels()):
        Image.fromarray(image).save(folder / f"{number}.png")
    return PhotoCrops([f"{number}.png" for number in range(COUNT)], [(0, 0, SIDE, SIDE)] * COUNT, SIDE)


def loader(images, balanced=True):
    poses = np.random.default_rng(1).uniform(-60, 60, (COUNT, 3)).astype(np.float32)
    crops = HeadCrops(images, poses, [str(number) for number in range(COUNT)])
    return Loader(crops.choose(np.arange(COUNT)[::-1]), INPUT, BATCH, balanced, seed=5)


def bits(batches):
    """The batches as bytes; each is read late, after the workers have had time to go on."""
    result = []
    for batch in batches:
        time.sleep(0.01)
        result.append(tuple(array.tobytes() for array in batch))
    return result


@pytest.mark.parametrize("source", [stored, photos])
def test_the_batches_have_the_same_bits_for_any_number_of_workers_and_any_start(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers, too, find relative paths
    given = loader(source(tmp_path))
    whole = bits(given.batches(0, 0, epochs=3, workers=0))
    assert len(whole) == len(set(whole)) == 3 * (COUNT // BATCH)
    assert bits(given.batches(0, 0, epochs=3, workers=1)) == whole
    assert bits(given.batches(1, 4, epochs=3, workers=3)) == whole[len(given) + 4 :]
    assert multiprocessing.active_children() == []


def test_a_batch_holds_the_images_of_its_order_with_their_poses_and_where_to_cut_them(tmp_path, monkeypatch):
    for chance in ("FLIP", "BRIGHTNESS", "BLUR", "MOTION_BLUR", "NOISE"):
        monkeypatch.setattr(f"tinyhpe.datasets.augment.{chance}_CHANCE", 0)
    monkeypatch.chdir(tmp_path)
    given, corners = loader(stored(tmp_path)), []
    assert given.poses.dtype == np.float32
    for indices, batch in zip(given.order(0), given.batches(0, 0, epochs=1, workers=0), strict=True):
        images, variations, poses = batch
        np.testing.assert_array_equal(images, pixels()[COUNT - 1 - indices])  # loader() has turned the order round
        np.testing.assert_array_equal(poses, given.poses[indices])
        assert [array.dtype for array in batch] == [np.uint8, np.float32, np.float32]
        corners.append(variations[:, :2])
    assert np.unique(corners).tolist() == list(range(SIDE - INPUT + 1))


def test_each_batch_has_randomness_of_its_own():
    same = np.broadcast_to(pixels()[:1], pixels().shape)
    given = loader(same)
    other = Loader(HeadCrops(given.images, given.poses, []), INPUT, BATCH, True, seed=6)
    made = [given.make(0, 0), given.make(0, 1), given.make(1, 0), other.make(0, 0)]
    assert len({variations.tobytes() for _, variations, _ in made}) == 4
    assert bits([given.make(0, 0)]) == bits(made[:1])


def test_an_epoch_visits_every_image_once_unless_balanced():
    poses = np.zeros((64, 3), np.float32)
    poses[:4, 0] = 80  # rare
    crops = HeadCrops(np.zeros((64, 9, 9, 3), np.uint8), poses, [""] * 64)
    plain = Loader(crops, 8, 8, balanced=False, seed=3)
    assert sorted(plain.order(0).ravel()) == list(range(64))
    assert (plain.order(1) != plain.order(0)).any()
    balanced = Loader(crops, 8, 8, balanced=True, seed=0)
    share_of_rare = np.mean([(balanced.order(epoch) < 4).mean() for epoch in range(50)])
    assert share_of_rare > 2 * 4 / 64


def test_a_worker_is_sent_the_path_of_the_images_not_the_images(tmp_path):
    np.save(tmp_path / "images.npy", pixels())
    sent = multiprocessing.reduction.ForkingPickler.dumps(StoredImages(tmp_path / "images.npy"))
    assert len(sent) < 1000 < pixels().nbytes
    np.testing.assert_array_equal(multiprocessing.reduction.ForkingPickler.loads(sent)[5:9], pixels()[5:9])


def test_the_error_of_a_broken_photo_arrives_with_its_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = loader(photos(tmp_path), balanced=False)
    (tmp_path / "7.png").write_bytes(b"no photo")
    with pytest.raises(InputError, match=r"7\.png: not an image"):
        bits(given.batches(0, 0, epochs=2, workers=2))
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_is_an_error_and_does_not_hang(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = loader(stored(tmp_path)).batches(0, 0, epochs=10**6, workers=2)
    next(batches)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(InputError, match="a worker process died"):
        bits(batches)
    assert multiprocessing.active_children() == []


def test_whoever_stops_early_leaves_no_process_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = loader(stored(tmp_path)).batches(0, 0, epochs=10**6, workers=2)
    next(batches)
    crew = multiprocessing.active_children()
    assert len(crew) == 2
    batches.close()
    assert multiprocessing.active_children() == []
    assert [process.exitcode for process in crew] == [0, 0]  # in good order, not killed after a wait


KILLED_PARENT = """
import multiprocessing, os, signal
from tests.test_loader import loader, pixels
if __name__ == "__main__":
    batches = loader(pixels()).batches(0, 0, 10**6, 2)
    next(batches)
    print(os.getpid(), *[child.pid for child in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for what is left in /proc and /dev/shm")
def test_workers_end_when_their_parent_is_killed_and_no_shared_memory_stays(tmp_path):
    (tmp_path / "script.py").write_text(KILLED_PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, tmp_path / "script.py"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    parent, *workers = ran.stdout.split() or pytest.fail(ran.stderr)
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, workers))
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"pym-{parent}-")]  # CPython's name


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows hands no ignored signals down")
def test_ctrl_c_does_not_reach_a_worker_from_its_first_moment():
    before = signal.getsignal(signal.SIGINT)
    with deaf_to_interrupts():
        worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0.2,))
        worker.start()
    assert signal.getsignal(signal.SIGINT) is before
    os.kill(worker.pid, signal.SIGINT)
    worker.join()
    assert worker.exitcode == 0


def test_workers_leave_a_core_to_the_training(monkeypatch):
    for cores, cpu, cuda in (1, 0, 0), (2, 1, 1), (4, 3, 3), (64, 4, 8):
        monkeypatch.setattr("tinyhpe.datasets.loader.cores", lambda cores=cores: cores)
        assert (default_workers("cpu"), default_workers("cuda")) == (cpu, cuda)


def test_images_per_second_counts_what_a_slow_source_gives():
    class Slow:
        def __getitem__(self, indices):
            time.sleep(0.02)
            return pixels()[indices]

    assert images_per_second(loader(Slow()), workers=0, seconds=0.5) == pytest.approx(BATCH / 0.021, rel=0.15)
