"""The scale of every value: its own wherever a runtime lets it have one, float where none that it may have holds it.

What is only moved keeps the quantization of what it came from. Where several values meet (a Concat), the result has its
own, and each operand is requantized on its way in, unless it goes nowhere else and can be made in the result's scale.
"""

from collections.abc import Mapping

from onnx import NodeProto

from converters.onnx_graph import OnnxGraph
from converters.quantization.observe import Observation
from converters.quantization.ranges import Range
from converters.quantization.rules import (
    CUTS,
    FIXED,
    computed_inputs,
    fused_activation,
    fused_away,
    is_joint,
    is_move,
    is_out_of_range,
)
from converters.quantization.spec import TensorQuantization, from_range

HOLDS_DB = 15.0  # a scale that leaves a value less than this does not hold it
FIXED_DB = 40.0  # above this the scale of a fixed result is fine enough, whatever another would give
CUT_DB = 49.0  # the same where it ends a step below 1: what is always cut off adds up, where rounding does not
WORTH_DB = 2.0  # what another scale has to bring before a node is left in float for it
ALIKE = 1.4  # scales this close are made one (2.9 dB), rather than rounding once more where they meet


def choose_scales(
    graph: OnnxGraph, values: Mapping[str, Observation], ranges: Mapping[str, Range], floats: dict[str, str]
) -> dict[str, TensorQuantization]:
    """The quantization of every value of `ranges`.

    floats: nodes that stay in float, by the name of their first output, and why; those are added that read or make
    what no scale open to them holds.
    """
    for node in graph.nodes:
        if node.op_type in FIXED and node.output[0] not in floats:
            reason = _lost_at_fixed_scale(values[node.output[0]], ranges[node.output[0]], FIXED[node.op_type])
            if reason is not None:
                leave_in_float(graph, node, reason, floats)
    while True:
        groups = _Groups(graph, ranges, floats)
        lost = _lost_in_joints(graph, values, groups, floats)
        if not lost:
            final = groups.finished()
            lost = {
                node.output[0]: "the scales of operand and result are too far apart for its int8 kernel"
                for node in graph.nodes
                if node.output[0] not in floats and is_out_of_range(graph, node, final)
            }
            if not lost:
                return final
        for name, reason in lost.items():
            leave_in_float(graph, graph.producer[name], reason, floats)


def leave_in_float(graph: OnnxGraph, node: NodeProto, reason: str, floats: dict[str, str]) -> None:
    """Add a node to `floats`, and the clamp behind it that is one operator with it."""
    floats.setdefault(node.output[0], reason)
    clamp = fused_activation(graph, node)
    if clamp is not None:
        floats.setdefault(clamp.output[0], reason)


def _lost_at_fixed_scale(value: Observation, own: Range, fixed: TensorQuantization) -> str | None:
    """Why the one scale that a runtime has for a result does not do for it; None where it does."""
    found = value.snr_db(fixed)
    cuts = own[1] > fixed.high + fixed.scale / 2
    if found >= (CUT_DB if cuts else FIXED_DB) or found >= value.snr_db(from_range(*own)) - WORTH_DB:
        return None
    values = f"its values ({value.low:.3g} to {value.high:.3g})"
    if found >= FIXED_DB:
        return f"{values} go beyond {fixed.high:.3g}, where the scale that int8 has here ends"
    return f"{values} are small for the scale {fixed.scale:g} that int8 has here"


def _lost_in_joints(
    graph: OnnxGraph, values: Mapping[str, Observation], groups: "_Groups", floats: Mapping[str, str]
) -> dict[str, str]:
    """The joints whose result no scale holds as a whole, and what reads it: nodes by their first output, and why."""
    lost: dict[str, str] = {}
    parts: dict[str, tuple[str, ...]] = {}  # what a value was put together from
    for node in graph.nodes:
        if node.op_type == "Constant":
            continue
        operands = computed_inputs(graph, node)
        unheld = next((name for name in operands if _is_lost(graph, name, lost)), None)
        if node.output[0] in floats:
            continue
        if unheld is not None:
            lost[node.output[0]] = f"reads {unheld}, which no int8 scale holds"
            continue
        if node.op_type in CUTS or not (is_move(graph, node) or is_joint(graph, node)):
            continue
        joined = tuple(dict.fromkeys(part for name in operands for part in parts.get(name, (name,))))
        parts[node.output[0]] = joined
        if not is_joint(graph, node):
            continue
        scale = groups.own(node.output[0])
        for name in joined:
            if _crushed(values[name], groups.own(name), scale):
                whole = values[node.output[0]]
                lost[node.output[0]] = (
                    f"no int8 scale holds both {name} ({values[name].low:.3g} to {values[name].high:.3g}) and what "
                    f"it is joined with ({whole.low:.3g} to {whole.high:.3g})"
                )
                break
    return lost


