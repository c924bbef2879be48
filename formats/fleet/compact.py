"""Many small sessions → few large Parquet files, in which readers skip what they do not need.

The output is a data set: `events/part-000001.parquet`, `exchanges/part-000001.parquet` and so on. A part has whole
sessions one after the other, ordered by the keys of their folders, then by time, and the columns `session` and those
keys. Its footer lists the sessions (`mockrec.sessions`), which is how a second run knows them. A part is complete or
not there at all; its `events` file appears last. To the other commands, the data set is one merged session.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from mockrec.formats.fleet.fetching import fetched
from mockrec.formats.fleet.patterns import keys_of
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.tables import bodies_folder_of, events_of, fleet_schema, with_keys
from mockrec.formats.parquet.arrow_schema import footer
from mockrec.formats.parquet.atomic_file import AtomicFile
from mockrec.formats.parquet.exchange_columns import ExchangeTable
from mockrec.formats.parquet.files import GROUP_ROWS, file_system, new_writer
from mockrec.formats.parquet.files_of_store import FoundSession
from mockrec.formats.parquet.paths import EVENTS_FOLDER, EXCHANGES_FOLDER, is_uri, part_name, part_number, session_name
from mockrec.formats.schema.errors import OutputError, SessionError
from mockrec.formats.sessions.derived import BodyCarrier
from mockrec.formats.sessions.inputs import open_part
from mockrec.formats.sessions.live import recorder_of
from mockrec.formats.sessions.parts import find_part

PART_SIZE = 256 * 1024 * 1024
"""Bytes of sessions that become one part. Parquet of small sessions shrinks to about a third."""
_IN_MEMORY = 32 * 1024 * 1024
"""Bytes of a session that is read once. A larger one is read twice, first to see whether all of it can be read."""
_GROUP_BYTES = 64 * 1024 * 1024
_BODIES = ("bodyText", "bodyBytes")
"""Columns written with a dictionary: equal bodies of a row group are stored once."""
_ERRORS = (OSError, pa.ArrowException)
_SESSIONS = b"mockrec.sessions"


@dataclass(frozen=True, slots=True)
class CompactedSession:
    """A session in a part, as the part's footer names it."""

    name: str
    size: int
    """Bytes of its files."""
    session_id: str | None
    rows: int
    cut_off: str = ""
    """Why it is not complete; empty if it is. Not in the footer."""
    problems: tuple[str, ...] = ()
    """What was left out."""


@dataclass(slots=True)
class PartPlan:
    """What becomes one part."""

    number: int
    sessions: list[str]
    sizes: list[int]


@dataclass(slots=True)
class CompactPlan:
    """What is to be done for an output."""

    output: str
    parts: list[PartPlan] = field(default_factory=list)
    done: dict[str, CompactedSession] = field(default_factory=dict)
    """Sessions that the output has already, by name."""


def plan(sessions: Sequence[str], output: str, skipped: Skipped, part_size: int = PART_SIZE) -> CompactPlan:
    """Return which sessions become which part. The same sessions give the same plan, whatever their order.

    Sessions that the output has already, and those that are being recorded, are left out. Raises `OutputError`.
    """
    made = CompactPlan(output)
    inside = f"{output.partition('?')[0].rstrip('/')}/"
    known, number = _existing(output)
    by_size: dict[int, list[CompactedSession]] = {}
    for one in chain.from_iterable(known.values()):
        by_size.setdefault(one.size, []).append(one)
    waiting: list[tuple[Any, str, int]] = []
    for session in sessions:
        if session.partition("?")[0].rstrip("/") + "/" == inside or session.startswith(inside):
            continue
        if who := recorder_of(session):
            skipped.add(SessionError(session, f"it is still being recorded by {who}"))
            continue
        size = _size_of(session)
        before = known.get(str(session)) or _under_another_name(session, by_size.get(size, ()))
        if same := [one for one in before if one.size == size]:
            made.done[str(session)] = same[-1]
            continue
        if before and _readable_id(session) in {one.session_id for one in before}:
            # Its old rows cannot be taken out of a part, and both would be counted.
            skipped.add(SessionError(session, f"it has changed since it was compacted; {output} has it as it was"))
            continue
        waiting.append((sorted(keys_of(session).items()), session, size))
    for _, session, size in sorted(waiting, key=lambda one: (one[0], one[1])):
        if not made.parts or sum(made.parts[-1].sizes) + size > part_size:
            number += 1
            made.parts.append(PartPlan(number, [], []))
        made.parts[-1].sessions.append(session)
        made.parts[-1].sizes.append(size)
    return made


