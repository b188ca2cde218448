"""From a photo and a face to the square crop that every method sees.

A face box is what a face detector gives: about the box around the 68 landmarks, brows to chin. HopeNet widens
it until the whole head is inside (more above, for the forehead and the hair); the result is made square on its
longer side, so that heads are never stretched, and resized. What lies outside the photo is black.

Training then takes a random part of the crop, 0.75 of its side, and testing the part in the middle (`augment.py`,
`nn/images.py`): 64 -> 48 for small networks, 300 -> 224 as in the paper.

A box is (x, y, width, height) in pixels, x and y its upper left corner, floats, also outside the photo.
"""

from dataclasses import dataclass
from math import ceil, floor, isfinite

import numpy as np
from PIL import Image

from tinyhpe.datasets.photos import check_photo, open_photo
from tinyhpe.errors import InputError

Box = tuple[float, float, float, float]

TEST_WIDENING = 0.2
TRAINING_WIDENING = (0.2, 0.4)

# mean box around the 68 landmarks of 400 photos of AFLW2000 (450x450), of the photo's side
DEFAULT_WIDTH, DEFAULT_HEIGHT, DEFAULT_CENTRE_Y = 0.426, 0.418, 0.611
LARGEST_BOX = 10  # times the photo's longer side


@dataclass(frozen=True)
class HeadCrops:
    """Square head crops with their poses: what every method trains and is tested on.

    `images` is anything with len() that an integer array indexes to (n, S, S, 3) uint8 RGB: an array,
    `StoredImages`, `PhotoCrops` or `ChosenImages`. `poses` is (N, 3) float32, degrees of yaw, pitch and roll.
    `names` are N file names. `dropped` counts the photos left out because a label is beyond 99 degrees.
    """

    images: object
    poses: np.ndarray
    names: list[str]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.poses)

    def choose(self, places) -> "HeadCrops":
        """The crops at some places (an integer array), without reading an image."""
        names = [self.names[place] for place in places]
        return HeadCrops(ChosenImages(self.images, places), self.poses[places], names)


class StoredImages:
    """The images (N, S, S, 3) uint8 of an .npy file, read only when indexed: a memory map.

    Sent to another process it is only the path, and opened there anew; a NumPy memory map would be sent whole.
    """

    def __init__(self, path):
        self.path, self.images = path, np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices):
        return self.images[indices]

    def __reduce__(self):
        return StoredImages, (self.path,)


class ChosenImages:
    """Some images of a larger collection, in an order of their own, read only when indexed."""

    def __init__(self, images, places):
        self.images, self.places = images, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, indices):
        return self.images[self.places[indices]]


class PhotoCrops:
    """Crops of photos on disk, (N, size, size, 3) uint8 RGB, decoded only when indexed.

    paths: N photos; boxes: N square boxes; size: side of the crops in pixels.
    Indexing with an integer gives one crop, with a slice or an integer array a batch. A photo that cannot be
    read, or a box outside it, raises InputError.
    """

    def __init__(self, paths, boxes, size):
        self.paths = [str(path) for path in paths]  # strings reach another process 10 times faster than Paths
        self.boxes, self.size = list(boxes), size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices):
        chosen = np.arange(len(self))[indices]
        if chosen.ndim == 0:
            return self._crop(chosen)
        crops = np.empty((len(chosen), self.size, self.size, 3), np.uint8)
        for crop, index in zip(crops, chosen, strict=True):
            crop[:] = self._crop(index)
        return crops

    def _crop(self, index):
        return crop_photo(open_photo(self.paths[index]), self.boxes[index], self.size)


def landmark_box(landmarks) -> Box:
    """The tight box around landmarks, (2, K) or (3, K) pixels: x in the first row, y in the second."""
    x, y = np.asarray(landmarks, dtype=float)[:2]
    return float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))


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
    x, y, width, height = box
    x, y = x - left * width, y - top * height
    width, height = width * (1 + left), height * (1 + top)
    return x, y, width * (1 + right), height * (1 + bottom)


def square(box: Box) -> Box:
    """The box made square on its longer side, about its centre."""
    x, y, width, height = box
    side = max(width, height)
    return x + (width - side) / 2, y + (height - side) / 2, side, side


def crop_size(input_size: int) -> int:
    """Side of the crops of which a network sees input_size pixels: 300 for 224 as in the paper, 64 for 48."""
    return round(input_size * 300 / 224)


def crop_photo(photo: Image.Image, box: Box, size: int) -> np.ndarray:
    """The square box of a photo, resized with antialiasing: (size, size, 3) uint8 RGB, black outside the photo.

    Raises InputError for a box that `check_box` refuses.
    """
    check_box(box, *photo.size)
    x, y, side, _ = box
    factor = floor(side / (4 * size))
    if factor > 1:  # first whole pixels, by averaging: a large photo costs little
        photo, x, y, side = photo.reduce(factor), x / factor, y / factor, side / factor
    left, top = floor(x), floor(y)
    piece = photo.crop((left, top, ceil(x + side), ceil(y + side)))
    inside_piece = (x - left, y - top, x - left + side, y - top + side)
    return np.asarray(piece.resize((size, size), Image.Resampling.BILINEAR, box=inside_piece))


def check_box(box: Box, photo_width: int, photo_height: int) -> None:
    """Raises InputError unless the box is of a sensible size and at least partly in the photo."""
    x, y, width, height = box
    text = ",".join(f"{value:g}" for value in box)
    if not all(isfinite(value) for value in box):
        raise InputError(f"box {text}: NaN and infinity are no pixels; give x,y,width,height")
    if width < 1 or height < 1:
        raise InputError(f"box {text}: width and height must be at least 1 pixel; give x,y,width,height")
    if max(width, height) > LARGEST_BOX * max(photo_width, photo_height):
        raise InputError(
            f"box {text} is more than {LARGEST_BOX} times as large as the photo, which is "
            f"{photo_width}x{photo_height}; give x,y,width,height in pixels of this photo"
        )
    if x >= photo_width or y >= photo_height or x + width <= 0 or y + height <= 0:
        raise InputError(
            f"box {text} lies outside the photo, which is {photo_width}x{photo_height}; "
            "give x,y,width,height in pixels from the upper left corner"
        )


def check_crop(path, box: Box) -> None:
    """Raises InputError, one line that names the photo, unless photo and box are sound and meet each other."""
    size = check_photo(path)
    try:
        check_box(box, *size)
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None


def parse_box(text: str) -> Box:
    """The box written as "x,y,width,height" in pixels; InputError if it is not four numbers."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"box '{text}' is not four numbers; write x,y,width,height, such as 120,80,200,220"
        ) from None
    return x, y, width, height
