"""The files of `tinyhpe predict`: which photos are meant, and the pictures of them, with the axes, in a folder.

A picture carries a mark in its JPEG comment, and a fingerprint of the path of its photo. So a second run takes no
picture for a photo, writes the picture of the same photo again, and never writes over anything else.
"""

import hashlib
import itertools
import os
from pathlib import Path

from tinyhpe.files import written_by_rename

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
MARK = b"drawn by tinyhpe predict"
QUALITY = {"quality": 92, "subsampling": 0}  # full colour for thin lines


def photo_paths(arguments):
    """The photos named and those in folders named, without our own pictures; and a line for each problem."""
    paths, problems = [], []
    for argument in map(Path, arguments):
        try:
            found = photos_in(argument) if argument.is_dir() else [argument]
            paths += [path for path in found if not has_mark(path, MARK)]
        except OSError as error:
            problems.append(f"{argument}: {error.strerror}; check the name and its permissions")
            continue
        if not found:
            problems.append(
                f"no photos in {argument}: give a folder with {', '.join(sorted(PHOTO_SUFFIXES))} files"
            )
    if not paths and not problems:
        problems.append("these are pictures that `tinyhpe predict` drew, not photos: give it the photos")
    return paths, problems


def photos_in(folder):
    """The files in a folder that are photos by their names; hidden ones are not."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def has_mark(path, mark):
    """Whether a file is a JPEG with this mark in its comment, which Pillow writes at the beginning."""
    if not os.access(path, os.R_OK) or not path.is_file():
        return False
    with path.open("rb") as file:
        return mark in file.read(1024)


def write_picture(picture, photo, folder):
    """Write a picture of the photo (its path) as NAME_pose.jpg, numbered where something else has that name."""
    mark = MARK + b" " + hashlib.sha256(os.fsencode(photo.resolve())).hexdigest()[:32].encode()
    for number in itertools.count(1):
        path = folder / (f"{photo.stem}_pose.jpg" if number == 1 else f"{photo.stem}_pose_{number}.jpg")
        if not path.exists() or has_mark(path, mark):
            break
    with written_by_rename(path) as file:
        picture.save(file, "JPEG", comment=mark, **QUALITY)
