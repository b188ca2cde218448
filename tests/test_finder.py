"""The finder: its cells against loops, its boxes against what was drawn, its figures against real photos."""

import math

import numpy as np
import pytest
from PIL import Image

import tinyhpe
from tinyhpe.errors import InputError
from tinyhpe.finder import MOST_PIXELS, find_heads, load_finder, merge, network, overlaps, shrunk, train
from tinyhpe.finder.network import STRIDE, UNIT, Finder, decode, encode
from tinyhpe.heads import render_head
from tinyhpe.heads.crowd import Crowd, render_crowd
from tinyhpe.nn.module import evaluation
from tinyhpe.tensor import Tensor


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def crowds():
    return [render_crowd((5, number), 160) for number in range(4)]


def overlap(a, b):
    """Intersection over union of two boxes, by the book."""
    width = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    height = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def test_decoding_agrees_with_a_loop_over_cells(rng):
    answers = rng.normal(0, 1, (5, 7, 5))
    expected = []
    for row in range(5):
        for column in range(7):
            logit, right, down, wide, high = answers[row, column]
            score = 1 / (1 + math.exp(-logit))
            if score > 0.6:
                width, height = UNIT * math.exp(wide), UNIT * math.exp(high)
                x, y = STRIDE * (column + right) + 0.5, STRIDE * (row + down) + 0.5
                expected.append([x - width / 2, y - height / 2, width, height, score])
    boxes, scores = decode(answers, 0.6)
    assert 5 < len(boxes) < 20
    np.testing.assert_allclose(np.column_stack([boxes, scores]), expected)


def test_merging_agrees_with_a_loop_over_pairs(rng):
    boxes, scores = rng.uniform((0, 0, 8, 8), (60, 60, 30, 30), (60, 4)), rng.random(60)
    left, faces, expected = sorted(range(60), key=lambda i: -scores[i]), [], []
    while left:
        same = [i for i in left if overlap(boxes[left[0]], boxes[i]) > 0.3]
        missed = math.prod(1 - scores[i] for i in same)
        faces.append((1 - missed, sum(scores[i] * boxes[i] for i in same) / sum(scores[i] for i in same)))
        left = [i for i in left if i not in same]
    for score, a in sorted(faces, key=lambda face: -face[0]):
        inside = False
        for _, b in expected:
            width = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
            height = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
            inside |= width * height >= 0.6 * min(a[2] * a[3], b[2] * b[3])
            # the crop of b's head: 0.4 of its sides are added left, right and above, some below, made square
            wide, high = b[2] * 1.4 * 1.4, b[3] * 1.4 * 1.12
            side, x, y = max(wide, high), b[0] - 0.4 * b[2] + wide / 2, b[1] - 0.4 * b[3] + high / 2
            width = max(0, min(a[0] + a[2], x + side / 2) - max(a[0], x - side / 2))
            height = max(0, min(a[1] + a[3], y + side / 2) - max(a[1], y - side / 2))
            small = 3 * a[2] * a[3] < b[2] * b[3]
            inside |= small and width * height > 0.5 * a[2] * a[3]
        if not inside:
            expected.append((score, a))
    heads = merge(boxes, scores)
    assert 5 < len(heads) < len(faces) < 40
    for (box, score), (sure, wanted) in zip(heads, expected, strict=True):
        np.testing.assert_allclose(box, wanted)
        assert score == pytest.approx(sure)
    np.testing.assert_allclose(overlaps(boxes[0], boxes), [overlap(boxes[0], box) for box in boxes])


def test_what_the_network_is_taught_decodes_to_the_faces_that_were_drawn():
    faces = [(10.0, 12.0, 14.0, 18.0), (60.0, 50.0, 30.0, 28.0), (100.5, 20.25, 11.0, 14.0)]
    others = [(4.0, 90.0, 6.0, 6.0), (80.0, 90.0, 60.0, 70.0), (40.0, 90.0, 20.0, 20.0)]  # small, large, hidden
    hidden = np.array([False] * 5 + [True])
    wanted, counts, answers = encode(np.array(faces + others), hidden, 18, 20)
    taught = np.dstack([20 * wanted - 10, answers])
    assert wanted.sum() > 2 * 3
    assert not counts[13, 6]  # in the middle of the hidden one
    assert counts[11, 1]
    found = merge(*decode(taught, 0.5))
    assert sorted(tuple(np.round(box, 3)) for box, _ in found) == faces


def test_the_network_answers_for_cells_whatever_the_size(rng):
    finder, picture = Finder().eval(), rng.normal(size=(1, 90, 70, 3)).astype(np.float32)
    answers = finder.infer(picture)
    assert answers.shape == (1, 12, 9, 5)
    moved = np.zeros((1, 90 + 2 * STRIDE, 70 + STRIDE, 3), np.float32)
    moved[:, 2 * STRIDE :, STRIDE:] = picture
    # far from an edge a cell does not know where it is
    np.testing.assert_allclose(finder.infer(moved)[0, 2 + 7, 1 + 4], answers[0, 7, 4], atol=0.3)


