"""Tables and figures."""

import numpy as np
from tqdm import tqdm

from tinyhpe.errors import InputError
from tinyhpe.pose.metrics import ANGLES, summary

EVALUATE_BATCH = 64


def evaluate(model, crops, progress=True):
    """Predict all crops and compare with their labels.

    Returns:
        (summary of pose.metrics, one line for each photo that could not be read)

    Raises:
        InputError: not one photo could be read.
    """
    predicted, kept, problems = [], [], []
    starts = range(0, len(crops.poses), EVALUATE_BATCH)
    for start in tqdm(starts, desc="evaluate", disable=not progress, leave=False):
        images, places = [], []
        for place in range(start, min(start + EVALUATE_BATCH, len(crops.poses))):
            try:
                images.append(crops.images[place])
                places.append(place)
            except InputError as error:
                problems.append(str(error))
        if images:
            predicted.append(model.predict(np.stack(images)))
            kept += places
    if not kept:
        raise InputError(f"not one of {len(crops.poses)} photos could be read; the first: {problems[0]}")
    return summary(np.concatenate(predicted), crops.poses[kept]), problems


def plot_losses(history, path):
    """Draw the loss of each angle over the epochs, one panel for each training stage, to a PNG file.

    Args:
        history: list of {"epoch", "stage", "yaw", "pitch", "roll"}, one for each epoch.
    """
    from matplotlib.figure import Figure  # slow to import, and no other command needs it

    stages = list(dict.fromkeys(entry["stage"] for entry in history))
    figure = Figure(figsize=(4.5 * len(stages), 3.2), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        entries = [entry for entry in history if entry["stage"] == stage]
        for angle in ANGLES:
            axes.plot([e["epoch"] for e in entries], [e[angle] for e in entries], marker=".", label=angle)
        axes.set(title=stage, xlabel="epoch", ylabel="loss")
        axes.legend()
    figure.savefig(path, dpi=120)
