"""Where the heads are in a photo."""

import numpy as np

from tinyhpe.pose.boxes import default_box


def find_heads(photo):
    """Find the heads in a photo.

    Args:
        photo: an RGB image of PIL's, or an array (H, W, 3) uint8.

    Returns:
        a list of (box, score), the surest first. The box is the face's, brows to chin: (x, y, width, height) in
        pixels, floats; the score lies between 0 and 1.
    """
    width, height = (photo.shape[1], photo.shape[0]) if isinstance(photo, np.ndarray) else photo.size
    return [(default_box(width, height), 1.0)]  # until there is a network
