"""Every mode that Pillow knows, in a file: the pixels that come of it, or why there are none."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from falcon_edge.data.decoding import MODES, decode, read_header
from falcon_edge.errors import BadInput

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
GREY_RAMP = np.repeat(np.arange(256, dtype=np.uint8), 3)
TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: np.rot90(pixels),
}


def palette(indices, colours, mode="P"):
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    assert image.mode == "P"
    return image if mode == "P" else image.convert(mode)


WIDE = GREY.astype(int) * 257


def sixteen(mode, values=WIDE):
    order = ">u2" if mode.endswith("B") else "<u2"
    return Image.frombytes(mode, (values.shape[1], values.shape[0]), values.astype(order).tobytes())


def dyed(colours):
    """255 - c without black, as a printer has it."""
    return Image.fromarray(np.dstack([255 - colours, np.zeros_like(GREY)]), "CMYK")


def planes(*arrays):
    return np.dstack(arrays)


BITS = (GREY > 127).astype(np.uint8) * 255
DARK = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
UNDYED = np.clip((255 - DARK[..., 3:]) - np.round((255 - DARK[..., 3:].astype(float)) * DARK[..., :3] / 255), 0, 255)
# The mode in which Pillow opens the file, its ending, the image, the pixels, how far they may be off.
CASES = [
    ("1", "png", Image.fromarray(BITS).convert("1"), BITS, 0),
    ("1", "tif", Image.fromarray(BITS).convert("1"), BITS, 0),
    ("1", "bmp", Image.fromarray(BITS).convert("1"), BITS, 0),
    ("1", "pbm", Image.fromarray(BITS).convert("1"), BITS, 0),
    ("L", "png", Image.fromarray(GREY), GREY, 0),
    ("L", "bmp", Image.fromarray(GREY), GREY, 0),
    ("L", "tif", Image.fromarray(GREY), GREY, 0),
    ("L", "pgm", Image.fromarray(GREY), GREY, 0),
    ("L", "jpg", Image.fromarray(np.full_like(GREY, 90)), np.full_like(GREY, 90), 1),
    ("LA", "png", Image.fromarray(planes(GREY, ALPHA), "LA"), GREY, 0),
    ("LA", "tif", Image.fromarray(planes(GREY, ALPHA), "LA"), GREY, 0),
    ("P", "png", palette(GREY, GREY_RAMP[::-1]), 255 - GREY, 0),
    ("P", "png", palette(GREY % 5, COLOUR[0]), COLOUR[0][GREY % 5], 0),
    ("P", "bmp", palette(GREY, np.roll(GREY_RAMP, 3)), GREY - np.uint8(1), 0),
    ("P", "gif", palette(GREY % 5, COLOUR[0]), COLOUR[0][GREY % 5], 0),
    ("P", "tif", palette(GREY % 5, COLOUR[0]), COLOUR[0][GREY % 5], 0),
    ("PA", "tif", palette(GREY % 5, COLOUR[0], "PA"), COLOUR[0][GREY % 5], 0),
    ("I;16", "png", sixteen("I;16"), GREY, 0),
    ("I;16", "tif", sixteen("I;16"), GREY, 0),
    ("I;16B", "tif", sixteen("I;16B"), GREY, 0),
    ("I", "pgm", Image.fromarray(GREY.astype(np.int32) * 257), GREY, 0),
    ("RGB", "png", Image.fromarray(COLOUR), COLOUR, 0),
    ("RGB", "bmp", Image.fromarray(COLOUR), COLOUR, 0),
    ("RGB", "tif", Image.fromarray(COLOUR), COLOUR, 0),
    ("RGB", "ppm", Image.fromarray(COLOUR), COLOUR, 0),
    ("RGB", "webp", Image.fromarray(COLOUR), COLOUR, 0),
    ("RGB", "jpg", Image.fromarray(np.full_like(COLOUR, (200, 40, 90))), np.full_like(COLOUR, (200, 40, 90)), 2),
    ("RGBA", "png", Image.fromarray(planes(COLOUR, ALPHA), "RGBA"), COLOUR, 0),
    ("RGBA", "tif", Image.fromarray(planes(COLOUR, ALPHA), "RGBA"), COLOUR, 0),
    ("RGBA", "webp", Image.fromarray(planes(COLOUR, ALPHA), "RGBA"), COLOUR, 0),
    ("CMYK", "tif", dyed(COLOUR), COLOUR, 0),
    ("CMYK", "tif", Image.fromarray(DARK, "CMYK"), UNDYED.astype(np.uint8), 1),
    ("CMYK", "jpg", dyed(np.full_like(COLOUR, (200, 40, 90))), np.full_like(COLOUR, (200, 40, 90)), 2),
    ("YCbCr", "tif", Image.fromarray(np.full_like(COLOUR, (200, 40, 90))).convert("YCbCr"), (200, 40, 90), 2),
]
SAVING = {"webp": {"lossless": True, "exact": True}, "jpg": {"quality": 100, "subsampling": 0}}


def saved(image, path, **options):
    image.save(path, **SAVING.get(path.suffix[1:], {}) | options)
    return path


@pytest.mark.parametrize(("mode", "ending", "image", "pixels", "off"), CASES)
def test_pixels_of_every_mode(tmp_path, mode, ending, image, pixels, off):
    path = saved(image, tmp_path / f"image.{ending}")
    with Image.open(path) as opened:
        assert opened.mode == mode
    found = decode(path)
    expected = np.broadcast_to(pixels, (*GREY.shape, 3)) if np.ndim(pixels) != 2 else np.asarray(pixels)[:, :, None]
    assert (found.shape, found.dtype) == (expected.shape, np.uint8)
    assert np.abs(found.astype(int) - expected).max() <= off
    assert read_header(path).size == found.shape[:2]
    assert read_header(path).channels == found.shape[2]


REFUSED = {
    "F": ("tif", Image.fromarray(GREY.astype(np.float32)), "floating-point numbers"),
    "I": ("tif", Image.fromarray(GREY.astype(np.int32)), "signed"),
    "LAB": ("tif", Image.frombytes("LAB", (7, 5), COLOUR.tobytes()), "the colour space LAB"),
}


@pytest.mark.parametrize("mode", REFUSED)
def test_modes_that_are_refused(tmp_path, mode):
    ending, image, said = REFUSED[mode]
    path = saved(image, tmp_path / f"image.{ending}")
    with pytest.raises(BadInput) as caught:
        decode(path)
    assert str(caught.value).startswith(f"{path}: its pixels are ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_mode_of_pillow_is_forgotten():
    """A mode is tried in a file above, or there is no kind of file that Pillow opens in it."""
    never_opened = {"HSV", "RGBX", "RGBa", "La", "I;16L", "I;16N"}
    assert {*Image.MODES} <= {*MODES}
    assert {mode for mode, *_ in CASES} | {*REFUSED} | never_opened == {*MODES}


# PNG and TIFF of kinds that Pillow does not write


def png(path, depth, kind, rows):
    """kind: 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha; rows: bytes of each line."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", GREY.shape[1], GREY.shape[0], depth, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row for row in rows)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_16_bits_keeps_the_high_byte_in_every_kind(tmp_path, kind, channels):
    values = RANDOM.integers(0, 65536, (*GREY.shape, channels)).astype(">u2")
    found = decode(png(tmp_path / "image.png", 16, kind, [row.tobytes() for row in values]))
    assert np.array_equal(found, (values >> 8)[:, :, : 3 if channels > 2 else 1])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_png_of_few_bits_spans_black_to_white(tmp_path, depth):
    values = RANDOM.integers(0, 2**depth, GREY.shape)
    bits = [np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :].ravel() for row in values]
    found = decode(png(tmp_path / "image.png", depth, 0, [np.packbits(row).tobytes() for row in bits]))
    assert np.array_equal(found[:, :, 0], values * 255 // (2**depth - 1))


def test_the_four_levels_of_the_report(tmp_path):
    values = np.array([[0, 100, 200, 255]]) * 257
    assert decode(saved(sixteen("I;16", values), tmp_path / "image.png"))[0, :, 0].tolist() == [0, 100, 200, 255]


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_16_bits_that_would_all_be_black_are_refused(tmp_path, mode):
    path = saved(sixteen(mode, GREY.astype(int)), tmp_path / "image.tif")
    with pytest.raises(BadInput, match="16 bits of which only the lowest 8 are used"):
        decode(path)
    assert not decode(saved(sixteen(mode, GREY.astype(int) * 0), path)).any()


def tiff(path, bits, values, *, photometric=1, sample_format=1):
    """One line after the other, unpacked but for 12 bits, whose pairs take three bytes."""
    height, width = values.shape
    if bits == 12:
        data = b"".join(
            bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255)) for a, b in values.reshape(-1, 2).astype(int).tolist()
        )
    else:
        data = values.astype(f"<u{bits // 8}").tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height)]
    tags += [(279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    )
    return path


def test_tiff_of_12_bits_keeps_its_high_8(tmp_path):
    values = RANDOM.integers(0, 4096, (4, 6))
    assert np.array_equal(decode(tiff(tmp_path / "image.tif", 12, values))[:, :, 0], values >> 4)


@pytest.mark.parametrize(
    ("bits", "kind", "said"),
    [
        (16, {"photometric": 0}, "16 bits in which 0 is white"),
        (8, {"sample_format": 2}, "signed or floating-point"),
        (16, {"sample_format": 2}, "signed or floating-point"),
        (32, {}, "32-bit integers"),
    ],
)
def test_tiff_that_pillow_would_read_wrongly_is_refused(tmp_path, bits, kind, said):
    path = tiff(tmp_path / "image.tif", bits, GREY.astype(int), **kind)
    with pytest.raises(BadInput, match=said):
        decode(path)
    with pytest.raises(BadInput, match=said):
        read_header(path) if "32" not in said else decode(path)


def test_tiff_in_which_0_is_white_in_8_bits(tmp_path):
    assert np.array_equal(decode(tiff(tmp_path / "image.tif", 8, GREY, photometric=0))[:, :, 0], 255 - GREY)


# What is more than a picture, or less


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("ending", "image"),
    [
        ("png", Image.fromarray(COLOUR)),
        ("png", sixteen("I;16")),
        ("png", palette(GREY % 5, COLOUR[0])),
        ("webp", Image.fromarray(COLOUR)),
        ("jpg", Image.fromarray(COLOUR)),
        ("tif", Image.fromarray(GREY)),  # which Pillow, given a path, mixes up
        ("tif", sixteen("I;16B")),
        ("tif", Image.fromarray(COLOUR)),
    ],
)
def test_upright_by_exif(tmp_path, ending, image, orientation):
    path = tmp_path / f"image.{ending}"
    expected = TURNS[orientation](decode(saved(image, path)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(saved(image, path, exif=exif))
    assert np.array_equal(found, expected)
    assert read_header(path).size == found.shape[:2]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_several_images_in_one_file_are_refused(tmp_path, ending):
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    path = saved(frames[0], tmp_path / f"image.{ending}", save_all=True, append_images=frames[1:])
    for read in (decode, read_header):
        with pytest.raises(BadInput, match="several images"):
            read(path)


def test_a_photo_of_a_phone_with_a_second_picture_is_its_first(tmp_path):
    frames = [Image.fromarray(np.full_like(COLOUR, 200)), Image.fromarray(np.full_like(COLOUR, 20))]
    frames[0].save(tmp_path / "image.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "image.jpg") == 200).all()


@pytest.mark.parametrize(("mode", "colours"), [("LA", GREY), ("RGBA", COLOUR)])
def test_a_picture_in_the_alpha_alone_is_refused(tmp_path, mode, colours):
    one = np.zeros_like(colours) + colours[0, 0]
    with pytest.raises(BadInput, match="their picture being in their alpha alone"):
        decode(saved(Image.fromarray(planes(one, ALPHA), mode), tmp_path / "image.png"))
    found = decode(saved(Image.fromarray(planes(one, ALPHA * 0), mode), tmp_path / "image.png"))
    assert (found == colours[0, 0]).all()


def test_transparency_shows_what_lies_beneath(tmp_path):
    image = palette(GREY % 5, COLOUR[0])
    path = saved(image, tmp_path / "image.png", transparency=bytes(range(5)))
    assert np.array_equal(decode(path), COLOUR[0][GREY % 5])


def test_colours_of_a_palette_that_no_pixel_has_do_not_count(tmp_path):
    colours = np.vstack([np.repeat(np.arange(4, dtype=np.uint8)[:, None], 3, 1), COLOUR[0]])
    path = saved(palette(GREY % 4, colours), tmp_path / "image.png")
    assert read_header(path).channels == 1
    assert np.array_equal(decode(path)[:, :, 0], GREY % 4)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.*")
@pytest.mark.parametrize(
    ("ending", "image"),
    [
        ("png", Image.fromarray(COLOUR)),
        ("png", sixteen("I;16")),
        ("jpg", Image.fromarray(COLOUR)),
        ("bmp", Image.fromarray(COLOUR)),
        ("webp", Image.fromarray(COLOUR)),
        ("gif", palette(GREY % 5, COLOUR[0])),
        ("tif", Image.fromarray(COLOUR)),
        ("ppm", Image.fromarray(COLOUR)),
    ],
)
def test_a_file_cut_anywhere_is_refused_or_still_whole(tmp_path, monkeypatch, ending, image):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as some libraries leave it behind
    path = saved(image, tmp_path / f"image.{ending}")
    data, whole = path.read_bytes(), decode(path)
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            same = np.array_equal(decode(path), whole)
        except BadInput as error:
            same = str(error).startswith(f"{path}: a broken image")
        assert same
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_file_is_what_is_in_it_not_what_it_is_called(tmp_path):
    path = saved(Image.fromarray(COLOUR), tmp_path / "image.png").rename(tmp_path / "image.jpg")
    assert np.array_equal(decode(path), COLOUR)
    postscript = tmp_path / "image.png"
    Image.fromarray(COLOUR).save(postscript, "EPS")  # whose reader would start a program
    with pytest.raises(BadInput, match=r"image\.png: a broken image"):
        decode(postscript)
