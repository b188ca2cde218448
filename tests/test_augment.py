"""The paper's augmentation against SciPy's filters and against the definition of each step.

augment() draws what preprocess.prepare() then does: so the two are tested together.
"""

import numpy as np
import pytest
from scipy import ndimage

from tests.test_tensor import pretend_gpu
from tinyhpe.datasets import augment as module
from tinyhpe.datasets.augment import augment, gaussian_blur, gaussian_noise, motion_blur
from tinyhpe.datasets.preprocess import prepare, unvaried
from tinyhpe.errors import InputError
from tinyhpe.pose.angles import euler_to_matrix

CHANCES = ("FLIP_CHANCE", "BRIGHTNESS_CHANCE", "BLUR_CHANCE", "MOTION_BLUR_CHANCE", "NOISE_CHANCE")
IMAGENET = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]  # mean and deviation of pixels from 0 to 1


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


def in_pixels(prepared):
    """Undo the normalisation."""
    mean, deviation = np.transpose(IMAGENET)
    return (prepared * deviation + mean) * 255


def prepared(images, size, rng):
    """The pixels of random variants."""
    return prepare(*augment(images, size, rng), np.zeros((len(images), 3), np.float32), size)[0]


def test_a_mirrored_head_has_negated_yaw_and_roll_and_the_same_pitch(only, rng):
    images, poses = pixels(rng, 6, 16, 16, 3), rng.uniform(-90, 90, (6, 3)).astype(np.float32)
    kept_images, kept_poses = images.copy(), poses.copy()
    only("FLIP_CHANCE")
    seen, mirrored_poses = prepare(*augment(images, 16, rng), poses, 16)
    np.testing.assert_allclose(in_pixels(seen), images[:, :, ::-1], atol=1e-3)
    assert (mirrored_poses == poses * [-1, 1, -1]).all()
    assert mirrored_poses.dtype == np.float32
    only()
    seen, same_poses = prepare(*augment(images, 16, rng), poses, 16)
    np.testing.assert_allclose(in_pixels(seen), images, atol=1e-3)
    assert (same_poses == poses).all()
    assert (images == kept_images).all()
    assert (poses == kept_poses).all()


def test_the_mirrored_pose_is_that_of_the_mirrored_head(rng):
    mirror, points = (-1, 1, 1), rng.normal(size=(20, 3))
    image, variation = np.zeros((1, 4, 4, 3), np.uint8), np.float32([[0, 0, 1, 1]])
    for pose in rng.uniform(-90, 90, (20, 3)).astype(np.float32):
        mirrored = prepare(image, variation, pose[None], 4)[1][0]
        ours, expected = (
            (points * mirror) @ euler_to_matrix(mirrored).T,
            (points @ euler_to_matrix(pose).T) * mirror,
        )
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_pixels_and_labels_are_mirrored_together_in_half_of_the_heads(rng):
    images = np.zeros((400, 8, 8, 3), np.uint8)
    images[:, :, :2] = 200  # bright on the left
    poses = np.tile(np.float32([30, 20, 10]), (400, 1))
    seen, new_poses = prepare(*augment(images, 8, rng), poses, 8)
    bright_left = seen[:, :, :3].mean((1, 2, 3)) > seen[:, :, -3:].mean((1, 2, 3))
    assert (bright_left == (new_poses[:, 0] > 0)).all()
    assert 150 < bright_left.sum() < 250


@pytest.mark.parametrize(("side", "places"), [(7, [1, 2, 2, 1]), (8, [1, 2, 3, 2, 1]), (4, [1])])
def test_the_parts_that_are_kept_lie_everywhere_but_rather_in_the_middle_where_testing_looks(rng, side, places):
    _, variations = augment(pixels(rng, 8000, side, side, 3), 4, rng)
    corners, counts = np.unique(variations[:, :2], axis=0, return_counts=True)
    assert corners.tolist() == [[y, x] for y in range(len(places)) for x in range(len(places))]
    expected = np.outer(places, places).ravel() / sum(places) ** 2 * 8000
    assert (np.abs(counts - expected) < 5.6 * np.sqrt(expected)).all()


