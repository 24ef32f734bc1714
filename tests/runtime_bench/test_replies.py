"""Whatever a worker answers: it costs its own entry at most, and what is written is read again."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import by_top1

from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError
from runtime_bench.replies import REQUESTS, Loaded, Measured, Profiled, checked
from runtime_bench.results import load, save

QUICK = Protocol(runs=3, seconds=0.0, processes=1, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, timeout=20, every=0)
# Stands in for worker.py: what it answers to each request, and as many durations and answers as are asked for.
SCRIPT = """
import json, sys
answers = json.loads(ANSWERS)
for line in sys.stdin:
    request = json.loads(line)
    action = request["do"]
    if action == "quit":
        break
    reply = answers[action]
    if isinstance(reply, dict) and isinstance(reply.get("samples_ns"), list) and len(reply["samples_ns"]) == 1:
        reply = dict(reply, samples_ns=reply["samples_ns"] * request.get("runs"))
    if action == "evaluate":
        with open(request["outputs"], "wb") as file:
            file.write(bytes([1]) * (request["stop"] - request["start"]))
    sys.stdout.write(json.dumps(reply) + chr(10))
    sys.stdout.flush()
"""
ANSWERS = {
    "load": {
        "runtime": {"name": "onnxruntime", "package": "onnxruntime", "version": "1", "kernels": "CPU"},
        "load_ns": 5,
        "first_inference_ns": 6,
        "input": {"shape": [1, 3, 2, 2], "dtype": "float32", "layout": "NCHW"},
        "outputs": [{"shape": [1, 3], "dtype": "float32"}],
        "memory_bare": 1,
        "memory_before_load": 2,
        "memory_after_load": 3,
        "cpus": [0],
        "numpy": "1",
        "python": "3",
    },
    "warm_up": {"runs": 1, "stable": True},
    "measure": {"samples_ns": [7], "energy_j": 0.5},
    "evaluate": {"images": 2},
    "memory": {"resident": 4, "peak": 5},
}
NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40), st.sampled_from([0, -1, 2**63, 10**30]), st.floats(), st.floats(0, 1e308)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from(["\ud800", "x" * 20_000, "\x1b[2J"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Every place in a reply that can be changed."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def changed(value, path, new):
    """A copy with another value at a place; Ellipsis: without it."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@st.composite
def odd_answers(draw):
    """Answers of which one has a wrong, missing or additional field."""
    action = draw(st.sampled_from(sorted(ANSWERS)))
    answer = ANSWERS[action]
    kind = draw(st.sampled_from(["other", "other", "gone", "more", "error"]))
    if kind == "more":
        odd = answer | {draw(st.text(max_size=3)): draw(VALUES)}
    elif kind == "error":
        odd = {"error": draw(VALUES), "kind": draw(VALUES)}
    else:
        path = draw(st.sampled_from([place for place in places(answer) if place]))
        odd = changed(answer, path, ... if kind == "gone" else draw(VALUES))
    return action, ANSWERS | {action: odd}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measures a file with a worker that gives these answers, and what was written of that, read again."""
    folder = tmp_path_factory.mktemp("replies")
    (folder / "model.onnx").write_bytes(b"model")
    np.save(folder / "pixels.npy", np.zeros((2, 2, 2, 3), np.uint8))
    evaluation = by_top1("data", folder / "pixels.npy", np.array([0, 1]), (0.5,) * 3, (0.5,) * 3)
    candidate = Candidate(folder / "model.onnx", "onnxruntime", "model", "onnx", "fp32", evaluation=evaluation)

    def measured(answers):
        script = folder / "worker.py"
        script.write_text(SCRIPT.replace("ANSWERS", repr(json.dumps(answers))))
        device = LocalDevice((sys.executable, "-S", "-E", str(script)))
        results = bench([candidate], device, QUICK)
        save(results, folder / "results.json")
        assert load(folder / "results.json").model_dump_json() == results.model_dump_json()
        return results.entries[0]

    return measured


def test_answers_as_they_should_be(measured):
    entry = measured(ANSWERS)
    assert entry.failure is None
    assert (entry.summary.count, 3 * entry.energy_j, entry.memory.peak) == (3, 0.5, 5)
    assert entry.quality[0].value == 0.5


@settings(max_examples=25)
@given(odd_answers())
def test_an_odd_answer_costs_its_entry_at_most_and_can_be_read_again(measured, drawn):
    action, answers = drawn
    entry = measured(answers)
    if entry.failure is None:
        assert answers[action].keys() <= ANSWERS[action].keys()
    else:
        assert entry.failure.kind in ("protocol", "runtime", "memory", "missing-runtime", "contract")
        assert len(entry.failure.message) < 1200
        assert len(entry.failure.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("action", "path", "value", "field"),
    [
        ("load", ("load_ns",), 0, "load_ns"),
        ("load", ("first_inference_ns",), 2**63, "first_inference_ns"),
        ("load", ("memory_after_load",), -1, "memory_after_load"),
        ("load", ("cpus", 0), -1, "cpus.0"),
        ("load", ("outputs", 0, "dtype"), "object", "outputs.0.dtype"),
        ("load", ("runtime", "version"), 1, "runtime.version"),
        ("load", ("runtime", "version"), ..., "runtime.version"),
        ("measure", ("samples_ns", 0), 0, "samples_ns.0"),
        ("measure", ("samples_ns", 0), 10**30, "samples_ns.0"),
        ("measure", ("samples_ns", 0), True, "samples_ns.0"),
        ("measure", ("samples_ns",), [1, 2], "samples_ns: 2 of 5"),
        ("measure", ("energy_j",), -0.5, "energy_j"),
        ("measure", ("energy_j",), math.nan, "energy_j"),
        ("evaluate", ("images",), 3, "images: 3 of 2"),
        ("memory", ("peak",), "much", "peak"),
    ],
)
def test_the_field_that_is_wrong_is_named(measured, action, path, value, field):
    failure = measured(ANSWERS | {action: changed(ANSWERS[action], path, value)}).failure
    assert failure.kind == "protocol"
    assert f"the worker's answer to {action} is wrong: {field}" in failure.message


def test_an_answer_with_one_field_more(measured):
    failure = measured(ANSWERS | {"memory": ANSWERS["memory"] | {"colour": "red"}}).failure
    assert (failure.kind, "colour" in failure.message) == ("protocol", True)


@pytest.mark.parametrize("reply", [{}, {"nodes": None, "delegated": None}, {"nodes": [], "delegated": []}])
def test_a_profile_is_of_nodes_or_of_what_was_delegated(reply):
    with pytest.raises(WorkerError, match="answer to profile is wrong"):
        checked(Profiled, reply, {})


def test_every_request_of_the_worker_has_its_kind_of_reply():
    from runtime_bench import worker

    assert sorted(REQUESTS.values()) == sorted(worker.REQUESTS)


def test_a_real_worker_answers_as_it_should(files, load):
    worker, reply = load(files["vgg.onnx"])
    assert checked(Loaded, reply, {}).runtime.name == "onnxruntime"
    assert len(checked(Measured, worker.ask("measure", timeout=60, runs=4), {"runs": 4}).samples_ns) == 4
