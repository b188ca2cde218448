"""The three axes of a head, drawn on its photo."""

import numpy as np
from PIL import Image, ImageDraw

from tinyhpe.pose.angles import euler_to_matrix

COLOURS = {"x": (230, 40, 40), "y": (40, 200, 40), "z": (50, 90, 255)}
SUPERSAMPLING = 4


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
    scale = SUPERSAMPLING
    layer = Image.new("RGBA", (photo.width * scale, photo.height * scale))
    canvas = ImageDraw.Draw(layer)
    start, width = np.array(centre) * scale, max(2, round(length * scale / 15))
    for colour, end in zip(COLOURS.values(), axis_ends(pose), strict=True):
        stop = start + end * length * scale
        canvas.line([*start, *stop], fill=(*colour, 255), width=width)
        canvas.ellipse([*(stop - width), *(stop + width)], fill=(*colour, 255))
    picture = photo.convert("RGBA")
    picture.alpha_composite(layer.resize(photo.size, Image.Resampling.LANCZOS))
    return picture.convert("RGB")
