"""How a verb ends: signals that do what Ctrl-C does, and a folder for all temporary files, which goes with it."""

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from runtime_bench.interrupts import held
from runtime_bench.scratch import owner, sweep
from runtime_bench.system import SIGNALS

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}


class Signals:
    """The first signal that asked this process to end, if one has."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, once: what ends the work is not ended half-way by the next signal."""
        if self.first is None:
            self.first = signal.Signals(number)
            raise KeyboardInterrupt

    @property
    def code(self) -> int:
        """The exit code that says so, 128 more than the signal's number."""
        return 128 + self._number

    @property
    def word(self) -> str:
        """What happened."""
        return WORDS[self._number.name]

    @property
    def _number(self) -> signal.Signals:
        return self.first or signal.SIGINT  # or by what raised KeyboardInterrupt of its own


@contextmanager
def signals() -> Iterator[Signals]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does; what is ignored stays so (nohup)."""
    received = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    usual = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    for number in usual:
        signal.signal(number, received)
    try:
        yield received
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From here on what asks this process to end is ignored: it does."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def scratch() -> Iterator[None]:
    """Within the block all temporary files are in one folder, also those of child processes, and end with it.

    Folders of processes that were killed are swept. Where no folder can be made, whoever needs one will say so.
    """
    try:
        place = tempfile.gettempdir()
        sweep(Path(place))
        folder = tempfile.mkdtemp(prefix=f"falcon-edge-{owner()}-")
    except OSError:
        yield
        return
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        with held():
            shutil.rmtree(folder, ignore_errors=True)
            tempfile.tempdir = before[0]
            if before[1] is None:
                os.environ.pop("TMPDIR", None)
            else:
                os.environ["TMPDIR"] = before[1]


def complain(line: str) -> None:
    """One line on stderr, where that is still there: a terminal that hung up is not."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
