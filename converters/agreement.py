"""Which operator makes the two runtimes' int8 files differ: every one is given the same integers in both."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper

from converters.onnx_graph import OnnxGraph
from converters.quantization.qdq import as_signed, quantized_name, write_qdq
from converters.quantization.spec import QuantizationSpec
from converters.runtimes import run_onnx, tflite_interpreter
from converters.silence import STDERR, silenced
from converters.tflite.apart import Apart
from converters.tflite.emit import emit_apart


@dataclass(frozen=True)
class Difference:
    """An operator whose results differ though its operands do not: the node that it was emitted for, by name and kind;
    the largest difference in steps of its result, and the share of its numbers that differ."""

    node: str
    kind: str
    steps: int
    share: float

    def __str__(self) -> str:
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return f"{self.node} ({self.kind}): {steps} at most in {self.share:.1%} of its numbers, from equal operands"


def differences(model: ModelProto, quantization: QuantizationSpec, samples: np.ndarray) -> list[Difference]:
    """The operators of an int8 network that ONNX Runtime and LiteRT compute differently, for samples (N, C, H, W).

    Those come first that add most: whose differences are largest beside their results. `model` is what both files are
    made of (converters.quantization.quantize). Each operator of LiteRT gets the integers that ONNX Runtime computed;
    what lies in float between two of them counts as a part of the second.
    """
    apart = emit_apart(model, quantization)
    expected = _integers(write_qdq(model, quantization), list(apart.values), samples)
    signal, noise, steps, unequal = (dict.fromkeys(apart.values, 0.0) for _ in range(4))
    for index, made in enumerate(_answers(apart, expected, samples)):
        for name, value in apart.values.items():
            there = value.lying(expected[name][index : index + 1]).astype(np.int64)
            apartness = np.abs(made[name] - there)
            signal[name] += float(np.square(there - quantization.activations[name].zero_point).sum())
            noise[name] += float(np.square(apartness).sum())
            steps[name] = max(steps[name], int(apartness.max(initial=0)))
            unequal[name] += np.count_nonzero(apartness) / max(1, apartness.size) / len(samples)
    nodes = {name: node for node in OnnxGraph(model).nodes for name in node.output}
    found = []
    for name in sorted(apart.values, key=lambda name: -noise[name] / max(signal[name], 1.0)):
        node = nodes.get(apart.values[name].origin)
        if noise[name] and node is not None:
            found.append(Difference(node.name or name, node.op_type, int(steps[name]), unequal[name]))
    return found


def _integers(model: ModelProto, names: list[str], samples: np.ndarray) -> dict[str, np.ndarray]:
    """What ONNX Runtime stores of values in int8, by their names."""
    outputs = [quantized_name(name) for name in names]
    for output in outputs:
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.UINT8, None))
    values = run_onnx(model, samples, outputs=outputs)
    return {
        name: value if value.dtype == np.int8 else as_signed(value) for name, value in zip(names, values, strict=True)
    }


def _answers(apart: Apart, expected: dict[str, np.ndarray], samples: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """What LiteRT's operators make of the same integers, one sample after the other."""
    interpreter = tflite_interpreter(apart.data)
    with silenced(STDERR):
        interpreter.allocate_tensors()
    sources = {row["name"]: row["index"] for row in interpreter.get_input_details()}
    made = {row["name"]: row["index"] for row in interpreter.get_output_details()}
    given = {value.given: (name, value) for name, value in apart.values.items()}
    for index in range(len(samples)):
        sample = samples[index : index + 1]
        for source, place in sources.items():
            if source in given:
                name, value = given[source]
                interpreter.set_tensor(place, value.lying(expected[name][index : index + 1]))
            else:
                interpreter.set_tensor(place, np.ascontiguousarray(sample.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        yield {name: interpreter.get_tensor(made[value.made]) for name, value in apart.values.items()}
