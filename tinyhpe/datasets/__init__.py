"""Data sets of head crops: rendered from code, or photos on disk."""

from importlib import import_module
from pathlib import Path

from tinyhpe.errors import InputError

FOLDERS = {  # name -> module, function: imported on demand, since SciPy takes half a second
    "300wlp": ("w300lp", "load_300wlp"),
    "aflw2000": ("w300lp", "load_aflw2000"),
    "pointing04": ("pointing04", "load_pointing04"),
    "biwi": ("biwi", "load_biwi"),
}
RENDERED = ("rendered", "rendered-fig4", "rendered-broad", "rendered-yaw", "rendered-pitch", "rendered-roll")
SPECS = ", ".join([*RENDERED, *(f"{name}:PATH" for name in FOLDERS)])


def open_dataset(spec, size, count, seed, sees="images", learns="poses"):
    """Open a data set by its name on the command line.

    Args:
        spec: one of RENDERED, or the name of one in FOLDERS and where it lies, such as "aflw2000:PATH".
        size: side of the crops in pixels.
        count, seed: how many heads to render, and which; for rendered ones only.
        sees, learns: of rendered ones, what a method looks at and which labels it wants, see methods/base.py.
            Photos have images only, and come with all the labels that there are.

    Returns:
        (HeadCrops, one line for each file that cannot be used)

    Raises:
        InputError: no such data set or folder.
    """
    if spec in RENDERED:
        from tinyhpe.datasets import rendered

        return rendered.load(count, size, seed, data=spec, sees=sees, learns=learns), []
    kind, _, path = spec.partition(":")
    if kind not in FOLDERS or not path:
        raise InputError(f"unknown data {spec!r}: use one of {SPECS}")
    if not Path(path).is_dir():
        raise InputError(f"no folder {path}; data/README.md says how to get the data sets")
    module, function = FOLDERS[kind]
    return getattr(import_module(f"tinyhpe.datasets.{module}"), function)(path, size)
