"""Thousands of good files made bad: read or refused in one line with exit 2 or 4; no hang, and nobody dies but a child.

The readers run in forks of one process (warm_reader.py); some of the files then go through the real program.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite_files
import torch
from ai_edge_litert import schema_py_generated as schema
from mutations import of_bytes, of_flatbuffer, of_json, of_protobuf, of_safetensors, of_zip
from onnx import helper, numpy_helper
from program import ENVIRONMENT, WarmProgram
from safetensors.torch import save
from torch import nn

from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from falcon_edge.bundle import MANIFEST, PLAN, open_bundle
from falcon_edge.steps.shipped import copy_sample_network

pytestmark = pytest.mark.slow

FILES = 2000
SAMPLES = 6  # of each outcome, through the real program
ROOT = Path(__file__).parents[2]


class Readers:
    """The process that reads, and what came of each file."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-P", ROOT / "tests/support/warm_reader.py"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, reader, paths):
        self._process.stdin.write(json.dumps({"reader": reader, "paths": list(map(str, paths))}) + "\n")
        self._process.stdin.flush()
        return [json.loads(self._process.stdout.readline()) for _ in paths]

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def readers():
    made = Readers()
    yield made
    made.close()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with WarmProgram(tmp_path_factory.mktemp("program")) as program:
        yield program


def network():
    """Two layers of a few weights: what is not structure would only take the mutations away."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).eval()


def sound(answers, *, deaths=()):
    """Assert that every answer is success or one line with exit 2 or 4; returns how often each ending came."""
    for answer in answers:
        if "signal" in answer:
            assert answer["signal"] in deaths, answer
            continue
        lines = [line for line in answer["err"].splitlines() if not line.startswith("warning: ")]
        if answer["code"] == 0:
            assert not lines, answer
        else:
            assert answer["code"] in (2, 4), answer
            assert answer["err"].endswith("\n"), answer
            assert len(lines) == 1, answer
            assert lines[0].startswith("error: "), answer
    return Counter(answer.get("signal", answer.get("code")) for answer in answers)


def written(folder, suffix, makers, good, seed, count=FILES):
    """Mutated files, by each of the makers in turn."""
    chance, paths = random.Random(seed), []
    folder.mkdir(exist_ok=True)
    while len(paths) < count:
        data = makers[len(paths) % len(makers)](good, chance)
        if data is not None:
            paths.append(folder / f"{len(paths):04}{suffix}")
            paths[-1].write_bytes(data)
    return paths


def picked(paths, answers, *endings):
    """A few of the files with one of these endings, spread over all."""
    chosen = [
        path for path, answer in zip(paths, answers, strict=True) if answer.get("signal", answer.get("code")) in endings
    ]
    return [chosen[place] for place in np.linspace(0, len(chosen) - 1, min(SAMPLES, len(chosen))).astype(int)]


def answered(program, command, folder):
    """What the real program says; checked as the readers are."""
    done = program(command, folder)
    sound([{"code": done.code, "err": "" if done.code == 0 else done.err}])
    return done.code


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Good .onnx and .tflite files of a few kilobytes, as bytes."""
    folder = tmp_path_factory.mktemp("models")
    card = open_bundle(copy_sample_network(folder / "sample")).manifest.card().model_dump(mode="json")
    good = {".onnx": [with_branches().SerializeToString()], ".tflite": [with_subgraphs()]}
    for index, known in enumerate((None, card)):
        path = folder / f"{index}.onnx"
        export_onnx(network(), torch.zeros(1, 1, 4, 4), path, simplify=False, card=known)
        emit_tflite(path, path.with_suffix(".tflite"), card=known)
        for suffix, files in good.items():
            files.append(path.with_suffix(suffix).read_bytes())
    return good


