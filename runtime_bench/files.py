"""Files that are named by a user: what is read is bounded, and what is written is there as a whole or not at all."""

import errno
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.interrupts import held
from runtime_bench.system import OPENING, make_readable, ready

LARGEST_MODEL = 4 * 1024**3  # bytes
DOCUMENT_SECONDS = 60.0  # for a document that comes through a pipe
CHUNK = 1 << 20
PROBE_BYTES = 1 << 16
PART = ".falcon-edge-"
MOST_LINKS = 40
STANDARD = "stdin", "stdout", "stderr"
DESCRIPTOR = re.compile(
    rf"/dev/(?P<name>{'|'.join(STANDARD)})|/(?:dev|proc/self)/fd/(?P<number>[0-9]{{1,9}})", re.ASCII
)


def read_document(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a document, which may come through a pipe (`what`: what it should be, for errors).

    Raises BenchInputError for more than `limit` bytes, or a pipe that takes too long; OSError, as open does.
    """
    until = time.monotonic() + DOCUMENT_SECONDS
    data = bytearray()
    descriptor = os.open(path, os.O_RDONLY | OPENING)  # to open a pipe waits for nobody
    try:
        while len(data) <= limit:
            left = until - time.monotonic()
            if left <= 0 or not ready(descriptor, to_write=False, seconds=left):
                raise BenchInputError(f"{path}: has not ended within {DOCUMENT_SECONDS:.0f} s")
            try:
                chunk = os.read(descriptor, min(CHUNK, limit + 1 - len(data)))
            except BlockingIOError:
                continue
            if not chunk:
                return bytes(data)
            data += chunk
    finally:
        os.close(descriptor)
    raise BenchInputError(f"{path}: larger than {limit >> 20} MiB, which no {what} is")


@dataclass(frozen=True)
class PrivateModel:
    """A copy of a model file that nobody else knows of: its bytes are those that were hashed, and that are measured.

    state: what tells whether the file at `source` is still the one that was copied.
    """

    path: Path
    sha256: str
    bytes: int
    source: Path
    state: tuple[int, ...]

    def check(self) -> None:
        """Raise DeviceError if the file was changed since: what is named is not what is measured any more."""
        try:
            now = _state(self.source.stat())
        except OSError:
            now = ()
        if now != self.state:
            raise DeviceError(f"{self.source}: changed while it was measured; measure it again")


def private_copy(source: Path, folder: Path) -> PrivateModel:
    """Copy a model file to a folder, under its name, its suffix in small letters: runtimes know formats by that.

    Raises BenchInputError for anything but a plain file.
    """
    try:
        found = source.stat()
        if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for its writer
            raise BenchInputError(f"{source}: a model is a plain file, and this is none")
        if found.st_size > LARGEST_MODEL:
            raise BenchInputError(f"{source}: larger than {LARGEST_MODEL >> 30} GiB, which no model is")
        path, digest, size = folder / f"{source.stem}{source.suffix.lower()}", hashlib.sha256(), 0
        with source.open("rb") as original, path.open("xb") as copy:
            state = _state(os.fstat(original.fileno()))
            while chunk := original.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                copy.write(chunk)
    except OSError as error:
        raise BenchInputError(f"{source}: cannot be read ({error.strerror})") from error
    return PrivateModel(path, digest.hexdigest(), size, source, state)


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def readable(name: str) -> str:
    """The name of a file as a text: what of it is no UTF-8 is replaced."""
    return os.fsencode(name).decode(errors="replace")


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path] = ()) -> None:
    """Before time is spent: raise BenchInputError where `write` would, and for an output that is an input of the run.

    A folder among the inputs stands for all that is in it. None is an output that was not asked for.
    """
    wanted = [path for path in outputs if path is not None]
    targets = [_real(path) for path in wanted]
    known = [_real(path) for path in inputs]
    for number, (path, target) in enumerate(zip(wanted, targets, strict=True)):
        if any(each == target or each in target.parents or _same(each, target) for each in known):
            raise BenchInputError(f"{path}: is an input of this run, and would be lost; write to another file")
        if _is_plain(path):
            if target in targets[:number]:
                raise BenchInputError(f"{path}: two outputs would be written to it")
            _probe(path, target)


def write(data: bytes, path: Path) -> None:
    """Write a file that is there as a whole or not at all. Raises BenchInputError if it cannot be written.

    A link stays one; what is no plain file (/dev/stdout, a pipe) is written to, never replaced.
    """
    try:
        if not _is_plain(path):
            _write_through(data, path)
            return
        with held():
            target = _real(path)
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=PART)
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    make_readable(file.fileno())
                os.replace(name, target)
            except BaseException:
                os.unlink(name)
                raise
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error


def _open_already(path: Path) -> int | None:
    """The descriptor of this process that a path like /dev/stdout means, also by a link; None for any other path."""
    for _ in range(MOST_LINKS):
        name = os.path.abspath(path)
        found = DESCRIPTOR.fullmatch(name)
        if found is not None:
            return STANDARD.index(found["name"]) if found["name"] else int(found["number"])
        try:
            path = Path(os.path.dirname(name), os.readlink(name))
        except OSError:
            return None
    return None


def _is_plain(path: Path) -> bool:
    """Whether there is a plain file, or nothing yet. Raises BenchInputError for a folder, and where none can be."""
    if _open_already(path) is not None:
        return False  # though it may lead to one: who opened it writes to it, too
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise BenchInputError(f"{path}: cannot be written ({os.strerror(errno.EISDIR)})")
    return stat.S_ISREG(mode)


def _real(path: Path) -> Path:
    """Where a path leads; unlike resolve() it hands links that lead in a circle on, and whoever opens them says so."""
    return Path(os.path.realpath(path))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, by another name."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _probe(path: Path, target: Path) -> None:
    """Raise BenchInputError if nothing can be written beside `target`, or it may not be changed."""
    try:
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with tempfile.TemporaryFile(dir=target.parent) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error


def _write_through(data: bytes, path: Path) -> None:
    """Write to a device or pipe: to one whose reader is there, and as fast as it reads."""
    known = _open_already(path)
    if known is not None:
        descriptor = os.dup(known)
    else:
        descriptor = os.open(path, os.O_WRONLY | OPENING)
    try:
        rest = memoryview(data)
        while rest:
            if not ready(descriptor, to_write=True, seconds=DOCUMENT_SECONDS):
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            try:
                rest = rest[os.write(descriptor, rest[:CHUNK]) :]
            except BlockingIOError:
                continue
    finally:
        os.close(descriptor)
