"""An ONNX file as a TFLite file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_graph import CARD_KEY, OnnxGraph
from converters.tflite import operators  # noqa: F401  # registers the emitters
from converters.tflite.builder import Builder
from converters.tflite.context import Context, nhwc


@dataclass(frozen=True)
class TfliteExport:
    """What was written: its path and size in bytes."""

    path: Path
    bytes: int


def emit_tflite(source: Path, path: Path, *, card: dict[str, Any] | None = None) -> TfliteExport:
    """Emit the float32 TFLite model of an ONNX file (a free batch becomes 1).

    Images are NHWC throughout, the file's own input included; its serving signature has the names of the ONNX graph.
    Raises UnsupportedOperator for an operator that no emitter knows, ConversionError for a file that is not ONNX.
    """
    graph = OnnxGraph(onnx_graph.load(source))
    if len(graph.inputs) != 1:
        raise ConversionError(f"{source}: has {len(graph.inputs)} inputs; one image is expected")
    for value in (*graph.inputs, *graph.outputs):
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            raise ConversionError(f"{source}: {value.name} is not float32")
    builder = Builder("falcon-edge")
    context = Context(graph, builder)
    name = graph.inputs[0].name
    context.tensors[name] = builder.activation(name, nhwc(context.shapes[name]))
    for node in graph.nodes:
        context.emit(node)
    if card is not None:
        builder.metadata(CARD_KEY, json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    data = builder.finish(
        {name: context.tensors[name]}, {value.name: context.tensor(value.name) for value in graph.outputs}
    )
    onnx_graph.write_atomically(path, data)
    return TfliteExport(path, len(data))
