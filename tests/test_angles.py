"""Rotations against SciPy, and rank levels against the paper's histograms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.test_tensor import pretend_gpu
from tinyhpe.errors import InputError
from tinyhpe.pose.angles import euler_to_matrix, geodesic, matrix_to_euler, matrix_to_view, view_to_matrix
from tinyhpe.pose.levels import (
    LEVELS,
    angle_to_level,
    balanced_weights,
    level_to_angle,
)
from tinyhpe.pose.sampling import fig4_poses

RIGHT, UP, TO_CAMERA = np.eye(3)
angle = st.floats(-89, 89)


def random_poses(count):
    return np.random.default_rng(0).uniform(-89, 89, (count, 3))


def test_yaw_to_the_positive_turns_the_nose_to_the_left_of_the_image():
    assert np.allclose(euler_to_matrix([90, 0, 0]) @ TO_CAMERA, -RIGHT)


def test_pitch_to_the_positive_looks_up():
    assert np.allclose(euler_to_matrix([0, 90, 0]) @ TO_CAMERA, UP)


def test_roll_to_the_positive_lowers_the_right_end_of_the_eye_line():
    assert np.allclose(euler_to_matrix([0, 0, 90]) @ RIGHT, -UP)


def test_the_matrix_is_pitch_after_yaw_after_roll_about_fixed_axes():
    # Each of our angles turns against the right-hand rule about its axis, hence the signs.
    poses = random_poses(200)
    about_axes = [
        Rotation.from_rotvec(-np.deg2rad(poses[:, [i]]) * axis)
        for i, axis in ((1, RIGHT), (0, UP), (2, TO_CAMERA))
    ]
    expected = (about_axes[0] * about_axes[1] * about_axes[2]).as_matrix()
    assert np.allclose(euler_to_matrix(poses), expected, atol=1e-12)


def test_a_view_is_tilt_after_elevation_after_turn():
    views = random_poses(200)
    about_axes = [
        Rotation.from_rotvec(-np.deg2rad(views[:, [i]]) * axis)
        for i, axis in ((2, TO_CAMERA), (1, RIGHT), (0, UP))
    ]
    expected = (about_axes[0] * about_axes[1] * about_axes[2]).as_matrix()
    assert np.allclose(view_to_matrix(views), expected, atol=1e-12)
    assert np.allclose(matrix_to_view(expected), views, atol=1e-9)


def test_a_profile_that_nods_keeps_its_view_while_its_angles_jump():
    straight, nodding = matrix_to_euler(view_to_matrix([[80, 0, 0], [80, 0, 15]]))
    assert straight == pytest.approx([80, 0, 0], abs=1e-9)
    assert nodding == pytest.approx([72, 56, 57], abs=0.5)
    assert geodesic(straight, nodding) == pytest.approx(15)


@given(angle, angle, angle)
def test_a_pose_survives_the_way_to_the_matrix_and_back(yaw, pitch, roll):
    assert np.allclose(matrix_to_euler(euler_to_matrix([yaw, pitch, roll])), [yaw, pitch, roll], atol=1e-6)


@pytest.mark.parametrize(("dtype", "noise"), [(np.float32, 1e-6), (np.float64, 1e-15)])
def test_angles_near_yaw_90_hold_all_that_a_matrix_of_their_precision_holds(dtype, noise):
    rng = np.random.default_rng(4)
    poses = random_poses(2000)
    poses[:, 0] = np.sign(poses[:, 0]) * (90 - 10.0 ** rng.uniform(-7, 0, 2000))
    exact = euler_to_matrix(poses)
    rounded = exact.astype(dtype)
    found = matrix_to_euler(rounded)
    assert found.dtype == dtype
    assert np.abs(found[:, 0] - poses[:, 0]).max() < np.rad2deg(noise)  # the arc sine: 0.02 degrees in float32
    # what another computation with its own rounding leaves in the last digit costs a digit, not half of them
    for matrices in (rounded, (exact + rng.uniform(-noise, noise, exact.shape)).astype(dtype)):
        assert np.abs(euler_to_matrix(matrix_to_euler(matrices).astype(float)) - exact).max() < 4 * noise


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", ">i2", "float16", ">f8", "float32", object])
def test_poses_and_matrices_of_any_kind_of_number_give_the_same_angles(dtype):
    pose, other, turn = [[120, 40, 100]], [[3, 100, 90]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    expected = euler_to_matrix(np.array(pose, float)), geodesic(np.array(pose, float), np.array(other, float))
    if dtype is object:  # lists
        found = euler_to_matrix(pose), geodesic(pose, other), matrix_to_euler(turn)
    else:
        pose, other, turn = (np.array(numbers).astype(dtype) for numbers in (pose, other, turn))
        found = euler_to_matrix(pose), geodesic(pose, other), matrix_to_euler(turn)
    assert found[0] == pytest.approx(expected[0], abs=2e-7)
    assert found[1] == pytest.approx(expected[1], abs=2e-5)
    assert euler_to_matrix(found[2]) == pytest.approx(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), abs=2e-7)


def test_geodesic_is_the_angle_of_the_rotation_between_two_poses():
    a, b = random_poses(300).reshape(2, 150, 3)
    between = Rotation.from_matrix(euler_to_matrix(a)).inv() * Rotation.from_matrix(euler_to_matrix(b))
    assert np.allclose(geodesic(a, b), np.rad2deg(between.magnitude()), atol=1e-9)


def test_geodesic_keeps_its_digits_near_zero_and_near_a_half_turn():
    assert geodesic([0, 0, 0], [1e-7, 0, 0]) == pytest.approx(1e-7, rel=1e-6)
    assert 180 - geodesic([0, 0, 0], [180 - 1e-6, 0, 0]) == pytest.approx(1e-6, rel=1e-6)


def test_levels_are_numbered_as_in_hopenet():
    angles = np.random.default_rng(1).uniform(-99, 98.99, 1000)
    hopenet = np.digitize(angles, np.arange(-99, 102, 3)) - 1
    assert np.array_equal(angle_to_level(angles), hopenet)


def test_every_level_starts_at_its_coarse_angle_and_the_last_one_includes_99():
    levels = np.arange(LEVELS)
    assert LEVELS == 66
    assert np.array_equal(angle_to_level(level_to_angle(levels)), levels)
    assert angle_to_level(np.array(99.0)) == 65


@pytest.mark.parametrize(
    "bad",
    [
        np.array([0, 99.01]),
        np.array([[0, -120], [np.nan, 0]]),
        np.float64(150.0),
        np.array(-150.0)[()],
        np.array(-150.0),
        [0, 150.0],
        -150,
        np.array([-128, 0], np.int8),
        np.array([157, 0], np.uint8),
        np.array([0, 150], ">i2"),
        np.array([99.1], np.float16),
        float("inf"),
    ],
)
def test_a_label_beyond_99_degrees_is_refused_with_a_way_out(bad):
    with pytest.raises(InputError, match="leave out"):
        angle_to_level(bad)


@pytest.mark.parametrize("dtype", ["int8", "int16", ">i4", "float16", ">f8", "uint8", "uint64"])
def test_levels_and_angles_of_any_kind_of_number_are_those_of_doubles(dtype):
    angles = np.arange(0 if dtype.startswith("u") else -99, 100)
    expected = angle_to_level(angles.astype(float))
    assert expected.dtype == np.int64
    for numbers in (angles.astype(dtype), angles.astype(dtype)[::-1][::-1], angles.tolist()):
        assert np.array_equal(angle_to_level(numbers), expected)
    assert [angle_to_level(number) for number in angles.astype(dtype)] == expected.tolist()
    levels = np.arange(LEVELS)
    for numbers in (levels.astype(dtype), levels.tolist()):
        assert np.array_equal(level_to_angle(numbers), -99.0 + 3 * levels)
    poses = np.stack([angles, angles[::-1], 0 * angles], axis=1)
    assert np.array_equal(balanced_weights(poses.astype(dtype)), balanced_weights(poses.astype(float)))


def test_arrays_of_no_numbers_or_with_hidden_ones_are_refused():
    for wrong in (np.array(["12"]), np.ma.masked_array([1.0, 150.0], [False, True])):
        with pytest.raises(TypeError, match="array"):
            angle_to_level(wrong)


def test_angles_on_a_gpu_get_their_levels_without_being_looked_at(monkeypatch):
    angles = np.float32([[-99, 0, 98.9], [99, 2.9, 3]])
    with pretend_gpu(monkeypatch) as cupy:
        monkeypatch.setattr(cupy.ndarray, "__bool__", None, raising=False)
        monkeypatch.setattr(cupy.ndarray, "get", None)
        levels = angle_to_level(cupy.asarray(angles))
        coarse = level_to_angle(levels)
    assert levels.on_device.tolist() == [[0, 33, 65], [65, 33, 34]]
    assert coarse.on_device.tolist() == [[-99, 0, 96], [96, 0, 3]]


def test_balanced_weights_prefer_rare_poses_but_none_by_much_more_than_ten_times():
    poses = fig4_poses(np.random.default_rng(3), 20_000)
    weights = balanced_weights(poses)
    steep = np.abs(poses[:, 1]) > 30
    assert weights.sum() == pytest.approx(1)
    assert weights.max() * len(poses) < 12
    assert weights[steep].mean() > 2 * weights[~steep].mean()
