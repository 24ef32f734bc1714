"""Large convolutions, to find out what a device reaches where nothing holds it back, and next to nothing at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters import onnx_graph
from converters.formats import Source, format_for
from converters.quantization.quantize import quantize

# (channels in and out, kernel, height and width): one large matrix product, one large 3x3 convolution.
SIZES = ((256, 1, 32), (128, 3, 32))


@dataclass(frozen=True)
class PeakModel:
    """A file that is one convolution. macs: of one inference."""

    path: Path
    macs: int


def write_peak_models(folder: Path, suffix: str, precision: str) -> Iterator[PeakModel]:
    """Write the convolutions in the format of a suffix and precision (int8, or float32 for all others)."""
    for number, (channels, kernel, size) in enumerate(SIZES):
        random = np.random.default_rng(number)
        weight = random.standard_normal((channels, channels, kernel, kernel)).astype(np.float32)
        shape = (1, channels, size, size)
        model = _convolution(weight, shape)
        spec = None
        if precision == "int8":
            quantized = quantize(model, random.standard_normal(shape).astype(np.float32))
            model, spec = quantized.model, quantized.spec
        path = folder / f"peak-{number}.{precision}{suffix}"
        format_for(suffix).write(Source(model, spec, integer_io=spec is not None), path)
        yield PeakModel(path, prod(shape) * channels * kernel**2)


def write_empty_model(folder: Path, suffix: str) -> Path:
    """Write a model of one Relu of one number in the format of a suffix: what it takes is the runtime's call."""
    path = folder / f"empty{suffix}"
    node = helper.make_node("Relu", ["input"], ["output"], name="relu")
    format_for(suffix).write(Source(_model(node, (1, 1, 1, 1))), path)
    return path


def _convolution(weight: np.ndarray, shape: tuple[int, ...]) -> ModelProto:
    pads = [weight.shape[-1] // 2] * 4
    node = helper.make_node("Conv", ["input", "weight"], ["output"], name="convolution", pads=pads)
    return _model(node, shape, numpy_helper.from_array(weight, "weight"))


def _model(node: NodeProto, shape: tuple[int, ...], *constants: TensorProto) -> ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "output")]
    graph = helper.make_graph([node], "peak", values[:1], values[1:], constants)
    opset = helper.make_opsetid("", onnx_graph.OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=onnx_graph.IR_VERSION)
