"""What a Mac's programs print, as facts: recorded outputs, and whatever else they may print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench import macos

AC = """Now drawing from 'AC Power'
 -InternalBattery-0 (id=4522083)	100%; charged; 0:00 remaining present: true
"""
BATTERY = """Now drawing from 'Battery Power'
 -InternalBattery-0 (id=22282339)	9%; discharging; (no estimate) present: true
"""
FINISHING = " -InternalBattery-0 (id=1)	97%; finishing charge; 0:11 remaining present: true\n"
COOL = """Note: No thermal warning level has been recorded
Note: No performance warning level has been recorded
Note: No CPU power status has been recorded
"""
INTEL = (
    "2026-11-30 09:00:00 +0000 CPU Power notify\n	CPU_Scheduler_Limit 	= 100\n	CPU_Speed_Limit 	= {limit}\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AC, "100%, charged"),
        (BATTERY, "9%, discharging"),
        (FINISHING, "97%, finishing charge"),
        ("Now drawing from 'AC Power'\n", None),
        ("", None),
    ],
)
def test_the_battery(text, expected):
    assert macos.battery(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COOL, 0),
        (INTEL.format(limit=100), 0),
        (INTEL.format(limit=62), 1),
        ("Thermal Warning Level = 2\n", 1),
        ("Note: No performance warning level has been recorded\n", None),
        ("", None),
    ],
)
def test_the_thermal_status(text, expected):
    assert macos.thermal_status(text) == expected


@given(st.text())
def test_whatever_they_print_is_no_error(text):
    assert macos.thermal_status(text) in (None, 0, 1)
    assert macos.battery(text) is None or "%" in macos.battery(text)


def facts(**known):
    """sysctl of a Mac that knows these, with underscores for dots."""
    return lambda *command: (
        f"{known[command[-1].replace('.', '_')]}\n" if known.get(command[-1].replace(".", "_")) else None
    )


def test_a_mac_with_one_kind_of_core(monkeypatch):
    monkeypatch.setattr(macos, "asked", facts(machdep_cpu_brand_string="Intel(R) Core(TM) i7", hw_l2cachesize=262144))
    told = macos.told()
    assert (told["cpu"], told["caches"]) == ("Intel(R) Core(TM) i7", (262144,))
    assert (told["battery"], told["thermal_status"]) == (None, None)


def test_a_mac_that_answers_nothing(monkeypatch):
    monkeypatch.setattr(macos, "asked", facts())
    told = macos.told()
    assert told.pop("load_1min") >= 0
    assert told == {"cpu": None, "caches": (), "battery": None, "thermal_status": None}
