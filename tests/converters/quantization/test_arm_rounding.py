"""Additions rounded as on ARM: every pair of operands, on the real kernel of an emulated CPU."""

import numpy as np
import onnx
import pytest
import torch
from arm64 import emulated
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from small_networks import resnet, samples

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.arm_rounding import multipliers, with_arm_rounding
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.twin import signed_twin
from converters.runtimes import onnx_session, run_onnx

VALUES = 256  # of an operand
SIDE = np.arange(VALUES, dtype=np.float32)
EVERY_PAIR = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"))[None]
# Scales of both operands and of the result, and their zero points: powers of two, any, and too far apart for integers.
EXACT = ((0.5, 0.5, 1.0), (0.25, 1.0, 2.0), (0.0625, 0.0625, 0.125))
ADDITIONS = (
    *zip(EXACT, ((0, 0, 0), (128, 100, 7), (255, 0, 128)), strict=True),
    ((0.0213, 0.0371, 0.0419), (131, 12, 90)),
    ((0.001, 0.09, 0.07), (0, 255, 255)),
    ((1e-6, 0.5, 0.5), (3, 4, 5)),
)


def additions():
    """A graph of the sums of two channels, one for each of ADDITIONS, from float to float."""
    constants = {"one": np.float32(1), "none": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "none"], ["stored"]),
        helper.make_node("Split", ["stored"], ["a", "b"], axis=1),
    ]
    results = []
    for number, (scales, zeros) in enumerate(ADDITIONS):
        for name, scale, zero in zip("abc", scales, zeros, strict=True):
            constants |= {f"{name}{number}.scale": np.float32(scale), f"{name}{number}.zero": np.uint8(zero)}
        for name in "ab":
            given = [name, f"{name}{number}.scale", f"{name}{number}.zero"]
            nodes.append(helper.make_node("DequantizeLinear", given, [f"{name}{number}"]))
        nodes += [
            helper.make_node("Add", [f"a{number}", f"b{number}"], [f"c{number}"]),
            helper.make_node("QuantizeLinear", [f"c{number}", f"c{number}.scale", f"c{number}.zero"], [f"sum{number}"]),
        ]
        results.append(f"sum{number}")
    nodes += [
        helper.make_node("Concat", results, ["sums"], axis=1),
        helper.make_node("DequantizeLinear", ["sums", "one", "none"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, VALUES, VALUES])
        for name, channels in (("x", 2), ("y", len(ADDITIONS)))
    ]
    graph = helper.make_graph(nodes, "additions", values[:1], values[1:], tensors)
    opset = helper.make_opsetid("", onnx_graph.OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=onnx_graph.IR_VERSION)


@pytest.mark.xdist_group("arm64 bench")
def test_every_pair_of_operands_is_added_as_on_the_cpu(tmp_path):
    model = additions()
    expected = run_onnx(with_arm_rounding(model), EVERY_PAIR)[0]
    onnx_graph.save(model, tmp_path / "additions.onnx")
    EVERY_PAIR.astype("<f4").tofile(tmp_path / "x.bin")
    device = emulated()
    with device.start_worker() as worker:
        worker.ask("load", timeout=120, path=str(tmp_path / "additions.onnx"), runtime="onnxruntime", threads=1)
        worker.ask("replay", timeout=120, inputs=[str(tmp_path / "x.bin")], outputs=[str(tmp_path / "y.bin")])
    device.close()
    found = np.fromfile(tmp_path / "y.bin", np.float32).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_halves_go_away_from_zero_and_nothing_else_changes():
    """On a host with this rounding itself the two are the same."""
    model = additions()
    here, there = (run_onnx(each, EVERY_PAIR)[0][0] for each in (model, with_arm_rounding(model)))
    assert np.abs(here - there).max() <= 1
    for (scales, zeros), one, other in zip(ADDITIONS, here, there, strict=True):
        first, second = (scale * (side - zero) for scale, side, zero in zip(scales, EVERY_PAIR[0], zeros, strict=False))
        steps = (first + second) / np.float32(scales[2])
        assert (one == other)[np.abs(np.abs(steps) % 1 - 0.5) > 1e-3].all()
        if scales in EXACT:
            away = np.clip(np.sign(steps) * np.floor(np.abs(steps) + 0.5) + zeros[2], 0, VALUES - 1)
            assert (other == away)[np.abs(steps) % 1 == 0.5].all()


def test_a_twin_is_rounded_as_what_it_is_a_twin_of():
    """Made before or after: on hosts that saturate it is run in the place of a graph that may be rounded already."""
    model = additions()
    expected = run_onnx(with_arm_rounding(model), EVERY_PAIR, exact=False)[0]
    for twin in (signed_twin(with_arm_rounding(model)), with_arm_rounding(signed_twin(model))):
        onnx.checker.check_model(twin, full_check=True)
        np.testing.assert_array_equal(_answers(twin, EVERY_PAIR), expected)


@given(*[st.floats(2.0**-4, 8, width=32) for _ in range(3)])
def test_multipliers_are_the_ratios_of_scales(one, other, result):
    first, second, shift = multipliers((np.float32(one), np.float32(other)), np.float32(result))
    assert 2**21 <= max(first, second) < 2**22
    for multiplier, scale in ((first, one), (second, other)):
        assert multiplier / 2**shift == pytest.approx(scale / result, abs=0.51 / 2**shift, rel=1e-6)


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """A quantized network with residual additions, and images."""
    torch.manual_seed(0)
    network = resnet(2).eval()
    path = tmp_path_factory.mktemp("rounding") / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    images = samples(network.shape, 16)
    made = quantize(onnx_graph.load(path), images)
    return made, images


def test_a_network_answers_the_same_but_for_a_few_steps(residual):
    made, images = residual
    model = signed_twin(write_qdq(made.model, made.spec))
    rounded = with_arm_rounding(model)
    onnx.checker.check_model(rounded, full_check=True)
    kinds = [node.op_type for node in rounded.graph.node]
    assert "Floor" in kinds
    assert "Add" not in {node.op_type for node in rounded.graph.node if node.input[0] in made.spec.activations}
    expected, found = (_answers(each, images) for each in (model, rounded))
    step = made.spec.activations[model.graph.output[0].name].scale
    assert np.abs(expected - found).max() <= 4.01 * step
    assert (expected == found).mean() > 0.8
    np.testing.assert_array_equal(
        _answers(signed_twin(with_arm_rounding(write_qdq(made.model, made.spec))), images), found
    )


def test_a_graph_without_additions_has_no_other_form():
    model = additions()
    del model.graph.node[2:]
    assert with_arm_rounding(model) is None


def _answers(model, images):
    session = onnx_session(model, signed=True)
    return np.concatenate([session.run(None, {session.get_inputs()[0].name: image[None]})[0] for image in images])
