"""The main job on the shipped network and sample: what `make demo` runs."""

import re
from itertools import product

import pytest
from arm64 import userland
from program import run

from falcon_edge.bundle import open_bundle
from runtime_bench.results import load


def made(folder):
    """The results of a demo in a folder, which has what it has to have, and nothing else."""
    assert {path.name for path in folder.iterdir()} == {"out"}
    folder = folder / "out"
    written = {path.name for path in folder.iterdir()}
    assert written == {"standard.falcon", "small.falcon", "results.json", "report.html"}
    results = load(folder / "results.json")
    standard, compressed = (open_bundle(folder / f"{name}.falcon").manifest for name in ("standard", "small"))
    assert standard.macs / compressed.macs >= 3
    found = [(entry.model.name, entry.model.precision, entry.runtime.name) for entry in results.entries]
    names, runtimes = ("standard", "small"), ("onnxruntime", "litert")
    assert sorted(found) == sorted(product(names, ("fp32", "int8"), runtimes))
    for entry in results.entries:
        assert entry.failure is None
        assert entry.agreement[0].within_tolerance
    return results


@pytest.mark.slow
def test_demo(tmp_path):
    done = run("demo -o out --json", tmp_path)
    assert done.code == 0, done
    results = made(tmp_path)
    assert done.document == results.model_dump(mode="json")
    for entry in results.entries:
        assert entry.quality[0].samples == 2000
        assert entry.profile is not None
    top1 = {entry.model.role: entry.quality[0].value for entry in results.entries}
    assert top1["standard"] >= 0.92
    assert top1["compressed"] >= top1["standard"] - 0.025  # a brief fine-tuning on a small sample


@pytest.mark.slow
def test_demo_emulated(tmp_path):
    """Everything said of it is said of counts."""
    userland()
    done = run("demo -o out --device arm64", tmp_path, limit=3600)
    assert done.code == 0, done
    assert "arm64:cortex-a72, emulated: instructions of one inference, no times" in done.words
    assert not {"p50", "ms", "speedup"} & set(done.words.split())
    for entry in made(tmp_path).entries:
        assert (entry.emulated, entry.summary, entry.load_ns) == (True, None, None)
        assert entry.counts.instructions > 0
        assert entry.quality[0].samples == 200
    body = (tmp_path / "out/report.html").read_text().partition("<body")[2]
    words = " ".join(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", body, flags=re.DOTALL).split())
    assert "times the instructions of small, emulated" in words
    assert all("no latency" in sentence or "not a latency" in sentence for sentence in naming("latency", words))
    assert all("no speedup" in sentence for sentence in naming("speedup", words))


def naming(word, text):
    """The sentences with a word in them."""
    found = [sentence for sentence in re.split(r"(?<=[.:;])\s", text) if word in sentence.lower()]
    assert found
    return found
