"""Native code that prints what nobody asked for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT, STDERR = 1, 2


@contextmanager
def silenced(descriptor: int) -> Iterator[None]:
    """Drop what is written to a file descriptor, by native code too."""
    (sys.stdout if descriptor == STDOUT else sys.stderr).flush()
    kept, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)
