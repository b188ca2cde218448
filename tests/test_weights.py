"""The weights in the package: small, ours, and better than nothing on real photos."""

import os
from pathlib import Path

import numpy as np
import pytest

from tinyhpe import methods
from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.crops import crop_size
from tinyhpe.evaluation import evaluate

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("TINYHPE_REAL", ROOT.parent / "shared" / "real"))


@pytest.fixture(scope="module")
def model():
    return methods.load_model()


def mean_error(model, spec):
    result = evaluate(spec, model, progress=False)
    assert result["problems"] == []
    return result


def test_the_shipped_file_is_small_and_says_how_it_was_trained(model):
    description = model.description
    assert methods.SHIPPED_WEIGHTS.stat().st_size < 3_000_000
    assert description["method"] == "siamese-rotation"
    assert description["data"] == "rendered"
    card = (methods.SHIPPED_WEIGHTS.parent / "README.md").read_text()
    assert f"--heads {description['heads']} --epochs {description['epochs']}" in card
    assert sum(p.size for p in model.parameters()) < 1_400_000


def test_it_reads_the_poses_of_the_rendered_sample(model):
    result = mean_error(model, f"300wlp:{ROOT / 'data' / 'sample'}")
    assert result["mae"]["mean"] < 8
    assert result["geodesic"] < 15


@pytest.mark.skipif(not (REAL / "AFLW2000").is_dir(), reason=f"needs AFLW2000 in {REAL} (TINYHPE_REAL names it)")
def test_it_reads_the_poses_of_real_photos_much_better_than_always_answering_zero(model):
    result = mean_error(model, f"aflw2000:{REAL / 'AFLW2000'}")
    crops, _ = open_dataset(f"aflw2000:{REAL / 'AFLW2000'}", 64, 0, 0)
    zero = np.abs(crops.poses).mean(axis=0)
    assert result["mae"]["mean"] < 0.55 * zero.mean()
    for angle, error_of_zero in zip(("yaw", "pitch", "roll"), zero, strict=True):
        assert result["mae"][angle] < 0.85 * error_of_zero


@pytest.mark.skipif(
    not (REAL / "Pointing04").is_dir(), reason=f"needs Pointing04 in {REAL} (TINYHPE_REAL names it)"
)
def test_on_pointing04_near_the_front_it_is_clearly_better_than_zero(model):
    crops, _ = open_dataset(f"pointing04:{REAL / 'Pointing04'}", crop_size(model.input_size), 0, 0)
    near = np.flatnonzero((np.abs(crops.poses[:, 0]) <= 60) & (np.abs(crops.poses[:, 1]) <= 30))[::4]
    error = np.abs(model.predict(crops.images[near]) - crops.poses[near])
    assert error[:, :2].mean() < 0.7 * np.abs(crops.poses[near, :2]).mean()
