"""The records of open scopes that are written to files of their own: kept in temporary files until the scopes close.

The lines are those of the log, secrets replaced. Files are opened for each batch, because thousands of scopes may be
open at once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mockrec.engine.ids import new_id
from mockrec.formats.files.jsonl import encode_lines

_MARK = b'"scope":'


class _Key(msgspec.Struct, gc=False):
    scope: str = ""


_keys = msgspec.json.Decoder(_Key).decode


@dataclass(slots=True)
class Spool:
    """The records of one scope since it was opened."""

    path: Path
    is_empty: bool = True
    failure: OSError | None = None
    """Why records could not be kept; nothing is kept after that."""

    def finish(self, last: Mapping[str, Any]) -> None:
        """Write the last record of the session that the file is. Raises OSError, also that of an earlier record."""
        if self.failure is not None:
            raise self.failure
        with open(self.path, "ab") as file:
            file.write(encode_lines([dict(last)]))


class Spools:
    """The files of the open scopes, in a folder that is made when it is first needed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._open: dict[str, Spool] = {}

    def begin(self, scope: str, first: Mapping[str, Any]) -> Spool:
        """Keep the records of a scope from now on; `first` is the `session-started` of the run. Raises OSError."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="mockrec-scopes-"))
        spool = Spool(self._folder / f"{new_id()}.jsonl")
        spool.path.write_bytes(encode_lines([dict(first)]))
        self._open[scope] = spool
        return spool

    def end(self, scope: str) -> None:
        """Keep nothing more of a scope, and delete its file."""
        spool = self._open.pop(scope, None)
        if spool is not None:
            spool.path.unlink(missing_ok=True)

    def add(self, batch: bytes) -> None:
        """Take a batch of lines of the log."""
        if not self._open:
            return
        found: dict[str, list[bytes]] = {}
        for line in batch.splitlines(keepends=True):
            if _MARK not in line:
                continue
            name = _scope_of(line)
            if name in self._open:
                found.setdefault(name, []).append(line)
        for name, lines in found.items():
            _append(self._open[name], lines)

    def close(self, keeps: Collection[Path] = ()) -> None:
        """Delete everything but these files."""
        for spool in self._open.values():
            if spool.path not in keeps:
                spool.path.unlink(missing_ok=True)
        self._open.clear()
        if self._folder is not None and not keeps:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None


def _scope_of(line: bytes) -> str:
    try:
        return _keys(line).scope
    except msgspec.MsgspecError:  # a record in whose data only the word occurs, with another type
        return ""


def _append(spool: Spool, lines: list[bytes]) -> None:
    if spool.failure is not None:
        return
    try:
        with open(spool.path, "ab") as file:
            file.writelines(lines)
    except OSError as error:  # a full disk: closing the scope reports it
        spool.failure = error
        return
    spool.is_empty = False
