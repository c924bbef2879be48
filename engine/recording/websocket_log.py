"""The records of an accepted WebSocket: its acceptance, messages, and close."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine import clock
from mockrec.engine.recording.body_encoder import EMPTY_BODY
from mockrec.engine.recording.envelope import Record, envelope, timing_of
from mockrec.engine.recording.event_log import EventLog, MakeBody
from mockrec.engine.recording.exchange_records import add_outcome, response_record
from mockrec.engine.recording.lines import websocket_message_line
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.recording.record_cache import RecordCache
from mockrec.engine.wire.websocket.parts import CloseFrame
from mockrec.formats.files.jsonl import encode_value


class WebSocketLog:
    """Logs what happens on WebSockets."""

    def __init__(
        self, events: EventLog, cache: RecordCache, types: frozenset[str], end: Callable[[LoggedExchange], None]
    ) -> None:
        """`end` is called when the terminal record of an exchange has been added."""
        self._events = events
        self._cache = cache
        self._end = end
        self._accepted = "websocket-accepted" in types
        self._message = {
            "received": "websocket-message-received" in types,
            "sent": "websocket-message-sent" in types,
        }
        self._close = "websocket-close" in types

    def accepted(self, exchange: LoggedExchange) -> None:
        """Log that the head that accepts the upgrade is being sent."""
        if self._accepted:
            assert exchange.response_head is not None
            head = self._cache.response_head(exchange.response_head)
            record = response_record("websocket-accepted", exchange, head.fields, clock.now())
            record["body"] = EMPTY_BODY
            self._events.add(record, exchange, head=head, redacted=True)

    def message(self, exchange: LoggedExchange, direction: str, kept: bytes, size: int, is_binary: bool) -> None:
        """Log a complete message of `size` bytes, of which `kept` are the first."""
        if not self._message[direction]:
            return
        now = clock.now()
        kind = f"websocket-message-{direction}"
        is_plain = self._events.is_plain(exchange)
        text = self._cache.message(kept, size, self._events.bodies) if is_plain else None
        if text is not None:
            line = websocket_message_line(exchange, direction, now, text, is_binary=is_binary)
            self._events.add_line(kind, exchange.id, line)
            return
        side = "request" if direction == "received" else "response"
        make: MakeBody = lambda bodies: bodies.message(kept, size, side, exchange)  # noqa: E731
        content = self._events.made_now(make, size) if is_plain else None
        if content is not None and exchange.known is None:
            line = websocket_message_line(exchange, direction, now, encode_value(content), is_binary=is_binary)
            self._events.add_line(kind, exchange.id, line)
            return
        record = _record(kind, exchange, now)
        record["direction"] = direction
        record["content"] = content or EMPTY_BODY
        record["isBinary"] = is_binary
        record["eventTimestamp"] = now
        record["timingEvents"] = timing_of(exchange)
        record["tags"] = exchange.tags
        self._events.add(record, exchange, [] if content else [(record, "content", make)], redacted=True)

    def closed(
        self,
        exchange: LoggedExchange,
        code: int | None,
        reason: str,
        initiator: str,
        server_close: CloseFrame | None = None,
    ) -> None:
        """Log that both close frames have passed. `code` and `reason` are the client's; `server_close` is the server's
        close frame if that came first: the client's may have another code."""
        exchange.finished = True
        if self._close:
            end = exchange.ws_closed_at or clock.now()
            record = _record("websocket-close", exchange, clock.now())
            if code is not None:
                record["closeCode"] = code
            record["closeReason"] = reason
            record["initiator"] = initiator
            if server_close is not None and server_close.code is not None:
                record["serverCloseCode"] = server_close.code
                record["serverCloseReason"] = server_close.reason
            record["timingEvents"] = timing_of(exchange)
            record["tags"] = exchange.tags
            add_outcome(record, exchange, self._cache.request_head(exchange).fields, end)
            self._events.add(record, exchange)
        self._end(exchange)


def _record(kind: str, exchange: LoggedExchange, now: float) -> Record:
    record = envelope(kind, exchange.id, exchange.client.connection_id, now, exchange.scope)
    record["streamId"] = exchange.id
    return record
