"""However a verb ends, it keeps what was measured and leaves nothing behind: signals, kill -9, over SSH too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from board import SSHD, Board
from phone import ADB, Phone
from program import ENVIRONMENT, PROGRAM, run
from rack import Rack
from waiting import gone

from runtime_bench import worker as worker_module
from runtime_bench.devices import ssh as ssh_module
from runtime_bench.results import load

SENT = "data/falcon-edge"  # on a phone
QUICK = "--seconds 0 --warm-up 0 --ticks 4 --runs 3 --processes 1 --rounds 1"
LONG = "--seconds 0 --warm-up 0 --ticks 4 --runs 40000 --processes 1 --rounds 20000 --timeout 60"


@pytest.fixture
def folder(flow, tmp_path):
    """A model, and a folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "good.onnx").write_bytes((flow.folder / "standard.falcon/exports/model.fp32.onnx").read_bytes())
    return tmp_path


@pytest.fixture
def board(tmp_path_factory):
    if SSHD is None and "CI" not in os.environ:
        pytest.skip("no sshd here: apt-get install openssh-server")
    board = Board(tmp_path_factory.mktemp("b"))
    yield board
    board.hang_up()


def ended(command, folder, *, at, by, path="", program=PROGRAM, **environment):
    """The exit code, stdout and stderr of a command that gets signals once it says `at`."""
    environment = ENVIRONMENT | {"TMPDIR": str(folder / "tmp"), "PATH": path + os.environ["PATH"]} | environment
    with subprocess.Popen(
        [*program, *command.split()], cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert any(re.search(at, line) for line in process.stderr), f"it ended without saying {at}"
        for number in by:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@contextmanager
def phones(folder, *workers):
    """Phones on one adb server, with the app (None) or a Python; their devices, and a program and settings for them."""
    if ADB is None and "CI" not in os.environ:
        pytest.skip("no adb here: apt-get install adb")
    names = [f"emulator-{number}" for number in range(len(workers))]
    others = [[(name, "device") for name in names[1:]], *([] for _ in names[1:])]
    plugged = [
        Phone(folder / name, name, worker, listed) for name, worker, listed in zip(names, workers, others, strict=True)
    ]
    for phone, worker in zip(plugged, workers, strict=True):
        if worker is None:
            phone.install(worker_module.__file__)
    rack = Rack(plugged)
    # Workers start in the folder that stands for their phone; an app, of which there is one, has one of its own.
    sent = folder / names[0] / SENT if None in workers else SENT
    start = f"from runtime_bench.devices.adb import AdbDevice; AdbDevice.folder = {str(sent)!r}"
    program = (sys.executable, "-c", f"{start}; from falcon_edge.cli.main import main; main()")
    try:
        yield plugged, program, {"ANDROID_ADB_SERVER_PORT": str(rack.port)}
    finally:
        rack.close()
        for phone in plugged:
            phone.close()


def left(folder):
    return sorted(os.listdir(folder / "tmp"))


@pytest.mark.parametrize(
    ("by", "code", "word"),
    [
        ([signal.SIGTERM], 143, "terminated"),
        ([signal.SIGHUP], 129, "hung up"),
        ([signal.SIGINT, signal.SIGTERM], 130, "interrupted"),  # as CI runners do when they cancel a job
        ([signal.SIGTERM] * 5, 143, "terminated"),
    ],
)
def test_signals_keep_what_was_measured(folder, by, code, word):
    done, out, err = ended(f"bench good.onnx {LONG} -o results.json --json", folder, at="round 4 of", by=by)
    assert done == code
    assert err.splitlines()[-1] == word
    assert "Traceback" not in err
    results = load(folder / "results.json")
    assert json.loads(out) == results.model_dump(mode="json")
    assert results.interrupted
    assert results.entries[0].summary.count >= 6
    assert left(folder) == []


def test_before_anything_was_measured_there_is_nothing_to_keep(folder):
    done, _, err = ended(f"bench good.onnx {LONG} -o results.json", folder, at="loading", by=[signal.SIGTERM])
    assert (done, err.splitlines()[-1]) == (143, "terminated")
    assert left(folder) == []


def test_what_a_killed_process_left_is_swept_by_the_next(folder):
    done, *_ = ended(f"bench good.onnx {LONG}", folder, at="round 4 of", by=[signal.SIGKILL])
    assert done == -signal.SIGKILL
    assert len(left(folder)) == 1
    (folder / "tmp" / "of-another-program").mkdir()
    environment = {"TMPDIR": str(folder / "tmp")}
    done = subprocess.run([*PROGRAM, "inspect", "good.onnx", "-q"], cwd=folder, env=ENVIRONMENT | environment)
    assert done.returncode == 0
    assert left(folder) == ["of-another-program"]


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.slow),  # it waits until the connection ends
    ],
)
def test_over_ssh_no_connection_no_worker_and_no_folder_stays(folder, board, by, code):
    command = f"bench good.onnx {LONG} --device ssh://board -o results.json"
    done, *_ = ended(command, folder, at="round 4 of", by=[by], path=f"{board.path}:")
    assert done == code
    assert gone(board.workers)
    if by is signal.SIGKILL:
        assert gone(board.sessions, ssh_module.PERSIST_SECONDS + 30)
        assert len(list((board.home / ".cache/falcon-edge").glob("run.*"))) == 1
        command = f"bench good.onnx {QUICK} --device ssh://board -q"
        environment = ENVIRONMENT | {"TMPDIR": str(folder / "tmp"), "PATH": f"{board.path}:{os.environ['PATH']}"}
        assert subprocess.run([*PROGRAM, *command.split()], cwd=folder, env=environment).returncode == 0
    else:
        assert load(folder / "results.json").interrupted
        assert gone(board.sessions, 5)
    assert not list((board.home / ".cache/falcon-edge").glob("run.*"))
    assert left(folder) == []


