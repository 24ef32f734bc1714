"""OpenVINO in the worker, where it is installed."""

import numpy as np
import pytest

from converters.runtimes import run_onnx

pytest.importorskip("openvino")


def test_it_answers_as_onnx_runtime_does(files, load, tmp_path):
    inputs = np.random.default_rng(0).standard_normal((2, 3, 24, 24)).astype(np.float32)
    paths = [tmp_path / f"{index}.bin" for index in range(2)]
    for path, value in zip(paths, inputs, strict=True):
        value.tofile(path)
    worker, reply = load(files["vgg.onnx"], runtime="openvino")
    assert reply["runtime"]["name"] == "openvino"
    outputs = [path.with_suffix(".out") for path in paths]
    worker.ask("replay", timeout=60, inputs=list(map(str, paths)), outputs=list(map(str, outputs)))
    found = np.stack([np.fromfile(path, np.float32) for path in outputs])
    np.testing.assert_allclose(found, run_onnx(files["vgg.onnx"], inputs)[0], rtol=1e-4, atol=1e-5)


def test_its_layers_are_differences_of_models_that_end_earlier(files, load, tmp_path):
    told = load(files["vgg.onnx"], runtime="openvino")[0].ask("profile", timeout=60, runs=7, folder=str(tmp_path))
    assert told == {"delegated": []}
