"""Builds the plugin that counts (plugin.c) for the QEMU of this machine."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from runtime_bench.errors import DeviceError

SOURCES = [Path(__file__).with_name(name) for name in ("plugin.c", "aarch64.h", "qemu_plugin.h")]
COMPILER = "cc"
OPTIONS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden")


def qemu_version(qemu: str) -> str:
    """As in 7.2.22. Raises DeviceError for what is no QEMU."""
    found = re.search(r"version (\d+\.\d+(?:\.\d+)*)", _said(qemu, "--version"))
    if found is None:
        raise DeviceError(f"{qemu}: does not tell its version")
    return found[1]


def takes_plugins(qemu: str) -> bool:
    """Whether this QEMU was built with plugins: Debian's is up to Debian 12."""
    return "-plugin" in _said(qemu, "-h")


def interface(version: str) -> int:
    """The version of its plugin interface that QEMU of this version takes."""
    number = tuple(map(int, version.split(".")[:2]))
    return 1 if number < (9, 0) else 2 if number < (9, 1) else 3


def build_plugin(qemu: str, folder: Path) -> Path:
    """The plugin, built once for each version of QEMU and kept in a folder. Raises DeviceError if it cannot be."""
    version = qemu_version(qemu)
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in SOURCES)).hexdigest()[:12]
    path = folder / f"counting-{digest}-qemu-{version}.so"
    if path.exists():
        return path
    if shutil.which(COMPILER) is None:
        raise DeviceError(f"{COMPILER} is missing, which builds the plugin that counts; apt-get install gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".counting-") as temporary:
        built = Path(temporary, "plugin.so")
        command = [COMPILER, *OPTIONS, f"-DAPI={interface(version)}", str(SOURCES[0]), "-o", str(built)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.splitlines() or ["it does not say why"]
            raise DeviceError(f"{SOURCES[0]}: {COMPILER} fails: {said[0]}")
        built.rename(path)
    return path


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{command[0]}: cannot be run ({error})") from error
