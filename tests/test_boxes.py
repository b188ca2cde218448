"""Boxes against boxes computed by hand, and against HopeNet's own four lines."""

import numpy as np
import pytest

from tinyhpe.errors import InputError
from tinyhpe.pose.boxes import (
    check_box,
    default_box,
    landmark_box,
    parse_box,
    square,
    testing_box,
    training_box,
)

testing_box.__test__ = False  # its name is no test's


def hopenet(x_min, y_min, x_max, y_max, left, top, right, bottom):
    """HopeNet's four lines: each uses the sides that the lines above have moved."""
    x_min -= left * (x_max - x_min)
    y_min -= top * (y_max - y_min)
    x_max += right * (x_max - x_min)
    y_max += bottom * (y_max - y_min)
    return x_min, y_min, x_max - x_min, y_max - y_min


def test_the_boxes_of_training_and_testing_are_hopenets():
    # by hand, 100x50 at (200, 300), k = 0.2: testing: left 40, top 20, right 0.4 * 140 = 56, bottom 0.12 * 70
    assert testing_box((200, 300, 100, 50)) == pytest.approx((160, 280, 196, 78.4))
    # training, k = 0.3: left 18, top 30, right 0.18 * 118 = 21.24, bottom 0.18 * 80 = 14.4
    assert training_box((200, 300, 100, 50), 0.3) == pytest.approx((182, 270, 139.24, 94.4))
    for k in (0.2, 0.4):
        expected = hopenet(10, 20, 40, 70, 0.6 * k, 2 * k, 0.6 * k, 0.6 * k)
        assert training_box((10, 20, 30, 50), k) == pytest.approx(expected)


def test_the_landmark_box_is_tight_in_x_and_y_and_square_keeps_centre_and_longer_side():
    landmarks = np.array([[3.0, 7, 5], [10, 2, 4], [-99, 99, 0]])
    assert landmark_box(landmarks) == (3, 2, 4, 8)
    assert square((3, 2, 4, 8)) == (1, 2, 8, 8)
    assert square((3, 2, 8, 4)) == (3, 0, 8, 8)


def test_the_default_box_is_where_faces_are_in_aflw2000_and_inside_every_photo():
    x, y, width, height = default_box(450, 450)
    assert (x + width / 2, y + height / 2) == pytest.approx((225, 0.61 * 450), abs=2)
    assert (width, height) == pytest.approx((0.426 * 450, 0.418 * 450))
    assert default_box(800, 450) == pytest.approx((x + 175, y, width, height))  # wide: the square in the middle
    assert default_box(450, 800) == pytest.approx((x, y, width, height))  # tall: the square at the top
    for size in ((16, 16), (16, 4000), (4000, 16)):
        check_box(default_box(*size), *size)


def test_a_box_partly_outside_is_accepted_and_one_that_makes_no_sense_is_not():
    check_box((-50, -50, 51, 51), 100, 80)
    check_box((99, 79, 500, 500), 100, 80)
    for box, words in [
        ((100, 0, 10, 10), "outside"),
        ((0, 80, 10, 10), "outside"),
        ((-10, 0, 10, 10), "outside"),
        ((0, -10, 10, 10), "outside"),
        ((0, 0, 0.5, 10), "at least 1 pixel"),
        ((0, 0, 10, -3), "at least 1 pixel"),
        ((float("nan"), 0, 10, 10), "NaN"),
        ((0, 0, float("inf"), 10), "infinity"),
        ((-1e300, 0, 2e300, 10), "10 times as large"),
    ]:
        with pytest.raises(InputError, match=words):
            check_box(box, 100, 80)


def test_a_box_is_four_numbers_of_any_kind_or_their_text_and_nothing_else():
    assert parse_box("1, 2.5,-3,4e1") == (1, 2.5, -3, 40)
    for numbers in ([1, 2, 3, 200], np.array([1, 2, 3, 200], np.uint8), np.array([1, 2, 3, 200], ">f4")):
        assert parse_box(numbers) == (1, 2, 3, 200)
        assert {type(number) for number in parse_box(numbers)} == {float}
    for wrong in ("1,2,3", "1,2,3,4,5", "", "a,b,c,d", "1;2;3;4", "1,2,,4", (1, 2, 3), None, 7, [1, 2, 3, None]):
        with pytest.raises(InputError, match="four numbers"):
            parse_box(wrong)


def test_boxes_of_short_and_unsigned_integers_do_not_wrap():
    box = np.array([10, 20, 200, 250], np.uint8)
    assert square(box) == square((10, 20, 200, 250)) == (-15, 20, 250, 250)
    assert testing_box(box) == testing_box((10, 20, 200, 250))
    assert training_box(box, 0.3) == training_box((10, 20, 200, 250), 0.3)
    check_box(box, np.uint8(100), np.uint8(80))
    landmarks = np.array([[100, 200, 255], [0, 7, 255]], np.uint8)
    assert landmark_box(landmarks) == (100, 0, 155, 255)


def test_landmarks_of_minus_one_are_not_visible_and_no_part_of_a_box():
    seen = np.random.default_rng(0).uniform(100, 200, (2, 20))
    hidden = np.concatenate([[[-1, -1, 300], [452, -1, -1]], seen], axis=1)  # AFLW2000's are at -1, 452
    assert landmark_box(hidden) == landmark_box(seen)
    assert landmark_box([[-1.5, 8], [-0.5, 6]]) == (-1.5, -0.5, 9.5, 6.5)  # beside the photo, but seen
    for count in (0, 17):
        few = np.full((3, 68), -1.0)
        few[:, :count] = np.random.default_rng(0).uniform(0, 450, (3, count))
        with pytest.raises(InputError, match=f"only {count} of 68 landmarks are visible"):
            landmark_box(few)
