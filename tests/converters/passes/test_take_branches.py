"""An If of which it is known which branch it takes becomes that branch."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import parser
from onnx.reference import ReferenceEvaluator
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.passes.drop_identity import drop_identity
from converters.passes.fold_constants import fold_constants

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
GRAPHS = {
    "two results, one of them twice": """g (float[1,3,4,4] x) => (float[1,3,4,4] y, float[1,3,4,4] z)
        <bool c = {%d}> {
        y, z = If (c) <
            then_branch = a () => (float[1,3,4,4] r, float[1,3,4,4] s) { r = Relu (x)
                s = Identity (r) },
            else_branch = b () => (float[1,3,4,4] r, float[1,3,4,4] r) { r = Neg (x) }
        >
    }""",
    "names of the graph": """g (float[1,3,4,4] x) => (float[1,3,4,4] y) <bool c = {%d}, float w = {2}> {
        r = Add (x, w)
        p = If (c) <
            then_branch = a () => (float[1,3,4,4] k) <float v = {3}> { k = Mul (r, v) },
            else_branch = b () => (float[1,3,4,4] k) <float v = {4}> { k = Sub (r, v) }
        >
        q = If (c) <
            then_branch = a () => (float[1,3,4,4] k) <float v = {5}> { k = Mul (p, v) },
            else_branch = b () => (float[1,3,4,4] k) <float v = {6}> { k = Div (p, v) }
        >
        y = Add (q, r)
    }""",
    "a value from outside": """g (float[1,3,4,4] x) => (float[1,3,4,4] y) <bool c = {%d}, float[1] w = {2}> {
        r = Add (x, w)
        o = Identity (w)
        p = If (c) <
            then_branch = a () => (float[1] v) <float[1] v = {3}> {},
            else_branch = b () => (float[1] u) { u = Identity (o) }
        >
        y = Mul (x, p)
    }""",
    "one within the other": """g (float[1,3,4,4] x) => (float[1,3,4,4] y) <bool c = {%d}, float w = {2}> {
        o = Identity (x)
        y = If (c) <
            then_branch = a () => (float[1,3,4,4] k) {
                d = Not (c)
                k = If (d) <
                    then_branch = e () => (float[1,3,4,4] l) { l = Abs (o) },
                    else_branch = f () => (float[1,3,4,4] l) { m = Add (o, w)
                        l = Exp (m) }
                >
            },
            else_branch = b () => (float[1,3,4,4] k) { k = Neg (o) }
        >
    }""",
    "by a shape": """g (float[1,3,4,4] x) => (float[1,3,4,4] y) <int64 t = {%d}, int64 at = {1}> {
        s = Shape (x)
        n = Gather (s, at)
        two = Constant <value = int64 {2}> ()
        h = Sub (n, two)
        c = Equal (h, t)
        y = If (c) <
            then_branch = a () => (float[1,3,4,4] r) { r = Relu (x) },
            else_branch = b () => (float[1,3,4,4] r) { r = Neg (x) }
        >
    }""",
}


def answers(model, x):
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})


@pytest.mark.parametrize("condition", [0, 1])
@pytest.mark.parametrize("text", GRAPHS.values(), ids=GRAPHS)
def test_taken_it_answers_as_before(text, condition):
    model = parser.parse_model(HEAD + text % condition)
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    wanted = ReferenceEvaluator(model).run(None, {"x": x})  # ONNX Runtime fails where a result is given twice
    made = fold_constants(drop_identity(model))
    assert all(node.op_type != "If" for node in made.graph.node)
    for one, other in zip(answers(made, x), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_what_depends_on_the_image_stays():
    model = parser.parse_model(
        HEAD
        + """g (float[1,3,4,4] x) => (float[1,3,4,4] y) <float w = {0}> {
            m = ReduceMax <keepdims = 0> (x)
            c = Greater (m, w)
            o = Identity (x)
            y = If (c) <
                then_branch = a () => (float[1,3,4,4] r) { r = Relu (o) },
                else_branch = b () => (float[1,3,4,4] r) { r = Neg (o) }
            >
        }"""
    )
    x = np.full((1, 3, 4, 4), -2, np.float32)
    made = fold_constants(drop_identity(model))
    assert [node.op_type for node in made.graph.node] == ["ReduceMax", "Greater", "If"]
    np.testing.assert_array_equal(answers(made, x)[0], -x)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(1, 6, 5, 5), (1, 6, 5)])
def test_torchs_response_normalisation_has_no_branch(tmp_path, size, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    module = nn.LocalResponseNorm(size, alpha=0.7, beta=0.6, k=1.5)
    made = onnx_graph.load(export_onnx(module, x, tmp_path / "n.onnx", input_name="x").path)
    kinds = {node.op_type for node in made.graph.node}
    assert ("LRN" in kinds) == (size % 2 == 1 and len(shape) == 4)
    assert not kinds & {"If", "AveragePool"}
    np.testing.assert_allclose(answers(made, x.numpy())[0], module(x), atol=1e-6)
