"""Locks (`formats/files/locks.py`) on files of a journal: one of the recorder, one of the helper process."""

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

    def is_at(self, path: Path) -> bool:
        """Whether the path still leads to the file that is locked."""
        return _is_at(self._file, path)

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


def take_lock(journal: Path, name: str, *, wait: bool) -> Lock | None:
    """Take a lock of a journal. None if another process has it and `wait` is False.

    In a file system without locks the lock is always granted. Raises `FileNotFoundError` if the journal does not exist,
    or does not exist any more when the lock is granted: its holder may have finished the journal.
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
    if wait and not _is_at(file, journal / name):
        file.close()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(journal))
    return Lock(file)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the path leads to this open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
