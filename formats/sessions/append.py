"""Add exchanges to a recorded session: a new file is written next to it, and renamed when it is complete.

The records of the session stay as they are, byte for byte in JSON Lines. Behind them come a `session-started` with the
next number of a part, the new records, whose `seq` continues, and one `session-ended` for all of them.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockrec.formats.files import locks
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.jsonl import encode_lines, load_record
from mockrec.formats.files.part_names import numbered_parts
from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.errors import OutputBusyError, OutputError, OutputExistsError, SessionError
from mockrec.formats.sessions.derived import BodyCarrier
from mockrec.formats.sessions.inputs import open_part
from mockrec.formats.sessions.outputs import format_of, open_sink
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]

_BATCH = 256 * 1024
"""Bytes of one write."""
_LOCK_SECONDS = 20.0
"""How long another program may be writing the session before this one gives up."""
_PAUSE_SECONDS = 0.05
_FOLDER = ".mockrec-"
"""How the names of the folders begin in which new files are written."""
_PARQUET = b"PAR1"
_ZIP = b"PK\x03\x04"


@dataclass(slots=True)
class Addition:
    """What is added to a session."""

    lines: Callable[[], Iterable[bytes]]
    """Yields the lines of the new records, in order; it is called for each attempt."""
    started: Mapping[str, Any]
    """The `session-started` of the recording from which they come."""
    ended: Mapping[str, Any]
    """Its `session-ended`."""
    bodies: Path | None
    """The folder of its bodies."""
    events: tuple[str, ...] = ()
    """The types that the new records may have."""


@dataclass(slots=True)
class _Present:
    """What is known of the session when all of its records are copied."""

    header: Record | None = None
    parts: int = 0
    next_seq: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    ended: Record | None = None
    cut_off: bool = False


def check_addable(path: str) -> None:
    """Raise SessionError if nothing can be added to the session at `path`, or if none can be made there."""
    folder = os.path.dirname(os.path.realpath(path))
    if path == "-" or is_uri(path) or (os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
        raise SessionError(path, "exchanges can be added to a session in a file only")
    if os.path.isdir(path) or path.endswith("/"):
        raise SessionError(path, f"nothing can be added to a data set of Parquet; {_conversion(path)}")
    if not os.path.isdir(folder):
        raise SessionError(path, "its folder is not there, so no session can be recorded in it")
    if not os.access(folder, os.W_OK):
        raise SessionError(path, "its folder is not writable, so nothing can be added")
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, for example
        raise SessionError(path, f"no file can have this name: {error.strerror or error}") from None
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return
    tool = _other_tool(path)
    if tool:
        raise SessionError(path, f"this is {tool}, which mockrec reads and does not write; {_conversion(path)}")
    if numbered_parts(path):
        raise SessionError(path, f"this session is in several files; {_conversion(path)}")


def _conversion(path: str) -> str:
    name = os.path.basename(path.rstrip("/")).split(".")[0] or "session"
    return f"convert it with `mockrec filter {path} -o {name}.jsonl`, and record into that"


def _other_tool(path: str) -> str:
    """Return what a file of another tool is; empty for a session of mockrec."""
    with open(path, "rb") as file:
        start = file.read(len(_PARQUET))
    if start.startswith(_PARQUET):
        return ""
    if start.startswith(_ZIP):
        return "a HAR with its files in a zip"
    source = open_part(path)
    try:
        first = next(iter(source.plain()), b"")
    finally:
        source.close()
    from mockrec.formats.har.recognise import names_log
    from mockrec.formats.imported.recognise import recognise

    if names_log(first):
        return "" if b'"_mockrecSession"' in first else "a HAR of another tool"
    names = {"cassette": "a VCR cassette", "json-cassette": "a VCR cassette", "flows": "a flow file of mitmproxy"}
    return names.get(recognise(first), "")


def add_to_session(path: str, addition: Addition, *, file_mode: int) -> int:
    """Add the records, and return how many bodies could not be copied; a session that is not there is made, with this
    mode. Raises SessionError and OutputError; the session is as it was then."""
    real = os.path.realpath(path)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        with _locked(real, path, deadline) as held:
            lost = _add(real, addition, file_mode, is_new=held is None)
            if lost is not None:
                return lost


def write_session(path: str, addition: Addition, *, file_mode: int, replaces: bool) -> int:
    """Write the records as a session of their own, and return how many bodies could not be copied. `replaces`: a file
    that is there is replaced when the new one is complete. Raises OutputError; a file that is there is as it was then.
    """
    real = os.path.realpath(path)
    with _locked(real, path, time.monotonic() + _LOCK_SECONDS) as held:
        lost = None
        if held is None or replaces:
            lost = _add(real, addition, file_mode, is_new=True, replaces=replaces)
        if lost is None:
            raise OutputExistsError(path)
        return lost


@contextmanager
def _locked(real: str, path: str, deadline: float) -> Iterator[int | None]:
    """Hold the lock of the session while it is replaced: of two runs that end together, neither loses anything.

    Yields None if there is no session yet. Raises OutputBusyError.
    """
    while True:
        try:
            fd = os.open(real, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            yield None
            return
        try:
            taken = locks.lock(fd)
            if taken == locks.BUSY:
                if time.monotonic() > deadline:
                    raise OutputBusyError(path, locks.held_by(real))
                time.sleep(_PAUSE_SECONDS)
            elif _is_still(fd, real):
                yield fd if os.fstat(fd).st_size else None
                return
        finally:
            os.close(fd)


def _is_still(fd: int, path: str) -> bool:
    """Whether an open file still has this name: another run may have replaced it."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _add(real: str, addition: Addition, file_mode: int, *, is_new: bool, replaces: bool = False) -> int | None:
    """Write the new file and rename it. Return None if another program has made the session meanwhile, unless that is
    replaced."""
    name = os.path.basename(real)
    mode = file_mode if is_new else stat.S_IMODE(os.stat(real).st_mode)
    try:
        folder = tempfile.mkdtemp(prefix=_FOLDER, dir=os.path.dirname(real))
    except OSError as error:
        raise OutputError(real, error.strerror or str(error)) from None
    lock = _lock_of(folder)
    try:
        _remove_abandoned(os.path.dirname(real), name)
        chosen = format_of(name) if is_new else _format_in_use(real)
        target = None if chosen in ("har", "parquet") else Path(f"{real}.bodies")
        carrier = BodyCarrier(target)
        made = os.path.join(folder, name)
        is_done = False
        try:
            sink = open_sink(made, file_mode=mode, output_format=chosen)
            try:
                _write(sink, None if is_new else real, addition, carrier)
            finally:
                sink.close()
            is_done = _rename(made, real, is_new=is_new and not replaces)
        finally:
            if not is_done:
                carrier.discard()
        return carrier.lost if is_done else None
    except OutputError as error:
        raise (OutputError(real, error.message) if error.file.startswith(folder) else error) from None
    except OSError as error:
        raise OutputError(real, error.strerror or str(error)) from None
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: str) -> int | None:
    """Lock a folder in which a session is made, until the descriptor is closed. None if that is not possible, or if
    another program has the lock."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that has gone
        return None
    if locks.lock(fd) == locks.LOCKED:
        return fd
    os.close(fd)
    return None


def _remove_abandoned(parent: str, name: str) -> None:
    """Remove what programs that were killed have left of new files for this session."""
    for made in glob.glob(os.path.join(glob.escape(parent), f"{_FOLDER}*", glob.escape(name))):
        folder = os.path.dirname(made)
        fd = _lock_of(folder)
        if fd is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(fd)


def _rename(made: str, real: str, *, is_new: bool) -> bool:
    fd = os.open(made, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    if is_new and not (os.path.exists(real) and os.path.getsize(real) == 0):
        try:
            os.link(made, real)  # unlike a rename, it fails if the name is taken
            return True
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if os.path.exists(real):
                return False
    os.replace(made, real)
    return True


def _format_in_use(real: str) -> str:
    """The format in which a session is, whatever its name says."""
    with open(real, "rb") as file:
        start = file.read(len(_PARQUET))
    if start.startswith(_PARQUET):
        return "parquet"
    if start.startswith(b"\x1f\x8b"):
        return "jsonl.gz"
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return "jsonl.zst"
    from mockrec.formats.har.recognise import names_log

    with open(real, "rb") as file:
        return "har" if names_log(file.read(64 * 1024)) else "jsonl"


def _write(sink: Sink, present: str | None, addition: Addition, carrier: BodyCarrier) -> None:
    batch: list[bytes] = []
    size = 0

    def put(line: bytes) -> None:
        nonlocal size
        batch.append(line)
        size += len(line)
        if size > _BATCH:
            flush()

    def flush() -> None:
        nonlocal size
        if batch:
            sink.write(b"".join(batch))
        batch.clear()
        size = 0

    known = _Present() if present is None else _copy(present, put)
    put(encode_lines([_part(known, addition)]))
    known.counts["session-started"] += 1
    for line in addition.lines():
        record = load_record(carrier.carry(line, addition.bodies))
        record["seq"] = known.next_seq
        known.next_seq += 1
        known.counts[record["type"]] += 1
        put(encode_lines([record]))
    put(encode_lines([_ended(known, addition)]))
    flush()


def _copy(path: str, put: Callable[[bytes], None]) -> _Present:
    """Copy the records of a session without its last one. Raises SessionError."""
    known = _Present()
    last: bytes | None = None
    with open_session(path) as session:
        merged = isinstance((session.header or {}).get("derived"), Mapping) and isinstance(
            (session.header or {})["derived"].get("from"), list
        )
        for line in session.scan():
            if line.torn:
                continue
            if line.record is None:
                raise SessionError(path, line.problem, line.number)
            if last is not None:
                put(last)
                last = None
            record = line.record
            if isinstance(record.get("seq"), int):
                known.next_seq = max(known.next_seq, record["seq"] + 1)
            known.ended = None
            known.counts[record["type"]] += 1
            if record["type"] == "session-started":
                known.header = known.header or record
                part = record.get("part", 1)
                known.parts = max(known.parts, part if isinstance(part, int) else 1)
            if record["type"] == "session-ended" and not merged:
                known.ended, last = record, line.raw + b"\n"
            else:
                put(line.raw + b"\n")
        known.cut_off = bool(session.cut_off)
    if known.ended is not None:
        known.counts["session-ended"] -= 1
        known.next_seq -= known.ended.get("seq") == known.next_seq - 1  # the new last record gets its number
    return known


def _part(known: _Present, addition: Addition) -> Record:
    """The record that opens the new part."""
    record = {**addition.started, "seq": known.next_seq}
    known.next_seq += 1
    if addition.events:
        record["events"] = list(addition.events)
    if known.header is not None:
        record["sessionId"] = known.header.get("sessionId", record.get("sessionId"))
        record["part"] = max(known.parts, 1) + 1
    return record


def _ended(known: _Present, addition: Addition) -> Record:
    """The last record, for all parts."""
    record = {**addition.ended, "seq": known.next_seq}
    before = known.ended or {}
    if known.cut_off or before.get("reason") == "repaired":
        record["reason"] = "repaired"  # exchanges of the session may have no end
    counts = {kind: count for kind, count in known.counts.items() if count}
    record["counts"] = {**counts, "session-ended": 1}
    for key in ("truncatedBodies", "redactions"):
        if isinstance(before.get(key), int):
            record[key] = before[key] + (record.get(key) or 0)
    return record
