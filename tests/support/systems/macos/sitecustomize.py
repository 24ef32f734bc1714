"""Takes away from this Python what macOS lacks, and has it refuse what macOS refuses (see systems.py).

Packages of others see Linux where they would look for libraries of a Mac: platform.system() is for ours alone.
"""

import ctypes
import errno
import os
import platform
import resource
import select
import sys
import sysconfig
import types

NATIVE = ("prctl", "personality", "renameat2", "sched_getcpu")
HIDDEN = ("/proc/", "/sys/")
OURS = ("runtime_bench", "falcon_edge", "converters")


def hide(path):
    """Raise FileNotFoundError for what a Mac does not have."""
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    if f"{text}/".startswith(HIDDEN):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)


def hiding(function):
    """A function that takes a path, for which those are hidden."""

    def called(path, *arguments, **options):
        hide(path)
        return function(path, *arguments, **options)

    return called


sys.addaudithook(lambda event, of: event in ("open", "os.listdir", "os.scandir") and hide(of[0]))
for name in ("stat", "lstat", "readlink", "access"):
    setattr(os, name, hiding(getattr(os, name)))
for name in [name for name in dir(os) if name.startswith("sched_")]:
    delattr(os, name)
del resource.prlimit, select.POLLRDHUP

set_limit, usage, native, system = resource.setrlimit, resource.getrusage, ctypes.CDLL.__getattr__, platform.system


def setrlimit(kind, limits):
    """As CPython puts EINVAL, which macOS answers."""
    if kind == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    set_limit(kind, limits)


def getrusage(who):
    """The peak in bytes."""
    fields = list(usage(who))
    fields[2] *= 1024
    return resource.struct_rusage(fields)


def function_of(library, name):
    """Functions of libc that are Linux's alone are not found."""
    if library._name is None and name in NATIVE:
        raise AttributeError(name)
    return native(library, name)


def called_by_us():
    return sys._getframe(2).f_globals.get("__name__", "").startswith(OURS)


resource.setrlimit, resource.getrusage, ctypes.CDLL.__getattr__ = setrlimit, getrusage, function_of
platform.system = lambda: "Darwin" if called_by_us() else system()
release = platform.release
platform.release = lambda: "24.6.0" if called_by_us() else release()
sys.executable = os.environ["FE_EXECUTABLE"]
proxies = sys.modules["_scproxy"] = types.ModuleType("_scproxy")
proxies._get_proxies = proxies._get_proxy_settings = dict
sysconfig.get_config_vars()  # read by the name of the platform, and kept
sys.platform = "darwin"
