"""Face boxes, and how HopeNet widens them: all that needs no photo.

A box is (x, y, width, height) in pixels, x and y its upper left corner, floats, also outside the photo. A face box
is what a face detector gives: about the box around the 68 landmarks, brows to chin.
"""

from math import isfinite

import numpy as np

from tinyhpe.errors import InputError
from tinyhpe.pose.angles import as_floats

Box = tuple[float, float, float, float]

TEST_WIDENING = 0.2
TRAINING_WIDENING = (0.2, 0.4)
NOT_VISIBLE = -1.0  # a landmark that has this coordinate
LEAST_VISIBLE = 1 / 4  # of the landmarks, for a box

# mean box around the 68 landmarks of 400 photos of AFLW2000 (450x450), of the photo's side
DEFAULT_WIDTH, DEFAULT_HEIGHT, DEFAULT_CENTRE_Y = 0.426, 0.418, 0.611
LARGEST_BOX = 10  # times the photo's longer side


def parse_box(box) -> Box:
    """The box as four floats: of the text "x,y,width,height", or of four numbers of any kind.

    Raises InputError if it is something else.
    """
    try:
        x, y, width, height = map(float, box.split(",") if isinstance(box, str) else box)
    except (TypeError, ValueError):
        raise InputError(
            f"box {box!r} is not four numbers; give x,y,width,height, such as 120,80,200,220"
        ) from None
    return x, y, width, height


def landmark_box(landmarks) -> Box:
    """The tight box around landmarks, (2, K) or (3, K) pixels: x in the first row, y in the second.

    A landmark whose x or y is exactly -1 is not visible, and no part of the box. (So AFLW has them; in AFLW2000,
    which counts y from the other end, they lie at -1, 452.) Raises InputError if a quarter or fewer are visible.
    """
    points = as_floats(landmarks).astype(np.float64)[:2]
    visible = points[:, (points != NOT_VISIBLE).all(axis=0)]
    count, known = points.shape[1], visible.shape[1]
    if known <= LEAST_VISIBLE * count:
        raise InputError(
            f"only {known} of {count} landmarks are visible (the others are at -1), too few to find the face; "
            "mark more of them, or leave the photo out"
        )
    return parse_box([*visible.min(axis=1), *np.ptp(visible, axis=1)])


def default_box(photo_width: int, photo_height: int) -> Box:
    """Where the face is in a photo of a head, if nobody has said where: brows to chin, like `landmark_box`.

    In 400 square photos of AFLW2000 the face box lies on average at (0.499, 0.611) of the photo and measures
    0.426 x 0.418 of it; one standard deviation of these is 0.02 to 0.07. The same box is taken from the square in
    the middle of a wide photo, and from the one at the top of a tall photo, which shows shoulders and chest below
    the head: a guess, not a measurement. Only for photos like these, filled by one head; otherwise give the box.
    """
    side = min(photo_width, photo_height)
    width, height = DEFAULT_WIDTH * side, DEFAULT_HEIGHT * side
    return (photo_width - width) / 2, DEFAULT_CENTRE_Y * side - height / 2, width, height


def training_box(face_box: Box, k: float) -> Box:
    """The face box as HopeNet widens it in training; k is drawn from 0.2 to 0.4 for every photo anew."""
    return _widen(face_box, left=0.6 * k, top=2 * k, right=0.6 * k, bottom=0.6 * k)


def testing_box(face_box: Box) -> Box:
    """The face box as HopeNet widens it for AFLW2000: wider to the sides than in training."""
    k = TEST_WIDENING
    return _widen(face_box, left=2 * k, top=2 * k, right=2 * k, bottom=0.6 * k)


def _widen(box: Box, left, top, right, bottom) -> Box:
    """Moves the four sides by fractions of the box, one after the other, as HopeNet's code does.

    The right side therefore moves by a fraction of the width that the left side has already widened.
    Source: Ruiz, Chong, Rehg, "Fine-Grained Head Pose Estimation Without Keypoints", 2018, their datasets.py.
    """
    x, y, width, height = parse_box(box)
    x, y = x - left * width, y - top * height
    width, height = width * (1 + left), height * (1 + top)
    return x, y, width * (1 + right), height * (1 + bottom)


def square(box: Box) -> Box:
    """The box made square on its longer side, about its centre."""
    x, y, width, height = parse_box(box)
    side = max(width, height)
    return x + (width - side) / 2, y + (height - side) / 2, side, side


def check_box(box: Box, photo_width: int, photo_height: int) -> None:
    """Raises InputError unless the box is of a sensible size and at least partly in the photo."""
    x, y, width, height = parse_box(box)
    text = f"{x:g},{y:g},{width:g},{height:g}"
    if not all(map(isfinite, (x, y, width, height))):
        raise InputError(f"box {text}: NaN and infinity are no pixels; give x,y,width,height")
    if width < 1 or height < 1:
        raise InputError(f"box {text}: width and height must be at least 1 pixel; give x,y,width,height")
    if max(width, height) > LARGEST_BOX * float(max(photo_width, photo_height)):
        raise InputError(
            f"box {text} is more than {LARGEST_BOX} times as large as the photo, which is "
            f"{photo_width}x{photo_height}; give x,y,width,height in pixels of this photo"
        )
    if x >= photo_width or y >= photo_height or x + width <= 0 or y + height <= 0:
        raise InputError(
            f"box {text} lies outside the photo, which is {photo_width}x{photo_height}; "
            "give x,y,width,height in pixels from the upper left corner"
        )
