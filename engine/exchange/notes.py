"""The only builder of log events: what happened → a record of `mockrec.formats.events`, at the moment of its cause.

A record is a plain dict with the log's own names, built once and never changed; heads that clients repeat
are encoded once and kept with the head. Records of types that nobody asked for are not built at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from mockrec.engine import clock
from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.envelope import Record, envelope, timing_of
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.ids import new_id
from mockrec.engine.exchange.logged import EMPTY_BODY, BodyLogger, trailer_fields
from mockrec.engine.exchange.pieces import PieceBatch
from mockrec.engine.exchange.refused import partial_request
from mockrec.engine.exchange.websocket_notes import WebSocketNotes
from mockrec.engine.wire.parts import Fault, ResponseHead, header_table
from mockrec.formats.events import DEFAULT_EVENTS, EVENT_TYPES

ALWAYS = frozenset({"session-started", "session-ended", "gap"})
"""What frames a session is in it whatever was asked for."""
_LARGE = 32 * 1024
"""Bytes of a body that are not held until a batch is full."""


class Log(Protocol):
    """Where records go."""

    def add(self, record: Record) -> None:
        """Take the next record; its `seq` is set here."""

    def flush(self) -> None:
        """Let go of what was added: it is large."""


def wanted_types(events: str | Iterable[str]) -> frozenset[str]:
    """The event types that `record.events` means."""
    if events == "default":
        return frozenset(DEFAULT_EVENTS)
    return frozenset(EVENT_TYPES if events == "all" else events) | ALWAYS


class Notes:
    """Tells the log what happens to exchanges and connections."""

    def __init__(self, log: Log, types: frozenset[str], bodies: BodyLogger) -> None:
        self._add = log.add
        self._flush = log.flush
        self._bodies = bodies
        self._request_initiated = "request-initiated" in types
        self._request_data = "request-body-data" in types
        self._request = "request" in types
        self._response_initiated = "response-initiated" in types
        self._response_information = "response-information" in types
        self._response_data = "response-body-data" in types
        self._response = "response" in types
        self._abort = "abort" in types
        self._websocket_request = "websocket-request" in types
        self._client_error = "client-error" in types
        self._rule_event = "rule-event" in types
        self._rules_reloaded = "rules-reloaded" in types
        self.websocket = WebSocketNotes(self, log, types, bodies)
        self.ended: Callable[[Exchange], None] | None = None
        """Called with every exchange that is over, whatever is recorded."""

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def request_initiated(self, exchange: Exchange) -> None:
        """The head of a request is read."""
        if self._request_initiated and not exchange.websocket:
            self._add(self._request_head("request-initiated", exchange, exchange.started_at))

    def request_data(self, exchange: Exchange, data: bytes) -> None:
        """A piece of the request body has come."""
        if self._request_data:
            self._request_pieces(exchange).add(data)

    def request_data_end(self, exchange: Exchange) -> None:
        """The request body is complete. An upgrade's end is told after its first record, `websocket-request`."""
        if self._request_data and (exchange.request_noted or not exchange.websocket):
            self._request_pieces(exchange).end()
            exchange.request_pieces = None  # it leads back to the exchange

    def request(self, exchange: Exchange) -> None:
        """The request is complete, and what answers it is known."""
        if exchange.websocket:
            if self._websocket_request:
                self._complete_request("websocket-request", exchange)
            exchange.request_noted = True
            self.request_data_end(exchange)
        elif self._request:
            self._complete_request("request", exchange)

    def _complete_request(self, kind: str, exchange: Exchange) -> None:
        exchange.request_noted = True
        body = exchange.request_body
        record = self._request_head(kind, exchange, clock.now())
        record["body"] = self._bodies.kept(body, exchange.address.headers) if body.size else EMPTY_BODY
        if body.trailers:
            record.update(trailer_fields(body.trailers))
        self._add(record)
        if body.size > _LARGE:
            self._flush()

    def _request_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        address, peer = exchange.address, exchange.peer
        record: Record = {
            "seq": 0,
            "type": kind,
            "timestamp": clock.timestamp(now),
            "id": exchange.id,
            "connectionId": peer.connection_id,
            **(address.logged or _logged_head(exchange)),
            "remoteIpAddress": peer.ip,
            "remotePort": peer.port,
            "timingEvents": timing_of(exchange),
            "tags": exchange.tags,
        }
        if exchange.rule is not None:
            record["matchedRuleId"] = exchange.rule.rule.id
        if peer.tls:
            record["tlsMetadata"] = peer.tls
        return record

    # ── the answer ─────────────────────────────────────────────────────────────────────────────────

    def information(self, exchange: Exchange, status: int, reason: str, headers: Sequence[tuple[str, str]]) -> None:
        """A 1xx is sent."""
        if not self._response_information:
            return
        now = clock.now()
        raw = [[name, value] for name, value in headers]
        record = envelope("response-information", exchange, now)
        record["statusCode"] = status
        record["statusMessage"] = reason
        if raw:
            record["headers"] = header_table(raw)
        record["rawHeaders"] = raw
        record["timingEvents"] = timing_of(exchange)
        record["tags"] = exchange.tags
        record["eventTimestamp"] = now
        self._add(record)

    def response_initiated(self, exchange: Exchange) -> None:
        """The final head is sent."""
        if self._response_initiated:
            self._add(self.response_head("response-initiated", exchange, clock.now()))

    def response_data(self, exchange: Exchange, data: bytes) -> None:
        """A piece of the response body is sent."""
        if self._response_data:
            self._response_pieces(exchange).add(data)

    def response_data_end(self, exchange: Exchange) -> None:
        """The response body is complete."""
        if self._response_data:
            self._response_pieces(exchange).end()
            exchange.response_pieces = None

    def response(self, exchange: Exchange, whole: bytes | None) -> None:
        """The response is completely sent; `whole` is its body if that was sent in one piece."""
        exchange.finished = True
        if self._response:
            # Not the time of the cause: pieces of the body may have been written since.
            record = self.response_head("response", exchange, clock.now())
            self.ending(record, exchange, exchange.response_sent_at or exchange.started_at)
            record["body"] = self._response_body(exchange, whole)
            if exchange.response_trailers:
                record.update(trailer_fields(exchange.response_trailers))
            self._add(record)
            if record["body"]["size"] > _LARGE:
                self._flush()
        if self.ended is not None:
            self.ended(exchange)

    def _response_body(self, exchange: Exchange, whole: bytes | None) -> Record:
        head, answer = exchange.response_head, exchange.answer
        assert head is not None
        if whole is None:
            assert exchange.response_body is not None
            return self._bodies.kept(exchange.response_body, head.headers)
        if not whole or answer is None:
            return self._bodies.whole(whole, head.headers)
        if answer.logged_body is None:
            answer.logged_body = self._bodies.whole(whole, head.headers)
        elif "truncated" in answer.logged_body:
            self._bodies.truncated += 1
        return answer.logged_body

    def response_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        """A record that begins with the head of the answer."""
        head = exchange.response_head
        assert head is not None
        return {
            "seq": 0,
            "type": kind,
            "timestamp": clock.timestamp(now),
            "id": exchange.id,
            "connectionId": exchange.peer.connection_id,
            **(head.logged or _logged_answer(head)),
            "timingEvents": timing_of(exchange),
            "tags": exchange.tags,
        }

    def ending(self, record: Record, exchange: Exchange, end: float) -> None:
        """What every terminal record carries, so that one line tells the story."""
        address = exchange.address
        record["method"] = exchange.head.method
        record["url"] = address.url
        record["host"] = address.host
        if exchange.rule is not None:
            record["matchedRuleId"] = exchange.rule.rule.id
        record["duration"] = round(end - exchange.started_at, 4)

    # ── ends that are none ─────────────────────────────────────────────────────────────────────────

    def abort(self, exchange: Exchange, error: Mapping[str, Any] | None) -> None:
        """The exchange has ended before it was complete."""
        exchange.finished = True
        for pieces in (exchange.request_pieces, exchange.response_pieces):
            if pieces is not None:
                pieces.flush()
        exchange.request_pieces = exchange.response_pieces = None
        if exchange.websocket and not exchange.request_noted:
            self.request(exchange)
        if self._abort:
            record = self._request_head("abort", exchange, clock.now())
            record["host"] = exchange.address.host
            record["duration"] = round((exchange.aborted_at or exchange.started_at) - exchange.started_at, 4)
            if error:
                record["error"] = dict(error)
            if not exchange.request_noted and exchange.request_body.size:
                body = exchange.request_body
                record["requestBody"] = self._bodies.kept(body, exchange.address.headers, incomplete=not body.complete)
            if exchange.response_head is not None:
                record["response"] = self._partial_response(exchange, exchange.response_head)
            self._add(record)
        if self.ended is not None:
            self.ended(exchange)

    def _partial_response(self, exchange: Exchange, head: ResponseHead) -> Record:
        record: Record = {"statusCode": head.status, "statusMessage": head.reason, "rawHeaders": head.raw_headers}
        if head.headers:
            record["headers"] = head.headers
        if exchange.response_body is not None:
            record["body"] = self._bodies.kept(exchange.response_body, head.headers, incomplete=True)
        return record

    def client_error(
        self,
        peer: Peer,
        fault: Fault,
        *,
        started_at: float,
        answered: ResponseHead | None,
        exchange: Exchange | None = None,
    ) -> None:
        """A client broke the protocol; `answered` is what it was told, None if nothing."""
        if not self._client_error:
            return
        now = clock.now()
        tags = [*peer.tags, f"client-error:{fault.code}"]
        if fault.status == 431 or fault.tag == "header-overflow":
            tags.append("header-overflow")
        elif fault.tag:
            tags.append(f"client-error:{fault.tag}")
        timing = {"startTime": int(clock.wall(started_at)), "startTimestamp": started_at}
        timing["responseSentTimestamp" if answered is not None else "abortedTimestamp"] = now
        record: Record = {
            "seq": 0,
            "type": "client-error",
            "timestamp": clock.timestamp(now),
            "id": new_id(),
            "connectionId": peer.connection_id,
        }
        if exchange is not None:
            record["exchangeId"] = exchange.id
        record["errorCode"] = fault.code
        if fault.detail:
            record["errorMessage"] = fault.detail
        record["request"] = partial_request(peer, fault, exchange, self._bodies, timing, tags)
        if answered is None:
            record["aborted"] = True
        else:
            record["response"] = {
                "statusCode": answered.status,
                "statusMessage": answered.reason,
                "headers": answered.headers,
                "rawHeaders": answered.raw_headers,
                "body": {"size": 0, "text": ""},
                "timingEvents": timing,
                "tags": tags,
            }
        self._add(record)

    # ── what rules say ─────────────────────────────────────────────────────────────────────────────

    def rule_event(self, exchange: Exchange, kind: str, data: Mapping[str, Any], *, rule_id: str | None = None) -> None:
        """A rule says something; `rule_id` where it is not the one that answers."""
        if rule_id is None and exchange.rule is not None:
            rule_id = exchange.rule.rule.id
        if not self._rule_event or rule_id is None:
            return
        record = envelope("rule-event", exchange, clock.now())
        record["requestId"] = exchange.id
        record["ruleId"] = rule_id
        record["eventType"] = kind
        record["eventData"] = data
        self._add(record)

    def rules_reloaded(self, rules: list[Record], sha256: str) -> None:
        """The rules were replaced while recording."""
        if self._rules_reloaded:
            now = clock.timestamp(clock.now())
            self._add({"seq": 0, "type": "rules-reloaded", "timestamp": now, "rules": rules, "rulesSha256": sha256})

    def piece(self, data: bytes) -> Record:
        """Bytes in the form the log has them, as they stood on the wire."""
        return self._bodies.piece(data)

    # ── pieces ─────────────────────────────────────────────────────────────────────────────────────

    def _request_pieces(self, exchange: Exchange) -> PieceBatch:
        if exchange.request_pieces is None:
            exchange.request_pieces = PieceBatch(exchange, "request-body-data", self._piece)
        return exchange.request_pieces

    def _response_pieces(self, exchange: Exchange) -> PieceBatch:
        if exchange.response_pieces is None:
            exchange.response_pieces = PieceBatch(exchange, "response-body-data", self._piece)
        return exchange.response_pieces

    def _piece(self, exchange: Exchange, kind: str, data: bytes, at: float, is_ended: bool) -> None:
        record = envelope(kind, exchange, clock.now())
        record["content"] = self._bodies.piece(data)
        record["isEnded"] = is_ended
        record["eventTimestamp"] = at
        self._add(record)


def _logged_head(exchange: Exchange) -> Record:
    """What every record with this head says, encoded once: clients repeat their heads."""
    head, address = exchange.head, exchange.address
    logged: Record = {
        "protocol": address.protocol,
        "httpVersion": head.version,
        "method": head.method,
        "url": address.url,
        "path": address.path,
        "destination": _encoded(address.destination),
    }
    if address.headers:
        logged["headers"] = _encoded(address.headers)
    logged["rawHeaders"] = _encoded(address.raw_headers)
    address.logged = logged
    return logged


def _logged_answer(head: ResponseHead) -> Record:
    """The same for the head of an answer, which lives for a second."""
    head.logged = {
        "statusCode": head.status,
        "statusMessage": head.reason,
        **({"headers": _encoded(head.headers)} if head.headers else {}),
        "rawHeaders": _encoded(head.raw_headers),
    }
    return head.logged


def _encoded(value: Any) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value))
