"""What is not read is refused in one line that names the file and the node, as bad input."""

import contextlib
import random as numbers

import numpy as np
import onnx
import pytest
from emission import graph, node, random
from mutations import of_protobuf
from onnx import TensorProto, helper, numpy_helper

from falcon_edge.errors import BadInput
from falcon_edge.models.graphs import module_of

SHAPE = (1, 4, 6, 6)


def refusal(model):
    with pytest.raises(BadInput) as caught:
        module_of(model, "net.onnx")
    said = str(caught.value)
    assert said.startswith("net.onnx: ")
    assert "\n" not in said
    return said


def relu(*nodes, **constants):
    return graph([*nodes, node("Relu", ["input"], ["logits"], "last")], SHAPE, **constants)


def unchecked(nodes, *, outputs=("logits",), inputs=("input",), opset=17, initializers=()):
    """A model that no checker has seen."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(initializers),
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_operators_that_no_table_has_are_all_named():
    nodes = [
        node("Det", ["input"], ["a"], "first"),
        node("GridSample", ["input", "a"], ["b"], "second"),
        *(node("Det", ["b"], [f"c{index}"], f"more{index}") for index in range(4)),
        node("Fused", ["b"], ["logits"], "third", domain="com.microsoft"),
    ]
    said = refusal(unchecked(nodes))
    assert "Det (at first, more0, more1 and 2 more); GridSample (at second); com.microsoft.Fused (at third)" in said


def test_loops_and_branches():
    body = helper.make_graph([node("Relu", ["input"], ["r"])], "b", [], [helper.make_tensor_value_info("r", 1, None)])
    true = numpy_helper.from_array(np.array(True), "t")
    made = unchecked([node("If", ["t"], ["logits"], "choice", then_branch=body, else_branch=body)], initializers=[true])
    assert "no torch layer for If (at choice). Write loops and branches as layers" in refusal(made)


def test_an_int8_file():
    values = {"s": np.float32(0.1), "z": np.int8(0)}
    made = graph(
        [node("QuantizeLinear", ["input", "s", "z"], ["q"], "q"), node("Cast", ["q"], ["logits"], to=1)],
        SHAPE,
        **values,
    )
    assert "Import the float file" in refusal(made)


@pytest.mark.parametrize(("inputs", "words"), [((), "has 0 inputs"), (("input", "more"), "has 2 inputs (input, more)")])
def test_another_number_of_inputs(inputs, words):
    constants = [] if inputs else [numpy_helper.from_array(random(*SHAPE), "input")]
    assert words in refusal(unchecked([node("Relu", ["input"], ["logits"])], inputs=inputs, initializers=constants))


@pytest.mark.parametrize(("kind", "word"), [(TensorProto.INT64, "int64"), (TensorProto.STRING, "string")])
def test_an_input_of_another_type(kind, word):
    made = unchecked([node("Relu", ["input"], ["logits"])])
    made.graph.input[0].type.tensor_type.elem_type = kind
    assert f"its input input is {word}; float32 is expected" in refusal(made)


def test_an_input_that_is_free():
    made = relu()
    made.graph.input[0].type.tensor_type.shape.dim[2].Clear()
    assert "its input input has no size in dimension 2" in refusal(made)
    made.graph.input[0].type.tensor_type.shape.Clear()
    assert "its input input has no axes" in refusal(made)


def test_an_older_opset():
    assert "is of opset 13; bring it to opset 17" in refusal(unchecked([node("Relu", ["input"], ["logits"])], opset=13))


def test_data_in_another_file():
    made = graph([node("Conv", ["input", "w"], ["logits"])], SHAPE, w=random(4, 4, 3, 3))
    onnx.external_data_helper.set_external_data(made.graph.initializer[0], "weights.bin")
    assert "keeps its constant w in another file; save the model as one file" in refusal(made)


def test_sparse_tensors():
    made = relu()
    values, places = numpy_helper.from_array(random(1), "w"), numpy_helper.from_array(np.array([0]), "i")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))
    assert "stores sparse tensors" in refusal(made)


def test_a_constant_of_a_type_that_torch_does_not_have():
    text = helper.make_tensor("t", TensorProto.STRING, [1], [b"a"])
    made = unchecked([node("Equal", ["input", "t"], ["logits"])], initializers=[text])
    assert "its constant t is of type string" in refusal(made)


def test_a_constant_that_is_damaged():
    made = graph([node("Conv", ["input", "w"], ["logits"])], SHAPE, w=random(4, 4, 3, 3))
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-1]
    assert "its constant w has other numbers than its shape says" in refusal(made)


def test_a_constant_that_is_not_there():
    made = unchecked([node("Conv", ["input", "w"], ["logits"], "conv")])
    assert "conv (Conv) reads w, which is neither stored nor given by a node before it" in refusal(made)


def test_an_order_in_which_nothing_can_be_computed():
    nodes = [node("Relu", ["a"], ["logits"], "first"), node("Relu", ["input"], ["a"], "second")]
    assert "first (Relu) reads a," in refusal(unchecked(nodes))


def test_names_that_are_given_twice_or_not_at_all():
    twice = [node("Relu", ["input"], ["logits"], "first"), node("Tanh", ["input"], ["logits"], "second")]
    assert "second (Tanh) gives logits, which there is already" in refusal(unchecked(twice))
    assert "gives its output logits twice" in refusal(unchecked(twice[:1], outputs=("logits", "logits")))
    assert "its output gone is given by no node" in refusal(unchecked(twice[:1], outputs=("gone",)))
    assert "has no outputs" in refusal(unchecked(twice[:1], outputs=()))
    assert "last (Relu) gives nothing" in refusal(unchecked([node("Relu", ["input"], [], "last")]))


def test_values_in_half_precision():
    """Some runtimes compute with them in float32, others do not."""
    inside = [
        node("Cast", ["input"], ["h"], to=TensorProto.FLOAT16),
        node("Relu", ["h"], ["r"], "relu"),
        node("Cast", ["r"], ["logits"], to=TensorProto.FLOAT),
    ]
    assert "relu (Relu) has no torch layer, with a value of type float16; export it in float32" in refusal(
        unchecked(inside)
    )
    outside = unchecked([node("Cast", ["input"], ["logits"], to=TensorProto.FLOAT16)])
    assert "its output logits is float16; export it in float32" in refusal(outside)


def test_values_larger_than_any_image():
    nodes = [node("Concat", ["input"] * 2, ["v0"], axis=1)]
    nodes += [node("Concat", [f"v{place}"] * 2, [f"v{place + 1}"], axis=1) for place in range(30)]
    nodes.append(node("Relu", ["v30"], ["logits"]))
    assert "has no torch layer, with a value of 301,989,888 numbers" in refusal(unchecked(nodes))


def test_what_does_not_fit_an_operator():
    made = unchecked(
        [node("Conv", ["input", "w"], ["logits"], "conv")],
        initializers=[numpy_helper.from_array(random(4, 5, 3, 3), "w")],
    )
    assert "conv (Conv) has no torch layer, with operands or attributes that do not fit it" in refusal(made)


FORMS = {
    "an even size": node("LRN", ["input"], ["logits"], "n", size=4),
    "an input 1 that is computed": node("Conv", ["input", "v"], ["logits"], "n"),
    "a result 1 that is read": node("MaxPool", ["input"], ["m", "logits"], "n", kernel_shape=[2, 2]),
    "elements beyond the 4": node("Gather", ["input", "index"], ["logits"], "n", axis=1),
    "cubic_coeff_a -0.5": node("Resize", ["input", "", "scales"], ["logits"], "n", mode="cubic", cubic_coeff_a=-0.5),
    "axis 5 of 4": node("Softmax", ["input"], ["logits"], "n", axis=5),
    "the type complex64": node("Cast", ["input"], ["logits"], "n", to=TensorProto.COMPLEX64),
    "auto_pad SAME_UPPER and windows that do not meet": node(
        *("ConvTranspose", ["input", "point"], ["logits"], "n"), strides=[2, 2], auto_pad="SAME_UPPER"
    ),
    "a value of type bool": node("Relu", ["b"], ["logits"], "n"),
}


@pytest.mark.parametrize("words", FORMS)
def test_forms_of_operators_that_have_no_layer(words):
    first = [node("Identity", ["input"], ["v"]), node("Greater", ["input", "v"], ["b"])]
    constants = {"index": np.array([7]), "scales": np.float32([1, 1, 2, 2]), "point": random(4, 2, 1, 1)}
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    said = refusal(unchecked([*first, FORMS[words]], initializers=initializers))
    assert f"n ({FORMS[words].op_type}) has no torch layer, with {words}" in said


def ordinary_graphs():
    """Small ones of many operators, as bytes."""
    images = [
        node("Conv", ["input", "w", "b"], ["a"], "conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("BatchNormalization", ["a", "b", "b", "b", "v"], ["c"], "norm"),
        node("MaxPool", ["c"], ["d"], "pool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Resize", ["d", "", "s"], ["e"], "resize", mode="linear"),
        node("Slice", ["e", "i", "j", "k"], ["f"], "slice"),
        node("Pad", ["f", "p"], ["g"], "pad", mode="edge"),
        node("ConvTranspose", ["g", "w"], ["h"], "transposed", strides=[2, 2], output_padding=[1, 1]),
        node("Reshape", ["h", "r"], ["logits"], "reshape"),
    ]
    rows = [
        node("GlobalAveragePool", ["input"], ["a"], "mean"),
        node("Squeeze", ["a", "x"], ["c"], "squeeze"),
        node("MatMul", ["c", "m"], ["d"], "product"),
        node("Add", ["d", "b"], ["e"], "sum"),
        node("LayerNormalization", ["e", "b"], ["f"], "norm", axis=-1),
        node("Split", ["f", "n"], ["g", "h"], "split", axis=1),
        node("Concat", ["h", "g"], ["l"], "concat", axis=-1),
        node("Gather", ["l", "o"], ["q"], "gather", axis=1),
        node("Clip", ["q", "t"], ["logits"], "clip"),
    ]
    constants = {
        **{
            "w": random(4, 4, 3, 3),
            "b": random(4),
            "v": random(4) ** 2,
            "s": np.float32([1, 1, 2, 3]),
            "m": random(4, 4),
        },
        **{
            name: np.array(value)
            for name, value in {"i": [0], "j": [2], "k": [2], "p": [0, 0, 1, 2, 0, 0, 0, 1]}.items()
        },
        **{
            "r": np.array([1, -1]),
            "x": np.array([2, 3]),
            "n": np.array([1, 3]),
            "o": np.array([3, 0]),
            "t": np.float32(0),
        },
    }
    for nodes in (images, rows):
        used = {name for each in nodes for name in each.input}
        yield graph(nodes, SHAPE, **{name: value for name, value in constants.items() if name in used})


@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_files_that_no_checker_has_seen(count):
    """Whatever is changed in a file, it is read or refused, and nothing large is made of it."""
    good = [made.SerializeToString() for made in ordinary_graphs()]
    for data in good:
        module_of(onnx.ModelProto.FromString(data), "net.onnx")
    draw, refused = numbers.Random(0), 0
    for _ in range(count):
        model = onnx.ModelProto.FromString(of_protobuf(good, draw))
        with contextlib.suppress(BadInput):
            module_of(model, "net.onnx")
            continue
        refused += 1
        refusal(model)
    assert refused > count // 4
