"""The app's engines and worker on a JVM, with ONNX Runtime's own Java and native code: they compute what Python does.

LiteRT's engine speaks to Python's LiteRT through a bridge (probe.py): that it asks and reads rightly is tested, and no
more.
"""

import hashlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from ci import models
from mutations import of_bytes, of_flatbuffer, of_protobuf
from onnx import TensorProto, helper
from probe import ROOT, SUPPORTED, JavaMessage, Probe, compiled, with_engines
from program import run

from falcon_edge.data.formats import SAMPLE, open_dataset
from runtime_bench import replies, worker
from runtime_bench.outputs import split
from runtime_bench.results import load

if not SUPPORTED:
    pytest.skip("ONNX Runtime's JNI library is run for x86_64 alone", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("java")]
IMAGES, SIDE = 200, 64
RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert"}
BUNDLES = ("standard", "small", "unet")
EXPORTED = [f"model.{precision}.{target}" for precision in ("fp32", "int8") for target in RUNTIMES]
FILES = [(bundle, file) for bundle in BUNDLES for file in EXPORTED]
# One whose int8 files take and give integers.
INTEGERS = [("integers", file) for file in EXPORTED if "int8" in file]
WORKER = Path(worker.__file__)


class PythonWorker:
    """worker.py, over its pipe."""

    def __init__(self):
        command = [sys.executable, str(WORKER)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def work(self, do, **fields):
        self.process.stdin.write(json.dumps({"do": do} | fields) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """The classes with both engines, and the options of their JVM."""
    return with_engines(tmp_path_factory.mktemp("engines"))


@contextmanager
def running(engines, memory="768m"):
    probe = Probe(*engines, memory=memory)
    yield probe
    probe.close()


@pytest.fixture(scope="module")
def java(engines):
    with running(engines) as probe:
        yield probe


@pytest.fixture(scope="module")
def python():
    asked = PythonWorker()
    yield asked
    asked.close()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The demo's two models and a U-Net in both precisions for both runtimes, one more with integers; and images."""
    folder = tmp_path_factory.mktemp("bundles")
    for bundle in models.demo_bundles():
        shutil.copytree(bundle, folder / bundle.name)
    for name in ("integers", "signed"):
        shutil.copytree(folder / "small.falcon", folder / f"{name}.falcon")
    test = open_dataset(SAMPLE).test
    np.save(folder / "garments.npy", np.stack([np.atleast_3d(test.images[index]) for index in range(IMAGES)]))
    numbers = np.random.default_rng(0)
    grounds = numbers.integers(0, 256, (IMAGES, 4, 4, 3)).repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    pictures = np.clip(grounds + numbers.normal(0, 20, (IMAGES, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    np.save(folder / "pictures.npy", pictures)
    masks = (pictures.mean(3) // 52).astype(np.uint8)
    np.savez(folder / "masks.npz", x_train=pictures, y_train=masks, x_test=pictures[:40], y_test=masks[:40])
    shutil.copy(ROOT / "examples/networks.py", folder)
    trusted = {"PYTHONPATH": str(folder), "FALCON_EDGE_TRUST_CODE": "1"}
    data = "--data masks.npz --metric miou"
    for command in (
        f"pack networks:UNet {data} -o unet",
        f"export unet.falcon {data} --precision fp32 --precision int8 --accept-loss",
        "export integers.falcon --data sample --precision int8 --io int8 --accept-loss",
        "export signed.falcon --data sample --precision int8 --target onnx --activations int8 --accept-loss",
    ):
        done = run(command, folder, **trusted)
        assert done.code == 0, done
    return folder


@pytest.fixture(scope="module")
def embedded(bundles):
    """The models as an app has them."""
    (bundles / "app/src/main").mkdir(parents=True)
    done = run("embed standard.falcon small.falcon unet.falcon integers.falcon .", bundles)
    assert done.code == 0, done
    return bundles / "app/src/main/assets/models"


def part_of(embedded, folder, wanted):
    """A copy of the models as an app has them, with the files of some models alone."""
    shutil.copytree(embedded, folder)
    index = json.loads((folder / "index.json").read_text())
    index["models"] = [each for each in index["models"] if any(each["folder"] == bundle for bundle, _ in wanted)]
    for model in index["models"]:
        unwanted = {f"exports/{file}" for file in EXPORTED if (model["folder"], file) not in wanted}
        model["files"] = {name: about for name, about in model["files"].items() if name not in unwanted}
    (folder / "index.json").write_text(json.dumps(index))
    return str(folder)


def images_of(bundles, bundle):
    manifest = json.loads((bundles / f"{bundle}.falcon/manifest.json").read_text())
    about = {"mean": manifest["input"]["mean"], "std": manifest["input"]["std"]}
    return {"pixels": str(bundles / ("pictures.npy" if bundle == "unet" else "garments.npy"))} | about


def loaded(asked, bundles, bundle, file, **fields):
    path = str(bundles / f"{bundle}.falcon/exports" / file)
    answer = asked.work("load", path=path, runtime=RUNTIMES[file.rpartition(".")[2]], threads=1, **fields)
    return replies.Loaded.model_validate(replies.answer("load", json.dumps(answer).encode()))


@pytest.mark.parametrize(("bundle", "file"), FILES + INTEGERS)
def test_answers_to_images_are_those_of_python(java, python, bundles, tmp_path, bundle, file):
    found = {}
    for name, asked in (("java", java), ("python", python)):
        outputs = loaded(asked, bundles, bundle, file).outputs
        for reduction in ("none", "half", "classes"):
            path = tmp_path / f"{name}.{reduction}"
            fields = images_of(bundles, bundle) | {"start": 0, "stop": IMAGES, "outputs": str(path)}
            answer = asked.work("evaluate", reduction=reduction, **fields)
            assert answer == {"images": IMAGES}
            found[name, reduction] = path.read_bytes()
    size = sum(math.prod(output.shape) * np.dtype(output.dtype).itemsize for output in outputs)
    rows = {
        name: [
            split(found[name, "none"][start : start + size], outputs)
            for start in range(0, len(found[name, "none"]), size)
        ]
        for name in ("java", "python")
    }
    assert len(rows["java"]) == IMAGES
    for one, other in zip(rows["java"], rows["python"], strict=True):
        for mine, yours in zip(one, other, strict=True):
            if "int8" in file:
                np.testing.assert_array_equal(mine, yours)
            else:
                np.testing.assert_allclose(mine, yours, rtol=0, atol=1e-5 * np.abs(yours).max())
    assert found["java", "classes"] == found["python", "classes"]
    layout = "NHWC" if file.endswith("tflite") else "NCHW"
    shaped = [
        [values.reshape(output.shape) for values, output in zip(row, outputs, strict=True)] for row in rows["java"]
    ]
    for reduction in ("half", "classes"):
        mine = b"".join(each.tobytes() for row in shaped for each in worker.reduced(row, reduction, layout))
        assert mine == found["java", reduction]


@pytest.mark.parametrize(("bundle", "file"), FILES + INTEGERS)
def test_golden_inputs_are_replayed_as_python_does(java, python, bundles, tmp_path, bundle, file):
    inputs = sorted(map(str, (bundles / f"{bundle}.falcon/golden").glob("*.input.bin")))
    found = {}
    for name, asked in (("java", java), ("python", python)):
        outputs = loaded(asked, bundles, bundle, file).outputs
        paths = [tmp_path / f"{name}.{index}" for index in range(len(inputs))]
        assert asked.work("replay", inputs=inputs, outputs=list(map(str, paths))) == {"vectors": len(inputs)}
        found[name] = [path.read_bytes() for path in paths]
    for one, other in zip(found["java"], found["python"], strict=True):
        if "int8" in file:
            assert one == other
        for mine, yours in zip(split(one, outputs), split(other, outputs), strict=True):
            np.testing.assert_allclose(mine, yours, rtol=0, atol=1e-5 * np.abs(yours).max())


@pytest.mark.parametrize("file", EXPORTED)
def test_images_that_are_prepared_already_are_taken_as_they_are(java, python, bundles, tmp_path, file):
    prepared = np.random.default_rng(1).standard_normal((5, 3, SIDE, SIDE)).astype("<f4")
    np.save(tmp_path / "images.npy", prepared)
    found = {}
    for name, asked in (("java", java), ("python", python)):
        loaded(asked, bundles, "unet", file)
        fields = {"pixels": str(tmp_path / "images.npy"), "mean": [], "std": [], "outputs": str(tmp_path / name)}
        assert asked.work("evaluate", start=1, stop=4, **fields) == {"images": 3}
        found[name] = np.fromfile(tmp_path / name, "<f4")
    np.testing.assert_allclose(found["java"], found["python"], rtol=0, atol=1e-5 * np.abs(found["python"]).max())


def test_the_worker_answers_as_pythons_does(java, python, bundles, tmp_path):
    cpu = sorted(os.sched_getaffinity(0))[0]
    requests = [
        ("warm_up", {"runs": 4, "seconds": 0.01, "until": 0.2}, replies.WarmedUp),
        ("measure", {"runs": 7}, replies.Measured),
        ("measure", {"runs": 3, "every_ms": 4.0, "turn": 1, "turns": 2}, replies.Measured),
        ("measure", {"runs": 2, "cold": True}, replies.Measured),
        ("bandwidth", {"size": 1 << 20, "times": 3}, replies.Copied),
        ("memory", {}, replies.Weighed),
    ]
    for file in ("model.fp32.onnx", "model.int8.tflite"):
        about = [loaded(asked, bundles, "small", file, cpus=[cpu]) for asked in (java, python)]
        assert about[0].input == about[1].input
        assert about[0].outputs == about[1].outputs
        assert about[0].cpus == about[1].cpus == [cpu]
        assert about[0].runtime.name == about[1].runtime.name
        assert None not in (about[0].memory_bare, about[0].memory_before_load, about[0].memory_after_load)
        for action, fields, kind in requests:
            answers = [asked.work(action, cpu_seconds=60, **fields) for asked in (java, python)]
            assert list(answers[0]) == list(answers[1]), action
            for answer in answers:
                replies.checked(kind, answer, fields)
        cpus = sorted(os.sched_getaffinity(0))
    loaded(java, bundles, "small", "model.fp32.onnx", cpus=cpus)  # the caches of each are emptied
    assert java.work("measure", runs=2, cold=True)["flushed"] == worker.flushing_bytes()
    assert loaded(java, bundles, "small", "model.fp32.onnx").cpus == cpus


def test_outputs_of_every_type_are_those_of_python(java, python, tmp_path):
    kinds = ["BOOL", "INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT16", "FLOAT", "DOUBLE"]
    nodes = [helper.make_node("Cast", ["x"], [kind], to=getattr(TensorProto, kind)) for kind in kinds]
    nodes.append(helper.make_node("Cast", ["x"], ["words"], to=TensorProto.STRING))  # which is left out
    shape = [1, 2, 2, 2]
    values = [helper.make_tensor_value_info(kind, getattr(TensorProto, kind), shape) for kind in kinds]
    values.append(helper.make_tensor_value_info("words", TensorProto.STRING, shape))
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 2, 2])
    graph = helper.make_graph(nodes, "graph", [source], values)
    path, given = tmp_path / "model.onnx", tmp_path / "input"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    given.write_bytes(np.array([0, 1, 2.5, 3, 100, 0.25, 7, 9], "<f4").tobytes())
    answers = []
    for name, asked in (("java", java), ("python", python)):
        answers.append(asked.work("load", path=str(path), runtime="onnxruntime", threads=1)["outputs"])
        for reduction in ("replay", "none", "half", "classes"):
            outputs = str(tmp_path / f"{name}.{reduction}")
            if reduction == "replay":
                assert asked.work("replay", inputs=[str(given)], outputs=[outputs]) == {"vectors": 1}
            else:
                np.save(tmp_path / "images.npy", np.arange(3 * 8, dtype=np.uint8).reshape(3, 2, 2, 2))
                about = {"pixels": str(tmp_path / "images.npy"), "mean": [0.0, 0.0], "std": [0.1, 0.2]}
                asked.work("evaluate", start=1, stop=3, outputs=outputs, reduction=reduction, **about)
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(kinds)
    for reduction in ("replay", "none", "half", "classes"):
        assert (tmp_path / f"java.{reduction}").read_bytes() == (tmp_path / f"python.{reduction}").read_bytes()


def test_errors_have_the_kinds_of_pythons_worker(java, python, bundles, tmp_path):
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"no model")
    good = str(bundles / "small.falcon/exports/model.fp32.onnx")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99, 9999, 9999, 3), }".ljust(117) + b"\n"
    (tmp_path / "claims.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header)
    load_of = {"do": "load", "runtime": "onnxruntime", "threads": 1}
    wrong = [
        load_of | {"path": str(tmp_path / "missing.onnx")},
        load_of | {"path": str(garbage)},
        load_of | {"path": good, "cpus": [4000]},
        load_of | {"path": good, "runtime": "other"},
        {"do": "replay", "inputs": [str(garbage)], "outputs": ["x"]},
        *(
            {"do": "evaluate", "pixels": str(path), "mean": [0], "std": [1], "start": 0, "stop": 1, "outputs": "x"}
            for path in (garbage, tmp_path / "claims.npy")
        ),
        {"do": "fly"},
    ]
    for asked in (java, python):
        assert "error" not in asked.work(path=good, **load_of)
    for request in wrong:
        answers = [asked.work(**request) for asked in (java, python)]
        assert [set(answer) for answer in answers] == [{"error", "kind"}] * 2
        assert answers[0]["kind"] == answers[1]["kind"], answers
        assert "\n" not in answers[0]["error"]


def test_paced_inferences_come_at_their_turn(java, python, bundles):
    for asked in (java, python):
        loaded(asked, bundles, "small", "model.fp32.onnx")
        started = time.monotonic()
        found = asked.work("measure", runs=5, every_ms=20.0, turn=1, turns=2)
        assert 4 * 0.04 < time.monotonic() - started < 6 * 0.04 + 0.2
        assert len(found["samples_ns"]) == 5
    slow = java.work("measure", runs=30, every_ms=0.01)
    assert slow["missed"] > 30


def test_as_many_threads_work_as_are_asked_for(engines, bundles):
    counts = []
    with running(engines) as probe:
        for threads in (1, 1, 3, 1):
            path = str(bundles / "small.falcon/exports/model.fp32.onnx")
            assert "error" not in probe.work("load", path=path, runtime="onnxruntime", threads=threads)
            counts.append(len(os.listdir(f"/proc/{probe.process.pid}/task")))
    assert counts[2] == counts[1] + 2
    assert counts[3] == counts[1]


def test_answers_are_the_same_where_int8_may_be_multiplied_by_int8(java, python, bundles, tmp_path):
    found = {}
    for name, asked in (("java", java), ("python", python)):
        for signed in (False, True):
            loaded(asked, bundles, "signed", "model.int8.onnx", signed=signed)
            outputs = tmp_path / f"{name}.{signed}"
            fields = images_of(bundles, "signed") | {"start": 0, "stop": IMAGES, "outputs": str(outputs)}
            assert asked.work("evaluate", **fields) == {"images": IMAGES}
            found[name, signed] = outputs.read_bytes()
    for signed in (False, True):
        assert found["java", signed] == found["python", signed]


def test_a_runtime_that_is_not_in_the_build_is_hidden(engines, java, tmp_path):
    assert java.ask("runtimes") == ["onnxruntime", "litert"]
    core, tests, classes, onnxruntime, _ = engines[0]
    with running(([core, tests, classes, onnxruntime], engines[1])) as probe:
        assert probe.ask("runtimes") == ["onnxruntime"]
        answer = probe.work("load", path="x", runtime="litert", threads=1)
        assert answer == {"error": "litert is not in this build", "kind": "missing-runtime"}
    with running(([core, tests, classes, onnxruntime], [])) as probe:  # without the native libraries
        answer = probe.work("load", path="x", runtime="onnxruntime", threads=1)
        assert answer["kind"] == "missing-runtime"
    with running((compiled(tmp_path), [])) as probe:
        assert probe.ask("runtimes") == []


# -- the self-test --


@pytest.mark.parametrize(("bundle", "file"), FILES + INTEGERS)
def test_the_self_test_passes_what_computes_right(java, embedded, bundle, file):
    runtime = RUNTIMES[file.rpartition(".")[2]]
    found = java.ask("self_test", folder=str(embedded), model=bundle, file=f"exports/{file}", runtime=runtime)
    assert found["passed"], found["text"]
    assert found["text"].startswith("8 golden vectors agree (")
    assert found["agreements"][0]["vectors"] == 8
    assert found["accelerator"] == ("CPU" if runtime == "litert" else "CPUExecutionProvider")


def test_the_self_test_says_what_differs(java, bundles, embedded, tmp_path):
    shutil.copytree(embedded, tmp_path / "models")
    ask = {"folder": str(tmp_path / "models"), "model": "small", "runtime": "onnxruntime"}
    _rewrite(tmp_path / "models", "golden/03.model.fp32.onnx.output.bin", lambda values: values[::-1])
    found = java.ask("self_test", file="exports/model.fp32.onnx", **ask)
    assert not found["passed"]
    assert found["text"].startswith("differs: logits: up to ")
    assert found["agreements"][0]["classes_equal"] == 7
    _rewrite(tmp_path / "models", "golden/00.pixels.bin", lambda values: values[::-1])
    found = java.ask("self_test", file="exports/model.int8.onnx", **ask)
    assert "pre-processing: golden/00.pixels.bin gives another input" in found["text"]


def test_the_gpu_is_no_silent_cpu(java, embedded):
    ask = {"folder": str(embedded), "model": "small", "gpu": True}
    with pytest.raises(JavaMessage, match="this build has no GPU delegate"):
        java.ask("self_test", file="exports/model.fp32.tflite", runtime="litert", **ask)
    with pytest.raises(JavaMessage, match="ONNX Runtime runs on the CPU"):
        java.ask("self_test", file="exports/model.fp32.onnx", runtime="onnxruntime", **ask)


def _rewrite(folder, file, change, model="small"):
    """Change the bytes of an embedded file, and what the index says of it."""
    path = folder / model / file
    path.write_bytes(change(path.read_bytes()))
    index = json.loads((folder / "index.json").read_text())
    entry = next(each for each in index["models"] if each["folder"] == model)["files"][file]
    entry |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (folder / "index.json").write_text(json.dumps(index))


# -- the benchmark and its results --


@pytest.fixture(scope="module")
def measured(java, embedded, tmp_path_factory):
    folder = part_of(embedded, tmp_path_factory.mktemp("measured") / "models", FILES)
    return java.ask("benchmark", folder=folder, runs=20, every_ms=5, cold=True)


def test_results_are_read_by_the_project(java, measured, tmp_path):
    assert measured["phases"] == ["loading", "testing", "warming up", "measuring", "paced", "cold"]
    path = tmp_path / "results.json"
    path.write_text(measured["text"])
    results = load(path)  # which compares every summary with its samples
    assert len(results.entries) == len(FILES)
    assert not results.interrupted
    for entry in results.entries:
        assert entry.failure is None
        assert entry.summary.count == 20
        assert entry.paced.summary.count == entry.cold.summary.count == 5
        assert entry.agreement[0].within_tolerance
        assert entry.memory.peak > 0
    lines = java.ask("lines", text=measured["text"])
    assert [line[5] for line in lines] == [entry.summary.p50_ns for entry in results.entries]
    assert lines[0][0] == "2023-11-14T22:13:20+00:00"


def test_results_are_reported_and_compared(measured, tmp_path):
    (tmp_path / "results.json").write_text(measured["text"])
    for command in ("report results.json -o report.html", "compare results.json"):
        done = run(command, tmp_path)
        assert done.code == 0, done
    assert "phone:this one" in (tmp_path / "report.html").read_text()


def test_a_benchmark_can_be_cancelled(java, embedded, tmp_path):
    folder = part_of(embedded, tmp_path / "models", FILES[:2])
    found = java.ask("benchmark", folder=folder, runs=1000, cancel_after=100)
    (tmp_path / "results.json").write_text(found["text"])
    results = load(tmp_path / "results.json")
    assert results.interrupted
    assert {entry.summary.count for entry in results.entries} == {100}
    assert "too-few-samples" in {flag.flag for flag in results.entries[0].flags}
    found = java.ask("benchmark", folder=folder, runs=1000, cancel_after=0)  # before it has begun
    (tmp_path / "results.json").write_text(found["text"])
    assert {entry.summary for entry in load(tmp_path / "results.json").entries} == {None}


def test_a_sustained_benchmark_has_a_burst_a_second(java, embedded, tmp_path):
    folder = part_of(embedded, tmp_path / "models", FILES[:1])
    found = java.ask("benchmark", folder=folder, runs=1, sustained=2)
    assert found["phases"][-2:] == ["burst 0", "burst 1"]
    (tmp_path / "results.json").write_text(found["text"])
    (entry,) = load(tmp_path / "results.json").entries
    assert [burst.round for burst in entry.bursts] == [0, 1]
    assert 0.9e9 < sum(entry.bursts[0].samples_ns) < 1.5e9


# -- what is no model --


@pytest.mark.parametrize(("target", "count"), [("onnx", 200), ("tflite", 40)])  # each .tflite in a Python of its own
def test_mutations_of_models_are_loaded_or_are_errors(engines, bundles, tmp_path, target, count):
    good = [
        (bundles / f"small.falcon/exports/model.{precision}.{target}").read_bytes() for precision in ("fp32", "int8")
    ]
    source, answers = random.Random(0), []
    path = tmp_path / f"model.{target}"
    with running(engines, memory="256m") as probe:  # which would end with a crash of the runtime's native code
        for number in range(count):
            shaped = of_protobuf if target == "onnx" else of_flatbuffer
            path.write_bytes((shaped(good, source) if number % 2 else None) or of_bytes(good, source))
            answers.append(probe.work("load", path=str(path), runtime=RUNTIMES[target], threads=1))
    errors = [answer["error"] for answer in answers if "error" in answer]
    assert len(errors) > count // 4
    assert not any("\n" in error for error in errors)


def test_mutations_of_embedded_models_never_reach_a_runtime(java, embedded, tmp_path):
    shutil.copytree(embedded, tmp_path / "models")
    path = tmp_path / "models/small/exports/model.fp32.onnx"
    good, source = path.read_bytes(), random.Random(0)
    ask = {"folder": str(tmp_path / "models"), "model": "small", "file": "exports/model.fp32.onnx"}
    for _ in range(200):
        bad = of_bytes([good], source)
        if bad != good:
            path.write_bytes(bad)
            with pytest.raises(JavaMessage, match=r"embed the model again|more than the"):
                java.ask("self_test", runtime="onnxruntime", **ask)


def test_a_model_of_another_kind_is_a_message(java, bundles, tmp_path):
    def saved(name, *shapes, kind=TensorProto.FLOAT):
        inputs = [helper.make_tensor_value_info(f"x{index}", kind, shape) for index, shape in enumerate(shapes)]
        target = helper.make_tensor_value_info("y", kind, shapes[0])
        graph = helper.make_graph([helper.make_node("Identity", ["x0"], ["y"])], "graph", inputs, [target])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / name)
        return str(tmp_path / name)

    wrong = {
        saved("two.onnx", [1, 1, 2, 2], [1]): "has 2 inputs",
        saved("open.onnx", [1, 1, None, 2]): "the size of the file's input is open",
        saved("huge.onnx", [1, 3, 30_000, 30_000]): "is too large",
        saved("vast.onnx", [1, 2**40, 2**40]): "too large",
        saved("type.onnx", [1, 1, 2, 2], kind=TensorProto.INT64): "the file's input is int64",
        saved("texts.onnx", [1, 1, 2, 2], kind=TensorProto.STRING): "tensor of numbers",
        str(bundles / "small.falcon/exports/model.fp32.tflite"): "",
    }
    for path, expected in wrong.items():
        answer = java.work("load", path=path, runtime="onnxruntime", threads=1)
        assert expected in answer["error"], answer
