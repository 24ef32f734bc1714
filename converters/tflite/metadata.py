"""The metadata of a TFLite file: our card, and what of it the TFLite metadata tools know.

Those read a second flatbuffer, of metadata_schema.fbs (tflite-support), from the file's metadata, and the files that it
names from an archive behind the model. Its tables are written down here as far as they are used: the tools' own package
would bring more than all of ours.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import flatbuffers
import numpy as np

from converters.onnx_graph import CARD_KEY
from converters.tflite.flatbuffer import Damaged, Field, Table, read

METADATA_KEY = "TFLITE_METADATA"
IDENTIFIER = b"M001"
PARSER_VERSION = "1.0.0"  # the lowest version of the schema that has all that is written here
LABELS = "labels.txt"
PIXELS = 255.0  # the tools normalise pixels of 0..255, a card those of 0..1
TENSOR_AXIS_LABELS = 2
COLOUR_SPACES = {1: 2, 3: 1}  # by channels: GRAYSCALE, RGB
# The tables, their fields in the order of their slots: of [T] there are many; a union takes two slots, its kind first.
TABLES = {
    "ModelMetadata": "name:string description:string version:string subgraph_metadata:[SubGraphMetadata] "
    "author:string license:string associated_files:[AssociatedFile] min_parser_version:string",
    "SubGraphMetadata": "name:string description:string input_tensor_metadata:[TensorMetadata] "
    "output_tensor_metadata:[TensorMetadata] associated_files:[AssociatedFile]",
    "TensorMetadata": "name:string description:string dimension_names:[string] content:Content "
    "process_units:[ProcessUnit] stats:Stats associated_files:[AssociatedFile]",
    "Content": "content_properties:ContentProperties",
    "ImageProperties": "color_space:byte",
    "ProcessUnit": "options:ProcessUnitOptions",
    "NormalizationOptions": "mean:[float] std:[float]",
    "AssociatedFile": "name:string description:string type:byte locale:string",
}
# The tables that a union may be, by their numbers from 1 on; those without fields above are not looked into.
UNIONS = {
    "ContentProperties": ("FeatureProperties", "ImageProperties", "BoundingBoxProperties"),
    "ProcessUnitOptions": (
        "NormalizationOptions",
        "ScoreCalibrationOptions",
        "ScoreThresholdingOptions",
        "BertTokenizerOptions",
        "SentencePieceTokenizerOptions",
        "RegexTokenizerOptions",
    ),
}
KIND = "Type"  # added to a union's name: the name of its kind


def entries(card: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, bytes]:
    """The metadata of a file by their keys. card: as docs/formats.md has it; what it leaves out is left out here.

    inputs, outputs: the names of the graph's, in its order. The card tells of the first input, and of the output that
    its labels are of.
    """
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    source, *others = ({"name": name} for name in inputs)
    labelled = _labelled(card)
    results = [{"name": name} | (_classes(card) if place == labelled else {}) for place, name in enumerate(outputs)]
    model = {
        "name": card.get("name"),
        "subgraph_metadata": [
            {
                "input_tensor_metadata": [source | _image(card.get("input", {})), *others],
                "output_tensor_metadata": results,
            }
        ],
        "min_parser_version": PARSER_VERSION,
    }
    flat = flatbuffers.Builder(1024)
    flat.Finish(_table(flat, "ModelMetadata", model), IDENTIFIER)
    return {CARD_KEY: text, METADATA_KEY: bytes(flat.Output())}


def associated_files(card: Mapping[str, Any]) -> dict[str, bytes]:
    """The files that the metadata of a card names: the labels, one a line.

    Readers skip empty lines, and a label is one line: an empty one becomes its number, a line break a space.
    """
    labels = () if _labelled(card) is None else card.get("labels") or ()
    lines = [" ".join(label.split()) or str(index) for index, label in enumerate(labels)]
    return {LABELS: "".join(f"{line}\n" for line in lines).encode()} if lines else {}


def _labelled(card: Mapping[str, Any]) -> int | None:
    """The place of the output that has a value for each label along its first axis; of an only one nothing is asked."""
    outputs: Sequence[Mapping[str, Any]] = card.get("outputs") or ({},)
    labels = card.get("labels") or ()
    if len(outputs) == 1 and outputs[0].get("kind") in (None, "classes"):
        return 0
    fits = (
        place for place, each in enumerate(outputs) if labels and list(each.get("shape") or ())[:1] == [len(labels)]
    )
    return next((place for place in fits if outputs[place].get("kind") in ("classes", "map")), None)


def read_metadata(data: bytes) -> Table:
    """A ModelMetadata as converters.tflite.flatbuffer reads it. Raises Damaged."""
    if data[4:8] != IDENTIFIER:
        raise Damaged("its metadata are of another kind than they say")
    return read(data, "ModelMetadata", _layout)


def named_files(metadata: Table) -> set[str]:
    """The associated files that a ModelMetadata and its tensors name."""
    return {file["name"] or "" for table in _described(metadata) for file in table["associated_files"] or ()}


def _described(metadata: Table) -> Iterator[Table]:
    yield metadata
    for graph in metadata["subgraph_metadata"] or ():
        yield graph
        yield from graph["input_tensor_metadata"] or ()
        yield from graph["output_tensor_metadata"] or ()


def _image(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The input of a card: (x - mean) / std for x in 0..1 as the same of pixels."""
    if not {"shape", "mean", "std"} <= spec.keys():
        return {}
    space = COLOUR_SPACES.get(spec["shape"][0])
    content = ("FeatureProperties", {}) if space is None else ("ImageProperties", {"color_space": space})
    normalisation = {side: [PIXELS * value for value in spec[side]] for side in ("mean", "std")}
    return {
        "description": "An image, normalised.",
        "content": {"content_properties": content},
        "process_units": [{"options": ("NormalizationOptions", normalisation)}],
    }


