"""Every pin can be installed without a compiler where the project is said to run: pip says so of its index."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PINS = [Requirement(line) for line in (Path(__file__).parents[1] / "constraints.txt").read_text().splitlines() if line]
PYTHONS = ("3.11", "3.12", "3.13")
# What a marker may ask of a system, and the tags of wheels that it takes, the newest first.
MANYLINUX = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
SYSTEMS = {
    "linux x86-64": ("linux", "x86_64", [f"{tag}_x86_64" for tag in MANYLINUX]),
    "linux arm64": ("linux", "aarch64", [f"{tag}_aarch64" for tag in MANYLINUX]),
    "macos arm64": (
        *("darwin", "arm64"),
        [*(f"macosx_{version}_0_arm64" for version in (14, 13, 12, 11)), "macosx_11_0_universal2"],
    ),
}


def test_every_pin_is_of_one_version():
    assert len(PINS) > 50
    for pin in PINS:
        (version,) = pin.specifier
        assert (version.operator, pin.url, pin.extras) == ("==", None, set())


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_pin_has_a_wheel(system, python, tmp_path):
    platform, machine, tags = SYSTEMS[system]
    there = {"sys_platform": platform, "platform_machine": machine, "python_version": python}
    pins = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(there)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"),
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
            *(f"--platform={tag}" for tag in tags),
            *("--target", str(tmp_path), "--report", str(tmp_path / "report.json")),
            *(f"{pin.name}{pin.specifier}" for pin in pins),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "report.json").read_text())["install"]
    assert len(found) == len(pins)
    assert all(each["download_info"]["url"].endswith(".whl") for each in found)
