"""Every photo that people have: upright 8-bit RGB comes out with the right colours, or one clear line."""

import numpy as np
import pytest
from PIL import Image

from tinyhpe.datasets.photos import check_photo, open_photo
from tinyhpe.errors import InputError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def halves(left, right, mode="RGB"):
    """40x30 pixels: the left half of one colour, the right half of another."""
    image = Image.new(mode, (40, 30), left)
    image.paste(right, (20, 0, 40, 30))
    return image


def saved(image, path, **options):
    image.save(path, **options)
    return path


def colours(path):
    """The colours in the middle of the two halves of what open_photo gives."""
    photo = open_photo(path)
    assert (photo.mode, photo.size) == ("RGB", (40, 30))
    assert check_photo(path) == photo.size
    return photo.getpixel((10, 15)), photo.getpixel((30, 15))


def sixteen_bits(left, right):
    return Image.fromarray(np.tile(np.repeat([left, right], 20), (30, 1)).astype(np.uint16))


PHOTOS = {  # name -> (image, file type, colours of its halves)
    "RGB": (halves(RED, BLUE), "png", (RED, BLUE)),
    "grey": (halves(10, 200, "L"), "png", ((10,) * 3, (200,) * 3)),
    "black and white": (halves(0, 1, "1"), "png", ((0,) * 3, (255,) * 3)),
    "16-bit grey is scaled, not cut off at 255": (
        sixteen_bits(257 * 100, 65535),
        "png",
        ((100,) * 3, (255,) * 3),
    ),
    "16-bit grey TIFF": (sixteen_bits(0, 257 * 7), "tif", ((0,) * 3, (7,) * 3)),
    "palette": (halves(RED, GREEN).quantize(4), "png", (RED, GREEN)),
    "GIF": (halves(GREEN, BLUE).quantize(4), "gif", (GREEN, BLUE)),
    "alpha on black": (
        halves((200, 100, 50, 0), (200, 100, 50, 128), "RGBA"),
        "png",
        ((0, 0, 0), (100, 50, 25)),
    ),
    "grey with alpha on black": (halves((200, 0), (200, 255), "LA"), "png", ((0,) * 3, (200,) * 3)),
    "CMYK": (halves((0, 255, 255, 0), (255, 255, 0, 0), "CMYK"), "tif", (RED, BLUE)),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_of_any_mode_keeps_its_colours(name, tmp_path):
    image, suffix, expected = PHOTOS[name]
    found = colours(saved(image, tmp_path / f"a.{suffix}"))
    assert np.abs(np.array(found) - expected).max() <= 1


def test_a_cmyk_jpeg_is_not_inverted(tmp_path):
    found = colours(saved(PHOTOS["CMYK"][0], tmp_path / "a.jpg", quality=95))
    assert np.abs(np.array(found) - (RED, BLUE)).max() <= 6


def test_a_transparent_palette_entry_becomes_black(tmp_path):
    image = halves(0, 1, "P")
    image.putpalette([*RED, *GREEN])
    assert colours(saved(image, tmp_path / "a.png", transparency=0)) == ((0, 0, 0), GREEN)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright_whatever_its_exif_says(orientation, tmp_path):
    # What a camera held like this has stored, by the definition of the tag: where row 0 and column 0 belong.
    upright = np.zeros((30, 40, 3), np.uint8)
    upright[:15, :20], upright[:15, 20:], upright[15:, :20] = RED, GREEN, BLUE
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright[:, ::-1].transpose(1, 0, 2),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright[::-1].transpose(1, 0, 2),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / "a.png", exif=exif)
    assert (np.asarray(open_photo(path)) == upright).all()
    assert check_photo(path) == (40, 30)


def test_damaged_exif_data_do_not_cost_the_photo(tmp_path):
    path = saved(halves(RED, BLUE), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xffnonsense")
    assert np.abs(np.array(colours(path)) - (RED, BLUE)).max() <= 6


def noise(path, side=100, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return saved(Image.fromarray(pixels), path, **options)


def problem_with(path, read=open_photo):
    """The one line, which names the file."""
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("read", [open_photo, check_photo])
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tif"])
def test_a_truncated_photo_is_refused_wherever_it_ends(suffix, read, tmp_path):
    path = noise(tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    for part in (0.02, 0.3, 0.6, 0.95):
        path.write_bytes(content[: int(len(content) * part)])
        assert "truncated" in (message := problem_with(path, read)) or "not an image" in message


def test_a_jpeg_without_its_last_byte_is_refused_and_one_with_something_behind_it_is_not(tmp_path):
    path = noise(tmp_path / "a.jpg")
    content = path.read_bytes()
    path.write_bytes(content + bytes(5000))  # some cameras append their own data
    assert open_photo(path).size == check_photo(path) == (100, 100)
    path.write_bytes(content[:-1])
    assert "truncated" in problem_with(path)
    assert "truncated" in problem_with(path, check_photo)


def save_empty(path):
    path.write_bytes(b"")


def save_text(path):
    path.write_text("<html>404 not found</html>")


def save_one_pixel(path):
    Image.new("RGB", (1, 1)).save(path, "PNG")


def save_strip(path):
    Image.new("RGB", (500, 15)).save(path, "PNG")


def save_float(path):
    Image.new("F", (40, 30), 0.5).save(path, "TIFF")


def save_32_bits(path):
    Image.fromarray(np.full((30, 40), 10**6, np.int32)).save(path, "TIFF")


@pytest.mark.parametrize("read", [open_photo, check_photo])
@pytest.mark.parametrize(
    ("save", "words"),
    [
        (save_empty, "not an image, or empty"),
        (save_text, "not an image"),
        (save_one_pixel, "1x1 pixels are too few"),
        (save_strip, "500x15 pixels are too few"),
        (save_float, "floating-point"),
        (save_32_bits, "more than 16 bits"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_photo_gives_one_line_that_says_why(save, words, read, tmp_path):
    path = tmp_path / "a.jpg"
    save(path)
    assert words in problem_with(path, read)


def test_a_file_under_a_file_is_no_such_file(tmp_path):
    assert "no such file" in problem_with(noise(tmp_path / "a.png") / "b.png")


@pytest.mark.parametrize("limit", [9_000, 4_000])  # Pillow warns up to twice its limit, and raises beyond
def test_a_decompression_bomb_is_refused_before_it_is_decoded(limit, tmp_path, monkeypatch):
    path = noise(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr(Image.Image, "convert", None)
    assert "million pixels" in problem_with(path)
    assert "million pixels" in problem_with(path, check_photo)
