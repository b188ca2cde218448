"""What the data sets of photos have in common: which files lie in a folder, and which of its heads can be used."""

import os
from pathlib import Path

import numpy as np

from tinyhpe.datasets.crops import HeadCrops, PhotoCrops, check_crop, points_in_crop
from tinyhpe.errors import InputError
from tinyhpe.files import open_file
from tinyhpe.pose.levels import RANGE_DEGREES
from tinyhpe.progress import ProgressBar

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
MOST_BYTES = 10**6  # of a text


def files_by_stem(folder, passed_over=()):
    """The files under a folder, those together that differ in their suffix only: sorted, {stem: {".jpg": path}}.

    Suffixes are in lower case. Links are followed, but no folder is entered twice, nor one that holds the whole:
    so loops end. Hidden files and folders, and folders named in `passed_over`, are passed over. A folder that
    cannot be read is an OSError.
    """
    entered, groups = set(map(str, Path(os.path.realpath(folder)).parents)), {}
    for where, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        real = os.path.realpath(where)
        wanted = [] if real in entered else sorted(set(folders).difference(passed_over))
        folders[:] = [name for name in wanted if not name.startswith(".")]
        for name in sorted(names) if real not in entered else []:
            path = Path(where, name)
            if not name.startswith("."):
                groups.setdefault(path.with_suffix(""), {}).setdefault(path.suffix.lower(), path)
        entered.add(real)
    return dict(sorted(groups.items()))


def stop(error):
    raise error


def read_text(path):
    """The text of a small file of labels; OSError if there is none, or it is no small file."""
    with open_file(path, MOST_BYTES) as file:
        return file.read(MOST_BYTES).decode("latin-1")


def are_labels(numbers):
    """Whether all are numbers that can be pixels, millimetres or radians: no NaN, nothing that overflows later."""
    return bool((np.abs(np.asarray(numbers, float)) < 1e6).all())


def photo_among(files):
    """The photo among the files of one stem, or None."""
    return next((files[suffix] for suffix in PHOTO_SUFFIXES if suffix in files), None)


def read_heads(stems, read, progress):
    """Call read(stem) for each head: it returns (path of the photo, square box, pose (3,) in degrees), and where
    the photo has them marked, its landmarks (68, 2) in pixels.

    A photo that comes twice, through links, counts once. Those whose pose is within 99 degrees are checked, too.

    Returns:
        (the list of what read() returned, one line for each head for which it raised InputError)
    """
    heads, problems, seen = [], [], set()
    for stem in ProgressBar(stems, desc="labels", disable=not progress, leave=False):
        try:
            photo, box, pose, *_ = head = read(stem)
            if is_within_range(pose):
                check_crop(photo, box)
        except InputError as problem:
            problems.append(str(problem))
            continue
        if (real := os.path.realpath(photo)) not in seen:
            heads.append(head)
        seen.add(real)
    return heads, problems


def is_within_range(pose):
    return np.abs(pose).max() <= RANGE_DEGREES


def head_crops(folder, size, heads, problems):
    """(HeadCrops of the heads within 99 degrees, the problems); raises InputError if there are none."""
    used = [head for head in heads if is_within_range(head[2])]
    if not used:
        reason = problems[0] if problems else f"all {len(heads)} have angles beyond {RANGE_DEGREES} degrees"
        raise InputError(f"not one usable photo in {folder}: {reason}")
    photos, boxes, poses, *marked = zip(*used, strict=True)
    names = [photo.relative_to(folder).as_posix() for photo in photos]
    landmarks = None
    if marked:
        moved = [points_in_crop(points, box, size) for points, box in zip(*marked, boxes, strict=True)]
        landmarks = np.array(moved, np.float32)
    crops, poses = PhotoCrops(photos, boxes, size), np.array(poses, np.float32)
    return HeadCrops(crops, poses, names, len(heads) - len(used), landmarks), problems
