"""An int8 TFLite graph whose operators are taken apart: each is given its operands, and its results are outputs."""

from dataclasses import dataclass

import numpy as np

from converters.quantization.spec import QuantizationSpec
from converters.tflite.context import Context
from converters.tflite.layout import Layout, Shape
from converters.tflite.schema import schema

TensorType = schema.TensorType

QUANTIZED_FLOAT = ".int8"  # what a value that was computed in float is called in int8 (converters.tflite.int8)


@dataclass(frozen=True)
class Value:
    """An int8 value of the ONNX graph: the tensor in which it is `given` to the operators that read it, that in which
    the operator that makes it gives it out (`made`), how it lies in both, and the node that this operator is for."""

    given: str
    made: str
    layout: Layout
    shape: Shape
    origin: str

    def lying(self, value: np.ndarray) -> np.ndarray:
        """int8 of the ONNX shape as the tensor has it."""
        return self.layout.arrange(value).reshape(self.shape)


@dataclass(frozen=True)
class Apart:
    """A TFLite file of all operators beside each other, and its values by their names in the ONNX graph."""

    data: bytes
    values: dict[str, Value]


def take_apart(
    context: Context, quantization: QuantizationSpec, inputs: dict[str, int], results: dict[str, int]
) -> Apart:
    """Let every int8 value that an operator makes be given anew to those that read it; the builder is used up."""
    builder = context.builder
    values: dict[str, Value] = {}
    given: dict[int, int] = {}
    sources, outputs = dict(inputs), dict(results)
    for operator, origin in builder.take_operators():
        operator.inputs = [given.get(tensor, tensor) for tensor in operator.inputs]
        builder.append(operator, origin)
        for tensor in operator.outputs:
            name = builder.name(tensor).removesuffix(QUANTIZED_FLOAT)
            if name not in quantization.activations or name in values or builder.kind(tensor) != TensorType.INT8:
                continue
            made_for = origin if builder.name(tensor) == name else name
            value = Value(
                f"{name}.given", builder.name(tensor), context.stored(name).layout, builder.shape(tensor), made_for
            )
            given[tensor] = builder.alike(value.given, tensor)
            values[name], sources[value.given], outputs[value.made] = value, given[tensor], tensor
    outputs = {name: tensor for name, tensor in outputs.items() if tensor not in given.values()}
    return Apart(b"".join(builder.finish(sources, outputs).pieces()), values)
