"""Where systems differ for a bundle's place: locks on files, and folders that are exchanged in one step."""

import ctypes
import errno
import os
import sys
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCKING = sum(getattr(os, name, 0) for name in ("O_RDWR", "O_CREAT", "O_NOFOLLOW", "O_CLOEXEC"))
LOCKED_BYTE = 1 << 20  # on Windows nobody else can read what is locked: a byte behind what the file says
AT_WORKING_FOLDER, RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h
NOT_HERE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def lock(file: int) -> None:
    """Lock an open file until it is closed. Raises BlockingIOError if another process has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK)) from error
    finally:
        os.lseek(file, 0, os.SEEK_SET)


def free(file: int, path: Path) -> None:
    """Close a file that was locked and remove it, such that nobody locks one that goes."""
    if fcntl is not None:
        path.unlink(missing_ok=True)  # while it is locked: nobody else can have the file that goes
        os.close(file)
        return
    os.close(file)  # Windows removes no file that is open, and so none that another process is about to lock
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step (Linux); False where that is not possible."""
    if sys.platform == "win32":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(AT_WORKING_FOLDER, os.fsencode(one), AT_WORKING_FOLDER, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), str(other))
