"""Where what is fetched, and what is made of it, is kept: one process at a time, and nothing before it is whole."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads, and what is made of them, are kept."""
    named = os.environ.get("FALCON_EDGE_ANDROID")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else caches / "falcon-edge" / "android"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextmanager
def locked(lock: Path | None = None) -> Iterator[None]:
    """One process at a time fetches, and makes what is kept; what takes long has a lock of its own."""
    with (lock or cache_folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A place to write what will be `path` once it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        made = Path(folder, path.name)
        yield made
        os.replace(made, path)
