"""Mixed precision keeps as few layers as it can; biases take back what rounded weights shift."""

import numpy as np
import pytest
import torch
from emission import graph, node, random
from small_networks import samples, vgg

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.parity import snr_db
from converters.quantization.bias import correct_biases
from converters.quantization.mixed import REASON, by_noise, quantize_within
from converters.quantization.observe import observe
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    network = vgg(1)
    path = tmp_path_factory.mktemp("mixed") / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    return onnx_graph.load(path), samples(network.shape, 16)


def quality(model, inputs, quantized):
    return snr_db(run_onnx(model, inputs)[0], run_onnx(write_qdq(quantized.model, quantized.spec), inputs)[0])


def test_nothing_is_kept_where_int8_is_good_enough(exported):
    tried = []
    done = quantize_within(
        exported[0], exported[1], lambda found: tried.append(found) is None, method="minmax", kept={}
    )
    assert done.spec.kept == {}
    assert len(tried) == 1


def test_as_few_layers_as_needed_are_kept(exported):
    model, inputs = exported
    plain = quantize(model, inputs)
    goal = quality(model, inputs, plain) + 4
    done = quantize_within(model, inputs, lambda found: quality(model, inputs, found) >= goal, method="minmax", kept={})
    assert quality(model, inputs, done) >= goal
    order = by_noise(plain, inputs)
    kept = [name for name in order if name in done.spec.kept]
    assert kept == order[: len(kept)]
    assert 0 < len(kept) < len(order)
    fewer = quantize(model, inputs, kept=dict.fromkeys(order[: len(kept) - 1], REASON))
    assert quality(model, inputs, fewer) < goal


def test_all_layers_are_kept_where_nothing_is_good_enough(exported):
    model, inputs = exported
    done = quantize_within(model, inputs, lambda found: False, method="minmax", kept={})
    linear = [node.output[0] for node in OnnxGraph(model).nodes if node.op_type in ("Conv", "Gemm")]
    assert set(linear) <= done.spec.kept.keys()


def test_a_corrected_bias_brings_the_mean_back(exported):
    model, inputs = exported
    wrong = quantize(model, inputs, corrected=False)
    spec, seen = wrong.spec, observe(wrong.model, inputs)
    convolution = next(node for node in OnnxGraph(wrong.model).nodes if node.op_type == "Conv" and len(node.input) > 2)
    name = convolution.output[0]
    expected = seen[name].mean.mean((1, 2))

    def shift(candidate):
        """Of the channel means, with the weights of that one convolution rounded and everything before it exact."""
        others = [node.output[0] for node in OnnxGraph(candidate).nodes if node.output[0] != name]
        rounded = {spec_name: scales for spec_name, scales in spec.weights.items() if spec_name == convolution.input[1]}
        assert rounded
        assert name not in others
        rounded_model = type(candidate)()
        rounded_model.CopyFrom(candidate)
        for tensor in rounded_model.graph.initializer:
            if tensor.name == convolution.input[1]:
                value, scales = OnnxGraph(candidate).constants[tensor.name], rounded[tensor.name].reshape(-1, 1, 1, 1)
                tensor.raw_data = (np.clip(np.rint(value / scales), -127, 127) * scales).astype(np.float32).tobytes()
        return np.abs(observe(rounded_model, inputs)[name].mean.mean((1, 2)) - expected).max()

    before = shift(wrong.model)
    correct_biases(wrong.model, spec, {value: observation.mean for value, observation in seen.items()})
    assert before > 1e-5
    assert shift(wrong.model) < 0.01 * before + 1e-6


@pytest.mark.parametrize("where", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
def test_biases_of_padding_that_is_left_to_be_worked_out(where, stride):
    nodes = [node("Conv", ["input", "w", "b"], ["logits"], auto_pad=where, kernel_shape=[6, 9], strides=[stride] * 2)]
    model = graph(nodes, (1, 2, 8, 7), w=random(3, 2, 6, 9), b=random(3, seed=1))
    inputs = 1 + random(4, 2, 8, 7, seed=2)
    done = quantize(model, inputs, corrected=False)
    scales = next(iter(done.spec.weights.values())).reshape(-1, 1, 1, 1)
    rounded = graph(nodes, (1, 2, 8, 7), w=np.rint(random(3, 2, 6, 9) / scales) * scales, b=random(3, seed=1))
    shift = (run_onnx(model, inputs)[0] - run_onnx(rounded, inputs)[0]).mean((0, 2, 3))
    means = {name: observation.mean for name, observation in observe(model, inputs).items()}
    corrected = OnnxGraph(correct_biases(done.model, done.spec, means))
    bias = corrected.constants[corrected.nodes[0].input[2]]
    assert bias - random(3, seed=1) == pytest.approx(shift, abs=1e-5)


def test_a_value_that_hardly_varies_is_observed():
    model = graph([node("Relu", ["input"], ["logits"])], (1, 1, 1, 2))
    inputs = np.array([[[[1, 1 + 2.0**-23]]]], np.float32)
    assert observe(model, inputs)["logits"].histogram.sum() == 2


def test_bad_calibration(exported):
    with pytest.raises(ConversionError, match="no such calibration; there are minmax"):
        quantize(*exported, method="guess")
    with pytest.raises(ConversionError, match="at least one input"):
        quantize(exported[0], exported[1][:0])


def test_same_graph_same_inputs_same_bytes(exported):
    made = [quantize(*exported) for _ in range(2)]
    first, second = (write_qdq(one.model, one.spec).SerializeToString(deterministic=True) for one in made)
    assert first == second
