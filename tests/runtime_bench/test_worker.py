"""worker.py over its pipe: every request, with the real runtimes."""

import ast
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import ai_edge_litert
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from small_networks import samples

from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite
from falcon_edge.preprocessing import InputSpec, normalise
from runtime_bench import outputs
from runtime_bench import worker as worker_module
from runtime_bench.errors import WorkerError
from runtime_bench.replies import Loaded
from runtime_bench.runtimes import RUNTIMES

WORKER = Path(worker_module.__file__)
MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.3)
NAMES = ["vgg.onnx", "vgg.tflite", "falcon.onnx", "falcon.tflite"]
ONE_OF_EACH = ["vgg.onnx", "vgg.tflite"]
# Runs worker.py as it is, after `before` was executed in its process.
RUN = "import runpy, sys; {before}; runpy.run_path(sys.argv[1], run_name='__main__')"


def directly(path, inputs):
    return (run_onnx(path, inputs)[0]) if path.suffix == ".onnx" else run_tflite(path, inputs)[0]


def saved(model, folder):
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def graph(nodes, source, target, *weights):
    """An ONNX model of one input and output, each (type, shape)."""
    values = [helper.make_tensor_value_info(name, *value) for name, value in (("x", source), ("y", target))]
    made = helper.make_graph(nodes, "graph", values[:1], values[1:], list(weights))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# -- requests --


@pytest.mark.parametrize("name", NAMES)
def test_load_says_what_was_loaded_and_by_what(files, load, name):
    reply = load(files[name])[1]
    lite = name.endswith(".tflite")
    assert reply["input"] == {
        "shape": [1, 24, 24, 3] if lite else [1, 3, 24, 24],
        "dtype": "float32",
        "layout": "NHWC" if lite else "NCHW",
    }
    assert reply["outputs"] == [{"shape": [1, 5], "dtype": "float32"}]
    assert reply["runtime"] == (
        {
            "name": "litert",
            "package": "ai-edge-litert",
            "version": ai_edge_litert.__version__,
            "kernels": "xnnpack",
        }
        if lite
        else {
            "name": "onnxruntime",
            "package": "onnxruntime",
            "version": onnxruntime.__version__,
            "kernels": "CPUExecutionProvider",
        }
    )
    assert reply["numpy"] == np.__version__
    assert reply["python"] == sys.version.split()[0]
    assert min(reply["load_ns"], reply["first_inference_ns"]) > 0
    assert 0 < reply["memory_bare"] < reply["memory_before_load"] <= reply["memory_after_load"]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_warm_up_and_measure(files, load, name):
    worker, _ = load(files[name])
    assert worker.ask("warm_up", timeout=60, runs=3, seconds=0)["runs"] == 3
    assert worker.ask("warm_up", timeout=60, runs=1, seconds=0.05)["runs"] > 1
    taken = worker.ask("measure", timeout=60, runs=7)["samples_ns"]
    assert len(taken) == 7
    assert min(taken) > 0


def test_warm_up_goes_on_until_the_latency_is_stable(files, load):
    worker, _ = load(files["vgg.onnx"])
    warm = worker.ask("warm_up", timeout=60, runs=1, seconds=0, until=20)
    assert warm["runs"] >= 6
    assert warm["stable"]


@pytest.mark.parametrize(
    ("samples", "settled"),
    [([1.0] * 5, False), ([1.0] * 6, True), ([9.0, 5.0, 3.0, 2.0, 1.5, 1.2], False), ([9.0, *[1.0] * 8], True)],
)
def test_stable(samples, settled):
    assert worker_module.stable(samples) == settled


@pytest.mark.parametrize("name", NAMES)
def test_replay_is_bit_for_bit_what_the_runtime_answers(tmp_path, files, load, name):
    inputs = samples((3, 24, 24), 3)
    sources, targets = ([str(tmp_path / f"{index}.{kind}") for index in range(3)] for kind in ("in", "out"))
    for source, value in zip(sources, inputs, strict=True):
        value.astype("<f4").tofile(source)
    worker, _ = load(files[name])
    assert worker.ask("replay", timeout=60, inputs=sources, outputs=targets) == {"vectors": 3}
    found = np.stack([np.fromfile(target, np.float32) for target in targets])
    assert np.array_equal(found, directly(files[name], inputs))


