"""export rewrites int8 graphs for their runtimes: told in manifest and card, not counted, with the same answers."""

import shutil

import numpy as np
import pytest

from converters.inspect import describe
from converters.passes.rewrites.rules import RECORDED, Never, Recorded
from falcon_edge.bundle import open_bundle
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.quantize import Int8
from runtime_bench.bench import Protocol

PROTOCOL = Protocol(runs=2, processes=1, seconds=0, rounds=1, warm_up_runs=1, warm_up_seconds=0, every=0)


@pytest.fixture(scope="module")
def exported(compressed, tmp_path_factory, stripes):
    """Bundles of one network, by the rules that their int8 files were rewritten by."""
    made = {}
    for name, rules in (("plain", Never()), ("default", RECORDED), ("vnni", Recorded("x86-vnni"))):
        made[name] = shutil.copytree(compressed, tmp_path_factory.mktemp(name) / "net.falcon")
        options = {} if rules is RECORDED else {"rules": rules}
        int8 = Int8(str(stripes), samples=16, accept_loss=True, **options)
        export_bundle(made[name], ("onnx", "tflite"), ("int8",), int8=int8)
    return made


def test_a_manifest_and_a_card_tell_what_was_rewritten(exported):
    for name, path in exported.items():
        bundle = open_bundle(path)
        for made in bundle.manifest.exports:
            card = describe(bundle.file(made.file)).card
            told = None if made.rewrites is None else made.rewrites.model_dump(mode="json")
            assert card["rewrites"] == told
            assert (told is None) == (name == "plain" or (name == "default" and made.target == "tflite"))
    onnx, tflite = open_bundle(exported["vnni"]).manifest.exports
    assert onnx.rewrites.nodes.keys() == {"column-blocks", "multiplied-back"}
    assert tflite.rewrites.nodes.keys() == {"multiplied-back"}
    quantization = open_bundle(exported["vnni"]).manifest.quantization
    assert quantization.multiplied == tflite.rewrites.nodes["multiplied-back"] != ()


def test_macs_and_parameters_stay_those_of_the_network(exported):
    plain, *others = (open_bundle(path) for path in exported.values())
    for bundle in others:
        assert (bundle.manifest.macs, bundle.manifest.parameters) == (plain.manifest.macs, plain.manifest.parameters)
        for made, before in zip(bundle.manifest.exports, plain.manifest.exports, strict=True):
            assert made.macs == before.macs == plain.manifest.macs
            found, former = (describe(each.file(made.file)) for each in (bundle, plain))
            assert found.macs == former.macs
            if made.target == "onnx":  # a .tflite has biases of zeros, also of what is multiplied back
                assert found.parameters == former.parameters
            assert (found.rewrites == ()) == (made.rewrites is None)
            executed = sum(operator.macs for operator in found.operators)
            assert executed == found.macs + (0 if made.rewrites is None else made.rewrites.macs)


def test_answers_and_quantization_stay_the_same(exported):
    plain, rewritten = open_bundle(exported["plain"]), open_bundle(exported["default"])
    assert plain.manifest.quantization == rewritten.manifest.quantization
    for one, other in zip(plain.manifest.golden.vectors, rewritten.manifest.golden.vectors, strict=True):
        for file, output in one.outputs.items():
            assert plain.file(output).read_bytes() == rewritten.file(other.outputs[file]).read_bytes()


def test_results_tell_what_was_rewritten(exported):
    path = exported["vnni"]
    files = [path / "exports" / file for file in ("model.int8.onnx", "model.int8.tflite")]
    entries = bench([path, *files], BenchRequest(PROTOCOL)).entries
    assert [entry.failure for entry in entries] == [None] * 4
    told = [entry.model.rewrites for entry in entries]
    assert told[:2] == told[2:] == [("column-blocks", "multiplied-back"), ("multiplied-back",)]
    assert len({entry.model.macs for entry in entries}) == 1
    assert all(np.all([each.within_tolerance for each in entry.agreement]) for entry in entries[:2])
