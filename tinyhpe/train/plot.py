"""The losses of a run as a picture."""

import contextlib
import os
import sys


def plot_losses(history, file):
    """Draw the loss of each part over the epochs, one panel for each training stage, as a PNG into an open file.

    Args:
        history: list of {"epoch", "stage"} and the losses of the method's parts, one for each epoch.
    """
    stages = list(dict.fromkeys(entry["stage"] for entry in history))
    figure = figure_class()(figsize=(4.5 * len(stages), 3.2), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        entries = [entry for entry in history if entry["stage"] == stage]
        for part in list(entries[0])[2:]:
            axes.plot([e["epoch"] for e in entries], [e[part] for e in entries], marker=".", label=part)
        axes.set(title=stage, xlabel="epoch", ylabel="loss")
        axes.legend()
    figure.savefig(file, dpi=120)


def figure_class():
    """matplotlib's Figure, which is slow to import, and nothing else needs it.

    matplotlib cannot be imported while MPLBACKEND holds a name that it does not know. We need none, since we draw
    to a file; for whoever draws on a screen in the same process, a good name is set afterwards.
    """
    if "matplotlib" not in sys.modules:
        name = os.environ.pop("MPLBACKEND", "")
        import matplotlib

        if name:
            os.environ["MPLBACKEND"] = name
            with contextlib.suppress(ValueError):
                matplotlib.rcParams["backend"] = name
    from matplotlib.figure import Figure

    return Figure
