"""BIWI Kinect Head Pose (Fanelli, Dantone, Gall, Fossati, Van Gool, 2013): 24 films of people turning their heads.

NN/frame_NNNNN_rgb.png       the photo
NN/frame_NNNNN_pose.txt      a rotation matrix, an empty line, the centre of the head in mm
NN/rgb.cal                   camera matrix; distortion (a line of zeros); rotation and translation in mm from the
                             depth camera, where poses and centres are measured, to the colour camera

Their axes: x to the image's right, y DOWN, z AWAY from the camera, and the matrix R is 1 for a head that faces it.
Ours have y up and z to the camera, so with D = diag(1, -1, -1) our matrix is D R D. Its angles are those that
HopeNet's successors compute from R^T. As they do, we leave out the rotation between the cameras, about a degree.

Nothing says where the face is. So its box is a square of FACE_MM about the head's centre, as the camera sees it.
"""

import numpy as np

from tinyhpe.datasets.folders import are_labels, files_by_stem, head_crops, photo_among, read_heads, read_text
from tinyhpe.errors import InputError
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler
from tinyhpe.pose.boxes import square, testing_box

FACE_MM = 140.0  # brows to chin, and as wide as the jaw
FLIP = np.diag([1.0, -1.0, -1.0])


def load_biwi(folder, size, progress=True):
    """Test crops of all frames of BIWI under a folder; returns and raises as load_pointing04."""
    groups = files_by_stem(folder)
    stems = [stem for stem, files in groups.items() if stem.name.endswith("_rgb") and photo_among(files)]
    if not stems:
        raise InputError(f"no photos of BIWI in {folder}: there are no frame_*_rgb.png")

    def read(stem):
        labels = stem.with_name(stem.name.removesuffix("_rgb") + "_pose.txt")
        *rotation, centre = read_lines(labels, range(4))
        pose = matrix_to_euler(FLIP @ rotation @ FLIP)
        if centre[2] <= 0 or not np.allclose(FLIP @ euler_to_matrix(pose) @ FLIP, rotation, atol=0.01):
            raise InputError(f"{labels}: no rotation matrix and place before the camera; get the file anew")
        calibration = read_lines(stem.with_name("rgb.cal"), [0, 1, 2, 4, 5, 6, 7])
        return photo_among(groups[stem]), square(testing_box(face_box(calibration, centre))), pose

    return head_crops(folder, size, *read_heads(stems, read, progress))


def face_box(calibration, centre):
    """The face box in the photo, from camera matrix, rotation and translation (7, 3), and the head's centre."""
    matrix, rotation, translation = calibration[:3], calibration[3:6], calibration[6]
    x, y, depth = matrix @ (rotation @ centre + translation)
    width, height = FACE_MM * matrix[0, 0] / depth, FACE_MM * matrix[1, 1] / depth
    return x / depth - width / 2, y / depth - height / 2, width, height


def read_lines(path, lines):
    """Some lines of a text file that hold three numbers each, (n, 3); empty lines do not count. Or InputError."""
    try:
        rows = [line.split() for line in read_text(path).splitlines() if line.strip()]
        found = np.array([rows[line] for line in lines], float)
    except (OSError, IndexError, ValueError):
        found = np.empty(0)
    if found.shape != (len(lines), 3) or not are_labels(found):
        raise InputError(f"{path}: missing, or not the numbers that BIWI has there; get the file anew")
    return found
