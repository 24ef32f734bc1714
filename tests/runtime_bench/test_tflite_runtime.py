"""The worker where only tflite-runtime is installed, with NumPy 1: LiteRT under its old name."""

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import samples

from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError
from runtime_bench.golden import GoldenVector, Tolerance
from runtime_bench.results import RuntimeInfo

PINS = ("tflite-runtime==2.14.0", "numpy==1.26.4")
HAS_WHEELS = (
    sys.platform == "linux"
    and platform.python_implementation() == "CPython"
    and sys.version_info[:2] == (3, 11)
    and platform.machine() in ("x86_64", "aarch64")
)

pytestmark = [
    pytest.mark.skipif(
        not HAS_WHEELS, reason="tflite-runtime 2.14.0: wheels for CPython 3.11 on x86-64 or arm64 Linux"
    ),
    pytest.mark.xdist_group("tflite-runtime"),
]


@pytest.fixture(scope="session")
def old(tmp_path_factory) -> LocalDevice:
    """Workers in an environment of their own."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *PINS]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return LocalDevice((python,))


@pytest.mark.parametrize("name", ["vgg.tflite", "falcon.tflite", "resnet.tflite"])
def test_the_same_answers_as_the_newest_litert(tmp_path, files, load, old, name):
    shape = (3, 33, 34) if name == "resnet.tflite" else (3, 24, 24)
    sources = [tmp_path / f"{index}.in" for index in range(4)]
    for source, value in zip(sources, samples(shape, 4), strict=True):
        value.tofile(source)
    answers = []
    for device in (old, LocalDevice()):
        worker, reply = load(files[name], device=device)
        targets = [tmp_path / f"{reply['runtime']['package']}.{index}" for index in range(4)]
        worker.ask("replay", timeout=60, inputs=[*map(str, sources)], outputs=[*map(str, targets)])
        answers.append(np.stack([np.fromfile(target, np.float32) for target in targets]).astype(float))
    first, newest = answers
    noise = np.square(first - newest).sum()
    assert noise == 0 or 10 * np.log10(np.square(newest).sum() / noise) >= 100


def test_it_is_measured_and_named_for_what_it_is(tmp_path, files, old):
    vector = GoldenVector(tmp_path / "in", tmp_path / "out")
    value = samples((3, 24, 24), 1)
    value.tofile(vector.input)
    with LocalDevice().start_worker() as worker:
        worker.ask("load", timeout=60, path=str(files["vgg.tflite"]), runtime="litert", threads=1)
        worker.ask("replay", timeout=60, inputs=[str(vector.input)], outputs=[str(vector.output)])
    file = Candidate(
        Path(files["vgg.tflite"]),
        "litert",
        "vgg",
        "tflite",
        "fp32",
        golden=(vector,),
        tolerances=(Tolerance(rtol=1e-4),),
    )
    protocol = Protocol(runs=10, processes=1, seconds=0, rounds=2, warm_up_runs=1, warm_up_seconds=0, every=0)
    entry = bench([file], old, protocol).entries[0]
    assert entry.failure is None
    assert entry.runtime == RuntimeInfo(
        name="litert", package="tflite-runtime", version="2.14.0", kernels="xnnpack", threads=1
    )
    assert entry.summary.count == 10
    assert entry.agreement[0].within_tolerance


def test_it_runs_with_numpy_1(files, load, old):
    assert load(files["vgg.tflite"], device=old)[1]["numpy"] == "1.26.4"


def test_onnxruntime_is_missing_there(files, load, old):
    with pytest.raises(WorkerError, match="onnxruntime") as caught:
        load(files["vgg.onnx"], device=old)
    assert caught.value.kind == "missing-runtime"
