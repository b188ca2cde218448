"""Pictures that the lessons draw more than once, or that would hide a cell's idea behind plotting."""

import base64
import io

import matplotlib.pyplot as plt
from PIL import Image, ImageDraw

from tinyhpe import graph


def draw_graph(output):
    """Draw a graph of values (lesson 2): name, data and gradient in a box, arrows from input to result.

    Args:
        output: the last value; it and all behind it have `inputs`, `name`, `data` and `grad`.
    """
    graph.draw_graph(
        output,
        lambda value: value.inputs,
        lambda value: f"{value.name}\ndata {value.data:g}\ngrad {value.grad:g}",
    )


def show_row(images, titles, columns=None):
    """Draw images in a row, or in rows of `columns`, with a title above each."""
    images, titles = list(images), list(titles)
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    width = min(2.2, 12.5 / columns)
    _, axes = plt.subplots(rows, columns, figsize=(width * columns, (width + 0.3) * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):  # more places than images
        ax.imshow(image)
        ax.set_title(title, fontsize=9)
    plt.tight_layout()


class FlipBook:
    """Heads one after another, with their poses: a moving picture for Jupyter, without widgets or scripts.

    Args:
        images: (S, S, 3) uint8 each.
        poses: yaw, pitch and roll of each, degrees.
        milliseconds: that each one is shown.
    """

    def __init__(self, images, poses, milliseconds=150):
        self.pages = [Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC) for image in images]
        self.milliseconds = milliseconds
        for page, pose in zip(self.pages, poses, strict=True):
            text = "yaw {:.0f}, pitch {:.0f}, roll {:.0f}".format(*(round(angle) + 0 for angle in pose))
            ImageDraw.Draw(page).text((6, 4), text, "white", font_size=16, stroke_width=1, stroke_fill="black")

    def _repr_html_(self):
        file = io.BytesIO()
        first, *others = self.pages
        first.save(file, "GIF", save_all=True, append_images=others, duration=self.milliseconds, loop=0)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        return f'<img src="data:image/gif;base64,{data}">'
