"""What every device is asked to measure."""

import sys

import numpy as np
import pytest
from judged import by_top1
from phone import Phone

from converters import onnx_graph
from converters.quantization.twin import probe as saturating
from converters.runtimes import exact_twin
from runtime_bench.bench import Candidate
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.local import LocalDevice
from runtime_bench.golden import GoldenVector, Tolerance
from runtime_bench.runtimes import runtime_for


@pytest.fixture
def candidate(images, tmp_path):
    """Makes candidates: a file with golden outputs of this machine, or of its twin where it saturates, and images."""
    np.save(tmp_path / "pixels.npy", images[:40])
    evaluation = by_top1("images", tmp_path / "pixels.npy", np.arange(40) % 5, (0.5,) * 3, (0.25,) * 3)

    def candidate(path, precision="fp32"):
        runtime, target = runtime_for(path.suffix).name, path.suffix[1:]
        vector = GoldenVector(tmp_path / "input.bin", tmp_path / f"{path.name}.output.bin")
        np.random.default_rng(0).standard_normal((3, 24, 24)).astype("<f4").tofile(vector.input)
        model, twin = exact_twin(path), None
        if model is not None:
            twin = tmp_path / f"{path.stem}.twin.onnx"
            onnx_graph.save(model, twin)
        with LocalDevice().start_worker() as worker:
            source, signed = str(twin or path), twin is not None
            worker.ask("load", timeout=60, path=source, runtime=runtime, threads=1, signed=signed)
            worker.ask("replay", timeout=60, inputs=[str(vector.input)], outputs=[str(vector.output)])
        same = Tolerance(rtol=0.0)
        known = {"golden": (vector,), "tolerances": (same,), "evaluation": evaluation, "twin": twin}
        return Candidate(path, runtime, path.stem, target, precision, **known)

    return candidate


@pytest.fixture
def probe(tmp_path):
    """What a machine that saturates answers wrongly."""
    model, image, output = saturating()
    path, vector = tmp_path / "probe.onnx", GoldenVector(tmp_path / "probe.input.bin", tmp_path / "probe.output.bin")
    onnx_graph.save(model, path)
    image.tofile(vector.input)
    output.tofile(vector.output)
    return Candidate(
        path, "onnxruntime", "probe", "onnx", "int8", golden=(vector,), tolerances=(Tolerance(rtol=0.0, classes=False),)
    )


@pytest.fixture
def candidates(files, candidate):
    """Both formats."""
    return [candidate(files["vgg.onnx"]), candidate(files["vgg.tflite"])]


@pytest.fixture
def plug(tmp_path, monkeypatch):
    """Plugs a phone in; adb asks its server only."""
    plugged = []

    def plug(**options):
        phone = Phone(tmp_path / "phone", **{"python": sys.executable, **options})
        plugged.append(phone)
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.port))
        monkeypatch.setattr(AdbDevice, "folder", f"{phone.folder}/data/falcon-edge")
        return phone

    yield plug
    for phone in plugged:
        phone.close()
