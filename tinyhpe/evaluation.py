"""A model and a data set: how far its poses are from the labels."""

from dataclasses import replace

import numpy as np

from tinyhpe.datasets import RENDERED, open_dataset
from tinyhpe.datasets.corruptions import CORRUPTIONS, FSA_NET
from tinyhpe.datasets.crops import HeadCrops, PhotoCrops, crop_size
from tinyhpe.errors import InputError
from tinyhpe.pose.metrics import ANGLES, summary
from tinyhpe.prediction import as_model, predict_crops
from tinyhpe.progress import ProgressBar

BATCH = 64
HEADS, SEED = 1000, 10**6  # rendered heads that no default training sees


def evaluate(data="rendered", model=None, progress=True):
    """Predict a labelled data set, and compare with its labels.

    Args:
        data: what open_dataset() takes, such as "rendered" or "aflw2000:PATH", or HeadCrops.
        model: what load_model() returned, or what it takes; by default the shipped one.
        progress: whether to show a bar on standard error.

    Returns:
        the dict of pose.metrics.summary, n of it the images; with `left_out`, the number of photos with a label
        beyond 99 degrees, and `problems`, a line for each file that cannot be used

    Raises:
        InputError: no such data set or model, or not one photo of it can be read.
    """
    model = as_model(model)
    crops, problems = data, []
    if not isinstance(data, HeadCrops):
        crops, problems = open_dataset(data, crop_size(model.input_size), HEADS, SEED, model.sees)
    predicted, kept, unread = [], [], []
    for start in ProgressBar(range(0, len(crops), BATCH), desc="evaluate", disable=not progress, leave=False):
        images = []
        for place in range(start, min(start + BATCH, len(crops))):
            try:
                images.append(crops.images[place])
                kept.append(place)
            except InputError as error:
                unread.append(str(error))
        if images:
            predicted.append(predict_crops(model, np.stack(images)))
    if not kept:
        raise InputError(
            f"not one of {len(crops)} photos could be read: {unread[0] if unread else 'none is there'}"
        )
    result = summary(np.concatenate(predicted), crops.poses[kept])
    return {"n": result["n"], "left_out": crops.left_out, **result, "problems": problems + unread}


def robustness(data, model=None, progress=True):
    """Evaluate a model on photos as they are, and on the same photos made worse.

    Args: those of evaluate(); data must be the name of photos on disk.

    Returns:
        {name of the corruption in datasets/corruptions.py: what evaluate() returns}

    Raises:
        InputError: as evaluate(), or the data are rendered.
    """
    model = as_model(model)
    if data in RENDERED:
        raise InputError(f"{data} heads are no photos to be made worse: give --data aflw2000:PATH, for example")
    crops, problems = open_dataset(data, crop_size(model.input_size), HEADS, SEED)
    results = {}
    for name, change in CORRUPTIONS.items():
        photos = PhotoCrops(crops.images.paths, crops.images.boxes, crops.images.size, change)
        results[name] = evaluate(replace(crops, images=photos), model, progress)
    results["none"]["problems"] = problems + results["none"]["problems"]
    return results


def robustness_table(results):
    """What robustness() returned as text for people: mean absolute errors in degrees."""
    lines = [f"{'degrees':<24}" + "".join(f"{name:>9}" for name in (*ANGLES, "mean", "FSA-Net"))]
    for name, result in results.items():
        errors = [*result["mae"].values(), FSA_NET.get(name, np.nan)]
        lines.append(f"{name:<24}" + "".join(f"{error:9.2f}" for error in errors).replace("nan", "  -"))
    return "\n".join(lines)
