"""A model and a data set: how far its poses are from the labels."""

from dataclasses import replace

import numpy as np

from tinyhpe.datasets import RENDERED, open_dataset
from tinyhpe.datasets.corruptions import CORRUPTIONS, FSA_NET
from tinyhpe.datasets.crops import HeadCrops, PhotoCrops, crop_size
from tinyhpe.datasets.photos import open_photo
from tinyhpe.errors import InputError
from tinyhpe.finder import find_heads, overlaps
from tinyhpe.pose.boxes import square, testing_box
from tinyhpe.pose.metrics import ANGLES, summary
from tinyhpe.prediction import as_model, predict_crops
from tinyhpe.progress import ProgressBar

BATCH = 64
HEADS, SEED = 1000, 10**6  # rendered heads that no default training sees
SAME_HEAD = 0.4  # overlap of two square boxes, from there on


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


def evaluate_found(data, model=None, progress=True):
    """Evaluate a model on the heads that the finder finds, instead of where the labels say that they are.

    Args: those of evaluate(); data must be the name of photos on disk.

    Returns:
        what evaluate() returns, of the heads that were found; besides `finder`: "heads", how many there are,
        "found", how many of them have a found box that overlaps the labelled one by 0.4 or more (both widened and
        made square, as they are cropped), "false", how many boxes do not, and "labelled", the mean error of the
        same heads in their labelled boxes

    Raises:
        InputError: as evaluate(), or the data are rendered, or no head was found.
    """
    model = as_model(model)
    crops, problems = open_photos(data, model)
    squares, kept, false = [], [], 0
    for place in ProgressBar(range(len(crops)), desc="find", disable=not progress, leave=False):
        try:
            photo = open_photo(crops.images.paths[place])
        except InputError as error:
            problems.append(str(error))
            continue
        boxes = [square(testing_box(face)) for face, _ in find_heads(photo)]
        shared = overlaps(np.array(crops.images.boxes[place]), np.array(boxes).reshape(-1, 4))
        false += int((shared < SAME_HEAD).sum())
        if shared.max(initial=0) >= SAME_HEAD:
            kept.append(place)
            squares.append(boxes[shared.argmax()])
    if not kept:
        raise InputError(f"{data}: no head was found in {len(crops)} photos")
    found = crops.choose(np.array(kept))
    labelled = evaluate(found, model, progress)["mae"]["mean"]
    images = PhotoCrops([crops.images.paths[place] for place in kept], squares, crops.images.size)
    result = evaluate(replace(found, images=images, left_out=crops.left_out), model, progress)
    finder = {"heads": len(crops), "found": len(kept), "false": false, "labelled": labelled}
    return {**result, "finder": finder, "problems": problems + result["problems"]}


def finder_line(result):
    """What evaluate_found() returned of the finder, for people."""
    heads, found, false, labelled = result["finder"].values()
    return (
        f"{found} of {heads} heads were found ({found / heads:.1%}), and {false} false ones "
        f"({false / heads:.3f} a photo); in their labelled boxes the error of those found is {labelled:.2f}"
    )


def open_photos(data, model):
    """open_dataset() for photos on disk alone."""
    if data in RENDERED:
        raise InputError(f"{data} heads are no photos: give --data aflw2000:PATH, for example")
    return open_dataset(data, crop_size(model.input_size), HEADS, SEED)


def robustness(data, model=None, progress=True):
    """Evaluate a model on photos as they are, and on the same photos made worse.

    Args: those of evaluate(); data must be the name of photos on disk.

    Returns:
        {name of the corruption in datasets/corruptions.py: what evaluate() returns}

    Raises:
        InputError: as evaluate(), or the data are rendered.
    """
    model = as_model(model)
    crops, problems = open_photos(data, model)
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
