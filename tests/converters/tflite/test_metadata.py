"""What a file says of itself to the TFLite metadata tools: read here by hand, by the tools themselves in tests/e2e."""

import io
import struct
import zipfile

import flatbuffers
import numpy as np
import pytest
import torch
from emission import run_lite
from flatbuffers.number_types import Float32Flags, Int8Flags, UOffsetTFlags
from small_networks import samples, vgg

from converters import onnx_graph
from converters.errors import ConversionError
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.quantization.quantize import quantize
from converters.tflite.archive import MAXIMUM_FILES, archive, archived
from converters.tflite.emit import emit_tflite, tflite_bytes
from converters.tflite.flatbuffer import Damaged, read
from converters.tflite.metadata import (
    LABELS,
    METADATA_KEY,
    associated_files,
    entries,
    named_files,
    read_metadata,
)

CARD = {
    "schema_version": 1,
    "name": "näme",
    "input": {"name": "input", "shape": [3, 24, 24], "mean": [0.5, 0.25, 0.125], "std": [0.25, 0.5, 1.0]},
    "labels": ["tee", "", "two\nlines", "bag ", "été"],
    "outputs": [{"name": "logits", "shape": [5]}],
}


class Slots:
    """A table of a flatbuffer by slot numbers, read with flatbuffers' own Table."""

    def __init__(self, data, position):
        self.table = flatbuffers.table.Table(data, position)

    @classmethod
    def root(cls, data):
        return cls(data, flatbuffers.encode.Get(UOffsetTFlags.packer_type, data, 0))

    def at(self, slot):
        offset = self.table.Offset(4 + 2 * slot)
        assert offset
        return self.table.Pos + offset

    def text(self, slot):
        return self.table.String(self.at(slot)).decode()

    def byte(self, slot):
        return self.table.Get(Int8Flags, self.at(slot))

    def one(self, slot):
        return Slots(self.table.Bytes, self.table.Indirect(self.at(slot)))

    def many(self, slot):
        start, count = self.range(slot)
        return [Slots(self.table.Bytes, self.table.Indirect(start + 4 * index)) for index in range(count)]

    def floats(self, slot):
        start, count = self.range(slot)
        return [self.table.Get(Float32Flags, start + 4 * index) for index in range(count)]

    def range(self, slot):
        offset = self.at(slot) - self.table.Pos
        return self.table.Vector(offset), self.table.VectorLen(offset)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    network = vgg()
    path = tmp_path_factory.mktemp("metadata") / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    return path


@pytest.fixture(scope="module")
def emitted(source):
    return tflite_bytes(source, card=CARD)


def metadata_of(data):
    model = read(data, "Model")
    (entry,) = (entry for entry in model["Metadata"] if entry["Name"] == METADATA_KEY)
    return model["Buffers"][entry["Buffer"]]["Data"].tobytes()


def test_the_tables_are_those_of_the_schema(emitted):
    """Slots and numbers as metadata_schema.fbs counts them."""
    data = metadata_of(emitted)
    assert data[4:8] == b"M001"
    model = Slots.root(data)
    assert model.text(0) == "näme"
    assert model.text(7) == "1.0.0"
    (graph,) = model.many(3)
    (image,), (classes,) = graph.many(2), graph.many(3)
    assert (image.text(0), classes.text(0)) == ("input", "logits")
    assert image.one(3).byte(0) == 2  # ImageProperties
    assert image.one(3).one(1).byte(0) == 1  # RGB
    (unit,) = image.many(4)
    assert unit.byte(0) == 1  # NormalizationOptions
    assert unit.one(1).floats(0) == [127.5, 63.75, 31.875]
    assert unit.one(1).floats(1) == [63.75, 127.5, 255]
    assert classes.one(3).byte(0) == 1  # FeatureProperties
    (labels,) = classes.many(6)
    assert labels.text(0) == "labels.txt"
    assert labels.byte(2) == 2  # TENSOR_AXIS_LABELS


