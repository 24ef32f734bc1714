"""An image file as pixels: one function for every kind of file, and what becomes of every mode that Pillow knows.

docs/formats.md has the same table for people. What could not be right is refused: nothing is clipped, and no range is
guessed. Alpha is left out and no colour profile applied, as in the loaders that networks are trained with.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from falcon_edge.errors import BadInput

ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
)
# Images as well, which nothing here reads: better named than left out of a class without a word.
UNREAD = frozenset(
    (".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".exr", ".hdr", ".pfm", ".tga", ".ico", ".dng")
)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
UNSIGNED, WHITE_IS_ZERO = 1, 0
SIXTEEN = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class _Refused(Exception):
    """Why the pixels of a file cannot be right."""


def _same(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def _bits(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.uint8) * np.uint8(255)


def _without_alpha(image: Image.Image) -> np.ndarray:
    pixels, alpha = np.asarray(image)[:, :, :-1], np.asarray(image)[:, :, -1]
    if (pixels == pixels[0, 0]).all() and (alpha != alpha[0, 0]).any():
        raise _Refused("of one colour, their picture being in their alpha alone, which is left out")
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _of_palette(image: Image.Image) -> np.ndarray:
    """The colours; grey where every colour that occurs is grey."""
    numbers = np.asarray(image)
    numbers = numbers[:, :, 0] if numbers.ndim == 3 else numbers  # the second is alpha
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = colours[np.unique(numbers)]
    return colours[:, 0][numbers] if (used == used[:, :1]).all() else colours[numbers]


def _high_byte(image: Image.Image) -> np.ndarray:
    bits = int(image.tag_v2.get(BITS, (16,))[0]) if image.format == "TIFF" else 16  # type: ignore[attr-defined]
    pixels = np.asarray(image)
    if 0 < pixels.max() < 256:
        raise _Refused(f"{bits} bits of which only the lowest 8 are used, so that all would be black")
    return (pixels >> (bits - 8)).astype(np.uint8)


def _integers(image: Image.Image) -> np.ndarray:
    """PNG and PGM of 16 bits come as 32-bit integers, too; no other has a range."""
    if image.format not in ("PNG", "PPM"):
        raise _Refused("signed or 32-bit integers, which have no fixed range")
    return _high_byte(image)


def _to_rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


# What becomes of an image by its mode: a function, or why it is refused.
MODES: dict[str, Callable[[Image.Image], np.ndarray] | str] = {
    "1": _bits,
    "L": _same,
    "LA": _without_alpha,
    "P": _of_palette,
    "PA": _of_palette,
    "I;16": _high_byte,
    "I;16L": _high_byte,
    "I;16B": _high_byte,
    "I;16N": _high_byte,
    "I": _integers,
    "RGB": _same,
    "RGBA": _without_alpha,
    "RGBX": _without_alpha,
    "CMYK": _to_rgb,
    "YCbCr": _to_rgb,
    "F": "floating-point numbers, which have no fixed range",
    "LAB": "in the colour space LAB",
    "HSV": "in the colour space HSV",
    "La": "multiplied by their alpha",
    "RGBa": "multiplied by their alpha",
}


@dataclass(frozen=True)
class Header:
    """What an image file will give: height and width when it is upright, and one channel or three."""

    size: tuple[int, int]
    channels: int


def decode(path: Path) -> np.ndarray:
    """uint8 (height, width, channels) of an image file, one channel or three, upright by its EXIF orientation.

    Raises BadInput, naming the file, for one that is damaged or whose pixels would not be right.
    """
    with _opened(path) as image:
        pixels = _pixels(image)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[:, :, None])


def decode_mask(path: Path) -> np.ndarray:
    """uint8 (height, width) of a mask: the numbers of a PNG of grey or with a palette, whose colours say nothing.

    Raises BadInput, naming the file, for one that is damaged or has colours for classes.
    """
    with _opened(path) as image:
        if image.format != "PNG" or image.mode not in ("L", "P", "1"):
            raise BadInput(
                f"{path}: a mask is a PNG of class numbers, grey or with a palette, not {image.format} {image.mode}"
            )
        image.load()
        return np.asarray(image).astype(np.uint8)


def read_header(path: Path) -> Header:
    """The same without decoding, where the file tells it. Raises BadInput as `decode` does."""
    with _opened(path) as image:
        grey = image.mode in ("1", "L", "LA", *SIXTEEN) or _is_grey_rgba(image)
        if image.mode in ("P", "PA"):
            grey = _pixels(image).ndim == 2
        width, height = image.size
        if width != height and _orientation(image) in LYING:
            width, height = height, width
    return Header((height, width), 1 if grey else 3)


def _orientation(image: Image.Image) -> int:
    """By EXIF; TIFF has turned its size by itself, and PNG would decode the image to look behind it."""
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return int(image.getexif().get(ORIENTATION, 1))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    whole = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # whatever a user's module has set: half an image is not that image
    try:
        # By a file and not by its name: Pillow maps the latter into memory and then mixes up lines of lying TIFFs.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            _check(image)
            yield image
    except BadInput:
        raise
    except _Refused as error:
        raise BadInput(f"{path}: its pixels are {error}; convert it to 8 bits of grey or RGB") from error
    except UnidentifiedImageError as error:
        raise BadInput(f"{path}: a broken image (its bytes are none of a known format); repair or remove it") from error
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        raise BadInput(f"{path}: a broken image ({' '.join(str(error).split())}); repair or remove it") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = whole


def _check(image: Image.Image) -> None:
    known = MODES.get(image.mode, "of a kind that is not known here")
    if isinstance(known, str):
        raise _Refused(known)
    if getattr(image, "is_animated", False) and image.format != "MPO":  # of which the first is the photo
        raise _Refused("several images (an animation or pages), of which it is not known which one is meant")
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        if any(kind != UNSIGNED for kind in tags.get(SAMPLE_FORMAT, (UNSIGNED,))):
            raise _Refused("signed or floating-point numbers")
        if image.mode in SIXTEEN and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            raise _Refused("16 bits in which 0 is white")


def _pixels(image: Image.Image) -> np.ndarray:
    convert = MODES[image.mode]
    assert callable(convert)  # `_check` has refused the others
    grey = _is_grey_rgba(image)
    image.load()  # a TIFF turns itself then, and says so
    ImageOps.exif_transpose(image, in_place=True)
    return convert(image)[:, :, 0] if grey else convert(image)


def _is_grey_rgba(image: Image.Image) -> bool:
    """Whether this is a PNG of grey and alpha in 16 bits, which Pillow opens as RGBA."""
    return image.format == "PNG" and any(tile[3] == "LA;16B" for tile in getattr(image, "tile", ()))
