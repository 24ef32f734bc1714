"""Workers that misbehave, in real processes: each is one error that says how, and none is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime_bench.devices import local
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import DeviceError, WorkerError

# Stands in for worker.py: reads requests and does `{}` at each.
SPEAKING = """
import ctypes, json, os, resource, signal, subprocess, sys, time

def answer(text):
    sys.stdout.write(text + chr(10))
    sys.stdout.flush()

for line in sys.stdin:
    request = json.loads(line)
    {}
"""


def running(pid):
    """Whether a process is alive: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pid):
    """Whether a process ends within a time that is long enough for any machine."""
    until = time.monotonic() + 20
    while running(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not running(pid)


@pytest.fixture
def failure(start):
    """What a worker that does this is reported as."""

    def failure(script, timeout=20.0):
        with pytest.raises(WorkerError) as caught:
            start(SPEAKING.format(script)).ask("measure", timeout=timeout, runs=1)
        assert len(str(caught.value).splitlines()) == 1
        return caught.value

    return failure


# -- ways to fail --


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.abort()", "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 1)", f"signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_death_by_a_signal_has_its_name(failure, script, name):
    error = failure(script)
    assert (error.kind, error.signal) == ("signal", name)
    assert str(error) == f"measure: the worker was killed by {name}"


def test_an_exit_code_comes_with_the_last_words(failure):
    error = failure("print('one', chr(10), chr(27) + '[31mtwo' + chr(27) + '[m', file=sys.stderr); sys.exit(7)")
    assert (error.kind, str(error)) == ("exit", "measure: the worker ended with exit code 7: two")


def test_news_of_a_runtime_is_no_reason(failure):
    error = failure("print('why', chr(10) + 'INFO: Created a delegate.', file=sys.stderr); sys.exit(3)")
    assert str(error).endswith("exit code 3: why")


def test_endless_stderr_neither_blocks_nor_fills_the_message(failure):
    error = failure("sys.stderr.write('x' * 5_000_000); sys.exit(3)")
    assert error.kind == "exit"
    assert len(str(error)) < 5000


@pytest.mark.parametrize("text", ["nonsense", "[1]", "3", "null", '{"samples_ns": [1'])
def test_a_damaged_answer(failure, text):
    error = failure(f"answer({text!r})")
    assert (error.kind, str(error)) == ("protocol", "the worker's answer to measure is damaged")


def test_half_an_answer_and_death(failure):
    assert failure("""sys.stdout.write('{"samples'); sys.stdout.flush(); os._exit(9)""").kind == "exit"


def test_an_output_that_is_closed_without_death(failure, monkeypatch):
    monkeypatch.setattr(local, "QUIT_SECONDS", 0.2)
    error = failure("os.close(1); time.sleep(600)")
    assert (error.kind, error.signal) == ("protocol", None)


def test_an_error_of_the_worker_keeps_its_kind(failure):
    error = failure("""answer('{"error": "no room", "kind": "memory"}')""")
    assert (error.kind, str(error)) == ("memory", "measure: no room")


def test_no_answer_in_time_ends_the_whole_process_group(start):
    child = "child = subprocess.Popen(['sleep', '600'])"
    worker = start(SPEAKING.format(f"{child}; answer(json.dumps({{'child': child.pid}})); time.sleep(600)"))
    pid = worker.ask("load", timeout=20)["child"]
    assert running(pid)
    with pytest.raises(WorkerError, match=r"measure: no answer within 0\.2 s") as caught:
        worker.ask("measure", timeout=0.2)
    assert caught.value.kind == "timeout"
    assert gone(worker.pid)
    assert gone(pid)
    with pytest.raises(WorkerError):
        worker.ask("measure", timeout=20)


def test_a_request_longer_than_the_pipe_that_is_not_read(start):
    """The time limit holds for writing, too."""
    worker = start("import time; time.sleep(600)")
    with pytest.raises(WorkerError) as caught:
        worker.ask("replay", timeout=0.2, inputs=["x" * 1000] * 1000)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("end", ["", "\\n"])
def test_the_time_limit_holds_while_data_flows(start, end):
    """Lines without an end, and lines without an end of them, that do not answer."""
    flood = f"while True: sys.stdout.write('x' * 1000 + {end!r})"
    worker = start(SPEAKING.format(f"time.sleep(0); exec({flood!r})"))
    started = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        worker.ask("measure", timeout=1.0)
    assert caught.value.kind in ("timeout", "protocol")
    assert time.monotonic() - started < 10
    assert gone(worker.pid)


