"""A TFLite model as its file: one small flatbuffer, and behind it the constants, which are never copied as a whole.

The generated code of the schema would write constants into a buffer in memory, which grows by being copied. Instead
every buffer's list of bytes is packed empty, and its place is then made to point behind the rest, where the constant is
written as it lies in its array. All is still one flatbuffer of the ordinary form, which every runtime reads.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConversionError
from converters.half import is_exact
from converters.tflite.verify import IDENTIFIER, MAXIMUM_BYTES

ALIGNMENT = 16  # of a buffer's data, as the schema asks
PIECE = 2**20
DATA_SLOT = 4  # where the layout of a Buffer tells the place of its data


@dataclass(frozen=True)
class Constant:
    """The data of a buffer: an array of any strides; with `columns`, array[..., columns]; with `half`, in float16,
    which holds it exactly.
    """

    array: np.ndarray
    columns: np.ndarray | None = None
    half: bool = False

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `value`."""
        return self.array.shape if self.columns is None else (*self.array.shape[:-1], self.columns.size)

    @property
    def dtype(self) -> np.dtype:
        """Type of `value`."""
        return np.dtype(np.float16) if self.half else self.array.dtype

    def value(self) -> np.ndarray:
        """The array as a whole, in one piece of memory."""
        value = self.array if self.columns is None else self.array[..., self.columns]
        if self.half:
            value = value.astype(np.float16)
        return np.ascontiguousarray(value).reshape(value.shape)  # of a single number it makes a row of one

    def pieces(self) -> Iterator[memoryview]:
        """The bytes of `value`, a bounded part at a time where it has to be put together."""
        if self.bytes == 0:
            return
        if self.columns is None and not self.half and self.array.flags.c_contiguous:
            yield self.array.data.cast("B")
        else:
            yield from (part.value().data.cast("B") for part in self.parts())

    @property
    def fits_half(self) -> bool:
        """Whether float16 holds every number of it exactly."""
        return all(is_exact(part.value()) for part in replace(self, half=False).parts())

    def parts(self) -> "Iterator[Constant]":
        """The same in parts of a bounded size, along the first axis."""
        if self.array.ndim < 2:
            yield self
            return
        rows = max(1, PIECE * len(self.array) // max(1, self.bytes))
        for start in range(0, len(self.array), rows):
            yield replace(self, array=self.array[start : start + rows])


@dataclass(frozen=True)
class Packed:
    """A file that can be written: its flatbuffer, the constants that follow it, and what is behind the model."""

    head: bytes
    constants: tuple[Constant, ...]
    size: int
    tail: bytes = b""

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes of the file, in order."""
        yield self.head
        position = len(self.head)
        for constant in self.constants:
            start = _place(position)
            yield bytes(start - position) + struct.pack("<I", constant.bytes)
            yield from constant.pieces()
            position = start + 4 + constant.bytes
        yield self.tail

    def followed_by(self, tail: bytes) -> "Packed":
        """The same with something behind the model."""
        return replace(self, tail=self.tail + tail, size=self.size + len(tail))


def pack(model: schema.ModelT) -> Packed:
    """Pack a model whose buffers have a Constant (or nothing) as their data; it is used up.

    Raises ConversionError for one that is larger than a TFLite file can be. Nothing large was copied until then.
    """
    constants = {index: buffer.data for index, buffer in enumerate(model.buffers) if buffer.data is not None}
    for index in constants:
        model.buffers[index].data = np.empty(0, np.uint8)
    flat = flatbuffers.Builder(2**16)
    flat.Finish(model.Pack(flat), IDENTIFIER)
    head = flat.Output()
    places = _places(len(head), list(constants.values()))
    size = places[-1]
    if size > MAXIMUM_BYTES:
        raise ConversionError(
            f"it would take {size / 1e9:.2f} GB, and a TFLite file holds 2 GiB at most: "
            "export it in fp16 or int8, or to ONNX, or compress it first"
        )
    root = schema.Model.GetRootAs(head, 0)
    for index, place in zip(constants, places, strict=False):
        table = root.Buffers(index)._tab
        field = table.Pos + table.Offset(DATA_SLOT)
        struct.pack_into("<I", head, field, place - field)
    return Packed(bytes(head), tuple(constants.values()), size)


def _places(position: int, constants: Sequence[Constant]) -> list[int]:
    """Where the length of every constant stands, the first behind `position`, and where the last one ends."""
    places = []
    for constant in constants:
        places.append(_place(position))
        position = places[-1] + 4 + constant.bytes
    return [*places, position]


def _place(position: int) -> int:
    """The first place from `position` on for a length of 4 bytes behind which data is aligned."""
    return -(-(position + 4) // ALIGNMENT) * ALIGNMENT - 4
