"""Every photo that people have: upright 8-bit RGB comes out with the right colours, or one clear line."""

import struct
import zlib

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


def grey(left, right, dtype=np.uint16):
    """As halves(), of any depth; Pillow takes it from the dtype."""
    return Image.fromarray(np.tile(np.repeat([left, right], 20), (30, 1)).astype(dtype))


def png_of_sixteen_bits(path, channels, colour_type):
    """A PNG by its specification: Pillow cannot write 16 bits a channel. channels: (30, 40, c) uint16."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    header = struct.pack(">IIBBBBB", 40, 30, 16, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


PHOTOS = {  # name -> (image, file type, colours of its halves)
    "RGB": (halves(RED, BLUE), "png", (RED, BLUE)),
    "grey": (halves(10, 200, "L"), "png", ((10,) * 3, (200,) * 3)),
    "black and white": (halves(0, 1, "1"), "png", ((0,) * 3, (255,) * 3)),
    "16-bit grey is scaled, not cut off at 255": (grey(257 * 100, 65535), "png", ((100,) * 3, (255,) * 3)),
    "16-bit grey TIFF": (grey(257 * 16, 257 * 170), "tif", ((16,) * 3, (170,) * 3)),
    "16-bit grey TIFF, big-endian": (grey(257 * 16, 257 * 170, ">u2"), "tif", ((16,) * 3, (170,) * 3)),
    "12-bit grey in 16 bits": (grey(4095 * 0.2, 4095), "png", ((51,) * 3, (255,) * 3)),
    "12-bit grey in 16 bits, big-endian": (grey(4095 * 0.2, 4095, ">u2"), "tif", ((51,) * 3, (255,) * 3)),
    "12-bit grey in 32 bits": (grey(0, 4095 * 0.6, np.int32), "tif", ((0,) * 3, (153,) * 3)),
    "8-bit grey in 16 bits": (grey(10, 200), "png", ((10,) * 3, (200,) * 3)),
    "8-bit grey in 32 bits": (grey(10, 255, np.int32), "tif", ((10,) * 3, (255,) * 3)),
    "16-bit grey in 32 bits": (grey(257 * 100, 65535, np.int32), "tif", ((100,) * 3, (255,) * 3)),
    "floats from 0 to 1": (grey(0.2, 1, np.float32), "tif", ((51,) * 3, (255,) * 3)),
    "floats from 0 to 255": (grey(10, 200, np.float32), "tif", ((10,) * 3, (200,) * 3)),
    "floats from 0 to 65535": (grey(257 * 100, 65535, np.float32), "tif", ((100,) * 3, (255,) * 3)),
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


@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 4095), (np.float32, 1)])
def test_a_grey_tiff_whose_white_is_0_does_not_come_out_negative(dtype, white, tmp_path):
    path = saved(grey(0, white, dtype), tmp_path / "a.tif")
    photometric = [struct.pack("<HHII", 262, 3, 1, value) for value in (1, 0)]  # the tag's entry in the file
    path.write_bytes(path.read_bytes().replace(*photometric))
    assert colours(path) == ((255,) * 3, (0,) * 3)


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])  # RGB, grey and alpha, RGBA
def test_colours_of_12_bits_in_16_are_refused_since_pillow_makes_them_black(colour_type, channels, tmp_path):
    pixels = np.full((30, 40, channels), 4095, np.uint16)
    if channels != 3:
        pixels[..., -1] = 65535  # opaque
    problem = problem_with(png_of_sixteen_bits(tmp_path / "dark.png", pixels, colour_type))
    assert "save it with 8 bits" in problem
    pixels[:] = 65535
    assert colours(png_of_sixteen_bits(tmp_path / "white.png", pixels, colour_type)) == ((255,) * 3,) * 2


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


def test_a_deep_grey_photo_stands_upright_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # half a turn
    path = saved(grey(0, 65535), tmp_path / "a.tif", exif=exif)
    assert colours(path) == ((255,) * 3, (0,) * 3)


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


def save_nan(path):
    grey(0.5, np.nan, np.float32).save(path, "TIFF")


def save_negative(path):
    grey(-0.1, 1, np.float32).save(path, "TIFF")


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
        (save_nan, "from nan to nan, a scale that is not known"),
        (save_negative, "from -0.1 to 1, a scale"),
        (save_32_bits, "to 1e+06, a scale"),
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
