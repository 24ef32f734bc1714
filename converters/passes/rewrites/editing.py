"""A quantized graph while it is rewritten: look-ups, new values with their scales, nodes in the place of others."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, drop_unused
from converters.passes.rewrites.rules import Applied, Pair, Place, Rules, Shape
from converters.quantization.spec import QuantizationSpec

IMAGE_AXES = 4


class Editing:
    """One pass of one rewrite over a graph. What is put down takes effect by `finish`, all at once."""

    def __init__(self, model: ModelProto, spec: QuantizationSpec, runtime: str, rules: Rules):
        self.graph, self.spec, self.runtime, self._rules = OnnxGraph(model), spec, runtime, rules
        self.shapes = self.graph.shapes()
        self._applied: dict[str, list[str]] = {}
        self._activations, self._weights, self._kept = dict(spec.activations), dict(spec.weights), dict(spec.kept)
        self._instead: dict[str, list[NodeProto]] = {}  # by the first output of the node that they replace

    def wants(self, place: Place) -> bool:
        """Whether the rules want a rewrite somewhere; noted as applied if so."""
        wanted = self._rules.wants(self.runtime, place)
        if wanted:
            self._applied.setdefault(place.rewrite, []).append(place.node)
        return wanted

    def replace(self, node: NodeProto, *nodes: NodeProto) -> None:
        """Put nodes in the place of one; none of them takes it out."""
        self._instead[node.output[0]] = list(nodes)

    def constant(self, name: str, value: np.ndarray) -> str:
        """Store a constant; returns its name."""
        self.graph.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str, value: np.ndarray, scales: np.ndarray) -> str:
        """Store a weight with the scales of its output channels; returns its name."""
        self._weights[name] = scales
        return self.constant(name, value)

    def scales(self, node: NodeProto) -> np.ndarray:
        """The scales of a convolution's weight."""
        return self.spec.weights[node.input[1]]

    def move(self, kind: str, source: str, target: str, shape: tuple[int, ...] = (), **settings: object) -> NodeProto:
        """A node that moves a value: its result has the scale of its operand. shape: of a Reshape, 0 leaves an axis."""
        self.alike(target, source)
        inputs = [source, self.constant(f"{target}.shape", np.array(shape, np.int64))] if shape else [source]
        return helper.make_node(kind, inputs, [target], target, **settings)

    def alike(self, name: str, other: str) -> str:
        """Give a value the scale of another; returns its name."""
        self._activations[name] = self._activations[other]
        return name

    def keep(self, name: str, reason: str) -> None:
        """Let the node that makes a value stay in float."""
        self._kept[name] = reason

    def finish(self) -> tuple[QuantizationSpec, Applied]:
        """Change the model; returns its quantization, and what was done."""
        spec = replace(self.spec, activations=self._activations, weights=self._weights, kept=self._kept)
        if not self._instead:
            return spec, Applied()
        model, before = self.graph.model, cost(self.graph, self.shapes)
        nodes = [made for node in self.graph.nodes for made in self._instead.get(node.output[0], [node])]
        del model.graph.node[:], model.graph.value_info[:]
        model.graph.node.extend(nodes)
        drop_unused(model)
        changed = OnnxGraph(model)
        macs, parameters = np.subtract(cost(changed, changed.shapes()), before).tolist()
        return spec, Applied({name: tuple(nodes) for name, nodes in self._applied.items()}, macs, parameters)


def cost(graph: OnnxGraph, shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """MACs and parameters of the convolutions of a graph."""
    macs = parameters = 0
    for node in graph.nodes:
        if node.op_type == "Conv" and node.input[1] in graph.constants:
            weight = graph.constants.shape(node.input[1])
            macs += prod(shapes[node.output[0]]) * prod(weight[1:])
            parameters += sum(prod(graph.constants.shape(name)) for name in node.input[1:] if name in graph.constants)
    return macs, parameters


Rewrite = Callable[[Editing], None]


def dense(editing: Editing, node: NodeProto) -> bool:
    """Whether a node is an int8 convolution of all channels of an image, with stored weights and explicit padding."""
    return is_image_conv(editing, node) and attributes(node).get("group", 1) == 1


def undilated(editing: Editing, node: NodeProto) -> bool:
    """Whether a node is `dense`, of a window without holes."""
    return dense(editing, node) and set(attributes(node).get("dilations", (1,))) == {1}


def is_image_conv(editing: Editing, node: NodeProto) -> bool:
    """Whether a node is an int8 convolution of an image with stored weights and explicit padding."""
    if node.op_type != "Conv" or node.output[0] in editing.spec.kept or node.input[0] not in editing.spec.activations:
        return False
    stored = all(name in editing.graph.constants for name in node.input[1:] if name)
    explicit = attributes(node).get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    return stored and explicit and len(editing.shapes.get(node.input[0], ())) == IMAGE_AXES


def geometry(editing: Editing, node: NodeProto) -> tuple[Pair, Pair, tuple[int, int, int, int]]:
    """(kernel, stride, pads) of a convolution or a maximum of an image."""
    given = attributes(node)
    kernel = editing.graph.constants.shape(node.input[1])[2:] if node.op_type == "Conv" else given["kernel_shape"]
    tall, wide = kernel
    top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
    rows, columns = given.get("strides", (1, 1))
    return (tall, wide), (rows, columns), (top, left, bottom, right)


def place_of(editing: Editing, rewrite: str, node: NodeProto) -> Place:
    """A convolution or a maximum of an image as a place for a rewrite."""
    kernel, stride, _ = geometry(editing, node)
    return Place(
        rewrite,
        node.name or node.output[0],
        editing.shapes[node.input[0]],
        editing.shapes[node.output[0]],
        kernel,
        stride,
        attributes(node).get("group", 1),
    )
