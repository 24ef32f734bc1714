"""What a worker may take of the machine, whatever file it is given."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError
from runtime_bench.worker import LARGEST_FILE


def limits(worker):
    """Soft and hard limits of a running worker, by their names in /proc."""
    lines = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in lines}


def mapped(worker):
    return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("name", ["vgg.onnx", "vgg.tflite"])
def test_a_file_gets_three_quarters_of_the_memory(files, load, name):
    worker, _ = load(files[name])
    soft, hard = map(int, limits(worker)["Max address space"])
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert soft == hard
    assert memory * 3 // 4 < soft <= memory * 3 // 4 + mapped(worker)


def test_a_crash_leaves_no_core_file(start):
    worker = start()
    worker.ask("memory", timeout=20)
    assert limits(worker)["Max core file size"] == ("0", "0")


# A worker that may write less, after `before` was executed in its process.
SMALL = "import runtime_bench.worker as w; w.LARGEST_FILE = {size}; {before}; w.main()"


def test_a_worker_may_write_only_so_much_to_a_file(start):
    worker = start()
    worker.ask("memory", timeout=20)
    assert limits(worker)["Max file size"] == (str(LARGEST_FILE), str(LARGEST_FILE))


def test_outputs_that_are_too_large_are_an_error_and_not_the_end(tmp_path, files, start):
    worker = start(SMALL.format(size=10, before="0"))
    worker.ask("load", timeout=60, path=str(files["vgg.onnx"]), runtime="onnxruntime", threads=1)
    np.zeros((1, 3, 24, 24), "<f4").tofile(tmp_path / "in")
    for _ in range(2):
        with pytest.raises(WorkerError, match="replay: ") as caught:
            worker.ask("replay", timeout=60, inputs=[str(tmp_path / "in")], outputs=[str(tmp_path / "out")])
        assert (caught.value.kind, len(str(caught.value).splitlines())) == ("runtime", 1)
    assert (tmp_path / "out").stat().st_size <= 10
    assert len(worker.ask("measure", timeout=60, runs=2)["samples_ns"]) == 2


def test_what_a_runtime_prints_is_bounded_and_the_worker_goes_on(files, start):
    size, flood = 100_000, "libc.puts(b'x' * 1000) + libc.fflush(0)"
    watch = f"lambda event, of: event == 'import' and of[0] == 'numpy' and [{flood} for _ in range(1000)]"
    worker = start(
        SMALL.format(size=size, before=f"import ctypes, sys; libc = ctypes.CDLL(None); sys.addaudithook({watch})")
    )
    worker.ask("load", timeout=60, path=str(files["vgg.onnx"]), runtime="onnxruntime", threads=1)
    assert len(worker.ask("measure", timeout=60, runs=2)["samples_ns"]) == 2
    assert size // 2 < os.fstat(worker._errors.fileno()).st_size <= size


def test_a_run_without_end_is_ended_by_the_kernel(files, load):
    worker, _ = load(files["vgg.onnx"])
    with pytest.raises(WorkerError, match="warm_up: the worker was killed by SIGXCPU") as caught:
        worker.ask("warm_up", timeout=120, cpu_seconds=0.5, runs=1, seconds=100)
    assert (caught.value.kind, caught.value.signal) == ("signal", "SIGXCPU")


def test_every_request_has_its_own_time_on_the_cpus(files, load):
    worker, _ = load(files["vgg.onnx"])

    def used():
        user, system = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    until = used() + 3
    while used() < until:
        worker.ask("warm_up", timeout=60, cpu_seconds=1, runs=1, seconds=0.3)


def test_a_time_without_end_is_a_time(files, load):
    worker, _ = load(files["vgg.onnx"])
    assert worker.ask("warm_up", timeout=60, cpu_seconds=1e300, runs=1, seconds=0)["runs"] == 1


@pytest.mark.parametrize("memory_limit", [None, 1 << 50])
def test_limits_that_were_set_before_stay(files, load, memory_limit):
    gigabytes = 4
    shell = f'ulimit -v {gigabytes << 20}; ulimit -t 500; exec "$@"'
    worker, _ = load(
        files["vgg.tflite"], device=LocalDevice(("sh", "-c", shell, "sh", sys.executable)), memory_limit=memory_limit
    )
    worker.ask("warm_up", timeout=60, cpu_seconds=1000, runs=1, seconds=0)
    found = limits(worker)
    assert int(found["Max address space"][1]) <= gigabytes << 30
    assert found["Max cpu time"] == ("500", "500")
