"""A bounded reader of flatbuffers of the TFLite schema: every access is checked before it is made.

Python's flatbuffers has no verifier. The layout of each table is taken from the generated schema by watching what its
functions for writing do, so it is the schema's own; only what these do not tell (which offsets lead to tables, and
which 4-byte numbers are floats) is written down here. Nothing large is copied: vectors are views of the file.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from converters.tflite.schema import schema

# A file of many parts that lead to one another would take for ever: what a file may make us look at, in all.
MAXIMUM_TABLES = 300_000
MAXIMUM_NUMBERS = 20_000_000
MAXIMUM_TEXT = 16 * 1024**2

SCALARS = {
    "Bool": "B", "Byte": "B", "Uint8": "B", "Int8": "b", "Uint16": "H", "Int16": "h", "Uint32": "I", "Int32": "i",
    "Uint64": "Q", "Int64": "q", "Float32": "f", "Float64": "d",
}  # fmt: skip
ELEMENTS = {1: "u1", 2: "<u2", 4: "<i4", 8: "<i8"}
FLOATS = {"QuantizationParameters": ("Min", "Max", "Scale"), "BucketizeOptions": ("Boundaries",)}
# What offsets lead to, where it is neither a string nor numbers.
TABLES = {
    ("Model", "OperatorCodes"): "OperatorCode",
    ("Model", "Subgraphs"): "SubGraph",
    ("Model", "Buffers"): "Buffer",
    ("Model", "Metadata"): "Metadata",
    ("Model", "SignatureDefs"): "SignatureDef",
    ("Model", "ExternalBufferGroups"): "ExternalBufferGroup",
    ("Model", "ExternalBuffers"): "ExternalBuffer",
    ("SubGraph", "Tensors"): "Tensor",
    ("SubGraph", "Operators"): "Operator",
    ("SignatureDef", "Inputs"): "TensorMap",
    ("SignatureDef", "Outputs"): "TensorMap",
    ("SparsityParameters", "DimMetadata"): "DimensionMetadata",
    ("Tensor", "VariantTensors"): "VariantSubType",
    ("Tensor", "Quantization"): "QuantizationParameters",
    ("Tensor", "Sparsity"): "SparsityParameters",
}
UNIONS = {
    ("QuantizationParameters", "Details"): schema.QuantizationDetails,
    ("DimensionMetadata", "ArraySegments"): schema.SparseIndexVector,
    ("DimensionMetadata", "ArrayIndices"): schema.SparseIndexVector,
    ("Operator", "BuiltinOptions"): schema.BuiltinOptions,
    ("Operator", "BuiltinOptions2"): schema.BuiltinOptions2,
}
KIND = ""  # the name under which a table's own kind stands among its fields
Table = dict[str, Any]


class Damaged(ValueError):
    """A file that points outside of itself, or whose parts do not fit together."""


@dataclass(frozen=True)
class Field:
    """One field. kind: scalar, numbers, string, table, tables or union; `of`: format, dtype, table, or union class."""

    name: str
    kind: str
    of: Any
    size: int
    default: Any = None


Layout = Callable[[str], tuple[Field | None, ...]]  # the fields of a table, by slot


class _Watcher:
    """Stands in for a flatbuffers builder, and notes what a function of the schema asks of it."""

    def __init__(self) -> None:
        self.slot, self.scalar, self.default, self.element = -1, "", 0, 0

    def __getattr__(self, name: str) -> Any:
        def prepend(slot: int, value: Any, default: Any) -> None:
            self.slot, self.default = slot, default
            self.scalar = name.removeprefix("Prepend").removesuffix("Slot")

        return prepend

    def StartVector(self, size: int, count: int, alignment: int) -> None:
        self.element = size


@cache
def layout(table: str) -> tuple[Field | None, ...]:
    """The fields of a table of the schema, by slot; None where a slot is no longer used."""
    fields: dict[int, Field] = {}
    prefix = f"{table}Add"
    for function in vars(schema):
        if function.startswith(prefix):
            watcher, name = _Watcher(), function.removeprefix(prefix)
            getattr(schema, function)(watcher, 0)
            fields[watcher.slot] = _field(table, name, watcher)
    return tuple(fields.get(slot) for slot in range(max(fields, default=-1) + 1))


def _field(table: str, name: str, watcher: _Watcher) -> Field:
    if watcher.scalar in SCALARS:
        form = SCALARS[watcher.scalar]
        return Field(name, "scalar", f"<{form}", struct.calcsize(form), watcher.default)
    if (table, name) in UNIONS:
        members = {value: member for member, value in vars(UNIONS[table, name]).items() if isinstance(value, int)}
        return Field(name, "union", members, 4)
    start = getattr(schema, f"{table}Start{name}Vector", None)
    if (table, name) in TABLES:
        return Field(name, "table" if start is None else "tables", TABLES[table, name], 4)
    if start is None:
        return Field(name, "string", None, 4)
    start(watcher, 0)
    return Field(name, "numbers", "<f4" if name in FLOATS.get(table, ()) else ELEMENTS[watcher.element], 4)


def read(data: bytes, table: str, layout: Layout = layout) -> Table:
    """The root table of a file as a dictionary: numbers as array views, text as str, tables as dictionaries.

    A field that the file leaves out has the schema's default: None for all but numbers. Raises Damaged if anything
    lies outside of the file, is not aligned, or is more than a file may make us look at. layout: of another schema.
    """
    return _Reader(data, layout).root(table)


class _Reader:
    def __init__(self, data: bytes, layout: Layout):
        self.data, self.size, self.layout = data, len(data), layout
        self.tables, self.numbers, self.text = MAXIMUM_TABLES, MAXIMUM_NUMBERS, MAXIMUM_TEXT

    def root(self, table: str) -> Table:
        return self.table(self.follow(0), table)

    def scalar(self, position: int, form: str, size: int) -> Any:
        if not 0 <= position <= self.size - size or position % size:
            raise Damaged("a number lies outside of it")
        return struct.unpack_from(form, self.data, position)[0]

    def follow(self, position: int) -> int:
        return position + int(self.scalar(position, "<I", 4))

    def table(self, position: int, kind: str) -> Table:
        self.tables -= 1
        if self.tables < 0:
            raise Damaged(f"it has more than {MAXIMUM_TABLES} parts")
        virtual = position - self.scalar(position, "<i", 4)
        virtual_size, own_size = self.scalar(virtual, "<H", 2), self.scalar(virtual + 2, "<H", 2)
        if virtual_size < 4 or virtual_size % 2 or virtual + virtual_size > self.size:
            raise Damaged(f"the layout of a {kind} lies outside of it")
        if own_size < 4 or position + own_size > self.size:
            raise Damaged(f"a {kind} lies outside of it")
        offsets = struct.unpack_from(f"<{(virtual_size - 4) // 2}H", self.data, virtual + 4)
        found: Table = {KIND: kind}
        for slot, field in enumerate(self.layout(kind)):
            if field is None:
                continue
            offset = offsets[slot] if slot < len(offsets) else 0
            if offset == 0:
                found[field.name] = field.default
            elif offset < 4 or offset + field.size > own_size:
                raise Damaged(f"{field.name} of a {kind} lies outside of its table")
            elif field.kind == "scalar":
                found[field.name] = self.scalar(position + offset, field.of, field.size)
            else:
                found[field.name] = self.value(self.follow(position + offset), field, found)
        return found

    def value(self, position: int, field: Field, table: Table) -> Any:
        """What an offset leads to."""
        if field.kind == "table":
            return self.table(position, field.of)
        if field.kind == "union":
            member = field.of.get(table[f"{field.name}Type"])
            if member is None:
                raise Damaged(f"{field.name} is of a kind that is not known")
            return None if member == "NONE" else self.table(position, member)
        count = self.scalar(position, "<I", 4)
        if field.kind == "string":
            return self.string(position + 4, count)
        if field.kind == "tables":
            self.reach(position + 4, 4, count)
            return [self.table(self.follow(position + 4 + 4 * index), field.of) for index in range(count)]
        kind = np.dtype(field.of)
        if kind.itemsize > 1:  # bytes are only ever passed on
            self.numbers -= count
            if self.numbers < 0:
                raise Damaged(f"it has more than {MAXIMUM_NUMBERS} numbers beside its weights")
        self.reach(position + 4, kind.itemsize, count)
        return np.frombuffer(self.data, kind, count, position + 4) if count else np.empty(0, kind)

    def string(self, position: int, count: int) -> str:
        self.text -= count
        if self.text < 0:
            raise Damaged(f"it has more than {MAXIMUM_TEXT} bytes of text")
        self.reach(position, 1, count + 1)
        if self.data[position + count] != 0:
            raise Damaged("a text does not end")
        return self.data[position : position + count].decode()

    def reach(self, position: int, size: int, count: int) -> None:
        """Raise Damaged unless `count` values of `size` bytes lie inside."""
        if position + size * count > self.size or position % min(size, 4):
            raise Damaged("a list lies outside of it")
