"""falcon-edge bench: what its own options refuse, and what reaches the measurement."""

import json
import os

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from falcon_edge.cli.main import app


@pytest.fixture
def model(tmp_path):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", values[:1], values[1:])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def bench(model, *options):
    return CliRunner().invoke(
        app,
        [
            "bench",
            str(model),
            "-q",
            "--seconds",
            "0",
            "--warm-up",
            "0",
            "--ticks",
            "2",
            "--processes",
            "2",
            "--rounds",
            "2",
            *options,
        ],
    )


def test_a_worker_runs_on_the_cpus_that_were_named(model):
    cpu = max(os.sched_getaffinity(0))
    done = bench(model, "--cpus", str(cpu), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["options"]["cpus"] == document["entries"][0]["cpus"] == [cpu]


@pytest.mark.parametrize(
    ("cpus", "said"),
    [
        ("0,x", "--cpus 0,x: write numbers with commas between them, as in 0,1"),
        ("", "--cpus : write numbers"),
        ("0-1", "--cpus 0-1: write numbers"),
        ("0,0", "CPUs to run on are different numbers"),
        ("123456", "there is no CPU 123456; local has CPUs 0 to"),
    ],
)
def test_cpus_that_are_none(model, cpus, said):
    done = bench(model, "--cpus", cpus)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {said}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("threads", "said"), [("a", "--threads a: write numbers"), ("0", "threads"), ("1,1", "numbers of threads")]
)
def test_threads_that_are_none(model, threads, said):
    done = bench(model, "--threads", threads)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {said}")


@pytest.mark.slow
def test_strict_doubts_end_in_3(model, monkeypatch):
    done = bench(model, "--cpus", "any", "--strict")
    assert done.exit_code == 3
    assert "could move from CPU to CPU" in done.stderr.splitlines()[-1] or "%" in done.stderr.splitlines()[-1]


def test_resume_takes_over_what_is_there(model, tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert bench(model, "-o", str(first)).exit_code == 0
    assert bench(model, "--resume", str(first), "-o", str(second)).exit_code == 0
    one, other = (json.loads(path.read_text()) for path in (first, second))
    assert one["entries"] == other["entries"]


def test_an_output_that_cannot_be_written_is_said_before_measuring(model, tmp_path):
    done = bench(model, "-o", str(tmp_path / "missing" / "results.json"), "--seconds", "100000")
    assert done.exit_code == 2
    assert "results.json: cannot be written (No such file or directory)" in done.stderr
    assert done.stdout == ""
    assert os.listdir(tmp_path) == ["model.onnx"]


@pytest.mark.slow
def test_profile_says_where_the_time_goes(model):
    done = bench(model, "--profile")
    assert done.exit_code == 0, done.output
    assert "this device reaches" in done.stdout
    assert "operators" in done.stdout
    assert "Relu" in done.stdout
