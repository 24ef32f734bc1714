"""What a Mac tells of itself, by the programs that come with it: sysctl and pmset. What they do not say is None."""

import os
import re
from typing import Any

from runtime_bench.system import asked

KINDS = ("performance", "efficiency")  # of cores, as hw.perflevel0 and hw.perflevel1
NORMAL, SLOWED = 0, 1  # of a thermal status: how much slower is not told on the scale that phones have


def told() -> dict[str, Any]:
    """Fields of an Environment: the CPU with its kinds of cores, caches, load, battery and thermal status."""
    return {
        "cpu": _cpu(),
        "caches": _caches(),
        "load_1min": round(os.getloadavg()[0], 2),
        "battery": battery(asked("pmset", "-g", "batt") or ""),
        "thermal_status": thermal_status(asked("pmset", "-g", "therm") or ""),
    }


def _cpu() -> str | None:
    """As in 'Apple M1 (4 performance and 4 efficiency cores)'."""
    name = _fact("machdep.cpu.brand_string")
    counts = [(_number(f"hw.perflevel{level}.logicalcpu"), kind) for level, kind in enumerate(KINDS)]
    cores = " and ".join(f"{count} {kind}" for count, kind in counts if count)
    return f"{name} ({cores} cores)" if name and cores else name


def _caches() -> tuple[int, ...]:
    """Bytes of a performance core's data caches where there are several kinds of cores, the largest last."""
    found = []
    for name in ("l1dcachesize", "l2cachesize", "l3cachesize"):
        size = _number(f"hw.perflevel0.{name}") or _number(f"hw.{name}")
        found += [size] if size else []
    return tuple(sorted(found))


def battery(text: str) -> str | None:
    """Percent and status in what `pmset -g batt` says: '87%, discharging'; None without a battery."""
    found = re.search(r"InternalBattery.*?([0-9]{1,3})%;\s*([a-zA-Z ]+?)\s*;", text)
    return None if found is None else f"{found[1]}%, {found[2]}"


def thermal_status(text: str) -> int | None:
    """Whether `pmset -g therm` says that the machine is warned of or slowed down for heat; None if it says neither."""
    levels = re.findall(r"(CPU_Speed_Limit|Thermal Warning Level|thermal warning level)\s*=\s*([0-9]{1,9})", text)
    if any(int(level) < 100 if name == "CPU_Speed_Limit" else int(level) > 0 for name, level in levels):
        return SLOWED
    return NORMAL if levels or "No thermal warning level has been recorded" in text else None


def _fact(name: str) -> str | None:
    return (asked("sysctl", "-n", name) or "").strip() or None


def _number(name: str) -> int | None:
    text = _fact(name) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
