"""Where the heads are in a photo.

network   of one size: what it answers for every place, and what it should answer
train     python -m tinyhpe.finder.train: drawn crowds in, weights out
"""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from tinyhpe.blas import one_blas_thread
from tinyhpe.finder.network import Finder, decode, normalised
from tinyhpe.pose.boxes import square, testing_box
from tinyhpe.weight_files import open_arrays

WEIGHTS = Path(__file__).parents[1] / "weights" / "finder.safetensors"
MOST_PIXELS = 640 * 480  # of the largest copy of the photo that is looked at
LEAST_PIXELS = 320 * 240  # a photo up to this is looked at as it is, a larger one at half its size or less
SMALLEST_COPY = 16  # its longer side
THRESHOLD, VOTE = 0.95, 0.1  # least score of a face, and of a cell that has a say
SAME = 0.3  # overlap of boxes that are one face
IN_FACE, IN_HEAD = 0.6, 0.5  # part of the smaller of two faces that lies in the other's face, in its head's crop
SMALL = 1 / 3  # of the area of the larger face, for the latter


def load_finder(path):
    """The network with weights that finder/train.py wrote, in evaluation mode; InputError if it did not."""
    finder = Finder()
    with open_arrays(path) as (arrays, _):
        finder.load_state_dict(arrays)
    return finder.eval()


@functools.cache
def shipped_finder():
    """The network that find_heads() asks; loaded once, so nobody changes it."""
    return load_finder(WEIGHTS)


def find_heads(photo):
    """Find the heads in a photo: upright or leaning ones, whose face is seen.

    In a photo of a megapixel, nine of ten faces of 40 pixels are found, two of three of 32, few below 28. Larger
    photos are made smaller before they are looked at, so that time and memory are bounded: there, 40 pixels are
    1/25 of the root of the photo's pixels.

    Args:
        photo: an image of PIL's, or an array (H, W, 3) uint8, RGB.

    Returns:
        a list of (box, score), the surest first. The box is the face's, brows to chin: (x, y, width, height) in
        pixels, floats; the score lies between THRESHOLD and 1.
    """
    image = Image.fromarray(photo) if isinstance(photo, np.ndarray) else photo
    image = image if image.mode == "RGB" else image.convert("RGB")  # which would copy one that is
    width, height = image.size
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    with one_blas_thread():
        for copy, scale in shrunk(image):
            answers = shipped_finder().infer(normalised(np.asarray(copy))[None])[0]
            found, sure = decode(answers, VOTE)
            boxes.append(scale * found)
            scores.append(sure)
    return [
        (tuple(box.tolist()), float(score))
        for box, score in merge(np.concatenate(boxes), np.concatenate(scores))
        if score > THRESHOLD and 0 < box[0] + box[2] / 2 < width and 0 < box[1] + box[3] / 2 < height
    ]


def shrunk(image):
    """Yield (copy of the image, how many times smaller), each half as large as the one before."""
    scale, pixels = 1, image.width * image.height
    while pixels / scale**2 > (MOST_PIXELS if scale > 1 else LEAST_PIXELS):
        scale += 1
    copy = image.reduce(scale)
    while max(copy.size) >= SMALLEST_COPY:
        yield copy, scale
        copy, scale = copy.reduce(2), 2 * scale


def merge(boxes, scores):
    """The faces that many boxes (n, 4) with scores (n,) mean, as a list of (box, score), the surest first.

    Boxes that overlap the surest one are one face: their mean, each weighing as much as its score. Its score is
    1 - the product of (1 - score): a face is seen by several cells, what only looks like one often by one. Of two
    faces of which one lies in the other, such as a mouth that was taken for a face, the surer is kept. And what
    is small beside a surer face, inside the crop of that head, is an ear, a lock or a hand.
    """
    faces, left = [], np.argsort(-scores, kind="stable")
    while len(left):
        same = overlaps(boxes[left[0]], boxes[left]) > SAME  # the surest one, too
        votes = scores[left[same]]
        faces.append((votes @ boxes[left[same]] / votes.sum(), 1 - np.prod(1 - votes)))
        left = left[~same]
    kept = []
    for box, score in sorted(faces, key=lambda face: -face[1]):
        if not any(is_part(box, other) for other, _ in kept):
            kept.append((box, score))
    return kept


def is_part(box, surer):
    """Whether a box is a part of a surer face or of its head, or the face a part of what the box takes for one."""
    if shared_area(box, surer) >= IN_FACE * min(area(box), area(surer)):
        return True
    head = np.array(square(testing_box(surer)))
    return area(box) < SMALL * area(surer) and shared_area(box, head) > IN_HEAD * area(box)


def overlaps(box, boxes):
    """Intersection over union of a box (4,) with each of the boxes (n, 4)."""
    shared = shared_area(box, boxes)
    return shared / (area(box) + area(boxes) - shared)


def shared_area(box, boxes):
    """The area that a box (4,) shares with each of the boxes (..., 4)."""
    start = np.maximum(box[:2], boxes[..., :2])
    end = np.minimum(box[:2] + box[2:], boxes[..., :2] + boxes[..., 2:])
    return np.maximum(end - start, 0).prod(axis=-1)


def area(boxes):
    """The area of boxes (..., 4)."""
    return boxes[..., 2] * boxes[..., 3]
