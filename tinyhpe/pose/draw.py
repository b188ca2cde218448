"""The three axes of a head, drawn on its photo."""

from math import ceil, floor

import numpy as np
from PIL import Image, ImageDraw

from tinyhpe.pose.angles import euler_to_matrix

COLOURS = {"x": (230, 40, 40), "y": (40, 200, 40), "z": (50, 90, 255)}
SUPERSAMPLING, LARGEST_LAYER = 4, 2048  # smooth lines, but not at the price of gigabytes on large photos
REACH = 1.15  # of the axes with the dots at their ends


def axis_ends(pose):
    """Where unit axes of the head end in the image, (3, 2), x right and y down.

    Rows: the head's x axis (to the image's right at pose 0), its downward axis, and its line of sight. HopeNet's
    convention: the orthographic projection (x, -y) of the rotated axes x, -y and z.
    """
    axes = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]]) @ euler_to_matrix(pose).T
    return axes[:, :2] * (1, -1)


def draw_axes(photo, pose, centre, length):
    """Return a copy of an RGB PIL image with the axes of a head.

    Args:
        pose: (3,) yaw, pitch, roll in degrees.
        centre: (x, y) where the axes begin, pixels.
        length: of an axis that is seen in full, pixels.

    Red goes to the side of the head that is right in the image, green down, blue out of the face.
    """
    picture, (x, y, length) = photo.convert("RGB"), map(float, (*centre, length))
    reach = length * REACH + 2
    left, right = max(0, floor(x - reach)), min(photo.width, ceil(x + reach))
    top, bottom = max(0, floor(y - reach)), min(photo.height, ceil(y + reach))
    if left >= right or top >= bottom:
        return picture
    side = max(right - left, bottom - top)
    scale = min(SUPERSAMPLING, max(1, LARGEST_LAYER // side))
    layer = Image.new("RGBA", ((right - left) * scale, (bottom - top) * scale))
    canvas = ImageDraw.Draw(layer)
    start, width = np.array([x - left, y - top]) * scale, max(2, round(length * scale / 15))
    for colour, end in zip(COLOURS.values(), axis_ends(pose), strict=True):
        stop = start + end * length * scale
        canvas.line([*start, *stop], fill=(*colour, 255), width=width)
        canvas.ellipse([*(stop - width), *(stop + width)], fill=(*colour, 255))
    layer = layer.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    picture.paste(layer, (left, top), layer)
    return picture
