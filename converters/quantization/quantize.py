"""A float graph and calibration inputs to a quantization: observed, equalised, constrained, corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_graph import OnnxGraph
from converters.passes import tidy
from converters.passes.as_depthwise import as_depthwise
from converters.passes.equalise import equalise, pairs
from converters.passes.fold_gemm import fold_gemm
from converters.passes.own_functions import own_functions
from converters.passes.rewrites.multiplied_back import multiplied_back
from converters.passes.rewrites.rules import NOTHING, RUNTIMES, Applied, Never, Rules
from converters.quantization.bias import correct_biases
from converters.quantization.decoding import decoding
from converters.quantization.observe import Observation, observe
from converters.quantization.ranges import METHODS
from converters.quantization.rules import LINEAR, check, computed_inputs, linear_scales, why_float
from converters.quantization.scales import choose_scales, leave_in_float
from converters.quantization.spec import QuantizationSpec, TensorQuantization

DEFAULT_METHOD = "minmax"


@dataclass(frozen=True)
class Quantized:
    """The float graph that was made to quantize well (the same function as before), its quantization, and what was
    observed of its values. multiplied: where factors were multiplied back."""

    model: ModelProto
    spec: QuantizationSpec
    values: Mapping[str, Observation] = field(default_factory=dict, repr=False)
    multiplied: Applied = NOTHING

    def with_kept(self, kept: Mapping[str, str]) -> "Quantized":
        """The same with other nodes in float."""
        return replace(self, spec=replace(self.spec, kept=kept))


@dataclass(frozen=True)
class Observed:
    """A graph that was made to quantize well (the same function as before), and its values over `samples` inputs.
    multiplied: as of Quantized."""

    model: ModelProto
    values: Mapping[str, Observation]
    samples: int
    multiplied: Applied = NOTHING


def quantize(
    source: Path | ModelProto,
    samples: Sequence[np.ndarray] | np.ndarray,
    *,
    method: str = DEFAULT_METHOD,
    kept: Mapping[str, str] | None = None,
    equalised: bool = True,
    corrected: bool = True,
    rules: Rules | None = None,
) -> Quantized:
    """Quantize a file or a graph, which is left as it was, by calibration inputs (N, C, H, W).

    kept: nodes that stay in float, by the name of their first output, and why. rules: where factors are multiplied
    back; by default nowhere. Raises ConversionError for an unknown method or no inputs.
    """
    observed = prepare(source, samples, equalised=equalised, rules=rules)
    return _constrained(observed.model, observed, method, kept, corrected)


def prepare(
    source: Path | ModelProto,
    samples: Sequence[np.ndarray] | np.ndarray,
    *,
    equalised: bool = True,
    rules: Rules | None = None,
) -> Observed:
    """What every quantization of a graph starts from; runs it on all inputs. Raises ConversionError for no inputs.

    A graph is copied; where its file is given, there is one of it in memory.
    """
    if len(samples) == 0:
        raise ConversionError("calibration needs at least one input")
    if isinstance(source, Path):
        prepared = onnx_graph.load(source)
    else:
        prepared = ModelProto()
        prepared.CopyFrom(source)
    multiplied = multiplied_back(tidy(prepared), rules or Never(), RUNTIMES)
    as_depthwise(own_functions(fold_gemm(prepared)))
    seen = observe(prepared, samples)
    if equalised and pairs(OnnxGraph(prepared)):
        equalise(prepared, {name: observation.peaks for name, observation in seen.items()})
        seen = observe(prepared, samples)
    return Observed(prepared, seen, len(samples), multiplied)


def constrain(
    observed: Observed,
    *,
    method: str,
    kept: Mapping[str, str] | None = None,
) -> Quantized:
    """The quantization of a prepared graph, by the ranges of a method; runs nothing. Arguments as of `quantize`."""
    model = ModelProto()
    model.CopyFrom(observed.model)
    return _constrained(model, observed, method, kept)


def _constrained(
    model: ModelProto, observed: Observed, method: str, kept: Mapping[str, str] | None, corrected: bool = True
) -> Quantized:
    """The quantization of `model`, which has the nodes and the weights of the observed graph; it is changed."""
    if method not in METHODS:
        raise ConversionError(f"{method}: no such calibration; there are {', '.join(METHODS)}")
    graph, floats = OnnxGraph(model), dict(kept or {})
    for node in graph.nodes:
        if node.op_type == "Constant":
            continue
        reason = floats.get(node.output[0]) or why_float(graph, node) or _without_range(graph, node, observed.values)
        if reason is not None:
            leave_in_float(graph, node, reason, floats)
    ranges = {name: METHODS[method](observation) for name, observation in observed.values.items()}
    decoded = decoding(graph, ranges)
    for node in graph.nodes:
        if node.output[0] in decoded:
            leave_in_float(graph, node, decoded[node.output[0]], floats)
    activations = choose_scales(graph, observed.values, ranges, floats)
    spec = QuantizationSpec(activations, _weights(graph, activations, floats), method, observed.samples, floats)
    check(graph, spec)
    if corrected:
        correct_biases(model, spec, {name: observation.mean for name, observation in observed.values.items()})
    return Quantized(model, spec, observed.values, observed.multiplied)


def _without_range(graph: OnnxGraph, node: NodeProto, values: Mapping[str, Observation]) -> str | None:
    """Why a node of which a value was not observed has to stay in float."""
    for name in (*computed_inputs(graph, node), *node.output):
        if name and name not in values:
            return f"its value {name} is not of float32"
    return None


def _weights(
    graph: OnnxGraph, activations: Mapping[str, TensorQuantization], floats: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The scales of all weights that become int8; nodes that share one share its scales."""
    scales: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        if node.op_type not in LINEAR or node.output[0] in floats:
            continue
        name, found = node.input[1], linear_scales(graph, node, activations)
        scales[name] = np.maximum(found, scales[name]) if name in scales else found
    return scales
