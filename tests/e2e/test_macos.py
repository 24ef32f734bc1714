"""The whole flow without what macOS lacks, in processes from which it is taken away: no Mac has run it."""

import json
import shutil
from pathlib import Path

import pytest
from systems import System
from waiting import gone

from runtime_bench.results import load

pytestmark = pytest.mark.xdist_group("macos")

COMMANDS = {
    "pack": "pack vgg8 --width 0.25 --input 1x12x12 --num-classes 3 -o standard",
    "compress": "compress standard.falcon --data stripes.npz --rank 1 -o small",
    "export standard": "export standard.falcon --target onnx --target tflite --precision fp32 --precision int8 "
    "--data stripes.npz --samples 16 --accept-loss",
    "export": "export small.falcon --target onnx --target ort --precision fp32",
    "inspect": "inspect standard.falcon",
    "inspect file": "inspect small.falcon/exports/model.fp32.onnx --json",
    "bench": "bench standard.falcon small.falcon --data stripes.npz --runs 6 --seconds 0 --warm-up 0 "
    "--ticks 4 --processes 1 -o results.json",
    "compare": "compare results.json",
    "check": "check results.json --baseline results.json --history history.jsonl",
    "report": "report results.json -o report.html",
    "pinned": "bench small.falcon --cpus 0 --target onnx --runs 2 --seconds 0 --warm-up 0 --ticks 1 --processes 1",
}
# A runtime that fails a worker as models do, in the place of one: `does` is what it does when it loads a file.
DRIVER = """
import os, signal, time

class Session:
    def load(self, path, threads, signed):
        {does}
"""
HUNGRY = "taken = [(bytearray(os.urandom(1 << 10) * (32 << 10)), time.sleep(0.02)) for _ in range(64)]"
WORKER = """
import json, sys, time
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError

with LocalDevice().start_worker() as worker:
    started = time.monotonic()
    try:
        worker.ask("load", timeout={timeout}, path="none", runtime="none", threads=1, driver="driver.py",
                   memory_limit=300 << 20)
    except WorkerError as error:
        print(json.dumps([error.kind, str(error), time.monotonic() - started]))
    ended = worker._process.poll() is not None
sys.exit(0 if ended else 1)
"""
ORPHAN = """
import os, signal, threading, time
from runtime_bench.devices.local import LocalDevice

with LocalDevice().start_worker() as worker:
    worker.ask("memory", timeout=60)
    print(worker.pid, flush=True)
    ask = lambda: worker.ask("load", timeout=60, path="none", runtime="none", threads=1, driver="driver.py")
    threading.Thread(target=ask, daemon=True).start()
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def running(pid):
    """The process, unless it has ended."""
    try:
        return [pid] if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX" else []
    except OSError:
        return []


@pytest.fixture(scope="module")
def mac(tmp_path_factory):
    return System("macos", tmp_path_factory.mktemp("mac"))


@pytest.fixture(scope="module")
def flow(mac, stripes, tmp_path_factory):
    """The folder in which COMMANDS were run, and what came of each."""
    folder = tmp_path_factory.mktemp("flow")
    shutil.copy(stripes, folder)
    return folder, {name: mac(command, folder) for name, command in COMMANDS.items()}


def test_it_is_a_mac(mac, tmp_path):
    """What is taken away is, in child processes too."""
    script = """
import glob, json, os, resource, select, subprocess, sys
def refused():
    try:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    except ValueError as error:
        return str(error)
gone = [hasattr(os, "sched_getaffinity"), hasattr(resource, "prlimit"), os.path.exists("/proc/self/status"),
        bool(glob.glob("/sys/devices/system/cpu/*"))]
print(json.dumps([sys.platform, refused(), gone]))
sys.stdout.flush()
if sys.argv[1:] != ["child"]:
    subprocess.run([sys.executable, "-c", open("script.py").read(), "child"], env={})