def test_normalising_pixels_as_the_tools_do_is_normalising_as_the_card_says(emitted):
    metadata = read_metadata(metadata_of(emitted))
    unit = metadata["subgraph_metadata"][0]["input_tensor_metadata"][0]["process_units"][0]["options"]
    pixels = np.arange(256.0)[:, None]
    expected = (pixels / 255 - CARD["input"]["mean"]) / CARD["input"]["std"]
    assert (pixels - unit["mean"]) / unit["std"] == pytest.approx(expected, abs=1e-6)


def test_the_labels_are_a_file_of_the_archive_behind_the_model(emitted):
    with zipfile.ZipFile(io.BytesIO(emitted)) as opened:
        assert opened.testzip() is None
        (entry,) = opened.infolist()
        assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert opened.read(entry).decode() == "tee\n1\ntwo lines\nbag\nété\n"
        assert emitted[entry.header_offset :].startswith(b"PK\x03\x04")  # from the start of the file
    assert archived(emitted) == associated_files(CARD)
    assert named_files(read_metadata(metadata_of(emitted))) == {LABELS}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colour_spaces(channels):
    card = {"input": {"shape": [channels, 8, 8], "mean": [0.5] * channels, "std": [0.5] * channels}}
    metadata = read_metadata(entries(card, ["input"], ["logits"])[METADATA_KEY])
    content = metadata["subgraph_metadata"][0]["input_tensor_metadata"][0]["content"]["content_properties"]
    assert content.get("color_space") == {1: 2, 3: 1}.get(channels)


@pytest.mark.parametrize("form", ["float", "half", "int8", "integers"])
def test_inspection_and_runtimes_read_every_form(source, tmp_path, form):
    path, options, model = tmp_path / "model.tflite", {}, source
    if form in ("int8", "integers"):
        quantized = quantize(onnx_graph.load(source), samples((3, 24, 24), 8))
        model, options = quantized.model, {"quantization": quantized.spec, "integer_io": form == "integers"}
    emit_tflite(model, path, card=CARD, half=form == "half", **options)
    described = describe(path)
    assert described.card == CARD
    assert described.bytes == path.stat().st_size
    inputs = samples((3, 24, 24))[:, None]
    bare = tmp_path / "bare.tflite"
    emit_tflite(model, bare, half=form == "half", **options)
    assert archived(bare.read_bytes()) == {}
    inputs = (20 * inputs).astype(np.int8) if form == "integers" else inputs
    assert np.array_equal(run_lite(path, inputs), run_lite(bare, inputs))


def test_same_card_same_bytes(source, emitted):
    assert tflite_bytes(source, card=CARD) == emitted
    assert tflite_bytes(source, card=CARD | {"labels": ["other", *CARD["labels"][1:]]}) != emitted


def test_a_card_that_tells_little(source, tmp_path):
    emit_tflite(source, tmp_path / "a.tflite", card={"name": "a"})
    data = (tmp_path / "a.tflite").read_bytes()
    assert describe(tmp_path / "a.tflite").card == {"name": "a"}
    assert archived(data) == {}
    (graph,) = read_metadata(metadata_of(data))["subgraph_metadata"]
    assert [table["name"] for table in graph["input_tensor_metadata"]] == ["input"]
    assert [table["name"] for table in graph["output_tensor_metadata"]] == ["logits"]


# Archives and metadata from others.


def refused(data, folder, reason):
    path = folder / "damaged.tflite"
    path.write_bytes(data)
    with pytest.raises(ConversionError, match=f"damaged TFLite model: .*{reason}"):
        describe(path)


@pytest.mark.parametrize("dropped", [1, 10, 22, 60, 100])
def test_an_archive_that_is_cut_off(emitted, tmp_path, dropped):
    refused(emitted[:-dropped], tmp_path, "name a file that it does not hold: labels.txt")


def test_a_label_that_was_changed(emitted, tmp_path):
    refused(emitted.replace(b"two lines\n", b"two limes\n"), tmp_path, "archive of its associated files is broken")


