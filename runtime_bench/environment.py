"""The state of a machine: what a measurement must say about where it was made. What cannot be read is null."""

import math
import os
import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict

CPUINFO, CPUS = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu")
THERMAL, POWER = Path("/sys/class/thermal"), Path("/sys/class/power_supply")


class Environment(BaseModel):
    """One moment of a machine. Frequencies in MHz, temperatures in degrees Celsius, by zone.

    throttled: how often CPUs were slowed down for heat since the machine started. battery: percent and status.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    machine: str
    cpu: str | None
    cores: int
    kernel: str
    python: str
    governor: str | None
    frequencies_mhz: tuple[float, ...]
    temperatures_c: dict[str, float]
    load_1min: float | None
    throttled: int | None = None
    battery: str | None = None


def local_environment() -> Environment:
    """This machine now."""
    fields = _cpuinfo()
    return Environment(
        machine=platform.machine(),
        cpu=next((fields[key][0] for key in ("model name", "Model", "Hardware") if key in fields), None),
        cores=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        governor=_text(CPUS / "cpu0/cpufreq/scaling_governor"),
        frequencies_mhz=_frequencies(fields),
        temperatures_c=_temperatures(),
        load_1min=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        throttled=_throttled(),
        battery=_battery(),
    )


def fastest_cpus(count: int) -> tuple[int, ...]:
    """The `count` fastest CPUs that this process may use (fewer if there are fewer): by capacity, else by frequency."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]

    def speed(cpu: int) -> float:
        folder = CPUS / f"cpu{cpu}"
        return _number(folder / "cpu_capacity") or _number(folder / "cpufreq/cpuinfo_max_freq") or 0.0

    return tuple(sorted(sorted(usable, key=speed, reverse=True)[:count]))


def _cpuinfo() -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for line in (_text(CPUINFO) or "").splitlines():
        name, found, value = line.partition(":")
        if found:
            fields.setdefault(name.strip(), []).append(value.strip())
    return fields


def _frequencies(fields: dict[str, list[str]]) -> tuple[float, ...]:
    folders = sorted(CPUS.glob("cpu[0-9]*"), key=lambda folder: (len(folder.name), folder.name))  # cpu2 before cpu10
    files = [folder / "cpufreq/scaling_cur_freq" for folder in folders]
    current = [_number(path) for path in files if path.exists()]
    if current:
        return tuple(khz / 1000 for khz in current if khz is not None)
    return tuple(mhz for mhz in map(_parsed, fields.get("cpu MHz", [])) if mhz is not None)


def _temperatures() -> dict[str, float]:
    found = {}
    for zone in sorted(THERMAL.glob("thermal_zone*")):
        value = _number(zone / "temp")
        if value is not None:
            found[f"{zone.name}:{_text(zone / 'type') or '?'}"] = value / 1000
    return found


def _throttled() -> int | None:
    counts = [_number(path) for path in CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    found = [int(count) for count in counts if count is not None]
    return sum(found) if found else None


def _battery() -> str | None:
    for supply in sorted(POWER.glob("*")):
        if _text(supply / "type") == "Battery":
            return f"{_text(supply / 'capacity') or '?'}%, {_text(supply / 'status') or 'status unknown'}"
    return None


def _number(path: Path) -> float | None:
    return _parsed(_text(path) or "")


def _parsed(text: str) -> float | None:
    """A finite number, or None: the kernel writes "<unknown>" where a driver does not tell."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
