"""The state of a machine: this one's, and the odd things that kernels write."""

import os
import platform
from pathlib import Path

import pytest

from runtime_bench import environment
from runtime_bench.environment import Environment, local_environment


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Writes files where the kernel's are looked for: an empty tree at first."""
    for name, place in (("CPUINFO", "cpuinfo"), ("CPUS", "cpu"), ("THERMAL", "thermal")):
        monkeypatch.setattr(environment, name, tmp_path / place)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
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
