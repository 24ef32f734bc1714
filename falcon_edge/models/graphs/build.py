"""From a graph to its module, node by node."""

from collections.abc import Iterable, Sequence

import torch
from onnx import ModelProto, NodeProto
from torch import Tensor

from falcon_edge.models.graphs import operators  # noqa: F401  # fills the table
from falcon_edge.models.graphs.batch import grown_axis
from falcon_edge.models.graphs.graph import Graph, title
from falcon_edge.models.graphs.layout import channels_last, layout_of
from falcon_edge.models.graphs.names import Paths, Wanted
from falcon_edge.models.graphs.network import GraphInput, GraphNetwork, Step
from falcon_edge.models.graphs.node import HALVES, MAKERS, META, Call, Node, NoLayer, Value, demand_real, type_of
from falcon_edge.models.graphs.unknown import refuse_unknown

LARGEST = 2**28  # numbers of one value (1 GiB): beyond are files that ask for the impossible
UNFIT = "operands or attributes that do not fit it"
STUMBLES = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
# Whose weights make a module one that may stand in several places; a normalisation has statistics of its place.
SHARED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))


def module_of(model: ModelProto, source: str) -> GraphNetwork:
    """The graph of a model as a module in eval mode, on the CPU, its weights trainable.

    `model` is left as it was; its operators are those of opset 17 or later and its shapes fixed, as the passes
    one_image and tidy of the converters make them. source: what it is called in errors. Raises BadInput, in one line,
    for what is not read: several inputs, operators that have no layer, data in other files, and a graph that
    contradicts itself.
    """
    graph = Graph(model, source)
    refuse_unknown(graph)
    return _Building(graph).network()


