"""Waiting for what happens by itself."""

import time


def gone(found, seconds=20):
    """Whether a list that a function finds becomes empty."""
    until = time.monotonic() + seconds
    while found() and time.monotonic() < until:
        time.sleep(0.1)
    return not found()
