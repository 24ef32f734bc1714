"""What does not depend on the image is computed once; a free batch stays free."""

import numpy as np
import onnx
import pytest
import torch
from emission import Function
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from converters.onnx_export import export_onnx
from converters.passes.fold_constants import LIMIT, fold_constants


def kinds(model):
    return [node.op_type for node in model.graph.node]


def model_of(nodes, source=(1, 3, 8, 8), target=None, **constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, source)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, target)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model, inputs):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": inputs})[0]


ONE = numpy_helper.from_array(np.ones(1, np.float32))


def shuffle(x):
    batch, channels, height, width = x.shape
    return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: functional.pad(x, (1, 2, 0, 3), mode="reflect"), ["Pad"]),
        (lambda x: x.reshape(x.shape[0], x.shape[1] // 2, -1), ["Reshape"]),
        (shuffle, ["Reshape", "Transpose", "Reshape"]),
        (lambda x: functional.interpolate(x, size=(x.shape[2] * 2, x.shape[3] + 1)), ["Resize"]),
        (lambda x: x + torch.ones_like(x), ["Add"]),
        (lambda x: functional.conv2d(x, functional.normalize(torch.arange(36.0).reshape(1, 4, 3, 3), dim=1)), ["Conv"]),
    ],
)
def test_chains_of_an_exporter_vanish(tmp_path, function, left):
    network = Function(function)
    path = export_onnx(network, torch.zeros(1, 4, 8, 8), tmp_path / "a.onnx", simplify=False).path
    model = onnx.load(path)
    assert kinds(model) == left
    inputs = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    assert np.allclose(answers(model, inputs), network(torch.from_numpy(inputs)).numpy(), atol=1e-4)


def test_a_free_batch_stays_free_and_its_fixed_neighbours_are_folded(tmp_path):
    network = Function(shuffle)
    path = export_onnx(network, torch.zeros(1, 4, 6, 5), tmp_path / "a.onnx", simplify=False, dynamic_batch=True).path
    model = onnx.load(path)
    assert kinds(model) == ["Reshape", "Transpose", "Reshape"]
    inputs = np.random.default_rng(0).standard_normal((3, 4, 6, 5)).astype(np.float32)
    assert np.array_equal(answers(model, inputs), network(torch.from_numpy(inputs)).numpy())


def test_the_rest_of_a_shape_with_a_free_batch():
    nodes = [
        helper.make_node("Shape", ["input"], ["shape"]),
        helper.make_node("Slice", ["shape", "two", "four"], ["sizes"]),
        helper.make_node("Cast", ["sizes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceProd", ["floats"], ["pixels"], keepdims=0),
        helper.make_node("Div", ["input", "pixels"], ["logits"]),
    ]
    source = ("batch", 3, 8, 4)
    model = fold_constants(model_of(nodes, source, source, two=np.array([2]), four=np.array([4])))
    assert kinds(model) == ["Div"]
    assert numpy_helper.to_array(model.graph.initializer[0]) == 32


@pytest.mark.parametrize(("channels", "left"), [(8, ["Add"]), (2 * LIMIT // 64, ["ConstantOfShape", "Add"])])
def test_what_would_only_grow_the_file_stays(channels, left):
    fill = helper.make_node(
        "ConstantOfShape", ["sizes"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32))
    )
    source = (1, channels, 8, 8)
    model = model_of([fill, helper.make_node("Add", ["input", "ones"], ["logits"])], source, source, sizes=source)
    assert kinds(fold_constants(model)) == left


def test_weights_are_folded_whatever_their_size():
    fill = helper.make_node(
        "ConstantOfShape", ["sizes"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32))
    )
    sizes = (2 * LIMIT // 64, 64, 1, 1)
    conv = helper.make_node("Conv", ["input", "ones"], ["logits"])
    model = fold_constants(model_of([fill, conv], (1, 64, 8, 8), (1, sizes[0], 8, 8), sizes=sizes))
    assert kinds(model) == ["Conv"]
    assert tuple(model.graph.initializer[0].dims) == sizes


def test_chance_and_quantization_stay():
    nodes = [
        helper.make_node("RandomNormal", [], ["noise"], shape=[1, 3, 8, 8]),
        helper.make_node("DequantizeLinear", ["stored", "scale"], ["weight"]),
        helper.make_node("Add", ["input", "noise"], ["sum"]),
        helper.make_node("Conv", ["sum", "weight"], ["logits"]),
    ]
    constants = {"stored": np.ones((2, 3, 1, 1), np.int8), "scale": np.float32(0.5)}
    model = fold_constants(model_of(nodes, target=(1, 2, 8, 8), **constants))
    assert kinds(model) == [node.op_type for node in nodes]


def test_an_output_of_the_graph_keeps_its_node():
    model = model_of([helper.make_node("Neg", ["c"], ["logits"])], target=(2,), c=np.ones(2, np.float32))
    assert kinds(fold_constants(model)) == ["Neg"]


def test_what_cannot_be_computed_is_left_to_the_runtime():
    nodes = [helper.make_node("Gather", ["c", "far"], ["none"]), helper.make_node("Add", ["input", "none"], ["logits"])]
    model = model_of(nodes, c=np.ones(6, np.float32), far=np.array([7]))
    assert kinds(fold_constants(model)) == ["Gather", "Add"]


UNARY = {
    "Neg": {}, "Abs": {}, "Floor": {}, "Identity": {}, "Sigmoid": {}, "Transpose": {"perm": [0, 1, 3, 2]},
    "ReduceSum": {"keepdims": 1}, "Flatten": {"axis": 1},
}  # fmt: skip


@given(st.lists(st.sampled_from(sorted(UNARY)), max_size=5), st.lists(st.sampled_from(["Neg", "Abs"]), max_size=2))
@settings(max_examples=30)
def test_folded_graphs_answer_the_same(constant_chain, image_chain):
    nodes, value = [], "c"
    for index, kind in enumerate(constant_chain):
        nodes.append(helper.make_node(kind, [value], [f"c{index}"], **UNARY[kind]))
        value = f"c{index}"
        if kind == "Flatten":
            nodes.append(helper.make_node("Reshape", [value, "sizes"], [f"r{index}"]))
            value = f"r{index}"
        if kind == "ReduceSum":
            nodes.append(helper.make_node("Expand", [value, "sizes"], [f"r{index}"]))
            value = f"r{index}"
    image = "input"
    for index, kind in enumerate(image_chain):
        nodes.append(helper.make_node(kind, [image], [f"i{index}"]))
        image = f"i{index}"
    nodes.append(helper.make_node("Mul", [image, value], ["logits"]))
    random = np.random.default_rng(0)
    c, inputs = (random.standard_normal((1, 2, 4, 4)).astype(np.float32) for _ in range(2))
    shape = (1, 2, 4, 4)
    model = model_of(nodes, shape, shape, c=c, sizes=np.array(shape))
    before = answers(model, inputs)
    after = fold_constants(model)
    onnx.checker.check_model(after, full_check=True)
    assert kinds(after) == [*image_chain, "Mul"]
    assert np.allclose(answers(after, inputs), before, rtol=1e-5, atol=1e-6)
