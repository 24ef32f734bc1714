"""What Android runs of Java: the runner, which ships with us, and classes of archives that are not in it already.

runner.jar is made of android_demo's core, engines and runner, and of one version of ONNX Runtime's classes
(android_demo/ci/runner_jar.py). Those of another version, and LiteRT's, are translated by the d8 of Android's build
tools.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from runtime_bench.devices.aar import CLASSES, OPTIONS, Aar
from runtime_bench.errors import DeviceError
from runtime_bench.runtimes import runtime_named

RUNNER = Path(__file__).with_name("runner.jar")
OLDEST_API = 24
SECONDS = 300.0
SDKS = "ANDROID_HOME", "ANDROID_SDK_ROOT"


class Shipped(NamedTuple):
    """A runtime's classes that are in the runner: their version, and the SHA-256 of the archive's jar of them."""

    version: str
    classes: str


SHIPPED = {"onnxruntime": Shipped("1.29.0", "65e2e2d76d672253aaf0792a06c71cc40d09b0e2e251ccf925bee7175b91a1b0")}


def is_shipped(runtime: str, aar: Aar) -> bool:
    """Whether the runner has the classes of an archive."""
    return runtime in SHIPPED and SHIPPED[runtime].classes == aar.digest


def lacks(runtime: str, aar: Aar) -> str | None:
    """What is missing to have Android run the classes of an archive, and what to do about it; None if nothing is."""
    if is_shipped(runtime, aar) or d8() is not None:
        return None
    title, known = runtime_named(runtime).title, SHIPPED.get(runtime)
    remedy = "install Android's build tools, whose d8 translates them"
    if known is None:
        return f"{aar.path}: Java classes of {title} do not ship with us: {remedy}"
    return (
        f"{aar.path}: its Java classes are not those of {title} {known.version}, which ship with us: "
        f"name the .aar of that version by {OPTIONS[runtime]}, or {remedy}"
    )


def d8() -> str | None:
    """The newest d8 of this machine's Android SDK, or the one on PATH."""
    homes = [Path(os.environ[name]) for name in SDKS if os.environ.get(name)] + [Path.home() / "Android/Sdk"]
    found = [path for home in homes for path in home.glob("build-tools/*/d8")]
    newest = max(found, key=lambda path: [int(part) for part in re.findall("[0-9]+", path.parent.name)], default=None)
    return shutil.which("d8") if newest is None else str(newest)


def translated(aar: Aar, folder: Path) -> Path:
    """A jar with the dex of an archive's classes, made in a folder. Raises DeviceError."""
    program = d8()
    assert program is not None  # see `lacks`
    source, target = folder / f"{aar.digest[:16]}.{CLASSES}", folder / f"{aar.digest[:16]}.jar"
    source.write_bytes(aar.classes)
    command = [program, "--release", "--min-api", str(OLDEST_API), "--output", str(target), str(source)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{aar.path}: d8 did not end within {SECONDS:.0f} s") from error
    except OSError as error:
        raise DeviceError(f"{program}: cannot be started ({error.strerror})") from error
    if done.returncode != 0 or not target.is_file():
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise DeviceError(f"{aar.path}: its classes cannot be translated ({said[0] if said else 'd8 failed'})")
    return target
