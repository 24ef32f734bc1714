"""Channels of zeros beside those of a network, up to as many as ONNX Runtime's int8 kernels take at a time.

Convolutions of all channels make them and pass over them; whatever treats each channel by itself leaves them zeros, for
every int8 scale has a zero. An image gets them by a Pad.
"""

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto, helper

from converters.onnx_graph import OnnxGraph, attributes, clip_bounds
from converters.passes.rewrites.editing import Editing, dense, is_image_conv, place_of

NAME = "padded-channels"
OF_DEPTHWISE, OF_DENSE = 16, 4  # channels that kernels take at a time
# A zero in every operand gives a zero.
KEEP_ZEROS = frozenset(("Relu", "Clip", "MaxPool", "GlobalAveragePool", "Add", "LeakyRelu", "HardSwish"))


@dataclass
class _Region:
    """Values whose channels are the same: one is padded if all are.

    makers, readers: the convolutions of all channels around them. depthwise: those within. image: the graph's input.
    fixed: whether something else reads or makes one of them.
    """

    channels: int
    makers: list[NodeProto] = field(default_factory=list)
    readers: list[NodeProto] = field(default_factory=list)
    depthwise: list[NodeProto] = field(default_factory=list)
    image: str | None = None
    fixed: bool = False


def padded_channels(editing: Editing) -> None:
    """Pad the channels of every region that kernels take as one with more, where the rules want it."""
    more: dict[str, int] = {}  # how many channels a value gets
    images: dict[str, str] = {}
    regions = _regions(editing)
    for region in {id(each): each for each in regions.values()}.values():
        added = _added(region)
        decides = [*region.depthwise, *region.readers][:1]
        if not added or not decides or not editing.wants(place_of(editing, NAME, decides[0])):
            continue
        more |= {name: added for name, each in regions.items() if each is region}
        if region.image is not None:
            images[region.image] = editing.alike(f"{region.image}.padded", region.image)
    padding = {name: _padding(editing, name, images[name], more[name]) for name in images}
    for node in editing.graph.nodes:
        if node.op_type != "Conv" or not (node.input[0] in more or node.output[0] in more):
            continue
        source = node.input[0]
        made = _padded(editing, node, more.get(source, 0), more.get(node.output[0], 0))
        if source in images:
            made.input[0] = images[source]
            editing.replace(node, *padding.pop(source, ()), made)
        else:
            editing.replace(node, made)


def _added(region: _Region) -> int:
    """How many channels of zeros a region needs; none where it cannot have them."""
    if region.fixed or (region.image is not None and (region.depthwise or region.makers)):
        return 0
    return -region.channels % (OF_DEPTHWISE if region.depthwise else OF_DENSE)


def _regions(editing: Editing) -> dict[str, _Region]:
    """The regions of a graph, by the names of their values."""
    graph, shapes = editing.graph, editing.shapes
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    values = (graph.inputs[0].name, *(name for node in graph.nodes for name in node.output))
    images = [name for name in values if len(shapes.get(name, ())) == 4]
    within = {node.output[0] for node in graph.nodes if _keeps_zeros(editing, node)}
    for node in graph.nodes:
        if node.output[0] in within:
            for name in _operands(graph, node):
                root[find(name)] = find(node.output[0])
    found: dict[str, _Region] = {}
    regions = {name: found.setdefault(find(name), _Region(shapes[name][1])) for name in images}
    for name in images:
        region = regions[name]
        region.fixed |= name in graph.output_names or region.channels != shapes[name][1]
        if name not in graph.producer:
            region.image = name
    for node in graph.nodes:
        inside = node.output[0] in within
        if inside and node.op_type == "Conv":
            regions[node.output[0]].depthwise.append(node)
        if inside:
            continue
        mixes = dense(editing, node)
        for name in node.input[:1] if mixes else node.input:
            if name in regions:
                regions[name].readers.append(node)
                regions[name].fixed |= not mixes
        for name in node.output:
            if name in regions:
                regions[name].makers.append(node)
                regions[name].fixed |= not mixes
    return regions


def _keeps_zeros(editing: Editing, node: NodeProto) -> bool:
    """Whether a node treats each channel by itself, in int8, and makes zeros of zeros."""
    graph = editing.graph
    if node.output[0] in editing.spec.kept or len(node.output) != 1:
        return False
    if node.op_type == "Conv":
        outputs, inputs = graph.constants.shape(node.input[1])[:2] if node.input[1] in graph.constants else (0, 0)
        return is_image_conv(editing, node) and inputs == 1 and attributes(node).get("group", 1) == outputs > 1
    if node.op_type == "Clip":
        bounds = clip_bounds(graph, node)
        return bounds is not None and bounds[0] <= 0 <= bounds[1]
    shape = editing.shapes.get(node.output[0], ())
    same = all(editing.shapes.get(name, ())[1:2] == shape[1:2] for name in node.input[:2])
    computed = not any(name in graph.constants for name in node.input[:2])
    return node.op_type in KEEP_ZEROS and len(shape) == 4 and same and computed


def _operands(graph: OnnxGraph, node: NodeProto) -> list[str]:
    return [name for name in node.input if name and name not in graph.constants]


def _padding(editing: Editing, source: str, target: str, more: int) -> list[NodeProto]:
    amounts = editing.constant(f"{target}.amounts", np.array([0, 0, 0, 0, 0, more, 0, 0]))
    return [helper.make_node("Pad", [source, amounts], [target], target)]


def _padded(editing: Editing, node: NodeProto, read: int, made: int) -> NodeProto:
    """A convolution that reads and makes so many channels of zeros more."""
    name, weight, scales = node.output[0], editing.graph.constants[node.input[1]], editing.scales(node)
    grouped = attributes(node).get("group", 1) > 1
    wide = np.pad(weight, ((0, made), (0, 0 if grouped else read), (0, 0), (0, 0)))
    new = NodeProto()
    new.CopyFrom(node)
    new.input[1] = editing.weight(f"{name}.padded.weight", wide, np.pad(scales, (0, made), mode="maximum"))
    if made and len(node.input) > 2 and node.input[2]:
        bias = np.pad(editing.graph.constants[node.input[2]], (0, made))
        new.input[2] = editing.constant(f"{name}.padded.bias", bias)
    for attribute in new.attribute:
        if attribute.name == "group" and grouped:
            attribute.i = len(wide)
    return new
