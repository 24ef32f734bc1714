"""A convolution of stride 2 over few channels, as blocks of 2 x 2 pixels and a convolution of stride 1 over them.

A kernel of k x k becomes one of about k/2 x k/2 over four times the channels: 7 x 7 with padding 3 becomes 4 x 4, with
zeros where a block reaches beyond the old window. Kernels for int8 take the channels of a pixel four at a time, and so
waste less.
"""

import numpy as np
from onnx import NodeProto, helper

from converters.passes.rewrites.editing import Editing, geometry, place_of, undilated

NAME = "space-to-depth"
BLOCK = 2


def space_to_depth(editing: Editing) -> None:
    """Rewrite what reads an image of even height and width with a stride of 2, where the rules want it."""
    for node in editing.graph.nodes:
        if _fits(editing, node) and editing.wants(place_of(editing, NAME, node)):
            _rewrite(editing, node)


def _fits(editing: Editing, node: NodeProto) -> bool:
    if not undilated(editing, node):
        return False
    kernel, stride, _ = geometry(editing, node)
    even = all(size % BLOCK == 0 for size in editing.shapes[node.input[0]][2:])
    return even and stride == (BLOCK, BLOCK) and max(kernel) > 1


def _rewrite(editing: Editing, node: NodeProto) -> None:
    name, source = node.output[0], node.input[0]
    _, channels, height, width = editing.shapes[source]
    _, _, pads = geometry(editing, node)
    weight = editing.graph.constants[node.input[1]]
    before, behind = [], []
    for axis, size in enumerate((height, width)):
        shift = pads[axis] % BLOCK  # zeros in front of the kernel, so that it begins where a block does
        rest = -(shift + weight.shape[2 + axis]) % BLOCK
        weight = np.pad(weight, [(shift, rest) if each == 2 + axis else (0, 0) for each in range(4)])
        blocks, outputs = weight.shape[2 + axis] // BLOCK, editing.shapes[name][2 + axis]
        before.append((pads[axis] + shift) // BLOCK)
        behind.append(outputs - 1 + blocks - size // BLOCK - before[-1])
    moved, order = _blocks(editing, node, channels, height // BLOCK, width // BLOCK)
    rows, columns = (size // BLOCK for size in weight.shape[2:])
    split = weight.reshape(len(weight), channels, rows, BLOCK, columns, BLOCK)  # (N, c, h, i, w, j)
    kernel = split.transpose(0, *order, 2, 4).reshape(len(weight), channels * BLOCK**2, rows, columns)
    weights = editing.weight(f"{name}.blocks.weight", kernel, editing.scales(node))
    convolution = helper.make_node(
        "Conv",
        [moved[-1].output[0], weights, *node.input[2:]],
        [name],
        node.name,
        kernel_shape=[rows, columns],
        pads=[*before, *behind],
    )
    editing.replace(node, *moved, convolution)


def _blocks(
    editing: Editing, node: NodeProto, channels: int, height: int, width: int
) -> tuple[list[NodeProto], tuple[int, int, int]]:
    """Nodes that make blocks of what a node reads to channels, and how these lie: as axes of (N, c, h, i, w, j).

    ONNX Runtime is quick where it moves one axis, or whole rows: rows first, and columns once channels are last, where
    neighbours are a block already. LiteRT has an operator for blocks, which its emitter makes of the other form.
    """

    def move(kind: str, number: int, *shape: int, **settings: object) -> NodeProto:
        given = nodes[-1].output[0] if nodes else node.input[0]
        return editing.move(kind, given, f"{node.output[0]}.blocks.{number}", shape, **settings)

    nodes: list[NodeProto] = []
    deep = channels * BLOCK**2
    if editing.runtime == "litert":
        nodes.append(move("Reshape", 0, 0, channels, height, BLOCK, width, BLOCK))
        nodes.append(move("Transpose", 1, perm=[0, 3, 5, 1, 2, 4]))
        nodes.append(move("Reshape", 2, 0, deep, height, width))
        return nodes, (3, 5, 1)
    nodes.append(move("Reshape", 0, 0, channels, height, BLOCK, width * BLOCK))
    nodes.append(move("Transpose", 1, perm=[0, 3, 1, 2, 4]))
    nodes.append(move("Reshape", 2, 0, channels * BLOCK, height, width * BLOCK))
    nodes.append(move("Transpose", 3, perm=[0, 2, 3, 1]))
    nodes.append(move("Reshape", 4, 0, height, width, deep))
    nodes.append(move("Transpose", 5, perm=[0, 3, 1, 2]))
    return nodes, (5, 3, 1)
