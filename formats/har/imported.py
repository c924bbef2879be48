"""Convert other tools' entries to a session: ordered by time, between our own first and last record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har import fields
from mockrec.formats.har.attached import Attached
from mockrec.formats.har.fields import items, mapping, number, text
from mockrec.formats.har.imported_entry import ImportedEntry, client_of, made_up_id
from mockrec.formats.har.imported_repairs import EntryRepairs, Repairs
from mockrec.formats.har.imported_values import moment_of
from mockrec.formats.har.pages import PAGE_BYTES, PAGES_BYTES
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.schema.lifecycle import EVENT_TYPES, SCHEMA_VERSION
from mockrec.formats.schema.version import mockrec_version

Record = dict[str, Any]

_PAGE_TIMINGS = ("onContentLoad", "onLoad")
_FAILURES = ("closed", "reset", "cert-rejected", "no-shared-cipher", "handshake-timeout", "unknown")


class Importer:
    """Takes entries in the file's order; then `records` yields the lines of the session."""

    def __init__(self, spool: LineSpool, attached: Attached) -> None:
        self.repairs = Repairs()
        """Repairs and losses of the entries that became exchanges."""
        self._spool = spool
        self._attached = attached
        self._counts: Counter[str] = Counter()
        self._first: float | None = None
        self._previous_start = 0.0
        """Start of the previous entry."""
        self._last = 0.0
        self._creator = ""
        self._pages: list[Record] = []
        self._pages_bytes = 0

    def add_member(self, key: str, value: Any) -> None:
        """Take a member of `log` other than the entries."""
        if key == "creator":
            self._creator = " ".join(text(mapping(value).get(name)) for name in ("name", "version")).strip()
            return
        if key == "pages":
            for page in items(value):
                self._page(mapping(page))
            return
        for index, error in enumerate(items(value)):
            try:
                self._tls_error(index, mapping(error))
            except ValueError:
                continue  # not part of an entry, and written by one tool only

    def add_entry(self, index: int, where: str, entry: Mapping[str, Any]) -> None:
        """Convert an entry to an exchange. `index` counts entries of the whole file. Raises `ValueError` if the entry
        cannot be converted."""
        made = ImportedEntry(index, entry, EntryRepairs(where), self._attached, self._previous_start)
        self._previous_start = made.start
        self._add(made.records())
        self.repairs.merge(made.repairs)

    def records(self, *, cut_off: bool) -> Iterator[bytes]:
        """Yield the lines of the session. `cut_off`: without `session-ended`, because the file ends too early."""
        first = 0.0 if self._first is None else self._first
        started: Record = {
            "type": "session-started",
            "timestamp": fields.iso(first, digits=6),
            "schemaVersion": SCHEMA_VERSION,
            "mockrecVersion": mockrec_version(),
            "sessionId": made_up_id(first, f"session {self._creator} {self._counts}"),
            "startTime": first,
            "startTimestamp": first,
            "events": list(EVENT_TYPES),
            "importedFrom": self._creator or "HAR",
            **({"importedPages": self._pages} if self._pages else {}),
        }
        yield _numbered(0, encode_lines([started]))
        seq = 0
        for seq, line in enumerate(self._spool.rest(), 1):
            yield _numbered(seq, line)
        if not cut_off:
            counts = {"session-started": 1, **self._counts, "session-ended": 1}
            now = fields.iso(max(self._last, first), digits=6)
            ended = {"type": "session-ended", "timestamp": now, "reason": "imported", "counts": counts}
            yield _numbered(seq + 1, encode_lines([ended]))

    def _page(self, page: Mapping[str, Any]) -> None:
        """Keep a page for a HAR that is written from this session, within the limit that such a HAR has for pages."""
        given = mapping(page.get("pageTimings"))
        timings = {name: -1 if (value := number(given.get(name))) is None else value for name in _PAGE_TIMINGS}
        try:
            start = fields.iso(moment_of(page.get("startedDateTime")))
        except ValueError:
            return  # `Pages` makes one from the first exchange
        stored: Record = {
            "startedDateTime": start, "id": text(page.get("id")), "title": text(page.get("title")),
            "pageTimings": timings,
        }  # fmt: skip
        self._pages_bytes += PAGE_BYTES + len(stored["id"]) + len(stored["title"])
        if stored["id"] and self._pages_bytes <= PAGES_BYTES:
            self._pages.append(stored)

    def _tls_error(self, index: int, error: Mapping[str, Any]) -> None:
        start = moment_of(error.get("startedDateTime"))
        end = start + max(number(error.get("time")) or 0, 0)
        cause = text(error.get("cause"))
        record: Record = {
            "type": "tls-client-error",
            "timestamp": fields.iso(end, digits=6),
            "connectionId": made_up_id(start, f"tls {index}"),
            "failureCause": cause if cause in _FAILURES else "unknown",
            **client_of(error),
            "tags": [tag for tag in items(error.get("tags")) if isinstance(tag, str)],
            "timingEvents": {"startTime": start, "connectTimestamp": start, "failureTimestamp": end},
        }
        if text(error.get("hostname")):
            record["tlsMetadata"] = {"sniHostname": error["hostname"]}
        self._add([(end, record)])

    def _add(self, records: list[tuple[float, Record]]) -> None:
        latest = records[0][0]
        for moment, record in records:
            # Times never run backwards within an exchange, whatever the entry's numbers are.
            latest = max(latest, moment)
            record["timestamp"] = fields.iso(latest, digits=6)
            self._counts[record["type"]] += 1
            self._spool.put(latest, encode_lines([record]))
        start = records[0][0]
        self._first = start if self._first is None else min(self._first, start)
        self._last = max(self._last, latest)


def _numbered(seq: int, line: bytes) -> bytes:
    return b'{"seq":%d,%s' % (seq, line[1:])
