"""Python environments of their own, for what does not go together with ours: made once, kept in pytest's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[1] / "e2e/environments"
READY = ".ready"
LIMIT = 600
PYTHON = (3, 11)  # what all of these packages have wheels for


@dataclass(frozen=True)
class Environment:
    """An environment with the packages of one file of REQUIREMENTS, and nothing of ours."""

    folder: Path

    def run(self, script, *words, library_path=""):
        """What a script prints. library_path: where native libraries find others. Fails if the script does."""
        variables = os.environ | {
            "LD_LIBRARY_PATH": str(library_path),
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "1",
        }
        done = subprocess.run(
            [self.folder / "bin/python", "-I", script, *map(str, words)],
            env=variables,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    @property
    def packages(self):
        """Where its packages lie."""
        (folder,) = self.folder.glob("lib/python*/site-packages")
        return folder


def environment(name, cache, version=PYTHON, *, beside=None):
    """The environment of the packages in REQUIREMENTS/NAME.txt, in a folder of pytest's cache; the stamp comes last.

    beside: packages that it has as well, where they lie. The test is skipped where there is no Python of that version.
    """
    python = interpreter(version)
    if python is None:
        pytest.skip(f"{name} needs Python {version[0]}.{version[1]}, which is not here")
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache.mkdir("environments") / f"{name}-{digest}"
    if not (folder / READY).exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(python, "-m", "venv", folder)
        if beside is not None:
            (packages,) = folder.glob("lib/python*/site-packages")
            (packages / "beside.pth").write_text(f"import site; site.addsitedir({str(beside)!r})\n")
        _run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", requirements)
        (folder / READY).touch()
    return Environment(folder)


def interpreter(version):
    """A Python of a version (major, minor), or None: this one, one on the PATH, or one that pyenv made."""
    if sys.version_info[:2] == version:
        return sys.executable
    name = "python{}.{}".format(*version)
    made = Path.home().glob(".pyenv/versions/{}.{}.*/bin/python".format(*version))
    for python in filter(None, [shutil.which(name), *sorted(made)]):
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return str(python)
    return None


def _run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