def test_a_part_is_cut_out_mirrored_brightened_at_most_to_white_and_normalised(rng):
    images, size = pixels(rng, 4, 9, 9, 3), 6
    variations = np.float32([[0, 0, 1, 1], [3, 3, 0, 0.3], [3, 0, 1, 1.7], [1, 2, 0, 1.2]])
    poses = np.float32([[10, 20, 30]] * 4)
    found, found_poses = prepare(images, variations, poses, size)
    assert found_poses.tolist() == [[-10, 20, -30], [10, 20, 30]] * 2
    assert found.dtype == np.float32
    assert found.shape == (4, size, size, 3)
    for n, row, column, channel in np.ndindex(found.shape):
        y, x, mirrored, brightness = variations[n].tolist()
        across = size - 1 - column if mirrored else column
        pixel = min(images[n, int(y) + row, int(x) + across, channel] * brightness, 255) / 255
        mean, deviation = IMAGENET[channel]
        assert found[n, row, column, channel] == pytest.approx((pixel - mean) / deviation, abs=1e-5)
    assert in_pixels(found).max() == pytest.approx(255)


@pytest.mark.parametrize(("side", "size", "start"), [(64, 48, 8), (300, 224, 38), (5, 5, 0), (7, 4, 1)])
def test_unvaried_is_the_middle_as_it_is(side, size, start, rng):
    images = pixels(rng, 2, side, side, 3)
    middle = images[:, start : start + size, start : start + size]
    found = unvaried(images, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(in_pixels(found), middle, atol=1e-3)
    as_drawn = np.tile(np.float32([start, start, 0, 1]), (2, 1))
    assert (prepare(images, as_drawn, np.zeros((2, 3), np.float32), size)[0] == found).all()


def test_what_are_no_crops_of_bytes_is_refused_with_a_way_out(rng):
    images = pixels(rng, 2, 9, 9, 3)
    for wrong, size, words in [
        (images, 10, "crops of 9 pixels are smaller than the network's input of 10"),
        (images / 255, 9, r"images of float64.*\(255 \* images\)"),  # skimage's habit
        (images.astype(int), 9, "images of int64"),
        (images[0], 9, r"\(9, 9, 3\), are not \(n, S, S, 3\)"),
        (images[:, :7], 7, "give square RGB crops"),
        (images[..., :1], 9, "give square RGB crops"),
    ]:
        with pytest.raises(InputError, match=words):
            unvaried(wrong, size)
        with pytest.raises(InputError, match=words):
            prepare(wrong, np.zeros((len(wrong), 4), np.float32), np.zeros((len(wrong), 3), np.float32), size)


def test_images_of_memory_maps_and_strided_ones_are_prepared_as_copies_of_them(rng, tmp_path):
    np.save(tmp_path / "images.npy", pixels(rng, 8, 9, 9, 3))
    stored = np.load(tmp_path / "images.npy", mmap_mode="r")
    variations = np.float32([[1, 2, 1, 1.2], [0, 3, 0, 0.8]])
    poses = np.zeros((2, 3), np.float32)
    for chosen in (stored[2:4], stored[6:2:-2], stored[:2, ::-1, ::-1, ::-1]):
        expected, _ = prepare(np.array(chosen), variations, poses, 5)
        assert (prepare(chosen, variations, poses, 5)[0] == expected).all()
        found = unvaried(chosen, 5)
        assert (found == unvaried(np.array(chosen), 5)).all()
        assert type(found) is np.ndarray


def test_on_a_gpu_nothing_is_looked_at_and_nothing_is_sent_to_it(rng, monkeypatch):
    images, variations = pixels(rng, 5, 9, 9, 3), augment(pixels(rng, 5, 9, 9, 3), 6, rng)[1]
    poses = rng.uniform(-90, 90, (5, 3)).astype(np.float32)
    expected = *prepare(images, variations, poses, 6), unvaried(images, 6)
    with pretend_gpu(monkeypatch) as cupy:
        on_gpu = [cupy.asarray(array) for array in (images, variations, poses)]
        prepare(*on_gpu, 6)  # sends mean and standard deviation to the GPU, once
        for look in ("get", "item", "tolist", "__bool__", "__int__", "__float__", "__index__"):
            monkeypatch.setattr(cupy.ndarray, look, None, raising=False)
        for copy in ("array", "asarray"):
            monkeypatch.setattr(cupy, copy, None)
        found = *prepare(*on_gpu, 6), unvaried(on_gpu[0], 6)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.on_device == theirs).all()
        assert ours.on_device.dtype == np.float32


