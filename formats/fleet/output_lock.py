"""One writer at a time for the output of `compact`: two that number their parts alike would replace each other's.

In a folder of this machine it is a lock of the system, which ends with the process. A store has no locks: there, each
writer adds an object of its own, then looks for those of others. Of two that begin at once, at least one finds the
other and ends. The object of a writer that was killed is disregarded after some hours.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from mockrec.formats.files.locks import held_by
from mockrec.formats.parquet.files import file_system
from mockrec.formats.parquet.journal_lock import Lock, take_lock
from mockrec.formats.schema.errors import OutputBusyError, OutputError

_LOCK = ".compact.lock"
_PREFIX = ".compact-"
_STALE = datetime.timedelta(hours=12)
"""The age from which the object of a writer counts as left behind."""


@contextmanager
def only_writer(output: str) -> Iterator[None]:
    """Context in which no other `compact` writes into a data set. Raises `OutputBusyError` or `OutputError`."""
    try:
        filesystem, inner = file_system(output)
        local = isinstance(filesystem, pafs.LocalFileSystem)
        held = _locked(output, Path(inner)) if local else _marked(output, filesystem, inner.rstrip("/"))
        held.__enter__()
    except (OSError, pa.ArrowException) as error:
        raise OutputError(output, (getattr(error, "strerror", None) or str(error)).partition("\n")[0]) from None
    with contextlib.ExitStack() as stack:
        stack.push(held)
        yield


@contextmanager
def _locked(output: str, folder: Path) -> Iterator[None]:
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _take(output, folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _LOCK).unlink()
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing was written


def _take(output: str, folder: Path) -> Lock:
    while True:
        lock = take_lock(folder, _LOCK, wait=False)
        if lock is None:
            raise OutputBusyError(output, held_by(folder / _LOCK))
        if lock.is_at(folder / _LOCK):
            return lock
        lock.release()  # that of a writer that has just ended, and has removed it


@contextmanager
def _marked(output: str, filesystem: Any, folder: str) -> Iterator[None]:
    own = f"{folder}/{_PREFIX}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}.lock"
    with filesystem.open_output_stream(own) as stream:
        stream.write(b"the writer of this data set\n")
    try:
        for info in filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True)):
            name = info.base_name
            if name.startswith(_PREFIX) and info.path != own and not _is_stale(info):
                who = f"another compact, which began at {info.mtime:%Y-%m-%d %H:%M} UTC ({name}),"
                raise OutputBusyError(output, who)
        yield
    finally:
        with contextlib.suppress(OSError, pa.ArrowException):
            filesystem.delete_file(own)


def _is_stale(info: pafs.FileInfo) -> bool:
    return info.mtime is not None and datetime.datetime.now(datetime.UTC) - info.mtime > _STALE
