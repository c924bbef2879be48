"""Lines of a session that is derived from other sessions: the keys that are added, and the bodies they refer to.

Lines are copied unchanged, unless a key is added or a body file becomes an inline body.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from mockrec.formats.files.jsonl import load_record
from mockrec.formats.schema.body import Body, encode_body, own_file
from mockrec.formats.schema.errors import OutputError, SessionError

_FILE = re.compile(rb'"file"\s*:\s*"([0-9a-f]{2})\\?/([0-9a-f]{64})"')
"""The name of a body file, also as other programs write it: with spaces, and with an escape before the slash."""


class _Header(msgspec.Struct):
    type: object = None
    sessionId: object = None
    derived: object = None


_decode_header = msgspec.json.Decoder(_Header).decode


class Provenance:
    """Adds to lines from which session they come: `derived` to `session-started`, `sessionId` in a merged session."""

    def __init__(self, derived: Mapping[str, Any], sessions: list[str | None]) -> None:
        self._derived = dict(derived)
        """The value of `derived` in `session-started`; empty: lines stay unchanged."""
        self._sessions = sessions
        """The `sessionId` of each source. Where it is None, it is taken from the source's first record."""
        self._merged = len(sessions) > 1

    def mark(self, raw: bytes, source: int) -> bytes:
        """Return the line for the new session."""
        if not self._derived:
            return raw
        if not self._merged and b'"session-started"' not in raw:
            return raw
        header = _decode_header(raw)
        if header.type == "session-started":
            if self._sessions[source] is None and type(header.sessionId) is str:
                self._sessions[source] = header.sessionId
            return self._mark_header(raw, header)
        session = self._sessions[source]
        if self._merged and session is not None and header.sessionId is None:
            return _with_key(raw, "sessionId", session)
        return raw

    def _mark_header(self, raw: bytes, header: _Header) -> bytes:
        if header.derived is None:
            return _with_key(raw, "derived", self._derived)
        record = load_record(raw)
        # The source is itself derived: its own `derived` is kept as `before`.
        record["derived"] = {**self._derived, "before": header.derived}
        return orjson.dumps(record)


def _with_key(raw: bytes, key: str, value: object) -> bytes:
    return b"".join([raw.rstrip()[:-1], b",", orjson.dumps(key), b":", orjson.dumps(value), b"}"])


class BodyCarrier:
    """Copies the bodies that lines refer to: to the new session's folder of bodies, or into the lines."""

    def __init__(self, target: Path | None) -> None:
        self._target = target
        """The new session's folder of bodies; None: bodies go into the lines."""
        self.lost = 0
        """Bodies that are missing or do not have their hash. The records that name them stay unchanged."""
        self._made: list[Path] = []
        """The files and folders that were made, in order."""

    def discard(self) -> None:
        """Remove the copied bodies, because the new session is discarded."""
        for path in reversed(self._made):
            try:
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
            except OSError:
                pass  # another program has added a file to the folder, or has removed the folder
        self._made.clear()

    def carry(self, raw: bytes, folder: Path | None) -> bytes:
        """Copy the bodies that a line names from `folder`, and return the line. Raises `OutputError`."""
        if b'"file"' not in raw or folder is None:
            return raw
        names = {f"{start.decode()}/{name.decode()}" for start, name in _FILE.findall(raw)}
        present = {name for name in names if _is_own(folder, name)}
        self.lost += len(names) - len(present)
        if not present:
            return raw
        if self._target is None:
            return orjson.dumps(self._inlined(load_record(raw), folder, present))
        for name in present:
            self._copy(folder / name, self._target / name)
        return raw

    def _copy(self, source: Path, target: Path) -> None:
        """Make a hard link, or where the file system has none a copy, which appears only when it is complete."""
        if target.exists():
            return
        partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            for place in (target.parent.parent, target.parent):
                if not place.exists():
                    place.mkdir(mode=0o700)
                    self._made.append(place)
            source = source.resolve()  # a hard link to a symbolic link would not keep the file
            self._made.append(target)
            try:
                os.link(source, target)
            except OSError:
                self._made.append(partial)
                shutil.copyfile(source, partial)
                partial.chmod(0o600)
                partial.replace(target)
                self._made.pop()
        except OSError as error:
            raise OutputError(str(target), error.strerror or str(error)) from None

    def _inlined(self, value: Any, folder: Path, present: set[str]) -> Any:
        if isinstance(value, list):
            return [self._inlined(item, folder, present) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("file") in present and "size" in value:
            try:
                inline = encode_body(Body.from_record(value, folder).bytes)
            except SessionError:
                self.lost += 1
                return value
            inline.pop("size")
            return {key: item for key, item in value.items() if key != "file"} | inline
        return {key: self._inlined(item, folder, present) for key, item in value.items()}


def _is_own(folder: Path, name: str) -> bool:
    try:
        own_file(folder, name)
    except SessionError:
        return False
    return True
