"""Fetches what pins.toml lists, by the clients of pip, npm and apt as this machine has them set up, and keeps it.

What is kept is outside the tree, in $FALCON_EDGE_ANDROID or the user's cache folder, and its SHA-256 is compared
whenever it is used.
"""

import hashlib
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ci.cache import appearing, cache_folder, locked
from ci.errors import BuildError
from ci.pins import Download, downloads
from ci.programs import program, run


def fetched(name: str) -> Path:
    """The file of a download, fetched if it is not there; BuildError where it is not the one that is pinned."""
    pinned, folder = downloads()[name], cache_folder()
    path = folder / pinned.file
    with locked():
        if not path.exists():
            _fetch(pinned, folder)
    check(path, pinned.sha256)
    return path


def check(path: Path, sha256: str) -> None:
    """Compare a file with its SHA-256."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise BuildError(f"{path}: its SHA-256 is {found}, pinned is {sha256}; remove it to have it fetched again")


def _fetch(wanted: Download, folder: Path) -> None:
    """Fetch a package, and keep every file of it that is pinned and not there yet."""
    of_package = [each for each in downloads().values() if each.package == wanted.package]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
        archive = REGISTRIES[wanted.registry](wanted, Path(temporary))
        for each in of_package:
            path = folder / each.file
            if not path.exists():
                with appearing(path) as made, _member(archive, each.member) as source, made.open("wb") as target:
                    shutil.copyfileobj(source, target)
                    target.flush()
                    check(made, each.sha256)


def _by_pip(pinned: Download, folder: Path) -> Path:
    python = ["--python-version", pinned.python] if pinned.python else []
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--dest", str(folder), *python]
    run(sys.executable, "-m", "pip", "download", *options, pinned.package, what=f"pip download {pinned.package}")
    return _only(folder, "*.whl", pinned)


def _by_npm(pinned: Download, folder: Path) -> Path:
    options = ("--silent", "--pack-destination", str(folder))
    run(program("npm"), "pack", pinned.package, *options, what=f"npm pack {pinned.package}", folder=folder)
    return _only(folder, "*.tgz", pinned)


def _by_apt(pinned: Download, folder: Path) -> Path:
    """The original sources of a Debian package, by this machine's sources, without touching apt's state."""
    settings = _apt_settings(folder)
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", "-q", *options, "update", what="apt-get update for sources")
    what = f"apt-get source {pinned.package}"
    run("apt-get", "-q", *options, "source", "--download-only", pinned.package, what=what, folder=folder)
    return _only(folder, "*.orig.tar.*", pinned)


REGISTRIES = {"pip": _by_pip, "npm": _by_npm, "apt": _by_apt}


def _apt_settings(folder: Path) -> dict[str, object]:
    """Settings for apt with the machine's own places, asked for sources instead of programs."""
    for name in ("lists/partial", "archives/partial", "sources"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "empty").touch()
    etc = Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.is_file():
            text = path.read_text()
            text = re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.MULTILINE)
            text = re.sub(r"^deb\s", "deb-src ", text, flags=re.MULTILINE)
            (folder / "sources" / path.name).write_text(text)
    return {
        "Dir::Etc::sourcelist": folder / "empty",
        "Dir::Etc::sourceparts": folder / "sources",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "",  # whom the folder does not belong to
        "Acquire::Languages": "none",
    }


def _only(folder: Path, pattern: str, pinned: Download) -> Path:
    found = sorted(folder.glob(pattern))
    found = [path for path in found if path.suffix != ".asc"]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        raise BuildError(f"{pinned.package}: {pinned.registry} brought {names}, not one {pattern}")
    return found[0]


@contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """A file of an archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            if name not in wheel.namelist():
                raise BuildError(f"{archive.name} has no {name}")
            with wheel.open(name) as file:
                yield file
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.removeprefix("./") == name:
                source = tar.extractfile(member)
                assert source is not None  # it is a file
                yield source
                return
    raise BuildError(f"{archive.name} has no {name}")
