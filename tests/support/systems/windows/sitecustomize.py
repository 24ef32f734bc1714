"""Takes away from this Python what Windows lacks (see systems.py).

What packages of others are made of is imported before: they see the system that they are installed for.
"""

import asyncio  # noqa: F401  # what follows is imported while this is Linux still
import ctypes
import errno
import fcntl
import multiprocessing  # noqa: F401
import os
import platform  # noqa: F401
import select
import selectors  # noqa: F401
import signal
import subprocess  # noqa: F401
import sys
import tempfile
import types
import webbrowser  # noqa: F401

if sys.argv[:1] != [""]:
    import jinja2  # noqa: F401
    import numpy
    import onnx
    import PIL.Image
    import pydantic
    import rich.console
    import rich.progress
    import rich.table
    import scipy.stats
    import torch
    import typer  # noqa: F401

OF_OS = (
    *("geteuid", "getuid", "getpgid", "getpgrp", "setsid", "killpg", "uname", "fchmod", "pread", "pwrite", "fork"),
    *("register_at_fork", "sched_getaffinity", "sched_setaffinity", "sysconf", "getloadavg", "mkfifo", "statvfs"),
    *("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_NOCTTY"),
)
OF_SIGNAL = ("SIGHUP", "SIGKILL", "SIGXFSZ", "SIGXCPU", "SIGUSR1", "SIGPIPE", "SIGALRM", "alarm", "setitimer")


def locking(descriptor, how, size):
    """msvcrt.locking: a region of a file, from where it stands."""
    command = {1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB, 0: fcntl.LOCK_UN}[how]
    try:
        fcntl.lockf(descriptor, command, size, os.lseek(descriptor, 0, os.SEEK_CUR))
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


def no_library(name, *arguments, **options):
    raise TypeError("LoadLibrary() argument 1 must be str, not None")


tempfile.gettempdir()
msvcrt = types.ModuleType("msvcrt")
msvcrt.locking, msvcrt.LK_UNLCK, msvcrt.LK_LOCK, msvcrt.LK_NBLCK = locking, 0, 1, 2
sys.modules.update({"msvcrt": msvcrt, "fcntl": None, "resource": None, "pwd": None, "grp": None, "termios": None})
for name in OF_OS:
    delattr(os, name)
for name in OF_SIGNAL:
    delattr(signal, name)
del select.poll
ctypes.CDLL = no_library
sys.platform = "win32"
