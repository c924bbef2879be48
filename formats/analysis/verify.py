"""Checks a session against the log's guarantees, record by record.

In memory is a small entry for each connection and each ended exchange, so memory grows with their number, not with the
size of the session.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mockrec.formats.analysis.strict_records import StrictDecoder
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.check import check_object, size_problem
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import check_record
from mockrec.formats.schema.lifecycle import (
    DEFAULT_EVENTS,
    ENDING_TYPES,
    ENDS_OF,
    FIRST_TYPES,
    JOINED_TYPES,
    LATE_TYPES,
    LIFECYCLE,
    OPENED_TYPES,
    TERMINAL_TYPES,
    TUNNEL_TYPES,
    is_upgrade,
    types_where,
)
from mockrec.formats.schema.session_events import UnknownEvent
from mockrec.formats.sessions.parts import ROTATED

MAX_FINDINGS = 1000
"""How many findings are kept; further ones are only counted."""

_AFTER_ACCEPTANCE = types_where(lambda row: row.websocket and not (row.begins or row.responds))
_OPENED_OF = {LIFECYCLE[opened].unit: opened for opened in OPENED_TYPES}
"""Kind of tunnel → the type of its first record."""


class Audit:
    """`check` every record, then `finish`; `findings` are sentences, in file order."""

    def __init__(self, header: Mapping[str, Any] | None, bodies_folder: Path | None, *, unit: str = "line") -> None:
        """`unit` is what the numbers of records count: lines, or records."""
        self._unit = unit
        self.findings: list[str] = []
        self.finding_count = 0
        self.counts: Counter[str] = Counter()
        """Records by type."""
        self.last: Mapping[str, Any] | None = None
        """The last record, or of one that was checked with others its type, seq and timestamp."""
        self._strict: StrictDecoder | None = None
        self.body_files = 0
        """How many bodies are in files of the session's folder of bodies."""
        self._header = header or {}
        self._folder = bodies_folder
        events = self._header.get("events")
        self._recorded = frozenset(map(str, events) if isinstance(events, list) else DEFAULT_EVENTS)
        # A later part of a rotated session has records of exchanges that began in earlier parts.
        self._from_start = self._header.get("part", 1) == 1
        derived = self._header.get("derived")
        self._derived = derived if isinstance(derived, Mapping) else {}
        self._merged = isinstance(self._derived.get("from"), list)
        """Whether several sessions are merged: each has its own first and last record and its own `seq`."""
        self._next_seq: dict[Any, int | None] = {}
        self._open: dict[str, str] = {}
        """The type of the first record of each open exchange or tunnel."""
        self._done: dict[str, str] = {}
        """The type of the record that ended each exchange or tunnel."""
        self._accepted: set[str] = set()
        self._times: dict[str, str] = {}
        """The timestamp of the last record of each connection."""
        self._sizes: dict[str, int] = {}
        """The sizes of the body files that have their hash."""
        self._ended: Mapping[str, Any] | None = None
        self._sessions_ended: set[Any] = set()

    @property
    def part(self) -> int | None:
        """The number of the checked part, if it is a later part of a rotated session."""
        return None if self._from_start else self._header.get("part")

    @property
    def open_ids(self) -> list[str]:
        """Exchanges and tunnels without an end."""
        return list(self._open)

    @property
    def exchange_count(self) -> int:
        """Exchanges and tunnels, ended or not."""
        return len(self._open) + len(self._done)

    def check(self, line: int, record: Mapping[str, Any]) -> None:
        """Check the next record."""
        kind = record["type"]
        # A type of a later version is no fault of the session: readers skip unknown types.
        known = kind in LIFECYCLE
        problems = check_record(record) if known else check_object(UnknownEvent, record)
        for problem in problems:
            self.report_at(line, f"{kind}: {problem}")
        session = record.get("sessionId") if self._merged else None
        if kind == "session-started" and self._continues_part(record):
            self._sessions_ended.discard(session)
        if session in self._sessions_ended:
            self.report_at(line, f"{kind} after session-ended")
        if self.last is None and kind != "session-started":
            self.report_at(line, f"the first record is {kind}, not session-started")
        if self.last is not None and kind == "session-started" and self._is_repeated_header(record):
            self.report_at(line, "session-started again")
        self._check_seq(line, session, record.get("seq"))
        self.counts[kind] += 1
        self.last = record
        if kind == "session-ended":
            self._ended = record
            self._sessions_ended.add(session)
        identity = record.get("id")
        if isinstance(identity, str) and kind in JOINED_TYPES:
            self._check_order(line, kind, identity)
        if not problems:
            self._check_time(line, record.get("connectionId"), record["timestamp"])
            for body in _bodies(record):
                self._check_hash(line, body)

    def check_block(self, line: int, lines: bytes) -> bool:
        """Check whole lines together, beginning with number `line`; False if their records have to be checked singly.

        Then nothing of them was checked.
        """
        if self._merged or self._sessions_ended or self.last is None:
            return False
        if self._strict is None:
            self._strict = StrictDecoder()
        records = self._strict.decode(lines)
        if not records:
            return False
        kinds = self._strict.kinds
        for number, record in enumerate(records, line):
            kind = kinds[type(record)]
            self._check_seq(number, None, record.seq)
            self.counts[kind] += 1
            if type(record.id) is str:
                self._check_order(number, kind, record.id)
            self._check_time(number, record.connectionId, record.timestamp)
        self.last = {"type": kind, "seq": record.seq, "timestamp": record.timestamp}
        return True

    def finish(self) -> None:
        """Check the session as a whole."""
        ended = self._ended
        if ended is None:
            return
        # In a repaired session, in a part that is followed by another, and after a gap, ends are known to be missing.
        open_end = ended.get("reason") in ("repaired", ROTATED)
        if not open_end and not self.counts["gap"] and not self._derived.get("records"):
            for identity, kind in self._open.items():
                if self._records_end_of(kind):
                    self.report(f"{identity} ({kind}) has no end")
        if self._from_start:
            self._check_counts(ended.get("counts"))

    def report(self, finding: str) -> None:
        """Add a finding."""
        self.finding_count += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def report_at(self, number: int, finding: str) -> None:
        """Add a finding about the record with this number."""
        self.report(f"{self._unit} {number}: {finding}")

    def _is_repeated_header(self, record: Mapping[str, Any]) -> bool:
        """Whether a further `session-started` is a fault: sessions were not merged, and it begins no later part."""
        return not self._derived and record.get("part", 1) == 1

    def _continues_part(self, record: Mapping[str, Any]) -> bool:
        """Whether a `session-started` begins the part after the one that has ended."""
        before = self._ended
        if before is None or before.get("reason") != ROTATED:
            return False
        number = before.get("part")
        same = record.get("sessionId") == self._header.get("sessionId")
        return same and isinstance(number, int) and record.get("part") == number + 1

    def _records_end_of(self, first: str) -> bool:
        """Whether the session records the ends of exchanges or tunnels that begin with such a record."""
        if first in TUNNEL_TYPES:
            return ENDS_OF[_OPENED_OF[LIFECYCLE[first].unit]] <= self._recorded
        return self._recorded >= TERMINAL_TYPES

    def _check_time(self, line: int, connection: Any, stamp: str) -> None:
        if not isinstance(connection, str):
            return
        before = self._times.get(connection, stamp)
        if stamp < before:
            self.report_at(line, f"timestamp {stamp} after {before} on connection {connection}")
        self._times[connection] = stamp

    def _check_seq(self, line: int, session: Any, seq: Any) -> None:
        if type(seq) is not int:
            return
        expected = self._next_seq.get(session, 0 if self._from_start else None)
        self._next_seq[session] = seq + 1
        if expected is None or seq == expected:
            return
        if seq < expected:
            self.report_at(line, f"seq {seq} after {expected - 1}")
        elif not self._derived:
            missing = seq - expected
            self.report_at(line, f"seq {seq} after {expected - 1}: {missing} missing")

    def _check_order(self, line: int, kind: str, identity: str) -> None:
        if identity in self._done:
            if kind in ENDING_TYPES:
                self.report_at(line, f"{kind}: {identity} has ended before, with {self._done[identity]}")
            elif kind not in LATE_TYPES:
                self.report_at(line, f"{kind} after the end of {identity}")
            return
        if identity not in self._open:
            self._check_first(line, kind, identity)
            self._open[identity] = kind
        elif kind in FIRST_TYPES and not is_upgrade(kind, self._open[identity]):
            self.report_at(line, f"{kind} again for {identity}")
        if kind == "websocket-accepted":
            self._accepted.add(identity)
        if kind in _AFTER_ACCEPTANCE and self._misses_acceptance(identity):
            self.report_at(line, f"{kind} of {identity}, which was not accepted")
        if kind == "response" and identity in self._accepted:
            self.report_at(line, f"response of {identity}, which was accepted as a WebSocket")
        if kind in ENDING_TYPES:
            self._done[identity] = kind
            self._open.pop(identity, None)
            self._accepted.discard(identity)

    def _misses_acceptance(self, identity: str) -> bool:
        recorded = self._has_all and "websocket-accepted" in self._recorded
        return recorded and identity not in self._accepted

    @property
    def _has_all(self) -> bool:
        """Whether no records are known to be missing so far: earlier parts, those of a gap, those a filter left out."""
        return self._from_start and not self.counts["gap"] and not self._derived.get("records")

    def _check_first(self, line: int, kind: str, identity: str) -> None:
        if not self._has_all:
            return
        if kind in TUNNEL_TYPES:
            wanted = _OPENED_OF[LIFECYCLE[kind].unit]
            if kind != wanted and wanted in self._recorded:
                self.report_at(line, f"{kind} is the first record of {identity}, not {wanted}")
        elif kind not in FIRST_TYPES and self._recorded >= FIRST_TYPES:
            self.report_at(line, f"{kind} is the first record of {identity}, not request-initiated")

    def _check_counts(self, counts: Any) -> None:
        if not isinstance(counts, Mapping):
            return
        # The record with the counts may or may not count itself.
        for kind in sorted({*counts, *self.counts} - {"session-started", "session-ended"}):
            recorded, found = counts.get(kind, 0), self.counts.get(kind, 0)
            if recorded != found and not self._derived:
                self.report(f"session-ended counts {recorded} {kind}, the file has {found}")

    def _check_hash(self, line: int, record: Mapping[str, Any]) -> None:
        body = Body.from_record(record, self._folder)
        if body.file is not None:
            self.body_files += 1
            self._check_file(line, body, record)
        elif body.sha256 is not None:
            try:
                data = body.bytes
            except SessionError as error:
                self.report_at(line, str(error))
                return
            if hashlib.sha256(data).hexdigest() != body.sha256:
                self.report_at(line, "a body is not what its sha256 says")

    def _check_file(self, line: int, body: Body, record: Mapping[str, Any]) -> None:
        """Check the file of a body. Equal bodies share a file, which is read only once."""
        assert body.file is not None
        size = self._sizes.get(body.file)
        if size is None:
            try:
                size = body.check_file()
            except SessionError as error:
                self.report_at(line, str(error))
                return
            self._sizes[body.file] = size
        if body.sha256 is not None and body.sha256 != body.file[3:]:
            self.report_at(line, "a body is not what its sha256 says")
        if problem := size_problem(record, size):
            self.report_at(line, f"{body.file}: size {problem}")


def _bodies(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for owner in (record, record.get("request"), record.get("response")):
        if isinstance(owner, Mapping):
            for key in ("body", "requestBody", "content", "rawHead"):
                body = owner.get(key)
                if isinstance(body, Mapping) and "size" in body:
                    yield body
