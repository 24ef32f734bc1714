"""ONNX Runtime's own format: the same answers, portable, and the operators that a reduced build needs."""

import json
import platform
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from small_networks import resnet, samples, vgg

from converters import onnx_graph
from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.ort import PORTABLE_DOMAINS, convert_to_ort, operators_of
from converters.parity import check_same
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx


@pytest.fixture(params=["float", "int8"])
def source(tmp_path, request):
    network = resnet(1)
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    if request.param == "int8":
        quantized = quantize(onnx_graph.load(path), samples(network.shape, 8))
        onnx_graph.save(write_qdq(quantized.model, quantized.spec), path)
    return path


def test_the_same_answers_and_portable_operators(source, tmp_path):
    export = convert_to_ort(source, tmp_path / "model.ort")
    assert check_same(source, samples((3, 33, 34)), export.path)[0].snr_db >= 60
    assert {domain for domain, _ in operators_of(export.path)} <= PORTABLE_DOMAINS == {"ai.onnx", "com.microsoft"}


def test_the_operators_are_read_by_the_build_of_onnx_runtime(source, tmp_path):
    from onnxruntime.tools.reduced_build_config_parser import parse_config

    export = convert_to_ort(source, tmp_path / "model.ort")
    (tmp_path / "operators.config").write_text(export.config)
    required, _ = parse_config(str(tmp_path / "operators.config"))
    found = {(domain, opset): names for domain, by_opset in required.items() for opset, names in by_opset.items()}
    assert found == {key: set(names) for key, names in export.operators.items()}
    assert {name for names in found.values() for name in names} & {"FusedConv", "QLinearConv"}


def test_operators_are_listed_under_the_opset_that_brought_their_form(source, tmp_path):
    """A reduced build keeps the kernels whose range of opsets holds the listed one."""
    operators = convert_to_ort(source, tmp_path / "model.ort").operators
    for (domain, opset), names in operators.items():
        for name in names:
            expected = onnx.defs.get_schema(name, onnx_graph.OPSET).since_version if domain == "ai.onnx" else 1
            assert opset == expected, name
    assert len(operators) > 2


def test_every_operator_of_the_optimised_graph_is_listed(source, tmp_path):
    """ONNX Runtime's own log of the nodes that it runs from the file."""
    import onnxruntime

    operators = convert_to_ort(source, tmp_path / "model.ort").operators
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(tmp_path / "model.ort", options, providers=["CPUExecutionProvider"])
    session.run(None, {"input": samples((3, 33, 34), 1)})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = {event["args"]["op_name"] for event in events if "op_name" in event.get("args", {})}
    assert ran == {name for names in operators.values() for name in names}


def test_the_highest_level_would_not_be_portable(tmp_path):
    """On x86 it writes nodes of another domain: the check that refuses them can fail."""
    import onnxruntime

    network = resnet(1)
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "all.ort")
    options.log_severity_level = 4  # it warns of just that
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    domains = {domain for domain, _ in operators_of(tmp_path / "all.ort")}
    assert ("com.microsoft.nchwc" in domains) == (platform.machine() == "x86_64")


def test_same_file_same_bytes(source, tmp_path):
    files = [convert_to_ort(source, tmp_path / name).path.read_bytes() for name in ("a.ort", "b.ort")]
    assert files[0] == files[1]


def test_the_bytes_do_not_depend_on_where_it_is_called_from(source, tmp_path, monkeypatch):
    expected = convert_to_ort(source, tmp_path / "a.ort").path.read_bytes()
    deep = tmp_path / "a folder with a long name" / "and another one"
    deep.mkdir(parents=True)
    (deep / "model.onnx").write_bytes(source.read_bytes())
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("A_VARIABLE", 3000 * "x")
    assert convert_to_ort(deep / "model.onnx", tmp_path / "b.ort").path.read_bytes() == expected


def test_what_onnx_runtime_does_not_load(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ConversionError, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        convert_to_ort(tmp_path / "broken.onnx", tmp_path / "a.ort")
    assert [file.name for file in tmp_path.iterdir()] == ["broken.onnx"]


def test_int8_answers_are_bit_identical(tmp_path):
    """Integer kernels do not round, or saturate, differently at another level of optimisation."""
    network = vgg(1)
    path = tmp_path / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    quantized = quantize(onnx_graph.load(path), samples(network.shape, 8))
    onnx_graph.save(write_qdq(quantized.model, quantized.spec), path)
    convert_to_ort(path, tmp_path / "model.ort")
    one, other = (run_onnx(file, samples(network.shape), exact=False)[0] for file in (path, tmp_path / "model.ort"))
    assert np.array_equal(one, other)
