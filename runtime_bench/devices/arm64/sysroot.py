"""The arm64 userland that QEMU runs: Debian's Python and the runtimes' wheels, without root in the user's cache folder.

~/.cache/falcon-edge/arm64-PINS/
  root/         Debian packages, and the wheels in usr/local/lib/python3.X/dist-packages
  cpus/NAME/    for qemu -L: links to what is in root, and proc and sys of that CPU
  state.json    versions, the packages with their hashes, and the hash of every file
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runtime_bench.devices.arm64.cpus import CPUS, DEFAULT, Cpu
from runtime_bench.errors import DeviceError
from runtime_bench.files import hash_file
from runtime_bench.system import alone

LAYOUT = 1
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libgcc-s1", "libstdc++6")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
STATE = "state.json"
LIMIT = 600.0
Progress = Callable[[int, int, str], None]
# Imports what models need, which also leaves its byte code for later, and prints the versions.
TRIAL = """
import json, platform, sys
import ai_edge_litert, numpy, onnxruntime
from ai_edge_litert.interpreter import Interpreter
assert platform.machine() == "aarch64", platform.machine()
versions = {"onnxruntime": onnxruntime.__version__, "ai-edge-litert": ai_edge_litert.__version__}
print(json.dumps({"python": platform.python_version(), "numpy": numpy.__version__} | versions))
"""


@dataclass(frozen=True)
class Sysroot:
    """A userland in a folder, as it says itself; `damage` tells whether it is whole."""

    folder: Path

    @cached_property
    def state(self) -> dict[str, dict[str, str]]:
        """What state.json says; empty where there is none that can be read."""
        try:
            state = json.loads((self.folder / STATE).read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    @property
    def versions(self) -> dict[str, str]:
        """Versions of Python, numpy and the runtimes."""
        return self.state["versions"]

    @property
    def packages(self) -> dict[str, str]:
        """The Debian packages in it, as name=version, and the SHA-256 of each."""
        return self.state["packages"]

    def command(self, qemu: str, cpu: Cpu, *options: str) -> tuple[str, ...]:
        """The emulated Python: single-threaded, and as alike in every process as it can be."""
        prefix = self.folder / "cpus" / cpu.name
        settings = ("OPENBLAS_NUM_THREADS=1", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1")
        variables = [word for setting in settings for word in ("-E", setting)]
        emulator = (qemu, "-cpu", cpu.name, "-L", str(prefix), *options, "-U", "LD_LIBRARY_PATH", *variables)
        return (*emulator, str(prefix / "usr/bin/python3"))

    def damage(self) -> str | None:
        """What of it is missing or changed, or None: every file is compared with its hash."""
        if not self.folder.exists():
            return "it is not set up"
        expected = self.state.get("files", {})
        try:
            found = _hashes(self.folder)
        except OSError as error:
            return f"{error.filename} cannot be read"
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        wrong = wrong or ([] if expected else [STATE])
        return f"{self.folder / wrong[0]} is not as it was made" if wrong else None


def cache_folder() -> Path:
    """Where what is made for this user is kept: $XDG_CACHE_HOME/falcon-edge."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "falcon-edge"


def sysroot() -> Sysroot:
    """The userland of these pins, made or not."""
    pins = json.dumps([LAYOUT, PACKAGES, REQUIREMENTS.read_text(), TRIAL, repr(CPUS)])
    return Sysroot(cache_folder() / f"arm64-{hashlib.sha256(pins.encode()).hexdigest()[:12]}")


def make(qemu: str, progress: Progress) -> Sysroot:
    """Make the userland, or make it again if it is damaged; about a minute. Raises DeviceError.

    apt checks signatures and hashes of the packages, pip the hashes of REQUIREMENTS. It appears when it is whole.
    """
    wanted = sysroot()
    parent = wanted.folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    with alone(parent):
        progress(0, 6, "looking at what is there")
        if wanted.damage() is None:
            progress(6, 6, f"{wanted.folder} is whole")
            return wanted
        for left in parent.glob(".arm64-*"):  # of a run that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".arm64-") as temporary:
            made = Sysroot(Path(temporary, "made"))
            _fill(made, qemu, Path(temporary), progress)
            if wanted.folder.exists():
                wanted.folder.rename(Path(temporary, "damaged"))
            made.folder.rename(wanted.folder)
    progress(6, 6, f"{wanted.folder} is ready")
    return Sysroot(wanted.folder)


