"""The depth method: poses of heads whose depth is drawn, and what it says of photos."""

import numpy as np
import pytest
from PIL import Image

from tinyhpe import methods
from tinyhpe.cli import main
from tinyhpe.datasets import open_dataset
from tinyhpe.errors import InputError
from tinyhpe.evaluation import evaluate
from tinyhpe.heads import render_head
from tinyhpe.heads.raster import grid_triangles, rasterise
from tinyhpe.heads.shape import COLUMNS, JAW_ROW, Expression, Traits, build_head
from tinyhpe.methods import depth
from tinyhpe.pose.angles import euler_to_matrix, geodesic

SIDE, SCALE = 64, 13.0  # pixels, and pixels per eye distance


@pytest.fixture(scope="module")
def model():
    return methods.build("depth")


def bare_depth(pose, distance=0.0):
    """The depth map of the bald mean head, drawn by the renderer's z-buffer in weak perspective."""
    points = build_head(Traits(), Expression())[: JAW_ROW + 1].reshape(-1, 3) @ euler_to_matrix(pose).T
    screen = points * (SCALE, -SCALE, 1) + (SIDE / 2, SIDE / 2 - 8, distance)
    triangles = grid_triangles(JAW_ROW + 1, COLUMNS, True)
    seen = rasterise(screen.astype(np.float32), triangles, np.zeros(len(triangles), bool), SIDE)
    depths = np.full(SIDE * SIDE, np.nan, np.float32)
    depths[seen.pixel] = seen.depth
    return depths.reshape(SIDE, SIDE)


def test_the_pose_of_the_mean_head_is_read_from_its_depth_wherever_it_is(model):
    poses = np.array([[0, 0, 0], [30, 10, 5], [-50, -10, 10], [70, 20, -20], [-20, 30, -30]], float)
    depths = np.stack(
        [bare_depth(pose, distance) for pose, distance in zip(poses, (0, 0.3, -0.3, 0, 0), strict=True)]
    )
    assert geodesic(model.predict(depths), poses).max() < 3


def test_most_rendered_heads_have_the_pose_that_is_fitted_whatever_they_wear(model):
    heads = [render_head((10**6, index), SIDE) for index in range(16)]
    poses = np.stack([head.pose for head in heads])
    errors = geodesic(model.predict(np.stack([head.depth for head in heads])), poses)
    assert np.median(errors) < 8
    assert (errors < 20).mean() > 0.7
    empty = np.full((1, SIDE, SIDE), np.nan)
    corner = np.where(np.arange(SIDE) > SIDE - 3, 0.0, empty)
    assert np.isfinite(model.predict(np.concatenate([empty, corner, corner * 0 + 1]))).all()
    unfitted = geodesic(np.zeros_like(poses), poses)
    assert np.median(errors) < np.median(unfitted) / 4


def test_the_principal_shapes_are_orthogonal_of_one_deviation_and_make_faces_like_those_of_the_renderer(model):
    shapes = model.shapes.reshape(depth.SHAPES, -1)
    products = shapes @ shapes.T
    np.testing.assert_allclose(products - np.diag(products.diagonal()), 0, atol=1e-9)
    assert (np.diff(products.diagonal()) < 0).all()
    assert 0.02 < np.sqrt(products[0, 0] / len(model.mean)) < 0.3  # eye distances that a point moves
    assert np.allclose(np.linalg.norm(model.normals, axis=1), 1)


def test_slopes_of_the_misfit_are_those_of_finite_differences(model):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    maps = depth.with_slopes((0.02 * x - 0.01 * y)[None])  # a plane: its slopes are right everywhere
    face = depth.FaceModel(model.mean, model.shapes, model.normals)
    rotation = euler_to_matrix([[20.0, 10.0, -30.0]])
    numbers = np.concatenate([[np.log(SCALE), 30.0, 28.0, 0.1], rng.normal(size=depth.SHAPES)])[None]

    def distances(step):
        a, b, c = step[:3]
        turn = np.eye(3) + np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
        return depth.compare(face, maps, SIDE, turn @ rotation, numbers + step[3:], 0.1)

    found, eye = distances(np.zeros(7 + depth.SHAPES)).slopes[0], np.eye(7 + depth.SHAPES) * 1e-6
    for i, step in enumerate(eye):
        expected = (distances(step).distances - distances(-step).distances)[0] / 2e-6
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-4, atol=1e-4)


def test_it_is_trained_evaluated_and_read_back_and_says_that_photos_have_no_depth(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path / "cache"))
    run = str(tmp_path / "run")
    assert main(["train", "--method", "depth", "--heads", "40", "--input-size", "32", "--out", run]) == 0
    assert "2 images kept out of training" in capsys.readouterr().out
    crops, _ = open_dataset("rendered", 43, 3, 5, sees="depths")
    np.testing.assert_array_equal(crops.images[1], render_head((5, 1), 43).depth)
    monkeypatch.setattr("tinyhpe.evaluation.HEADS", 3)
    assert evaluate("rendered", methods.load_model(run), progress=False)["n"] == 3
    Image.new("RGB", (60, 60)).save(tmp_path / "photo.png")
    assert main(["predict", str(tmp_path / "photo.png"), "--box", "middle", "--model", run, "--no-draw"]) == 2
    message = capsys.readouterr().err
    assert "photo.png: depth reads depth maps, and photos have none: evaluate it on rendered heads" in message
    with pytest.raises(InputError, match="photos have none"):
        methods.build("depth").predict(np.zeros((2, 43, 43, 3), np.uint8))
