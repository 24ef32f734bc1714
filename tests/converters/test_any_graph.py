"""Whatever graph comes, it becomes a file that is right, or one line that says why not."""

import numpy as np
import onnx
import pytest
from emission import run_lite, run_onnx
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import random_graph

from converters import onnx_graph
from converters.errors import ConversionError
from converters.parity import snr_db
from converters.quantization.observe import values_of
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import onnx_session
from converters.tflite.context import UNFIT
from converters.tflite.emit import emit_tflite, tflite_bytes
from converters.tflite.int8 import NoInt8Form

COUNTS = [40, pytest.param(1500, marks=pytest.mark.slow)]
QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.filter_too_much, HealthCheck.too_slow]}


def drawn(random, folder):
    """(path of a random graph, its inputs, ONNX Runtime's answers or None where it cannot run it)."""
    model = random_graph(random)
    path = folder / "a.onnx"
    onnx.save(model, path)
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    inputs = [np.random.default_rng(seed).standard_normal(shape).astype(np.float32) for seed in range(2)]
    try:
        return path, inputs, run_onnx(path, inputs)
    except Exception:  # of any kind: a graph that the checker takes may still be wrong
        return path, inputs, None


def same(expected, found):
    if expected.shape != found.shape:
        return False
    if not np.isfinite(expected).all():  # kernels differ in what becomes of what is no number
        return True
    close = np.allclose(expected, found, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(expected).max(initial=0)))
    return close or snr_db(expected, found) >= 60


def all_are_numbers(model, inputs):
    """Whether every value in the graph is one: ONNX Runtime's maximum passes over what is none, TFLite's does not."""
    within = values_of(model, np.concatenate(inputs))
    return all(np.isfinite(value).all() for values in within for value in values.values())


def refusal(function, *given, **options):
    """What a refusal says, None where nothing is refused; any other error is a fault."""
    try:
        function(*given, **options)
    except ConversionError as error:
        return str(error)
    return None


def check_float(random, folder):
    path, inputs, expected = drawn(random, folder)
    lite = folder / "a.tflite"
    lite.unlink(missing_ok=True)
    said = refusal(emit_tflite, path, lite)
    if said is not None:
        assert "\n" not in said
        assert expected is None or UNFIT not in said
        assert not lite.exists()
    elif expected is not None:
        for builtin in (False, True):
            found = run_lite(lite, inputs, builtin=builtin)
            assert same(expected, found) or not all_are_numbers(onnx_graph.load(path), inputs)


def check_int8(random, folder):
    """Of graphs that are right in float: both runtimes agree to two steps."""
    path, inputs, expected = drawn(random, folder)
    assume(expected is not None and refusal(emit_tflite, path, folder / "float.tflite") is None)
    made, data = in_int8(onnx_graph.load(path), np.concatenate(inputs))
    given = made.spec.activations.get("input")
    if given is not None:  # equal integers for both: what lies between two steps is rounded to either
        inputs = [given.dequantize(given.quantize(value)) for value in inputs]
    written = write_qdq(made.model, made.spec, activations="int8")
    assume(all_are_numbers(written, inputs))  # one over what is rounded to 0
    session = onnx_session(written, signed=True)
    one = np.stack([session.run(None, {"input": value})[0] for value in inputs])
    (folder / "a.tflite").write_bytes(data)
    other = run_lite(folder / "a.tflite", inputs)
    assert one.shape == other.shape == expected.shape
    scale = made.spec.activations.get(made.model.graph.output[0].name)
    if scale is not None and one.size:
        assert np.abs(one - other).max() <= 2.01 * scale.scale


def in_int8(model, samples):
    """(quantization, bytes of the .tflite), what TFLite has no int8 form of in float."""
    kept = {}
    while True:
        made = quantize(model, samples, kept=kept)
        try:
            return made, tflite_bytes(made.model, quantization=made.spec)
        except NoInt8Form as error:
            nodes = error.nodes
        assert nodes.keys() - kept.keys()
        kept |= nodes


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("check", [check_float, check_int8])
def test_right_or_refused_in_one_line(check, count, tmp_path):
    @given(st.randoms(use_true_random=False))
    @settings(max_examples=count, derandomize=True, **QUICK)
    def tried(random):
        check(random, tmp_path)

    tried()
