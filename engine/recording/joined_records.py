"""Joins the three records of an exchange that is answered at once: one template, filled in and added with one call.

Most exchanges of a mock end in the same turn of the event loop in which they began, and no other record comes between
theirs. So the records of a short request are deferred (`Recorder.defer`): if the response follows at once, all three
are made together; if anything else is recorded first, or the batch is passed on, the deferred ones are made then, one
by one, as they would have been made at their time. Their order and their numbers are the same in both cases, and so is
every byte of them: a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from mockrec.engine.recording.lines import exchange_lines, request_initiated_line, short_request_line
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.record_cache import LogForm

_TYPES: Final = ("request-initiated", "request", "response")


class DeferringLog(Protocol):
    """A log that can leave records for later. `Recorder` describes the methods."""

    @property
    def step(self) -> int: ...
    @property
    def next_number(self) -> int: ...
    def add_line(self, kind: str, record_id: str, rest: bytes) -> None: ...
    def defer(self, add: Callable[[], None]) -> None: ...
    def add_joined(self, kinds: Sequence[str], ids: Sequence[str], lines: bytes) -> None: ...


class JoinedRecords:
    """The exchange that began last, if its records are deferred."""

    def __init__(self, log: DeferringLog) -> None:
        self.exchange: LoggedExchange | None = None
        """The exchange; None if no record is deferred."""
        self._log = log
        self._head: LogForm
        self._requested_at: float | None = None
        """When its `request` record was due; None before."""
        self._add_deferred = self._add_each

    def begin(self, exchange: LoggedExchange, head: LogForm) -> bool:
        """Defer the `request-initiated` record of an exchange. Return False if that is not possible: the request has a
        body, or its records may contain secrets."""
        if exchange.head.has_body or head.secrets is not None or not _is_plain(exchange):
            return False
        self._log.defer(self._add_deferred)
        self.exchange, self._head, self._requested_at = exchange, head, None
        return True

    def request(self, exchange: LoggedExchange, now: float) -> bool:
        """Defer the `request` record, which is due `now`. Return False if that is not possible: it has more than the
        times until now, or the `exchange` is not the one that is deferred."""
        if exchange is not self.exchange or exchange.headers_sent_at is not None or exchange.body_received_at is None:
            return False
        body = exchange.request_body
        if body.size or body.trailers or not _is_plain(exchange):
            return False
        self._requested_at = now
        return True

    def response(self, exchange: LoggedExchange, head: LogForm, now: float, body: bytes) -> bool:
        """Add the deferred records and that of the response, with its encoded `body`. Return False if that is not
        possible: something was recorded since the exchange began."""
        log, requested_at = self._log, self._requested_at
        if exchange is not self.exchange or requested_at is None or head.secrets is not None or not _is_plain(exchange):
            return False
        lines = exchange_lines(exchange, self._head, head, requested_at, now, body, log.next_number, log.step)
        if lines is None:
            return False
        self.exchange = None
        record_id = exchange.id
        log.add_joined(_TYPES, (record_id, record_id, record_id), lines)
        return True

    def _add_each(self) -> None:
        exchange, self.exchange = self.exchange, None
        assert exchange is not None
        log, head = self._log, self._head
        log.add_line("request-initiated", exchange.id, request_initiated_line(exchange, head))
        if self._requested_at is not None:
            log.add_line("request", exchange.id, short_request_line(exchange, head, self._requested_at))


def _is_plain(exchange: LoggedExchange) -> bool:
    """Return what `EventLog.is_plain` returns for a head without secrets, as no expression may match any field."""
    return exchange.known is None and not (exchange.tags or exchange.waiting)
