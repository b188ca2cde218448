"""The renderer: its z-buffer against a loop over pixels, its poses against pictures, its zero against photos."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from tinyhpe.heads import contact_sheet, render_head
from tinyhpe.heads.raster import grid_normals, grid_triangles, rasterise
from tinyhpe.heads.scene import Camera
from tinyhpe.heads.shape import (
    APPEARANCE_PITCH,
    Expression,
    Traits,
    best_rotation,
    build_head,
    head_landmarks,
    sample_expression,
    sample_traits,
)
from tinyhpe.heads.wardrobe import sphere
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler
from tinyhpe.pose.boxes import landmark_box, square, training_box

PHOTOS = Path(os.environ.get("TINYHPE_REAL", Path(__file__).parents[2] / "shared" / "real")) / "AFLW2000"
LEFT_EYE, RIGHT_EYE, NOSE_TIP, CHIN = slice(36, 42), slice(42, 48), 30, 8


def rasterise_by_loops(points, triangles, two_sided, size):
    """Triangle and depth at every pixel, the slow and plain way: signed areas, pixel by pixel."""
    triangle, depth = np.full((size, size), -1), np.full((size, size), -np.inf)
    for index, corners in enumerate(triangles):
        a, b, c = points[corners].astype(float)
        whole = np.linalg.det([[b[0] - a[0], c[0] - a[0]], [b[1] - a[1], c[1] - a[1]]])
        if whole >= 0 and not two_sided[index]:
            continue
        for row in range(size):
            for column in range(size):
                solution = np.linalg.solve(
                    np.array([[*a[:2], 1], [*b[:2], 1], [*c[:2], 1]]).T, [column + 0.5, row + 0.5, 1]
                )
                z = solution @ [a[2], b[2], c[2]]
                if solution.min() >= 0 and z > depth[row, column]:
                    triangle[row, column], depth[row, column] = index, z
    return triangle, depth


def test_the_z_buffer_agrees_with_a_loop_over_triangles_and_pixels():
    rng = np.random.default_rng(0)
    points = (rng.uniform(-3, 15, (24, 3)) * (1, 1, 0.3)).astype(np.float32)
    triangles, two_sided = rng.permutation(24).reshape(8, 3), rng.random(8) < 0.5
    seen = rasterise(points, triangles, two_sided, 12)
    triangle, depth = rasterise_by_loops(points, triangles, two_sided, 12)
    ours = np.full(144, -1)
    ours[seen.pixel] = seen.triangle
    assert np.array_equal(ours, triangle.ravel())
    assert len(seen.pixel) > 30
    assert np.allclose(seen.depth, depth.ravel()[seen.pixel], atol=1e-4)
    corners = points[triangles[seen.triangle]]
    places = (corners * seen.weights.T[..., None]).sum(axis=1)
    assert np.allclose(places[:, 0], seen.pixel % 12 + 0.5, atol=1e-3)
    assert np.allclose(places[:, 1], seen.pixel // 12 + 0.5, atol=1e-3)


def test_normals_and_triangles_of_a_sphere_point_outward():
    ball = sphere(12, 20)
    assert np.allclose(grid_normals(ball, closed=True), ball, atol=0.15)
    a, b, c = np.moveaxis(ball.reshape(-1, 3)[grid_triangles(12, 20, True)], 1, 0)
    assert ((np.cross(b - a, c - a) * (a + b + c)).sum(axis=1) > -1e-12).all()


def test_the_same_seed_gives_the_same_bits():
    first, again, other = render_head(5), render_head(5), render_head(6)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.depth, again.depth, equal_nan=True)
    assert not np.array_equal(first.image, other.image)
    assert (first.image.dtype, first.image.shape, first.depth.dtype) == (np.uint8, (64, 64, 3), np.float32)
    assert (first.landmarks.shape, first.pose.shape) == ((68, 2), (3,))


def test_pose_zero_looks_straight_at_the_camera():
    nearest = []
    for seed in range(20):
        points = head_landmarks(build_head(sample_traits(np.random.default_rng(seed)), Expression()))
        eyes = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
        assert abs(eyes[0][2] - eyes[1][2]) < 0.15
        assert abs(eyes[0][1] - eyes[1][1]) < 0.15
        nearest.append(points[:, 2].argmax())
    assert np.isin(nearest, range(28, 36)).sum() >= 18, (
        "the nose is nearest to the camera, but for a few full lips"
    )


def test_yaw_pitch_and_roll_move_the_nose_to_the_left_up_and_the_right_eye_down():
    def nose_and_eyes(pose):
        landmarks = render_head(3, pose=pose, margin=0.5).landmarks
        left, right = landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0)
        return landmarks[NOSE_TIP] - (left + right) / 2, right - left

    straight, _ = nose_and_eyes((0, 0, 0))
    assert nose_and_eyes((40, 0, 0))[0][0] < straight[0] - 3
    assert nose_and_eyes((0, 40, 0))[0][1] < straight[1] - 3
    assert nose_and_eyes((0, 0, 40))[1][1] > 3


def test_a_symmetric_head_mirrored_is_the_head_with_yaw_and_roll_negated():
    landmarks = head_landmarks(build_head(Traits(), Expression()))
    right = landmarks @ euler_to_matrix([35, 10, 20]).T
    left = landmarks @ euler_to_matrix([-35, 10, -20]).T
    mirrored = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    mirrored += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirrored += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    assert np.allclose(left[mirrored] * (-1, 1, 1), right, atol=1e-4)


def test_landmarks_lie_on_the_head_and_the_depth_map_has_the_nose_in_front():
    in_front = []
    for seed in range(20):
        head = render_head(seed, pose=(0, 0, 0), margin=0.3)
        column, row = np.round(head.landmarks[17:] - 0.5).astype(int).T
        assert np.isfinite(head.depth[row, column]).all()
        nose, ear = head.landmarks[NOSE_TIP].astype(int), head.landmarks[0].astype(int)
        in_front.append(head.depth[nose[1], nose[0]] - head.depth[ear[1], ear[0] + 1])
    assert np.sum(np.array(in_front) > 0.5) >= 18, "hair over an ear may come near"


def test_the_picture_is_the_crop_that_hopenet_trains_on(monkeypatch):
    monkeypatch.setattr("tinyhpe.heads.scene.CROP_JITTER", 0)
    for seed in range(3):
        face = landmark_box(render_head(seed, 32).landmarks.T)
        least, most = (square(training_box(face, k))[2] for k in (0.2, 0.4))
        assert least < 32 < most  # so the k that was drawn lies between
        boxes = [square(training_box(face, k)) for k in np.linspace(0.2, 0.4, 1001)]
        assert np.abs(np.array(boxes) - (0, 0, 32, 32)).max(axis=1).min() < 0.02


def test_the_camera_projects_with_perspective():
    camera = Camera(np.zeros(2), side=2.0, distance=10.0)
    assert np.allclose(camera(np.array([[1.0, 0.5, 0.0], [1.0, 0.5, 5.0]])), [[1, 0.25, 0], [1.5, 0, 5]])


def test_a_contact_sheet_puts_images_in_rows_from_left_to_right():
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8) + 1
    sheet = contact_sheet(images, columns=2)
    assert sheet[::4, ::4, 0].tolist() == [[1, 2], [3, 0]]


@pytest.mark.skipif(
    not PHOTOS.is_dir(), reason=f"needs AFLW2000 at {PHOTOS}; TINYHPE_REAL names its parent folder"
)
def test_pose_zero_is_that_of_aflw2000():
    shapes = []
    for file in sorted(PHOTOS.glob("*.mat")):
        labels = loadmat(file)
        pitch, yaw, roll = np.rad2deg(labels["Pose_Para"][0, :3])
        if abs(yaw) < 20 and abs(pitch) < 30 and abs(roll) < 30:
            points = labels["pt3d_68"].T * (1, -1, 1)
            shapes.append(standardised(points @ euler_to_matrix([yaw, pitch, roll])))
    theirs = np.mean(shapes, axis=0)
    ours = np.mean([standardised(head_landmarks(some_head(seed))) for seed in range(200)], axis=0)
    rotation = best_rotation(ours, theirs)
    yaw, pitch, roll = matrix_to_euler(rotation)
    np.testing.assert_allclose([yaw, pitch + APPEARANCE_PITCH, roll], 0, atol=0.5)
    assert np.sqrt(((ours @ rotation.T - theirs) ** 2).sum(axis=1).mean()) < 0.06, "of the size of the face"


def some_head(seed):
    rng = np.random.default_rng(seed)
    return build_head(sample_traits(rng), sample_expression(rng))


def standardised(points):
    points = points - points.mean(axis=0)
    return points / np.sqrt((points**2).sum(axis=1).mean())
