"""The paper's figures from our results, as SVG for a page: text and lines take the colour of the page's text."""

import io
import itertools
import re

import numpy as np
from PIL import Image

from tinyhpe.datasets.corruptions import CORRUPTIONS
from tinyhpe.datasets.crops import PhotoCrops
from tinyhpe.pose.angles import geodesic
from tinyhpe.pose.draw import draw_axes
from tinyhpe.pose.levels import LEVEL_DEGREES, RANGE_DEGREES
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.pose.sampling import W300LP_PITCH, W300LP_ROLL, W300LP_YAW
from tinyhpe.prediction import predict_crops
from tinyhpe.reproduce.outcomes import of_seeds
from tinyhpe.train.plot import figure_class

INK = "#010203"  # stands for the colour of the page's text
COLOURS = ["#3b82c4", "#d9822b", "#3a9d6e", "#b357a3", "#8a8f3c", "#c4504b", "#6f6fc9", "#4aa3a8", "#9a7456"]
STYLE = {
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "svg.fonttype": "none",
    "svg.hashsalt": "tinyhpe",  # the same results give the same page
    "font.size": 9,
}
SEEN = {"large angle": None} | {
    title: CORRUPTIONS[name]
    for title, name in (
        ("a quarter hidden", "a quarter hidden"),
        ("dark x 0.25", "brightness x 0.25"),
        ("blurred", "blur, sigma 6"),
    )
}
SHOWN = 180  # pixels of a head in Fig. 5


def svg(draw, columns=1, rows=1, width=3.6, height=2.8):
    """Let draw(panels) fill rows x columns panels, and return the SVG; a panel's width and height in inches."""
    figure = figure_class()  # first of all matplotlib
    import matplotlib

    with matplotlib.rc_context(STYLE | {"axes.prop_cycle": matplotlib.cycler(color=COLOURS)}):
        figure = figure(figsize=(width * columns, height * rows), layout="constrained")
        draw(figure.subplots(rows, columns, squeeze=False))
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(["Date", "Creator"]))
    text = file.getvalue()
    text = re.sub("<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub('<g id="[^"]*"', "<g", text)  # each figure of a page has an axes_1
    return text.replace(INK, "currentColor")


def explain(axes):
    """Add a legend, if there is anything to explain: all trainings may have failed."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def convergence(results, images):
    """Fig. 3: the ranking loss by images seen, and by time.

    Args:
        images: in an epoch.
    """

    def draw(panels):
        by_images, by_time = panels[0]
        for name, of_name in results.items():
            curves = [ranking_curve(result) for result in of_name if "history" in result]
            if not curves:
                continue
            losses, times = np.mean(curves, axis=0)
            by_images.plot(images * np.arange(1, len(losses) + 1) / 1000, losses, marker=".", label=name)
            by_time.plot(times, losses, marker=".", label=name)
        by_images.set(xlabel="thousand images through the backbone", ylabel="ranking loss")
        by_time.set(xlabel="seconds of training")
        explain(by_time)

    return svg(draw, 2)


def ranking_curve(result):
    """(loss, seconds so far) of each epoch that ranks, (2, epochs); the loss is the mean of the angles'."""
    ranked = [entry for entry in result["history"] if entry["stage"] == "ranking"]
    return [np.mean([entry[a] for a in ANGLES]) for entry in ranked], result["times"][: len(ranked)]


def histograms(poses):
    """Fig. 4: how often each level of 3 degrees occurs, for 300W-LP and each of {title: poses (N, 3)}."""
    edges = np.arange(-RANGE_DEGREES, RANGE_DEGREES + 1, LEVEL_DEGREES)

    def draw(panels):
        for i, (axes, angle) in enumerate(zip(panels[0], ANGLES, strict=True)):
            counts = {"300W-LP (the paper)": (W300LP_YAW, W300LP_PITCH, W300LP_ROLL)[i][1:-1]}
            counts |= {title: np.histogram(of_set[:, i], edges)[0] for title, of_set in poses.items()}
            for title, count in counts.items():
                axes.stairs(100 * count / count.sum(), edges, label=title)
            axes.set(title=angle, xlabel="degrees")
        panels[0, 0].set_ylabel("% of the images")
        panels[0, 2].legend(fontsize=7)

    return svg(draw, 3)


def heads_with_axes(model, crops, size):
    """Fig. 5: the axes of the label (above) and of the prediction (below), on heads of photos.

    Args:
        crops: HeadCrops of photos on disk.
        size: of the crops that the model takes, pixels.
    """
    profile = int(np.abs(crops.poses[:, 0]).argmax())
    places = [profile, *[place for place in range(len(crops)) if place != profile][: len(SEEN) - 1]]

    def draw(panels):
        for column, (place, (title, change)) in enumerate(zip(places, SEEN.items(), strict=True)):
            path, box, pose = [crops.images.paths[place]], [crops.images.boxes[place]], crops.poses[place]
            predicted = predict_crops(model, PhotoCrops(path, box, size, change)[:])[0]
            head = Image.fromarray(PhotoCrops(path, box, SHOWN, change)[0])
            error = geodesic(predicted, pose)
            for axes, shown, text in zip(
                panels[:, column], (pose, predicted), (title, f"{error:.1f} degrees off"), strict=True
            ):
                axes.imshow(np.asarray(draw_axes(head, shown, (SHOWN / 2, SHOWN / 2), SHOWN / 3)))
                axes.set_title(text)
                axes.axis("off")

    return svg(draw, len(SEEN), 2, 2.2, 2.3)


def loss_curves(results):
    """Figs. 6 to 8: the losses of each angle over the epochs, for {title: the results of a method's seeds}."""

    def draw(panels):
        for axes, (title, of_name) in zip(panels[0], results.items(), strict=True):
            histories = [result["history"] for result in of_name if "history" in result]
            for part in list(histories[0][0])[2:] if histories else ():
                losses = np.mean([[entry[part] for entry in history] for history in histories], axis=0)
                axes.plot(np.arange(1, len(losses) + 1), losses, marker=".", label=part)
            for epoch in stage_changes(histories[0]) if histories else ():
                axes.axvline(epoch + 0.5, color=INK, lw=0.8, ls=":")
            axes.set(title=title, xlabel="epoch")
        panels[0, 0].set_ylabel("loss")
        explain(panels[0, -1])

    return svg(draw, len(results))


def stage_changes(history):
    """The epochs after which another stage begins."""
    return [a["epoch"] for a, b in itertools.pairwise(history) if a["stage"] != b["stage"]]


def errors(results, test, paper):
    """Fig. 9: mean absolute errors of each method, ours as dots with their spread, the paper's as diamonds.

    Args:
        test: the test set.
        paper: {name: (yaw, pitch, roll, mean)}, of those that it has.
    """

    def draw(panels):
        for i, (axes, angle) in enumerate(zip(panels[0], (*ANGLES, "mean"), strict=True)):
            for row, (name, of_name) in enumerate(results.items()):
                ours = list(of_seeds(of_name, "tests", test, "mae", angle).values())
                if ours:
                    axes.errorbar(np.mean(ours), row, xerr=np.std(ours), fmt="o", color=COLOURS[0])
                if name in paper:
                    axes.plot(paper[name][i], row, "D", color=COLOURS[1], markerfacecolor="none")
            axes.set(title=angle, xlabel="degrees", ylim=(len(results) - 0.5, -0.5), yticks=[])
            axes.set_xlim(left=0)
        panels[0, 0].set_yticks(range(len(results)), results)

    return svg(draw, 4, width=2.6, height=0.8 + 0.28 * len(results))
