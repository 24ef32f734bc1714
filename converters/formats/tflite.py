"""TFLite: images are NHWC throughout."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.formats.format import Layout, Source

if TYPE_CHECKING:
    import numpy as np

    from converters.description import Description


class Tflite:
    """Its int8 is int8 throughout."""

    name = "tflite"
    suffix = source = ".tflite"
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    layout: Layout = "NHWC"
    describes = True
    unsigned = False
    runtime = "litert"

    def write(self, source: Source, path: Path) -> dict[str, bytes]:
        """See Format.write."""
        from converters.tflite.emit import emit_tflite

        emit_tflite(
            source.graph,
            path,
            card=source.card,
            quantization=source.spec,
            integer_io=source.integer_io,
            half=source.half,
            by_channel=source.by_channel,
        )
        return {}

    def write_rounded(self, source: Path, path: Path, *, by_channel: bool) -> tuple[str, ...]:
        """See Format.write_rounded."""
        from converters.tflite.emit import write_rounded

        return write_rounded(source, path, by_channel=by_channel)

    def each(self, path: Path, samples: "Iterable[np.ndarray]", *, exact: bool = True) -> "Iterator[list[np.ndarray]]":
        """See Format.each. Its kernels cut nothing off."""
        from converters.runtimes import each_tflite

        return each_tflite(path, samples)

    def describe(self, path: Path) -> "Description":
        """See Format.describe."""
        from converters.tflite.describe import describe_tflite

        return describe_tflite(path)

    def prefixes(self, path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
        """See Format.prefixes."""
        from converters.tflite.prefixes import write_tflite_prefixes

        return write_tflite_prefixes(path, folder, ends)
