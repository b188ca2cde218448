"""Photos as they come: any format, any orientation, any depth in; upright 8-bit RGB out, or one clear line."""

import contextlib
import os
import threading
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tinyhpe.errors import InputError
from tinyhpe.files import open_file

MINIMUM_SIDE = 16
WHITES = 1, 255, 4095, 65535  # of floats, of 8, 12 and 16 bits
CUT_TO_8_BITS = ";16", "65535"  # in how Pillow describes a file of which it drops the lower 8 of 16 bits
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # of TIFF; with more than 8 bits Pillow does not look at it
JPEG_END = b"\xff\xd9"
LYING_ORIENTATIONS = (5, 6, 7, 8)  # of EXIF: those that exchange width and height
MOST_BYTES, MOST_MEMORY = 10**8, 4 * 10**8  # of a file; for its pixels
PROGRESSIVE = 13
BYTES_PER_PIXEL = {  # that decoding takes at most, by format: measured, and rounded up
    **dict.fromkeys(("JPEG", "MPO", "PNG", "BMP", "GIF", "PPM"), 9),
    **dict.fromkeys(("TIFF", "AVIF"), 14),
    **dict.fromkeys(("WEBP", "JPEG2000"), 22),
}
STRIP = 256  # rows that are computed with at a time

# warnings.catch_warnings changes the whole process; one photo at a time keeps the threads out of each other's way
_one_at_a_time = threading.Lock()


def open_photo(path) -> Image.Image:
    """The photo as an upright RGB image, 8 bits a channel.

    The EXIF rotation is applied, grey and palette become RGB. Transparent parts become black, like all that lies
    outside a photo in this project.

    Grey of more than 8 bits, or of floats, does not say what white is. The brightest pixel decides: up to 255 it
    is a photo of 8 bits, up to 4095 of 12, up to 65535 of 16, and floats up to 1 go from 0 to 1. (A photo of 16
    bits without a pixel above 4095 would be nearly black; it comes out brighter.) Anything else is refused.

    Raises InputError (one line) for a file that is missing, unreadable, truncated, not an image, smaller than
    16x16 pixels, of pixels on an unknown scale, or so large that it would take more than 400 MB.
    """
    return _read(path, _to_rgb)


def to_photo(image) -> Image.Image:
    """A PIL image as `open_photo` gives it, itself if it is one; raises InputError as that does."""
    with _told_in_one_line("the image"):
        image.load()
        _check_size(image)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        if type(image) is Image.Image and image.mode == "RGB" and not turned and not image.has_transparency_data:
            return image
        return _to_rgb(ImageOps.exif_transpose(image))


def check_photo(path) -> tuple[int, int]:
    """The width and height of the upright photo; raises InputError as `open_photo` would.

    Of a JPEG it looks only at the head and the tail, so that a data set of 122,450 photos is checked in a minute
    before training, not on the third day of it; damage in the middle of a JPEG passes, Pillow decodes that anyway.
    """
    return _read(path, _measure)


def _read(path, use):
    with _told_in_one_line(path), _one_at_a_time, warnings.catch_warnings(), open_file(path, MOST_BYTES) as file:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            _check_size(image)
            _check_memory(image)
            with _silent_libtiff() if image.format == "TIFF" else contextlib.nullcontext():
                return use(image)


@contextlib.contextmanager
def _silent_libtiff():
    """Nothing of this process reaches standard error: there libtiff writes of damaged files, past Python."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _told_in_one_line(path):
    """Whatever goes wrong with a photo becomes an InputError of one line that names it."""
    try:
        yield
    except _Unsuitable as problem:
        raise InputError(f"{path}: {problem}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; check the name") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a photo; name the photos in it") from None
    except PermissionError:
        raise InputError(f"{path}: not readable for this user; change its permissions") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels; scale it down"
        ) from None
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or empty; give a JPEG or a PNG") from None
    except MemoryError:
        raise InputError(
            f"{path}: not enough memory to decode it; scale it down, or close other programs"
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if getattr(error, "strerror", None):
            raise InputError(f"{path}: {error.strerror}; check the name") from None
        raise InputError(f"{path}: damaged or truncated ({_one_line(error)}); get the photo anew") from None


class _Unsuitable(Exception):
    """A sound image that is no photo of a head."""


def _check_size(image):
    if min(image.size) < MINIMUM_SIDE:
        width, height = image.size
        raise _Unsuitable(
            f"{width}x{height} pixels are too few to show a head; "
            f"use a photo of at least {MINIMUM_SIDE}x{MINIMUM_SIDE}"
        )


def _check_memory(image):
    if image.format not in BYTES_PER_PIXEL:  # Pillow calls other programs for some
        raise _Unsuitable(f"a {image.format} file; save it as JPEG or PNG")
    needed = PROGRESSIVE if image.info.get("progressive") else BYTES_PER_PIXEL[image.format]
    width, height = image.size
    if width * height * needed > MOST_MEMORY:
        most = MOST_MEMORY // needed // 10**6
        raise _Unsuitable(
            f"{width}x{height} pixels, more than {most} million pixels of such a file; scale it down"
        )


def _measure(image):
    if not _is_complete_jpeg(image):
        _to_rgb(image)
    width, height = image.size
    turned = image.getexif().get(ExifTags.Base.Orientation) in LYING_ORIENTATIONS
    return (height, width) if turned else (width, height)


def _is_complete_jpeg(image):
    """True if the mark of a JPEG's end is where it should be; False also where only decoding can tell."""
    if image.format != "JPEG":
        return False
    image.fp.seek(0, 2)
    image.fp.seek(max(0, image.fp.tell() - 1024))
    return JPEG_END in image.fp.read()


def _to_rgb(image):
    """The image as open_photo gives it; `image` itself may be turned: a large one must not be there twice."""
    is_negative = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO
    is_cut = any(sign in str(getattr(image, "tile", "")) for sign in CUT_TO_8_BITS)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, or floats
        grey = _eight_bits(image)
        return (ImageOps.invert(grey) if is_negative else grey).convert("RGB")
    if image.has_transparency_data:
        image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        black = Image.new("RGB", image.size)
        black.paste(image, (0, 0), image)
        image = black
    else:
        image = image.convert("RGB")
    if is_cut and max(brightest for _, brightest in image.getextrema()) <= 16:
        raise _Unsuitable("its colours fill 12 of their 16 bits at most, and would be black; save it with 8 bits")
    return image


def _eight_bits(image):
    """Grey of floats, or of more than 8 bits, as bytes; Pillow's own convert() would cut off at 255."""
    width, height = image.size
    boxes = [(0, top, width, min(top + STRIP, height)) for top in range(0, height, STRIP)]
    strips = [np.asarray(image.crop(box)) for box in boxes]
    darkest, brightest = np.min([strip.min() for strip in strips]), np.max([strip.max() for strip in strips])
    whites = [white for white in WHITES if brightest <= white and (white > 1 or image.mode == "F")]
    if not whites or not darkest >= 0:
        raise _Unsuitable(
            f"its pixels go from {darkest:g} to {brightest:g}, a scale that is not known here; save it with 8 bits"
        )
    factor = np.float32(255 / whites[0])
    return Image.fromarray(np.concatenate([np.rint(strip * factor).astype(np.uint8) for strip in strips]))


def _one_line(error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
