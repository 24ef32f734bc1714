"""Real model files, made once, and results written by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import resnet, vgg

from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.results import Burst, Entry, ModelInfo, Results, RuntimeInfo, summarise

RUNTIMES = {".onnx": "onnxruntime", ".tflite": "litert"}


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """Model files by name: vgg, falcon (the same at rank 1) and resnet, each as .onnx and .tflite."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    torch.manual_seed(0)
    for name, network in (("vgg", vgg()), ("falcon", vgg(1)), ("resnet", resnet(2))):
        balance(network)
        path = folder / f"{name}.onnx"
        export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
        emit_tflite(path, path.with_suffix(".tflite"))
        found |= {f"{name}{suffix}": path.with_suffix(suffix) for suffix in RUNTIMES}
    return found


def balance(network):
    """Move the last bias so that no class always wins: a test of classes must be able to fail."""
    inputs = torch.randn(64, 3, 1, 1) + torch.randn(64, *network.shape)
    with torch.no_grad():
        network[-1].bias -= network(inputs).mean(0)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """uint8 (230, 24, 24, 3), each of its own colour and contrast, so that a network puts them into several classes."""
    random = np.random.default_rng(0)
    middle, spread = random.integers(0, 256, (230, 1, 1, 3)), random.integers(1, 128, (230, 1, 1, 1))
    noise = random.standard_normal((230, 24, 24, 3))
    return np.clip(middle + spread * noise, 0, 255).astype(np.uint8)


@pytest.fixture
def start():
    """Starts real workers: of this Python, or of a script that stands in for worker.py."""
    workers = []

    def start(script=None, device=None):
        if device is None:
            device = LocalDevice() if script is None else LocalDevice((sys.executable, "-c", script))
        workers.append(device.start_worker())
        return workers[-1]

    yield start
    for worker in workers:
        worker.__exit__(None, None, None)


@pytest.fixture
def load(start):
    """A worker with a file loaded, and its reply."""

    def load(path, **options):
        worker = start(device=options.pop("device", None))
        request = {"path": str(path), "runtime": RUNTIMES[path.suffix], "threads": 1, **options}
        return worker, worker.ask("load", timeout=60, **request)

    return load


@pytest.fixture(scope="session")
def entry():
    """Makes entries: a model's name, its samples, and whatever else of ModelInfo or Entry is to differ."""

    def entry(name="standard", samples=(100, 110, 120), *, threads=1, **options):
        model = {"target": "onnx", "precision": "fp32", "role": "standard", "identity": name, "macs": 1000}
        model |= {key: options.pop(key) for key in list(options) if key in ModelInfo.model_fields}
        bursts = (Burst(process=0, round=0, samples_ns=tuple(samples)),) if samples else ()
        runtime = RuntimeInfo(
            name="onnxruntime", package="onnxruntime", version="1", kernels="CPUExecutionProvider", threads=threads
        )
        values = {"device": "local", "emulated": False, "runtime": runtime, "summary": summarise(bursts), **options}
        info = ModelInfo(**{"name": name, "file": f"{name}.onnx", "sha256": "0" * 64, "bytes": 1, **model})
        return Entry(model=info, bursts=bursts, **values)

    return entry


@pytest.fixture(scope="session")
def results():
    """Makes results of entries, on one machine unless told otherwise."""

    def results(*entries, cpu="a CPU"):
        environment = Environment(
            machine="x86_64", cpu=cpu, cores=2, kernel="Linux", python="3.11.0", governor=None, load_1min=0.5,
            frequencies_mhz=(2000.0,), temperatures_c={"thermal_zone0:cpu": 40.5},
        )  # fmt: skip
        return Results(
            created="2026-01-01T00:00:00+00:00", options={"runs": 3}, before=environment, after=environment,
            entries=entries,
        )  # fmt: skip

    return results
