"""Who is at work on a journal: the lock (`formats/files/locks.py`) of a file in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from mockrec.formats.files.locks import BUSY, lock

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
    """Take it; None when another process has it and we do not wait. Where there are no such locks, everybody gets it.

    Raises `FileNotFoundError` when there is no such journal, or none any more when the lock is ours at last: who had
    the lock may have finished the journal.
    """
    file = os.fdopen(os.open(journal / name, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600), "wb")
    try:
        taken = lock(file.fileno(), wait=wait)
    except OSError:
        file.close()
        raise
    if taken == BUSY:
        file.close()
        return None
    if wait and not _is_there(file, journal / name):
        file.close()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(journal))
    return Lock(file)


def _is_there(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
