"""A lease on an output in a store: an object that is written again each minute while its writer works.

Stores have no locks. Each writer adds an object of its own, then looks for those of others. Of two that begin at once,
at least one finds the other and ends. The object of a writer that was killed is no longer renewed, so it counts for a
few minutes only. Ages are differences of the store's own times: clocks of machines may be wrong.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import threading
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from mockrec.formats.schema.errors import OutputBusyError, OutputError

_PREFIX = ".compact-"
_RENEWED = 60.0
"""Seconds between two renewals."""
_KEPT = 300.0
"""Seconds after which a lease that was not renewed has ended."""
_LAST_WAIT = 10.0
"""Seconds that the end waits for a renewal in progress."""
_ERRORS = (OSError, pa.ArrowException)


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


class Lease:
    """The right to write into a data set of a store, from its construction to `end`."""

    def __init__(self, output: str, filesystem: Any, folder: str) -> None:
        """Raises `OutputBusyError` if another writer has it, or `OSError`."""
        self._output = output
        self._filesystem = filesystem
        self._path = f"{folder}/{_PREFIX}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}.lock"
        self._lost = False
        self._ended = threading.Event()
        self._write()
        try:
            self._refuse_others(folder)
        except BaseException:
            self._remove(self._path)
            raise
        self._thread = threading.Thread(target=self._renew, name="mockrec-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise `OutputError` if another writer may have begun: the lease could not be renewed, or was removed."""
        if self._lost or self._age() > _KEPT:
            raise OutputError(
                self._output, "its lock could not be renewed, so another compact may be writing it; repeat the command"
            )

    def end(self) -> None:
        """Give the right back."""
        self._ended.set()
        self._thread.join(_LAST_WAIT)
        self._remove(self._path)

    def _refuse_others(self, folder: str) -> None:
        found = self._filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        own = next((info.mtime for info in found if info.path == self._path), None)
        now = own or datetime.datetime.now(datetime.UTC)
        for info in found:
            if not info.base_name.startswith(_PREFIX) or info.path == self._path:
                continue
            if info.mtime is not None and (now - info.mtime).total_seconds() > _KEPT:
                # If its writer is not dead but asleep, it finds out by this that it is not alone.
                self._remove(info.path)
                continue
            seen = "" if info.mtime is None else f", last seen at {info.mtime:%Y-%m-%d %H:%M:%S} UTC"
            raise OutputBusyError(self._output, f"another compact ({info.base_name}{seen})")

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED):
            with contextlib.suppress(*_ERRORS):  # tried again, as long as the lease has not ended
                if self._filesystem.get_file_info(self._path).type == pafs.FileType.NotFound:
                    self._lost = True
                    return
                if self._age() <= _KEPT:
                    self._write()

    def _write(self) -> None:
        began = _now()
        with self._filesystem.open_output_stream(self._path) as stream:
            stream.write(b"the writer of this data set\n")
        self._renewed = began

    def _age(self) -> float:
        """Seconds since the last renewal, also those in which the machine slept."""
        return _now() - self._renewed

    def _remove(self, path: str) -> None:
        with contextlib.suppress(*_ERRORS):
            self._filesystem.delete_file(path)
