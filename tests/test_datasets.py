"""Data sets made in their layouts on disk, sound and damaged, in folders and behind links."""

import os
import shutil
import sys

import numpy as np
import pytest
from scipy.io import savemat

from tests.test_crops import photo
from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.w300lp import load_300wlp
from tinyhpe.errors import InputError

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets only administrators make links")


def add_head(folder, name, degrees=(10, 20, 30), key="pt2d", rows=2, suffix=".jpg", **changes):
    """A photo with labels: degrees of yaw, pitch, roll; a face box of 30x40 pixels at (40, 30)."""
    folder.mkdir(parents=True, exist_ok=True)
    photo(120, 100).save(folder / f"{name}{suffix}")
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


def names_and_poses(crops):
    """What a run that is resumed knows its data by."""
    return crops.names, crops.poses.tolist()


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
    assert crops.names[:2] == ["AFW/AFW_1_0.jpg", "AFW_Flip/AFW_1_0.jpg"]

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


@pytest.mark.parametrize(("kind", "key", "rows"), [("300wlp", "pt2d", 2), ("aflw2000", "pt3d_68", 3)])
def test_landmarks_that_are_not_visible_are_no_part_of_the_box_and_too_few_are_said(kind, key, rows, tmp_path):
    seen = np.random.default_rng(0).uniform(0, 1, (3, 68)) * [[30], [40], [1]] + [[40], [30], [0]]
    add_head(tmp_path, "all", **{key: seen[:rows, 20:].repeat(2, axis=1)[:, :68]})
    hidden = seen.copy()
    hidden[:2, 10:20], hidden[:, :10] = [[-1], [452]], -1  # as in AFLW2000's pt2d, and in AFLW's
    hidden[:, 20:] = seen[:, 20:].repeat(2, axis=1)[:, :48]
    add_head(tmp_path, "some", **{key: hidden[:rows]})
    hidden[:, 20:60] = -1
    add_head(tmp_path, "few", **{key: hidden[:rows]})
    crops, problems = open_it(kind, tmp_path)
    assert crops.names == ["all.jpg", "some.jpg"]
    (problem,) = problems
    assert problem.startswith(f"{tmp_path / 'few.mat'}: only 8 of 68 landmarks are visible")


def test_photos_may_be_jpg_jpeg_or_png_in_capitals_or_not_and_a_png_alone_is_no_head(tmp_path):
    for number, suffix in enumerate((".jpg", ".JPG", ".jpeg", ".PNG", ".png")):
        add_head(tmp_path, f"head{number}", suffix=suffix)
    (tmp_path / "head4.mat").rename(tmp_path / "head4.MAT")
    photo().save(tmp_path / "head0_depth.png")  # as `tinyhpe render` writes it
    photo().save(tmp_path / "head0.png")
    photo().save(tmp_path / ".head1.jpg")  # some systems hide things beside photos
    add_head(tmp_path / ".trash", "head")
    crops, problems = open_it("300wlp", tmp_path)
    assert crops.names == ["head0.jpg", "head1.JPG", "head2.jpeg", "head3.PNG", "head4.png"]
    assert problems == []
    assert crops.images[:].shape == (5, 24, 24, 3)


@needs_links
def test_linked_folders_are_entered_loops_end_and_no_photo_comes_twice(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    add_head(data / "AFW", "a", (1, 0, 0))
    add_head(elsewhere / "IBUG", "b", (2, 0, 0))
    add_head(elsewhere / "IBUG" / "more", "c", (3, 0, 0))
    add_head(elsewhere, "d", (4, 0, 0))
    links = {
        "IBUG": elsewhere / "IBUG",  # the usual: a disk of its own
        "IBUG_again": elsewhere / "IBUG",
        "AFW/loop": data,
        "AFW/up": tmp_path,  # more than the data set
        "single.jpg": elsewhere / "d.jpg",
        "single.mat": elsewhere / "d.mat",
        "twice.jpg": data / "AFW" / "a.jpg",
        "twice.mat": data / "AFW" / "a.mat",
    }
    for name, target in links.items():
        os.symlink(target, data / name)
    crops, problems = open_it("300wlp", data)
    assert problems == []
    assert crops.names == ["AFW/a.jpg", "IBUG/b.jpg", "IBUG/more/c.jpg", "single.jpg"]
    assert crops.poses[:, 0] == pytest.approx([1, 2, 3, 4], abs=1e-4)
    os.symlink(tmp_path / "nowhere.mat", data / "broken.mat")
    photo().save(data / "broken.jpg")
    crops, (problem,) = open_it("300wlp", data)
    assert len(crops) == 4
    assert "broken.mat: not readable (No such file" in problem


@needs_links
def test_names_and_poses_do_not_depend_on_where_a_data_set_lies(tmp_path, monkeypatch):
    here = tmp_path / "here"
    for kind, add in {"300wlp": add_head, "pointing04": add_pointing}.items():
        for folder in ("B", "A-1", "A"):
            add(here / kind / folder, "person01146+0+0")
            add(here / kind / folder, "person01147+0-15")
    there = tmp_path / "another place" / "z"
    shutil.copytree(here, there)
    os.symlink(here, tmp_path / "link")
    monkeypatch.chdir(here)
    for kind in ("300wlp", "pointing04"):
        expected = names_and_poses(open_it(kind, here / kind)[0])
        assert expected[0][0] == "A/person01146+0+0.jpg"
        for place in (f"{there}/{kind}", f"{there}/{kind}/", kind, f"../here/./{kind}", f"{tmp_path}/link/{kind}"):
            assert names_and_poses(open_it(kind, place)[0]) == expected


@pytest.mark.parametrize("user_block", [b"", b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512)])
def test_a_mat_file_of_matlab_7_3_is_named_as_such(user_block, tmp_path):
    add_head(tmp_path, "a")
    add_head(tmp_path, "b").write_bytes(user_block + b"\x89HDF\r\n\x1a\n" + bytes(1000))
    crops, (problem,) = open_it("300wlp", tmp_path)
    assert crops.names == ["a.jpg"]
    assert "b.mat: it is of MATLAB's format 7.3" in problem
    assert "save it with -v7" in problem


