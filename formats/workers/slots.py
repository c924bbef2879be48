"""Memory that a process shares with its workers: a block goes into a slot, and its result comes out of it.

The numbers of the slots that hold a block are in a pipe. Whoever reads a number from it works on that block: a worker,
or the caller's own process. So no process waits for another while there is work, and none has to give it out.
"""

from __future__ import annotations

import errno
import os
import select
import tempfile

_LENGTH_BYTES = 8


class Slot:
    """An open file without a name that holds one block or one result, after its length."""

    def __init__(self, number: int) -> None:
        """`number` is that of the file descriptor."""
        self.number = number

    def put(self, data: bytes | memoryview) -> None:
        """Replace what the slot holds. Raises `OSError` if there is no memory for it."""
        if os.pwrite(self.number, data, _LENGTH_BYTES) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(self.number, len(data).to_bytes(_LENGTH_BYTES), 0)

    def get(self) -> bytes:
        """Return what the slot holds. Raises `OSError` if it holds less than it says."""
        length = int.from_bytes(os.pread(self.number, _LENGTH_BYTES, 0))
        if length > os.fstat(self.number).st_size - _LENGTH_BYTES:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data = os.pread(self.number, length, _LENGTH_BYTES)
        if len(data) != length:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def shrink(self, size: int) -> None:
        """Give memory back if there is more of it than `size` bytes; the slot then holds nothing."""
        if os.fstat(self.number).st_size > size:
            os.ftruncate(self.number, 0)


def new_slot() -> Slot:
    """Return a slot in memory, or in a temporary file where the system has no such files. Raises `OSError`."""
    if hasattr(os, "memfd_create"):
        return Slot(os.memfd_create("mockrec"))
    with tempfile.TemporaryFile() as file:
        return Slot(os.dup(file.fileno()))


def claim(pipe: int, *, wait: bool = False) -> int | None:
    """Return the next number in a pipe that does not block, and that other processes read, too.

    None: there is none; with `wait`, the pipe has ended.
    """
    while True:
        try:
            found = os.read(pipe, 1)
        except BlockingIOError:
            if not wait:
                return None
            select.select([pipe], [], [])
        else:
            return found[0] if found else None
