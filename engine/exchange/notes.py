"""The only builder of log events: what happened → a record of `mockrec.formats.events`, at the moment of its cause.

A record is a plain dict with the log's own names, built once and never changed; heads that come again are
encoded once. Records of types that nobody asked for are not built at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from mockrec.engine import clock
from mockrec.engine.exchange.address import Address
from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.envelope import Record, envelope, timing_of
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.ids import new_id
from mockrec.engine.exchange.logged import EMPTY_BODY, BodyLogger, trailer_fields
from mockrec.engine.exchange.pieces import PieceBatch
from mockrec.engine.exchange.refused import partial_request
from mockrec.engine.exchange.repeated import Repeated
from mockrec.engine.exchange.spill import Spill
from mockrec.engine.exchange.websocket_notes import WebSocketNotes
from mockrec.engine.record.redact import Holder, Knows, Redactor, learn
from mockrec.engine.record.redact_hold import Hold
from mockrec.engine.record.redact_marks import Known
from mockrec.engine.wire.parts import Fault, RawHeaders, ResponseHead, header_table
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

    def __init__(self, log: Log, types: frozenset[str], bodies: BodyLogger, redactor: Redactor | None = None) -> None:
        """`bodies` has the same `redactor`; without one, secrets stay."""
        self._add = log.add
        self._redactor = redactor
        self._repeated = Repeated(redactor)
        self._looks_everywhere = redactor is not None and redactor.looks_everywhere
        self.flush = log.flush
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
        self.websocket = WebSocketNotes(self, types, bodies)
        self.ended: Callable[[Exchange], None] | None = None
        """Called with every exchange that is over, whatever is recorded."""

    # ── secrets ────────────────────────────────────────────────────────────────────────────────────

    def add(self, record: Record, owner: Knows) -> None:
        """Add a record in which anything may be secret, of an exchange or of something of its own."""
        if self._redactor is not None:
            record = self._redactor.record(record, owner)
        self._add(record)

    def add_known(self, record: Record, exchange: Exchange) -> None:
        """Add a record whose head and body have been redacted on their own: nothing is left to be found in it but what
        is known to be secret from elsewhere in the exchange."""
        if exchange.tags or self._looks_everywhere:
            self.add(record, exchange)  # tags: a client may have said them
        else:
            if exchange.known is not None and self._redactor is not None:
                record = self._redactor.spread(record, exchange.known)
            self._add(record)

    def _add_request(self, record: Record, exchange: Exchange) -> None:
        """The same for one that begins with the head of the request, which knows its own secrets."""
        if exchange.known is exchange.address.known and not (exchange.tags or self._looks_everywhere):
            self._add(record)
        else:
            self.add_known(record, exchange)

    def _learn(self, exchange: Exchange, found: Known) -> None:
        """A part of a record that is kept for many holds secrets, which count in each."""
        if self._redactor is not None:
            self._redactor.count += found.count
        learn(exchange, found)

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def request_initiated(self, exchange: Exchange) -> None:
        """The head of a request is read."""
        if self._request_initiated and not exchange.websocket:
            self._add_request(self._request_head("request-initiated", exchange, exchange.started_at), exchange)

    def request_spill(self, address: Address) -> Spill | None:
        """Where a long body of a request with this head goes while it comes."""
        return self._bodies.spill(address.headers, "request", address.known) if self._request else None

    def response_spill(self, head: ResponseHead, known: Known | None) -> Spill | None:
        """The same for an answer to a request in which `known` was found."""
        return self._bodies.spill(head.headers, "response", known) if self._response else None

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
        if body.size:
            record["body"] = self._bodies.kept(body, exchange.address.headers, "request", exchange)
        else:
            record["body"] = EMPTY_BODY
        if body.trailers:
            record.update(trailer_fields(body.trailers))
            self.add(record, exchange)
        else:
            self._add_request(record, exchange)
        if body.size > _LARGE:
            self.flush()

    def _request_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        address, peer = exchange.address, exchange.peer
        logged = address.logged or self._repeated.request_head(exchange)
        if address.known is not None:
            self._learn(exchange, address.known)
        record: Record = {
            "seq": 0,
            "type": kind,
            "timestamp": clock.timestamp(now),
            "id": exchange.id,
            "connectionId": peer.connection_id,
            **logged,
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
        self.add(record, exchange)

    def response_initiated(self, exchange: Exchange) -> None:
        """The final head is sent."""
        if self._response_initiated:
            self.add_known(self.response_head("response-initiated", exchange, clock.now()), exchange)

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
                self.add(record, exchange)
            else:
                self.add_known(record, exchange)
            if record["body"]["size"] > _LARGE:
                self.flush()
        if self.ended is not None:
            self.ended(exchange)

    def _response_body(self, exchange: Exchange, whole: bytes | None) -> Record:
        head, answer = exchange.response_head, exchange.answer
        assert head is not None
        if whole is None:
            assert exchange.response_body is not None
            return self._bodies.kept(exchange.response_body, head.headers, "response", exchange)
        if not whole or answer is None or self._is_told(exchange.known, whole, head):
            return self._bodies.whole(whole, head.headers, "response", exchange)
        if answer.logged_body is None:
            found = Holder()
            answer.logged_body = self._bodies.whole(whole, head.headers, "response", found)
            answer.known = found.known
            if answer.known is not None:
                learn(exchange, answer.known)
            return answer.logged_body
        if "truncated" in answer.logged_body:
            self._bodies.truncated += 1
        if answer.known is not None:
            self._learn(exchange, answer.known)
        return answer.logged_body

    def _is_told(self, known: Known | None, body: bytes, head: ResponseHead) -> bool:
        """Whether a body that many get holds, for this exchange, more secrets than for others."""
        if known is None or self._redactor is None:
            return False
        return "content-encoding" in head.headers or any(form in body for form, _ in known.forms)

    def response_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        """A record that begins with the head of the answer."""
        head = exchange.response_head
        assert head is not None
        logged = head.logged or self._repeated.response_head(head)
        if head.known is not None:
            self._learn(exchange, head.known)
        return {
            "seq": 0,
            "type": kind,
            "timestamp": clock.timestamp(now),
            "id": exchange.id,
            "connectionId": exchange.peer.connection_id,
            **logged,
            "timingEvents": timing_of(exchange),
            "tags": exchange.tags,
        }

    def ending(self, record: Record, exchange: Exchange, end: float) -> None:
        """What every terminal record carries, so that one line tells the story."""
        address = exchange.address
        record["method"] = exchange.head.method
        record["url"] = (address.logged or self._repeated.request_head(exchange))["url"]
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
                pieces.give_up()
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
                record["requestBody"] = self._bodies.kept(
                    body, exchange.address.headers, "request", exchange, incomplete=not body.complete
                )
            if exchange.response_head is not None:
                record["response"] = self._partial_response(exchange, exchange.response_head)
            self.add(record, exchange)
        if self.ended is not None:
            self.ended(exchange)

    def _partial_response(self, exchange: Exchange, head: ResponseHead) -> Record:
        record: Record = {"statusCode": head.status, "statusMessage": head.reason, "rawHeaders": head.raw_headers}
        if head.headers:
            record["headers"] = head.headers
        if exchange.response_body is not None:
            body = exchange.response_body
            record["body"] = self._bodies.kept(body, head.headers, "response", exchange, incomplete=True)
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
        owner = exchange if exchange is not None else Holder()
        record["request"] = partial_request(peer, fault, exchange, self._bodies, timing, tags, owner)
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
        self.add(record, owner)

    # ── what rules say ─────────────────────────────────────────────────────────────────────────────

    def rule_event(self, exchange: Exchange, kind: str, data: Mapping[str, Any], *, rule_id: str | None = None) -> None:
        """A rule says something; `rule_id` where it is not the one that answers."""
        record = self._of_rule(exchange, rule_id, kind)
        if record is not None:
            record["eventData"] = data
            self.add(record, exchange)

    def passing_event(
        self,
        exchange: Exchange,
        kind: str,
        side: str,
        data: Record,
        measured: Mapping[str, Any],
        *,
        rule_id: str | None = None,
    ) -> None:
        """A rule that passes on says something of one side, `request` or `response`: `data` that comes again and again,
        and what was `measured` this time, in which nothing can be secret."""
        record = self._of_rule(exchange, rule_id, kind)
        if record is None:
            return
        told, known = self._repeated.part(data, side)
        if known is not None:
            self._learn(exchange, known)
        record["eventData"] = {**told, **measured}
        self.add_known(record, exchange)

    def _of_rule(self, exchange: Exchange, rule_id: str | None, kind: str) -> Record | None:
        """A rule-event but for its data; None where nobody wants to know, or no rule says it."""
        if rule_id is None and exchange.rule is not None:
            rule_id = exchange.rule.rule.id
        if not self._rule_event or rule_id is None:
            return None
        record = envelope("rule-event", exchange, clock.now())
        record["requestId"] = exchange.id
        record["ruleId"] = rule_id
        record["eventType"] = kind
        return record

    def piece(self, data: bytes, exchange: Exchange, side: str = "", raw_headers: RawHeaders | None = None) -> Record:
        """Bytes in the form the log has them, as they stood on the wire; a whole body with its `raw_headers`."""
        if raw_headers is None:
            return self._bodies.piece(data, side, exchange)
        return self._bodies.wire(data, header_table(raw_headers), side, exchange)

    # ── pieces ─────────────────────────────────────────────────────────────────────────────────────

    def _request_pieces(self, exchange: Exchange) -> PieceBatch:
        if exchange.request_pieces is None:
            exchange.request_pieces = PieceBatch(exchange, "request-body-data", self._piece, self._hold())
        return exchange.request_pieces

    def _response_pieces(self, exchange: Exchange) -> PieceBatch:
        if exchange.response_pieces is None:
            exchange.response_pieces = PieceBatch(exchange, "response-body-data", self._piece, self._hold())
        return exchange.response_pieces

    def _hold(self) -> Hold | None:
        return None if self._redactor is None else self._redactor.hold()

    def _piece(self, exchange: Exchange, kind: str, data: bytes, at: float, is_ended: bool) -> None:
        record = envelope(kind, exchange, clock.now())
        record["content"] = self._piece_content(exchange, kind, data)
        record["isEnded"] = is_ended
        record["eventTimestamp"] = at
        self.add_known(record, exchange)

    def _piece_content(self, exchange: Exchange, kind: str, data: bytes) -> Record:
        side = "request" if kind == "request-body-data" else "response"
        head = exchange.address if side == "request" else exchange.response_head
        if self._redactor is not None and data and head is not None and "content-encoding" in head.headers:
            # Nobody can look into a piece of what is compressed.
            return {"size": len(data), "text": "", "truncated": True, "redacted": True}
        return self._bodies.piece(data, side, exchange)
