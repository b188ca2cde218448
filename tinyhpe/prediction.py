"""From a photo to the poses of the heads in it: what the command line and a notebook both call."""

import functools
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from tinyhpe.backend import plain_array
from tinyhpe.datasets.crops import crop_photo, crop_size
from tinyhpe.datasets.photos import open_photo, to_photo
from tinyhpe.errors import InputError
from tinyhpe.finder import find_heads
from tinyhpe.methods import load_model
from tinyhpe.methods.base import Method
from tinyhpe.pose.boxes import Box, check_box, default_box, parse_box, square, testing_box
from tinyhpe.pose.draw import draw_axes

MIDDLE = "middle"  # the box of who asks for default_box
shipped_model = functools.cache(load_model)  # loaded once; it stays in here, so nobody changes it


class HeadPose(NamedTuple):
    """The pose of a head: yaw, pitch and roll in degrees, to hundredths.

    `box` is where its face is, brows to chin: (x, y, width, height) in pixels of the upright photo.
    """

    yaw: float
    pitch: float
    roll: float
    box: Box

    def __str__(self):
        return f"yaw {self.yaw:.1f}, pitch {self.pitch:.1f}, roll {self.roll:.1f}"

    def draw(self, photo):
        """Return the photo, anything that predict() takes for one, as a PIL image with the head's axes on it."""
        x, y, width, height = self.box
        centre, length = (x + width / 2, y + height / 2), max(width, height) / 2
        return draw_axes(as_photo(photo), (self.yaw, self.pitch, self.roll), centre, length)


def predict(photos, box=None, model=None):
    """Tell the pose of the largest head in a photo, or in each of several.

    Args:
        photos: one or, in a list or another iterable, several. A photo is a path, a PIL image, or an RGB array
            (H, W, 3), uint8 or floats from 0 to 1; grey (H, W) and RGBA (H, W, 4) are taken, too.
        box: the face, brows to chin, in every photo: x, y, width, height in pixels from the upper left corner. By
            default it is found, see finder.find_heads. "middle" is where it lies in a photo that one head fills,
            see pose.boxes.default_box.
        model: what load_model() returned, or what it takes; by default the shipped one.

    Returns:
        a HeadPose; of several photos a list of them

    Raises:
        InputError: a photo cannot be read, no head is found in it, the box lies outside it, or there is no such
            model.
    """
    model = as_model(model)
    if isinstance(photos, (str, os.PathLike, Image.Image)) or (isinstance(photos, np.ndarray) and photos.ndim < 4):
        return largest_head(photos, box, model)
    try:
        photos = iter(photos)
    except TypeError as error:
        raise InputError(f"{type(photos).__name__} is no photo; give a path, a PIL image or an array") from error
    return [largest_head(photo, box, model) for photo in photos]


def predict_heads(photo, box=None, model=None):
    """Return the poses of all heads that are found in one photo, the largest first: a list of HeadPose.

    Args and errors are those of predict(); but where no head is found, the list is empty.
    """
    return predict_photo(photo, box, as_model(model))[0]


def predict_photo(photo, box, model):
    """Return the HeadPoses of one photo, and the photo as an upright PIL image; arguments as for predict()."""
    name, photo = name_of(photo), as_photo(photo)
    try:
        boxes = face_boxes(photo, box)
        crops = [crop_photo(photo, square(testing_box(face)), crop_size(model.input_size)) for face in boxes]
        poses = predict_crops(model, np.stack(crops)) if crops else []
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    heads = []
    for pose, face in zip(poses, boxes, strict=True):
        heads.append(HeadPose(*(round(float(angle), 2) for angle in pose), tuple(round(side, 2) for side in face)))
    return heads, photo


def face_boxes(photo, box):
    """The boxes of the faces that predict() means in a PIL image: found, the largest first, or the one told."""
    if box is None:
        return sorted((face for face, _ in find_heads(photo)), key=lambda face: -face[2] * face[3])
    box = default_box(*photo.size) if isinstance(box, str) and box == MIDDLE else parse_box(box)
    check_box(box, *photo.size)
    return [box]


def largest_head(photo, box, model):
    """The HeadPose of the largest head in one photo."""
    heads = predict_heads(photo, box, model)
    if not heads:
        raise InputError(nothing_found(photo))
    return heads[0]


def nothing_found(photo):
    """What is said of a photo without a head."""
    return (
        f"{name_of(photo)}: no head was found; give the face as box=x,y,width,height (the command: --box), "
        f'or take the middle of the photo with box="{MIDDLE}" (--box {MIDDLE})'
    )


def name_of(photo):
    """What messages call a photo."""
    return photo if isinstance(photo, (str, os.PathLike)) else "the image"


def predict_crops(model, crops):
    """Return the poses (n, 3) in degrees of crops (n, S, S, 3) uint8; raises InputError for a NaN."""
    with np.errstate(all="ignore"):
        poses = model.predict(crops)
    if not np.isfinite(poses).all():
        raise InputError(f"the model answers {poses.min()}; its weights are damaged, train it again")
    return poses


def as_model(model):
    """The argument `model` of predict() and evaluate() as a Method."""
    if model is None:
        return shipped_model()
    return model if isinstance(model, Method) else load_model(model)


def as_photo(photo):
    """A photo, as predict() takes it, as an upright RGB PIL image, or InputError."""
    if isinstance(photo, (str, os.PathLike)):
        return open_photo(photo)
    if isinstance(photo, np.ndarray):
        photo = array_to_image(photo)
    if not isinstance(photo, Image.Image):
        raise InputError(f"{type(photo).__name__} is no photo; give a path, a PIL image or an array")
    return to_photo(photo)


def array_to_image(array):
    """An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, or of floats from 0 to 1, as a PIL image."""
    array = plain_array(array)
    if array.size == 0 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise InputError(f"an array of shape {array.shape} is no photo; give (height, width, 3), RGB")
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        array = np.round(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(
            f"an array of {array.dtype} from {low} to {high} is no photo; give uint8 from 0 to 255, "
            "or floats from 0 to 1"
        )
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)
