"""Pointing'04 (Gourier, Hall, Crowley, 2004): people who looked at marks on the walls of a room.

personPPSNN{tilt}{pan}.jpg: person PP, series S, number NN; tilt has the sign of pitch, pan that of yaw, no roll.
The .txt of the same name holds the face box: name, empty line, "Face", x centre, y centre, width, height.
"""

import re
from pathlib import Path

import numpy as np

from tinyhpe.datasets.crops import HeadCrops, PhotoCrops, check_crop, square, testing_box
from tinyhpe.errors import InputError

NAME = re.compile(r"person\d{5}([+-]\d+)([+-]\d+)\.jpg")


def load_pointing04(folder, size):
    """Test crops of all photos of Pointing'04 under a folder (some persons of it are enough).

    Returns:
        (HeadCrops, one line for each photo that cannot be used)

    Raises:
        InputError: no such photos in the folder.
    """
    folder = Path(folder)
    paths, boxes, poses, problems = [], [], [], []
    for path in sorted(folder.rglob("person*.jpg")):
        match = NAME.fullmatch(path.name)
        if not match:
            problems.append(f"{path}: the name does not tell tilt and pan, as in person01100-90+0.jpg")
            continue
        try:
            box = square(testing_box(read_box(path.with_suffix(".txt"))))
            check_crop(path, box)
        except InputError as problem:
            problems.append(str(problem))
            continue
        tilt, pan = (float(angle) for angle in match.groups())
        paths.append(path)
        boxes.append(box)
        poses.append((pan, tilt, 0.0))
    if not paths:
        reason = problems[0] if problems else "there are no person*.jpg"
        raise InputError(f"no photos of Pointing'04 in {folder}: {reason}")
    names = [str(path.relative_to(folder)) for path in paths]
    return HeadCrops(PhotoCrops(paths, boxes, size), np.array(poses, np.float32), names), problems


def read_box(path):
    """The face box (x, y, width, height) of a .txt file; InputError if it is missing or says something else."""
    try:
        x, y, width, height = (float(line) for line in path.read_text(encoding="latin-1").split()[2:6])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it must hold the face box of the .jpg beside it") from None
    except (OSError, ValueError):
        raise InputError(
            f"{path}: no face box; after the name and the word Face come x, y, width, height"
        ) from None
    return x - width / 2, y - height / 2, width, height
