"""Programs of Debian's packages: installed where this is root, else asked for by the command that installs them."""

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from ci.cache import cache_folder, locked
from ci.errors import BuildError

LIMIT = 900.0
# By what is looked for, the package that has it.
PACKAGES = {
    "aapt": "aapt",
    "aapt2": "aapt",
    "apksigner": "apksigner",
    "zipalign": "zipalign",
    "dexdump": "dexdump",
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "npm": "npm",
    "adb": "adb",
    "gcc": "gcc",
    "/usr/share/android-framework-res/framework-res.apk": "android-framework-res",
    "/usr/share/java/junit4.jar": "junit4",
    "/usr/share/java/hamcrest-core.jar": "junit4",
    "/usr/lib/python3/dist-packages/enjarify/main.py": "enjarify",
}
BUILD = [name for name in PACKAGES if name not in ("npm", "gcc", "adb")]


def install(names: list[str] = BUILD) -> None:
    """Install the packages of what is missing, all at once."""
    missing = sorted({PACKAGES[name] for name in names if not shutil.which(name) and not Path(name).is_file()})
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BuildError(f"{', '.join(missing)}: not installed; run as root: {shlex.join(command)}")
    with locked(cache_folder() / "apt.lock"):
        run("apt-get", "-qq", "update", what="apt-get update")
        run(*command, what=shlex.join(command))


@cache
def program(name: str) -> str:
    """The path of a program or of a file that a package has."""
    found = shutil.which(name) or (name if Path(name).is_file() else None)
    if found is None:
        install([name])
        found = shutil.which(name) or (name if Path(name).is_file() else None)
    if found is None:
        raise BuildError(f"{name}: not there, although the package {PACKAGES[name]} is installed")
    return found


def run(*command: str | Path, what: str | None = None, folder: Path | None = None) -> str:
    """What a command prints; BuildError with what it said where it fails."""
    name = what or Path(command[0]).name
    environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except OSError as error:
        raise BuildError(f"{name} cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{name} did not end within {LIMIT:g} s") from error
    if done.returncode:
        said = "\n".join(text.strip() for text in (done.stdout, done.stderr) if text.strip())
        raise BuildError(f"{name} failed: {said or f'exit {done.returncode}'}")
    return done.stdout
