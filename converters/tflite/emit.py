"""An ONNX file as a TFLite file."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from converters import onnx_graph
from converters.errors import ConversionError, UnsupportedOperator
from converters.half import round_constants, round_weights
from converters.lending import lent
from converters.onnx_graph import OnnxGraph
from converters.passes import tidy
from converters.passes.fold_gemm import fold_gemm
from converters.passes.name_functions import name_functions
from converters.passes.one_image import one_image
from converters.quantization.qdq import integer_outputs
from converters.quantization.rules import check
from converters.quantization.spec import QuantizationSpec
from converters.tflite import operators  # noqa: F401  # registers the emitters
from converters.tflite.apart import Apart, take_apart
from converters.tflite.archive import archive
from converters.tflite.builder import Builder
from converters.tflite.context import OTHER_TYPES, Context
from converters.tflite.half import halve_constants
from converters.tflite.int8 import quantize_operators
from converters.tflite.layout import usual_order
from converters.tflite.metadata import associated_files, entries
from converters.tflite.packing import Packed


@dataclass(frozen=True)
class TfliteExport:
    """What was written: its path and size in bytes."""

    path: Path
    bytes: int


def emit_tflite(
    source: Path | ModelProto,
    path: Path,
    *,
    card: dict[str, Any] | None = None,
    quantization: QuantizationSpec | None = None,
    integer_io: bool = False,
    half: bool = False,
    by_channel: bool = False,
) -> TfliteExport:
    """Emit the TFLite model of an ONNX file or graph (a free batch becomes 1): float32, or int8 by `quantization`.

    Images are NHWC throughout, the file's own input and output included; its serving signature has the names of the
    ONNX graph. With `integer_io` input and output of an int8 model are int8 too; with `half` the constants of a float
    model are stored in float16, but for those that it cannot hold (`by_channel`: converters.half.round_constants).

    Raises UnsupportedOperator, which lists every node that has no form in TFLite, NoInt8Form for nodes that cannot be
    int8 there, QuantizationError for a quantization that breaks a rule, ConversionError for a file that is not ONNX.
    """
    options = {"integer_io": integer_io, "half": half, "by_channel": by_channel}
    packed = pack_tflite(source, card=card, quantization=quantization, **options)
    onnx_graph.write_atomically(path, packed.pieces())
    return TfliteExport(path, packed.size)


def pack_tflite(
    source: Path | ModelProto,
    *,
    card: dict[str, Any] | None = None,
    quantization: QuantizationSpec | None = None,
    integer_io: bool = False,
    half: bool = False,
    by_channel: bool = False,
) -> Packed:
    """What emit_tflite writes; `source` is left as it was."""
    name = "the graph" if isinstance(source, ModelProto) else str(source)
    with lent(source) if isinstance(source, ModelProto) else nullcontext(onnx_graph.load(source)) as model:
        if quantization is not None:
            check(OnnxGraph(model), quantization)
        return _emitted(_prepared(model, name), name, card, quantization, integer_io, half, by_channel)


def write_rounded(source: Path, path: Path, *, by_channel: bool = False) -> tuple[str, ...]:
    """Write the ONNX graph that emit_tflite stores exactly with `half`: that of `source`, its constants rounded.

    Returns the names of the constants that float16 cannot hold, which stay float32 in both files.
    """
    model = fold_gemm(_prepared(onnx_graph.load(source), str(source)))
    left = round_weights(model, by_channel=by_channel)
    onnx_graph.save(model, path)
    return left


def tflite_bytes(source: Path | ModelProto, **options: Any) -> bytes:
    """What emit_tflite writes, as one piece: arguments as there."""
    return b"".join(pack_tflite(source, **options).pieces())


def emit_apart(model: ModelProto, quantization: QuantizationSpec) -> Apart:
    """The int8 model of a graph with its operators taken apart (converters.tflite.apart), as emit_tflite emits it."""
    with lent(model) as changed:
        context, inputs, results = _built(_prepared(changed, "the graph"), "the graph", None, quantization)
        return take_apart(context, quantization, inputs, results)


def _emitted(
    model: ModelProto,
    source: str,
    card: dict[str, Any] | None,
    quantization: QuantizationSpec | None,
    integer_io: bool,
    half: bool,
    by_channel: bool,
) -> Packed:
    context, inputs, results = _built(model, source, card, quantization, integer_io, half, by_channel)
    try:
        packed = context.builder.finish(inputs, results)
    except ConversionError as error:
        raise ConversionError(f"{source}: {error}") from error
    files = associated_files(card or {})
    return packed.followed_by(archive(files, packed.size)) if files else packed


def _built(
    model: ModelProto,
    source: str,
    card: dict[str, Any] | None,
    quantization: QuantizationSpec | None,
    integer_io: bool = False,
    half: bool = False,
    by_channel: bool = False,
) -> tuple[Context, dict[str, int], dict[str, int]]:
    """The emission of a prepared graph, and the tensors of its input and its outputs by their names."""
    if half:
        model = fold_gemm(model)  # or what is stored is not what was rounded
    shapes, types = OnnxGraph(model).fixed_shapes(), onnx_graph.kinds(model)
    graph, builder = OnnxGraph(name_functions(model)), Builder("falcon-edge")
    if half:
        round_constants(graph.constants, by_channel=by_channel)
    context = Context(graph, shapes, types, builder, integer=quantization is not None)
    name = graph.inputs[0].name
    context.output_as(name, usual_order(len(context.shape(name))))
    image = context.stored(name).tensor
    for node in graph.nodes:
        context.emit(node)
    if context.unsupported:
        raise UnsupportedOperator(source, context.unsupported)
    results = {
        value.name: context.arranged(value.name, usual_order(len(context.shape(value.name)))) for value in graph.outputs
    }
    if card is not None:
        for key, data in entries(card, [name], list(results)).items():
            builder.metadata(key, data)
    if quantization is not None:
        integers = integer_outputs(OnnxGraph(model), quantization)
        results = quantize_operators(builder, quantization, {name: image}, results, integers, integer_io=integer_io)
    elif half:
        halve_constants(builder)
    return context, {name: image}, results


def _prepared(model: ModelProto, source: str) -> ModelProto:
    """The graph as the operators are emitted from it."""
    inputs = OnnxGraph(model).inputs
    if len(inputs) != 1:
        raise ConversionError(f"{source}: has {len(inputs)} inputs; one image is expected")
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ConversionError(f"{source}: {inputs[0].name} is not float32")
    if not inputs[0].type.tensor_type.shape.dim:
        raise ConversionError(f"{source}: {inputs[0].name} has no axes; an image is expected")
    for value in model.graph.output:
        if value.type.tensor_type.elem_type not in (onnx.TensorProto.FLOAT, *OTHER_TYPES):
            raise ConversionError(f"{source}: {value.name} is neither float32 nor int64, int32 or bool")
    return tidy(one_image(model, source))
