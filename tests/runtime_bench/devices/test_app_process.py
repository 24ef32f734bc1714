"""A phone without an app: the runner by app_process, which a JVM of this machine acts (tests/support/jvm.py)."""

import hashlib
import os
import re
import signal
import struct
import time
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jvm
import pytest
from arm64 import require
from ci.errors import BuildError
from phone import ADB
from waiting import Amid, gone, killed_at_work

from runtime_bench.bench import Protocol, bench
from runtime_bench.devices import archives, dex
from runtime_bench.devices.aar import Aar, opened
from runtime_bench.devices.adb import AdbDevice
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.names import device_named
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError
from runtime_bench.golden import Tolerance

if ADB is None and "CI" not in os.environ:
    pytest.skip("no adb here: apt-get install adb", allow_module_level=True)
if not jvm.SUPPORTED:
    pytest.skip("this machine runs no Java program of x86_64", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("java")
QUICK = Protocol(runs=6, processes=2, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)
PACED = replace(QUICK, every=0.05, ticks=4, cold=True)
FOREVER = Protocol(runs=10**7, seconds=0.0, processes=1, warm_up_seconds=0.0, every=0)


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    try:
        return jvm.Jvm(tmp_path_factory.mktemp("jvm"))
    except BuildError as error:
        require(str(error))


@pytest.fixture
def phone(plug, java):
    phone = plug(python=None)
    phone.answer_by("exit 127")
    java.be_android(phone)
    return phone


@pytest.fixture
def ort(java):
    return opened({"onnxruntime": [java.ort_aar]})


@pytest.fixture
def device(phone, ort):
    device = AdbDevice("adb", archives=ort)
    yield device
    device.close()


@pytest.fixture
def loaded(device, files):
    with device.start_worker() as worker:
        worker.ask("load", timeout=60, path=device.push(files["vgg.onnx"]), runtime="onnxruntime", threads=1)
        yield worker


@pytest.fixture
def d8(java, tmp_path, monkeypatch):
    """Android's build tools are installed."""
    folder = tmp_path / "build-tools"
    folder.mkdir()
    java.d8(folder)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_phone_gives_what_this_machine_gives(phone, java, candidates, d8):
    close = [replace(candidate, tolerances=(Tolerance(rtol=1e-5),)) for candidate in candidates]
    both = opened({"onnxruntime": [java.ort_aar], "litert": [java.litert_aar]})
    with closing(AdbDevice("adb", archives=both)) as device:
        there, here = (bench(close, where, PACED) for where in (device, LocalDevice()))
    for one, other in zip(there.entries, here.entries, strict=True):
        assert (one.failure, one.device) == (None, "adb")
        assert (one.summary.count, one.paced.summary.count, one.cold.summary.count) == (6, 4, 4)
        assert one.agreement[0].within_tolerance
        assert (one.quality, one.cpus) == (other.quality, other.cpus)
        assert 0 < one.memory.before_load <= one.memory.after_load <= one.memory.peak
    assert [entry.runtime.name for entry in there.entries] == ["onnxruntime", "litert"]
    assert there.entries[0].runtime.version == dex.SHIPPED["onnxruntime"].version
    assert (there.before.python, there.options["runner"]) == ("none", "app_process")
    assert gone(phone.workers)


def test_nothing_is_sent_twice_and_clean_leaves_nothing(phone, ort, files):
    for clean in (False, False, True):
        with closing(AdbDevice("adb", archives=ort, clean=clean)) as device:
            with device.start_worker() as worker:
                assert worker.ask("memory", timeout=60)["resident"] > 0
            kept = sorted(path.name for path in Path(device.folder).rglob("*") if path.is_file())
    assert sum("mv /" in command for command in phone.commands) == 3  # the runner and two libraries
    assert [name for name in kept if name.endswith(".so")] == ["libonnxruntime.so", "libonnxruntime4j_jni.so"]
    assert not Path(device.folder).exists()


def test_a_request_that_is_none_is_said(loaded):
    with pytest.raises(WorkerError, match="profile: "):
        loaded.ask("profile", timeout=60, runs=1, folder="/tmp")
    assert len(loaded.ask("measure", timeout=60, runs=3)["samples_ns"]) == 3
    with pytest.raises(WorkerError, match=r"load: .*nothing\.onnx"):
        loaded.ask("load", timeout=60, path="/nothing.onnx", runtime="onnxruntime", threads=1)


def test_it_ends_with_its_input_in_the_middle_of_a_run(phone, loaded):
    with pytest.raises(WorkerError, match="no answer within 1 s"):
        loaded.ask("measure", timeout=1, runs=10**7)  # which kills the way there alone
    assert gone(phone.workers)


def test_a_worker_that_is_killed(phone, loaded):
    (there,) = phone.workers()
    killed_at_work(there)
    with pytest.raises(WorkerError, match="measure: the worker was killed by SIGKILL") as caught:
        loaded.ask("measure", timeout=60, runs=10**7)
    assert (caught.value.kind, caught.value.signal) == ("signal", "SIGKILL")


def test_a_worker_that_hangs_is_killed_there(phone, device):
    with device.start_worker() as worker:
        worker.ask("memory", timeout=60)
        (there,) = phone.workers()
        os.kill(there, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="memory: no answer within 1 s"):
            worker.ask("memory", timeout=1)
        assert phone.workers()
    assert gone(phone.workers)


def test_unplugged_while_measuring(phone, ort, candidates):
    cut = Amid(phone.unplug)
    began = time.monotonic()
    results = bench(candidates[:1], AdbDevice("adb", archives=ort), FOREVER, progress=cut)
    cut.timer.join()
    assert time.monotonic() - began < 60
    assert results.entries[0].failure.kind in ("connection", "device")
    assert gone(phone.workers)


def test_a_program_that_does_not_start_says_why(phone, device):
    phone.add("app_process", "echo 'java.lang.ClassNotFoundException: no such class' >&2; echo Aborted >&2; exit 1")
    with (
        device.start_worker() as worker,
        pytest.raises(WorkerError, match=r"exit code 1: java\.lang\.ClassNotFoundException: no such class"),
    ):
        worker.ask("memory", timeout=60)


def test_a_library_that_cannot_be_loaded_costs_its_own_files_only(phone, java, candidates, tmp_path, d8):
    broken = tmp_path / "libonnxruntime.so"
    broken.write_bytes(struct.pack("<4sBBB", b"\x7fELF", 2, 1, 1).ljust(64, b"\0"))
    with zipfile.ZipFile(java.ort_aar) as archive:
        classes = archive.read("classes.jar")
        (tmp_path / "libonnxruntime4j_jni.so").write_bytes(archive.read(f"jni/{jvm.ABI}/libonnxruntime4j_jni.so"))
    libraries = {path.name: path for path in (broken, tmp_path / "libonnxruntime4j_jni.so")}
    path = jvm.aar(tmp_path / "broken.aar", classes, libraries)
    both = opened({"onnxruntime": [path], "litert": [java.litert_aar]})
    with closing(AdbDevice("adb", archives=both)) as device:
        one, other = bench(candidates, device, QUICK).entries
    assert one.failure.kind == "missing-runtime"
    assert re.search(r"load: .*libonnxruntime", one.failure.message)
    assert other.failure is None


def test_a_phone_that_cannot_choose_its_cpus(phone, ort, candidates, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name != "taskset":
            (programs / path.name).symlink_to(path)
    phone.use_tools_only(programs)
    with closing(AdbDevice("adb", archives=ort)) as device:
        assert device.fastest_cpus(1) is None
        close = replace(candidates[0], tolerances=(Tolerance(rtol=1e-5),))
        assert bench([close], device, QUICK).entries[0].failure is None
        (entry,) = bench([close], device, replace(QUICK, cpus=(0,))).entries
    assert re.search("load: cannot run on CPUs 0: .*taskset", entry.failure.message)


# -- which of them runs the files --


def test_the_first_runner_that_can_is_used(phone, ort):
    assert AdbDevice("adb", archives=ort).runner.name == "app_process"
    assert AdbDevice("adb").runner.name == "python"
    assert AdbDevice("adb", archives=ort, runner="python").runner.name == "python"
    with pytest.raises(DeviceError, match="adb: the demo app is not installed: build it and 'adb install' it"):
        assert AdbDevice("adb", archives=ort, runner="app").runner
    phone.install_app("exit 1")
    assert AdbDevice("adb", archives=ort).runner.name == "app"
    assert AdbDevice("adb", archives=ort, runner="app_process").runner.name == "app_process"
    with pytest.raises(BenchInputError, match="fastest: no such runner; known are app, app_process, python"):
        AdbDevice("adb", runner="fastest")


def test_python_is_used_where_app_process_cannot_be(plug, ort):
    phone = plug()
    assert AdbDevice("adb", archives=ort).runner.name == "python"
    phone.add("getprop", "exit 1")
    assert AdbDevice("adb", archives=ort).runner.name == "python"


def test_what_a_phone_has_and_what_is_missing_for_the_rest(phone, ort):
    app, java, python = AdbDevice("adb").ways()
    assert app.lacks == "the demo app is not installed: build it and 'adb install' it (android_demo/README.md)"
    assert java.lacks == (
        "no Java classes of ONNX Runtime: "
        "'falcon-edge devices setup adb' fetches its .aar, or name it by `ort_aar` FILE"
    )
    assert python.lacks.startswith("adb has no python3: ")
    assert AdbDevice("adb", archives=ort).ways()[1].lacks is None
    phone.install_app("exit 1")
    assert AdbDevice("adb").ways()[0].lacks is None


@pytest.mark.parametrize(
    ("abi", "api", "said"),
    [
        ("x86_64", 23, r"adb has Android's API 23; 24 \(Android 7\) or newer is needed there"),
        ("", 34, "adb has no app_process, or does not tell its ABI: it is no Android phone"),
        ("$(x)", 34, "adb has no app_process, or does not tell its ABI: it is no Android phone"),
    ],
)
def test_phones_that_cannot(phone, java, ort, abi, api, said):
    java.be_android(phone, abi=f"'{abi}'", api=api)
    with pytest.raises(DeviceError, match=said):
        AdbDevice("adb", archives=ort).lacks("onnxruntime")


def test_a_phone_of_another_kind_and_runtimes_that_are_not_there(phone, java, ort, candidates):
    java.be_android(phone, abi="arm64-v8a")
    with closing(AdbDevice("adb", archives=ort)) as device:
        one, other = bench(candidates, device, QUICK).entries
        assert device.lacks("openvino") == "OpenVINO does not run there: leave it out"
    wanted = "has no library for arm64-v8a, but for x86_64: name one that has by `ort_aar`"
    assert (one.failure.kind, one.failure.message) == ("missing-runtime", f"{java.ort_aar} {wanted}")
    assert other.failure.message == "no Java classes of LiteRT: name its .aar by `litert_aar` FILE"


def test_classes_that_do_not_ship_need_the_build_tools(phone, java, tmp_path, monkeypatch):
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with zipfile.ZipFile(java.ort_aar) as archive:
        (tmp_path / "classes.jar").write_bytes(archive.read("classes.jar"))
    with zipfile.ZipFile(tmp_path / "classes.jar", "a") as jar:
        jar.writestr("META-INF/other", "another version")
    other = jvm.aar(tmp_path / "other.aar", (tmp_path / "classes.jar").read_bytes(), {"libx.so": Path("/bin/true")})
    device = AdbDevice("adb", archives=opened({"onnxruntime": [other], "litert": [java.litert_aar]}))
    version = dex.SHIPPED["onnxruntime"].version
    assert device.lacks("onnxruntime") == (
        f"{other}: its Java classes are not those of ONNX Runtime {version}, which ship with us: name the .aar of that "
        "version by `ort_aar`, or install Android's build tools, whose d8 translates them"
    )
    assert device.lacks("litert") == (
        f"{java.litert_aar}: Java classes of LiteRT do not ship with us: "
        "install Android's build tools, whose d8 translates them"
    )
    for version in ("9.0.0", "36.0.0"):
        tool = tmp_path / "build-tools" / version / "d8"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\necho 'Error: what is this?' >&2\nexit 1\n")
        tool.chmod(0o755)
    assert dex.d8() == str(tool)
    assert device.lacks("litert") is None
    with pytest.raises(DeviceError, match=r"its classes cannot be translated \(Error: what is this\?\)"):
        device.start_worker()


# -- archives --


def written(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.fixture
def classes(tmp_path):
    return written(tmp_path / "c.jar", [("ai/onnxruntime/OrtEnvironment.class", b"")]).read_bytes()


def test_what_is_no_archive(tmp_path, classes):
    text, damaged = tmp_path / "text.aar", tmp_path / "damaged.aar"
    text.write_text("version https://git-lfs.github.com/spec/v1")
    good = written(tmp_path / "good.aar", [("classes.jar", classes), ("jni/x86/libx.so", bytes(9))])
    damaged.write_bytes(good.read_bytes()[:-30])
    for path, said in (
        (tmp_path / "none.aar", "cannot be read (No such file or directory)"),
        (tmp_path, "cannot be read (Is a directory)"),
        (text, "not an Android archive (.aar), or damaged (File is not a zip file)"),
        (damaged, "not an Android archive (.aar), or damaged (File is not a zip file)"),
        (written(tmp_path / "a.apk", [("classes.dex", b"")]), "or damaged (it has no classes.jar)"),
        (written(tmp_path / "b.aar", [("classes.jar", b"")]), "or damaged (File is not a zip file)"),
    ):
        with pytest.raises(BenchInputError, match=re.escape(said)):
            Aar(path)
    assert Aar(good).abis == ["x86"]
    with pytest.raises(BenchInputError, match=r"`litert_aar` .*good\.aar: not an archive of LiteRT, whose classes it"):
        opened({"litert": [good]})


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_entries(tmp_path, classes):
    names = ["jni/x86/../../../libx.so", "/jni/x86/libx.so", "jni/x86/lib$(touch hacked).so", "jni/x86/lib x.so",
             "jni/x86/deep/libx.so", "jni/../libx.so", "jni\\x86\\libx.so"]  # fmt: skip
    odd = written(tmp_path / "odd.aar", [("classes.jar", classes), *((name, b"x") for name in names)])
    assert Aar(odd).unpack("x86", tmp_path / "nowhere") == []
    twice = written(tmp_path / "twice.aar", [("classes.jar", classes), ("classes.jar", classes)])
    with pytest.raises(BenchInputError, match=r"classes\.jar is in it twice"):
        Aar(twice)
    bomb = written(tmp_path / "bomb.aar", [("classes.jar", classes), ("jni/x86/libx.so", bytes(2**20))])
    data = bytearray(bomb.read_bytes())
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.rindex(mark)
        data[place + at : place + at + 4] = struct.pack("<I", 2**31)
    bomb.write_bytes(data)
    with pytest.raises(BenchInputError, match=r"jni/x86/libx\.so is too large, or there are too many files"):
        Aar(bomb)
    many = [(f"jni/x86/lib{number}.so", b"") for number in range(1001)]
    with pytest.raises(BenchInputError, match="or there are too many files"):
        Aar(written(tmp_path / "many.aar", [("classes.jar", classes), *many]))


def test_every_byte_of_a_head_that_is_wrong_is_an_error_or_none(tmp_path, classes):
    """Never another exception: each byte of a small archive turned over."""
    path = written(tmp_path / "good.aar", [("classes.jar", classes), ("jni/x86/libx.so", b"library")])
    good, said = path.read_bytes(), []
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        folder = tmp_path / str(place)
        folder.mkdir()
        try:
            Aar(path).unpack("x86", folder)
        except (BenchInputError, DeviceError) as error:
            said.append(str(error))
    assert len(said) > len(good) // 4
    assert not any("\n" in each for each in said)


def test_the_archive_that_was_fetched_is_used_where_none_is_named(phone, java, monkeypatch, tmp_path):
    kept = tmp_path / "falcon-edge/phones" / f"onnxruntime-{archives.VERSION}.aar"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(java.ort_aar)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not archives.known()  # it is not the one that is pinned
    monkeypatch.setattr(archives, "SHA256", hashlib.sha256(kept.read_bytes()).hexdigest())
    device = device_named("adb")  # as `demo` and the Python API have it
    assert (device.runner_name, device.lacks("onnxruntime")) == ("app_process", None)
    device = device_named("adb", archives=archives.known({"litert": [java.litert_aar]}))
    assert (device.name, device.runner_name, device.lacks("onnxruntime")) == ("adb", "app_process", None)
    assert [aar.path for aar in archives.known({"onnxruntime": [java.ort_aar]}).by_runtime["onnxruntime"]] == [
        java.ort_aar
    ]
