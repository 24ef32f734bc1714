"""Functions of one value that TFLite has as one operator: they take any layout, and keep it."""

from typing import Any

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits

CODES = {
    "Abs": schema.BuiltinOperator.ABS,
    "Ceil": schema.BuiltinOperator.CEIL,
    "Cos": schema.BuiltinOperator.COS,
    "Exp": schema.BuiltinOperator.EXP,
    "Floor": schema.BuiltinOperator.FLOOR,
    "Gelu": schema.BuiltinOperator.GELU,
    "HardSwish": schema.BuiltinOperator.HARD_SWISH,
    "LeakyRelu": schema.BuiltinOperator.LEAKY_RELU,
    "Log": schema.BuiltinOperator.LOG,
    "Neg": schema.BuiltinOperator.NEG,
    "Relu": schema.BuiltinOperator.RELU,
    "Sigmoid": schema.BuiltinOperator.LOGISTIC,
    "Sin": schema.BuiltinOperator.SIN,
    "Sqrt": schema.BuiltinOperator.SQRT,
    "Tanh": schema.BuiltinOperator.TANH,
}


@emits(*CODES)
def unary(context: Context, node: NodeProto) -> None:
    """The operator of the same name."""
    given = attributes(node)
    options: Any = None
    if node.op_type == "LeakyRelu":
        options = schema.LeakyReluOptionsT()
        options.alpha = given.get("alpha", 0.01)
    if node.op_type == "Gelu":  # made by passes.name_functions
        options = schema.GeluOptionsT()
        options.approximate = given.get("approximate", b"none") == b"tanh"
    stored = context.stored(node.input[0])
    target = context.store(node.output[0], stored.layout, context.builder.shape(stored.tensor))
    context.operator(CODES[node.op_type], [stored.tensor], [target], options)