def test_pixels_and_boxes_of_a_crowd_are_cut_mirrored_and_stretched_together(rng):
    picture, box = np.zeros((160, 160, 3), np.uint8), np.array([60, 70, 24, 30])
    picture[70:100, 60:84] = 255
    for _ in range(40):
        part = train.vary(Crowd(picture, box[None].astype(np.float32), np.array([False])), box, rng)
        grey = part.image.mean(axis=2)
        rows, columns = np.nonzero(grey > (grey.min() + grey.max()) / 2)
        x, y, width, height = part.boxes[0]
        expected = np.clip([x, y, x + width, y + height], 0, train.SIDE)  # stretched, a side may lie outside
        drawn = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(drawn, expected, atol=1.5)
        assert not part.hidden[0]


def test_training_brings_the_losses_down_and_what_it_saves_is_what_it_learned(crowds, tmp_path, rng):
    finder = Finder()
    faces = [(crowd, box) for crowd in crowds for box in crowd.boxes]
    images, *labels = train.draw_batch(crowds, faces, rng)

    def error():
        with evaluation():
            return sum(loss.item() for loss in network.loss(finder.train()(Tensor(images)), *labels))

    before = error()
    train.train(finder, crowds, 8)
    train.save(tmp_path / "finder.safetensors", finder)
    again = load_finder(tmp_path / "finder.safetensors").infer(images)
    np.testing.assert_allclose(again, finder.infer(images), atol=0.05)
    assert not finder.training
    assert error() < before


def test_drawn_heads_are_found_and_little_else():
    visible = found = false = 0
    for number in range(30):
        crowd = render_crowd((10**6, number), 200)
        heads = find_heads(crowd.image)
        for face, hidden in zip(crowd.boxes, crowd.hidden, strict=True):
            if not hidden and min(face[2:]) > 18:
                visible += 1
                found += any(overlap(face, box) > 0.4 for box, _ in heads)
        false += sum(all(overlap(face, box) < 0.2 for face in crowd.boxes) for box, _ in heads)
    assert visible > 20
    assert found >= 0.75 * visible, (found, visible)
    assert false <= 12, false


def two_heads():
    """A large head on the right, a smaller one on the left, and their boxes."""
    photo, boxes = Image.new("RGB", (420, 300), (90, 110, 120)), []
    for seed, side, place in ((31, 120, (20, 60)), (33, 240, (160, 40))):
        head = render_head(seed, side, (20, 0, 0), margin=0.6)
        photo.paste(Image.fromarray(head.image), place)
        boxes.append((*(head.landmarks.min(axis=0) + place), *np.ptp(head.landmarks, axis=0)))
    return photo, boxes


def test_of_two_heads_both_are_posed_the_larger_one_first():
    photo, (small, large) = two_heads()
    heads = tinyhpe.predict_heads(photo)
    assert [overlap(head.box, box) > 0.6 for head, box in zip(heads, (large, small), strict=True)] == [True, True]
    assert all(abs(head.yaw - 20) < 15 for head in heads)
    assert tinyhpe.predict(photo) == heads[0]
    assert tinyhpe.predict_heads(photo, small)[0].box == pytest.approx(small, abs=0.01)


@pytest.mark.parametrize(
    "change", [lambda p: p.convert("L"), lambda p: np.asarray(p), lambda p: p.resize((4200, 3000))]
)
def test_grey_photos_arrays_and_photos_of_many_megapixels_have_the_same_heads(change):
    photo, boxes = two_heads()
    changed = change(photo)
    scale = getattr(changed, "width", photo.width) / photo.width
    heads = sorted(find_heads(changed), key=lambda head: head[0][2])
    assert [overlap(np.array(head) / scale, box) > 0.5 for (head, _), box in zip(heads, boxes, strict=True)]


@pytest.mark.parametrize("size", [(16, 16), (300, 200), (640, 480), (4000, 3000), (16, 9000), (12000, 1000)])
def test_what_is_looked_at_is_bounded_and_half_as_large_each_time(size):
    copies = list(shrunk(Image.new("RGB", size)))
    assert sum(copy.width * copy.height for copy, _ in copies) < 1.5 * MOST_PIXELS
    for copy, scale in copies:
        assert copy.size == tuple(math.ceil(side / scale) for side in size)
    assert [scale / copies[0][1] for _, scale in copies] == [2**level for level in range(len(copies))]


def test_where_no_head_is_found_the_user_is_told_and_the_middle_is_taken_if_asked():
    photo = np.full((200, 300, 3), 120, np.uint8)
    assert find_heads(photo) == []
    assert tinyhpe.predict_heads(photo) == []
    with pytest.raises(InputError, match=r"^the image: no head was found; .* box=\"middle\" \(--box middle\)$"):
        tinyhpe.predict(photo)
    assert tinyhpe.predict(photo, "middle").box == pytest.approx((107.4, 80.4, 85.2, 83.6))
