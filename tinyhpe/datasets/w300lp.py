"""300W-LP and AFLW2000 as they lie on disk: each photo NAME.jpg with its labels in NAME.mat beside it.

The labels are `Pose_Para` (pitch, yaw, roll in radians, and four more), and 68 landmarks: `pt2d` (2, 68) in
300W-LP, `pt3d_68` (3, 68) in AFLW2000, whose own `pt2d` has 21 points, some of them missing.
"""

import zlib

import numpy as np

from tinyhpe.datasets.folders import are_labels, files_by_stem, head_crops, photo_among, read_heads
from tinyhpe.datasets.mat_files import read_mat
from tinyhpe.errors import InputError
from tinyhpe.files import open_file
from tinyhpe.pose.boxes import NOT_VISIBLE, TRAINING_WIDENING, landmark_box, square, testing_box, training_box

NOT_PHOTOS = {"Code", "landmarks"}  # folders of the published archives, full of other .mat files
LANDMARKS = {"300wlp": "pt2d", "aflw2000": "pt3d_68"}
HDF5 = b"\x89HDF\r\n\x1a\n"
MOST_BYTES = 10**7  # of a .mat file; those of 300W-LP have some thousand


def load_300wlp(folder, size, seed=0, progress=True):
    """Training crops of 300W-LP (all its sub-folders), or of any folder of photos + .mat with `pt2d`.

    The HopeNet box of each photo is widened by k ~ U(0.2, 0.4), drawn from `seed`.

    Returns:
        (HeadCrops, one line for each file that cannot be used). Labels beyond 99 degrees are left out and counted
        in HeadCrops.left_out.

    Raises:
        InputError: no such folder, nothing usable in it, or labels in degrees.
    """
    rng = np.random.default_rng(seed)
    return load_folder(
        folder, size, "300wlp", lambda box: training_box(box, rng.uniform(*TRAINING_WIDENING)), progress
    )


def load_aflw2000(folder, size, progress=True):
    """Test crops of AFLW2000; returns and raises as load_300wlp. Of its 2000 photos 1969 are kept."""
    return load_folder(folder, size, "aflw2000", testing_box, progress)


def load_folder(folder, size, layout, widen, progress):
    """Crops of all photos under a folder; `widen` turns a landmark box into HopeNet's box.

    A .png counts only beside a .mat: others may be depth maps, or whatever else.
    """
    groups = files_by_stem(folder, NOT_PHOTOS)
    stems = [stem for stem, files in groups.items() if not files.keys().isdisjoint({".mat", ".jpg", ".jpeg"})]
    if not stems:
        raise InputError(
            f"no .mat files in {folder}: it must hold photos (.jpg) with their labels (.mat) beside them"
        )

    def read(stem):
        photo, labels = photo_among(groups[stem]), groups[stem].get(".mat")
        try:
            if labels is None:
                raise InputError("the labels are missing: there is no .mat of the same name beside it")
            if photo is None:
                raise InputError(
                    "the photo is missing: there is no .jpg, .jpeg or .png of the same name beside it"
                )
            pose, landmarks = read_labels(labels, layout)
            return photo, square(widen(landmark_box(landmarks))), pose, visible(landmarks)
        except InputError as problem:
            raise InputError(f"{labels or photo}: {problem}") from None

    heads, problems = read_heads(stems, read, progress)
    refuse_degrees(folder, [pose for _, _, pose, _ in heads])
    return head_crops(folder, size, heads, problems)


def refuse_degrees(folder, poses):
    """Raise InputError if most poses, taken for radians, have an angle beyond half a turn.

    In AFLW2000 two photos of 2000 have, by mistake. Of a set in degrees almost all have, and those few that have
    not (all three angles below 3.14 degrees) must not be taken for large poses.
    """
    beyond = sum(np.abs(pose).max() > 180 for pose in poses)
    if 2 * beyond > len(poses):
        raise InputError(
            f"{folder}: in {beyond} of {len(poses)} photos an angle of Pose_Para is beyond pi: radians are "
            "expected there, and these look like degrees; multiply them by pi / 180"
        )


def read_labels(path, layout):
    """The pose (3,) in degrees and the landmarks (2 or 3, 68) of a .mat file; or InputError, without the path."""
    key = LANDMARKS[layout]
    try:
        with open_file(path, MOST_BYTES) as file:
            content = file.read(MOST_BYTES)
    except OSError as error:
        raise InputError(
            f"not readable ({error.strerror}); check its permissions, or where its link leads"
        ) from None
    if HDF5 in content[:1024]:  # MATLAB puts 512 bytes of its own before
        raise InputError("it is of MATLAB's format 7.3 (HDF5), which is not read; save it with -v7")
    try:
        content = read_mat(content, {"Pose_Para", *LANDMARKS.values()})
    except (ValueError, zlib.error) as error:
        raise InputError(f"damaged or truncated ({error}); get the file anew") from None
    for other, other_key in LANDMARKS.items():
        if is_68_points(content.get(other_key)) and not is_68_points(content.get(key)):
            raise InputError(f"it has 68 landmarks in {other_key}, not in {key}: give its folder as {other}:PATH")
    for name in ("Pose_Para", key):
        if name not in content:
            raise InputError(f"{name} is missing; is this a file of 300W-LP or AFLW2000?")
    parameters, landmarks = content["Pose_Para"], content[key]
    if parameters is None or landmarks is None:
        raise InputError(f"Pose_Para or {key} does not hold numbers; get the file anew")
    if parameters.size < 3 or not is_68_points(landmarks):
        raise InputError(
            f"Pose_Para is {parameters.shape} and {key} {landmarks.shape}; (1, 7) and (2, 68) are read"
        )
    pitch, yaw, roll = parameters.ravel()[:3].astype(float)
    if not (are_labels([yaw, pitch, roll]) and are_labels(landmarks)):
        raise InputError("a label is not a number (NaN), or beyond a million")
    return np.rad2deg([yaw, pitch, roll]), landmarks


def visible(landmarks):
    """Landmarks (2 or 3, 68) as points (68, 2), NaN where one is not visible."""
    points = landmarks[:2].T.astype(float)
    points[(points == NOT_VISIBLE).any(axis=1)] = np.nan
    return points


def is_68_points(value):
    return value is not None and value.ndim == 2 and len(value) >= 2 and value.shape[1] == 68
