"""What only some systems give: here as on Linux, and as where it is missing."""

import os
import subprocess
import sys
import time

import pytest

from runtime_bench import system

SLEEPS = (
    sys.executable,
    "-c",
    "import time; print(flush=True); taken = bytearray(b'1') * (100 << 20); time.sleep(600)",
)


def test_the_resident_set_of_another_process():
    with subprocess.Popen(SLEEPS, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        until = time.monotonic() + 60
        while (found := system.resident(process.pid)) < 100 << 20 and time.monotonic() < until:
            time.sleep(0.1)
        process.kill()
    assert 100 << 20 < found < 400 << 20
    assert system.resident(process.pid) is None


def test_only_where_the_kernel_does_not_limit_memory_it_is_watched(monkeypatch):
    assert system.watched_memory(1 << 30) is None
    monkeypatch.setattr(system, "MACOS", True)
    assert system.watched_memory(1 << 30) == 1 << 30
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0.7 * memory < system.watched_memory(None) <= 0.75 * memory


def test_what_no_program_tells_is_none():
    assert system.asked("falcon-edge-no-such-program") is None
    assert system.asked("false") is None
    assert system.asked("echo", "told") == "told\n"


def test_where_no_process_is_put_on_cpus(monkeypatch):
    assert system.usable_cpus() == sorted(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert system.usable_cpus() is None


@pytest.mark.parametrize("number", [9, 40])
def test_signals_by_name(number):
    assert system.signal_name(number) == {9: "SIGKILL", 40: "signal 40"}[number]


def test_of_what_is_missing_nothing_is_done(monkeypatch):
    monkeypatch.delattr(system.resource, "prlimit")
    limits = (
        system.resource.getrlimit(system.resource.RLIMIT_AS),
        system.resource.getrlimit(system.resource.RLIMIT_FSIZE),
    )
    system.limit_memory(os.getpid(), 1 << 40)
    system.limit_output(os.getpid(), 1 << 40)
    assert limits == (
        system.resource.getrlimit(system.resource.RLIMIT_AS),
        system.resource.getrlimit(system.resource.RLIMIT_FSIZE),
    )
    monkeypatch.delattr(system.select, "poll")
    assert system.ready(0, to_write=False, seconds=0)
