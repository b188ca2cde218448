"""Photos made worse: each corruption against what its name says, and the table of them all."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tinyhpe.cli import main
from tinyhpe.datasets.corruptions import CORRUPTIONS
from tinyhpe.datasets.crops import PhotoCrops, crop_photo

SAMPLE = f"300wlp:{Path(__file__).parents[1] / 'data' / 'sample'}"
BOX = (100.0, 50.0, 200.0, 200.0)


def photo(width=450):
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(0, 1, (width, width, 3)), (width / 50, width / 50, 0))
    return Image.fromarray(np.clip(110 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8))


def worse(name, image):
    return np.asarray(CORRUPTIONS[name](image, BOX, np.random.default_rng(1)), float)


@pytest.mark.parametrize(("name", "width", "sigma"), [("blur, sigma 3", 450, 3), ("blur, sigma 6", 150, 2)])
def test_blur_is_scipys_gaussian_of_that_share_of_the_photo(name, width, sigma):
    pixels, blurred = np.asarray(photo(width), float), worse(name, photo(width))
    errors = [
        np.abs(blurred - gaussian_filter(pixels, (s, s, 0), mode="nearest")).mean()
        for s in (sigma, 0.8 * sigma, 1.25 * sigma)
    ]
    assert errors[0] < 1  # Pillow's Gaussian is made of three boxes
    assert errors[0] < 0.5 * min(errors[1:])


@pytest.mark.parametrize("factor", [0.1, 0.25, 2.5])
def test_brightness_is_a_factor_up_to_white(factor):
    wanted = np.minimum(np.asarray(photo(), float) * factor, 255)
    assert np.abs(worse(f"brightness x {factor}", photo()) - wanted).max() <= 1


def test_noise_has_its_standard_deviation_and_down_sampling_leaves_means_of_blocks():
    grey = Image.fromarray(np.full((450, 450, 3), 128, np.uint8))
    assert worse("noise, sigma 40", grey).std() == pytest.approx(40, abs=0.5)
    blocks = np.asarray(photo(), float).reshape(45, 10, 45, 10, 3).mean(axis=(1, 3))
    left = worse("down-sampling x 10", photo())
    inside = (left[4:-5:10, 4:-5:10] + left[5:-4:10, 5:-4:10]) / 2  # about the middles of the blocks
    assert np.abs(inside - blocks).max() < 8


def test_a_quarter_of_the_face_is_hidden_and_nothing_else():
    hidden = np.zeros((2, 2))
    for seed in range(20):
        covered = CORRUPTIONS["a quarter hidden"](photo(), BOX, np.random.default_rng(seed))
        rows, columns = np.nonzero((np.asarray(covered) != np.asarray(photo())).any(axis=2))
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (50, 50)
        hidden[(rows.min() - 100) // 50, (columns.min() - 150) // 50] += (
            1  # the face is 100 wide, from (150, 100) on
        )
    assert (hidden > 0).all()


def test_crops_are_of_the_changed_photo_and_the_same_each_time(tmp_path):
    photo().save(tmp_path / "photo.png")
    change = CORRUPTIONS["noise, sigma 40"]
    crops = PhotoCrops([tmp_path / "photo.png"] * 2, [BOX] * 2, 64, change)
    assert np.array_equal(crops[1], crop_photo(change(photo(), BOX, np.random.default_rng(1)), BOX, 64))
    assert np.array_equal(crops[:], crops[:])
    assert not np.array_equal(crops[0], crops[1])


def test_the_command_prints_a_row_for_each_corruption(capsys):
    assert main(["evaluate", "--data", SAMPLE, "--robustness"]) == 0
    rows = [line[:24].strip() for line in capsys.readouterr().out.splitlines()]
    assert rows == ["degrees", *CORRUPTIONS]
    assert main(["evaluate", "--data", SAMPLE, "--robustness", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert list(results) == list(CORRUPTIONS)
    assert results["blur, sigma 6"]["mae"]["mean"] > results["none"]["mae"]["mean"] > 0


def test_rendered_heads_are_refused_in_one_line(capsys):
    assert main(["evaluate", "--robustness"]) == 2
    assert "give --data aflw2000:PATH" in capsys.readouterr().err
