"""Builds every record of an exchange (`mockrec.formats.schema.events`), at the moment of its cause.

A record is a plain dict with the log's own names, built once and never changed; heads that come again are
encoded once. Records of types that nobody asked for are not built at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.ids import new_id
from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, TargetUri
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyLogger, Taken, trailer_fields
from mockrec.engine.recording.body_spill import Spill
from mockrec.engine.recording.chunk_batcher import BodyChunkBatcher, Piece
from mockrec.engine.recording.client_error import Broken, partial_request
from mockrec.engine.recording.envelope import Record, envelope, timing_of
from mockrec.engine.recording.record_cache import RecordCache
from mockrec.engine.recording.websocket_log import WebSocketLog
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog, Later, TooMuch, completed
from mockrec.engine.redaction.records import content_type
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.rules.matching.request import FORM_TYPE
from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.parts import Fault, RawHeaders, ResponseHead, header_table
from mockrec.formats.schema.events import DEFAULT_EVENTS, EVENT_TYPES

ALWAYS = frozenset({"session-started", "session-ended", "gap"})
"""What frames a session is in it whatever was asked for."""
_LARGE = 32 * 1024
"""Bytes of a body that are not held until a batch is full."""


Make = Callable[[BodyLogger], Record]
Part = tuple[Record, str, Make]
"""Where a body goes, and what makes its form; that may be in another thread."""


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


class ExchangeLog:
    """Tells the log what happens to exchanges and connections."""

    def __init__(
        self,
        log: Log,
        types: frozenset[str],
        bodies: BodyLogger,
        redactor: Redactor | None = None,
        backlog: Backlog | None = None,
        hold_time: float = 0.1,
    ) -> None:
        """`bodies` has the same `redactor`; without one, secrets stay. What takes long goes to the `backlog`."""
        self._hold_time = hold_time
        self._backlog = backlog
        self._add = log.add
        self._redactor = redactor
        self._repeated = RecordCache(redactor)
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
        self.websocket = WebSocketLog(self, types, bodies)
        self.ended: Callable[[Exchange], None] | None = None
        """Called with every exchange that is over, whatever is recorded."""

    # ── secrets ────────────────────────────────────────────────────────────────────────────────────

    def add(self, record: Record, owner: SecretScope, *parts: Part) -> None:
        """Add a record in which anything may be secret, of an exchange or of something of its own, with its `parts`."""
        redactor, made = self._redactor, 0
        if not owner.waiting:
            try:
                for place, key, make in parts:
                    place[key] = make(self._bodies)
                    made += 1
                self._add(record if redactor is None else redactor.record(record, owner))
                return
            except TooMuch:
                pass
        self._later(owner, record, parts[made:], lambda redactor, _: redactor.record(record, owner))

    def add_known(self, record: Record, exchange: Exchange, *parts: Part) -> None:
        """Add a record whose head has been redacted on its own, as its parts are: nothing is left to be found in it but
        what is known to be secret from elsewhere in the exchange."""
        if exchange.tags or self._looks_everywhere:
            self.add(record, exchange, *parts)  # tags: a client may have said them
            return
        redactor, made = self._redactor, 0
        if not exchange.waiting:
            try:
                for place, key, make in parts:
                    place[key] = make(self._bodies)
                    made += 1
                known = exchange.known
                self._add(record if known is None or redactor is None else redactor.replace_known(record, known))
                return
            except TooMuch:
                pass

        def spread(redactor: Redactor, _: BodyLogger) -> Record:
            return record if exchange.known is None else redactor.replace_known(record, exchange.known)

        self._later(exchange, record, parts[made:], spread)

    def _add_request(self, record: Record, exchange: Exchange) -> None:
        """The same for one that begins with the head of the request, which knows its own secrets."""
        is_alone = exchange.known is exchange.address.known and not exchange.waiting
        if is_alone and not (exchange.tags or self._looks_everywhere):
            self._add(record)
        else:
            self.add_known(record, exchange)

    def _later(
        self,
        owner: SecretScope,
        record: Record,
        parts: Sequence[Part],
        redact: Callable[[Redactor, BodyLogger], Record | None],
        size: int = AT_ONCE,
    ) -> None:
        """Make the parts of a record and redact it elsewhere, behind what of its owner is there already."""
        assert self._redactor is not None
        assert self._backlog is not None
        if self._backlog.leaves_out(record["type"]):
            return
        redactor = self._redactor.unbounded()
        bodies = self._bodies.unbounded(redactor)

        def work() -> Record | None:
            for place, key, make in parts:
                place[key] = make(bodies)
            data = record.get("eventData")
            if data is not None:
                record["eventData"] = completed(data, bodies)
            return redact(redactor, bodies)

        def done(redacted: Record | None) -> None:
            assert self._redactor is not None
            self._redactor.count += redactor.count
            self._bodies.truncated += bodies.truncated
            if redacted is not None:
                redacted["timestamp"] = clock.timestamp(clock.now())  # others were recorded meanwhile
                self._add(redacted)
                self.flush()

        self._backlog.put(owner, work, done, size)

    def _remember(self, exchange: Exchange, found: SecretMap) -> None:
        """A part of a record that is kept for many holds secrets, which count in each."""
        if self._redactor is not None:
            self._redactor.count += found.count
        self._after(exchange, lambda: exchange.remember(found))

    def _after(self, exchange: Exchange, act: Callable[[], None]) -> None:
        """Do something when everything that has happened to the exchange is recorded."""
        if exchange.waiting and self._backlog is not None:
            self._backlog.put(exchange, lambda: None, lambda _: act(), 0)
        else:
            act()

    def over(self, exchange: Exchange) -> None:
        """The terminal record of an exchange was added."""
        if self.ended is None:
            return
        if exchange.waiting:
            self._after(exchange, partial(self.ended, exchange))
        else:
            self.ended(exchange)

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def request_initiated(self, exchange: Exchange) -> None:
        """The head of a request is read."""
        if self._request_initiated and not exchange.websocket:
            self._add_request(self._request_head("request-initiated", exchange, exchange.started_at), exchange)

    def request_spill(self, address: TargetUri) -> Spill | None:
        """Where a long body of a request with this head goes while it comes."""
        return self._bodies.spill(address.headers, "request", address.known) if self._request else None

    def response_spill(self, head: ResponseHead, known: SecretMap | None) -> Spill | None:
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
        record["body"] = EMPTY_BODY
        if body.trailers:
            record.update(trailer_fields(body.trailers))
        if body.size:
            make = self._taken(body, exchange.address.headers, "request", exchange)
            (self.add if body.trailers else self.add_known)(record, exchange, (record, "body", make))
        elif body.trailers:
            self.add(record, exchange)
        else:
            self._add_request(record, exchange)
        if body.size > _LARGE:
            self.flush()

    def _taken(
        self, body: MessageBody, headers: dict[str, Any], side: str, exchange: Exchange, *, incomplete: bool = False
    ) -> Make:
        taken = Taken(body)
        return lambda bodies: bodies.taken(taken, headers, side, exchange, incomplete=incomplete)

    def _request_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        address, peer = exchange.address, exchange.peer
        logged = address.logged or self._repeated.request_head(exchange)
        if address.known is not None:
            self._remember(exchange, address.known)
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
        if exchange.continued:
            record["continuedRuleIds"] = [rule.rule.id for rule in exchange.continued]
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
            if whole is not None and (form := self._made_body(exchange, whole)) is not None:
                record["body"] = form
                self.add_known(record, exchange)
                self.over(exchange)
                return
            record["body"] = EMPTY_BODY
            part = record, "body", self._response_body(exchange, whole)
            if exchange.response_trailers:
                record.update(trailer_fields(exchange.response_trailers))
                self.add(record, exchange, part)
            else:
                self.add_known(record, exchange, part)
            if record["body"]["size"] > _LARGE:
                self.flush()
        self.over(exchange)

    def _made_body(self, exchange: Exchange, whole: bytes) -> Record | None:
        """The log form of a small body that many exchanges get, where it is made already and holds no secret."""
        if exchange.waiting or exchange.known is not None or exchange.response_trailers or len(whole) > _LARGE:
            return None
        if not whole:
            return EMPTY_BODY
        answer = exchange.answer
        if answer is None or answer.known is not None:
            return None
        form = answer.logged_body
        return None if form is None or "truncated" in form else form

    def _response_body(self, exchange: Exchange, whole: bytes | None) -> Make:
        head, answer = exchange.response_head, exchange.answer
        assert head is not None
        headers = head.headers
        if whole is None:
            assert exchange.response_body is not None
            return self._taken(exchange.response_body, headers, "response", exchange)
        if not whole:
            return lambda bodies: EMPTY_BODY

        def make(bodies: BodyLogger) -> Record:
            if answer is None or self._is_told(exchange.known, whole, head):
                return bodies.whole(whole, headers, "response", exchange)
            if answer.logged_body is None:
                found = SecretScope()
                form = bodies.whole(whole, headers, "response", found)
                answer.known = found.known
                answer.logged_body = form
                if found.known is not None:
                    exchange.remember(found.known)
                return form
            if "truncated" in answer.logged_body:
                bodies.truncated += 1
            if answer.known is not None:
                if bodies.redactor is not None:
                    bodies.redactor.count += answer.known.count
                exchange.remember(answer.known)
            return answer.logged_body

        return make

    def _is_told(self, known: SecretMap | None, body: bytes, head: ResponseHead) -> bool:
        """Whether a body that many get holds, for this exchange, more secrets than for others."""
        if known is None or self._redactor is None:
            return False
        return "content-encoding" in head.headers or known.occurs(body)

    def response_head(self, kind: str, exchange: Exchange, now: float) -> Record:
        """A record that begins with the head of the answer."""
        head = exchange.response_head
        assert head is not None
        logged = head.logged or self._repeated.response_head(head)
        if head.known is not None:
            self._remember(exchange, head.known)
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
        if exchange.continued:
            record["continuedRuleIds"] = [rule.rule.id for rule in exchange.continued]
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
            parts: list[Part] = []
            if not exchange.request_noted and exchange.request_body.size:
                body, headers = exchange.request_body, exchange.address.headers
                record["requestBody"] = EMPTY_BODY
                make = self._taken(body, headers, "request", exchange, incomplete=not body.complete)
                parts.append((record, "requestBody", make))
            if exchange.response_head is not None:
                record["response"] = self._partial_response(exchange, exchange.response_head, parts)
            self.add(record, exchange, *parts)
        self.over(exchange)

    def _partial_response(self, exchange: Exchange, head: ResponseHead, parts: list[Part]) -> Record:
        record: Record = {"statusCode": head.status, "statusMessage": head.reason, "rawHeaders": head.raw_headers}
        if head.headers:
            record["headers"] = head.headers
        if exchange.response_body is not None:
            record["body"] = EMPTY_BODY
            make = self._taken(exchange.response_body, head.headers, "response", exchange, incomplete=True)
            parts.append((record, "body", make))
        return record

    def client_error(
        self,
        peer: ClientConnection,
        fault: Fault,
        origin: ConnectionContext,
        *,
        started_at: float,
        answered: ResponseHead | None,
        body: bytes = b"",
        version: str = "",
        exchange: Exchange | None = None,
    ) -> None:
        """A client broke the protocol; `answered` is what it was told, with a `body`, None if nothing. `origin` and
        `version` are those of the connection."""
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
        words = fault_words(fault)
        if words:
            record["errorMessage"] = words
        record["request"] = {}
        if answered is None:
            record["aborted"] = True
        else:
            record["response"] = {
                "id": record["id"],
                "statusCode": answered.status,
                "statusMessage": answered.reason,
                "headers": answered.headers,
                "rawHeaders": answered.raw_headers,
                "body": {"size": len(body), "text": body.decode()},
                "timingEvents": timing,
                "tags": tags,
            }
        owner = exchange if exchange is not None else SecretScope()
        broken = Broken(record["id"], peer, fault, origin, version, exchange)
        part = record, "request", lambda bodies: partial_request(broken, bodies, timing, tags, owner)
        self.add(record, owner, part)

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
            self._remember(exchange, known)
        record["eventData"] = {**told, **measured}
        self.add_known(record, exchange)

    def _of_rule(self, exchange: Exchange, rule_id: str | None, kind: str) -> Record | None:
        """A rule-event but for its data; None where nobody wants to know, or no rule says it."""
        rule = exchange.acting or exchange.rule
        if rule_id is None and rule is not None:
            rule_id = rule.rule.id
        if not self._rule_event or rule_id is None:
            return None
        record = envelope("rule-event", exchange, clock.now())
        record["requestId"] = exchange.id
        record["ruleId"] = rule_id
        record["eventType"] = kind
        return record

    def piece(self, data: bytes, exchange: Exchange, side: str = "", raw_headers: RawHeaders | None = None) -> Record:
        """Bytes in the form the log has them, as they stood on the wire; a whole body with its `raw_headers`."""

        def make(bodies: BodyLogger) -> Record:
            if raw_headers is None:
                return bodies.piece(data, side, exchange)
            return bodies.wire(data, header_table(raw_headers), side, exchange)

        if not exchange.waiting:
            try:
                return make(self._bodies)
            except TooMuch:
                pass
        return Later(make)

    # ── pieces ─────────────────────────────────────────────────────────────────────────────────────

    def _request_pieces(self, exchange: Exchange) -> BodyChunkBatcher:
        if exchange.request_pieces is None:
            exchange.request_pieces = self._pieces(exchange, "request-body-data")
        return exchange.request_pieces

    def _response_pieces(self, exchange: Exchange) -> BodyChunkBatcher:
        if exchange.response_pieces is None:
            exchange.response_pieces = self._pieces(exchange, "response-body-data")
        return exchange.response_pieces

    def _pieces(self, exchange: Exchange, kind: str) -> BodyChunkBatcher:
        hold = None if self._redactor is None else self._redactor.hold()
        return BodyChunkBatcher(exchange, kind, self._piece, hold, self._hold_time)

    def _piece(self, exchange: Exchange, piece: Piece) -> None:
        if self._redactor is None or (not exchange.waiting and piece.size <= AT_ONCE):
            held = piece.held()
            if held is not None:
                record = self._piece_record(exchange, held)
                self.add_known(record, exchange, (record, "content", self._piece_content(exchange, held)))
            return

        def late(redactor: Redactor, bodies: BodyLogger) -> Record | None:
            held = piece.held()
            if held is None:
                return None
            record = self._piece_record(exchange, held)
            record["content"] = self._piece_content(exchange, held)(bodies)
            return redactor.record(record, exchange)

        self._later(exchange, {"type": piece.kind}, (), late, piece.size)

    def _piece_record(self, exchange: Exchange, piece: Piece) -> Record:
        record = envelope(piece.kind, exchange, clock.now())
        record["content"] = EMPTY_BODY
        record["isEnded"] = piece.is_ended
        record["eventTimestamp"] = piece.at
        return record

    def _piece_content(self, exchange: Exchange, piece: Piece) -> Make:
        data, side = piece.data, "request" if piece.kind == "request-body-data" else "response"
        head = exchange.address if side == "request" else exchange.response_head
        if self._redactor is not None and data and head is not None and "content-encoding" in head.headers:
            # Nobody can look into a piece of what is compressed.
            return lambda _: {"size": len(data), "text": "", "truncated": True, "redacted": True}
        kind = content_type({"headers": head.headers}) if head is not None else ""
        # In a form `+` is a blank.
        kind = FORM_TYPE if kind.partition(";")[0].strip().lower() == FORM_TYPE else ""
        return lambda bodies: bodies.piece(data, side, exchange, piece.coding, kind, piece.before)
