"""An arm64 machine's shell, tools and Python, for boards and phones of tests: Debian's own programs, run by QEMU.

Without privileges: where the kernel runs no arm64 program by itself (binfmt_misc), each is behind a script of its name,
and PATH leads to these scripts only. Python and the runtimes are those of `falcon-edge devices setup arm64`.
"""

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from arm64 import require, userland

from runtime_bench.devices.arm64.cpus import CORES
from runtime_bench.devices.arm64.cpus import DEFAULT as CPU
from runtime_bench.devices.arm64.device import QEMU
from runtime_bench.devices.arm64.sysroot import Sysroot, download, unpack
from runtime_bench.environment import CPU as CPUS
from runtime_bench.errors import DeviceError

PACKAGES = "dash", "coreutils", "mksh", "toybox"
ACCESS = Path(__file__).with_name("arm64_access.c")
GOVERNOR, MHZ, DEGREES = "schedutil", 1500, 48.5  # what the kernel's files say
HIDDEN = "-U", "LD_PRELOAD"  # from the program: it is for QEMU
OTHER_MACHINE = 0xF41C  # no machine's number in the head of a program


class Machine:
    """A machine with the CPU that is emulated by default. cache: pytest's, where its programs are kept."""

    def __init__(self, cache, folder: Path):
        self._userland, self._programs = userland(), _programs(cache)
        self._tools = _sysroot(folder / "tools", self._programs)
        self._python = _sysroot(folder / "python", self._userland.folder / "root")
        self._qemu, self._access = shutil.which(QEMU), folder / "access.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self._access, ACCESS], check=True)

    def be_board(self, board) -> None:
        """A board's shell is dash, and its tools are GNU's: as on Debian."""
        programs = {path.name: path for path in (self._programs / "bin").iterdir()}
        self._equip(board, programs | {"sh": programs["dash"]})

    def be_phone(self, phone) -> None:
        """A phone's shell is mksh, and its tools are toybox: as on Android."""
        toybox = self._programs / "bin/toybox"
        listed = subprocess.run([*self._emulator("toybox"), toybox], capture_output=True, text=True, check=True)
        self._equip(phone, dict.fromkeys(listed.stdout.split(), toybox) | {"sh": self._programs / "bin/mksh"})

    def python(self, *options: str, **variables) -> str:
        """What runs its Python, for a shell."""
        settings = [word for name, value in variables.items() for word in ("-E", f"{name}={value}")]
        return self._line(self._python, *self._python.command(self._qemu, CPU, *HIDDEN, *settings), *options)

    @property
    def packages(self) -> Path:
        """Where Python's packages lie."""
        (folder,) = self._userland.folder.glob("root/usr/local/lib/python3.*/dist-packages")
        return folder

    def program_for_another(self) -> bytes:
        """A program that is for neither machine, as a kernel sees it."""
        program = bytearray((self._programs / "bin/dash").read_bytes())
        program[18:20] = OTHER_MACHINE.to_bytes(2, "little")
        return bytes(program)

    def _equip(self, where, programs: dict[str, Path]) -> None:
        for name, program in programs.items():
            path = where.tools / name
            path.write_text(f'#!/bin/sh\nexec {self._line(self._tools, *self._emulator(name), program)} "$@"\n')
            path.chmod(0o755)
        where.answer_by(f'exec {self.python()} "$@"')
        where.use_tools_only()

    def _emulator(self, name: str) -> tuple[str, ...]:
        """What runs a program of the tools under a name."""
        return self._tools.command(self._qemu, CPU, *HIDDEN, "-0", name)[:-1]

    def _line(self, root: Sysroot, *words) -> str:
        settings = f"LD_PRELOAD={self._access}", f"QEMU_LD_PREFIX={root.folder / 'cpus' / CPU.name}"
        return shlex.join(["/usr/bin/env", *settings, *map(str, words)])


def _sysroot(folder: Path, root: Path) -> Sysroot:
    """A userland for QEMU with what is below `root`, and what Linux says of the CPU, its clock and its heat."""
    prefix = folder / "cpus" / CPU.name
    CPU.write_overlay(prefix)
    files = {"sys/class/thermal/thermal_zone0/type": "cpu", "sys/class/thermal/thermal_zone0/temp": 1000 * DEGREES}
    for core in range(CORES):
        of_core = f"{CPUS}/cpu{core}"
        files |= {f"{of_core}/cpufreq/scaling_governor": GOVERNOR, f"{of_core}/cpufreq/scaling_cur_freq": 1000 * MHZ}
        files[f"{of_core}/cpu_capacity"] = 1024
    for name, text in files.items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(f"{text}\n")
    for entry in root.iterdir():
        if entry.name not in ("proc", "sys"):
            (prefix / entry.name).symlink_to(entry)
    return Sysroot(folder)


def _programs(cache) -> Path:
    """A folder with PACKAGES and what they need; it appears when it is whole."""
    folder = cache.mkdir("arm64") / "-".join(PACKAGES)
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        root = Path(temporary, "root")
        for name in ("bin", "sbin", "lib"):
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        try:
            archives = download(PACKAGES, Path(temporary, "apt"), lambda done, total, text: None)
        except DeviceError as error:
            require(str(error))
        for archive in archives:
            unpack(archive, root)
        root.rename(folder)
    return folder
