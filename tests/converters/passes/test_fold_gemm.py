"""The factors of a Gemm in its weights and bias: the same function."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.onnx_graph import IR_VERSION, OPSET
from converters.passes.fold_gemm import fold_gemm
from converters.runtimes import run_onnx

RANDOM = np.random.default_rng(0)
CONSTANTS = {"w": RANDOM.standard_normal((6, 5)), "b": RANDOM.standard_normal(5), "c": RANDOM.standard_normal(())}
INPUTS = RANDOM.standard_normal((4, 6)).astype(np.float32)


def products(nodes):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 6), ("y", 5))]
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in CONSTANTS.items()]
    graph = helper.make_graph(nodes, "products", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


@pytest.mark.parametrize("given", [{}, {"alpha": 2.0}, {"beta": 0.5}, {"alpha": -0.25, "beta": 0.0}])
@pytest.mark.parametrize("bias", ["b", "c", None])
def test_the_same_function_without_factors(given, bias):
    model = products([helper.make_node("Gemm", ["x", "w", *([bias] if bias else [])], ["y"], **given)])
    expected = run_onnx(model, INPUTS)[0]
    folded = fold_gemm(model)
    onnx.checker.check_model(folded)
    assert not {attribute.name for attribute in folded.graph.node[0].attribute} & {"alpha", "beta"}
    np.testing.assert_allclose(run_onnx(folded, INPUTS)[0], expected, rtol=1e-6, atol=1e-6)


def test_weights_that_others_use_too_stay_as_they_are():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["one"], alpha=3.0),
        helper.make_node("Gemm", ["x", "w", "b"], ["other"]),
        helper.make_node("Add", ["one", "other"], ["y"]),
    ]
    expected = run_onnx(products(nodes), INPUTS)[0]
    np.testing.assert_allclose(run_onnx(fold_gemm(products(nodes)), INPUTS)[0], expected, rtol=1e-6, atol=1e-6)


def test_computed_weights_keep_their_factor():
    nodes = [
        helper.make_node("Identity", ["w"], ["computed"]),
        helper.make_node("Gemm", ["x", "computed"], ["y"], alpha=3.0),
    ]
    assert fold_gemm(products(nodes)).graph.node[1].attribute[0].f == 3.0