@pytest.mark.parametrize(
    ("workers", "options", "by"),
    [
        ([None], "--profile --clean", signal.SIGTERM),
        pytest.param([sys.executable], "--profile", signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param([sys.executable] * 2, "--clean", signal.SIGINT, marks=pytest.mark.slow),
    ],
    ids=["app", "phone", "two phones"],
)
def test_on_phones_no_worker_and_no_folder_stays(folder, workers, options, by):
    with phones(folder, *workers) as (plugged, program, environment):
        devices = " ".join(f"--device adb:{phone.serial}" for phone in plugged)
        command = f"bench good.onnx {LONG} {devices} {options} -o results.json"
        done, _, err = ended(command, folder, at="round 4 of", by=[by], program=program, **environment)
        assert done == 128 + by
        assert "Traceback" not in err
        kept = [load(file) for file in folder.glob("results*.json")]
        assert kept
        assert all(results.interrupted for results in kept)
        assert left(folder) == []
        for phone in plugged:
            assert gone(phone.workers)
            assert not list((phone.folder / SENT).glob("run.*"))
            assert not list(phone.folder.glob("appdata/files/bench/*"))
            if "--clean" in options:
                assert not (phone.folder / SENT).exists()
                assert not (phone.folder / "installed").exists()


@pytest.mark.slow
def test_a_phone_is_profiled_by_the_app_which_goes_then(folder):
    with phones(folder, None) as ((phone,), program, environment):
        command = f"bench good.onnx {QUICK} --profile --clean --device adb"
        environment |= {"TMPDIR": str(folder / "tmp")}
        done = run(f"{command} -o results.json --json", folder, program=program, **environment)
        assert done.code == 0, done.err
        (entry,) = load(folder / "results.json").entries
        assert entry.profile is not None
        assert entry.profile.layers
        assert not (phone.folder / "installed").exists()
        assert not (phone.folder / SENT).exists()
        assert left(folder) == []