"""
    (tmp_path / "script.py").write_text(script)
    lines = mac.script(script, tmp_path).out.splitlines()
    expected = ["darwin", "current limit exceeds maximum limit", [False] * 4]
    assert [json.loads(line) for line in lines] == [expected, expected]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "pinned"])
def test_every_verb_does_what_it_does(flow, name):
    _, done = flow
    # Equal figures are in doubt where the machine that they were taken on was busy.
    assert done[name].code in ((0, 3) if name == "check" else (0,)), done[name]
    assert "Traceback" not in done[name].err


@pytest.mark.slow
def test_figures_are_there_and_what_is_not_known_is_null(flow):
    folder, done = flow
    results = load(folder / "results.json")
    assert [(entry.model.name, entry.model.target, entry.model.precision) for entry in results.entries] == [
        *(("standard", target, precision) for precision in ("fp32", "int8") for target in ("onnx", "tflite")),
        *(("small", target, "fp32") for target in ("onnx", "ort")),
    ]
    for entry in results.entries:
        assert entry.failure is None
        assert entry.summary.min_ns > 0
        assert all(each.within_tolerance for each in entry.agreement)
        assert entry.cpus == ()
        assert entry.energy_j is None
        assert entry.paced.mhz is None
        assert 10 << 20 < entry.memory.bare < entry.memory.after_load < 1 << 30
        assert entry.memory.after_load <= 1.1 * entry.memory.peak  # ps rounds otherwise; a thousandfold is no rounding
        assert entry.memory.peak < 1 << 30
        (flag,) = [flag for flag in entry.flags if flag.flag == "unpinned"]
        assert "macOS" in flag.reason
    state = results.before
    assert (state.kernel, state.cpu) == ("Darwin 24.6.0", "Apple M1 (4 performance and 4 efficiency cores)")
    assert (state.caches, state.battery, state.thermal_status) == ((131072, 12582912), "87%, discharging", 0)
    assert state.load_1min >= 0
    assert (state.governor, state.frequencies_mhz, state.temperatures_c, state.idle) == (None, (), {}, None)
    assert state.throttled is None
    assert "unpinned" in done["bench"].err


@pytest.mark.slow
def test_cpus_that_are_named_are_refused_in_one_line(flow):
    _, done = flow
    assert done["pinned"].code == 4
    assert "this system puts no process on CPUs of its own: leave --cpus out" in done["pinned"].err


@pytest.mark.slow
def test_a_report_says_what_was_not_measured(flow):
    folder, _ = flow
    page = (folder / "report.html").read_text()
    assert "Apple M1 (4 performance and 4 efficiency cores)" in page
    assert "macOS puts no process on CPUs of its own" in page


@pytest.mark.parametrize(
    ("does", "timeout", "kind", "says"),
    [
        ("time.sleep(600)", 2, "timeout", "no answer within 2 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 60, "signal", "was killed by SIGSEGV"),
        ("os._exit(3)", 60, "exit", "ended with exit code 3"),
        (HUNGRY, 60, "memory", "out of memory: it took more than 300 MiB"),
    ],
    ids=["hangs", "crashes", "exits", "takes too much memory"],
)
def test_a_worker_that_fails_fails_alone(mac, tmp_path, does, timeout, kind, says):
    (tmp_path / "driver.py").write_text(DRIVER.format(does=does))
    done = mac.script(WORKER.format(timeout=timeout), tmp_path)
    assert done.code == 0, done
    found, said, seconds = json.loads(done.out)
    assert (found, says in said) == (kind, True)
    assert seconds < 30


def test_a_worker_whose_parent_was_killed_ends(mac, tmp_path):
    """In the middle of a request, by the end of its input: macOS has no signal for it."""
    (tmp_path / "driver.py").write_text(DRIVER.format(does="time.sleep(600)"))
    done = mac.script(ORPHAN, tmp_path)
    assert done.code == -9
    assert gone(lambda: running(int(done.out)), 20)


def test_a_file_that_takes_too_much_to_describe_is_refused(mac, tmp_path):
    """Its child is killed once too much of it is resident, by whoever started it."""
    script = f"""
import sys
from pathlib import Path
from converters import inspect_apart
from converters.errors import ConversionError
inspect_apart.MEMORY = 200 << 20
inspect_apart.CHILD = (sys.executable, "-c", "import os, time; {HUNGRY}; time.sleep(60)")
Path("a.onnx").touch()
try:
    inspect_apart.describe_apart([Path("a.onnx")])
except ConversionError as error:
    print(error)
"""
    done = mac.script(script, tmp_path)
    assert done.out == "a.onnx: describing it takes more than 200 MiB\n", done


@pytest.mark.slow
def test_nothing_but_what_was_asked_for_is_left(flow):
    """Bundles were replaced in two steps, as where two folders cannot be exchanged in one."""
    folder, _ = flow
    names = {path.name for path in folder.iterdir()}
    made = {"results.json", "history.jsonl", "report.html"}
    assert names == {"stripes.npz", "standard.falcon", "small.falcon", *made}


# What needs minutes, in its order.
REST = {
    "train": "train vgg8 --width 0.25 --data stripes.npz --epochs 1 -o trained",
    "times": "times trained.falcon --runtime litert --precision fp32 --rounds 1 -o times.json",
    "plan": "plan trained.falcon --data stripes.npz --times times.json --runtime litert --precision fp32 -o plans",
    "contract": "compress trained.falcon --data stripes.npz --target-latency 0.9 --max-drop 100 --times times.json "
    "--runtime litert --precision fp32 --finetune-epochs 1 -o planned",
    "adopt": "adopt trained.falcon --weights planned.falcon/weights.safetensors --data stripes.npz -o adopted",
    "export trained": "export trained.falcon --precision fp32",
    "export planned": "export planned.falcon --precision fp32",
    "check": "check planned.falcon --baseline trained.falcon --tolerance 10000% --patience 0s",
    "convert": "convert trained.falcon/exports/model.fp32.onnx -o trained.tflite",
    "embed": "embed planned.falcon web",
    "study": "study study.toml -o study",
    "demo": "demo -o demo",
}
STUDY = 'models = ["vgg8"]\nwidths = [0.125]\ndata = "stripes.npz"\n[train]\nepochs = 1\nlearning_rate = 0.1\n'


@pytest.mark.slow
def test_the_rest_of_the_verbs(mac, stripes, tmp_path):
    shutil.copy(stripes, tmp_path)
    shutil.copytree(Path(__file__).parents[2] / "android_demo/web", tmp_path / "web")
    (tmp_path / "study.toml").write_text(STUDY)
    for name, command in REST.items():
        done = mac(command, tmp_path)
        assert done.code in ((0, 3) if name == "check" else (0,)), (name, done)
        assert "Traceback" not in done.err
