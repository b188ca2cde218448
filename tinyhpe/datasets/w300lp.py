"""300W-LP and AFLW2000 as they lie on disk: each photo NAME.jpg with its labels in NAME.mat beside it.

The labels are `Pose_Para` (pitch, yaw, roll in radians, and four more), and 68 landmarks: `pt2d` (2, 68) in
300W-LP, `pt3d_68` (3, 68) in AFLW2000, whose own `pt2d` has 21 points, some of them missing.
"""

from pathlib import Path

import numpy as np
from scipy.io import loadmat
from tqdm import tqdm

from tinyhpe.datasets.crops import (
    TRAINING_WIDENING,
    HeadCrops,
    PhotoCrops,
    check_crop,
    landmark_box,
    square,
    testing_box,
    training_box,
)
from tinyhpe.errors import InputError
from tinyhpe.pose.levels import RANGE_DEGREES

NOT_PHOTOS = {"Code", "landmarks"}  # folders of the published archives, full of other .mat files
NUMBERS = "fiu"  # kinds of NumPy dtypes


class BadLabels(Exception):
    """A .mat file that cannot be used; the message is the reason."""


def load_300wlp(folder, size, seed=0, progress=True):
    """Training crops of 300W-LP (all its sub-folders), or of any folder of .jpg + .mat with `pt2d`.

    The HopeNet box of each photo is widened by k ~ U(0.2, 0.4), drawn from `seed`.

    Returns:
        (HeadCrops, one line for each file that cannot be used). Labels beyond 99 degrees are left out and counted
        in HeadCrops.dropped.

    Raises:
        InputError: no such folder, or nothing usable in it.
    """
    rng = np.random.default_rng(seed)
    return load_folder(
        folder, size, "pt2d", lambda box: training_box(box, rng.uniform(*TRAINING_WIDENING)), progress
    )


def load_aflw2000(folder, size, progress=True):
    """Test crops of AFLW2000; returns and raises as load_300wlp. Of its 2000 photos 1969 are kept."""
    return load_folder(folder, size, "pt3d_68", testing_box, progress)


def load_folder(folder, size, landmarks_key, widen, progress):
    """Crops of all photos under a folder; `widen` turns a landmark box into HopeNet's box."""
    folder = Path(folder)
    labels = label_paths(folder)
    if not labels:
        raise InputError(
            f"no .mat files in {folder}: it must hold photos (.jpg) with their labels (.mat) beside them"
        )
    paths, boxes, poses, problems, dropped = [], [], [], [], 0
    for path in tqdm(labels, desc="labels", disable=not progress, leave=False):
        try:
            pose, landmarks = read_labels(path, landmarks_key)
            if np.abs(pose).max() > RANGE_DEGREES:
                dropped += 1
                continue
            photo, box = path.with_suffix(".jpg"), square(widen(landmark_box(landmarks)))
            check_crop(photo, box)
        except BadLabels as problem:
            problems.append(f"{path}: {problem}")
            continue
        except InputError as problem:
            problems.append(str(problem))
            continue
        paths.append(photo)
        boxes.append(box)
        poses.append(pose)
    if not paths:
        reason = problems[0] if problems else f"all {dropped} have angles beyond {RANGE_DEGREES} degrees"
        raise InputError(f"not one usable label in {folder}; {reason}")
    names = [str(path.relative_to(folder)) for path in paths]
    return HeadCrops(PhotoCrops(paths, boxes, size), np.array(poses, np.float32), names, dropped), problems


def label_paths(folder):
    """The .mat paths of all heads under a folder, sorted; also where only the photo is there."""
    found = [path for suffix in (".mat", ".jpg") for path in folder.rglob(f"*{suffix}")]
    heads = (
        path
        for path in found
        if not NOT_PHOTOS & set(path.relative_to(folder).parts) and not path.name.startswith(".")
    )
    return sorted({path.with_suffix(".mat") for path in heads})


def read_labels(path, landmarks_key):
    """Return the pose (3,) in degrees and the landmarks (2 or 3, 68) of a .mat file, or raise BadLabels."""
    if not path.exists():
        raise BadLabels("the labels are missing: there is no .mat of the same name as the .jpg")
    if not path.with_suffix(".jpg").exists():
        raise BadLabels("the photo is missing: there is no .jpg of the same name")
    try:
        content = loadmat(path, variable_names=["Pose_Para", landmarks_key])
    except Exception as error:  # scipy raises whatever a damaged file leads it to
        raise BadLabels(f"damaged or truncated ({type(error).__name__}); get the file anew") from error
    for key in ("Pose_Para", landmarks_key):
        if key not in content:
            raise BadLabels(f"{key} is missing; is this a file of 300W-LP or AFLW2000?")
    parameters, landmarks = content["Pose_Para"], content[landmarks_key]
    arrays = isinstance(parameters, np.ndarray) and isinstance(landmarks, np.ndarray)
    if not arrays or parameters.dtype.kind not in NUMBERS or landmarks.dtype.kind not in NUMBERS:
        raise BadLabels(f"Pose_Para or {landmarks_key} does not hold numbers; get the file anew")
    if parameters.size < 3 or landmarks.ndim != 2 or len(landmarks) < 2 or landmarks.shape[1] != 68:
        raise BadLabels(
            f"Pose_Para is {parameters.shape} and {landmarks_key} {landmarks.shape}; (1, 7) and (2, 68)"
        )
    pitch, yaw, roll = parameters.ravel()[:3]
    pose = np.rad2deg(np.array([yaw, pitch, roll], float))
    if not (np.isfinite(pose).all() and np.isfinite(landmarks).all()):
        raise BadLabels("a label is not a number (NaN)")
    return pose, landmarks