def in_degrees(*angles):
    return {"Pose_Para": np.array([[*angles, 0, 0, 0, 1]], np.float32)}


def test_poses_in_degrees_are_noticed_and_single_photos_in_radians_are_not_mistaken_for_them(tmp_path):
    for number, (pitch, yaw) in enumerate([(1, 2), (-20, 30), (5, -60), (0.5, 1), (10, 3), (-2, 45)]):
        add_head(tmp_path / "degrees", f"{number}", **in_degrees(pitch, yaw, 1))
    add_head(tmp_path / "one", "profile", **in_degrees(2, 80, 3))
    for folder, words in {"degrees": "in 4 of 6 photos", "one": "in 1 of 1 photos"}.items():
        with pytest.raises(InputError, match=f"{words}.*radians are expected.*pi / 180"):
            open_it("300wlp", tmp_path / folder)
    add_head(tmp_path / "frontal", "a", (0.2, -0.1, 0))
    add_head(tmp_path / "profile", "a", (-98.9, 40, -80))
    for folder in ("frontal", "profile"):
        assert len(open_it("300wlp", tmp_path / folder)[0]) == 1
    # and an absurd label, as AFLW2000 has two, is left out like the other large ones
    for name in "bc":
        add_head(tmp_path / "frontal", name, (0, 0, 400))
        add_head(tmp_path / "frontal", name + name)
    crops, problems = open_it("300wlp", tmp_path / "frontal")
    assert (crops.names, crops.left_out, problems) == (["a.jpg", "bb.jpg", "cc.jpg"], 2, [])


def test_aflw2000_given_as_300wlp_and_the_other_way_round_names_the_other(tmp_path):
    add_head(tmp_path / "AFLW2000", "image00002", key="pt3d_68", rows=3, pt2d=-np.ones((2, 21)))
    add_head(tmp_path / "300W_LP", "AFW_1")
    for given, folder, right in [("300wlp", "AFLW2000", "aflw2000"), ("aflw2000", "300W_LP", "300wlp")]:
        with pytest.raises(InputError, match=f"give its folder as {right}:PATH"):
            open_it(given, tmp_path / folder)
        assert len(open_it(right, tmp_path / folder)[0]) == 1


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


def test_pointing04_as_it_was_published_has_copies_and_as_the_workshop_had_it_other_names(tmp_path):
    add_pointing(tmp_path / "Person08", "person08146+0+0")
    add_pointing(tmp_path / "Front", "person08146+0+0")
    add_pointing(tmp_path / "train", "personne08123-30+45")
    add_pointing(tmp_path / "capitals", "PERSON08124-30+60")
    (tmp_path / "capitals" / "PERSON08124-30+60.jpg").rename(tmp_path / "capitals" / "PERSON08124-30+60.JPG")
    crops, problems = open_it("pointing04", tmp_path)
    assert problems == []
    assert crops.names == [
        "Person08/person08146+0+0.jpg",
        "capitals/PERSON08124-30+60.JPG",
        "train/personne08123-30+45.jpg",
    ]
    assert crops.poses.tolist() == [[0, 0, 0], [60, -30, 0], [45, -30, 0]]
    assert len(open_it("pointing04", tmp_path / "Front")[0]) == 1  # who asks for it gets it


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
        problems, ("no .txt of the same name", "no face box", "no face box", "NaN", "tilt and pan"), strict=True
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
        f"biwi:{tmp_path / 'empty'}": "no frame_",
        "aflw:here": "unknown data 'aflw:here'",
    }.items():
        with pytest.raises(InputError, match=words) as caught:
            open_dataset(spec, size=24, count=None, seed=None)
        assert "\n" not in str(caught.value)
