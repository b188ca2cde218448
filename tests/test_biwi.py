"""BIWI as its documentation describes it, made from matrices and from rendered heads. No real file was at hand."""

import numpy as np
import pytest
from PIL import Image

from tinyhpe.datasets import open_dataset
from tinyhpe.heads import render_head
from tinyhpe.pose.angles import euler_to_matrix
from tinyhpe.pose.boxes import square, testing_box

testing_box.__test__ = False  # its name is no test's

# a colour camera 25 mm beside the depth camera, turned by a degree
CALIBRATION = """520.5 0 320
0 518.25 240.5
0 0 1

0 0 0 0

0.99985 0 0.01745
0 1 0
-0.01745 0 0.99985

-25 3 -10

640 480
"""
FLIP = np.diag([1, -1, -1])  # from their axes (y down, z away from the camera) to ours
MATRIX, TURN, SHIFT = (
    np.array([line.split() for line in CALIBRATION.split("\n")[a:b]], float) for a, b in ((0, 3), (6, 9), (10, 11))
)


def add_frame(folder, number, rotation, centre, picture=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rgb.cal").write_text(CALIBRATION)
    lines = [*(" ".join(map(str, row)) + " " for row in np.asarray(rotation)), "", " ".join(map(str, centre)), ""]
    (folder / f"frame_{number:05}_pose.txt").write_text("\n".join(lines))
    (picture or Image.new("RGB", (640, 480))).save(folder / f"frame_{number:05}_rgb.png")
    return folder / f"frame_{number:05}_pose.txt"


def opened(folder, size=64):
    return open_dataset(f"biwi:{folder}", size, None, None)


def place(centre):
    """Where the colour camera sees a point given in mm of the depth camera: x and y in pixels."""
    x, y, z = MATRIX @ (TURN @ centre + SHIFT[0])
    return x / z, y / z


def test_angles_have_the_signs_that_one_sees_and_those_of_the_literature(tmp_path):
    rng, centre = np.random.default_rng(0), (40, -30, 900)
    poses = rng.uniform(-70, 70, (30, 3))
    for number, pose in enumerate(poses):
        rotation = FLIP @ euler_to_matrix(pose) @ FLIP
        add_frame(tmp_path / "01", number, rotation, centre)
        nose = rotation @ (0, 0, -1)  # a head that faces the camera looks against z
        yaw, pitch, _ = pose
        assert np.sign(nose[0]) == -np.sign(yaw)  # to the image's left
        assert np.sign(nose[1]) == -np.sign(pitch)  # up
        # HopeNet's formulas with the transposed matrix, as FSA-Net and its successors have them
        t = rotation.T
        roll = -np.arctan2(t[1, 0], t[0, 0])
        yaw = -np.arctan2(-t[2, 0], np.hypot(t[2, 1], t[2, 2]))
        pitch = np.arctan2(t[2, 1], t[2, 2])
        assert np.rad2deg([yaw, pitch, roll]) == pytest.approx(pose)
    crops, problems = opened(tmp_path)
    assert problems == []
    assert crops.names[:2] == ["01/frame_00000_rgb.png", "01/frame_00001_rgb.png"]
    assert crops.poses == pytest.approx(poses, abs=1e-3)
    roll = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])  # the right end of the eyes (x) goes down (y)
    add_frame(tmp_path / "02", 0, roll, centre)
    assert opened(tmp_path / "02")[0].poses[0] == pytest.approx([0, 0, 36.87], abs=0.01)


def test_the_face_box_is_140_mm_about_the_centre_as_the_colour_camera_sees_it(tmp_path):
    centre = (30, -20, 890)
    add_frame(tmp_path, 1, np.eye(3), centre)
    depth = -0.01745 * 30 + 0.99985 * 890 - 10
    (x, y), width, height = place(centre), 140 * 520.5 / depth, 140 * 518.25 / depth
    expected = square(testing_box((x - width / 2, y - height / 2, width, height)))
    assert opened(tmp_path)[0].images.boxes[0] == pytest.approx(expected, abs=1e-9)


def test_the_crop_shows_a_whole_rendered_head_wherever_it_is_and_however_far(tmp_path):
    faces = []
    for number, centre in enumerate([(0, 0, 800), (-150, 60, 900), (200, -100, 1300)]):
        head = render_head(number, 300, pose=(25, 10, -15), margin=0.85)
        face_mm, side = 140, 300
        low, high = head.landmarks.min(0), head.landmarks.max(0)
        # as large in the photo as 140 mm are at this depth
        scale = face_mm * MATRIX[0, 0] / (TURN @ centre + SHIFT[0])[2] / (high - low).max()
        picture = Image.new("RGB", (640, 480))
        x, y = place(centre)
        corner = np.rint((x, y) - scale * (low + high) / 2).astype(int)
        shrunk = Image.fromarray(head.image).resize((round(side * scale),) * 2)
        picture.paste(shrunk, tuple(corner.tolist()))
        add_frame(tmp_path, number, FLIP @ euler_to_matrix(head.pose) @ FLIP, centre, picture)
        faces.append((corner + scale * low, corner + scale * high))
    crops, problems = opened(tmp_path)
    assert problems == []
    assert crops.poses == pytest.approx(np.tile([25, 10, -15], (3, 1)), abs=1e-3)
    for number, (left, top, side, _) in enumerate(crops.images.boxes):
        low, high = faces[number]
        seen = np.array((left, top)) + side / 8, np.array((left, top)) + side * 7 / 8  # by the network
        assert (seen[0] < low).all()
        assert (high < seen[1]).all()
        assert 0.4 < (high - low).max() / side < 0.6
        assert crops.images[number][16:48, 16:48].mean() > 20


def test_bad_frames_are_reported_and_the_others_kept(tmp_path):
    turned = euler_to_matrix([10, 0, 0])
    add_frame(tmp_path / "01", 1, turned, (0, 0, 900))
    add_frame(tmp_path / "01", 2, turned, (0, 0, -900))
    add_frame(tmp_path / "01", 3, 2 * turned, (0, 0, 900))
    add_frame(tmp_path / "01", 4, turned, (0, 0, 900)).write_text("1 0 0\n0 1 0\n")
    add_frame(tmp_path / "01", 5, turned, (0, 0, "nan"))
    add_frame(tmp_path / "01", 6, turned, (0, 0, 900)).unlink()
    add_frame(tmp_path / "01", 7, turned, (5000, 0, 900))
    add_frame(tmp_path / "02", 1, turned, (0, 0, 900))
    (tmp_path / "02" / "rgb.cal").unlink()
    crops, problems = opened(tmp_path)
    assert crops.names == ["01/frame_00001_rgb.png"]
    words = [
        "place before the camera",
        "no rotation",
        "missing, or",
        "missing, or",
        "missing, or",
        "outside",
        "rgb.cal",
    ]
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
        assert str(tmp_path) in problem
        assert "\n" not in problem
