"""Real photos, where they are at hand: the folder TINYHPE_REAL, or shared/real beside the repository.

Part of AFLW2000 (400 photos) and of Pointing'04 (1302). They are for research only, so not in the repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.photos import open_photo
from tinyhpe.errors import InputError
from tinyhpe.finder import find_heads, overlaps
from tinyhpe.pose import boxes as face_boxes
from tinyhpe.pose.boxes import landmark_box

REAL = Path(os.environ.get("TINYHPE_REAL") or Path(__file__).parents[2] / "shared" / "real")

pytestmark = pytest.mark.skipif(
    not (REAL / "AFLW2000").is_dir(),
    reason=f"no real photos in {REAL}: set TINYHPE_REAL to a folder with AFLW2000 and Pointing04",
)


def opened(spec):
    crops, problems = open_dataset(spec, size=64, count=None, seed=None)
    assert problems == []
    return crops


def looks_like_heads(images):
    """Nothing black or flat in the middle, and an average face: bright on darker surroundings, and reddish."""
    middle = images[:, 24:44, 24:40].astype(float)
    assert middle.mean((1, 2, 3)).min() > 8
    assert middle.std((1, 2, 3)).min() > 2
    red, green, blue = middle.mean((0, 1, 2))
    assert red > green > blue


def test_aflw2000_loses_the_four_photos_with_absurd_labels_and_no_other():
    crops = opened(f"aflw2000:{REAL / 'AFLW2000'}")
    assert (len(crops), crops.left_out) == (396, 4)
    assert np.abs(crops.poses).max() <= 99
    # no sign or order is mixed up: most turn in yaw, few look far up, and the medians are near 0
    assert crops.poses.std(0).argmax() == 0
    assert np.abs(np.median(crops.poses, 0)).max() < 8
    looks_like_heads(crops.images[::8])


def test_aflw2000_is_no_300w_lp():
    with pytest.raises(InputError, match=r"image00002\.mat.*give its folder as aflw2000:PATH"):
        opened(f"300wlp:{REAL / 'AFLW2000'}")


def test_the_invisible_landmarks_of_aflw2000_are_no_part_of_a_box():
    """They lie at -1, 452: two pixels below the photo's last row. The others are within the 68 landmarks' box."""
    hidden = 0
    for file in sorted((REAL / "AFLW2000").glob("*.mat")):
        labels = loadmat(file)
        hidden += (labels["pt2d"] == -1).any()
        x, y, width, height = landmark_box(labels["pt2d"])
        low, high = labels["pt3d_68"][:2].min(1), labels["pt3d_68"][:2].max(1)
        margin = 0.5 * (high - low)
        assert ((x, y) > low - margin).all()
        assert ((x + width, y + height) < high + margin).all()
    assert hidden > 300


def test_the_first_photo_of_aflw2000_has_the_box_and_the_pose_computed_by_hand():
    crops = opened(f"aflw2000:{REAL / 'AFLW2000'}")
    assert crops.names[0] == "image00002.jpg"
    # Pose_Para begins -0.39923, 0.018227, 0.085676: pitch, yaw, roll in radians
    assert crops.poses[0] == pytest.approx([1.0443, -22.874, 4.9089], abs=1e-3)
    # pt3d_68 spans 121.868 to 345.241 and 167.164 to 375.731: 223.373 x 208.566
    # left 0.4 * 223.373, then right 0.4 * 312.722; top 0.4 * 208.566, then bottom 0.12 * 291.993
    left, width = 121.868 - 89.349, 312.722 + 125.089
    top, height = 167.164 - 83.427, 291.993 + 35.039
    expected = (left, top + height / 2 - width / 2, width, width)
    assert crops.images.boxes[0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("data", "every"), [("aflw2000", 5), ("pointing04", 13)])
def test_nine_of_ten_heads_are_found_where_they_are_and_little_else(data, every):
    folder = {"aflw2000": "AFLW2000", "pointing04": "Pointing04"}[data]
    crops = opened(f"{data}:{REAL / folder}")
    found = false = 0
    for place in range(0, len(crops), every):
        boxes = [
            face_boxes.square(face_boxes.testing_box(face))
            for face, _ in find_heads(open_photo(crops.images.paths[place]))
        ]
        shared = overlaps(np.array(crops.images.boxes[place]), np.array(boxes).reshape(-1, 4))
        found += shared.max(initial=0) > 0.4
        false += (shared < 0.4).sum()
    photos = len(range(0, len(crops), every))
    assert found > 0.88 * photos
    assert false < 0.25 * photos


def test_pointing04_is_93_photos_in_each_series_and_all_of_them_crop_well():
    crops = opened(f"pointing04:{REAL / 'Pointing04'}")
    assert len(crops) == 1302 == 14 * 93
    assert set(crops.poses[:, 0]) == set(range(-90, 91, 15))
    assert set(crops.poses[:, 1]) == {-90, -60, -30, -15, 0, 15, 30, 60, 90}
    assert not crops.poses[:, 2].any()
    looks_like_heads(crops.images[::26])


def test_heads_of_positive_yaw_look_to_the_left_of_the_image():
    """The face box ends at the nose, so that the hair lies on the side away from it."""
    crops = opened(f"pointing04:{REAL / 'Pointing04'}")
    yaw, pitch, _ = crops.poses.T

    def side_of_hair(chosen):
        grey = crops.images[np.flatnonzero(chosen & (pitch == 0))].mean(-1)
        hair = ((grey > 0) & (grey < 70)).mean((0, 1))  # 0 is outside the photo
        return hair[32:].sum() - hair[:32].sum()

    assert side_of_hair(yaw >= 75) > 5
    assert side_of_hair(yaw <= -75) < -5
