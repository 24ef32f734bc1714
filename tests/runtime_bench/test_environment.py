"""The state of a machine: this one's, and the odd things that kernels write."""

import os
import platform
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench import environment
from runtime_bench.environment import (
    CPU,
    DUMP,
    Core,
    Environment,
    core,
    fastest_cpus,
    local_environment,
    local_files,
    remote_environment,
    remote_files,
)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Writes files where the kernel's are looked for: an empty tree at first."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    places = {"cpuinfo": "proc/cpuinfo", "cpu": "sys/devices/system/cpu", "thermal": "sys/class/thermal"}

    def write(**files):
        for name, text in files.items():
            first, _, rest = name.partition("__")
            path = tmp_path / places[first] / rest.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def test_this_machine():
    found = local_environment()
    assert found.machine == platform.machine()
    assert found.cores == os.cpu_count()
    assert found.kernel == f"Linux {os.uname().release}"
    assert found.python == platform.python_version()
    assert found.load_1min >= 0
    assert all(10 < mhz < 10_000 for mhz in found.frequencies_mhz)
    assert all(-50 < celsius < 150 for celsius in found.temperatures_c.values())
    text = Path("/proc/cpuinfo").read_text()
    if "model name" in text:
        assert found.cpu
        assert f": {found.cpu}\n" in text
    assert Environment.model_validate_json(found.model_dump_json()) == found


def test_what_cannot_be_read_is_null(kernel):
    found = local_environment()
    assert (found.cpu, found.governor, found.frequencies_mhz, found.temperatures_c) == (None, None, (), {})
    assert found.cores > 0


def test_a_board_with_everything(kernel):
    kernel(cpuinfo="processor\t: 0\n\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4\n")
    kernel(cpu__cpu0__cpufreq__scaling_governor="performance\n")
    for number, khz in ((0, 1500000), (2, 1700000), (10, 600000)):
        kernel(**{f"cpu__cpu{number}__cpufreq__scaling_cur_freq": f"{khz}\n"})
    kernel(thermal__thermal_zone0__temp="48312\n", thermal__thermal_zone0__type="cpu-thermal\n")
    kernel(thermal__thermal_zone1__temp="-1500\n")
    found = local_environment()
    assert (found.cpu, found.governor) == ("Raspberry Pi 4", "performance")
    assert found.frequencies_mhz == (1500.0, 1700.0, 600.0)
    assert found.temperatures_c == {"thermal_zone0:cpu-thermal": 48.312, "thermal_zone1:?": -1.5}


def test_frequencies_of_a_machine_without_cpufreq(kernel):
    kernel(cpuinfo="model name\t: A CPU\ncpu MHz\t\t: 2100.500\n\nmodel name\t: A CPU\ncpu MHz\t\t: unknown\n")
    assert local_environment().cpu == "A CPU"
    assert local_environment().frequencies_mhz == (2100.5,)


def test_what_is_no_number_is_left_out(kernel):
    kernel(cpu__cpu0__cpufreq__scaling_cur_freq="<unknown>\n", cpu__cpu1__cpufreq__scaling_cur_freq="800000\n")
    kernel(thermal__thermal_zone0__temp="", thermal__thermal_zone1__temp="nan\n", thermal__thermal_zone2__temp="7000\n")
    kernel(thermal__thermal_zone2__type=b"\xff\xfe\n")
    found = local_environment()
    assert found.frequencies_mhz == (800.0,)
    assert list(found.temperatures_c.values()) == [7.0]


def test_another_machine_is_read_by_what_its_shell_prints():
    dump = subprocess.run(["sh", "-c", DUMP], capture_output=True, text=True, check=True).stdout
    here, there = local_environment(), remote_environment(dump, platform.python_version())
    moving = {"frequencies_mhz", "temperatures_c", "load_1min", "battery"}
    assert here.model_dump(exclude=moving) == there.model_dump(exclude=moving)
    assert set(remote_files(dump)) == {*local_files(), "uname -m", "uname -sr", "nproc --all"}


def test_a_shell_that_knows_little():
    found = remote_environment("sh: nothing works here\n", "3.8.1")
    assert (found.machine, found.kernel, found.cores, found.python) == ("unknown", "unknown", 1, "3.8.1")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 12))
def test_the_fastest_cpus_come_first(speeds, count):
    files = {f"{CPU}/cpu{number}/cpufreq/cpuinfo_max_freq": str(1000 * speed) for number, speed in enumerate(speeds)}
    found = fastest_cpus(files, range(len(speeds)), count)
    assert len(found) == min(count, len(speeds))
    assert list(found) == sorted(set(found))
    left = [speed for number, speed in enumerate(speeds) if number not in found]
    assert max(left, default=0) <= min(speeds[number] for number in found)


def test_capacity_goes_before_frequency():
    files = {f"{CPU}/cpu0/cpu_capacity": "446", f"{CPU}/cpu1/cpu_capacity": "1024"}
    files[f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq"] = "9000000"
    assert fastest_cpus(files, (0, 1), 1) == (1,)


A_BOARD = """processor	: 0
CPU implementer	: 0x41
CPU part	: 0xd05

processor	: 10
BogoMIPS	: 48.00
CPU implementer	: 0x41
CPU part	: 0xd0b

Hardware	: A Chip
"""


def test_a_core_is_told_from_the_others():
    files = {
        "proc/cpuinfo": A_BOARD,
        f"{CPU}/cpu10/cpufreq/scaling_governor": "performance",
        f"{CPU}/cpu10/cpufreq/scaling_cur_freq": "2400000",
        f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1",
    }
    assert core(files, 0) == Core((0x41, 0xD05), None, None)
    assert core(files, 10) == Core((0x41, 0xD0B), "performance", 2400.0)
    assert core(files, 1) == Core(None, None, None)


@given(st.text(), st.text())
def test_whatever_the_kernel_writes_of_a_core_is_read(text, frequency):
    block = f"processor: 0\nCPU implementer: {text}\nCPU part: {text}"
    found = core({"proc/cpuinfo": block, f"{CPU}/cpu0/cpufreq/scaling_cur_freq": frequency}, 0)
    assert found.mhz is None or 1 <= found.mhz < 1e5
    assert found.part is None or len(found.part) == 2
