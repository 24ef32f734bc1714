"""Child processes within limits: by the kernel, and by whoever started them where the kernel refuses."""

import subprocess
import sys
import time
from functools import partial

import pytest

from converters import system

HUNGRY = "import time; taken = [(bytearray(b'1') * (32 << 20), time.sleep(0.02)) for _ in range(64)]; time.sleep(60)"


def run(source, **options):
    return system.run([sys.executable, "-c", source], **{"seconds": 60, "memory": 1 << 40} | options)


def test_what_a_child_says(tmp_path):
    source = "import os, sys; print(os.getcwd(), os.environ['A']); print('no', file=sys.stderr); sys.exit(3)"
    done = run(source, environment={"A": "b"}, folder=tmp_path)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (3, f"{tmp_path} b\n", b"no\n")


@pytest.mark.parametrize("macos", [False, True])
def test_a_child_that_takes_too_long_is_killed_and_what_it_said_is_kept(monkeypatch, macos):
    monkeypatch.setattr(system, "MACOS", macos)
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run("import time; print('said', flush=True); time.sleep(60)", seconds=3)
    assert caught.value.stdout == b"said\n"
    assert 3 <= time.monotonic() - started < 30


def test_a_child_that_takes_too_much_memory_is_killed(monkeypatch):
    monkeypatch.setattr(system, "MACOS", True)
    with pytest.raises(MemoryError):
        run(HUNGRY, memory=300 << 20, prepare=partial(system.limit_memory, 300 << 20))


def test_the_kernel_limits_memory_where_it_can():
    done = run(HUNGRY, prepare=partial(system.limit_memory, 300 << 20))
    assert done.returncode == 1
    assert done.stderr.strip().endswith(b"MemoryError")
