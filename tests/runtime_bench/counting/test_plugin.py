"""The plugin that counts: built for the QEMU that is here, and right to the last instruction."""

import json
import shutil
import subprocess

import pytest
from arm64 import require
from arm64_program import Stream

from runtime_bench.counting import plugin
from runtime_bench.counting.plugin import build_plugin, interface, qemu_version, takes_plugins
from runtime_bench.devices.arm64.device import QEMU
from runtime_bench.errors import DeviceError

KIB = 16  # lines of 64 bytes


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    missing = [tool for tool in (QEMU, plugin.COMPILER) if shutil.which(tool) is None]
    require(*missing)
    if not takes_plugins(QEMU):
        require("a QEMU with plugins")
    return build_plugin(QEMU, tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def count(built, tmp_path):
    """What the plugin says of a program, on caches of 32 KiB and 1 MiB."""

    def count(program, caches="l1=32,l1_ways=2,l2=1024,l2_ways=16"):
        program.write(tmp_path / "program")
        out = tmp_path / "counts"
        command = [QEMU, "-plugin", f"{built},out={out},{caches}", tmp_path / "program"]
        subprocess.run(command, check=True, timeout=60)
        lines = out.read_text().splitlines()
        assert len(lines) == program.runs
        return json.loads(lines[-1])

    return count


@pytest.mark.parametrize("program", [Stream(100, 1), Stream(1000, 7)])
def test_everything_is_counted_exactly(count, program):
    found = count(program)
    assert found["instructions"] == program.instructions == sum(found["classes"].values())
    kinds = {name: number for name, number in found["classes"].items() if number}
    assert kinds == {
        "vector_load": program.reads,
        "fmla": program.reads,
        "integer": 1 + program.passes * 3 + program.reads + 3,
        "branch": program.reads + program.passes,
        "vector_store": 1,
        "system": 1,
    }
    assert {name: number for name, number in found["macs"].items() if number} == {"fmla": 4 * program.reads}
    assert (found["loads"], found["stores"]) == (program.reads, 1)
    assert (found["bytes_loaded"], found["bytes_stored"]) == (16 * program.reads, 16)


def test_what_fits_into_the_first_cache_misses_once(count):
    found = count(Stream(31 * KIB, 5))
    assert (found["l1_misses"], found["l2_misses"]) == (31 * KIB + 1, 31 * KIB + 1)


def test_what_fits_into_the_second_cache_misses_the_first_every_time(count):
    found = count(Stream(64 * KIB, 5))
    assert (found["l1_misses"], found["l2_misses"]) == (5 * 64 * KIB + 1, 64 * KIB + 1)


def test_what_fits_into_neither_misses_both(count):
    found = count(Stream(64 * KIB, 5), "l1=16,l1_ways=4,l2=32,l2_ways=16")
    assert found["l1_misses"] == found["l2_misses"] == 5 * 64 * KIB + 1


def test_a_cache_with_one_way_keeps_one_line_of_each_set(count):
    """129 lines on 128 sets: the first and the last drive each other out."""
    found = count(Stream(129, 10), "l1=8,l1_ways=1,l2=64,l2_ways=4")
    assert found["l1_misses"] == 129 + 9 * 2 + 1


def test_caches_that_are_emptied_miss_what_others_have_kept(count):
    """A second run finds all of 31 KiB of lines in the second cache; where that is emptied first, none."""
    first, second = (count(Stream(31 * KIB, 2, runs)) for runs in (1, 2))
    names = ("l1_misses", "l2_misses", "l1_misses_emptied", "l2_misses_emptied")
    assert [first[name] for name in names] == 4 * [31 * KIB + 1]
    assert [second[name] for name in names] == [0, 0, 31 * KIB + 1, 31 * KIB + 1]


@pytest.mark.parametrize("caches", ["l1=0,l1_ways=2,l2=64,l2_ways=4", "l1=32,l1_ways=3,l2=64,l2_ways=4", "l1=32"])
def test_caches_that_are_none_are_refused(count, caches):
    with pytest.raises(subprocess.CalledProcessError):
        count(Stream(1, 1), caches)


def test_it_is_built_once(built):
    before = built.stat().st_mtime_ns
    assert build_plugin(QEMU, built.parent) == built
    assert built.stat().st_mtime_ns == before
    assert list(built.parent.iterdir()) == [built]
    assert takes_plugins(QEMU)
    assert qemu_version(QEMU) in built.name


@pytest.mark.parametrize(
    ("version", "number"), [("6.0.0", 1), ("8.2.2", 1), ("9.0", 2), ("9.1.0", 3), ("10.0.13", 3), ("11.0.1", 3)]
)
def test_another_qemu_gets_another_plugin(built, tmp_path, version, number):
    other = tmp_path / "qemu"
    other.write_text(f"#!/bin/sh\necho 'qemu-aarch64 version {version} (Debian)'\n")
    other.chmod(0o700)
    made = build_plugin(str(other), tmp_path)
    assert made.name != built.name
    assert interface(version) == number
    assert (made.read_bytes() == built.read_bytes()) == (number == interface(qemu_version(QEMU)))


def test_without_a_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    if shutil.which(QEMU) is None:
        require(QEMU)
    (tmp_path / QEMU).symlink_to(shutil.which(QEMU))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="cc is missing, which builds the plugin that counts; apt-get install gcc"):
        build_plugin(QEMU, tmp_path / "plugins")


def test_what_is_no_qemu_is_said(tmp_path):
    with pytest.raises(DeviceError, match="nowhere: cannot be run"):
        qemu_version(str(tmp_path / "nowhere"))
    with pytest.raises(DeviceError, match="true: does not tell its version"):
        qemu_version("true")
