"""The records of body chunks while a body passes: `request-body-data` and `response-body-data`."""

from __future__ import annotations

from mockrec.engine import clock
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyEncoder
from mockrec.engine.recording.chunk_batcher import BodyChunk, BodyChunkBatcher
from mockrec.engine.recording.envelope import Record, envelope
from mockrec.engine.recording.event_log import EventLog, MakeBody
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.redaction.backlog import AT_ONCE
from mockrec.engine.redaction.records import content_type
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.rules.matching.request import FORM_TYPE


class BodyChunkLog:
    """Logs the chunks of bodies, in batches of 20 ms (`BodyChunkBatcher`)."""

    def __init__(self, events: EventLog, types: frozenset[str], hold_time: float) -> None:
        """`hold_time`: the seconds for which bytes are held back at most that may continue into a secret."""
        self._events = events
        self._hold_time = hold_time
        self.request = "request-body-data" in types
        """Whether chunks of request bodies are recorded."""
        self.response = "response-body-data" in types
        """Whether chunks of response bodies are recorded."""

    def request_batcher(self, exchange: LoggedExchange) -> BodyChunkBatcher:
        """Return the batcher of the exchange's request body."""
        if exchange.request_chunks is None:
            exchange.request_chunks = self._batcher(exchange, "request-body-data")
        return exchange.request_chunks

    def response_batcher(self, exchange: LoggedExchange) -> BodyChunkBatcher:
        """Return the batcher of the exchange's response body."""
        if exchange.response_chunks is None:
            exchange.response_chunks = self._batcher(exchange, "response-body-data")
        return exchange.response_chunks

    def _batcher(self, exchange: LoggedExchange, kind: str) -> BodyChunkBatcher:
        redactor = self._events.redactor
        holdback = None if redactor is None else redactor.hold()
        return BodyChunkBatcher(exchange, kind, self._add, holdback, self._hold_time)

    def _add(self, exchange: LoggedExchange, chunk: BodyChunk) -> None:
        """Log a batch of chunks. `chunk` may be long, or wait for the redaction of earlier records."""
        if self._events.redactor is None or (not exchange.waiting and chunk.size <= AT_ONCE):
            released = chunk.released()
            if released is not None:
                record = _record(exchange, released)
                self._events.add(
                    record, exchange, ((record, "content", self._maker(exchange, released)),), redacted=True
                )
            return

        def late(redactor: Redactor, bodies: BodyEncoder) -> Record | None:
            released = chunk.released()
            if released is None:
                return None
            record = _record(exchange, released)
            record["content"] = self._maker(exchange, released)(bodies)
            return redactor.record(record, exchange)

        self._events.add_later(exchange, {"type": chunk.kind}, (), late, chunk.size)

    def _maker(self, exchange: LoggedExchange, chunk: BodyChunk) -> MakeBody:
        data, side = chunk.data, "request" if chunk.kind == "request-body-data" else "response"
        head = exchange.target if side == "request" else exchange.response_head
        if self._events.redactor is not None and data and head is not None and "content-encoding" in head.headers:
            # Secrets cannot be searched for in a chunk of compressed data.
            return lambda _: {"size": len(data), "text": "", "truncated": True, "redacted": True}
        kind = content_type({"headers": head.headers}) if head is not None else ""
        # The one type that matters for a chunk: in a form, `+` stands for a blank.
        kind = FORM_TYPE if kind.partition(";")[0].strip().lower() == FORM_TYPE else ""
        return lambda bodies: bodies.chunk(data, side, exchange, chunk.coding, kind, chunk.before)


def _record(exchange: LoggedExchange, chunk: BodyChunk) -> Record:
    record = envelope(chunk.kind, exchange.id, exchange.client.connection_id, clock.now(), exchange.scope)
    record["content"] = EMPTY_BODY
    record["isEnded"] = chunk.is_ended
    record["eventTimestamp"] = chunk.at
    return record
