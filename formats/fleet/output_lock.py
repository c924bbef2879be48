"""One writer at a time for the output of `compact`: two that number their parts alike would replace each other's.

In a folder of this machine it is a lock of the system, which ends with the process. In a store it is a lease.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from mockrec.formats.files.locks import held_by
from mockrec.formats.fleet.lease import Lease
from mockrec.formats.parquet.files import file_system
from mockrec.formats.parquet.journal_lock import Lock, take_lock
from mockrec.formats.schema.errors import OutputBusyError, OutputError

_LOCK = ".compact.lock"


@contextmanager
def only_writer(output: str) -> Iterator[Callable[[], None]]:
    """Context in which no other `compact` writes into a data set. Raises `OutputBusyError` or `OutputError`.

    Its value is to be called before each change: it raises `OutputError` if another writer may have begun meanwhile.
    """
    try:
        filesystem, inner = file_system(output)
        local = isinstance(filesystem, pafs.LocalFileSystem)
        held = _locked(output, Path(inner)) if local else _leased(output, filesystem, inner.rstrip("/"))
        check = held.__enter__()
    except (OSError, pa.ArrowException) as error:
        raise OutputError(output, (getattr(error, "strerror", None) or str(error)).partition("\n")[0]) from None
    with contextlib.ExitStack() as stack:
        stack.push(held)
        yield check


@contextmanager
def _locked(output: str, folder: Path) -> Iterator[Callable[[], None]]:
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _take(output, folder)
    try:
        yield _certain
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


def _certain() -> None:
    """Do nothing: a lock of the system lasts as long as the process."""


@contextmanager
def _leased(output: str, filesystem: Any, folder: str) -> Iterator[Callable[[], None]]:
    lease = Lease(output, filesystem, folder)
    try:
        yield lease.check
    finally:
        lease.end()
