"""What gives the same numbers other axes: nothing is emitted; data moves later, if an operator wants it elsewhere."""

from math import prod

from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, Stored, emits, stored_type
from converters.tflite.layout import Layout


@emits("Identity", "Dropout", any_type=True)
def nothing(context: Context, node: NodeProto) -> None:
    """The input itself."""
    if len(node.input) > 2 and node.input[2] and context.weight(node, 2).any():
        raise context.no_form(node, "training_mode")
    context.alias(node)


@emits("Cast", any_type=True)
def cast(context: Context, node: NodeProto) -> None:
    """CAST; nothing, from real to real: every such value is computed in float32."""
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = (stored_type(context.kind(name)) for name in (*node.input, *node.output))
    if options.inDataType == options.outDataType:
        context.alias(node)
        return
    stored = context.stored(node.input[0])
    target = context.store(node.output[0], stored.layout, context.builder.shape(stored.tensor))
    context.operator(schema.BuiltinOperator.CAST, [stored.tensor], [target], options)


@emits("Flatten", "Reshape", "Squeeze", "Unsqueeze", any_type=True)
def reshape(context: Context, node: NodeProto) -> None:
    """The input under another shape; moved to the order of its ONNX axes first where these are cut through."""
    name, shape = node.input[0], context.shape(node.output[0])
    if prod(shape) != prod(context.shape(name)):
        raise context.no_form(node, f"a result of shape {shape} of a value of shape {context.shape(name)}")
    layout = context.stored(name).layout.reshape(shape)
    if layout is None:
        plain = tuple(range(len(context.shape(name))))
        context.put(node.output[0], Stored(context.arranged(name, plain), Layout.of(shape)))
    else:
        context.view(node, layout)


@emits("Transpose", any_type=True)
def transpose(context: Context, node: NodeProto) -> None:
    """The input, its axes numbered anew."""
    rank = len(context.shape(node.input[0]))
    order = attributes(node).get("perm", tuple(reversed(range(rank))))
    context.view(node, context.stored(node.input[0]).layout.transpose(order))


@emits("DepthToSpace")
def depth_to_space(context: Context, node: NodeProto) -> None:
    """Channels as blocks of pixels (pixel shuffle), as the definition of ONNX has it: reshape, transpose, reshape."""
    given = attributes(node)
    batch, channels, height, width = context.shape(node.input[0])
    block = given["blocksize"]
    depth = channels // block**2
    if given.get("mode", b"DCR") == b"DCR":
        split, order = (batch, block, block, depth, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (batch, depth, block, block, height, width), (0, 1, 4, 2, 5, 3)
    _through(context, node, split, order)


@emits("SpaceToDepth")
def space_to_depth(context: Context, node: NodeProto) -> None:
    """Blocks of pixels as channels."""
    batch, channels, height, width = context.shape(node.input[0])
    block = attributes(node)["blocksize"]
    split = (batch, channels, height // block, block, width // block, block)
    _through(context, node, split, (0, 3, 5, 1, 2, 4))


def _through(context: Context, node: NodeProto, split: tuple[int, ...], order: tuple[int, ...]) -> None:
    layout = context.stored(node.input[0]).layout.reshape(split)
    if layout is not None:
        layout = layout.transpose(order).reshape(context.shape(node.output[0]))
    if layout is None:
        raise context.no_form(node, "an input that is no image in one piece")
    context.view(node, layout)
