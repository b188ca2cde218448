"""Data sets of head crops: rendered from code, or photos on disk."""

from pathlib import Path

from tinyhpe.errors import InputError


def open_dataset(spec, size, count, seed):
    """Open a data set by its name on the command line.

    Args:
        spec: "rendered", "300wlp:PATH", "aflw2000:PATH" or "pointing04:PATH".
        size: side of the crops in pixels.
        count, seed: how many heads to render, and which; for "rendered" only.

    Returns:
        (HeadCrops, one line for each file that cannot be used)

    Raises:
        InputError: no such data set or folder.
    """
    # here, not above: they import SciPy, half a second, and a prediction needs none of it
    from tinyhpe.datasets import pointing04, rendered, w300lp

    folders = {
        "300wlp": w300lp.load_300wlp,
        "aflw2000": w300lp.load_aflw2000,
        "pointing04": pointing04.load_pointing04,
    }
    if spec == "rendered":
        return rendered.load(count, size, seed), []
    kind, _, path = spec.partition(":")
    if kind not in folders or not path:
        known = ", ".join(f"{name}:PATH" for name in folders)
        raise InputError(f"unknown data {spec!r}: use rendered, {known}")
    if not Path(path).is_dir():
        raise InputError(f"no folder {path}; data/README.md says how to get the data sets")
    return folders[kind](path, size)