def test_gaussian_blur_is_a_binomial_kernel_of_sigma_0_7(rng):
    images = float_pixels(rng, 3, 12, 10, 3)
    assert np.abs(gaussian_blur(images, rng) - binomial(images)).max() < 1e-3
    # the binomial that is meant: its standard deviation is a Gaussian's of 0.7 pixels
    point = np.zeros((1, 9, 9, 1), np.float32)
    point[0, 4, 4] = 1
    spread = gaussian_blur(point, rng)[0, :, :, 0]
    for axis in (0, 1):
        assert np.sqrt(spread.sum(axis) @ (np.arange(9) - 4) ** 2) == pytest.approx(0.7, abs=0.01)


def binomial(images):
    weights = np.outer([1, 2, 1], [1, 2, 1])[None, :, :, None] / 16
    return ndimage.convolve(images.astype(float), weights, mode="nearest")


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


def test_blurred_and_noisy_images_are_rounded_to_bytes_and_black_and_white_are_the_limits(only, rng):
    images = pixels(rng, 5, 12, 12, 3)
    only("BLUR_CHANCE")
    np.testing.assert_array_equal(augment(images, 12, rng)[0], np.rint(binomial(images)))
    only("NOISE_CHANCE")
    for limit in (0, 255):
        noisy, _ = augment(np.full((200, 8, 8, 3), limit, np.uint8), 8, rng)
        assert noisy.dtype == np.uint8
        assert 0 < np.abs(noisy - float(limit)).max() < 6 * 10  # and has not gone round to the other end
        assert 0.4 < (noisy == limit).mean() < 0.7


def test_brightness_is_one_factor_for_a_whole_image(only, rng):
    only("BRIGHTNESS_CHANCE")
    images = pixels(rng, 300, 8, 8, 3) // 8 + 1  # dark, so that nothing is cut off at 255
    factors = in_pixels(prepared(images, 8, rng)) / images
    assert np.abs(factors / factors[:, :1, :1, :1] - 1).max() < 1e-4
    assert np.log(factors[:, 0, 0, 0]).std() == pytest.approx(0.2, rel=0.15)
    assert np.log(factors[:, 0, 0, 0]).mean() == pytest.approx(0, abs=0.04)


def test_only_some_images_of_a_batch_change_and_each_step_as_often_as_it_should(only, rng, monkeypatch):
    images = pixels(rng, 2000, 6, 6, 3)
    before = unvaried(images, 6)
    for name, chance in zip(CHANCES, (0.5, 0.5, 0.2, 0.1, 0.3), strict=True):
        only()
        monkeypatch.setattr(module, name, chance)
        changed = (prepared(images, 6, rng) != before).any((1, 2, 3)).mean()
        assert changed == pytest.approx(chance, abs=0.05), name


def test_the_same_generator_gives_the_same_bits(rng):
    images = pixels(rng, 64, 20, 20, 3)
    first, second, third = (augment(images, 15, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [array.dtype for array in first] == [np.uint8, np.float32]
    for ours, same, other in zip(first, second, third, strict=True):
        assert (ours == same).all()
        assert (ours != other).any()