class _Building:
    """The state of one import: what is known of every value so far, and the steps that give them."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.images, *rest = graph.sizes
        self.values = {graph.input.name: Value(_nothing([self.images, *rest]), _nothing([2 * self.images, *rest]))}
        self.bound: list[str] = []
        self.paths, self.wanted = Paths(), Wanted(node.name for node in graph.nodes)
        self.steps: list[Step] = []
        self.layers: dict[str, torch.nn.Module] = {}
        self.shared: dict[tuple[str, ...], str] = {}

    def network(self) -> GraphNetwork:
        """The module of the whole graph."""
        absorbed: set[str] = set()
        for proto in self.graph.nodes:
            if proto.output[0] in absorbed:
                continue
            node = self._node(proto)
            call = self._call(node)
            absorbed.update(each.output[0] for each in call.absorbed)
            self._add(node, call)
        return self._finished()

    def _node(self, proto: NodeProto) -> Node:
        try:
            return Node(self.graph, proto, self.values, self.images)
        except ValueError as error:
            raise self.graph.refused(f"{title(proto)} has an attribute without a type") from error

    def _call(self, node: Node) -> Call:
        """The layer of a node, tried for the file's batch and for twice as many images."""
        self._know(name for name in node.inputs if name)
        try:
            demand_real(node)
            with META, torch.no_grad():
                call = MAKERS[node.kind](node)
                for module in call.chain:
                    module.eval()
                one = _results(call, [self.values[name].one for name in call.reads])
            for result in one:
                if result.numel() == 0:
                    raise NoLayer("a value that is empty")
                if result.numel() > LARGEST:
                    raise NoLayer(f"a value of {result.numel():,} numbers")
            for index, name in enumerate(node.outputs[1:], start=1):
                if name not in call.writes and self._is_read(name):
                    raise NoLayer(f"a result {index} that is read")
        except NoLayer as problem:
            raise self.graph.refused(f"{node} has no torch layer, with {problem}") from problem
        except STUMBLES as error:
            raise self.graph.refused(f"{node} has no torch layer, with {UNFIT}") from error
        self.bound += node.bound
        for name, result, other in zip(call.writes, one, self._doubled(node, call, one), strict=True):
            self.values[name] = Value(result, other)
        return call

    def _doubled(self, node: Node, call: Call, one: list[Tensor]) -> Sequence[Tensor | None]:
        """What a node gives for twice as many images; nothing any more once the graph is bound to its batch."""
        given = [self.values[name] for name in call.reads]
        doubled = [value.two for value in given if value.two is not None]
        if not self.bound and len(doubled) == len(given):
            try:
                with META, torch.no_grad():
                    two = _results(call, doubled)
                grown = [grown_axis(result.shape, other.shape) for result, other in zip(one, two, strict=True)]
            except STUMBLES:
                self.bound.append(f"{node} fits this batch alone")
            else:
                if None not in grown or all(value.batch_axis is None for value in given):
                    return two
                self.bound.append(f"{node} makes one of all images of a batch")
        return [None] * len(one)

    def _know(self, names: Iterable[str]) -> None:
        """Take in the stored values among these."""
        for name in names:
            if name not in self.values:
                value = self.graph.outline(name)
                self.values[name] = Value(value, value)

    def _is_read(self, name: str) -> bool:
        return bool(name) and (name in self.graph.outputs or bool(self.graph.readers[name]))

    def _add(self, node: Node, call: Call) -> None:
        """The steps of a node. A layer that has all weights of an earlier one is that one, called again."""
        protos = (node.proto, *call.absorbed)
        weights = [name for proto in protos for name in proto.input if name and self.graph.is_stored(name)]
        key: tuple[str, ...] = ()
        if node.kind in SHARED and call.weights:
            key = (node.kind, str(sorted(node.given.items())), *map(repr, call.chain), *weights)
        path = self.shared.get(key)
        if path is None:
            names = [proto.name for proto in protos]
            path = self.paths.take(*self.wanted.of(node.kind, names, weights if call.weights else ()))
            if key:
                self.shared[key] = path
            try:
                call.layer.load_state_dict(call.weights, assign=True)
            except RuntimeError as error:  # weights of other shapes than the layer's
                raise self.graph.refused(f"{node} has no torch layer, with {UNFIT}") from error
            self.layers[path] = call.layer
        value = call.reads
        for module in call.chain:
            place, made = path, call.writes
            if module is not call.layer:
                place = self.paths.take_beside(path, "before" if module is call.before else "after")
                self.layers[place] = module
            if module is not call.chain[-1]:
                made = (f"{place} of {call.writes[0]}",)
            self.steps.append(Step(place, value, made))
            value = made

    def _finished(self) -> GraphNetwork:
        graph = self.graph
        self._know(graph.outputs)
        for name in graph.outputs:
            if self.values[name].one.dtype in HALVES:
                raise graph.refused(f"its output {name} is {type_of(self.values[name].one)}; export it in float32")
            if not self.bound and self.values[name].batch_axis != 0:
                self.bound.append(f"its output {name} is not one part for every image")
        read = dict.fromkeys([*(name for step in self.steps for name in step.reads), *graph.outputs])
        stored = {name: self.paths.take_constant(name) for name in read if graph.is_stored(name)}
        network = GraphNetwork(
            graph.source,
            GraphInput(graph.input.name, graph.sizes, layout_of(graph)),
            graph.outputs,
            _with_ends(self.steps, {*graph.outputs, *stored}),
            stored,
            self.bound[0] if self.bound else None,
            channels_last(graph, {name: tuple(value.one.shape) for name, value in self.values.items()}),
        )
        for path, layer in self.layers.items():
            network.place(path, layer)
        for name, path in stored.items():
            network.place(path, graph.constant(name))
        return network.eval()


def _nothing(sizes: list[int]) -> Tensor:
    return torch.empty(sizes, device=META)


def _results(call: Call, given: list[Tensor]) -> list[Tensor]:
    """What a call gives, of all that it writes."""
    results = given
    for module in call.chain:
        found = module(*results)
        results = list(found) if isinstance(found, tuple) else [found]
    if len(results) != len(call.writes):
        raise ValueError(f"{len(results)} results for {len(call.writes)} names")
    return results


def _with_ends(steps: list[Step], kept: set[str]) -> tuple[Step, ...]:
    """Steps that know which of the values that they read or write is not read behind them."""
    known, found = set(kept), []
    for step in reversed(steps):
        touched = dict.fromkeys((*step.reads, *step.writes))
        done = tuple(name for name in touched if name not in known)
        known.update(touched)
        found.append(Step(step.layer, step.reads, step.writes, done))
    return tuple(reversed(found))
