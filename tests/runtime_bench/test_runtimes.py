"""The runtimes by name and suffix, and what of them is installed."""

import importlib.metadata
import sys

import ai_edge_litert
import onnxruntime
import pytest

from runtime_bench import worker
from runtime_bench.errors import BenchInputError
from runtime_bench.runtimes import RUNTIMES, Runtime, runtime_for, runtime_named, runtimes_for


@pytest.mark.parametrize(
    ("name", "alias", "suffixes"),
    [("onnxruntime", "ort", [".onnx", ".ort"]), ("litert", "tflite", [".tflite"])],
)
def test_names_aliases_and_suffixes(name, alias, suffixes):
    runtime = runtime_named(name)
    assert runtime is runtime_named(alias)
    assert runtime.name == name
    assert all(runtime_for(suffix) is runtime for suffix in suffixes)


@pytest.mark.parametrize("name", ["tvm", "", "ONNX"])
def test_a_runtime_that_nobody_knows(name):
    with pytest.raises(BenchInputError, match=r"known are onnxruntime \(ort\), litert \(tflite\)"):
        runtime_named(name)


@pytest.mark.parametrize(("suffix", "said"), [(".pt", r"\.pt"), ("", "a file without suffix")])
def test_a_suffix_that_nobody_loads(suffix, said):
    with pytest.raises(BenchInputError, match=f"{said}: no runtime loads this"):
        runtime_for(suffix)


def test_each_has_a_file_that_the_worker_drives():
    assert all(hasattr(worker.session_of(runtime.driver), "load") for runtime in RUNTIMES)


def test_who_loads_a_file_depends_on_who_was_asked_for():
    assert runtimes_for(".onnx") == [runtime_for(".onnx")] == [runtime_named("ort")]
    assert runtimes_for(".tflite", ["onnxruntime"]) == []
    assert runtimes_for(".ort", ["onnxruntime", "litert"]) == [runtime_named("ort")]


def test_what_is_installed():
    assert runtime_named("onnxruntime").installed == f"onnxruntime {onnxruntime.__version__}"
    assert runtime_named("litert").installed == f"ai-edge-litert {ai_edge_litert.__version__}"
    assert Runtime("tvm", "TVM", "tvm", (".so",), (("apache-tvm", "tvm_that_is_not_here"),)).installed is None


def test_the_second_package_counts_where_only_it_is_installed():
    packages = (("ai-edge-litert", "litert_that_is_not_here"), ("numpy", "numpy"))
    assert (
        Runtime("litert", "LiteRT", "tflite", (".tflite",), packages).installed
        == f"numpy {importlib.metadata.version('numpy')}"
    )


def test_a_module_that_came_in_a_distribution_of_another_name(tmp_path, monkeypatch):
    """As onnxruntime does in onnxruntime-gpu."""
    (tmp_path / "runtime_of_a_test").mkdir()
    (tmp_path / "runtime_of_a_test" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    runtime = Runtime("r", "R", "r", (".r",), (("runtime-of-a-test", "runtime_of_a_test"),))
    assert runtime.installed == "runtime-of-a-test unknown"
    metadata = tmp_path / "runtime_of_a_test_gpu-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: runtime-of-a-test-gpu\nVersion: 1.2\n")
    (metadata / "top_level.txt").write_text("runtime_of_a_test\n")
    assert runtime.installed == "runtime-of-a-test 1.2"
