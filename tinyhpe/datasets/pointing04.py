"""Pointing'04 (Gourier, Hall, Crowley, 2004): people who looked at marks on the walls of a room.

personPPSNN{tilt}{pan}.jpg: person PP, series S, number NN; tilt has the sign of pitch, pan that of yaw, no roll.
(In the archives of the workshop they are called personne.) The .txt of the same name holds the face box: name,
empty line, "Face", x centre, y centre, width, height.
"""

import re

from tinyhpe.datasets.folders import files_by_stem, head_crops, photo_among, read_heads, read_text
from tinyhpe.errors import InputError
from tinyhpe.pose.boxes import square, testing_box

NAME = re.compile(r"person(?:ne)?\d{5}([+-]\d+)([+-]\d+)", re.IGNORECASE)
COPIES = {"Front"}  # a folder of the published archive: photos of the others once more


def load_pointing04(folder, size, progress=True):
    """Test crops of all photos of Pointing'04 under a folder (some persons of it are enough).

    Returns:
        (HeadCrops, one line for each photo that cannot be used)

    Raises:
        InputError: no such photos in the folder.
    """
    groups = files_by_stem(folder, COPIES)
    stems = [s for s, files in groups.items() if s.name.lower().startswith("person") and photo_among(files)]
    if not stems:
        raise InputError(f"no photos of Pointing'04 in {folder}: there are no person*.jpg")

    def read(stem):
        files = groups[stem]
        photo, match = photo_among(files), NAME.fullmatch(stem.name)
        if not match:
            raise InputError(f"{photo}: the name does not tell tilt and pan, as in person01100-90+0.jpg")
        if ".txt" not in files:
            raise InputError(f"{photo}: there is no .txt of the same name beside it, with the face box")
        tilt, pan = map(float, match.groups())
        return photo, square(testing_box(read_box(files[".txt"]))), (pan, tilt, 0.0)

    return head_crops(folder, size, *read_heads(stems, read, progress))


def read_box(path):
    """The face box (x, y, width, height) of a .txt file; InputError if it says something else."""
    try:
        x, y, width, height = (float(line) for line in read_text(path).split()[2:6])
    except (OSError, ValueError):
        raise InputError(
            f"{path}: no face box; after the name and the word Face come x, y, width, height"
        ) from None
    return x - width / 2, y - height / 2, width, height
