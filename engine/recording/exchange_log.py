"""The log of exchanges: which record is written when something happens to an exchange.

`Exchange` calls a method of `ExchangeLog` at the moment of each cause. The method builds the record
(`exchange_records.py`, with heads from `RecordCache`) and adds it (`EventLog.add`). Records of types that
are not recorded are not built at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mockrec.engine import clock
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, TargetUri
from mockrec.engine.recording.backpressure import Backpressure
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyEncoder
from mockrec.engine.recording.body_spill import BodySpill
from mockrec.engine.recording.chunk_log import BodyChunkLog
from mockrec.engine.recording.client_error import FaultyRequest, client_error_record, partial_request
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.event_log import BoundedLog, EventLog, MakeBody, PendingBody
from mockrec.engine.recording.exchange_bodies import kept_body, partial_response
from mockrec.engine.recording.exchange_records import (
    add_outcome,
    information_record,
    request_record,
    response_record,
    rule_record,
    trailer_fields,
)
from mockrec.engine.recording.grpc_log import GrpcLog
from mockrec.engine.recording.joined_records import JoinedRecords
from mockrec.engine.recording.lines import (
    EMPTY_BODY_TEXT,
    request_initiated_line,
    request_line,
    response_line,
    rule_event_line,
)
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.owner import NoExchange
from mockrec.engine.recording.record_cache import SMALL, RecordCache
from mockrec.engine.recording.repeated_bodies import RepeatedBodies
from mockrec.engine.recording.websocket_log import WebSocketLog
from mockrec.engine.redaction.backlog import Backlog, Later, TooMuch
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.wire.parts import Fault, RawHeaders, ResponseHead, header_table
from mockrec.formats.files.jsonl import encode_value
from mockrec.formats.operations.grpc.descriptors import Descriptors


class ExchangeLog:
    """Logs what happens to exchanges, and client errors."""

    def __init__(
        self,
        log: BoundedLog,
        types: frozenset[str],
        bodies: BodyEncoder,
        redactor: Redactor | None = None,
        backlog: Backlog | None = None,
        hold_time: float = 0.1,
        descriptors: Descriptors | None = None,
        joined: JoinedRecords | None = None,
    ) -> None:
        """Log records of these `types`; `bodies` encodes their bodies and has the same `redactor`. Without a redactor,
        secrets stay in the log. Redaction that takes long is left to the `backlog`; `hold_time`: see `BodyChunkLog`;
        `descriptors` of gRPC messages: see `GrpcLog`; `joined` joins records, if `log` can defer them."""
        self._events = EventLog(log, bodies, redactor, backlog)
        self._cache = RecordCache(redactor)
        self._repeated = RepeatedBodies(bodies)
        self._bodies = bodies
        self._chunks = BodyChunkLog(self._events, types, hold_time)
        self.grpc = GrpcLog(self._events, types, descriptors)
        # An exchange whose records are deferred has to end with another record.
        can_join = types >= {"request-initiated", "request", "response", "abort"}
        self._joined = joined if can_join and not (redactor is not None and redactor.looks_everywhere) else None
        self._request_initiated = "request-initiated" in types
        self._request = "request" in types
        self._response_initiated = "response-initiated" in types
        self._response_information = "response-information" in types
        self._response = "response" in types
        self._abort = "abort" in types
        self._websocket_request = "websocket-request" in types
        self._client_error = "client-error" in types
        self.search_tags = self._events.search_tags
        self._rule_event = "rule-event" in types
        self.websocket = WebSocketLog(self._events, self._cache, types, self._end)
        self.backpressure: Backpressure = log
        """What forwarded bodies wait for while the log is behind."""
        self.ended: Callable[[LoggedExchange], None] | None = None
        """Called with every exchange that has ended, whatever is recorded of it."""

    # ── the request ────────────────────────────────────────────────────────────────────────────────

    def request_initiated(self, exchange: LoggedExchange) -> None:
        """Log that the head of a request has been read. An upgrade has no such record, but `websocket-request`."""
        if self._request_initiated and not exchange.websocket:
            head = self._cache.request_head(exchange)
            if self._joined is not None and self._joined.begin(exchange, head):
                return
            if self._events.is_plain(exchange, head):
                line = request_initiated_line(exchange, head, exchange.line_tags)
                if self._events.add_plain("request-initiated", exchange.id, line, head):
                    return
            record = request_record("request-initiated", exchange, head.fields, exchange.started_at)
            self._events.add(record, exchange, redacted=True)

    def request_spill(self, target: TargetUri) -> BodySpill | None:
        """Open a spill file for a long body of a request with this head, if the body will be recorded."""
        if not self._request:
            return None
        secrets = self._cache.secrets_of_request(target)
        return self._bodies.spill(target.headers, "request", secrets)

    def request_data(self, exchange: LoggedExchange, data: bytes) -> None:
        """Log bytes of the request body."""
        if exchange.grpc is not None:
            self.grpc.received(exchange, data)
        if self._chunks.request:
            self._chunks.request_batcher(exchange).add(data)

    def request_data_end(self, exchange: LoggedExchange) -> None:
        """Log the end of the request body; for an upgrade not before its first record, `websocket-request`."""
        if self._chunks.request and (exchange.request_logged or not exchange.websocket):
            self._chunks.request_batcher(exchange).end()
            exchange.request_chunks = None  # a reference back to the exchange

    def request(self, exchange: LoggedExchange) -> None:
        """Log the complete request, once the rule that answers it is known."""
        if exchange.websocket:
            if self._websocket_request:
                self._complete_request("websocket-request", exchange)
            exchange.request_logged = True
            self.request_data_end(exchange)
        elif self._request:
            self._complete_request("request", exchange)

    def _complete_request(self, kind: str, exchange: LoggedExchange) -> None:
        exchange.request_logged = True
        body = exchange.request_body
        now = clock.now()
        if self._joined is not None and self._joined.request(exchange, now):
            return
        head = self._cache.request_head(exchange)
        is_plain = self._events.is_plain(exchange, head) and not body.trailers
        if is_plain and not body.size:
            line = request_line(kind, exchange, head, now, EMPTY_BODY_TEXT)
            if self._events.add_plain(kind, exchange.id, line, head):
                return
        elif is_plain and exchange.known is None:
            text = self._repeated.of(body, exchange.target.headers, "request")
            if text is not None:
                self._events.add_line(kind, exchange.id, request_line(kind, exchange, head, now, text))
                return
        make = None if not body.size else kept_body(body, exchange.target.headers, "request", exchange)
        made = None if make is None or not is_plain else self._events.made_now(make, body.size)
        if made is not None and exchange.known is None:
            self._events.add_line(kind, exchange.id, request_line(kind, exchange, head, now, encode_value(made)))
            return
        record = request_record(kind, exchange, head.fields, now)
        record["body"] = made or EMPTY_BODY
        if body.trailers:
            record.update(trailer_fields(body.trailers))
        if head.operation is not None:
            record["operation"] = head.operation
        parts = [(record, "body", make)] if make is not None and made is None else []
        self._events.add(record, exchange, parts, redacted=not body.trailers)

    # ── the response ───────────────────────────────────────────────────────────────────────────────

    def information(
        self, exchange: LoggedExchange, status: int, reason: str, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Log that a 1xx is being sent."""
        if self._response_information:
            self._events.add(information_record(exchange, status, reason, headers, clock.now()), exchange)

    def response_initiated(self, exchange: LoggedExchange) -> None:
        """Log that the final head is being sent."""
        if self._response_initiated:
            assert exchange.response_head is not None
            head = self._cache.response_head(exchange.response_head)
            record = response_record("response-initiated", exchange, head.fields, clock.now())
            self._events.add(record, exchange, head=head, redacted=True)

    def response_spill(self, head: ResponseHead, known: SecretMap | None) -> BodySpill | None:
        """Open a spill file for a long response body, if it will be recorded; `known`: the secrets of the exchange."""
        return self._bodies.spill(head.headers, "response", known) if self._response else None

    def response_data(self, exchange: LoggedExchange, data: bytes) -> None:
        """Log bytes of the response body that have been sent."""
        if exchange.grpc is not None:
            self.grpc.sent(exchange, data)
        if self._chunks.response:
            self._chunks.response_batcher(exchange).add(data)

    def response(self, exchange: LoggedExchange, whole: bytes | None) -> None:
        """Log the complete response; `whole` is its body if that was sent at once, None if it was sent in pieces."""
        exchange.finished = True
        if exchange.grpc is not None and whole:
            self.grpc.sent(exchange, whole)
        if self._chunks.response:
            chunks = self._chunks.response_batcher(exchange)
            if whole:
                chunks.add(whole)
            chunks.end()
            exchange.response_chunks = None
        if self._response:
            # The time of writing, not of the cause: records of body chunks may have been written since.
            assert exchange.response_head is not None
            self._complete_response(exchange, whole)
        self._end(exchange)

    def _complete_response(self, exchange: LoggedExchange, whole: bytes | None) -> None:
        now = clock.now()
        assert exchange.response_head is not None
        head = self._cache.response_head(exchange.response_head)
        joined = self._joined
        if joined is not None and joined.exchange is exchange:
            ready = self._cache.ready_body(exchange, whole)
            if ready is not None and joined.response(exchange, head, now, ready.text):
                return
        request = self._cache.request_head(exchange)
        end = exchange.response_sent_at or exchange.started_at
        trailers = exchange.response_trailers
        is_plain = self._events.is_plain(exchange, head) and not trailers
        text = self._known_body(exchange, whole) if is_plain else None
        if text is not None:
            self._events.add_line("response", exchange.id, response_line(exchange, head, request, now, end, text))
            return
        make = self._response_body(exchange, whole)
        kept = exchange.response_body
        size = len(whole or b"") if kept is None else kept.size
        made = self._events.made_now(make, size) if is_plain else None
        if made is not None and exchange.known is None:
            line = response_line(exchange, head, request, now, end, encode_value(made))
            self._events.add_line("response", exchange.id, line)
            return
        record = response_record("response", exchange, head.fields, now)
        add_outcome(record, exchange, request.fields, end)
        record["body"] = made or EMPTY_BODY
        if trailers:
            record.update(trailer_fields(trailers))
        parts = [(record, "body", make)] if made is None else []
        self._events.add(record, exchange, parts, redacted=not trailers)

    def _known_body(self, exchange: LoggedExchange, whole: bytes | None) -> bytes | None:
        """Return the encoded log form of a response body that an earlier exchange had; None if it has to be made."""
        ready = self._cache.ready_body(exchange, whole)
        if ready is not None:
            return ready.text
        head, prepared = exchange.response_head, exchange.prepared
        if exchange.known is not None or head is None:
            return None
        if whole is None:
            assert exchange.response_body is not None
            return self._repeated.of(exchange.response_body, head.headers, "response")
        # The body of a rule has its form already, or gets one that it keeps.
        is_relayed = prepared is not None and prepared.relayed and prepared.log_form is None
        return self._repeated.text(whole, head.headers, "response") if is_relayed and len(whole) > SMALL else None

    def _response_body(self, exchange: LoggedExchange, whole: bytes | None) -> MakeBody:
        head, prepared = exchange.response_head, exchange.prepared
        assert head is not None
        if whole is None:
            assert exchange.response_body is not None
            return kept_body(exchange.response_body, head.headers, "response", exchange)
        if not whole:
            return lambda bodies: EMPTY_BODY
        return lambda bodies: self._cache.body(whole, prepared, head, exchange, bodies)

    # ── aborts and client errors ───────────────────────────────────────────────────────────────────

    def abort(self, exchange: LoggedExchange, error: Mapping[str, Any] | None) -> None:
        """Log that the exchange has ended before it was complete, with the bodies as far as they got."""
        exchange.finished = True
        for chunks in (exchange.request_chunks, exchange.response_chunks):
            if chunks is not None:
                chunks.give_up()
        exchange.request_chunks = exchange.response_chunks = None
        if exchange.websocket and not exchange.request_logged:
            self.request(exchange)
        if self._abort:
            head = self._cache.request_head(exchange)
            record = request_record("abort", exchange, head.fields, clock.now())
            record["host"] = exchange.target.host
            record["duration"] = round((exchange.aborted_at or exchange.started_at) - exchange.started_at, 4)
            if error:
                record["error"] = dict(error)
            parts: list[PendingBody] = []
            if not exchange.request_logged and exchange.request_body.size:
                body, headers = exchange.request_body, exchange.target.headers
                record["requestBody"] = EMPTY_BODY
                make = kept_body(body, headers, "request", exchange, incomplete=not body.complete)
                parts.append((record, "requestBody", make))
            if exchange.response_head is not None:
                record["response"] = partial_response(exchange, exchange.response_head, parts)
            self._events.add(record, exchange, parts, head=head)
        self._end(exchange)

    def client_error(
        self,
        client: ClientConnection,
        fault: Fault,
        context: ConnectionContext,
        *,
        started_at: float,
        answered: ResponseHead | None,
        body: bytes = b"",
        version: str = "",
        exchange: LoggedExchange | None = None,
    ) -> None:
        """Log that a client broke the protocol. `answered` and `body` are the response that it was sent, None if there
        was none. `context` and the HTTP `version` are those of the connection, `exchange` is the one that was
        broken."""
        if not self._client_error:
            return
        record, tags, timing = client_error_record(client, fault, started_at, answered, body, exchange)
        request = FaultyRequest(record["id"], client, fault, context, version, exchange)
        owner = exchange if exchange is not None else NoExchange()
        part = record, "request", lambda bodies: partial_request(request, bodies, timing, tags, owner)
        self._events.add(record, owner, (part,))

    # ── rule events ────────────────────────────────────────────────────────────────────────────────

    def rule_event(
        self, exchange: LoggedExchange, kind: str, data: Mapping[str, Any], *, rule_id: str | None = None
    ) -> None:
        """Log an event of a rule; `rule_id` if it is not the rule that acts."""
        rule_id = _rule_of(exchange) if rule_id is None else rule_id
        if self._rule_event and rule_id is not None:
            self._events.add(rule_record(exchange, rule_id, kind, data, clock.now()), exchange)

    def passthrough_event(
        self,
        exchange: LoggedExchange,
        kind: str,
        side: str,
        data: Record,
        measured: Mapping[str, Any],
        *,
        rule_id: str | None = None,
    ) -> None:
        """Log a rule event of a passthrough. `data` describes the message of one `side`, `request` or `response`, and
        is cached; `measured` (timings) differs in each exchange and never holds a secret."""
        rule_id = _rule_of(exchange) if rule_id is None else rule_id
        if not self._rule_event or rule_id is None:
            return
        form, now = self._cache.part(data, side), clock.now()
        if self._events.is_plain(exchange, form):
            line = rule_event_line(exchange, rule_id, kind, now, form, measured)
            if self._events.add_plain("rule-event", exchange.id, line, form):
                return
        record = rule_record(exchange, rule_id, kind, {**form.fields, **measured}, now)
        self._events.add(record, exchange, redacted=True)

    def wire_content(
        self, data: bytes, exchange: LoggedExchange, side: str = "", raw_headers: RawHeaders | None = None
    ) -> Record:
        """Return the log form of bytes of a message, not decoded; a whole body is given with its `raw_headers`. The
        form is made later, with the rule event that it is put into, if its redaction takes long."""

        def make(bodies: BodyEncoder) -> Record:
            if raw_headers is None:
                return bodies.chunk(data, side, exchange)
            return bodies.wire(data, header_table(raw_headers), side, exchange)

        if not exchange.waiting:
            try:
                return make(self._bodies)
            except TooMuch:
                pass
        return Later(make)

    # ── the end ────────────────────────────────────────────────────────────────────────────────────

    def _end(self, exchange: LoggedExchange) -> None:
        """The terminal record of the exchange was added, or is not recorded: call `ended` when the log has caught
        up."""
        if self.ended is None:
            return
        if exchange.waiting:
            self._events.after_pending(exchange, partial(self.ended, exchange))
        else:
            self.ended(exchange)


def _rule_of(exchange: LoggedExchange) -> str | None:
    """Return the id of the rule that acts, None if no rule matched."""
    rule = exchange.acting_rule or exchange.rule
    return None if rule is None else rule.rule.id
