"""The int8-activation twin of a uint8 graph, and the probe that tells whether a host needs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from emulated import EXACT, SATURATING, needs_both_kinds
from small_networks import resnet, samples

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.qdq import as_signed, as_unsigned, write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.twin import probe, signed_twin
from converters.runtimes import host_saturates, onnx_session, run_onnx


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    torch.manual_seed(0)
    network = resnet(2).eval()
    path = tmp_path_factory.mktemp("twin") / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    images = samples(network.shape, 16)
    return quantize(onnx_graph.load(path), images), images


def answers(model, inputs):
    session = onnx_session(model, signed=True)
    (name,) = (value.name for value in session.get_inputs())
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in inputs])


@pytest.mark.parametrize("integer_io", [False, True])
def test_the_twin_answers_like_the_file_where_nothing_saturates(quantized, integer_io):
    made, images = quantized
    model = write_qdq(made.model, made.spec, quantized_io=integer_io)
    if integer_io:
        images = made.spec.activations[model.graph.input[0].name].quantize(images)
        images = as_unsigned(images)
    expected, found = run_onnx(model, images)[0], answers(signed_twin(model), images)
    assert found.dtype == expected.dtype
    step = 1 if integer_io else made.spec.activations[model.graph.output[0].name].scale
    assert np.abs(found.astype(float) - expected).max() <= 1.01 * step
    assert (found == expected).mean() > 0.9


def test_a_twin_has_no_uint8_but_at_its_input_and_output(quantized):
    made, _ = quantized
    twin = signed_twin(write_qdq(made.model, made.spec))
    onnx.checker.check_model(twin, full_check=True)
    assert onnx.TensorProto.UINT8 not in {tensor.data_type for tensor in twin.graph.initializer}


def test_a_float_graph_and_a_twin_have_no_twin(quantized):
    made, _ = quantized
    assert signed_twin(made.model) is None
    assert signed_twin(write_qdq(made.model, made.spec, activations="int8")) is None


def test_twin_and_the_writers_own_int8_graph_store_the_same_constants(quantized):
    made, _ = quantized
    twin, own = signed_twin(write_qdq(made.model, made.spec)), write_qdq(made.model, made.spec, activations="int8")
    one, other = ({t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer} for m in (twin, own))
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])
        assert value.dtype == other[name].dtype


def test_signs_come_and_go():
    values = np.arange(256).astype(np.uint8)
    np.testing.assert_array_equal(as_unsigned(as_signed(values)), values)


def test_the_probe_is_answered_exactly_by_its_twin_on_any_host():
    model, image, output = probe()
    np.testing.assert_array_equal(answers(signed_twin(model), image), output)


def test_a_host_saturates_if_it_answers_the_probe_wrongly():
    model, image, output = probe()
    found = run_onnx(model, image, exact=False)[0]
    assert host_saturates() == (not np.array_equal(found, output))


def test_what_the_checker_refuses_and_the_runtime_takes_is_run_on_any_host(quantized, tmp_path):
    """Such as a graph opened at a value whose type is left to be inferred."""
    made, images = quantized
    model = write_qdq(made.model, made.spec)
    expected = run_onnx(model, images)[0]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(model.graph.node[-1].input[0]))
    path = tmp_path / "opened.onnx"
    onnx.save(model, path)
    np.testing.assert_array_equal(run_onnx(path, images)[0], expected)


ANSWERS = """
import sys
from pathlib import Path
import numpy
from converters.runtimes import host_saturates, run_onnx
model, inputs, outputs = map(Path, sys.argv[1:])
found = [run_onnx(model, numpy.load(inputs), exact=exact)[0] for exact in (True, False)]
numpy.savez(outputs, exact=found[0], plain=found[1], saturates=host_saturates())
"""


@needs_both_kinds
def test_a_cpu_without_vnni_is_found_out_and_answers_exactly_all_the_same(quantized, tmp_path):
    """One of the two is emulated."""
    made, images = quantized
    model, inputs = tmp_path / "model.onnx", tmp_path / "inputs.npy"
    onnx_graph.save(write_qdq(made.model, made.spec), model)
    np.save(inputs, images)
    found = []
    for number, cpu in enumerate((EXACT, SATURATING)):
        outputs = tmp_path / f"{number}.npz"
        command = [*cpu, sys.executable, "-c", ANSWERS, str(model), str(inputs), str(outputs)]
        root = Path(onnx_graph.__file__).parents[1]
        subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=600)
        with np.load(outputs) as file:
            found.append(dict(file))
    here, there = found
    step = made.spec.activations[made.model.graph.output[0].name].scale
    assert (here["saturates"], there["saturates"]) == (False, True)
    np.testing.assert_array_equal(here["exact"], here["plain"])
    assert np.abs(there["exact"] - here["exact"]).max() <= 1.01 * step
    assert np.abs(there["plain"] - here["exact"]).max() > 2 * step
