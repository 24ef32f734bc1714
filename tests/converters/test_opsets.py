"""What ONNX changed between opsets is decided by the opset: every operator at every opset that changed it.

ONNX Runtime runs the graph as it is written; what is emitted of it has to give the same.
"""

import contextlib

import onnx
import pytest
from emission import emitted, graph, node, random
from operator_forms import NEWEST, SHAPE, every_opset, forms, graphs, known_opsets, one

from converters.errors import ConversionError, UnsupportedOperator
from converters.passes.own_functions import TANH
from converters.quantization.rules import QUANTIZED
from converters.tflite.context import EMITTERS

CHANGED = list(known_opsets())
OTHERS = [each for each in every_opset() if each not in CHANGED]


@pytest.mark.parametrize(
    ("kind", "opset"), [*CHANGED, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS)]
)
def test_an_operator_is_what_its_opset_says(kind, opset):
    right = 0
    for model in graphs(kind, opset):
        refused = contextlib.suppress(UnsupportedOperator) if kind == "Resize" else contextlib.nullcontext()
        with refused:  # TFLite has not every Resize of ONNX
            emitted(model)
            right += 1
    assert right > (2 if kind == "Resize" else 0) or (kind == "Equal" and opset < 11)  # of integers alone


def test_weights_that_are_listed_as_inputs_too():
    model = graph(one("Conv", "w"), SHAPE, opset=8, w=random(300, 4, 3, 3))
    weight = model.graph.initializer[0]
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", weight.data_type, weight.dims))
    model.ir_version = 3
    assert emitted(model) == {"CONV_2D": 1}


def test_numbers_that_a_constant_has_in_other_attributes_than_value():
    nodes = [
        node("Constant", [], ["a"], value_float=0.5),
        node("Constant", [], ["b"], value_floats=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        node("Constant", [], ["s"], value_ints=[1, 144]),
        node("Add", ["input", "a"], ["x"]),
        node("Mul", ["x", "b"], ["y"]),
        node("Reshape", ["y", "s"], ["logits"]),
    ]
    assert emitted(graph(nodes, SHAPE)).keys() == {"ADD", "MUL", "RESHAPE", "TRANSPOSE"}


def test_an_opset_that_is_too_old_is_refused_in_one_line():
    with pytest.raises(ConversionError, match="is of opset 6, and 7 is the first that is read"):
        emitted(graph(one("Relu"), SHAPE, opset=6))


def test_every_operator_has_forms():
    for kind in (EMITTERS.keys() | QUANTIZED) - {TANH}:  # which is no operator of ONNX, but a function of ours
        assert list(forms(kind, NEWEST))


@pytest.mark.parametrize(("rule", "pads"), [("SAME_UPPER", [0, 0, 0, 1]), ("VALID", [1, 1, 1, 1])])
def test_two_paddings_that_contradict_each_other_are_refused(rule, pads):
    pool = node("MaxPool", ["input"], ["logits"], kernel_shape=[3, 3], auto_pad=rule, pads=pads)
    model = graph([pool], SHAPE)
    sizes = (SHAPE[0], SHAPE[1], SHAPE[2] + pads[0] + pads[2] - 2, SHAPE[3] + pads[1] + pads[3] - 2)  # none is inferred
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, sizes))
    with pytest.raises(ConversionError, match=f"has auto_pad {rule} and pads .*: keep one"):
        emitted(model)