def with_branches():
    """An ONNX model with an If, a local function, constants in attributes and a sum."""
    value = helper.make_tensor_value_info
    table = numpy_helper.from_array(np.ones((1, 3), np.float32), "table")
    branch = helper.make_graph([helper.make_node("Constant", [], ["b"], value=table)], "b", [], [value("b", 1, (1, 3))])
    twice = [helper.make_node("Add", ["x", "x"], ["y"])]
    graph = helper.make_graph(
        [
            helper.make_node("If", ["which"], ["chosen"], then_branch=branch, else_branch=branch),
            helper.make_node("Twice", ["input"], ["doubled"], domain="mine"),
            helper.make_node(
                "Conv", ["image", "kernel"], ["made"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]
            ),
            helper.make_node("Reshape", ["made", "target"], ["flat"]),
            helper.make_node("Sum", ["chosen", "doubled", "flat"], ["logits"]),
        ],
        "g",
        [value("which", 9, ()), value("input", 1, (1, 3)), value("image", 1, (1, 1, 2, 1))],
        [value("logits", 1, (1, 3))],
        [
            numpy_helper.from_array(np.ones((3, 1, 3, 3), np.float32), "kernel"),
            numpy_helper.from_array(np.array([1, 3]), "target"),
        ],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    functions = [helper.make_function("mine", "Twice", ["x"], ["y"], twice, domains[:1])]
    made = helper.make_model(graph, opset_imports=domains, functions=functions, ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def with_subgraphs():
    """A TFLite model with an IF, quantized weights, and texts."""
    made = tflite_files.model()
    boolean = schema.TensorType.BOOL
    made.operatorCodes.append(tflite_files.code(schema.BuiltinOperator.IF))
    made.buffers[1] = tflite_files.buffer(np.ones((2, 4), np.int8))
    weights = made.subgraphs[0].tensors[1]
    made.metadata = []
    weights.type, weights.quantization = schema.TensorType.INT8, tflite_files.quantization([0.5, 0.25], [0, 0])
    made.buffers.append(tflite_files.buffer(np.array([1, 12, 15, 0], "<i4")))
    made.subgraphs[0].tensors.append(tflite_files.tensor([1], boolean))
    made.subgraphs[0].tensors.append(tflite_files.tensor([1], schema.TensorType.STRING, len(made.buffers) - 1))
    made.subgraphs[0].inputs = [0, 5]
    either = tflite_files.options("IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=1)
    made.subgraphs[0].operators[1] = tflite_files.operator(2, [5, 3], [4], either)
    return tflite_files.packed(made)


def test_tflite(readers, program, models, tmp_path):
    """No file ends its reader, which is ours alone; what it accepts, the runtimes get in a worker of their own."""
    paths = written(tmp_path / "files", ".tflite", (of_bytes, of_flatbuffer), models[".tflite"], 1)
    answers = readers("model", paths)
    counts = sound(answers)
    assert min(counts[0], counts[2]) > 100, counts
    for path in picked(paths, answers, 2):
        assert answered(program, f"inspect {path}", tmp_path) == 2
        assert answered(program, f"bench {path} -q --runs 1 --seconds 0 --warm-up 0 --rounds 1", tmp_path) == 2
    for path in picked(paths, answers, 0):
        assert answered(program, f"inspect {path}", tmp_path) == 0
        assert answered(
            program, f"bench {path} -q --runs 1 --seconds 0 --warm-up 0 --rounds 1 --timeout 20", tmp_path
        ) in (0, 4)


def test_onnx(readers, program, models, tmp_path):
    """The ONNX checker may die of a file: it is asked in a child process, and its death is one line."""
    paths = written(tmp_path / "files", ".onnx", (of_bytes, of_protobuf), models[".onnx"], 2)
    answers = readers("model", paths)
    counts = sound(answers, deaths=("SIGSEGV", "SIGABRT", "SIGFPE", "SIGALRM"))
    assert min(counts[0], counts[2]) > 100, counts
    deaths = [ending for ending in counts if ending not in (0, 2)]
    for path in (*picked(paths, answers, 2), *picked(paths, answers, *deaths)):
        assert answered(program, f"inspect {path}", tmp_path) == 2
    for path in picked(paths, answers, 0):
        assert answered(program, f"inspect {path}", tmp_path) == 0
        assert answered(
            program, f"bench {path} -q --runs 1 --seconds 0 --warm-up 0 --rounds 1 --timeout 20", tmp_path
        ) in (0, 4)


def packed_weights(name, program, tmp_path):
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))\n"
    )
    return answered(program, f"pack nets:net --input 1x4x4 --weights {name} -o packed --force", tmp_path)


def test_safetensors(readers, program, tmp_path):
    state = network().state_dict()
    good = [save(state), save({name: tensor.double() for name, tensor in state.items()})]
    paths = written(tmp_path / "files", ".safetensors", (of_bytes, of_safetensors), good, 3)
    answers = readers("weights", paths)
    counts = sound(answers)
    assert min(counts[0], counts[2]) > 100, counts
    for path in picked(paths, answers, 2):
        assert packed_weights(path, program, tmp_path) == 2
    for path in picked(paths, answers, 0):
        assert packed_weights(path, program, tmp_path) == 0


def test_pt(readers, program, tmp_path):
    good = []
    for index, zipped in enumerate((True, False)):
        torch.save(network().state_dict(), tmp_path / f"{index}.pt", _use_new_zipfile_serialization=zipped)
        good.append((tmp_path / f"{index}.pt").read_bytes())
    paths = written(tmp_path / "files", ".pt", (of_bytes, of_zip), good, 4)
    answers = readers("weights", paths)
    counts = sound(answers)
    assert min(counts[0], counts[2]) > 50, counts
    for path in picked(paths, answers, 2):
        assert packed_weights(path, program, tmp_path) == 2
    for path in picked(paths, answers, 0):
        assert packed_weights(path, program, tmp_path) == 0


def one(good, chance):
    return of_json(good[0], chance)


@pytest.mark.parametrize(("name", "seed", "count"), [(MANIFEST, 5, FILES), (PLAN, 6, FILES // 4)])
def test_bundle(readers, program, tmp_path, name, seed, count):
    """The manifest or the plan changed, and hashed anew as an attacker would."""
    folder = tmp_path / "files"
    folder.mkdir()
    assert program("pack vgg8 --width 0.25 -o a", folder).code == 0
    paths = written(folder, ".json", (of_bytes, one), [(folder / "a.falcon" / name).read_bytes()], seed, count)
    answers = readers(name, paths)
    counts = sound(answers)
    assert min(counts[0], counts[2]) > 50, counts
    for code in (0, 2):
        for path in picked(paths, answers, code):
            assert readers(name, [path])[0]["code"] == code  # puts it into the bundle
            assert answered(program, "inspect a.falcon", folder) in (code, 0)  # which builds no network
            assert answered(program, "export a.falcon --target onnx -q", folder) in (code, 2)


def test_results(readers, program, tmp_path):
    example = json.loads((ROOT / "docs/examples/results.json").read_bytes())
    paths = written(tmp_path / "files", ".json", (of_bytes, one), [json.dumps(example).encode()], 7)
    answers = readers("results", paths)
    counts = sound(answers)
    assert min(counts[0], counts[2]) > 50, counts
    for code in (0, 2):
        for path in picked(paths, answers, code):
            assert answered(program, f"compare {path}", tmp_path) == code
