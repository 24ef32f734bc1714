"""Files that are named by a user: what is read is bounded, and what is written is there as a whole or not at all."""

import errno
import hashlib
import os
import select
import stat
import tempfile
import time
from pathlib import Path

from runtime_bench.errors import BenchInputError

LARGEST_MODEL = 4 * 1024**3  # bytes
DOCUMENT_SECONDS = 60.0  # for a document that comes through a pipe
CHUNK = 1 << 20


def read_document(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a document, which may come through a pipe (`what`: what it should be, for errors).

    Raises BenchInputError for more than `limit` bytes, or a pipe that takes too long; OSError, as open does.
    """
    until = time.monotonic() + DOCUMENT_SECONDS
    data = bytearray()
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # to open a pipe waits for nobody
    try:
        ready = select.poll()
        ready.register(descriptor, select.POLLIN)
        while len(data) <= limit:
            left = until - time.monotonic()
            if left <= 0 or not ready.poll(1000 * left):
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


def hash_model(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a model file. Raises BenchInputError for anything but a plain file of a model's size."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise BenchInputError(f"{path}: a model is a plain file, and this is none")
        if found.st_size > LARGEST_MODEL:
            raise BenchInputError(f"{path}: larger than {LARGEST_MODEL >> 30} GiB, which no model is")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error


def readable(name: str) -> str:
    """The name of a file as a text: what of it is no UTF-8 is replaced."""
    return os.fsencode(name).decode(errors="replace")


def check_writable(path: Path) -> None:
    """Raise BenchInputError where `write` would, before time is spent on measuring."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error


def write(data: bytes, path: Path) -> None:
    """Write a file that is there as a whole or not at all. Raises BenchInputError if it cannot be written."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error