@pytest.mark.parametrize(
    ("offset", "value"),
    [(-6, 2**32 - 1), (-6, 2**31), (-6, 0), (-10, 2**19)],  # where the directory begins; its size
    ids=["far", "outside", "at the start", "large"],
)
def test_a_directory_that_lies_elsewhere(emitted, tmp_path, offset, value):
    data = bytearray(emitted)
    struct.pack_into("<I", data, len(data) + offset, value)
    refused(bytes(data), tmp_path, "archive of its associated files is broken")


def test_another_file_in_the_place_of_the_labels(emitted, tmp_path):
    start = emitted.rindex(b"PK\x03\x04")
    refused(emitted[:start] + archive({"other.txt": b"a\n"}, start), tmp_path, "does not hold: labels.txt")


def test_archives_that_are_too_large(emitted, tmp_path):
    start = emitted.rindex(b"PK\x03\x04")
    many = {LABELS: b"a"} | {str(index): b"" for index in range(MAXIMUM_FILES)}
    refused(emitted[:start] + archive(many, start), tmp_path, "archive of its associated files is too large")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(LABELS, bytes(65 * 1024**2))
    refused(emitted[:start] + bomb.getvalue(), tmp_path, "associated files have more than")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_compression_that_are_not_known(emitted, tmp_path, method):
    start, other = emitted.rindex(b"PK\x03\x04"), io.BytesIO()
    with zipfile.ZipFile(other, "w", method) as opened:
        opened.writestr(LABELS, "a")
    refused(emitted[:start] + other.getvalue(), tmp_path, "compressed in a way")


def test_archives_of_other_tools_are_read(emitted, tmp_path):
    """Compressed, with a comment, with offsets from the archive's own start."""
    start, other = emitted.rindex(b"PK\x03\x04"), io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(LABELS, "a\nb\n")
        opened.comment = b"a comment"
    (tmp_path / "other.tflite").write_bytes(emitted[:start] + other.getvalue())
    assert describe(tmp_path / "other.tflite").card == CARD
    assert archived(emitted[:start] + other.getvalue()) == {LABELS: b"a\nb\n"}


def test_what_only_looks_like_the_end_of_an_archive_is_data():
    assert archived(b"TFL3" + b"PK\x05\x06" + bytes(30)) == {}
    assert archived(b"PK\x05\x06") == {}
    assert archived(b"") == {}


def test_metadata_that_point_outside_of_themselves(emitted, tmp_path):
    data, inner = bytearray(emitted), metadata_of(emitted)
    start = emitted.index(inner)
    for position in (0, 4):
        changed = bytearray(data)
        struct.pack_into("<I", changed, start + position, 2**31)
        refused(bytes(changed), tmp_path, "lies outside of it" if position == 0 else "another kind")


def test_every_damaged_byte_of_the_metadata_is_read_or_refused(emitted):
    inner = metadata_of(emitted)
    read_ones = 0
    for position in range(len(inner)):
        changed = bytearray(inner)
        changed[position] ^= 0xFF
        try:
            named_files(read_metadata(bytes(changed)))
            read_ones += 1
        except (Damaged, UnicodeDecodeError):
            pass
    assert 0 < read_ones < len(inner)


@pytest.mark.parametrize(
    ("outputs", "place"),
    [
        ([], 0),
        ([{"name": "a", "shape": [2], "kind": "classes"}], 0),
        ([{"name": "a", "shape": [4], "kind": "values"}, {"name": "b", "shape": [2, 5, 5], "kind": "map"}], 1),
        ([{"name": "a", "shape": [64, 4], "kind": "values"}, {"name": "b", "shape": [64, 2], "kind": "values"}], None),
        ([{"name": "a", "shape": [3, 5, 5], "kind": "map"}], None),
    ],
)
def test_labels_are_of_the_output_that_has_a_value_for_each(outputs, place):
    card = {"name": "net", "labels": ["cat", "dog"], "outputs": outputs}
    names = [each["name"] for each in outputs] or ["logits"]
    data = entries(card, ["input"], names)[METADATA_KEY]
    (graph,) = read_metadata(data)["subgraph_metadata"]
    files = [bool(each["associated_files"]) for each in graph["output_tensor_metadata"]]
    assert files == [number == place for number in range(len(names))]
    assert (associated_files(card) == {}) == (place is None)
