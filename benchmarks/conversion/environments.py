"""Environments of the other converters, each with its pinned packages, made on first use."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEFAULT_FOLDER = Path(tempfile.gettempdir(), "falcon-edge-environments")
READY = ".ready"


class Unavailable(Exception):
    """An environment that cannot be made here, and why."""


def environment(name: str, folder: Path = DEFAULT_FOLDER, python: str = sys.executable) -> Path:
    """The Python of the environment with the packages of NAME.txt, made by the interpreter `python`."""
    requirements = HERE / f"{name}.txt"
    interpreter = shutil.which(python)
    if interpreter is None or subprocess.run([interpreter, "-c", ""], capture_output=True).returncode:
        raise Unavailable(f"{name}: there is no {python} that runs; name an interpreter with the option for it")
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    place = folder / f"{name}-{digest}"
    made = place / "bin/python"
    if not (place / READY).exists():
        print(f"making {place} (network, minutes)", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        _run(name, interpreter, "-m", "venv", place)
        pins = [line for line in requirements.read_text().splitlines() if line.startswith("torch==")]
        for packages in (pins, ["-r", str(requirements)]):
            if packages:
                _run(name, made, "-m", "pip", "install", "--quiet", *packages)
        (place / READY).touch()
    return made


def run(python: Path, script: str, *words: object) -> str:
    """What a script of this folder prints, run by another environment's Python on one thread."""
    variables = os.environ | {
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ORT_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    command = [str(python), str(HERE / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(f"{script}: {lines[-1]}")
    return done.stdout


def _run(name: str, *command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise Unavailable(f"{name}: {lines[-1] if lines else done.returncode}")
