"""The contract of docs/phones.md end to end: `falcon-edge bench --device adb`, the real adb client, our Java behind it.

Either the demo app's own code answers (its Requests and core, which a JVM runs), or the runner that app_process starts.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import jvm
import pytest
from phone import ADB, Phone
from program import run
from waiting import Amid, gone, killed_at_work

import falcon_edge
from falcon_edge.cli.groups import Phones
from falcon_edge.errors import BadInput
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.app import PACKAGE
from runtime_bench.errors import BenchInputError, WorkerError
from runtime_bench.results import load

if ADB is None and "CI" not in os.environ:
    pytest.skip("no adb here: apt-get install adb", allow_module_level=True)
if not jvm.SUPPORTED:
    pytest.skip("this machine runs no Java program of x86_64", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("java")]
SAMPLE = Path(falcon_edge.__file__).parent / "data/sample/vgg8.falcon"
KINDS = [f"{precision}.{target}" for precision in ("fp32", "int8") for target in ("onnx", "tflite")]
SHORT = "--runs 4 --seconds 0 --warm-up 0 --ticks 4 --processes 1"
BENCH = "bench vgg8.falcon --data sample --samples 200 --every 50ms --cold " + SHORT
# The program with a folder of this machine for the phone's.
PROGRAM = """
import sys
from runtime_bench.devices.adb import AdbDevice
AdbDevice.folder = sys.argv.pop(1)
from falcon_edge.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    return jvm.Jvm(tmp_path_factory.mktemp("jvm"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the network that ships with us, exported to KINDS, and what this machine measures of it."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(SAMPLE, folder / "vgg8.falcon")
    targets = "--target onnx --target tflite --precision fp32 --precision int8"
    for command in (
        f"export vgg8.falcon {targets} --data sample --samples 64",
        f"{BENCH} -o here.json",
    ):
        done = run(command, folder)
        assert done.code == 0, done
    return folder


@pytest.fixture
def phone(tmp_path, monkeypatch):
    phone = Phone(tmp_path / "phone")
    phone.answer_by("exit 127")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.port))
    monkeypatch.setattr(AdbDevice, "folder", f"{phone.folder}/data/falcon-edge")
    yield phone
    phone.close()


@pytest.fixture
def app(phone, java):
    """The phone with the app."""
    java.install_app(phone)
    return phone


def measured(command, phone, exported, tmp_path, **environment):
    """What `falcon-edge bench` finds on the phone."""
    output, environment = tmp_path / "there.json", environment | {"ANDROID_ADB_SERVER_PORT": str(phone.port)}
    program = (sys.executable, "-c", PROGRAM, AdbDevice.folder)
    done = run(f"{command} --device adb -o {output}", exported, program=program, **environment)
    assert done.code == 0, done
    return load(output)


def check(there, here):
    """Every file was measured in every way, and its answers are those of this machine."""
    assert [entry.model.file for entry in there.entries] == [f"model.{kind}" for kind in KINDS]
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.device, one.emulated) == (None, "adb", False)
        assert one.agreement[0].within_tolerance
        assert one.agreement[0].max_abs == 0 or one.model.precision == "fp32"
        assert one.quality == other.quality
        assert (one.quality[0].samples, one.runtime.name) == (200, other.runtime.name)
        assert min(one.summary.count, one.paced.summary.count, one.cold.summary.count) >= 4
        assert one.cold.flushed == other.cold.flushed
        assert one.memory.peak >= one.memory.after_load


def test_the_app_answers_the_program(app, java, exported, tmp_path):
    there = measured(f"{BENCH} --clean", app, exported, tmp_path)
    check(there, load(exported / "here.json"))
    assert (there.before.battery, there.before.thermal_status) == ("87%, discharging", 1)
    assert not list(app.folder.glob("appdata/files/bench/*"))
    assert not Path(AdbDevice.folder).exists()
    assert not (app.folder / "installed").exists()


def test_the_runner_answers_the_program(phone, java, exported, tmp_path):
    java.be_android(phone)
    java.d8(tmp_path)
    archives = f"--ort-aar {java.ort_aar} --litert-aar {java.litert_aar}"
    path = f"{tmp_path}:{os.environ['PATH']}"
    there = measured(f"{BENCH} {archives} --clean", phone, exported, tmp_path, PATH=path)
    check(there, load(exported / "here.json"))
    assert not Path(AdbDevice.folder).exists()
    assert gone(phone.workers)


