"""Crops of photos against naive loops."""

import numpy as np
import pytest
from PIL import Image

from tinyhpe.datasets.crops import PhotoCrops, crop_photo
from tinyhpe.errors import InputError


def photo(width=100, height=80, seed=0):
    pixels = np.random.default_rng(seed).integers(1, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


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


def test_a_box_that_makes_no_sense_is_refused():
    for box in ((200, 0, 10, 10), (0, 0, np.nan, 10), (1, 2, 3)):
        with pytest.raises(InputError, match="give x,y,width,height"):
            crop_photo(photo(), box, 8)


def test_crops_are_decoded_for_one_index_a_slice_or_an_array_in_its_order(tmp_path):
    for i in range(4):
        photo(seed=i).save(tmp_path / f"{i}.png")
    crops = PhotoCrops([tmp_path / f"{i}.png" for i in range(4)], [(0, 0, 30, 30)] * 4, 30)
    expected = [np.asarray(photo(seed=i))[:30, :30] for i in range(4)]
    assert len(crops) == 4
    assert (crops[2] == expected[2]).all()
    assert (crops[1:3] == expected[1:3]).all()
    assert (crops[np.array([3, 0, 3])] == np.array([expected[3], expected[0], expected[3]])).all()