def _under_another_name(session: str, known: Sequence[CompactedSession]) -> Sequence[CompactedSession]:
    """Return a session that the output has under a name from another folder: `ci/s.jsonl` for `../ci/s.jsonl`.

    `known` are those of the same size.
    """
    parts = _parts_of(session)
    for one in known:
        own = _parts_of(one.name)
        length = min(len(parts), len(own))
        if parts[-length:] == own[-length:] and one.session_id and _readable_id(session) == one.session_id:
            return [one]
    return ()


def _readable_id(session: str) -> str | None:
    try:
        return _id_of(session)
    except (*_ERRORS, SessionError):
        return None  # reported when it is read as a whole


def _parts_of(session: str) -> list[str]:
    bare = session.partition("?")[0] if is_uri(session) else os.path.normpath(session)
    return [part for part in bare.rstrip("/").split("/") if part not in ("", ".", "..")]


def write_part(
    output: str, part: PartPlan, file_mode: int = 0o600, check: Callable[[], None] = lambda: None
) -> tuple[list[CompactedSession], list[SessionError]]:
    """Write a part. Return its sessions, and the errors of those that could not be read, of which it has nothing.

    Raises `OutputError`. The part appears when it is complete, after `check`, which raises it if another writer may
    have begun: the part would replace one of the other's.
    """
    errors: list[SessionError] = []
    try:
        return _Part(output, part, file_mode).write(errors, check), errors
    except _ERRORS as error:
        text = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise OutputError(output, text) from None


class _Part:
    """A part that is being written."""

    def __init__(self, output: str, part: PartPlan, file_mode: int) -> None:
        self._part = part
        self._mode = file_mode
        self._filesystem, inner = file_system(output)
        self._folder = inner.rstrip("/")
        local = isinstance(self._filesystem, pafs.LocalFileSystem)
        if local:
            for name in (EVENTS_FOLDER, EXCHANGES_FOLDER):
                Path(self._folder, name).mkdir(parents=True, exist_ok=True)
        # A store has no files beside a session: there, large bodies are in the rows.
        self._carrier = BodyCarrier(Path(f"{session_name(self._folder)}.bodies") if local else None)

    def write(self, errors: list[SessionError], check: Callable[[], None]) -> list[CompactedSession]:
        """Write both tables; see `write_part`."""
        events, exchanges = self._table("events"), self._table("exchanges")
        done: list[CompactedSession] = []
        try:
            for number, session in enumerate(fetched(self._part.sessions)):
                try:
                    batches = self._readable(session, self._part.sizes[number])
                except SessionError as error:
                    errors.append(error)
                    continue
                first = next(batches, None)
                identity = None if first is None else _identity(first)
                rows = 0
                ended = False
                made = ExchangeTable(bodies_folder=bodies_folder_of(session))
                for batch in chain(() if first is None else (first,), batches):
                    made.add(batch)
                    events.add(with_keys(_with_identity(batch, identity), session, events.schema))
                    rows += batch.num_rows
                    ended = batch.num_rows > 0 and batch.column("type")[-1].as_py() == "session-ended"
                for batch in made.take(last=True):
                    exchanges.add(with_keys(batch, session, exchanges.schema))
                cut_off = "" if ended else "it has no session-ended record at its end"
                done.append(CompactedSession(str(session), self._part.sizes[number], identity, rows, cut_off))
            if not done:
                events.discard()
                exchanges.discard()
                return []
            check()
            exchanges.finish([])
            check()
            events.finish(done)
        except BaseException:
            events.discard()
            exchanges.discard()
            raise
        return done

    def _readable(self, session: str, size: int) -> Iterator[pa.RecordBatch]:
        """Return the events of a session of which all can be read. Raises `SessionError`."""
        if size <= _IN_MEMORY:
            return iter(list(self._events(session)))
        for _ in events_of(session):
            pass
        return self._events(session)

    def _events(self, session: str) -> Iterator[pa.RecordBatch]:
        folder = bodies_folder_of(session)
        if folder is None or not folder.is_dir():
            yield from events_of(session)
            return

        def carried(block: bytes) -> bytes:
            return b"".join(self._carrier.carry(line, folder) + b"\n" for line in block.split(b"\n") if line)

        yield from events_of(session, change=carried)

    def _table(self, table: str) -> _TableOfPart:
        path = f"{self._folder}/{table}/{part_name(self._part.number)}"
        return _TableOfPart(self._filesystem, path, table, fleet_schema(table, self._part.sessions), self._mode)