def test_a_large_answer_is_read_once(start):
    """60 MB in one line: 0.1 s where each byte is looked at once, minutes where every piece is copied and searched."""
    worker = start(SPEAKING.format("answer(json.dumps({'back': 'x' * 60_000_000}))"))
    assert len(worker.ask("replay", timeout=15)["back"]) == 60_000_000


def test_more_than_any_answer_is_an_error(start):
    worker = start(SPEAKING.format("sys.stdout.write('x' * 100_000_000)"))
    with pytest.raises(WorkerError, match="measure: the worker says too much") as caught:
        worker.ask("measure", timeout=15)
    assert caught.value.kind == "protocol"


def test_a_long_request_and_a_long_answer(start):
    worker = start(SPEAKING.format("answer(json.dumps({'back': request['there']}))"))
    text = "ü" * 1_000_000
    assert worker.ask("replay", timeout=60, there=text) == {"back": text}


def test_a_python_that_does_not_exist():
    with pytest.raises(DeviceError, match="/no/python: cannot be started"):
        LocalDevice(("/no/python",)).start_worker()


# -- surroundings --


def test_the_environment_is_scrubbed(start, monkeypatch):
    for name in ("PYTHONPATH", "OMP_NUM_THREADS", "LD_PRELOAD", "FALCON_SECRET"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("LANG", "C.UTF-8")
    worker = start(SPEAKING.format("answer(json.dumps(dict(os.environ)))"))
    found = worker.ask("load", timeout=20)
    allowed = {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
    # LC_CTYPE is Python's own, for the locale C.
    assert set(found) - {"LC_CTYPE"} == {"ORT_DISABLE_TELEMETRY", *(allowed & set(os.environ))}
    assert (found["ORT_DISABLE_TELEMETRY"], found["LANG"]) == ("1", "C.UTF-8")


def test_workers_lead_a_process_group_of_their_own(start):
    worker = start()
    assert os.getpgid(worker.pid) == worker.pid != os.getpgid(0)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
@pytest.mark.parametrize("busy", [False, True])
def test_nothing_is_left_after_the_with_block(monkeypatch, error, busy):
    monkeypatch.setattr(local, "QUIT_SECONDS", 0.2)
    child = "child = subprocess.Popen(['sleep', '600'])"
    answer = "answer(json.dumps({'child': child.pid}))"
    script = SPEAKING.format(f"{child}; {answer}" + ("; time.sleep(600)" if busy else ""))
    with (
        contextlib.suppress(KeyboardInterrupt),
        LocalDevice((sys.executable, "-c", script)).start_worker() as worker,
    ):
        pid = worker.ask("load", timeout=20)["child"]
        assert running(worker.pid)
        if error is not None:
            raise error
    assert not running(worker.pid)
    assert gone(pid)


def test_a_worker_dies_with_its_parent_in_the_middle_of_a_run(files):
    script = f"""
from runtime_bench.devices.local import LocalDevice
worker = LocalDevice().start_worker()
worker.ask("load", timeout=60, path={str(files["vgg.onnx"])!r}, runtime="onnxruntime", threads=1)
print(worker.pid, flush=True)
worker.ask("warm_up", timeout=600, runs=1, seconds=600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    before = Path(f"/proc/{worker}/stat").read_text().split()[13]
    while Path(f"/proc/{worker}/stat").read_text().split()[13] == before:  # until it burns time: it is warming up
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(worker)


# -- files --


def test_files_are_here_already_and_scratch_is_removed(tmp_path, monkeypatch):
    device = LocalDevice()
    file = tmp_path / "model.onnx"
    file.write_bytes(b"model")
    monkeypatch.chdir(tmp_path)
    assert device.push(Path("model.onnx")) == str(file.resolve())
    scratch = Path(device.scratch())
    assert device.scratch() == str(scratch)
    (scratch / "output.bin").write_bytes(b"output")
    device.fetch(str(scratch / "output.bin"), tmp_path / "fetched.bin")
    assert (tmp_path / "fetched.bin").read_bytes() == b"output"
    device.close()
    assert not scratch.exists()
    device.close()


def test_its_state_is_that_of_this_machine():
    environment = LocalDevice().environment()
    assert isinstance(environment, Environment)
    assert environment.machine == os.uname().machine
