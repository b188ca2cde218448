"""Crops against naive loops; data sets made in their layouts on disk."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.crops import PhotoCrops, crop_photo
from tinyhpe.datasets.w300lp import load_300wlp
from tinyhpe.errors import InputError


def photo(width=100, height=80, seed=0):
    pixels = np.random.default_rng(seed).integers(1, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


# ---------------------------------------------------------------------------------------------------- pixels


def test_a_crop_of_its_own_size_is_the_pixels_themselves_and_black_outside():
    image = photo()
    expected = np.zeros((50, 50, 3), np.uint8)
    expected[20:, 10:] = np.asarray(image)[:30, :40]
    assert (crop_photo(image, (-10, -20, 50, 50), 50) == expected).all()
    expected = np.zeros((50, 50, 3), np.uint8)
    expected[:10, :20] = np.asarray(image)[70:, 80:]
    assert (crop_photo(image, (80, 70, 50, 50), 50) == expected).all()


def triangle_resize(pixels, x, y, side, size):
    """Antialiased bilinear resizing by definition: weights fall linearly to 0 at one output pixel's distance."""

    def weights(start):
        step = side / size
        centres = start + (np.arange(size) + 0.5) * step
        places = np.arange(pixels.shape[0]) + 0.5
        weight = np.maximum(0, 1 - np.abs(places - centres[:, None]) / max(step, 1))
        return weight / weight.sum(1, keepdims=True)

    return np.einsum("iy,jx,yxc->ijc", weights(y), weights(x), pixels.astype(float))


@pytest.mark.parametrize("box", [(20, 30, 60, 60), (20.5, 30.25, 50, 50), (17.3, 41.9, 33.3, 33.3)])
def test_a_crop_is_resized_with_antialiasing_from_a_box_between_pixels(box):
    image = photo(120, 120)
    expected = triangle_resize(np.asarray(image), *box[:3], size=20)
    found = crop_photo(image, box, 20).astype(float)
    inner = (slice(2, -2),) * 2  # at the edges Pillow looks no further than the box
    assert np.abs(found - expected)[inner].max() <= 1.01


def test_a_crop_shows_the_same_part_whether_or_not_the_photo_is_reduced_first():
    # A smooth picture, so that all good ways of shrinking agree: red rises to the right, green downwards.
    y, x = np.mgrid[:1000, :1000] / 1000 * 255
    image = Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))
    crop = crop_photo(image, (103, 207, 770, 770), 16).astype(float)
    centres = (np.arange(16) + 0.5) * 770 / 16
    inner = slice(1, -1)  # at the edges Pillow looks no further than the box
    assert np.abs(crop[:, :, 0] - (103 + centres) * 0.255)[:, inner].max() < 2
    assert np.abs(crop[:, :, 1].T - (207 + centres) * 0.255)[:, inner].max() < 2


