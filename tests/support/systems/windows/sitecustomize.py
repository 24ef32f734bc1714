"""Takes away from this Python what Windows lacks (see systems.py).

What packages of others are made of is imported before: they see the system that they are installed for.
"""

import ctypes
import errno
import fcntl
import importlib
import os
import select
import signal
import sys
import tempfile
import types

BEFORE = (
    *("asyncio", "concurrent.futures.thread", "http.client", "http.server", "multiprocessing", "platform", "selectors"),
    *("shutil", "ssl", "subprocess", "urllib.request", "webbrowser"),
)
OF_OTHERS = (
    *("jinja2", "numpy", "onnx", "PIL.Image", "plotly.offline", "pydantic", "rich.progress", "rich.table", "ruptures"),
    *("scipy.stats", "segno", "torch", "typer"),
)
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


for name in (*BEFORE, *(() if "-c" in sys.orig_argv else OF_OTHERS)):
    importlib.import_module(name)
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
sys.executable = os.environ["FE_EXECUTABLE"]
sys.platform = "win32"
