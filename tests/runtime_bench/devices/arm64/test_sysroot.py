"""The userland: pinned, whole or said to be damaged, made again where it is; and what this machine needs for it."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from arm64 import require, userland

from runtime_bench.devices.arm64 import device
from runtime_bench.devices.arm64.sysroot import REQUIREMENTS, STATE, Sysroot, sysroot
from runtime_bench.errors import DeviceError

ROOT = Path(__file__).parents[4]


def silent(done, total, text):
    pass


def pins(text):
    return dict(re.findall(r"^([\w.-]+)==([^\s\\]+)", text, re.MULTILINE))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/falcon-edge"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH with nothing but what is put there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def tools(*names, **scripts):
        for name in names:
            (folder / name).symlink_to("/bin/true")
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o700)

    return tools


# -- pins --


def test_the_wheels_are_those_of_this_program_and_have_hashes():
    wanted, ours = pins(REQUIREMENTS.read_text()), pins((ROOT / "constraints.txt").read_text())
    assert set(wanted) == {"numpy", "onnxruntime", "ai-edge-litert"}
    assert wanted == {name: ours[name] for name in wanted}
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", REQUIREMENTS.read_text())
    assert len(set(hashes)) == 9  # Python 3.11, 3.12 and 3.13


def test_other_pins_are_another_userland(monkeypatch, tmp_path):
    before = sysroot().folder
    other = tmp_path / "requirements.txt"
    other.write_text(REQUIREMENTS.read_text().replace("numpy==2", "numpy==3"))
    monkeypatch.setattr("runtime_bench.devices.arm64.sysroot.REQUIREMENTS", other)
    assert sysroot().folder.parent == before.parent
    assert sysroot().folder != before


# -- what is missing here --


def test_what_is_missing_is_named_with_the_command_that_installs_it(tools, cache):
    tools("apt-get", "dpkg-deb")
    with pytest.raises(DeviceError, match="arm64: qemu-aarch64, cc: missing; apt-get install qemu-user gcc libc6-dev"):
        device.setup(silent)
    with pytest.raises(DeviceError, match="qemu-aarch64, cc: missing"):
        device.arm64_device(device.DEFAULT)
    assert not cache.exists()


def test_another_system_than_debian_is_told_so(tools):
    tools("qemu-aarch64", "cc")
    with pytest.raises(DeviceError, match="made of Debian's packages, and there is no apt-get here"):
        device.setup(silent)


def test_what_is_not_set_up_says_how_to_set_it_up(tools, cache):
    tools(*device.TOOLS)
    with pytest.raises(DeviceError, match="arm64: it is not set up; falcon-edge devices setup arm64"):
        device.arm64_device(device.DEFAULT)


def test_a_download_that_fails_leaves_nothing(tools, cache):
    tools("qemu-aarch64", "cc", "dpkg-deb", apt_get="echo 'E: no such source' >&2; exit 100")
    with pytest.raises(DeviceError, match="apt-get update failed: E: no such source"):
        device.setup(silent)
    assert list(cache.iterdir()) == []


# -- damage --


@pytest.fixture(scope="module")
def made():
    return userland()


def test_it_says_what_is_in_it(made):
    assert made.damage() is None
    assert made.versions == pins(REQUIREMENTS.read_text()) | {"python": made.versions["python"]}
    assert any(name.startswith("libc6=") for name in made.packages)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in made.packages.values())


def test_every_damage_is_found(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "copy", symlinks=True)
    copy = Sysroot(tmp_path / "copy")
    library = next(copy.folder.rglob("libc.so.6"))
    data = library.read_bytes()
    assert copy.damage() is None
    library.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert copy.damage() == f"{library} is not as it was made"
    library.unlink()
    assert copy.damage() == f"{library} is not as it was made"
    library.write_bytes(data)
    assert copy.damage() is None
    added = copy.folder / "root/added"
    added.touch()
    assert copy.damage() == f"{added} is not as it was made"
    added.unlink()
    link = copy.folder / "root/usr/bin/python3"
    link.unlink()
    link.symlink_to("python2")
    assert copy.damage() == f"{link} is not as it was made"


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_userland_without_its_state_is_damaged(tmp_path, text):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").touch()
    (tmp_path / STATE).write_text(text)
    assert Sysroot(tmp_path).damage() == f"{tmp_path}/root/file is not as it was made"
    (tmp_path / "root/file").unlink()
    assert Sysroot(tmp_path).damage() == f"{tmp_path}/state.json is not as it was made"


# -- setting up --


@pytest.mark.slow
def test_a_damaged_userland_is_made_again_and_a_whole_one_is_kept(made, cache):
    require(*(device.missing_tools() or ()))
    (cache / ".arm64-left-by-a-killed-run").mkdir(parents=True)
    fresh = device.setup(silent)
    assert fresh.damage() is None
    assert fresh.versions == made.versions
    assert [path.name for path in cache.iterdir()] == [fresh.folder.name]
    before = fresh.folder.stat().st_ino
    assert device.setup(silent).folder.stat().st_ino == before
    (fresh.folder / "root/usr/bin/python3").unlink()
    again = device.setup(silent)
    assert again.damage() is None
    assert again.folder.stat().st_ino != before


@pytest.mark.slow
def test_two_at_once_make_it_once(cache):
    require(*(device.missing_tools() or ()))
    script = "from runtime_bench.devices.arm64.device import setup; setup(lambda *step: print(*step))"
    one, other = (subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2))
    said = [process.communicate(timeout=600)[0] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert sorted("is whole" in text for text in said) == [False, True]


@pytest.mark.slow
def test_a_killed_set_up_leaves_no_half_userland(cache):
    require(*(device.missing_tools() or ()))
    script = "from runtime_bench.devices.arm64.device import setup; setup(lambda *step: print(*step, flush=True))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "wheels" in line:
            process.kill()
    process.wait()
    time.sleep(1)
    assert sysroot().damage() == "it is not set up"
    assert device.setup(silent).damage() is None