@pytest.mark.parametrize("reduction", ["none", "half", "classes"])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_evaluate_writes_what_the_runtime_itself_answers(tmp_path, files, images, load, name, reduction):
    pixels = tmp_path / "pixels.npy"
    np.save(pixels, images)
    spec = InputSpec(shape=(3, 24, 24), mean=MEAN, std=STD)
    answers = directly(files[name], normalise(images, spec))
    assert len(set(answers.argmax(1))) > 1
    made = {"none": answers, "half": answers.astype(np.float16), "classes": answers.argmax(1).astype(np.uint8)}
    worker, reply = load(files[name])
    assert outputs.reduced(Loaded.model_validate(reply), reduction)[0].dtype == made[reduction].dtype
    path, found = tmp_path / "answers.bin", b""
    request = {"pixels": str(pixels), "mean": MEAN, "std": STD, "outputs": str(path), "reduction": reduction}
    for start, stop in ((0, 100), (100, len(images))):
        asked = worker.ask("evaluate", timeout=60, start=start, stop=stop, **request)
        assert asked == {"images": stop - start}
        found += path.read_bytes()
    assert found == made[reduction].tobytes()


def test_an_unknown_reduction(tmp_path, files, images, load):
    np.save(tmp_path / "pixels.npy", images[:1])
    request = {"pixels": str(tmp_path / "pixels.npy"), "mean": MEAN, "std": STD, "start": 0, "stop": 1}
    with pytest.raises(WorkerError, match="no such reduction: most"):
        load(files["vgg.onnx"])[0].ask(
            "evaluate", timeout=60, outputs=str(tmp_path / "out"), reduction="most", **request
        )


