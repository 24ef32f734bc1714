"""Interruptions (Ctrl-C, and what is made to do as it does): held back where half a step would lose something."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from runtime_bench.system import SIGNALS

POLL = 0.5  # seconds
_holds: list["_Hold"] = []  # of the main thread, which alone gets signals


class _Hold:
    """What came while signals were held, and the handlers that will get it."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self._handlers: dict[int, Callable[..., Any] | int | None] = {}

    def take(self) -> None:
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # nohup's SIGHUP stays ignored
                self._handlers[number] = signal.signal(number, lambda number, frame: self.came.append(number))

    def give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        came, self.came = self.came, []
        for number in came:
            signal.raise_signal(number)


class Stop:
    """Asks a thread to end: it meets that once, as a KeyboardInterrupt, where it waits or asks."""

    def __init__(self) -> None:
        self.descriptor, self._asks = os.pipe()
        os.set_blocking(self.descriptor, False)

    def ask(self) -> None:
        """Have the thread end."""
        os.write(self._asks, b".")

    def check(self) -> None:
        """Raise KeyboardInterrupt if the thread was asked to end, and has not met that yet."""
        try:
            os.read(self.descriptor, 1)
        except BlockingIOError:
            return
        raise KeyboardInterrupt

    def close(self) -> None:
        """Close its pipe."""
        os.close(self.descriptor)
        os.close(self._asks)


STOP: ContextVar[Stop | None] = ContextVar("STOP", default=None)  # of this thread, where it may be met
_ASIDE: ContextVar[Stop | None] = ContextVar("_ASIDE", default=None)  # of this thread, while it is held back


def check_stop() -> None:
    """Raise KeyboardInterrupt where this thread was asked to end."""
    stop = STOP.get()
    if stop is not None:
        stop.check()


def at_once(actions: Sequence[Callable[[], None]]) -> None:
    """Run actions side by side, each in a thread. An interruption asks all of them to end, and comes once they have."""
    with ThreadPoolExecutor(max(1, len(actions))) as pool, ExitStack() as stack:
        stops = [stack.enter_context(closing(Stop())) for _ in actions]
        started = [pool.submit(_stoppable, action, stop) for action, stop in zip(actions, stops, strict=True)]
        try:
            while wait(started, POLL).not_done:
                check_stop()
        except KeyboardInterrupt:
            with held():  # another one must not leave them behind
                for stop in stops:
                    stop.ask()
                wait(started)
            raise
    for each in started:
        each.result()


def _stoppable(action: Callable[[], None], stop: Stop) -> None:
    STOP.set(stop)
    with suppress(KeyboardInterrupt):  # who asked for it knows
        action()


@contextmanager
def held() -> Iterator[None]:
    """Interruptions wait until the block has ended, of several the outermost one."""
    if threading.current_thread() is not threading.main_thread():
        with _moved(STOP, _ASIDE):
            yield
        return
    if _holds:
        yield
        return
    hold = _Hold()
    hold.take()
    _holds.append(hold)
    try:
        yield
    finally:
        _holds.remove(hold)
        hold.give_back()


@contextmanager
def released() -> Iterator[None]:
    """Within a block that holds interruptions, a part in which they come: it knows what to do with them."""
    if threading.current_thread() is not threading.main_thread():
        with _moved(_ASIDE, STOP):
            yield
        return
    if not _holds:
        yield
        return
    hold = _holds.pop()
    try:
        hold.give_back()
        yield
    finally:
        _holds.append(hold)
        hold.take()


@contextmanager
def _moved(source: ContextVar[Stop | None], target: ContextVar[Stop | None]) -> Iterator[None]:
    stop = source.get()
    if stop is None:
        yield
        return
    tokens = source.set(None), target.set(stop)
    try:
        yield
    finally:
        source.reset(tokens[0])
        target.reset(tokens[1])
