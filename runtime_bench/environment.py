"""The state of a machine: what a measurement must say about where it was made. What cannot be read is null.

Linux has all of it in files of the kernel, so that a board's is read as this machine's is: by one command that prints
them. A Mac has programs that tell it (macos.py).
"""

import math
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from runtime_bench import macos, system
from runtime_bench.ranges import LARGEST, LONGEST_TEXT, MOST_CPUS, Amount, Count

ROOT = Path("/")
CPU = "sys/devices/system/cpu"
# Patterns of the shell, from the root.
FILES = (
    "proc/cpuinfo",
    "proc/loadavg",
    f"{CPU}/cpu[0-9]*/cpu_capacity",
    f"{CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    f"{CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq",
    f"{CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    f"{CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count",
    f"{CPU}/cpu0/cache/index[0-9]*/size",
    f"{CPU}/cpu0/cpuidle/state[0-9]*/name",
    f"{CPU}/cpuidle/current_driver",
    f"{CPU}/cpuidle/current_governor",
    f"{CPU}/cpuidle/current_governor_ro",
    "sys/class/thermal/thermal_zone*/temp",
    "sys/class/thermal/thermal_zone*/type",
    "sys/class/power_supply/*/type",
    "sys/class/power_supply/*/capacity",
    "sys/class/power_supply/*/status",
)
SYSTEM = "uname -m", "uname -sr", "nproc --all"
MARK = "==> "
# For the shell of a machine that is not this one: prints the files, and what the system says of itself.
DUMP = (
    f"for f in {' '.join('/' + pattern for pattern in FILES)}; do "
    f'if [ -r "$f" ]; then echo; echo "{MARK}${{f#/}}"; cat "$f" 2>/dev/null; fi; done; '
    + "; ".join(f'echo; echo "{MARK}{command}"; {command} 2>/dev/null' for command in SYSTEM)
)


class Environment(BaseModel):
    """One moment of a machine. Frequencies in MHz, temperatures in degrees Celsius, by zone.

    throttled: how often CPUs were slowed down for heat since the machine started. battery: percent and status.
    thermal_status: a phone's, from 0 (none) to 6 (shutting down). idle: how its CPUs sleep between inferences: driver,
    governor and states. caches: bytes of the first CPU's, the largest last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    machine: str
    cpu: str | None
    cores: Annotated[int, Field(ge=1, le=MOST_CPUS)]
    kernel: str
    python: str
    governor: str | None
    frequencies_mhz: tuple[Amount, ...]
    temperatures_c: dict[str, float]
    load_1min: Amount | None
    throttled: Count | None = None
    battery: str | None = None
    thermal_status: Count | None = None
    idle: str | None = None
    caches: tuple[Count, ...] = ()

    @property
    def is_arm(self) -> bool:
        """Whether its CPU is one of Arm's architecture."""
        return self.machine.startswith(("aarch64", "arm"))


class Core(NamedTuple):
    """One CPU now; what is not told is None. part: its designer and what it is, in Arm's numbers: (0x41, 0xd08)."""

    part: tuple[int, int] | None
    governor: str | None
    mhz: float | None


def local_environment() -> Environment:
    """This machine now."""
    found = _environment(
        local_files(),
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )
    return Environment(**dict(found) | macos.told()) if system.MACOS else found


def remote_environment(dump: str, python: str) -> Environment:
    """A machine that printed `dump` when it was asked to DUMP, and has a Python of that version."""
    files = remote_files(dump)
    machine, kernel, cores = (files.get(command, "") for command in SYSTEM)
    told, processors = whole_number(cores), len(_fields(files).get("processor", ()))
    return _environment(
        files,
        machine=machine or "unknown",
        cores=told if told is not None and 1 <= told <= MOST_CPUS else min(max(1, processors), MOST_CPUS),
        kernel=kernel or "unknown",
        python=python,
    )


def local_files() -> dict[str, str]:
    """The kernel's files of this machine, by their path from the root, without the white space around them."""
    found = {}
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            try:
                found[path.relative_to(ROOT).as_posix()] = path.read_text(errors="replace").strip()
            except OSError:
                continue
    return found


def remote_files(dump: str) -> dict[str, str]:
    """The same of what DUMP printed, and the answers to SYSTEM by their command."""
    parts = [part.partition("\n") for part in f"\n{dump}".split(f"\n{MARK}")[1:]]
    return {name.strip(): text.strip() for name, _, text in parts}


def fastest_cpus(files: Mapping[str, str], usable: Iterable[int], count: int) -> tuple[int, ...]:
    """The `count` fastest of the usable CPUs (fewer if there are fewer): by capacity, else by frequency."""

    def speed(cpu: int) -> float:
        folder = f"{CPU}/cpu{cpu}"
        known = (_number(files.get(f"{folder}/{name}")) for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"))
        return next((value for value in known if value), 0.0)

    return tuple(sorted(sorted(usable, key=speed, reverse=True)[:count]))


def core(files: Mapping[str, str], cpu: int) -> Core:
    """What the kernel's files say of a CPU by its number."""
    folder = f"{CPU}/cpu{cpu}/cpufreq"
    mhz = (_number(files.get(f"{folder}/scaling_cur_freq")) or 0.0) / 1000
    return Core(_part(files, cpu), files.get(f"{folder}/scaling_governor"), mhz if 1 <= mhz < 1e5 else None)


def _part(files: Mapping[str, str], cpu: int) -> tuple[int, int] | None:
    for block in files.get("proc/cpuinfo", "").split("\n\n"):
        fields = _fields({"proc/cpuinfo": block})
        if fields.get("processor", [""])[0] == str(cpu):
            try:
                return int(fields["CPU implementer"][0], 16), int(fields["CPU part"][0], 16)
            except (KeyError, ValueError):
                return None
    return None


def _environment(files: Mapping[str, str], *, machine: str, cores: int, kernel: str, python: str) -> Environment:
    fields = _fields(files)
    load = _amount((files.get("proc/loadavg") or "").partition(" ")[0])
    throttled = [whole_number(text) for text in _of(files, "thermal_throttle/core_throttle_count").values()]
    counts = [count for count in throttled if count is not None]
    return Environment(
        machine=machine,
        cpu=next((fields[key][0] for key in ("model name", "Model", "Hardware") if key in fields), None),
        cores=cores,
        kernel=kernel,
        python=python,
        governor=files.get(f"{CPU}/cpu0/cpufreq/scaling_governor"),
        frequencies_mhz=_frequencies(files, fields),
        temperatures_c=_temperatures(files),
        load_1min=None if load is None else round(load, 2),
        throttled=min(sum(counts), LARGEST) if counts else None,
        battery=_battery(files),
        idle=_idle(files),
        caches=_caches(files),
    )


def _fields(files: Mapping[str, str]) -> dict[str, list[str]]:
    """What /proc/cpuinfo says, in the order of the CPUs."""
    fields: dict[str, list[str]] = {}
    for line in files.get("proc/cpuinfo", "").splitlines():
        name, found, value = line.partition(":")
        if found:
            fields.setdefault(name.strip(), []).append(value.strip())
    return fields


def _of(files: Mapping[str, str], name: str) -> dict[str, str]:
    """Files of that name by the folder that they lie in, cpu2 before cpu10."""
    found = {path.removesuffix(f"/{name}"): text for path, text in files.items() if path.endswith(f"/{name}")}
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def _frequencies(files: Mapping[str, str], fields: Mapping[str, list[str]]) -> tuple[float, ...]:
    current = [_amount(text) for text in _of(files, "cpufreq/scaling_cur_freq").values()]
    if current:
        return tuple(khz / 1000 for khz in current if khz is not None)
    return tuple(mhz for mhz in map(_amount, fields.get("cpu MHz", [])) if mhz is not None)


def _temperatures(files: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for folder, text in _of(files, "temp").items():
        value = _number(text)
        if value is not None:
            found[f"{folder.rpartition('/')[2]}:{files.get(f'{folder}/type') or '?'}"] = value / 1000
    return found


def _battery(files: Mapping[str, str]) -> str | None:
    for folder, kind in _of(files, "type").items():
        if kind == "Battery":
            capacity, status = files.get(f"{folder}/capacity"), files.get(f"{folder}/status")
            return f"{capacity or '?'}%, {status or 'status unknown'}"
    return None


def _idle(files: Mapping[str, str]) -> str | None:
    """As in 'intel_idle, governor menu, states POLL C1 C6'."""
    told = {name: files.get(f"{CPU}/cpuidle/current_{name}") for name in ("driver", "governor", "governor_ro")}
    governor, states = told["governor"] or told["governor_ro"], " ".join(_of(files, "name").values())
    parts = (told["driver"], governor and f"governor {governor}", states and f"states {states}")
    return ", ".join(filter(None, parts))[:LONGEST_TEXT] or None


def _caches(files: Mapping[str, str]) -> tuple[int, ...]:
    units = {"K": 1 << 10, "M": 1 << 20}
    sizes = [(whole_number(text[:-1]), units.get(text[-1:])) for text in _of(files, "size").values()]
    known = [number * unit for number, unit in sizes if number and unit]
    return tuple(sorted(size for size in known if size <= LARGEST))


def whole_number(text: str) -> int | None:
    """A number that results can hold, or None for anything else, 10^30 too."""
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
    return found if found is not None and found <= LARGEST else None


def _amount(text: str | None) -> float | None:
    """A number that is not below 0 and that results can hold, or None."""
    value = _number(text)
    return value if value is not None and 0 <= value <= LARGEST else None


def _number(text: str | None) -> float | None:
    """A finite number, or None: the kernel writes "<unknown>" where a driver does not tell."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
