"""ONNX: what all other formats are made from."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import ConversionError
from converters.formats.format import Layout, Source

if TYPE_CHECKING:
    import numpy as np

    from converters.description import Description


class Onnx:
    """ONNX Runtime computes float16 in float32 on a CPU, so that there is no use for it here."""

    name = "onnx"
    suffix = source = ".onnx"
    precisions: tuple[str, ...] = ("fp32", "int8")
    layout: Layout = "NCHW"
    describes = unsigned = True
    runtime = "onnxruntime"

    def write(self, source: Source, path: Path) -> dict[str, bytes]:
        """See Format.write."""
        from converters import onnx_graph
        from converters.quantization.qdq import write_qdq

        model = onnx_graph.load(source.graph) if isinstance(source.graph, Path) else source.graph
        if source.spec is not None:
            model = write_qdq(model, source.spec, activations=source.activations, quantized_io=source.integer_io)
        elif model is source.graph:  # the caller's stays as it is
            model = copy.deepcopy(model)
        if source.card is not None:
            onnx_graph.embed_card(model, source.card)
        onnx_graph.save(model, path)
        return {}

    def write_rounded(self, source: Path, path: Path, *, by_channel: bool) -> tuple[str, ...]:
        """It has no float16."""
        raise ConversionError(f"{path}: {self.name} has no float16")

    def each(self, path: Path, samples: "Iterable[np.ndarray]", *, exact: bool = True) -> "Iterator[list[np.ndarray]]":
        """See Format.each."""
        from converters.runtimes import each_onnx

        return each_onnx(path, samples, exact=exact)

    def describe(self, path: Path) -> "Description":
        """See Format.describe."""
        from converters.onnx_describe import describe_onnx

        return describe_onnx(path)

    def prefixes(self, path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
        """See Format.prefixes."""
        from converters.onnx_prefixes import write_onnx_prefixes

        return write_onnx_prefixes(path, folder, ends)
