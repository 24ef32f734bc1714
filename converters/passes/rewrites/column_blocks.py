"""A convolution over one or two channels, as one over blocks of columns: four channels at least.

Where channels lie last in memory, neighbouring columns are neighbouring channels already: nothing is moved. Each block
of columns gives the outputs of all its columns, as so many times the channels, which are columns again afterwards.
"""

import numpy as np
from onnx import NodeProto, helper

from converters.passes.rewrites.editing import Editing, geometry, place_of, undilated
from converters.quantization.rules import fused_activation

NAME = "column-blocks"
CHANNELS = 4  # what ONNX Runtime's int8 kernels take at a time


def column_blocks(editing: Editing) -> None:
    """Rewrite what reads one or two channels with a stride of 1, where blocks fit and the rules want it."""
    for node in editing.graph.nodes:
        if _fits(editing, node) and editing.wants(place_of(editing, NAME, node)):
            _rewrite(editing, node)


def _fits(editing: Editing, node: NodeProto) -> bool:
    if not undilated(editing, node):
        return False
    _, channels, _, width = editing.shapes[node.input[0]]
    if CHANNELS % channels or channels == CHANNELS or geometry(editing, node)[1] != (1, 1):
        return False
    block = CHANNELS // channels
    return width % block == 0 and editing.shapes[node.output[0]][3] % block == 0


def _rewrite(editing: Editing, node: NodeProto) -> None:
    name, source = node.output[0], node.input[0]
    _, channels, height, width = editing.shapes[source]
    _, outputs, rows, columns = editing.shapes[name]
    (tall, wide), _, (top, left, bottom, _) = geometry(editing, node)
    block = CHANNELS // channels
    before = -(-left // block)
    blocks = before + (block - 1 - left + wide - 1) // block + 1  # those that the last column of a block reads too
    behind = columns // block - 1 + blocks - width // block - before
    weight = editing.graph.constants[node.input[1]]
    kernel = np.zeros((block, outputs, channels, tall, blocks * block), weight.dtype)
    for column in range(block):
        start = before * block - left + column
        kernel[column, ..., start : start + wide] = weight
    # (column, n, c, h, w, j) -> (column n, j c, h, w): channels of a block lie column by column
    split = kernel.reshape(block * outputs, channels, tall, blocks, block)
    kernel = split.transpose(0, 4, 1, 2, 3).reshape(block * outputs, CHANNELS, tall, blocks)
    weights = editing.weight(f"{name}.blocks.weight", kernel, np.tile(editing.scales(node), block))
    inputs = [f"{name}.split.image", weights]
    if len(node.input) > 2 and node.input[2]:
        inputs.append(editing.constant(f"{name}.blocks.bias", np.tile(editing.graph.constants[node.input[2]], block)))
    clamp = fused_activation(editing.graph, node)
    result = name if clamp is None else clamp.output[0]
    joined = f"{result}.blocks"
    editing.alike(joined, result)
    made = [
        *_columns(editing, node, height, width // block),
        helper.make_node(
            "Conv",
            inputs,
            [joined if clamp is None else f"{name}.blocks"],
            node.name,
            kernel_shape=[tall, blocks],
            pads=[top, before, bottom, behind],
        ),
    ]
    if clamp is not None:
        follower = NodeProto()
        follower.CopyFrom(clamp)
        follower.input[0], follower.output[0] = f"{name}.blocks", joined
        made.append(follower)
        editing.replace(clamp)
    made += [
        editing.move("Transpose", joined, f"{result}.rows", perm=[0, 2, 3, 1]),
        editing.move("Reshape", f"{result}.rows", f"{result}.columns", (0, rows, columns, outputs)),
        helper.make_node("Transpose", [f"{result}.columns"], [result], f"{result}.image", perm=[0, 3, 1, 2]),
    ]
    editing.replace(node, *made)


def _columns(editing: Editing, node: NodeProto, height: int, blocks: int) -> list[NodeProto]:
    """Nodes that make blocks of columns of what a node reads to channels, a column after the other."""
    source, rows, split = node.input[0], f"{node.output[0]}.split.rows", f"{node.output[0]}.split"
    nodes = []
    if editing.shapes[source][1] > 1:
        nodes.append(editing.move("Transpose", source, rows, perm=[0, 2, 3, 1]))
    nodes.append(editing.move("Reshape", rows if nodes else source, split, (0, height, blocks, CHANNELS)))
    nodes.append(editing.move("Transpose", split, f"{split}.image", perm=[0, 3, 1, 2]))
    return nodes
