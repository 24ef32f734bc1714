"""Graphs that int8 stumbled over: right, or left in float where int8 cannot be, with the reason."""

import numpy as np
import onnx
import pytest
import torch
from emission import Function, graph, node, random, run_lite
from onnx import helper
from torch import nn
from torch.nn import functional

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.parity import snr_db
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import onnx_session, run_onnx
from converters.tflite.emit import emit_tflite
from converters.tflite.int8 import NoInt8Form

SHAPE = (1, 4, 8, 8)


def in_both(model, folder, *, decibels=20):
    """Reasons of what stays in float; both runtimes are as good as asked, and agree to two steps of the result."""
    inputs = random(8, *SHAPE[1:])
    kept = {}
    for _ in range(len(model.graph.node) + 1):
        made = quantize(model, inputs, kept=kept)
        try:
            emit_tflite(made.model, folder / "a.tflite", quantization=made.spec)
            break
        except NoInt8Form as error:
            kept |= error.nodes
    exact = run_onnx(model, inputs)[0]
    session = onnx_session(write_qdq(made.model, made.spec, activations="int8"), signed=True)
    one = np.concatenate([session.run(None, {"input": image[None]})[0] for image in inputs])
    other = np.concatenate(run_lite(folder / "a.tflite", [image[None] for image in inputs]))
    assert one.shape == other.shape == exact.shape
    assert snr_db(exact, one) >= decibels
    assert np.abs(one - other).max() <= 2.01 * made.spec.activations[model.graph.output[0].name].scale
    return made.spec.kept


def traced(network, folder):
    torch.manual_seed(0)
    network = network if isinstance(network, nn.Module) else Function(network)
    return onnx_graph.load(export_onnx(network, torch.zeros(SHAPE), folder / "a.onnx", simplify=False).path)


class Rows(nn.Module):
    """A convolution of rows with a bias, in front of one of images."""

    def __init__(self):
        super().__init__()
        self.rows, self.pixels = nn.Conv1d(4, 6, 3, padding=1), nn.Conv2d(6, 3, 3)

    def forward(self, x):
        return self.pixels(functional.relu(self.rows(x.flatten(2))).reshape(-1, 6, 8, 8))


class Then(nn.Module):
    """A function between two convolutions."""

    def __init__(self, function):
        super().__init__()
        self.first, self.function, self.last = nn.Conv2d(4, 4, 1), function, nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.last(self.function(self.first(x)))


@pytest.mark.parametrize(
    ("network", "floats"),
    [
        (Rows, set()),
        (lambda: Then(lambda x: x / x.norm()), {"Div", "ReduceL2"}),
        (lambda: Then(lambda x: (x.double() * 2 + 1).float()), {"Cast", "Mul", "Add"}),
        (lambda: Then(lambda x: torch.cat([x, x[:, :, 3:3]], 2)), set()),
        (lambda: Then(lambda x: functional.max_pool2d(functional.pad(x, (1, 1, 1, 1), value=-torch.inf), 3)), set()),
        (lambda: Then(lambda x: functional.pad(x, (1, 1, 1, 1), value=-torch.inf).sigmoid()), {"Pad", "Sigmoid"}),
    ],
    ids=["rows with a bias", "norm", "double", "empty slice", "infinite pad of maxima", "infinite pad"],
)
def test_right_and_no_more_in_float_than_must_be(network, floats, tmp_path):
    model = traced(network(), tmp_path)
    kept = in_both(model, tmp_path)
    graph_of = OnnxGraph(model)
    assert {graph_of.producer[name].op_type for name in kept} <= floats


def free_batch(opset):
    """As Keras exports are: images NHWC, a batch without a name, shapes computed from it."""
    nodes = [
        node("Transpose", ["input"], ["image"], perm=[0, 3, 1, 2]),
        node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("Shape", ["r"], ["s"]),
        node("Cast", ["s"], ["f"], to=1),
        node("Cast", ["f"], ["i"], to=7),
        node("Gather", ["i", "none"], ["n"]),
        node("Concat", ["n", "rest"], ["target"], axis=0),
        node("Reshape", ["r", "target"], ["flat"]),
        node("MatMul", ["flat", "m"], ["logits"]),
    ]
    stored = {"w": random(6, 8, 3, 3), "none": np.array([0]), "rest": np.array([-1]), "m": random(6 * 32, 5) / 14}
    model = graph(nodes, SHAPE, opset=opset, **stored)
    del model.graph.value_info[:]
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", 1, [None, 5]))
    return model


@pytest.mark.parametrize("opset", [9, 13, 17])
def test_a_free_batch_and_shapes_that_are_computed_from_it(opset, tmp_path):
    in_both(free_batch(opset), tmp_path)


def test_an_old_opset_with_weights_among_the_inputs_and_numbers_in_constants(tmp_path):
    nodes = [
        node("Constant", [], ["b"], value_float=0.5),
        node("Conv", ["input", "w"], ["c"]),
        node("Add", ["c", "b"], ["a"]),
        node("Clip", ["a", "low", "high"], ["r"]),
        node("Squeeze", ["r"], ["s"], axes=[0]),
        node("Unsqueeze", ["s"], ["u"], axes=[0]),
        node("Softmax", ["u"], ["logits"], axis=3),
    ]
    model = graph(nodes, SHAPE, opset=12, w=random(5, 4, 3, 3), low=np.float32(0), high=np.float32(6))
    constant = next(each for each in model.graph.node if each.op_type == "Constant")
    assert onnx.helper.get_attribute_value(constant.attribute[0]) == 0.5
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    model.ir_version = 3
    in_both(model, tmp_path)


def test_dilations_of_one_that_int8_kernels_do_not_know(tmp_path):
    nodes = [
        node("Abs", ["input"], ["x"]),
        node("AveragePool", ["x"], ["logits"], kernel_shape=[2, 2], strides=[2, 2], dilations=[1, 1]),
    ]
    assert in_both(graph(nodes, SHAPE, opset=19), tmp_path).keys() <= {"x"}


def test_what_onnx_runtime_has_no_kernel_for_is_refused_in_one_line():
    nodes = [
        node("Cast", ["input"], ["d"], to=11),
        node("LRN", ["d"], ["n"], size=3),
        node("Cast", ["n"], ["logits"], to=1),
    ]
    with pytest.raises(ConversionError, match=r"the graph: ONNX Runtime cannot load it: .*LRN") as caught:
        quantize(graph(nodes, SHAPE), random(2, *SHAPE[1:]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("behind", [lambda x: functional.leaky_relu(x, 0.1), lambda x: x + 1.5, lambda x: 0.5 * x])
def test_a_single_number_without_an_axis(behind, tmp_path):
    """A constant that is one had an axis in int8, and so had, or refused to have, what it was computed with."""

    class Number(nn.Module):
        def forward(self, x):
            return behind(x.mean())

    path, target = tmp_path / "a.onnx", tmp_path / "a.tflite"
    export_onnx(Number(), torch.zeros(1, 4), path, simplify=False)
    inputs = [random(1, 4, seed=seed) for seed in range(8)]
    made = quantize(path, np.concatenate(inputs))
    emit_tflite(made.model, target, quantization=made.spec)
    session = onnx_session(write_qdq(made.model, made.spec, activations="int8"), signed=True)
    one = np.array([session.run(None, {"input": each})[0] for each in inputs])
    other = np.array(run_lite(target, inputs))
    assert one.shape == other.shape == (8,)
    assert np.abs(one - other).max() <= 2.01 * made.spec.activations["logits"].scale
    assert snr_db(np.array([behind(torch.from_numpy(each).mean()).numpy() for each in inputs]), one) > 20
