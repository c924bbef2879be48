"""Who is at work on a journal: a lock that a process loses when it ends, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

RECORDER = "recorder.lock"
HELPER = "helper.lock"


class Lock:
    """A lock on a file of a journal, held until `release` or the end of the process."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def release(self) -> None:
        """Let others have it."""
        self._file.close()


def take_lock(journal: Path, name: str, *, wait: bool) -> Lock | None:
    """Take it; None when somebody else has it and we do not wait. Where there are no such locks, everybody gets it."""
    file = os.fdopen(os.open(journal / name, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600), "wb")
    try:
        import fcntl
    except ImportError:  # Windows: whoever repairs there has to know that nobody records
        return Lock(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        pass  # a file system without locks
    return Lock(file)