def test_images_are_normalised_bit_for_bit_as_everywhere_else(images):
    spec = InputSpec(shape=(3, 24, 24), mean=MEAN, std=STD)
    found = np.concatenate([worker_module.normalised(image, MEAN, STD) for image in images])
    assert found.dtype == np.float32
    assert np.array_equal(found, normalise(images, spec))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_memory_is_that_of_the_process(files, load, name):
    worker, _ = load(files[name])
    reply = worker.ask("memory", timeout=60)
    status = Path(f"/proc/{worker.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert 10e6 < reply["resident"] <= reply["peak"] <= peak


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_threads_are_those_asked_for(files, load, name):
    def threads(count):
        worker, _ = load(files[name], threads=count)
        return len(list(Path(f"/proc/{worker.pid}/task").iterdir()))

    assert threads(3) == threads(1) + 2


# -- errors --


@pytest.mark.parametrize(
    ("action", "request_", "said"),
    [
        ("fly", {}, "no such request: fly"),
        ("main", {}, "no such request: main"),
        ("measure", {"runs": 1}, "no file is loaded"),
        ("load", {"path": "x", "runtime": "tvm", "threads": 1}, "no such runtime: tvm"),
    ],
)
def test_requests_that_cannot_be_answered(start, action, request_, said):
    worker = start()
    with pytest.raises(WorkerError, match=said) as caught:
        worker.ask(action, timeout=60, **request_)
    assert caught.value.kind == "runtime"
    assert worker.ask("memory", timeout=60)["resident"] > 0


def test_lines_that_are_no_requests(files):
    load = {"do": "load", "path": str(files["vgg.onnx"]), "runtime": "onnxruntime", "threads": 1}
    lines = ["nonsense", "[1]", "{}", json.dumps(load), '{"do": "quit"}', '{"do": "memory"}']
    done = subprocess.run([sys.executable, WORKER], input="\n".join(lines), capture_output=True, text=True, timeout=60)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [sorted(reply)[:1] for reply in replies] == [["error"]] * 3 + [["cpus"]]
    assert done.returncode == 0


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("damage", ["missing", "empty", "eight bytes", "half", "text"])
def test_a_broken_file_is_one_line(tmp_path, files, load, name, damage):
    path, whole = tmp_path / name, files[name].read_bytes()
    if damage != "missing":
        path.write_bytes(
            {"empty": b"", "eight bytes": whole[:8], "half": whole[: len(whole) // 2], "text": b"no model\n" * 100}[
                damage
            ]
        )
    with pytest.raises(WorkerError) as caught:
        load(path)
    assert caught.value.kind in ("runtime", "signal")
    assert str(caught.value).startswith("load: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("runtime", "hidden", "said"),
    [
        ("onnxruntime", ("onnxruntime",), "onnxruntime"),
        ("litert", ("ai_edge_litert", "tflite_runtime"), "neither ai-edge-litert nor tflite-runtime is installed"),
        ("litert", ("flatbuffers", "numpy"), "numpy"),
    ],
)
def test_a_missing_runtime_has_a_kind_of_its_own(files, start, runtime, hidden, said):
    worker = start(RUN.format(before=f"sys.modules.update(dict.fromkeys({hidden!r}))"))
    with pytest.raises(WorkerError, match=said) as caught:
        worker.ask("load", timeout=60, path=str(files["vgg.onnx"]), runtime=runtime, threads=1)
    assert caught.value.kind == "missing-runtime"
    assert len(str(caught.value).splitlines()) == 1


def test_what_native_libraries_print_does_not_get_between_the_replies(files, start):
    speak = "lambda event, of: event == 'import' and of[0] == 'numpy' and libc.puts(b'{hello}') + libc.fflush(0)"
    worker = start(RUN.format(before=f"import ctypes; libc = ctypes.CDLL(None); sys.addaudithook({speak})"))
    worker.ask("load", timeout=60, path=str(files["vgg.onnx"]), runtime="onnxruntime", threads=1)
    assert len(worker.ask("measure", timeout=60, runs=4)["samples_ns"]) == 4
    worker._errors.seek(0)
    assert b"{hello}" in worker._errors.read()


def test_inputs_of_open_size_and_unknown_type_are_refused(tmp_path, load):
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    for source, said in (
        ((TensorProto.FLOAT, ["n", 3, "h", "w"]), "is open"),
        ((TensorProto.FLOAT16, [1, 3, 8, 8]), "float16"),
    ):
        with pytest.raises(WorkerError, match=said):
            load(saved(graph(relu, source, source), tmp_path))


def test_an_open_batch_is_one_image(tmp_path, load):
    value = (TensorProto.FLOAT, ["n", 3, 8, 8])
    reply = load(saved(graph([helper.make_node("Relu", ["x"], ["y"])], value, value), tmp_path))[1]
    assert reply["input"]["shape"] == reply["outputs"][0]["shape"] == [1, 3, 8, 8]


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_memory_limit_fails_only_the_file_that_needs_more(tmp_path, files, load, suffix):
    """A gigabyte of activations: refused under 400 MB, where a small network runs."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [256, 1, 1, 1], np.ones(256, np.float32))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    image, classes = (TensorProto.FLOAT, [1, 1, 1024, 1024]), (TensorProto.FLOAT, [1, 256])
    path = saved(graph(nodes, image, classes, weights), tmp_path)
    if suffix == ".tflite":
        emit_tflite(path, path.with_suffix(suffix))
    limits = {"memory_limit": 400 << 20, "cpus": [min(os.sched_getaffinity(0))]}  # threads take address space, too
    with pytest.raises(WorkerError) as caught:
        load(path.with_suffix(suffix), **limits)
    # LiteRT says only that its delegate could not be prepared.
    assert caught.value.kind == ("memory" if suffix == ".onnx" else "runtime")
    assert len(str(caught.value).splitlines()) == 1
    assert load(files[f"vgg{suffix}"], **limits)[1]["outputs"][0]["shape"] == [1, 5]


def test_a_cpu_that_the_process_may_not_use(files, load):
    with pytest.raises(WorkerError, match="cannot run on CPUs 4000"):
        load(files["vgg.onnx"], cpus=[4000])


# -- quantized inputs --


def quantized(x, dtype, scale, zero_point, layout="NCHW"):
    worker = worker_module.Worker()
    worker.model = SimpleNamespace(layout=layout, dtype=dtype, quantization=(scale, zero_point))
    return worker.network_input(x)


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20),
    st.floats(2.0**-12, 16.0, width=32),
    st.sampled_from([("int8", -128, 127), ("uint8", 0, 255)]),
    st.data(),
)
def test_quantization_rounds_to_even_and_clips(values, scale, kind, data):
    """clip(round(x / scale) + zero point) with the quotient as float32 has it, in exact arithmetic."""
    dtype, low, high = kind
    zero_point = data.draw(st.integers(low, high))
    x = np.array(values, np.float32).reshape(1, 1, 1, -1)
    quotients = [Fraction(float(value)) for value in (x / np.float32(scale)).ravel()]
    expected = [min(max(round(quotient) + zero_point, low), high) for quotient in quotients]
    found = quantized(x, dtype, scale, zero_point)
    assert found.dtype == dtype
    assert found.ravel().tolist() == expected


def test_ties_go_to_the_even_neighbour():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 200, -200], np.float32).reshape(1, 1, 1, 7)
    assert quantized(x, "int8", 1.0, 3).ravel().tolist() == [3, 5, 5, 3, 1, 127, -128]


def test_inputs_are_laid_out_as_the_file_wants_them():
    x = samples((3, 4, 5), 1)
    found = quantized(x, "float32", None, None, layout="NHWC")
    assert found.shape == (1, 4, 5, 3)
    assert found.flags.c_contiguous
    assert np.array_equal(found, np.moveaxis(x, 1, 3))


def test_an_integer_input_without_a_scale_runs_but_takes_no_images(tmp_path, load):
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["f"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    path = saved(graph(nodes, (TensorProto.INT8, [1, 3, 8, 8]), (TensorProto.FLOAT, [1, 3])), tmp_path)
    worker, reply = load(path)
    assert reply["input"]["dtype"] == "int8"
    assert len(worker.ask("measure", timeout=60, runs=2)["samples_ns"]) == 2
    pixels = tmp_path / "pixels.npy"
    np.save(pixels, np.zeros((1, 8, 8, 3), np.uint8))
    request = {"pixels": str(pixels), "mean": MEAN, "std": STD, "outputs": str(tmp_path / "out")}
    with pytest.raises(WorkerError, match="int8 without a scale"):
        worker.ask("evaluate", timeout=60, start=0, stop=1, **request)


# -- the file --


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").split(".")[0]


@pytest.mark.parametrize("file", [WORKER, *(runtime.driver for runtime in RUNTIMES)], ids=lambda file: file.name)
def test_what_a_device_gets_is_for_python_3_8_and_stands_alone(file):
    tree = ast.parse(file.read_text(), feature_version=(3, 8))
    assert set(imported(tree.body)) <= sys.stdlib_module_names
    assert set(imported(ast.walk(tree))) - sys.stdlib_module_names <= {"numpy"}


def test_its_neighbours_do_not_pass_for_modules(tmp_path, files):
    """A device's folder may hold anything; what lies there is not imported."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    copy = tmp_path / "worker.py"
    copy.write_bytes(WORKER.read_bytes())
    shutil.copytree(WORKER.with_name("runtimes"), tmp_path / "runtimes")
    load = {"do": "load", "path": str(files["vgg.tflite"]), "runtime": "litert", "threads": 1}
    done = subprocess.run(
        [sys.executable, "worker.py"], cwd=tmp_path, input=json.dumps(load), capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout)["numpy"] == np.__version__
