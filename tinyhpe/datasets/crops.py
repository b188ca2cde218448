"""From a photo and a face to the square crop that every method sees.

HopeNet widens a face box until the whole head is inside (more above, for the forehead and the hair), see
pose/boxes.py; the result is made square on its longer side, so that heads are never stretched, and resized. What
lies outside the photo is black.

Training then takes a random part of the crop, 0.75 of its side, and testing the part in the middle (augment.py,
preprocess.py): 64 -> 48 for small networks, 300 -> 224 as in the paper.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from PIL import Image

from tinyhpe.datasets.photos import check_photo, open_photo
from tinyhpe.errors import InputError
from tinyhpe.pose.boxes import Box, check_box, parse_box


@dataclass(frozen=True)
class HeadCrops:
    """Square head crops with their labels: what every method trains and is tested on.

    `images` is anything with len() that an integer array indexes to (n, S, S, 3) uint8 RGB: an array,
    `StoredImages`, `PhotoCrops` or `ChosenImages`. (Or depth maps, (n, S, S) float32, for methods that see those.)
    `poses` is (N, 3) float32, degrees of yaw, pitch and roll.
    `names` are N file names, relative to the data set's folder, so that they are the same wherever it lies.
    `left_out` counts the photos that are not among them because a label is beyond 99 degrees.
    `landmarks` is (N, 68, 2) float32, x and y in pixels of the crop (the first pixel's centre is at 0.5), NaN
    where one is not visible; or None where nobody has marked them, or nobody has asked for them.
    """

    images: object
    poses: np.ndarray
    names: list[str]
    left_out: int = 0
    landmarks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.poses)

    def choose(self, places) -> "HeadCrops":
        """The crops at some places (an integer array), without reading an image."""
        names = [self.names[place] for place in places]
        landmarks = None if self.landmarks is None else self.landmarks[places]
        return HeadCrops(ChosenImages(self.images, places), self.poses[places], names, landmarks=landmarks)

    def labels(self, kind) -> np.ndarray:
        """The "poses" or the "landmarks"; raises InputError if there are none."""
        labels = getattr(self, kind)
        if labels is None:
            raise InputError(f"these photos have no {kind}: train on rendered heads, 300wlp:PATH or aflw2000:PATH")
        return labels


class StoredImages:
    """The images (N, S, S, 3) uint8, or depth maps, of an .npy file, read only when indexed: a memory map.

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
    change: of every photo before it is cropped, a function of datasets/corruptions.py, or None.
    Indexing with an integer gives one crop, with a slice or an integer array a batch. A photo that cannot be
    read, or a box outside it, raises InputError.
    """

    def __init__(self, paths, boxes, size, change=None):
        self.paths = [str(path) for path in paths]  # strings reach another process 10 times faster than Paths
        self.boxes, self.size, self.change = list(boxes), size, change

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
        photo, box = open_photo(self.paths[index]), self.boxes[index]
        if self.change:
            photo = self.change(photo, box, np.random.default_rng(int(index)))
        return crop_photo(photo, box, self.size)


def crop_size(input_size: int) -> int:
    """Side of the crops of which a network sees input_size pixels: 300 for 224 as in the paper, 64 for 48."""
    return round(input_size * 300 / 224)


def crop_photo(photo: Image.Image, box: Box, size: int) -> np.ndarray:
    """The square box of a photo, resized with antialiasing: (size, size, 3) uint8 RGB, black outside the photo.

    Raises InputError for a box that `check_box` refuses.
    """
    check_box(box, *photo.size)
    x, y, side, _ = parse_box(box)
    factor = floor(side / (4 * size))
    if factor > 1:  # first whole pixels, by averaging: a large photo costs little
        photo, x, y, side = photo.reduce(factor), x / factor, y / factor, side / factor
    left, top = floor(x), floor(y)
    piece = photo.crop((left, top, ceil(x + side), ceil(y + side)))
    inside_piece = (x - left, y - top, x - left + side, y - top + side)
    return np.asarray(piece.resize((size, size), Image.Resampling.BILINEAR, box=inside_piece))


def points_in_crop(points: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Where points (K, 2) of a photo, x and y in pixels, lie in what crop_photo makes of its square box."""
    x, y, side, _ = parse_box(box)
    return (points - (x, y)) * (size / side)


def check_crop(path, box: Box) -> None:
    """Raises InputError, one line that names the photo, unless photo and box are sound and meet each other."""
    size = check_photo(path)
    try:
        check_box(box, *size)
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
