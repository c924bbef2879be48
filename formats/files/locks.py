"""A lock that gives a file one writer; readers ignore it. The system releases it when its process ends, for any reason.

It is the lock of `flock`, on the open file: a rename, a copy or the end of another process does not release it. Some
network file systems have no such locks; `lock` then returns `UNLOCKED`, and callers can warn.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
_TRIES = 10
_PAUSE_SECONDS = 0.01
"""`is_held` in another process holds a shared lock for a moment, so `lock` tries several times."""

LOCKED = "locked"
BUSY = "busy"
UNLOCKED = "unlocked"
"""This file system has no locks."""


def lock(fd: int, *, wait: bool = False) -> str:
    """Lock an open file until it is closed. Returns `LOCKED`, `BUSY` (another process has the lock) or `UNLOCKED`."""
    try:
        import fcntl
    except ImportError:  # Windows, where other processes cannot replace or remove an open file
        return UNLOCKED
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return LOCKED
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE_SECONDS)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return UNLOCKED
            raise
    return BUSY


def is_held(path: str | Path) -> bool:
    """Whether another process has locked a file. A named pipe is not opened: that has effects on its other end."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        if not os.path.isfile(path):
            return False
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def holder(path: str | Path) -> int | None:
    """The id of the process that has the lock of a file, where the system lists locks (Linux: `/proc/locks`)."""
    try:
        found = os.stat(path)
        text = Path("/proc/locks").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    inode = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in text.splitlines():
        words = line.split()  # 1: FLOCK ADVISORY WRITE 1234 fd:01:5678 0 EOF
        if len(words) > 5 and words[1] == "FLOCK" and words[3] == "WRITE" and words[5] == inode and int(words[4]) > 0:
            return int(words[4])
    return None


def held_by(path: str | Path) -> str:
    """The process that has the lock, for a message: `process 1234`, or `another program`."""
    pid = holder(path)
    return "another program" if pid is None else f"process {pid}"
