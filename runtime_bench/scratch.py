"""Temporary folders that tell whose they are: what a killed process left behind is swept by the next one."""

import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from runtime_bench.system import namespace, owned, started

SOCKET_PATH = 108
NAME = re.compile(r"(?:falcon-edge|fe)-([0-9]+)-([0-9]+)-([0-9]+)-[a-z0-9_]+", re.ASCII)


def owner() -> str:
    """This process: its number, when it started, and among which numbers (Linux: its namespace)."""
    pid = os.getpid()
    return f"{pid}-{started(pid) or 0}-{namespace()}"


def short_folder(more: int) -> Path:
    """A temporary folder in which the path of a socket has room, for `more` characters: it has 108 bytes at most."""
    usual = Path(tempfile.gettempdir())
    name = f"fe-{owner()}-"
    places = [usual, *([usual.parent] if NAME.fullmatch(usual.name) else []), Path("/tmp")]
    fits = (place for place in places if len(os.fsencode(place)) + 1 + len(name) + 8 + more < SOCKET_PATH)
    return Path(tempfile.mkdtemp(prefix=name, dir=next(fits, usual)))


def gone(pid: int, start: int, among: int) -> bool:
    """Whether a process has ended, as far as this one can know."""
    return among == namespace() and start > 0 and started(pid) != start


def sweep(folder: Path) -> None:
    """Remove this user's temporary folders of processes that are gone."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        found = NAME.fullmatch(name)
        if found is None or not gone(*map(int, found.groups())):
            continue
        try:
            kind = os.lstat(folder / name)
        except OSError:
            continue
        if stat.S_ISDIR(kind.st_mode) and owned(kind):
            shutil.rmtree(folder / name, ignore_errors=True)


def swept(names: Iterable[str]) -> list[str]:
    """Of folders on a device (`run.HOST-OWNER.XXXXXX`) those of processes of this host that are gone."""
    pattern = re.compile(rf"run\.{host()}-([0-9]+)-([0-9]+)-([0-9]+)\.[A-Za-z0-9]+", re.ASCII)
    found = ((name, pattern.fullmatch(name)) for name in names)
    return [name for name, match in found if match is not None and gone(*map(int, match.groups()))]


def host() -> str:
    """This machine, in a few letters."""
    import hashlib

    try:
        known = Path("/etc/machine-id").read_bytes()
    except OSError:
        known = b""
    return hashlib.sha256(known + platform.node().encode()).hexdigest()[:8]