def _classes(card: Mapping[str, Any]) -> dict[str, Any]:
    named = [
        {"name": name, "description": "The classes, in the order of the output.", "type": TENSOR_AXIS_LABELS}
        for name in associated_files(card)
    ]
    return {
        "description": "A logit for each class.",
        "content": {"content_properties": ("FeatureProperties", {})},
        "associated_files": named,
    }


def _fields(table: str) -> list[tuple[str, str]]:
    """(name, type) of the fields of a table."""
    return [(name, kind) for name, _, kind in (field.partition(":") for field in TABLES.get(table, "").split())]


@cache
def _layout(table: str) -> tuple[Field | None, ...]:
    """The fields of a table by slot, for the bounded reader; None for one of a table that is not written down."""
    slots: list[Field | None] = []
    for name, kind in _fields(table):
        item = kind.strip("[]")
        if kind == "byte":
            slots.append(Field(name, "scalar", "<b", 1, 0))
        elif kind == "string":
            slots.append(Field(name, "string", None, 4))
        elif kind == "[float]":
            slots.append(Field(name, "numbers", "<f4", 4))
        elif kind in UNIONS:
            slots.append(Field(f"{name}{KIND}", "scalar", "<B", 1, 0))
            slots.append(Field(name, "union", dict(enumerate(("NONE", *UNIONS[kind]))), 4))
        elif item in TABLES:
            slots.append(Field(name, "table" if item == kind else "tables", item, 4))
        else:
            slots.append(None)
    return tuple(slots)


def _table(flat: Any, table: str, values: Mapping[str, Any]) -> int:
    """Write a table; returns its place. A union's value is (its table, values)."""
    slots: list[tuple[bool, int] | None] = []  # (whether it is a number, number or place)
    for name, kind in _fields(table):
        value = values.get(name)
        if value is None or value == []:
            slots += [None, None] if kind in UNIONS else [None]
        elif kind in UNIONS:
            member, inside = value
            slots += [(True, UNIONS[kind].index(member) + 1), (False, _table(flat, member, inside))]
        else:
            slots.append((True, value) if kind == "byte" else (False, _value(flat, kind, value)))
    flat.StartObject(len(slots))
    for slot, written in enumerate(slots):
        if written is not None:
            number, value = written
            prepend = flat.PrependInt8Slot if number else flat.PrependUOffsetTRelativeSlot
            prepend(slot, value, 0)
    return int(flat.EndObject())


def _value(flat: Any, kind: str, value: Any) -> int:
    if kind == "string":
        return int(flat.CreateString(value))
    if kind == "[float]":
        return int(flat.CreateNumpyVector(np.asarray(value, np.float32)))
    if not kind.startswith("["):
        return _table(flat, kind, value)
    places = [_table(flat, kind.strip("[]"), item) for item in value]
    flat.StartVector(4, len(places), 4)
    for place in reversed(places):
        flat.PrependUOffsetTRelative(place)
    return int(flat.EndVector())
