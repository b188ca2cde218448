"""The paper's augmentation against SciPy's filters and against the definition of each step."""

import numpy as np
import pytest
from scipy import ndimage

from tinyhpe.datasets import augment as module
from tinyhpe.datasets.augment import (
    augment,
    center_crop,
    gaussian_blur,
    gaussian_noise,
    motion_blur,
    normalise,
    random_crops,
)

CHANCES = ("FLIP_CHANCE", "BRIGHTNESS_CHANCE", "BLUR_CHANCE", "MOTION_BLUR_CHANCE", "NOISE_CHANCE")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def only(monkeypatch):
    """Let one of the steps happen always and the others never."""

    def switch(*names):
        for chance in CHANCES:
            monkeypatch.setattr(module, chance, 1.0 if chance in names else 0.0)

    return switch


def pixels(rng, *shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def float_pixels(rng, *shape):
    return pixels(rng, *shape).astype(np.float32)


def test_a_mirrored_head_has_negated_yaw_and_roll_and_the_same_pitch(only, rng):
    images, poses = pixels(rng, 6, 16, 16, 3), rng.uniform(-90, 90, (6, 3)).astype(np.float32)
    kept_images, kept_poses = images.copy(), poses.copy()
    only("FLIP_CHANCE")
    mirrored, mirrored_poses = augment(images, poses, 16, rng)
    assert (mirrored == images[:, :, ::-1]).all()
    assert (mirrored_poses == poses * [-1, 1, -1]).all()
    only()
    same, same_poses = augment(images, poses, 16, rng)
    assert (same == images).all()
    assert (same_poses == poses).all()
    assert (images == kept_images).all()
    assert (poses == kept_poses).all()


def test_pixels_and_labels_are_mirrored_together_in_half_of_the_heads(rng):
    images = np.zeros((400, 8, 8, 3), np.uint8)
    images[:, :, :2] = 200  # bright on the left
    poses = np.tile(np.float32([30, 20, 10]), (400, 1))
    varied, new_poses = augment(images, poses, 8, rng)
    bright_left = varied[:, :, :3].mean((1, 2, 3)) > varied[:, :, -3:].mean((1, 2, 3))
    assert (bright_left == (new_poses[:, 0] > 0)).all()
    assert 150 < bright_left.sum() < 250


def test_random_crops_are_all_the_parts_of_their_own_image_also_when_mirrored(rng):
    size, side, count = 6, 9, 400
    images = np.arange(count * side * side * 3).reshape(count, side, side, 3)  # no value twice
    flipped = rng.random(count) < 0.5
    corners = set()
    for crop, image, mirror in zip(random_crops(images, size, flipped, rng), images, flipped, strict=True):
        crop = crop[:, ::-1] if mirror else crop
        y, x, _ = np.argwhere(image == crop[0, 0, 0])[0]
        assert (crop == image[y : y + size, x : x + size]).all()
        corners.add((int(y), int(x)))
    assert corners == {(y, x) for y in range(4) for x in range(4)}


@pytest.mark.parametrize(("side", "size", "start"), [(64, 48, 8), (300, 224, 38), (5, 5, 0), (7, 4, 1)])
def test_the_centre_crop_is_the_middle(side, size, start, rng):
    images = pixels(rng, 2, side, side, 3)
    assert (center_crop(images, size) == images[:, start : start + size, start : start + size]).all()
    assert center_crop(images, size).shape == (2, size, size, 3)


def test_gaussian_blur_is_a_binomial_kernel_of_sigma_0_7(rng):
    images = float_pixels(rng, 3, 12, 10, 3)
    binomial = np.outer([1, 2, 1], [1, 2, 1])[None, :, :, None] / 16
    expected = ndimage.convolve(images.astype(float), binomial, mode="nearest")
    assert np.abs(gaussian_blur(images, rng) - expected).max() < 1e-3
    # the binomial that is meant: its standard deviation is a Gaussian's of 0.7 pixels
    point = np.zeros((1, 9, 9, 1), np.float32)
    point[0, 4, 4] = 1
    spread = gaussian_blur(point, rng)[0, :, :, 0]
    for axis in (0, 1):
        assert np.sqrt(spread.sum(axis) @ (np.arange(9) - 4) ** 2) == pytest.approx(0.7, abs=0.01)


def test_motion_blur_is_the_mean_of_3_or_5_pixels_along_one_axis(rng):
    images = float_pixels(rng, 3, 12, 10, 3)
    expected = {
        (axis, length): ndimage.uniform_filter1d(images.astype(float), length, axis, mode="nearest")
        for axis in (1, 2)
        for length in (3, 5)
    }
    seen = set()
    for _ in range(60):
        blurred = motion_blur(images, rng)
        (kind,) = (k for k, mean in expected.items() if np.abs(blurred - mean).max() < 1e-3)
        seen.add(kind)
    assert seen == set(expected)


def test_noise_has_mean_0_and_the_promised_strength_another_for_each_image(rng):
    images = np.full((200, 32, 32, 3), 100, np.float32)
    noise = gaussian_noise(images, rng) - images
    strength = noise.std((1, 2, 3))
    assert np.abs(noise.mean((1, 2, 3)) / strength).max() < 5 / np.sqrt(32 * 32 * 3)
    assert 1.8 < strength.min() < 3
    assert 9 < strength.max() < 10.5


def test_brightness_is_one_factor_for_a_whole_image(only, rng):
    only("BRIGHTNESS_CHANCE")
    images = pixels(rng, 300, 8, 8, 3) // 8 + 1  # dark, so that nothing is cut off at 255
    varied, _ = augment(images, np.zeros((300, 3), np.float32), 8, rng)
    factors = varied / images
    assert np.abs(factors / factors[:, :1, :1, :1] - 1).max() < 1e-5
    assert np.log(factors[:, 0, 0, 0]).std() == pytest.approx(0.2, rel=0.15)
    assert np.log(factors[:, 0, 0, 0]).mean() == pytest.approx(0, abs=0.04)


def test_only_some_images_of_a_batch_change_and_each_step_as_often_as_it_should(only, rng, monkeypatch):
    images = pixels(rng, 2000, 6, 6, 3)
    poses = np.zeros((2000, 3), np.float32)
    for name in CHANCES:
        chance = {"FLIP_CHANCE": 0.5, "BRIGHTNESS_CHANCE": 0.5, "NOISE_CHANCE": 0.3, "BLUR_CHANCE": 0.2}.get(
            name, 0.1
        )
        only()
        monkeypatch.setattr(module, name, chance)
        varied, _ = augment(images, poses, 6, rng)
        changed = (varied != images).any((1, 2, 3)).mean()
        assert changed == pytest.approx(chance, abs=0.05), name


def test_the_result_is_float32_within_0_and_255_and_the_same_for_the_same_generator(only, rng):
    images, poses = pixels(rng, 64, 20, 20, 3), rng.uniform(-99, 99, (64, 3)).astype(np.float32)
    first, second, third = (augment(images, poses, 15, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first[0].shape == (64, 15, 15, 3)
    assert first[0].dtype == first[1].dtype == np.float32
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()
    assert (first[0] != third[0]).any()
    only(*CHANCES)
    varied, _ = augment(images, poses, 15, rng)
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert augment(255 - 0 * images, poses, 15, rng)[0].max() == 255  # brighter than white is white


def test_normalise_is_imagenets_mean_and_deviation_of_pixels_from_0_to_1(rng):
    images = pixels(rng, 2, 4, 5, 3)
    found = normalise(images)
    assert found.dtype == np.float32
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (images[..., channel] / 255 - mean) / deviation
        assert np.abs(found[..., channel] - expected).max() < 1e-5
