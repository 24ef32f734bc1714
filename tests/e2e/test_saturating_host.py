"""x86 without VNNI, this CPU or QEMU's: ONNX Runtime saturates there, and what export and bench make of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emulated import EXACT, SATURATING, needs_both_kinds
from program import ENVIRONMENT

import falcon_edge
from converters.parity import snr_db
from falcon_edge.bundle import open_bundle
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.export import golden_samples
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice

HERE, THERE = (*EXACT, sys.executable), (*SATURATING, sys.executable)
SAMPLE = Path(falcon_edge.__file__).parent / "data/sample"
PROTOCOL = Protocol(runs=2, processes=1, seconds=0, rounds=1, warm_up_runs=1, warm_up_seconds=0, every=0)
pytestmark = [needs_both_kinds, pytest.mark.slow]
EXPORT = """
import sys
from pathlib import Path
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.quantize import Int8
path, data = sys.argv[1:]
export_bundle(Path(path), ("onnx", "ort", "tflite"), ("int8",), int8=Int8(data, samples=16))
"""
RUN = """
import sys
from pathlib import Path
import numpy
from converters.runtimes import run_onnx
model, inputs, outputs = sys.argv[1:]
numpy.save(outputs, run_onnx(Path(model), numpy.load(inputs), exact=False)[0])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """48 images a split of the sample: what is emulated is slow."""
    with np.load(SAMPLE / "fashion-mnist.npz") as file:
        arrays = {name: value[:48] if name[:2] in ("x_", "y_") else value for name, value in file.items()}
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, data):
    """The sample network, exported by a CPU that does not saturate and by one that does."""
    folder = tmp_path_factory.mktemp("bundles")
    here, there = (Path(shutil.copytree(SAMPLE / "vgg8.falcon", folder / name)) for name in ("here", "there"))
    for python, path in ((HERE, here), (THERE, there)):
        command = [*python, "-c", EXPORT, str(path), str(data)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
    return here, there


@pytest.fixture(scope="module")
def entries(bundles, data):
    """bench on the CPU that saturates, by the name of the file, of what was exported by the other."""
    results = bench([bundles[0]], BenchRequest(PROTOCOL, data=str(data)), device=LocalDevice(THERE))
    return {entry.model.file: entry for entry in results.entries}


def test_what_is_exported_there_has_the_golden_outputs_of_a_cpu_that_does_not_saturate(bundles):
    here, there = map(open_bundle, bundles)
    compared = 0
    for one, other in zip(here.manifest.golden.vectors, there.manifest.golden.vectors, strict=True):
        for file in ("exports/model.int8.onnx", "exports/model.int8.ort"):
            golden, found = (
                np.fromfile(bundle.file(v.outputs[file]), "<f4") for bundle, v in ((here, one), (there, other))
            )
            scale = here.manifest.quantization.outputs["logits"].scale
            assert np.abs(golden - found).max() <= scale * 1.01
            compared += 1
    assert compared == 16


def test_the_export_there_says_so(bundles):
    for bundle, words in zip(bundles, (False, True), strict=True):
        notes = {made.target: made.notes for made in open_bundle(bundle).manifest.exports if made.precision == "int8"}
        assert [any("VNNI" in note for note in notes[target]) for target in ("onnx", "ort")] == [words, words]
        assert not notes["tflite"]


def test_its_uint8_results_carry_the_flag(entries):
    flagged = {file for file, entry in entries.items() if "saturating-host" in {flag.flag for flag in entry.flags}}
    assert flagged == {"model.int8.onnx", "model.int8.ort"}


def test_goldens_and_accuracy_there_are_those_of_the_twin(entries, bundles, data):
    results = bench([bundles[0]], BenchRequest(PROTOCOL, data=str(data)), device=LocalDevice(HERE))
    here = {entry.model.file: entry for entry in results.entries}
    for file in ("model.int8.onnx", "model.int8.ort"):
        assert entries[file].failure is None
        assert entries[file].agreement[0].within_tolerance
        assert round(entries[file].quality[0].value * entries[file].quality[0].samples) == round(
            here[file].quality[0].value * here[file].quality[0].samples
        )
        assert not here[file].flags or "saturating-host" not in {flag.flag for flag in here[file].flags}


def test_without_the_twin_the_file_answers_wrongly_there(bundles, tmp_path):
    """What the flag warns of: if this failed, the tests above would show nothing."""
    bundle = open_bundle(bundles[0])
    inputs, exact = (
        golden_samples(bundle),
        [vector.outputs["exports/model.int8.onnx"] for vector in bundle.manifest.golden.vectors],
    )
    np.save(tmp_path / "inputs.npy", inputs)
    file = bundle.file("exports/model.int8.onnx")
    command = [*THERE, "-c", RUN, str(file), str(tmp_path / "inputs.npy"), str(tmp_path / "found.npy")]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=600)
    golden = np.stack([np.fromfile(bundle.file(output), "<f4") for output in exact])
    assert snr_db(golden, np.load(tmp_path / "found.npy")) < 40
