"""tinyhpe.evaluate: the errors, and what they leave out."""

import numpy as np
import pytest

import tinyhpe
from tinyhpe import methods
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.errors import InputError

POSES = np.float32([[10, 0, 0], [-40, 20, 0], [70, 0, -35], [0, 0, 0]])


class SomeUnreadable:
    """Images of which some cannot be read; a pixel says which one it is."""

    def __init__(self, unreadable):
        self.unreadable = unreadable

    def __getitem__(self, place):
        if place in self.unreadable:
            raise InputError(f"photo {place} is damaged")
        return np.full((43, 43, 3), place, np.uint8)


@pytest.fixture
def model():
    """One whose answer for image i is the pose of image i, and 1, 2, 3 degrees more."""
    model = methods.build("direct", input_size=32)
    model.predict = lambda images: POSES[images[:, 0, 0, 0]] + np.float32([1, 2, 3])
    return model


def test_the_summary_counts_what_was_left_out_and_names_what_could_not_be_read(model):
    crops = HeadCrops(SomeUnreadable({1}), POSES, list("abcd"), 7)
    result = tinyhpe.evaluate(crops, model, progress=False)
    assert (result["n"], result["left_out"], result["problems"]) == (3, 7, ["photo 1 is damaged"])
    assert result["mae"] == pytest.approx({"yaw": 1, "pitch": 2, "roll": 3, "mean": 2})
    assert result["range_counts"]["yaw"] == {"0-30": 2, "30-60": 0, "60-99": 1}
    assert result["mae_yaw60"]["mean"] == pytest.approx(2)


def test_a_data_set_that_nobody_can_read_is_refused(model):
    with pytest.raises(InputError, match="not one of 4 photos could be read: photo 0 is damaged"):
        tinyhpe.evaluate(HeadCrops(SomeUnreadable({0, 1, 2, 3}), POSES, list("abcd")), model, progress=False)
    with pytest.raises(InputError, match="not one of 0 photos"):
        tinyhpe.evaluate(HeadCrops(SomeUnreadable(()), POSES[:0], []), model, progress=False)


def test_damaged_weights_give_one_sentence_and_no_nan(model):
    model.predict = lambda images: np.full((len(images), 3), np.nan)
    with pytest.raises(InputError, match="weights are damaged"):
        tinyhpe.evaluate(HeadCrops(SomeUnreadable(()), POSES, list("abcd")), model, progress=False)
