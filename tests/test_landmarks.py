"""Landmarks: which is whose mirror image, where they go with the picture, and the rotation that they tell."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.test_tensor import pretend_gpu
from tinyhpe.datasets import open_dataset, rendered
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.datasets.loader import Loader
from tinyhpe.datasets.preprocess import prepare
from tinyhpe.datasets.w300lp import load_300wlp
from tinyhpe.errors import InputError
from tinyhpe.heads import render_head
from tinyhpe.heads.shape import reference_landmarks
from tinyhpe.pose.angles import euler_to_matrix, geodesic, matrix_to_euler
from tinyhpe.pose.landmarks import MIRROR, TWELVE, fit_rotation, fit_rotations
from tinyhpe.pose.sampling import photographed_poses


def projected(poses, distance=np.inf):
    """The twelve landmarks of the mean head (n, 12, 2) in an image, from a distance in eye distances."""
    points = reference_landmarks()[TWELVE] @ euler_to_matrix(poses).swapaxes(1, 2)
    nearness = 1 / (1 - points[..., 2:] / distance)
    return points[..., :2] * nearness * (40, -40) + (30, 70)


def some_poses(count):
    return photographed_poses(np.random.default_rng(0), count)


def test_mirroring_the_mean_head_exchanges_its_landmarks_as_the_permutation_says():
    head = reference_landmarks()
    np.testing.assert_allclose(head[MIRROR] * (-1, 1, 1), head, atol=1e-6)
    assert (MIRROR[MIRROR] == np.arange(68)).all()
    assert set(TWELVE) == set(MIRROR[TWELVE])


def test_the_rotation_of_projected_landmarks_is_found_also_of_profiles_and_near_gimbal_lock():
    poses = some_poses(40)
    head = reference_landmarks()[TWELVE]
    assert geodesic(matrix_to_euler(fit_rotations(projected(poses), head)), poses).max() < 0.01
    from_near = fit_rotations(projected(poses, distance=20), head)
    assert geodesic(matrix_to_euler(from_near), poses).mean() < 3


def test_one_landmark_that_is_far_off_does_not_spoil_the_rotation():
    rng = np.random.default_rng(1)
    poses = rng.uniform(-95, 95, (60, 3))
    landmarks = projected(poses)
    landmarks[np.arange(60), rng.integers(0, 12, 60)] += rng.choice([-80, 80], (60, 2))
    fitted = fit_rotations(landmarks, reference_landmarks()[TWELVE])
    errors = geodesic(matrix_to_euler(fitted), poses)
    assert np.median(errors) < 3
    assert errors.max() < 30  # begun from the linear fit alone, or upright, some end beyond 100
    assert fit_rotations(landmarks[:0], None).shape == (0, 3, 3)


def test_landmarks_that_are_no_numbers_or_all_in_one_place_have_no_rotation():
    head = reference_landmarks()[TWELVE]
    for points in (np.full((12, 2), np.nan), np.ones((12, 2))):
        assert np.isnan(fit_rotation(points, head)).all()


def test_landmarks_go_with_the_picture_when_it_is_cut_and_mirrored():
    """Of heads whose landmarks are painted, each by a grey of its own."""
    size, points = 40, np.random.default_rng(2).permutation(60 * 60)[:68]
    landmarks = np.stack([points % 60, points // 60], axis=1).astype(np.float32)[None]
    images = np.zeros((1, 60, 60, 3), np.uint8)
    images[0, landmarks[0, :, 1].astype(int), landmarks[0, :, 0].astype(int)] = 2 * np.arange(1, 69)[:, None]
    for mirrored in (0, 1):
        seen, moved = prepare(images, np.float32([[5, 12, mirrored, 1]]), landmarks + 0.5, size)
        grey = np.rint((seen[0, :, :, 0] * 0.229 + 0.485) * 255).astype(int)
        inside = (moved[0] > 0).all(axis=1) & (moved[0] < size).all(axis=1)
        assert 20 < inside.sum() < 60
        found = grey[tuple(moved[0, inside, ::-1].astype(int).T)] // 2 - 1
        names = np.flatnonzero(inside)
        np.testing.assert_array_equal(found, MIRROR[names] if mirrored else names)


def test_a_mirrored_head_has_the_landmarks_of_the_mirrored_pose():
    pose = np.float32([[40, -10, 15]])
    points = (reference_landmarks() @ euler_to_matrix(pose).swapaxes(1, 2))[..., :2] * (10, -10) + 30
    image, variation = np.zeros((1, 60, 60, 3), np.uint8), np.float32([[0, 0, 1, 1]])
    _, landmarks = prepare(image, variation, points.astype(np.float32), 60)
    _, mirrored = prepare(image, variation, pose, 60)
    expected = (reference_landmarks() @ euler_to_matrix(mirrored).swapaxes(1, 2))[..., :2] * (10, -10) + 30
    np.testing.assert_allclose(landmarks, expected, atol=1e-4)
    with_hidden = points.astype(np.float32)
    with_hidden[0, 0] = np.nan  # the ear on the left
    hidden = np.isnan(prepare(image, variation, with_hidden, 60)[1]).any(axis=-1)
    assert np.flatnonzero(hidden).tolist() == [16]  # is the one on the right


def test_on_a_gpu_landmarks_are_not_looked_at(monkeypatch):
    rng = np.random.default_rng(3)
    images, landmarks = np.zeros((4, 9, 9, 3), np.uint8), rng.uniform(0, 9, (4, 68, 2)).astype(np.float32)
    variations = np.float32([[1, 2, 1, 1], [0, 3, 0, 1]] * 2)
    _, expected = prepare(images, variations, landmarks, 6)
    with pretend_gpu(monkeypatch) as cupy:
        on_gpu = [cupy.asarray(array) for array in (images, variations, landmarks)]
        prepare(*on_gpu, 6)  # sends the permutation, once
        for copy in ("array", "asarray"):
            monkeypatch.setattr(cupy, copy, None)
        _, found = prepare(*on_gpu, 6)
    assert found.on_device.dtype == np.float32
    np.testing.assert_array_equal(found.on_device, expected)


def test_rendered_landmarks_are_those_of_the_heads_and_come_through_the_loader(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path))
    crops, _ = open_dataset("rendered", 32, 8, 7, learns="landmarks")
    np.testing.assert_array_equal(crops.landmarks[5], render_head((7, 5), 32).landmarks)
    loader = Loader(crops.choose(np.arange(8)[::-1]), 24, 4, False, 0, "landmarks")
    for indices, batch in zip(loader.order(0), loader.batches(0, 0, 1, workers=1), strict=True):
        np.testing.assert_array_equal(batch[2], crops.landmarks[7 - indices])


def test_heads_rendered_before_there_were_landmarks_are_good_for_poses_and_anew_for_landmarks(
    tmp_path, monkeypatch
):
    first = rendered.load(2, 32, cache=tmp_path, progress=False)
    next(tmp_path.rglob("landmarks.npy")).unlink()
    rendered.load(2, 32, cache=tmp_path, progress=False, learns="landmarks")
    next(tmp_path.rglob("landmarks.npy")).unlink()
    monkeypatch.setattr(rendered, "render_head", None)
    again = rendered.load(2, 32, cache=tmp_path, progress=False)
    assert again.landmarks is None
    np.testing.assert_array_equal(again.images[:], first.images[:])


def test_the_landmarks_of_a_photo_lie_on_its_crop_and_hidden_ones_nowhere(tmp_path):
    head = render_head((3, 1), 96, margin=rendered.FOLDER_MARGIN)
    points = head.landmarks.T.copy()
    points[:, 20] = -1, 50  # how AFLW says that it is not visible
    Image.fromarray(head.image).save(tmp_path / "a.jpg")
    savemat(tmp_path / "a.mat", {"Pose_Para": np.zeros((1, 7)), "pt2d": points})
    crops, _ = load_300wlp(tmp_path, 48, progress=False)
    ((left, top, side, _),) = crops.images.boxes
    expected = (points.T - (left, top)) / side * 48
    expected[20] = np.nan
    np.testing.assert_allclose(crops.landmarks[0], expected, rtol=1e-5)
    assert np.isnan(crops.choose([0]).landmarks[0, 20]).all()


def test_photos_without_landmarks_are_refused_where_a_method_learns_them():
    crops = HeadCrops(np.zeros((4, 32, 32, 3), np.uint8), np.zeros((4, 3), np.float32), list("abcd"))
    with pytest.raises(InputError, match="these photos have no landmarks: train on rendered heads"):
        Loader(crops, 24, 2, False, 0, "landmarks")