def _is_lost(graph: OnnxGraph, name: str, lost: Mapping[str, str]) -> bool:
    """Whether a value comes from a joint in `lost`, by moves that keep all of it."""
    producer = graph.producer.get(name)
    if producer is None or producer.output[0] not in lost:
        return False
    return is_joint(graph, producer) or (is_move(graph, producer) and producer.op_type not in CUTS)


def _crushed(value: Observation, own: TensorQuantization, joined: TensorQuantization) -> bool:
    found = value.snr_db(joined)
    return found < HOLDS_DB and found < value.snr_db(own) - WORTH_DB


class _Groups:
    """Values that are one and the same, only moved, by the value that they came from (their source)."""

    def __init__(self, graph: OnnxGraph, ranges: Mapping[str, Range], floats: Mapping[str, str]):
        self.graph, self.floats = graph, floats
        self.names = [name for name in ranges if name not in graph.constants]
        self.source = {name: name for name in self.names}
        for node in graph.nodes:
            if is_move(graph, node) and node.output[0] not in floats:
                first = computed_inputs(graph, node)[0]
                self.source.update((name, self.source[first]) for name in node.output if name in self.source)
        self.members: dict[str, list[str]] = {}
        for name in self.names:
            self.members.setdefault(self.source[name], []).append(name)
        self.fixed = {
            node.output[0]: FIXED[node.op_type]
            for node in graph.nodes
            if node.op_type in FIXED and node.output[0] not in floats
        }
        self._own = {source: self._of_its_own(source, ranges) for source in self.members}

    def own(self, name: str) -> TensorQuantization:
        """The quantization that a value has if it meets no other."""
        return self._own[self.source[name]]

    def finished(self) -> dict[str, TensorQuantization]:
        """The quantization of every value, with joints taken into account."""
        final: dict[str, TensorQuantization] = {}
        place = {name: index for index, node in enumerate(self.graph.nodes) for name in node.output}
        for source in sorted(self.members, key=lambda name: -place.get(name, -1)):  # results before operands
            final[source] = self._adopted(source, final)
        return {name: final[self.source[name]] for name in self.names if not fused_away(self.graph, name)}

    def _of_its_own(self, source: str, ranges: Mapping[str, Range]) -> TensorQuantization:
        if source in self.fixed:
            return self.fixed[source]
        lows, highs = zip(*(ranges[name] for name in self.members[source]), strict=True)
        own = from_range(min(lows), max(highs))
        producer = self.graph.producer.get(source)
        if producer is not None and self._joins(producer):
            for operand in computed_inputs(self.graph, producer):
                fixed = self.fixed.get(self.source[operand])
                if fixed is not None and _does_for(fixed, own):
                    return fixed
        return own

    def _adopted(self, source: str, final: Mapping[str, TensorQuantization]) -> TensorQuantization:
        """A value's own quantization, or that of a joint that it goes into, where it loses nothing by that."""
        own = self._own[source]
        if source in self.fixed or source not in self.graph.producer:
            return own
        joined: dict[str, TensorQuantization] = {}
        elsewhere = False
        for name in self.members[source]:
            elsewhere |= name in self.graph.output_names
            for node in self.graph.consumers[name]:
                if self._joins(node):
                    joined[node.output[0]] = final[self.source[node.output[0]]]
                elif not is_move(self.graph, node) or node.output[0] in self.floats:
                    elsewhere = True
        if not elsewhere and len(set(joined.values())) == 1:
            return next(iter(joined.values()))
        alike = [quantization for quantization in joined.values() if _does_for(quantization, own)]
        return max(alike, key=lambda quantization: quantization.scale, default=own)

    def _joins(self, node: NodeProto) -> bool:
        return is_joint(self.graph, node) and node.output[0] not in self.floats


def _does_for(given: TensorQuantization, own: TensorQuantization) -> bool:
    """Whether a quantization covers what another does and is hardly coarser."""
    slack = given.scale / 2
    covers = given.low <= own.low + slack and given.high >= own.high - slack
    return covers and given.scale <= ALIKE * own.scale
