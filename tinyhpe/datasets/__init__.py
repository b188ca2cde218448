"""Data sets of head crops: rendered from code, or photos on disk."""

from pathlib import Path

from tinyhpe.datasets import rendered
from tinyhpe.datasets.biwi import load_biwi
from tinyhpe.datasets.pointing04 import load_pointing04
from tinyhpe.datasets.w300lp import load_300wlp, load_aflw2000
from tinyhpe.errors import InputError

FOLDERS = {"300wlp": load_300wlp, "aflw2000": load_aflw2000, "pointing04": load_pointing04, "biwi": load_biwi}


def open_dataset(spec, size, count, seed):
    """Open a data set by its name on the command line.

    Args:
        spec: "rendered", or the name of one in FOLDERS and where it lies, such as "aflw2000:PATH".
        size: side of the crops in pixels.
        count, seed: how many heads to render, and which; for "rendered" only.

    Returns:
        (HeadCrops, one line for each file that cannot be used)

    Raises:
        InputError: no such data set or folder.
    """
    if spec == "rendered":
        return rendered.load(count, size, seed), []
    kind, _, path = spec.partition(":")
    if kind not in FOLDERS or not path:
        known = ", ".join(f"{name}:PATH" for name in FOLDERS)
        raise InputError(f"unknown data {spec!r}: use rendered, {known}")
    if not Path(path).is_dir():
        raise InputError(f"no folder {path}; data/README.md says how to get the data sets")
    return FOLDERS[kind](path, size)
