"""What a format is: how files of it are written, run and looked into."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:  # the command line lists the formats, and --help must answer at once
    import numpy as np
    from onnx import ModelProto

    from converters.description import Description
    from converters.quantization.qdq import ActivationType
    from converters.quantization.spec import QuantizationSpec


Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Source:
    """What a file is made from: a float graph, its quantization if the file is to be int8, and what goes with it.

    integer_io: input and output of an int8 file are integers. activations: in int8, of a format that has both types.
    half: constants are stored in float16, `by_channel` looked at channel by channel (converters.half).
    """

    graph: "Path | ModelProto"
    spec: "QuantizationSpec | None" = None
    card: dict[str, Any] | None = None
    integer_io: bool = False
    activations: "ActivationType" = "uint8"
    half: bool = False
    by_channel: bool = False


class Format(Protocol):
    """A format of model files.

    precisions: in which it can be written. source: suffix of the format that it is made from and read in the place of,
    its own if there is none. layout: of images and maps, all values with four axes. describes: whether a file of it can
    be looked into. unsigned: whether its int8 form may have uint8 activations, whose products with int8 some x86
    kernels cut off (converters.quantization.twin). runtime: what runs it, as rules for rewrites name it.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    source: str
    layout: Layout
    describes: bool
    unsigned: bool
    runtime: str

    def write(self, source: Source, path: Path) -> dict[str, bytes]:
        """Write a file; returns what belongs beside it, by name. Raises ConversionError and its kinds."""

    def write_rounded(self, source: Path, path: Path, *, by_channel: bool) -> tuple[str, ...]:
        """Write the .onnx that `write` stores exactly in float16: that of `source`, its constants rounded.

        by_channel: see Source. Returns the names of the constants that float16 cannot hold, which stay float32 in both
        files. Raises ConversionError for a format without float16.
        """

    def each(self, path: Path, samples: "Iterable[np.ndarray]", *, exact: bool = True) -> "Iterator[list[np.ndarray]]":
        """Outputs on this host for samples (N, C, H, W), one by one. exact: as kernels that cut nothing off answer.

        Raises ConversionError for a file that the runtime does not take.
        """

    def describe(self, path: Path) -> "Description":
        """What is inside a file. Raises ConversionError for one that is damaged."""

    def prefixes(self, path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
        """Write models that end with the operator that writes each of the tensors `ends`, as files of their own.

        A prefix gives out every tensor that the rest would read, so that nothing of it can be left out: what a layer
        takes is the difference between one that ends with it and one before it. Raises ConversionError for a file that
        is damaged.
        """
