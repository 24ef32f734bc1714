"""Where a bundle is written: one process at a time holds the place, and what is there stays until the new is whole.

.NAME.falcon.lock     locked (flock) by the process that writes NAME.falcon; the kernel frees it with the process
.NAME.falcon.part     the bundle while it is being written; a killed process leaves it, the next one removes it
.NAME.falcon.old      the bundle that was there, for the moment between two renames (see `swap`)
.NAME.checkpoint      the state of a run that takes long, until its bundle is there
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.errors import BadInput
from falcon_edge.system import LOCKING, exchange, free, lock

SUFFIX, MANIFEST = ".falcon", "manifest.json"
MOST_TRIES = 100  # a folder that others remove again and again is not removed as often


@dataclass(frozen=True)
class Place:
    """NAME.falcon, which no other process writes to while it is held (see `hold`)."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Where a run keeps its state; it goes when the bundle is written."""
        return self.path.with_name(f".{self.path.stem}.checkpoint")

    @property
    def part(self) -> Path:
        """The folder that becomes the bundle; beside it even where `path` is a link, which stays one."""
        return part_of(self.path)

    def check(self) -> None:
        """Raise BadInput if there is something that is no bundle."""
        if self.path.exists() and not _replaceable(self.path):
            raise BadInput(f"{self.path}: exists and is not a bundle; choose another name")

    def clear(self) -> None:
        """Remove the bundle that is here, and the state of a run. For who holds it."""
        if self.path.exists():
            shutil.rmtree(os.path.realpath(self.path))
        self.checkpoint.unlink(missing_ok=True)


@contextmanager
def hold(path: Path, *, force: bool = False, goes_on: bool = False) -> Iterator[Place]:
    """Hold the place of a bundle, so that a refusal comes before the hours that lead to one.

    force: a bundle may be there, or the checkpoint of another run. goes_on: a run that was killed here is finished,
    which needs no force. Raises BadInput if the place is held by another process, cannot be written, or if it holds
    what may not be replaced. Leaves no trace of its own.
    """
    place = Place(bundle_path(path))
    with locked(place.path):
        place.check()
        begun = place.checkpoint.exists()
        if not force and begun and not goes_on:
            raise BadInput(
                f"{place.path}: a run was stopped here and can go on ({place.checkpoint.name}); choose another name, "
                "or drop it with `force`"
            )
        if not force and not begun and place.path.exists() and any(place.path.iterdir()):
            raise BadInput(f"{place.path}: exists already; choose another name, or replace it with `force`")
        yield place


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing `path`, and clear up what killed ones left. Raises BadInput if one is at it."""
    target = Path(os.path.realpath(path))
    name, missing = _beside(path, "lock"), [folder for folder in target.parents if not folder.exists()]
    try:
        file = _acquire(name)
    except BlockingIOError as error:
        raise BadInput(f"{path}: {error.strerror}; wait for it, or choose another name") from error
    except OSError as error:
        _remove_empty(missing)
        raise BadInput(f"{path}: cannot be written ({error.strerror})") from error
    try:
        _clear_up(path)
        yield
    finally:
        free(file, name)
        _remove_empty(missing)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made, the innermost first, as far as nothing was written to them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def recover(path: Path) -> None:
    """Put back the bundle that a process had moved away when it was killed, unless that process lives."""
    if not path.exists() and _beside(path, "old").is_dir():
        with suppress(BadInput), locked(path):
            pass


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when the block ends well, and is gone else. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """The folder beside `path` that `swap` puts in its place, where `locked` clears up what killed processes left."""
    return _beside(path, "part")


def swap(part: Path, path: Path) -> None:
    """Put the folder `part` in the place of `path`; what was there is removed.

    On Linux in one step. Where system or file system lack that, in two, and `recover` heals a kill between them.
    """
    target, old = Path(os.path.realpath(path)), _beside(path, "old")
    try:
        if not target.exists():
            os.replace(part, target)
        elif not exchange(part, target):
            os.replace(target, old)
            os.replace(part, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    for former in (part, old):
        shutil.rmtree(former, ignore_errors=True)


def bundle_path(path: Path) -> Path:
    """`path` with the suffix .falcon. Raises BadInput for a path that ends in no name."""
    if path.name in ("", ".."):
        raise BadInput(f"{path}: a folder; name the bundle to write")
    return path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)


def _beside(path: Path, kind: str) -> Path:
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.{kind}")


def _replaceable(path: Path) -> bool:
    """Whether nothing is lost with `path` but a bundle."""
    return path.is_dir() and ((path / MANIFEST).is_file() or next(path.iterdir(), None) is None)


def _acquire(path: Path) -> int:
    """The descriptor of the lock file, locked. Raises BlockingIOError, which says who has it."""
    tries = 0
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, LOCKING, 0o644)
        except FileNotFoundError:  # another process has just removed the folders that it had made, or /proc takes none
            tries += 1
            if tries == MOST_TRIES:
                raise
            continue
        try:
            lock(file)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), path.lstat()):  # else its holder has just removed it
                    os.ftruncate(file, 0)
                    _write_pid(file, path)
                    return file
        except BlockingIOError as error:
            holder = os.read(file, 20).decode(errors="replace")
            os.close(file)
            whose = f"process {holder}" if holder.isdecimal() else "another process"
            raise BlockingIOError(error.errno, f"{whose} is writing it") from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _write_pid(file: int, path: Path) -> None:
    """Say in the lock file, which is locked, who has it; where there is no room for that, it goes."""
    try:
        os.write(file, str(os.getpid()).encode())
    except OSError:
        path.unlink()
        raise


def _clear_up(path: Path) -> None:
    """Remove what a killed process left; the bundle that it had moved away comes back."""
    target, old = Path(os.path.realpath(path)), _beside(path, "old")
    if old.is_dir() and not target.exists():
        os.replace(old, target)
    for left in (old, _beside(path, "part")):
        shutil.rmtree(left, ignore_errors=True)
