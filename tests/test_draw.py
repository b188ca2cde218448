"""Axes on photos: HopeNet's formulas, the signs of the angles as people see them, and the pixels drawn."""

import numpy as np
import pytest
from PIL import Image

from tinyhpe.pose.angles import euler_to_matrix
from tinyhpe.pose.draw import axis_ends, draw_axes

RED, GREEN, BLUE = range(3)


def hopenet(pose):
    """HopeNet's draw_axis as it is written there: x to the right and y down in the image, yaw negated first."""
    yaw, pitch, roll = np.deg2rad(pose)
    yaw = -yaw
    cos, sin = np.cos, np.sin
    return [
        [cos(yaw) * cos(roll), cos(pitch) * sin(roll) + cos(roll) * sin(pitch) * sin(yaw)],
        [-cos(yaw) * sin(roll), cos(pitch) * cos(roll) - sin(pitch) * sin(yaw) * sin(roll)],
        [sin(yaw), -cos(yaw) * sin(pitch)],
    ]


def test_the_ends_of_the_axes_are_hopenets():
    for pose in np.random.default_rng(0).uniform(-99, 99, (100, 3)):
        assert np.allclose(axis_ends(pose), hopenet(pose), atol=1e-12)


def test_the_blue_axis_is_where_the_rotation_takes_the_line_of_sight():
    for pose in np.random.default_rng(1).uniform(-99, 99, (20, 3)):
        x, y, _ = euler_to_matrix(pose) @ [0, 0, 1]
        assert np.allclose(axis_ends(pose)[BLUE], (x, -y))


def test_the_signs_are_those_that_one_sees():
    """Yaw turns the nose to the image's left, pitch lifts it, roll turns the head clockwise."""
    right, down = np.eye(2)
    assert np.allclose(axis_ends([0, 0, 0]), [right, down, 0 * right])
    assert axis_ends([30, 0, 0])[BLUE] @ right == pytest.approx(-0.5)
    assert axis_ends([0, 30, 0])[BLUE] @ down == pytest.approx(-0.5)
    assert axis_ends([0, 0, 30])[RED] @ down == pytest.approx(0.5)
    assert axis_ends([0, 0, 30])[GREEN] @ right == pytest.approx(-0.5)


def drawn(pose, centre=(100, 80), length=60, size=(200, 160), colour=(128, 128, 128)):
    """The pixels that differ from the photo, and by how much, (H, W, 3)."""
    photo = Image.new("RGB", size, colour)
    picture = draw_axes(photo, pose, centre, length)
    assert (picture.mode, picture.size) == ("RGB", size)
    assert photo.getcolors() == [(size[0] * size[1], colour)]  # a copy: the photo is as it was
    return np.asarray(picture).astype(int) - colour


@pytest.mark.parametrize("pose", [(50, 0, 0), (0, 50, 0), (20, -30, 40), (-40, 20, -60)])
def test_each_axis_ends_in_a_dot_of_its_colour_where_the_formula_says(pose):
    change = drawn(pose)
    for axis, (dx, dy) in enumerate(hopenet(pose)):
        if np.hypot(dx, dy) > 0.3:
            x, y = round(100 + 60 * dx), round(80 + 60 * dy)
            assert change[y, x].argmax() == axis
            assert change[y, x, axis] > 60


def test_poses_places_and_lengths_of_short_integers_draw_the_same():
    expected = drawn((20, 30, 10), (100, 80), 60)
    integers = np.array([20, 30, 10], np.uint8), np.array([100, 80], np.uint8), np.uint8(60)
    assert (drawn(*integers) == expected).all()


@pytest.mark.parametrize("scale", [1, 12])
def test_nothing_is_drawn_far_from_the_axes_and_lines_grow_with_them(scale):
    change = drawn((20, 30, 10), (100 * scale, 80 * scale), 60 * scale, (200 * scale, 160 * scale))
    y, x = np.nonzero(change.any(-1))
    distance = np.hypot(x - 100 * scale, y - 80 * scale)
    assert distance.max() < 60 * scale * 1.2
    assert 0.04 < len(x) / (60 * scale) ** 2 < 0.4


def test_axes_that_begin_near_a_border_or_outside_are_cut_there_and_stay_in_place():
    whole = drawn((30, 20, 10), (100, 80))
    assert np.abs(drawn((30, 20, 10), (20, 10))[:60, :80] - whole[70:130, 80:160]).max() <= 10
    assert np.abs(drawn((30, 20, 10), (-10, 80))[:, :60] - whole[:, 110:170]).max() <= 10
    assert not drawn((30, 20, 10), (-500, 80)).any()


def test_a_large_photo_costs_no_layer_of_many_times_its_size(monkeypatch):
    sizes, new = [], Image.new
    photo = Image.new("RGB", (4000, 3000))
    monkeypatch.setattr(Image, "new", lambda mode, size, *rest: sizes.append(size) or new(mode, size, *rest))
    draw_axes(photo, (10, 10, 10), (2000, 1500), 1500)
    draw_axes(photo, (10, 10, 10), (2000, 1500), 300)
    assert max(width * height for width, height in sizes) <= 4000 * 3000
