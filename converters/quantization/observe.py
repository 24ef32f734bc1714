"""What a network's values look like over calibration inputs: ranges, histograms, peaks by channel, means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto

from converters.onnx_graph import OnnxGraph
from converters.quantization.rules import BOUNDLESS
from converters.quantization.spec import TensorQuantization
from converters.runtimes import onnx_session

BINS = 4096


@dataclass
class Observation:
    """One value over all inputs, without the numbers that stand for infinity (BOUNDLESS).

    low, high: the extremes. histogram: counts in BINS equal bins between them. peaks: largest magnitude per channel
    (axis 1). extremes: largest magnitude per input. mean: the mean over inputs, without the batch axis. The histogram
    of a constant value is empty.
    """

    low: float
    high: float
    peaks: np.ndarray
    extremes: np.ndarray
    mean: np.ndarray
    histogram: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """The BINS + 1 borders of the histogram."""
        return np.linspace(self.low, self.high, BINS + 1)

    def snr_db(self, quantization: TensorQuantization) -> float:
        """10 log10 (sum value^2 / sum error^2) of the value in int8, by the histogram; inf for a value of zeros."""
        if self.high > self.low:
            values, counts = (self.edges[:-1] + self.edges[1:]) / 2, self.histogram
        else:
            values, counts = np.array([self.low]), np.ones(1)
        error = values - quantization.dequantize(quantization.quantize(values))
        signal, noise = (float((np.square(each) * counts).sum()) for each in (values, error))
        return float(10 * np.log10(signal / noise)) if signal > 0 and noise > 0 else np.inf


def observe(model: ModelProto, samples: Sequence[np.ndarray] | np.ndarray) -> dict[str, Observation]:
    """Every float32 value of the graph, its input included, over inputs (N, C, H, W) given one at a time.

    Two passes: the extremes first, then the histograms between them.
    """
    found: dict[str, Observation] = {}
    count = len(samples)
    for index, values in enumerate(values_of(model, samples)):
        for name, value in values.items():
            value = _bounded(value)
            low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
            peaks = np.abs(value).max(tuple(axis for axis in range(value.ndim) if axis != 1), initial=0)
            mean = (value[0] if value.ndim else value) / count
            if name not in found:
                found[name] = Observation(low, high, peaks, np.zeros(count), mean, np.zeros(BINS, np.int64))
            else:
                seen = found[name]
                seen.low, seen.high = min(seen.low, low), max(seen.high, high)
                seen.peaks, seen.mean = np.maximum(seen.peaks, peaks), seen.mean + mean
            found[name].extremes[index] = max(abs(low), abs(high))
    for values in values_of(model, samples):
        for name, value in values.items():
            seen = found[name]
            if seen.high > seen.low:
                seen.histogram += _histogram(_bounded(value), seen.low, seen.high)
    return found


def _bounded(value: np.ndarray) -> np.ndarray:
    """A value with zeros in the place of what is no number or stands for infinity."""
    usual = np.abs(value) < BOUNDLESS
    return value if usual.all() else np.where(usual, value, np.float32(0))


def _histogram(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Counts in BINS equal bins; in float64 where float32 has too few steps for them (what is nearly constant)."""
    step = np.spacing(np.float32(max(abs(low), abs(high))))
    few = high - low < 2 * BINS * step
    return np.histogram(value.astype(np.float64) if few else value, BINS, (low, high))[0]


def values_of(model: ModelProto, samples: Sequence[np.ndarray] | np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Every float32 value of a graph by name, its input included, for one of `samples` after the other.

    Weights are none, also where they are stored in integers.
    """
    graph = OnnxGraph(model)
    known = {value.name for value in model.graph.output}
    named = [name for node in graph.nodes if not _is_stored(graph, node) for name in node.output]
    inner = [onnx.helper.make_empty_tensor_value_info(name) for name in named if name and name not in known]
    outputs = len(model.graph.output)
    model.graph.output.extend(inner)  # not of a copy, for it may be large
    try:
        session = onnx_session(model, unoptimised=True)
    finally:
        del model.graph.output[outputs:]
    source = graph.inputs[0]
    assert source.type.tensor_type.elem_type == TensorProto.FLOAT
    names = [value.name for value in session.get_outputs() if value.type == "tensor(float)"]
    for index in range(len(samples)):
        image = np.asarray(samples[index], np.float32)[None]
        outputs = session.run(names, {source.name: image})
        yield {source.name: image, **dict(zip(names, outputs, strict=True))}


def _is_stored(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether a node only hands on what the file stores."""
    return node.op_type == "Constant" or (node.op_type == "DequantizeLinear" and node.input[0] in graph.constants)
