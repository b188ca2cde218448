"""Train the finder on drawn crowds: python -m tinyhpe.finder.train OUT.safetensors

Nothing is random but by the seed. The crowds are rendered by all cores, kept in memory (77 kB each), and training
takes parts of them, again and again others.
"""

import argparse
from functools import partial

import numpy as np
from PIL import Image

from tinyhpe.blas import one_blas_thread
from tinyhpe.datasets.augment import gaussian_blur, gaussian_noise, on_some
from tinyhpe.datasets.rendered import in_parallel
from tinyhpe.finder import load_finder
from tinyhpe.finder.network import SIZES, STRIDE, Finder, encode, loss, normalised
from tinyhpe.heads.crowd import MOST_HIDDEN, Crowd, render_crowd
from tinyhpe.optim import Adam, cosine
from tinyhpe.progress import ProgressBar
from tinyhpe.tensor import Tensor
from tinyhpe.weight_files import save_arrays

SIDE, BATCH, LR = 112, 20, 5e-3  # pixels of what is seen at once
PARTS = (80, 160)  # sides of the parts of a crowd that become it
AT_A_FACE = 0.7  # of the parts hold a face of a size that is to be found
BRIGHTNESS, CONTRAST, COLOUR, ASPECT = 0.3, 0.25, 0.1, 0.08  # deviations of the logarithms
GREY, BLURRED, NOISY = 0.2, 0.3, 0.4  # of the parts


def train(finder, crowds, steps, seed=0):
    """Train a finder on a list of Crowds; returns it, in evaluation mode."""
    rng = np.random.default_rng(seed)
    faces = [(crowd, box) for crowd in crowds for box in crowd.boxes[~crowd.hidden] if can_be_shown(box)]
    optimizer = Adam(finder.parameters(), LR)
    for step in (bar := ProgressBar(range(steps), "finder", unit="step")):
        images, *labels = draw_batch(crowds, faces, rng)
        optimizer.lr = cosine(LR, step / steps)
        finding, fitting = loss(finder(Tensor(images)), *labels)
        optimizer.zero_grad()
        (finding + fitting).backward()
        optimizer.step()
        bar.set_postfix_str(f"finding {finding.item():.3f} fitting {fitting.item():.3f}", refresh=False)
    return finder.eval()


def can_be_shown(box):
    """Whether a part of a crowd can show the face as large as it is to be found."""
    size = np.sqrt(box[2] * box[3]) * SIDE
    return SIZES[0] * PARTS[0] <= size <= SIZES[1] * PARTS[1]


def draw_batch(crowds, faces, rng):
    """Random parts of crowds (BATCH, SIDE, SIDE, 3), normalised, and what encode() says of each, stacked."""
    images, labels = [], []
    for at_a_face in rng.random(BATCH) < AT_A_FACE:
        crowd, face = faces[rng.integers(len(faces))] if at_a_face else (crowds[rng.integers(len(crowds))], None)
        image, boxes, hidden = vary(crowd, face, rng)
        images.append(image)
        labels.append(encode(boxes, hidden, SIDE // STRIDE, SIDE // STRIDE))
    images = np.stack(images)
    on_some(images, BLURRED, gaussian_blur, rng)
    on_some(images, NOISY, gaussian_noise, rng)
    return normalised(images), *map(np.stack, zip(*labels, strict=True))


def vary(crowd, face, rng):
    """A part of a crowd with one of its faces or, without one, anywhere, as a Crowd of SIDE x SIDE pixels: half of
    them mirrored, brighter or darker, of another tint."""
    size, side = len(crowd.image), np.exp(rng.uniform(*np.log(PARTS)))
    corner = rng.uniform(0, size - side, 2)
    if face is not None:
        x, y, width, height = face
        wanted = np.exp(rng.uniform(*np.log(SIZES)))
        side = np.clip(SIDE * np.sqrt(width * height) / wanted, *PARTS)
        corner = np.clip(rng.uniform((x + width - side, y + height - side), (x, y)), 0, size - side)
    sides = np.minimum(side * np.exp(rng.normal(0, ASPECT, 2)), size - corner)
    part = Image.fromarray(crowd.image).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR, (*corner, *(corner + sides))
    )
    image, boxes = np.asarray(part), (crowd.boxes - (*corner, 0, 0)) * np.tile(SIDE / sides, 2)
    if rng.random() < 0.5:
        image, boxes[:, 0] = image[:, ::-1], SIDE - boxes[:, 0] - boxes[:, 2]
    inside = np.minimum(boxes[:, :2] + boxes[:, 2:], SIDE) - np.maximum(boxes[:, :2], 0)
    hidden = crowd.hidden | (np.maximum(inside, 0).prod(axis=1) < (1 - MOST_HIDDEN) * boxes[:, 2:].prod(axis=1))
    gain = np.exp(rng.normal(0, BRIGHTNESS) + rng.normal(0, COLOUR, 3))
    image = (image * gain - 128) * np.exp(rng.normal(0, CONTRAST)) + 128
    if rng.random() < GREY:
        image = np.broadcast_to(image.mean(axis=2, keepdims=True), image.shape)
    return Crowd(np.clip(image, 0, 255).astype(np.uint8), boxes, hidden)


def render_chunk(seed, places):
    """Some of the crowds of a seed."""
    return [render_crowd((seed, place)) for place in places]


def save(path, finder):
    """Write the weights: matrices and convolutions in float16, which is half as much."""
    arrays = finder.state_dict()
    narrow = {name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()}
    save_arrays(path, narrow, {"network": "finder"})


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tinyhpe.finder.train", description="Train the finder of heads."
    )
    parser.add_argument("out", help="file of weights to write, such as finder.safetensors")
    parser.add_argument("--crowds", type=int, default=5600, help="pictures to render (default: 5600)")
    parser.add_argument("--steps", type=int, default=7500, help=f"of {BATCH} parts of pictures (default: 7500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", help="file of weights to start from")
    options = parser.parse_args()
    finder = load_finder(options.init).train() if options.init else Finder(options.seed)
    chunks = in_parallel(partial(render_chunk, options.seed), options.crowds, None, True)
    crowds = [crowd for chunk in chunks for crowd in chunk]
    with one_blas_thread():
        save(options.out, train(finder, crowds, options.steps, options.seed))


if __name__ == "__main__":
    main()