def _fill(made: Sysroot, qemu: str, temporary: Path, progress: Progress) -> None:
    root = made.folder / "root"
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    packages = {}
    for archive in download(PACKAGES, temporary / "apt", progress):
        name, version, _ = archive.name.split("_")
        packages[f"{name}={urllib.parse.unquote(version)}"] = hash_file(archive)[0]
        unpack(archive, root)
    progress(3, 6, "fetching the wheels")
    python = (root / "usr/bin/python3").readlink().name
    _install_wheels(python.removeprefix("python"), root / "usr/local/lib" / python / "dist-packages")
    progress(4, 6, "trying it")
    for cpu in CPUS:
        overlay = made.folder / "cpus" / cpu.name
        cpu.write_overlay(overlay)
        for entry in root.iterdir():
            (overlay / entry.name).symlink_to(f"../../root/{entry.name}")
    trial = (*made.command(qemu, DEFAULT), "-I", "-c", TRIAL)  # -I: whatever variables say, also of byte code
    versions = json.loads(_run(trial, "the emulated Python"))
    progress(5, 6, "taking the hashes")
    state = {"versions": versions, "packages": packages, "files": _hashes(made.folder)}
    (made.folder / STATE).write_text(json.dumps(state, indent=1) + "\n")


def download(packages: Sequence[str], folder: Path, progress: Progress) -> list[Path]:
    """Debian's packages for arm64 and what they depend on, by this machine's apt sources, without touching its state.

    folder: an absolute path that is not there yet. Raises DeviceError.
    """
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": "archives",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",  # whom the folder does not belong to
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    progress(0, 6, "fetching the lists of Debian's packages")
    _run([*apt, "update"], "apt-get update")
    progress(1, 6, "fetching the packages")
    _run(
        [*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages],
        "apt-get, asked for arm64 packages of this machine's sources,",
    )
    progress(2, 6, "unpacking them")
    return sorted((folder / "archives").glob("*.deb"))


def unpack(archive: Path, root: Path) -> None:
    """Unpack a package below a folder. Raises DeviceError."""
    tar = ("tar", "-x", "-C", str(root), "--keep-directory-symlink", "--no-same-owner", "--no-same-permissions")
    with subprocess.Popen(("dpkg-deb", "--fsys-tarfile", str(archive)), stdout=subprocess.PIPE) as source:
        done = subprocess.run(tar, stdin=source.stdout, capture_output=True, text=True)
    if source.returncode or done.returncode:
        raise DeviceError(f"{archive.name}: cannot be unpacked: {_last_line(done.stderr)}")


def _install_wheels(version: str, folder: Path) -> None:
    options = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile", "--quiet")
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    python = ("--implementation", "cp", "--python-version", version, "--abi", f"cp{version.replace('.', '')}")
    pip = (sys.executable, "-m", "pip", "install", *options, *python, *platforms)
    _run((*pip, "--target", str(folder), "-r", str(REQUIREMENTS)), "pip install")


def _run(command: Sequence[str], what: str) -> str:
    """What a command prints. Raises DeviceError with its last words if it fails."""
    environment = os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
    except OSError as error:
        raise DeviceError(f"{what} cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{what} did not end within {LIMIT:g} s") from error
    if done.returncode:
        raise DeviceError(f"{what} failed: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it does not say why")


def _hashes(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, but its state: the hash of a file, where a link leads."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                found[path.relative_to(folder).as_posix()] = f"-> {path.readlink()}"
            elif path.is_file():
                found[path.relative_to(folder).as_posix()] = hash_file(path)[0]
    found.pop(STATE, None)
    return found