def test_a_huge_box_costs_little_memory(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", (8 * 32) ** 2)  # Pillow's crop() keeps to it as well
    crop = crop_photo(photo(600, 600), (-2000, -2000, 5900, 5900), 32)
    assert crop[0].max() == 0
    assert crop.max() > 50


# ------------------------------------------------------------------------------------------- folders on disk


def add_head(folder, name, degrees=(10, 20, 30), key="pt2d", rows=2, **changes):
    """A photo with labels: degrees of yaw, pitch, roll; a face box of 30x40 pixels at (40, 30)."""
    folder.mkdir(parents=True, exist_ok=True)
    photo(120, 100).save(folder / f"{name}.jpg")
    landmarks = np.random.default_rng(1).uniform(0, 1, (3, 68))
    landmarks[:, 0], landmarks[:, 1] = 0, 1
    landmarks = landmarks * [[30], [40], [1]] + [[40], [30], [0]]
    yaw, pitch, roll = np.deg2rad(degrees)
    content = {
        "Pose_Para": np.array([[pitch, yaw, roll, 1, 2, 3, 4]], np.float32),
        key: landmarks[:rows],
        **changes,
    }
    savemat(folder / f"{name}.mat", {k: v for k, v in content.items() if v is not None})
    return folder / f"{name}.mat"


def open_it(kind, folder):
    return open_dataset(f"{kind}:{folder}", size=24, count=None, seed=None)


def test_300w_lp_is_read_from_its_folders_with_poses_in_degrees_and_boxes_widened_at_random(tmp_path):
    add_head(tmp_path / "AFW", "AFW_1_0", (10, 20, 30))
    add_head(tmp_path / "AFW_Flip", "AFW_1_0", (-10, 20, -30))
    for i in range(20):
        add_head(tmp_path / "IBUG", f"image_{i:02}", (99, -98, 0))
    # what else lies in the published archive
    add_head(tmp_path / "landmarks" / "AFW", "AFW_1_0_pts", pts_2d=np.zeros((68, 2)))
    (tmp_path / "landmarks" / "AFW" / "AFW_1_0_pts.jpg").unlink()
    add_head(tmp_path / "Code" / "ModelGeneration", "Model_Shape")

    crops, problems = open_it("300wlp", tmp_path)
    assert (problems, crops.left_out, len(crops)) == ([], 0, 22)
    assert crops.poses[:3] == pytest.approx(np.array([[10, 20, 30], [-10, 20, -30], [99, -98, 0]]), abs=1e-4)
    assert [name.replace("\\", "/") for name in crops.names[:2]] == ["AFW/AFW_1_0.jpg", "AFW_Flip/AFW_1_0.jpg"]

    # the longer side is the height: 40 (1 + 2k)(1 + 0.6k), which grows with k
    sides = np.array([side for _, _, side, _ in crops.images.boxes])
    least, most = (40 * (1 + 2 * k) * (1 + 0.6 * k) for k in (0.2, 0.4))
    assert least < sides.min() < least + (most - least) / 4
    assert most - (most - least) / 4 < sides.max() < most
    again, _ = load_300wlp(tmp_path, 24, seed=0, progress=False)
    other, _ = load_300wlp(tmp_path, 24, seed=1, progress=False)
    assert again.images.boxes == crops.images.boxes != other.images.boxes


def test_aflw2000_is_cropped_from_pt3d_68_because_its_pt2d_has_holes(tmp_path):
    add_head(tmp_path, "image00002", key="pt3d_68", rows=3, pt2d=-np.ones((2, 21)))
    crops, problems = open_it("aflw2000", tmp_path)
    assert problems == []
    # by hand: 30x40 at (40, 30): x 40 - 12 = 28, width 42 * 1.4 = 58.8; y 30 - 16 = 14, height 56 * 1.12 = 62.72
    assert crops.images.boxes[0] == pytest.approx((28 + (58.8 - 62.72) / 2, 14, 62.72, 62.72), abs=1e-4)
    assert crops.images[np.array([0])].shape == (1, 24, 24, 3)


def test_absurd_labels_are_dropped_and_counted_and_99_degrees_are_not_absurd(tmp_path):
    for name, degrees in {"a": (98.99, 0, 0), "b": (0, 99.5, 0), "c": (0, 0, -170), "d": (5, 5, 5)}.items():
        add_head(tmp_path, name, degrees)
    crops, problems = open_it("300wlp", tmp_path)
    assert (crops.names, crops.left_out, problems) == (["a.jpg", "d.jpg"], 2, [])


def cut(mat, part):
    content = mat.read_bytes()
    mat.write_bytes(content[: int(len(content) * part)])


def cut_photo(mat):
    path = mat.with_suffix(".jpg")
    path.write_bytes(path.read_bytes()[:900])


NAN = np.full((1, 7), np.nan, np.float32)
BAD_HEADS = {  # reason -> (labels changed, damage done to the .mat or to its twin)
    "Pose_Para is missing": ({"Pose_Para": None}, None),
    "pt2d is missing": ({"pt2d": None}, None),
    "NaN": ({"Pose_Para": NAN}, None),
    "not a number": ({"pt2d": np.full((2, 68), np.inf)}, None),
    "(2, 21)": ({"pt2d": np.zeros((2, 21))}, None),
    "Pose_Para is (1, 2)": ({"Pose_Para": np.zeros((1, 2))}, None),
    "not hold numbers": ({"Pose_Para": "0.1 0.2 0.3 0.4 0.5"}, None),
    "does not hold": ({"pt2d": np.full((2, 68), "x", object)}, None),
    "damaged or truncated": ({}, lambda mat: cut(mat, 0.5)),
    "damaged or truncated (": ({}, lambda mat: cut(mat, 0)),
    "the photo is missing": ({}, lambda mat: mat.with_suffix(".jpg").unlink()),
    "the labels are missing": ({}, lambda mat: mat.unlink()),
    "jpg: damaged or truncated": ({}, cut_photo),
    "not an image": ({}, lambda mat: mat.with_suffix(".jpg").write_bytes(b"")),
    "at least 1 pixel": ({"pt2d": np.full((2, 68), 50.0)}, None),
    "outside the photo": ({"pt2d": np.random.default_rng(0).uniform(500, 600, (2, 68))}, None),
}


@pytest.mark.parametrize("reason", BAD_HEADS)
def test_one_bad_head_is_reported_before_training_and_the_others_are_kept(reason, tmp_path):
    for name in ("a", "b", "d"):
        add_head(tmp_path, name)
    changes, damage = BAD_HEADS[reason]
    mat = add_head(tmp_path, "c", **changes)
    if damage:
        damage(mat)
    crops, problems = open_it("300wlp", tmp_path)
    assert crops.names == ["a.jpg", "b.jpg", "d.jpg"]
    (problem,) = problems
    assert reason in problem
    assert problem.startswith(str(tmp_path / "c."))
    assert "\n" not in problem
    crops.images[:]


def test_a_label_file_cut_anywhere_is_reported_or_still_right(tmp_path):
    add_head(tmp_path, "a")
    mat = add_head(tmp_path, "b")
    content = mat.read_bytes()
    for length in range(0, len(content), 61):
        mat.write_bytes(content[:length])
        crops, problems = open_it("300wlp", tmp_path)
        assert len(crops) + len(problems) == 2
        assert crops.poses == pytest.approx(np.tile([10, 20, 30], (len(crops), 1)), abs=1e-4)


def add_pointing(folder, name, text="{name}.jpg\n\nFace\n60\n50\n30\n40\n"):
    folder.mkdir(parents=True, exist_ok=True)
    photo(120, 100).save(folder / f"{name}.jpg")
    if text is not None:
        (folder / f"{name}.txt").write_text(text.format(name=name))


def test_pointing04_is_read_from_names_and_face_boxes_and_bad_ones_are_reported(tmp_path):
    add_pointing(tmp_path / "Person01", "person01100-90+0")
    add_pointing(tmp_path / "Person01", "person01165+15-75")
    for person, (name, text) in enumerate(
        [
            ("person02100+0+0", None),
            ("person02101+0+0", "person02101+0+0.jpg\n\nFace\n60\n50\n"),
            ("person02102+0+0", "person02102+0+0.jpg\n\nFace\nx\ny\nw\nh\n"),
            ("person02103+0+0", "person02103+0+0.jpg\n\nFace\n60\n50\nnan\n40\n"),
            ("person02104", "person02104.jpg\n\nFace\n60\n50\n30\n40\n"),
        ],
        start=2,
    ):
        add_pointing(tmp_path / f"Person{person:02}", name, text)
    crops, problems = open_it("pointing04", tmp_path)
    assert crops.poses.tolist() == [[0, -90, 0], [-75, 15, 0]]
    # 30x40 about (60, 50), so at (45, 30); widened as for AFLW2000 above
    assert crops.images.boxes[0] == pytest.approx((33 + (58.8 - 62.72) / 2, 14, 62.72, 62.72))
    for problem, words in zip(
        problems, ("no such file", "no face box", "no face box", "NaN", "tilt and pan"), strict=True
    ):
        assert words in problem
        assert "person02" in problem
        assert "\n" not in problem


def test_a_folder_without_anything_usable_and_a_wrong_name_say_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    add_head(tmp_path / "bad", "a", Pose_Para=NAN)
    add_head(tmp_path / "absurd", "a", (120, 0, 0))
    for spec, words in {
        f"300wlp:{tmp_path / 'nowhere'}": "data/README.md",
        f"aflw2000:{tmp_path / 'empty'}": "no .mat files",
        f"pointing04:{tmp_path / 'empty'}": "no person",
        f"300wlp:{tmp_path / 'bad'}": "NaN",
        f"300wlp:{tmp_path / 'absurd'}": "all 1 have angles beyond 99",
        "300wlp:": "300wlp:PATH",
        "biwi:here": "unknown data 'biwi:here'",
    }.items():
        with pytest.raises(InputError, match=words) as caught:
            open_dataset(spec, size=24, count=None, seed=None)
        assert "\n" not in str(caught.value)


def test_crops_are_decoded_for_one_index_a_slice_or_an_array_in_its_order(tmp_path):
    for i in range(4):
        photo(seed=i).save(tmp_path / f"{i}.png")
    crops = PhotoCrops([tmp_path / f"{i}.png" for i in range(4)], [(0, 0, 30, 30)] * 4, 30)
    expected = [np.asarray(photo(seed=i))[:30, :30] for i in range(4)]
    assert len(crops) == 4
    assert (crops[2] == expected[2]).all()
    assert (crops[1:3] == expected[1:3]).all()
    assert (crops[np.array([3, 0, 3])] == np.array([expected[3], expected[0], expected[3]])).all()
