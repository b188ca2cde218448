"""Photos made worse, as in section 2.5 of the paper: what a model is worth on blurred, dark or covered faces.

A corruption is a function of a photo (PIL, RGB), the square box of its head and a random generator; it returns a
photo of the same size. Widths of blur are those of photos 450 pixels wide, as AFLW2000's are, and grow with
others.
"""

import numpy as np
from PIL import Image, ImageFilter

USUAL_WIDTH = 450


def blurred(sigma):
    """Gaussian blur; sigma in pixels of a photo 450 pixels wide."""

    def blur(photo, box, rng):
        return photo.filter(ImageFilter.GaussianBlur(sigma * photo.width / USUAL_WIDTH))

    return blur


def brightened(factor):
    """All values times a factor, at most white."""

    def brighten(photo, box, rng):
        return photo.point(lambda value: value * factor)

    return brighten


def noisy(sigma):
    """Normal noise of standard deviation sigma, of 255."""

    def add_noise(photo, box, rng):
        pixels = np.asarray(photo, np.float32)
        return Image.fromarray(np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8))

    return add_noise


def sampled_down(factor):
    """Only every so many pixels are left of rows and columns, then enlarged again."""

    def sample_down(photo, box, rng):
        return photo.reduce(factor).resize(photo.size, Image.Resampling.BILINEAR)

    return sample_down


def quarter_hidden(photo, box, rng):
    """A grey square over a quarter of the face, which is the middle half of the head's box: any of the four."""
    x, y, side, _ = box
    left, top = (x, y) + side * (0.25 + 0.25 * rng.integers(0, 2, 2))
    covered = photo.copy()
    covered.paste((128, 128, 128), tuple(round(edge) for edge in (left, top, left + side / 4, top + side / 4)))
    return covered


CORRUPTIONS = {
    "none": None,
    "blur, sigma 3": blurred(3),
    "blur, sigma 6": blurred(6),
    "brightness x 0.25": brightened(0.25),
    "brightness x 0.1": brightened(0.1),
    "brightness x 2.5": brightened(2.5),
    "noise, sigma 40": noisy(40),
    "down-sampling x 10": sampled_down(10),
    "a quarter hidden": quarter_hidden,
}

# Mean errors on AFLW2000 of FSA-Net (Yang et al., 2019), trained on 300W-LP's photos: section 2.5 of the paper.
FSA_NET = {
    "none": 5.16,
    "blur, sigma 3": 5.36,
    "blur, sigma 6": 6.52,
    "brightness x 0.25": 6.53,
    "brightness x 0.1": 13.33,
    "brightness x 2.5": 8.69,
    "noise, sigma 40": 11.57,
    "down-sampling x 10": 6.20,
}
