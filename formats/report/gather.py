"""The records of sessions → rows of a report, in one pass. Details go to a temporary file at once.

In memory: a row of numbers for each exchange, and the exchanges that are open or ended recently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from mockrec.formats.query.extract import Context, host, path
from mockrec.formats.report.bodies import Bodies
from mockrec.formats.report.exchange import ReportExchange
from mockrec.formats.report.names import Names
from mockrec.formats.report.spool import Spool
from mockrec.formats.report.summary import Summary
from mockrec.formats.schema.lenient import text_of
from mockrec.formats.schema.lifecycle import CONNECTION_TYPES, ENDING_TYPES, FIRST_TYPES, OPENED_TYPES, SESSION_TYPES
from mockrec.formats.schema.lifecycle import is_upgrade as _is_upgrade
from mockrec.formats.sessions.endpoints import template
from mockrec.formats.text.json import dump

_STAY = 4_096
"""Ended exchanges that wait for late records: a request that was complete only after its response, a rule-event."""
_LONGEST_OPERATION = 200
"""Characters of the operation in the name of an endpoint."""
_MOST_ENDPOINTS = 10_000
_NO_CONTEXT = Context()
_BEGINS = FIRST_TYPES | OPENED_TYPES
KINDS = ("exchange", "websocket", "tunnel", "fault")


class ReportRow(Struct, gc=False):
    """What the table shows of an exchange. Names are numbers of `Columns`."""

    id: str
    source: int
    """The number of its session."""
    kind: int
    start: int
    """Microseconds since the Unix epoch, as `last`."""
    last: int
    connection: int
    method: int
    url: int
    destination: int
    endpoint: int
    status: int
    duration: float | None
    request_size: int | None
    response_size: int | None
    rules: int
    continued: int
    tags: int
    types: int
    errors: int
    protocol: int
    version: int
    ip: int
    operations: int
    scope: int
    messages: int
    failed: bool
    ended: bool
    ticks: tuple[float, ...]
    bodies: tuple[int, ...]
    detail: int
    """Its number in the spool."""


class Gathered:
    """All that a report needs of its sessions. Take records with `add`, then call `finish`."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of all bodies together."""
        self.bodies = Bodies(limit)
        self.spool = Spool()
        self.summary = Summary()
        self.rows: list[ReportRow] = []
        self.texts = {
            name: Names("")
            for name in (
                "connection", "method", "url", "destination", "endpoint", "protocol", "version", "ip", "scope",
            )
        }  # fmt: skip
        self.lists = {
            name: Names[tuple[str, ...]](()) for name in ("rules", "continued", "tags", "types", "errors", "operations")
        }
        self._current: dict[tuple[int, str], ReportExchange] = {}
        self._ended: deque[tuple[tuple[int, str], ReportExchange]] = deque()

    def close(self) -> None:
        """Free the temporary files."""
        self.bodies.close()
        self.spool.close()

    def add(self, record: Mapping[str, Any], folder: Path | None, source: int = 0) -> None:
        """Take the next record of a session."""
        kind = text_of(record.get("type"))
        self.summary.note(record, kind)
        if kind in SESSION_TYPES or kind == "callback-error":
            return
        identity = text_of(record.get("id"))
        if not identity:
            return
        key = (source, identity)
        if kind in CONNECTION_TYPES:
            fault = ReportExchange(identity, self.bodies, folder, source)
            fault.add(record)
            self._take(fault)
            return
        exchange = self._current.get(key)
        if exchange is not None and exchange.ended and (kind in _BEGINS or kind in ENDING_TYPES):
            exchange = None  # a session that was merged with itself has each exchange twice
        elif exchange is not None and kind in _BEGINS and not _is_upgrade(kind, next(iter(exchange.types))):
            self._take(exchange)
            exchange = None
        if exchange is None:
            if kind == "rule-event":
                return  # of an exchange that was given up long ago
            exchange = self._current[key] = ReportExchange(identity, self.bodies, folder, source)
        exchange.add(record)
        if kind in ENDING_TYPES:
            self._ended.append((key, exchange))
            if len(self._ended) > _STAY:
                self._forget(*self._ended.popleft())

    def finish(self) -> None:
        """Take what is still open. The rows are then in the order of their starts."""
        while self._ended:
            self._forget(*self._ended.popleft())
        for exchange in self._current.values():
            self._take(exchange)
        self._current.clear()
        self.rows.sort(key=lambda row: row.start)

    def _forget(self, key: tuple[int, str], exchange: ReportExchange) -> None:
        self._take(exchange)
        if self._current.get(key) is exchange:
            del self._current[key]

    def _take(self, exchange: ReportExchange) -> None:
        exchange.finish()
        texts, lists = self.texts, self.lists
        row = ReportRow(
            id=exchange.id,
            source=exchange.source,
            kind=KINDS.index(exchange.kind),
            start=exchange.first,
            last=exchange.last,
            detail=self.spool.put(dump(exchange.detail)),
            status=exchange.status,
            duration=exchange.duration,
            request_size=exchange.request_size,
            response_size=exchange.response_size,
            messages=exchange.messages,
            failed=exchange.failed,
            ended=bool(exchange.ended),
            ticks=tuple(exchange.ticks),
            bodies=tuple(dict.fromkeys(exchange.body_numbers)),
            endpoint=self._endpoint(exchange),
            **{name: texts[name].number(getattr(exchange, name)) for name in texts if name != "endpoint"},
            **{name: lists[name].number(tuple(getattr(exchange, name))) for name in lists},
        )
        self.rows.append(row)
        self.summary.count(exchange)

    def _endpoint(self, exchange: ReportExchange) -> int:
        """Return the number of the endpoint; of one beyond the limit, that of `(other)`."""
        names = self.texts["endpoint"]
        name = exchange.endpoint or _derived_endpoint(exchange)
        if len(names.values) > _MOST_ENDPOINTS and name not in names:
            name = "(other)"
        return names.number(name)


def _derived_endpoint(exchange: ReportExchange) -> str:
    """`GET shop.test/users/{id}`, with the operation if there is one."""
    places = tuple(host(exchange.url, _NO_CONTEXT)) or (exchange.destination,)
    paths = tuple(path(exchange.url, _NO_CONTEXT))
    name = f"{exchange.method} {places[0]}{template(paths[0]) if paths else ''}".strip()
    return f"{name} {', '.join(exchange.operations)[:_LONGEST_OPERATION]}" if exchange.operations else name
