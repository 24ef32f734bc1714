"""What is exported loads and answers right in the oldest runtimes: tflite-runtime 2.14 and ONNX Runtime 1.29.

The files are made here; replay.py runs them in environments that hold a runtime and numpy alone, without torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from environments import environment
from operator_versions import versions
from replay_cases import BUILTIN, INT8, XNNPACK, bundle_cases, float_cases, int8_cases, mixed_cases

from converters.parity import snr_db
from converters.runtimes import host_saturates
from falcon_edge.bundle import Bundle
from falcon_edge.steps.export import FORMS
from runtime_bench.golden import Tolerance, agreements

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("old runtimes")]

REPLAY = Path(__file__).parents[1] / "support/replay.py"
CPU = "cpu"


@dataclass(frozen=True)
class Replayed:
    """All cases after both old runtimes have answered them, the runtimes' versions, and the bundles of some."""

    root: Path
    tflite: str
    onnxruntime: str
    bundles: dict[str, Bundle]

    def answers(self, group, kernels, form="*"):
        """(case, what these kernels answered) of a group."""
        found = sorted((self.root / group).glob(f"*/{form}/{kernels}.npy"))
        assert found
        return [(path.parent, np.load(path)) for path in found]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory, request):
    root, scratch = tmp_path_factory.mktemp("cases"), tmp_path_factory.mktemp("scratch")
    for make in (float_cases, int8_cases, mixed_cases):
        make(root / make.__name__.partition("_")[0], scratch)
    bundles = bundle_cases(root / "bundle", scratch)
    tflite, onnxruntime = (
        environment(name, request.config.cache).run(REPLAY, name, root).strip()
        for name in ("tflite-runtime", "onnxruntime")
    )
    return Replayed(root, tflite, onnxruntime, bundles)


def wrong(answers, right):
    """The cases whose answers are not right, by what was found."""
    checked = {folder.relative_to(folder.parents[2]).as_posix(): right(folder, found) for folder, found in answers}
    return {name: verdict for name, verdict in checked.items() if verdict is not None}


def close(decibels):
    def right(folder, found):
        expected = np.load(folder / "expected.npy")
        if found.shape != expected.shape:
            return found.shape
        ratio = snr_db(expected, found)
        return None if ratio >= decibels else ratio

    return right


def equal_integers(kernels=""):
    """At most one step apart, and 99% equal, to what our own runtime answers with these kernels."""

    def right(folder, found):
        expected = np.load(folder / f"expected{kernels}.npy")
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            return found.shape, found.dtype
        steps = np.abs(found.astype(int) - expected.astype(int))
        return None if steps.max() <= 1 and (steps == 0).mean() >= 0.99 else (steps.max(), (steps == 0).mean())

    return right


def test_the_runtimes_are_the_old_ones(replayed):
    assert replayed.tflite == "2.14.0"
    assert replayed.onnxruntime.startswith("1.29.")


@pytest.mark.parametrize("kernels", [XNNPACK, BUILTIN])
def test_float_operators_of_tflite(replayed, kernels):
    assert wrong(replayed.answers("float", kernels, "tflite"), close(100)) == {}


@pytest.mark.parametrize("kernels", [XNNPACK, BUILTIN])
def test_float16_operators_of_tflite(replayed, kernels):
    assert wrong(replayed.answers("float", kernels, "half"), close(100)) == {}


def test_float_operators_of_onnx_runtime(replayed):
    assert wrong(replayed.answers("float", CPU), close(100)) == {}


@pytest.mark.parametrize("kernels", [XNNPACK, BUILTIN])
def test_int8_operators_of_tflite(replayed, kernels):
    """2.14 computes int8 by its built-in kernels even where it has a delegate, so these are compared."""
    answers = replayed.answers("int8", kernels)
    assert wrong(answers, equal_integers(f".{BUILTIN}")) == {}
    for folder, found in answers:
        assert np.array_equal(found, np.load(folder / f"{BUILTIN}.npy")), folder


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_int8_operators_of_onnx_runtime(replayed, activations):
    assert wrong(replayed.answers("int8", CPU, activations), equal_integers()) == {}


@pytest.mark.parametrize("kernels", [XNNPACK, BUILTIN, CPU])
def test_mixed_precision(replayed, kernels):
    assert wrong(replayed.answers("mixed", kernels), close(25)) == {}


@pytest.mark.parametrize("name", INT8)
def test_golden_outputs_of_a_bundle(replayed, name):
    manifest, bad, seen = replayed.bundles[name].manifest, {}, set()
    for made in manifest.exports:
        if made.precision == "int8" and made.target != "tflite" and host_saturates() and name.startswith("uint8"):
            continue  # the golden outputs are the twin's, which this host computes right
        seen.add((made.target, made.precision))
        golden = [replayed.bundles[name].file(vector.outputs[made.file]) for vector in manifest.golden.vectors]
        (tolerance,) = (each for each in manifest.golden.tolerances if each.file == made.file)
        allowed = Tolerance(**tolerance.model_dump(include={"rtol", "max_lsb", "classes"}))
        for kernels in (CPU,) if made.target != "tflite" else (XNNPACK, BUILTIN):
            found = np.load(replayed.root / "bundle" / name / f"{made.precision}-{made.target}" / f"{kernels}.npy")
            expected = [[np.fromfile(path, found.dtype)] for path in golden]
            (agreed,) = agreements(expected, [[row.reshape(-1)] for row in found], [allowed])
            if not agreed.within_tolerance:
                bad[made.file, kernels] = agreed, tolerance
    assert bad == {}
    forms = {(form.name, precision) for form, precision in FORMS if precision == "int8" or name == "uint8"}
    assert seen == forms or host_saturates()


def test_operators_are_of_the_lowest_version_that_suffices(replayed):
    files = replayed.root.rglob("model.tflite")
    found = {(str(path.parent), *version) for path in files for version in versions(path.read_bytes())}
    assert {entry for entry in found if entry[2] != entry[3]} == set()
    newer = {("CONV_2D", 6), ("FULLY_CONNECTED", 5), ("MUL", 3), ("TRANSPOSE", 4), ("DEQUANTIZE", 3), ("PADV2", 2)}
    assert {entry[1:3] for entry in found} >= newer


def test_onnx_files_are_of_old_versions(replayed):
    models = [onnx.load(path) for path in replayed.root.rglob("model.onnx")]
    assert max(model.ir_version for model in models) <= 8
    assert max(entry.version for model in models for entry in model.opset_import if entry.domain == "") <= 17
