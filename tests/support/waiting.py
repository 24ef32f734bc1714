"""Waiting for what happens by itself."""

import threading
import time


def gone(found, seconds=20):
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
