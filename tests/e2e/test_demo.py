"""The main job on the shipped network and sample: what `make demo` runs."""

from itertools import product

import pytest
from program import run

from falcon_edge.bundle import open_bundle
from runtime_bench.results import load


@pytest.mark.slow
def test_demo(tmp_path):
    done = run("demo -o out --json", tmp_path)
    assert done.code == 0, done
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    folder = tmp_path / "out"
    written = {path.name for path in folder.iterdir()}
    assert written == {"standard.falcon", "falcon.falcon", "results.json", "report.html"}
    results = load(folder / "results.json")
    assert done.document == results.model_dump(mode="json")
    standard, compressed = (open_bundle(folder / f"{name}.falcon").manifest for name in ("standard", "falcon"))
    assert standard.macs / compressed.macs >= 6
    found = [(entry.model.name, entry.model.precision, entry.runtime.name) for entry in results.entries]
    names, runtimes = ("standard", "falcon"), ("onnxruntime", "litert")
    assert sorted(found) == sorted(product(names, ("fp32", "int8"), runtimes))
    for entry in results.entries:
        assert entry.failure is None
        assert entry.agreement.within_tolerance
        assert entry.accuracy.samples == 2000
        assert entry.profile is not None
    top1 = {entry.model.role: entry.accuracy.top1 for entry in results.entries}
    assert top1["standard"] >= 0.92
    assert top1["compressed"] >= top1["standard"] - 0.05  # a brief fine-tuning on a small sample