def test_devices_says_how_files_can_be_run(phone, java, tmp_path):
    java.be_android(phone)
    environment = {"ANDROID_ADB_SERVER_PORT": str(phone.port), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    program = (sys.executable, "-c", PROGRAM, AdbDevice.folder)
    done = run("devices", tmp_path, program=program, **environment)
    assert "adb:emulator-9999 not ready A_Phone, device" in done.words
    assert "by app_process, without an app no Java classes of ONNX Runtime" in done.words
    java.install_app(phone)
    state = run("devices --json", tmp_path, program=program, **environment).document[-1]
    assert (state["name"], state["ready"], state["remedy"]) == ("adb:emulator-9999", True, None)
    assert [(way["runner"], way["lacks"] is None) for way in state["ways"]] == [
        ("app", True), ("app_process", False), ("python", False),
    ]  # fmt: skip


def test_options_that_mean_nothing(exported):
    done = run(f"{BENCH} --device adb --ort-aar none.aar", exported)
    assert (done.code, done.err) == (2, "error: none.aar: cannot be read (No such file or directory)\n")
    for option, value, said in (
        ("ort_aar", Path("none.aar"), "`ort_aar`: is for phones; name one by --device adb"),
        ("litert_aar", [Path("none.aar")], "`litert_aar`: is for phones; name one by --device adb"),
        ("runner", "app", "--runner: is for phones; name one by --device adb"),
    ):
        with pytest.raises(BadInput, match=said):
            Phones(**{option: value}).devices(["local"])
    with pytest.raises(BenchInputError, match="fast: no such runner; known are app, app_process, python"):
        Phones(runner="fast").devices(["local", "adb"])


# -- what goes wrong with the app --


@pytest.fixture
def loaded(app, exported):
    with closing(AdbDevice("adb")) as device, device.start_worker() as worker:
        path = device.push(exported / "vgg8.falcon/exports/model.fp32.onnx")
        assert worker.ask("load", timeout=60, path=path, runtime="onnxruntime", threads=1)["load_ns"] > 0
        yield worker


def running(phone):
    """The app's process, if any."""
    return [int(word) for word in phone.run(f"pidof {PACKAGE}").communicate()[0].split()]


def test_requests_of_another_contract_and_such_that_are_none(app, loaded):
    start = f"am start -W -n {PACKAGE}/.BenchmarkActivity"
    for number, (words, kind, said) in enumerate(
        [
            ("--ei contract 2 --es do measure --ei runs 1", "contract", "contract 2 is not known"),
            ("--ei contract 1 --es do dance", "runtime", "no such request: dance"),
            ("--ei contract 1 --es do measure --es runs many", "runtime", "runs"),
            ("--ei contract 1 --es do replay --esa inputs /x --esa outputs ../../x", "runtime", "outputs are files in"),
        ]
    ):
        app.run(f"{start} --es id n{number} {words}").communicate()
        path, until = app.folder / f"appdata/files/bench/n{number}.json", time.monotonic() + 60
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        answer = json.loads(path.read_text())
        assert answer["kind"] == kind
        assert said in answer["error"]
    assert len(loaded.ask("measure", timeout=60, runs=3)["samples_ns"]) == 3


def test_an_app_that_is_killed(app, loaded):
    (there,) = running(app)
    (app.folder / "logcat").write_text("Fatal signal 9 (SIGKILL), code 0\n")
    killed_at_work(there)
    with pytest.raises(WorkerError, match="measure: the app crashed: Fatal signal 9") as caught:
        loaded.ask("measure", timeout=60, runs=10**7)
    assert caught.value.kind == "exit"


def test_an_app_that_hangs_is_stopped(app, loaded):
    (there,) = running(app)
    os.kill(there, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="measure: no answer within 1 s"):
        loaded.ask("measure", timeout=1, runs=1)
    assert gone(lambda: running(app))


def test_unplugged_while_measuring(app, exported):
    path, cut = exported / "vgg8.falcon/exports/model.fp32.onnx", Amid(app.unplug)
    candidate = Candidate(path, "onnxruntime", "vgg8", "onnx", "fp32")
    protocol = Protocol(runs=10**7, seconds=0.0, processes=1, warm_up_seconds=0.0, every=0)
    (entry,) = bench([candidate], AdbDevice("adb"), protocol, progress=cut).entries
    cut.timer.join()
    assert entry.failure.kind == "device"
