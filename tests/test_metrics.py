"""The errors that `tinyhpe evaluate` reports, against a small table computed by hand."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import linregress

from tinyhpe.errors import InputError
from tinyhpe.pose.metrics import RANGES, summary, table

#                    yaw pitch roll
TRUTH = np.array([[  0,   0,   0], [ 30, -29.9,  10], [-60,  10, -45], [ 99,  -5,  20]], np.float32)  # fmt: skip
ERROR = np.array([[  1,   2,  -3], [ -4,   2,   3], [  6,  -4,   0], [-13,   0,   6]], np.float32)  # fmt: skip


def test_the_errors_of_four_heads_are_those_computed_by_hand():
    result = summary(TRUTH + ERROR, TRUTH)
    assert result["n"] == 4
    assert result["mae"] == pytest.approx({"yaw": 6, "pitch": 2, "roll": 3, "mean": 11 / 3}, abs=1e-5)
    assert result["bias"] == pytest.approx({"yaw": -2.5, "pitch": 0, "roll": 1.5, "mean": -1 / 3}, abs=1e-5)
    # |yaw| < 60: the first two alone, 60 itself is out
    assert result["mae_yaw60"] == pytest.approx({"yaw": 2.5, "pitch": 2, "roll": 3, "mean": 2.5}, abs=1e-5)
    assert result["mae_beyond_yaw60"] == pytest.approx(
        {"yaw": 9.5, "pitch": 2, "roll": 3, "mean": 29 / 6}, abs=1e-5
    )
    # each angle by its own size; 30 belongs to 30-60, 60 and 99 to 60-99
    assert result["range_counts"] == {
        "yaw": {"0-30": 1, "30-60": 1, "60-99": 2},
        "pitch": {"0-30": 4, "30-60": 0, "60-99": 0},
        "roll": {"0-30": 3, "30-60": 1, "60-99": 0},
    }
    assert result["ranges"]["yaw"] == pytest.approx({"0-30": 1, "30-60": 4, "60-99": 9.5}, abs=1e-5)
    assert result["ranges"]["pitch"] == {"0-30": pytest.approx(2, abs=1e-5), "30-60": None, "60-99": None}
    assert result["ranges"]["roll"] == {
        "0-30": pytest.approx(4, abs=1e-5),
        "30-60": pytest.approx(0, abs=1e-5),
        "60-99": None,
    }


def test_the_slope_is_that_of_scipys_line_through_true_and_predicted_angles():
    result = summary(0.8 * TRUTH + ERROR, TRUTH)
    for angle, true, error in zip(("yaw", "pitch", "roll"), TRUTH.T, ERROR.T, strict=True):
        assert result["slope"][angle] == pytest.approx(linregress(true, 0.8 * true + error).slope, rel=1e-5)
    assert summary(TRUTH[:3] * 0 + 1, TRUTH[:3] * 0 + 0.1)["slope"] == {"yaw": None, "pitch": None, "roll": None}


def rotations(poses):
    """Each angle turns against the right-hand rule about x (pitch), y (yaw) and z (roll)."""
    yaw, pitch, roll = poses.T
    return Rotation.from_euler("XYZ", -np.stack([pitch, yaw, roll], 1), degrees=True)


def test_the_geodesic_error_is_scipys_angle_between_the_rotations():
    predicted, truth = np.random.default_rng(0).uniform(-99, 99, (2, 200, 3))
    expected = np.rad2deg((rotations(predicted).inv() * rotations(truth)).magnitude()).mean()
    assert summary(predicted, truth)["geodesic"] == pytest.approx(expected)


def test_at_gimbal_lock_the_geodesic_error_sees_that_two_poses_are_the_same():
    result = summary([[90, 40, 10]], [[90, 70, 40]])  # at yaw 90 only pitch - roll counts
    assert result["mae"]["mean"] == pytest.approx(20)
    assert result["geodesic"] == pytest.approx(0, abs=1e-6)


def test_one_head_in_profile_gives_null_and_not_nan_where_there_is_nothing():
    result = summary(np.float32([[80, 0, 0]]), np.float32([[90, 0, 0]]))
    assert result["mae_yaw60"] == {"yaw": None, "pitch": None, "roll": None, "mean": None}
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == result
    assert '"0-30": null' in text


@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i2", "float16", ">f4", list])
def test_errors_of_poses_of_any_kind_of_number_are_those_of_doubles(dtype):
    predicted, truth = np.array([[99, 3, 10], [1, 90, 0]]), np.array([[0, 90, 0], [98, 1, 5]])
    expected = summary(predicted.astype(float), truth.astype(float))
    kind = np.ndarray.tolist if dtype is list else lambda poses: poses.astype(dtype)
    assert summary(kind(predicted), kind(truth)) == expected


def test_poses_that_do_not_belong_together_and_nan_are_refused():
    for predicted, truth in [
        (TRUTH[:1], TRUTH),  # NumPy would repeat it
        (TRUTH[0], TRUTH[0]),
        (TRUTH[:, :2], TRUTH[:, :2]),
        (TRUTH[:0], TRUTH[:0]),
        (1.0, 1.0),
    ]:
        with pytest.raises(InputError, match="of the same images"):
            summary(predicted, truth)
    with pytest.raises(InputError, match="train it again"):
        summary(TRUTH * np.nan, TRUTH)


@pytest.mark.parametrize("n", [1, 122_450])
def test_the_table_is_ascii_and_its_columns_stand_under_their_names(n):
    truth = np.tile(TRUTH[:1] if n == 1 else TRUTH[1:3], (n, 1))[:n]
    result = summary(truth + 123.456, truth)
    text = table(result)
    text.encode("ascii")
    head, *rows = text.split("\n")
    assert head.split() == [str(n), "images;", "degrees", "yaw", "pitch", "roll", "mean"]
    ends = [head.index(angle) + len(angle) for angle in ("yaw", "pitch", "roll", "mean")]
    assert len(rows) == 3 + 2 * len(RANGES) + 3
    for row in rows:
        assert len(row) in ends
        cells = [row[end - 9 : end].strip() for end in ends if end <= len(row)]
        assert all(cell == "-" or float(cell) is not None for cell in cells)
        assert row[: ends[0] - 9].strip()[0].isalpha()


def test_the_table_shows_the_numbers_of_the_summary():
    rows = {line[:24].strip(): line[24:].split() for line in table(summary(TRUTH + ERROR, TRUTH)).split("\n")}
    assert rows["mean absolute error"] == ["6.00", "2.00", "3.00", "3.67"]
    assert rows["where |yaw| < 60"] == ["2.50", "2.00", "3.00", "2.50"]
    assert rows["where |angle| 60-99"] == ["9.50", "-", "-"]
    assert rows["images"] == ["2", "0", "0"]  # the last of three rows of this name
    assert rows["bias"] == ["-2.50", "0.00", "1.50", "-0.33"]
    assert rows["where |yaw| >= 60"] == ["9.50", "2.00", "3.00", "4.83"]
    assert rows["slope"] == [f"{slope:.2f}" for slope in summary(TRUTH + ERROR, TRUTH)["slope"].values()]
    assert rows["geodesic error"][:3] == ["-", "-", "-"]
