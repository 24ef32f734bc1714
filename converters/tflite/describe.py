"""What is inside a .tflite file."""

from math import prod
from pathlib import Path

from converters.description import Description, Operator, Shape, Value, card_of
from converters.onnx_graph import CARD_KEY
from converters.tflite.reader import Tensor, read_tflite


def describe_tflite(path: Path) -> Description:
    """Raises ConversionError for a file that is no TFLite model."""
    model = read_tflite(path)
    operators = []
    expanded: dict[str, str] = {}  # weights that are stored in another type: that type
    for index, operator in enumerate(model.operators):
        if operator.expands_constant:
            expanded[operator.outputs[0].name] = operator.inputs[0].dtype
            continue
        weights = [tensor for tensor in operator.inputs if tensor.constant or tensor.name in expanded]
        if operator.kind == "TRANSPOSE_CONV":
            del weights[:1]  # the size of its result
        computed = [tensor for tensor in operator.inputs if not tensor.constant and tensor.name not in expanded]
        values = [tensor.shape for tensor in computed]
        output = operator.outputs[0]
        macs = 0
        if operator.kind == "CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:])
        elif operator.kind == "DEPTHWISE_CONV_2D" and weights:
            macs = prod(output.shape) * prod(weights[0].shape[1:3])
        elif operator.kind == "FULLY_CONNECTED" and weights:
            macs = prod(output.shape) * weights[0].shape[-1]
        elif operator.kind == "TRANSPOSE_CONV" and weights and values:
            macs = prod(values[0]) * prod(weights[0].shape[:3])
        elif operator.kind == "BATCH_MATMUL" and values:
            macs = output.shape[-1] * prod(operator.inputs[0].shape)
        operators.append(
            Operator(
                f"{index}:{output.name}",
                operator.kind,
                tuple(values),
                output.shape,
                expanded.get(weights[0].name, output.dtype) if weights else output.dtype,
                sum(prod(weight.shape) for weight in weights) if macs else 0,
                macs,
                operator.activation,
                tuple(tensor.name for tensor in computed),
                tuple(tensor.name for tensor in operator.outputs),
                _tflite_form(operator.kind, weights[0].shape, values[0]) if macs and weights and values else None,
                (values[0][-1], output.shape[-1]) if macs and "CONV" in operator.kind else None,
            )
        )
    return Description(
        "tflite",
        path.stat().st_size,
        tuple(map(_value, model.inputs)),
        tuple(map(_value, model.outputs)),
        tuple(operators),
        card_of(path, model.metadata.get(CARD_KEY)),
    )


def _value(tensor: Tensor) -> Value:
    return Value(tensor.name, tensor.shape, tensor.dtype, tuple(str(place) for place in tensor.free if place))


def _tflite_form(kind: str, weight: Shape, value: Shape) -> str:
    if kind == "CONV_2D" and weight[-1] == value[-1]:
        return "pointwise" if prod(weight[1:3]) == 1 else "standard"
    return {"CONV_2D": "grouped", "DEPTHWISE_CONV_2D": "depthwise", "TRANSPOSE_CONV": "transposed"}.get(kind, "dense")
