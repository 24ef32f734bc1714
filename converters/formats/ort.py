"""ONNX Runtime's own format: a graph that it has optimised beforehand, loaded without a protobuf parser."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import ConversionError
from converters.formats.format import Source
from converters.formats.onnx import Onnx

if TYPE_CHECKING:
    import numpy as np

    from converters.description import Description


class Ort:
    """Made from an .onnx, which is looked into in its place."""

    name, suffix = "ort", ".ort"
    source = Onnx.suffix
    precisions, layout = Onnx.precisions, Onnx.layout
    describes = False
    unsigned = True
    runtime = Onnx.runtime

    def write(self, source: Source, path: Path) -> dict[str, bytes]:
        """See Format.write. Beside it: its operators, for a runtime built with no others."""
        from converters.ort import convert_to_ort

        with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
            between = Path(folder) / path.with_suffix(Onnx.suffix).name
            Onnx().write(source, between)
            made = convert_to_ort(between, path)
        return {f"{path.name}.operators.config": made.config.encode()}

    def write_rounded(self, source: Path, path: Path, *, by_channel: bool) -> tuple[str, ...]:
        """It has no float16."""
        raise ConversionError(f"{path}: {self.name} has no float16")

    def each(self, path: Path, samples: "Iterable[np.ndarray]", *, exact: bool = True) -> "Iterator[list[np.ndarray]]":
        """See Format.each. There is no twin of it, so that it is run as it is."""
        from converters.runtimes import each_onnx

        return each_onnx(path, samples, exact=False)

    def describe(self, path: Path) -> "Description":
        """Its layout is ONNX Runtime's own."""
        raise ConversionError(f"{path}: cannot be looked into; its {Onnx.suffix} can")

    def prefixes(self, path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
        """Its layout is ONNX Runtime's own."""
        raise ConversionError(f"{path}: cannot be cut; its {Onnx.suffix} can")