class _TableOfPart:
    """One table of a part: an open file."""

    def __init__(self, filesystem: Any, path: str, table: str, schema: pa.Schema, file_mode: int) -> None:
        self.schema = schema
        self._table = table
        self._file = AtomicFile(filesystem, path, file_mode)
        keys = list(schema.names[: schema.get_field_index("seq" if table == "events" else "id")])
        self._writer = new_writer(self._file.stream, table, schema, (*keys, "sessionId", *_BODIES))
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._open = True

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._batches, self.schema), row_group_size=GROUP_ROWS)
        self._batches, self._rows, self._bytes = [], 0, 0

    def finish(self, sessions: Sequence[CompactedSession]) -> None:
        """Write the footer; the file appears."""
        self._flush()
        known = [[one.name, one.size, one.session_id, one.rows] for one in sessions]
        more = {"sessions": orjson.dumps(known).decode()} if sessions else {}
        self._writer.add_key_value_metadata(footer(self._table, **more))
        self._writer.close()
        self._file.publish()
        self._open = False

    def discard(self) -> None:
        """Remove the unfinished file."""
        if self._open:
            self._open = False
            with contextlib.suppress(*_ERRORS):
                self._writer.close()
            self._file.discard()


def _with_identity(batch: pa.RecordBatch, identity: str | None) -> pa.RecordBatch:
    """Return a batch whose records have the `sessionId` of their session, as those of every merged session."""
    place = batch.schema.get_field_index("sessionId")
    if identity is None:
        return batch
    return batch.set_column(place, batch.schema.field(place), pc.fill_null(batch.column(place), identity))


def _identity(batch: pa.RecordBatch) -> str | None:
    """Return the `sessionId` of a session, given its first rows."""
    if batch.num_rows and batch.column("type")[0].as_py() == "session-started":
        return batch.column("sessionId")[0].as_py()  # type: ignore[no-any-return]
    return None


def still_there(output: str, done: Mapping[str, CompactedSession]) -> dict[str, CompactedSession]:
    """Return those sessions that the output has now, read again: only these may be deleted. Raises `OutputError`."""
    known, _ = _existing(output)
    return {
        name: one
        for name, one in done.items()
        if any((one.size, one.session_id) == (other.size, other.session_id) for other in known.get(one.name, ()))
    }


def _existing(output: str) -> tuple[dict[str, list[CompactedSession]], int]:
    """Return the sessions that an output has by name, and the number of its last part. Raises `OutputError`."""
    known: dict[str, list[CompactedSession]] = {}
    last = 0
    try:
        filesystem, inner = file_system(output)
        folder = f"{inner.rstrip('/')}/{EVENTS_FOLDER}"
        for info in filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True)):
            number = part_number(info.base_name)
            if number is None:
                continue
            last = max(last, number)
            metadata = pq.read_metadata(info.path, filesystem=filesystem).metadata or {}
            if _SESSIONS not in metadata:
                raise OutputError(output, f"{info.base_name} in it is a recording; name a folder of its own")
            for name, size, identity, rows in orjson.loads(metadata[_SESSIONS]):
                known.setdefault(name, []).append(CompactedSession(name, size, identity, rows))
    except _ERRORS as error:
        raise OutputError(output, (getattr(error, "strerror", None) or str(error)).partition("\n")[0]) from None
    return known, last


def _size_of(session: str) -> int:
    if isinstance(session, FoundSession) and session.files:
        return sum(file.size for file in session.files)
    if is_uri(session):
        filesystem, inner = file_system(session)
        return filesystem.get_file_info(inner).size or 0
    path = Path(session)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(os.stat(file).st_size for file in files)


def remove(session: str, known: CompactedSession) -> bool:
    """Remove a session that is in a part. False if it is not the session that the part has any more.

    Raises `OutputError`.
    """
    try:
        if _size_of(session) != known.size or _id_of(session) != known.session_id:
            return False
        if is_uri(session):
            _remove_stored(session)
        else:
            _remove_local(Path(session), known.session_id)
    except (*_ERRORS, SessionError) as error:
        raise OutputError(session, f"it is compacted and cannot be removed: {error}") from None
    return True


def _id_of(session: str) -> str | None:
    for batch in events_of(session):
        return _identity(batch)
    return None


def _remove_stored(session: str) -> None:
    filesystem, inner = file_system(session)
    files = session.files if isinstance(session, FoundSession) else ()
    exchanges = f"{inner.rstrip('/')}/{EXCHANGES_FOLDER}"
    if session.partition("?")[0].endswith("/") and filesystem.get_file_info(exchanges).type == pafs.FileType.Directory:
        filesystem.delete_dir_contents(exchanges, missing_dir_ok=True)
    for path in [file.path for file in files] or [inner]:
        filesystem.delete_file(path)


def _remove_local(path: Path, identity: str | None) -> None:
    bodies = Path(f"{session_name(str(path))}.bodies")
    if path.is_dir():
        for name in (EXCHANGES_FOLDER, EVENTS_FOLDER):
            shutil.rmtree(path / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            path.rmdir()  # only if nothing else is in it
    else:
        parts = [str(path)]
        while identity and (part := find_part(str(path), identity, len(parts) + 1, open_part)) is not None:
            parts.append(part)
        for part in reversed(parts):
            os.unlink(part)
    if bodies.is_dir():
        shutil.rmtree(bodies)
