"""Waiting for what happens by itself."""

import os
import signal
import threading
import time
from pathlib import Path


def gone(found, seconds=60):
    """Whether a list that a function finds becomes empty."""
    until = time.monotonic() + seconds
    while found() and time.monotonic() < until:
        time.sleep(0.1)
    return not found()


class Amid:
    """Progress of a bench: does something a second after the first measurement has begun, however slow the host is."""

    def __init__(self, action):
        self.timer = threading.Timer(1.0, action)

    def __call__(self, done, total, text):
        if text.startswith("measuring") and self.timer.ident is None:
            self.timer.start()


def killed_at_work(pid, seconds=60):
    """Kill a process, in a thread, once it has computed for another fifth of a second, however slow the host is."""
    ticks = os.sysconf("SC_CLK_TCK") / 5

    def watch():
        began, until = _computed(pid), time.monotonic() + seconds
        while _computed(pid) < began + ticks and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _computed(pid):
    """Ticks that a process spent on a CPU itself."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
