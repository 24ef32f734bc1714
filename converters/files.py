"""Model files as they come: plain ones, of at most the size that their format holds."""

import stat
from pathlib import Path

from converters.errors import ConversionError


def read_model(path: Path, limit: int) -> bytes:
    """The bytes of a model file. Raises ConversionError for anything but a plain file of at most `limit` bytes."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for its writer
            raise ConversionError(f"{path}: a model is a plain file, and this is none")
        if found.st_size > limit:
            raise ConversionError(f"{path}: larger than {(limit + 1) >> 30} GiB, which its format does not hold")
        return path.read_bytes()
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from error
