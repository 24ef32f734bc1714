"""What int8 costs layer by layer, without labels: the SNR of every result against float32, and why one is low."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from converters.onnx_graph import OnnxGraph
from converters.parity import snr_db
from converters.quantization.observe import Observation, values_of
from converters.quantization.qdq import dequantized_name, write_qdq
from converters.quantization.quantize import Quantized
from converters.quantization.rules import LINEAR, computed_inputs, fused_away, is_move, weight_axis
from converters.quantization.spec import weight_scales

SAMPLES = 32
LOW_DB = 15.0  # a result this bad is worth a word, unless its operands are as bad
DROP_DB = 20.0  # and so is one this far below its operands
EXPLAINED_DB = 3.0  # what any rounding may cost
OUTLIER = 10.0  # times the usual extreme of an input
UNEVEN = 16.0  # times the usual extreme of a channel
CANCELLED = 8.0  # times the largest result


@dataclass(frozen=True)
class Losses:
    """layers: SNR in dB of what every layer computes, by the name of its result (the median over inputs; inf for no
    difference). warnings: the layers that lose more than their operands explain, each with the reason."""

    layers: dict[str, float]
    warnings: tuple[str, ...]


def losses(quantized: Quantized, samples: Sequence[np.ndarray] | np.ndarray, names: Sequence[str] = ()) -> Losses:
    """Compare every value of the int8 graph with float32's, on up to SAMPLES of the calibration inputs.

    names: what each of `samples` is called in a warning; by default its number.
    """
    graph = OnnxGraph(quantized.model)
    found = _snr(quantized, graph, samples)
    layers, warnings = {}, []
    for node in (None, *graph.nodes):
        name = graph.inputs[0].name if node is None else node.output[0]
        if name not in found or (node is not None and is_move(graph, node)):
            continue
        layers[name] = found[name]
        operands = [] if node is None else _operands(graph, node)
        before = min((found[operand] for operand in operands if operand in found), default=np.inf)
        low = found[name] < LOW_DB and found[name] < before - EXPLAINED_DB
        if low or (np.isfinite(before) and found[name] < before - DROP_DB):
            beside = f", its operands {before:.0f} dB" if np.isfinite(before) else ""
            reason = _reason(quantized, graph, name, operands, names)
            warnings.append(f"{name}: {found[name]:.0f} dB in int8{beside}: {reason}")
    for value in graph.outputs:
        if found.get(value.name, np.inf) < LOW_DB and not warnings:
            warnings.append(f"{value.name}: {found[value.name]:.0f} dB in int8: the rounding of many layers adds up")
    return Losses(layers, tuple(warnings))


def _operands(graph: OnnxGraph, node: NodeProto) -> list[str]:
    """The computed operands of a node, or of the one that it is one operator with."""
    operands = computed_inputs(graph, node)
    if operands and fused_away(graph, operands[0]):
        return computed_inputs(graph, graph.producer[operands[0]])
    return operands


def _snr(quantized: Quantized, graph: OnnxGraph, samples: Sequence[np.ndarray] | np.ndarray) -> dict[str, float]:
    """SNR in dB of every value that both graphs have: the median over inputs, so that no single one decides."""
    chosen = np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).round().astype(int)
    inputs = [samples[int(index)] for index in chosen]
    written = write_qdq(quantized.model, quantized.spec)
    decibels: dict[str, list[float]] = {}
    for exact, rounded in zip(values_of(quantized.model, inputs), values_of(written, inputs), strict=True):
        for name, value in exact.items():
            stored = dequantized_name(name) if dequantized_name(name) in rounded else name
            if stored in rounded and not fused_away(graph, name) and np.any(value):
                decibels.setdefault(name, []).append(snr_db(value, rounded[stored]))
    return {name: float(np.median(each)) for name, each in decibels.items()}


def _reason(quantized: Quantized, graph: OnnxGraph, name: str, operands: Sequence[str], names: Sequence[str]) -> str:
    """What explains that a layer loses so much."""
    for value in (*operands, name):
        seen = quantized.values.get(value)
        outlier = None if seen is None else _outlier(seen)
        if seen is not None and outlier is not None:
            called = names[outlier] if names else f"calibration input {outlier}"
            return (
                f"an outlier: {value} reaches {seen.extremes[outlier]:.3g} for {called}, "
                f"and {np.median(seen.extremes):.3g} for most"
            )
    for value in (*operands, name):
        dead = _dead_channels(quantized, graph, value)
        if dead:
            return f"dead channels: the weights of {_some(dead)} of {value} are nearly nothing beside their biases"
    for value in (*operands, name):
        seen = quantized.values.get(value)
        if seen is not None and seen.peaks.size > 1:
            usual, largest = float(np.median(seen.peaks)), int(np.argmax(seen.peaks))
            if seen.peaks[largest] > UNEVEN * usual:
                return (
                    f"the range: channel {largest} of {value} reaches {seen.peaks[largest]:.3g} and half of them "
                    f"no more than {usual:.3g}, with one scale for all"
                )
    own = quantized.values[name].extremes.max() if name in quantized.values else 0.0
    largest = max(
        (quantized.values[value].extremes.max() for value in operands if value in quantized.values), default=0
    )
    if largest > CANCELLED * own:
        return f"its result ({own:.3g} at most) is what remains of far larger numbers ({largest:.3g})"
    return "its values are small for the steps that their range leaves them"


def _outlier(seen: Observation) -> int | None:
    """The input whose values are far beyond those of most."""
    largest = int(np.argmax(seen.extremes))
    return largest if seen.extremes[largest] > OUTLIER * np.median(seen.extremes) > 0 else None


def _dead_channels(quantized: Quantized, graph: OnnxGraph, name: str) -> list[int]:
    """The channels of a layer whose scales are those of their biases."""
    node = graph.producer.get(name)
    if node is not None and node.op_type in ("Relu", "Clip") and fused_away(graph, node.input[0]):
        node = graph.producer[node.input[0]]
    if node is None or node.op_type not in LINEAR or node.output[0] in quantized.spec.kept:
        return []
    own = weight_scales(graph.constants[node.input[1]], weight_axis(node))
    return np.flatnonzero(quantized.spec.weights[node.input[1]] > 2 * own).tolist()


def _some(channels: list[int]) -> str:
    listed = ", ".join(map(str, channels[:3]))
    return f"channels {listed}" + (f" and {len(channels) - 3} more" if len(channels) > 3 else "")
