"""Channel shuffles undone: who reads shuffled channels can as well read them where they were.

Concat, Slice, Split and the shuffle of ShuffleNet (Reshape, Transpose, Reshape) only say which channel comes from
where. A convolution does not mind the order of its input channels, if its weights follow: it gets them as they lie, cut
from the values that were computed in as few pieces as possible. Nothing is copied that is not read, and no shuffle is
left.
"""

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.onnx_graph import OnnxGraph, attributes, dimensions, drop_unused

# They treat every channel alike, and each by itself.
CHANNELWISE = frozenset(
    [
        *("Relu", "Clip", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    ]
)
SHUFFLE = [0, 2, 1, 3, 4]  # of (N, groups, channels, H, W)


@dataclass(frozen=True)
class Channels:
    """Where the channels of a value are had: (value, channel) for each; whether a shuffle had a hand in it."""

    places: tuple[tuple[str, int], ...]
    shuffled: bool = False


def route_channels(model: ModelProto) -> ModelProto:
    """Let convolutions read shuffled channels from where they were computed; the model is changed in place.

    Only where all that follows a shuffle can: one that must be made for another reader anyway is made once for all.
    """
    router = _Router(model)
    nodes = [node for original in router.graph.nodes for node in router.rewritten(original)]
    if router.stored:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(router.stored)
        drop_unused(model)
    return model


class _Router:
    def __init__(self, model: ModelProto):
        self.graph, self.sizes = OnnxGraph(model), dimensions(model)
        self.stored: list[TensorProto] = []
        self._channels: dict[str, Channels] = {}
        self._joined: dict[tuple[tuple[str, int], ...], str] = {}
        self._free_of_order: set[str] = set()  # values whose readers do not mind the order of channels
        for node in reversed(self.graph.nodes):
            self._free_of_order.update(name for name in node.output if self._readers_take_any_order(name))

    def rewritten(self, node: NodeProto) -> list[NodeProto]:
        """A node, or what takes its place: the pieces of its input, and itself with other weights."""
        if self._moves_channels(node):
            self._follow(node)
            return [node]
        name = node.input[0] if node.input else ""
        channels = self._channels.get(name)
        keeps = self._keeps_channels(node)
        if channels is None or not channels.shuffled or not (keeps or self._mixes_channels(node)):
            return [node]
        before, source, positions = self._join(channels, f"{name}.routed")
        new = NodeProto()
        new.CopyFrom(node)
        new.input[0] = source
        if keeps:
            new.output[0] = f"{node.output[0]}.routed"
            self.sizes[new.output[0]] = self.sizes[node.output[0]]
            self._channels[node.output[0]] = Channels(tuple((new.output[0], place) for place in positions), True)
            order = np.argsort(positions)
            for index in range(1, len(node.input) if node.op_type == "Conv" else 0):
                new.input[index] = self._store(node, index, self.graph.constants[node.input[index]][order])
        else:
            weight = self.graph.constants[node.input[1]]
            routed = np.zeros((weight.shape[0], max(positions) + 1, *weight.shape[2:]), weight.dtype)
            for channel, position in enumerate(positions):
                routed[:, position] += weight[:, channel]
            new.input[1] = self._store(node, 1, routed)
        return [*before, new]

    def _store(self, node: NodeProto, index: int, value: np.ndarray) -> str:
        name = f"{node.output[0]}.routed_{'weight' if index == 1 else 'bias'}"
        self.stored.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _join(self, channels: Channels, name: str) -> tuple[list[NodeProto], str, list[int]]:
        """(nodes, value, positions): the channels in the order in which they lie, and where each of them went."""
        sources = list(dict.fromkeys(source for source, _ in channels.places))
        lying = tuple(sorted(set(channels.places), key=lambda place: (sources.index(place[0]), place[1])))
        positions = [lying.index(place) for place in channels.places]
        if lying in self._joined:
            return [], self._joined[lying], positions
        nodes, pieces, start = [], [], 0
        for end in range(1, len(lying) + 1):
            source, channel = lying[end - 1]
            if end < len(lying) and lying[end] == (source, channel + 1):
                continue
            first, start = lying[start][1], end
            if (first, channel + 1) == (0, self._count(source)):
                pieces.append(source)
                continue
            piece = f"{name}.{len(pieces)}"
            bounds = [self._numbers(f"{piece}.{side}", at) for side, at in (("from", first), ("to", channel + 1))]
            axis = self._numbers(f"{piece}.axis", 1)
            nodes.append(helper.make_node("Slice", [source, *bounds, axis], [piece], piece))
            pieces.append(piece)
        if len(pieces) > 1:
            nodes.append(helper.make_node("Concat", pieces, [name], name, axis=1))
        self._joined[lying] = pieces[0] if len(pieces) == 1 else name
        return nodes, self._joined[lying], positions

    def _numbers(self, name: str, *values: int) -> str:
        self.stored.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _follow(self, node: NodeProto) -> None:
        """Note where the channels of a moving node's outputs are had."""
        if node.op_type == "Concat":
            parts = [self._of(name) for name in node.input]
            places = tuple(place for part in parts for place in part.places)
            self._channels[node.output[0]] = Channels(places, any(part.shuffled for part in parts))
            return
        head = self._head_of_shuffle(node)
        given = self._of(node.input[0] if head is None else head.input[0])
        if head is not None:
            groups = self.sizes[head.output[0]][1] or 1
            count = len(given.places) // groups
            places = tuple(given.places[group * count + at] for at in range(count) for group in range(groups))
            self._channels[node.output[0]] = Channels(places, given.shuffled or node.output[0] in self._free_of_order)
            return
        start = 0
        for name in node.output:
            count = self._count(name)
            if node.op_type == "Slice":
                start = int(self.graph.constants[node.input[1]].item()) % len(given.places)
            self._channels[name] = Channels(given.places[start : start + count], given.shuffled)
            start += count

    def _of(self, name: str) -> Channels:
        own = Channels(tuple((name, channel) for channel in range(self._count(name))))
        return self._channels.get(name, own)

    def _count(self, name: str) -> int:
        shape = self.sizes.get(name, ())
        return (shape[1] or 0) if len(shape) > 1 else 0

    # What a node is to channels.

    def _readers_take_any_order(self, name: str) -> bool:
        users = self.graph.consumers[name]
        return (
            bool(users)
            and name not in self.graph.output_names
            and all(self._takes_any_order(user, name) for user in users)
        )

    def _takes_any_order(self, node: NodeProto, name: str | None = None) -> bool:
        """Whether a node can read its channels in any order, and if it hands that on, its readers can."""
        if name is not None and node.op_type != "Concat" and node.input[0] != name:
            return False
        tail = self._tail_of_shuffle(node)
        if tail is not None:
            return tail.output[0] in self._free_of_order
        if self._moves_channels(node) or self._keeps_channels(node):
            return all(output in self._free_of_order for output in node.output)
        return self._mixes_channels(node)

    def _mixes_channels(self, node: NodeProto) -> bool:
        """A convolution of all channels."""
        stored = all(name in self.graph.constants for name in node.input[1:])
        return node.op_type == "Conv" and stored and attributes(node).get("group", 1) == 1

    def _keeps_channels(self, node: NodeProto) -> bool:
        """A function of every channel by itself, a depthwise convolution among them."""
        if node.op_type in CHANNELWISE:
            return True
        if node.op_type != "Conv" or any(name not in self.graph.constants for name in node.input[1:]):
            return False
        outputs, inputs, *_ = self.graph.constants.shape(node.input[1])
        return inputs == 1 and attributes(node).get("group", 1) == outputs == self._count(node.input[0]) > 1

    def _moves_channels(self, node: NodeProto) -> bool:
        """Whether a node only takes, joins or shuffles the channels of images."""
        if any(len(self.sizes.get(name, ())) != 4 or not self.sizes[name][1] for name in node.output):
            return False
        given = attributes(node)
        if node.op_type in ("Concat", "Split"):
            return given.get("axis", 0) in (1, -3) and all(name in self.sizes for name in node.input if name)
        if node.op_type == "Slice":
            numbers = [self.graph.constants[name] for name in node.input[1:] if name in self.graph.constants]
            if len(numbers) != len(node.input) - 1 or len(numbers) < 3 or any(array.size != 1 for array in numbers):
                return False
            return int(numbers[2].item()) in (1, -3) and (len(numbers) < 4 or int(numbers[3].item()) == 1)
        return self._head_of_shuffle(node) is not None

    def _head_of_shuffle(self, tail: NodeProto) -> NodeProto | None:
        """The Reshape with which the shuffle begins whose other Reshape this is."""
        transpose = self.graph.producer.get(tail.input[0]) if tail.op_type == "Reshape" else None
        if transpose is None or transpose.op_type != "Transpose" or attributes(transpose).get("perm") != SHUFFLE:
            return None
        head = self.graph.producer.get(transpose.input[0])
        if head is None or head.op_type != "Reshape" or head.input[0] not in self.sizes:
            return None
        before, split = self.sizes[head.input[0]], self.sizes.get(head.output[0], ())
        after = self.sizes.get(tail.output[0], ())
        known = len(before) == 4 and len(split) == 5 and bool(before[1] and split[1] and split[2])
        fits = before == after and before[:1] + before[2:] == split[:1] + split[3:] and before.count(None) <= 1
        alone = all(len(self.graph.consumers[node.output[0]]) == 1 for node in (head, transpose))
        return head if known and fits and alone else None

    def _tail_of_shuffle(self, head: NodeProto) -> NodeProto | None:
        transpose = self.graph.only_consumer(head.output[0]) if head.op_type == "Reshape" else None
        tail = None if transpose is None else self.graph.only_consumer(transpose.output[0])
        return tail if tail is not None and self._head_of_shuffle(tail) is not None else None
