"""The records of an accepted WebSocket: its acceptance, messages, and close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockrec.engine import clock
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyEncoder
from mockrec.engine.recording.envelope import Record, envelope, timing_of
from mockrec.engine.wire.websocket.connection import CloseFrame

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange
    from mockrec.engine.recording.exchange_log import ExchangeLog, Make

_LARGE = 32 * 1024


class WebSocketLog:
    """Tells the log what happens on WebSockets."""

    def __init__(self, notes: ExchangeLog, types: frozenset[str], bodies: BodyEncoder) -> None:
        self._notes = notes
        self._bodies = bodies
        self._accepted = "websocket-accepted" in types
        self._wanted = {
            "received": "websocket-message-received" in types,
            "sent": "websocket-message-sent" in types,
        }
        self._close = "websocket-close" in types

    def accepted(self, exchange: Exchange) -> None:
        """The head that accepts the upgrade is sent."""
        if self._accepted:
            record = self._notes.response_head("websocket-accepted", exchange, clock.now())
            record["body"] = EMPTY_BODY
            self._notes.add_known(record, exchange)

    def message(self, exchange: Exchange, direction: str, kept: bytes, size: int, is_binary: bool) -> None:
        """A message is complete, of which the first bytes were kept."""
        if not self._wanted[direction]:
            return
        now = clock.now()
        record = envelope(f"websocket-message-{direction}", exchange, now)
        record["streamId"] = exchange.id
        record["direction"] = direction
        record["content"] = EMPTY_BODY
        record["isBinary"] = is_binary
        record["eventTimestamp"] = now
        record["timingEvents"] = timing_of(exchange)
        record["tags"] = exchange.tags
        side = "request" if direction == "received" else "response"
        make: Make = lambda bodies: bodies.message(kept, size, side, exchange)  # noqa: E731
        self._notes.add_known(record, exchange, (record, "content", make))
        if size > _LARGE:
            self._notes.flush()

    def closed(
        self, exchange: Exchange, code: int | None, reason: str, initiator: str, first: CloseFrame | None = None
    ) -> None:
        """Both close frames have passed; `code` and `reason` are the client's, `first` is the server's if it was the
        first: clients need not answer with the same."""
        exchange.finished = True
        if self._close:
            now = exchange.ws_closed_at or clock.now()
            record: Record = envelope("websocket-close", exchange, clock.now())
            record["streamId"] = exchange.id
            if code is not None:
                record["closeCode"] = code
            record["closeReason"] = reason
            record["initiator"] = initiator
            if first is not None and first.code is not None:
                record["serverCloseCode"] = first.code
                record["serverCloseReason"] = first.reason
            record["timingEvents"] = timing_of(exchange)
            record["tags"] = exchange.tags
            self._notes.ending(record, exchange, now)
            self._notes.add(record, exchange)
        self._notes.over(exchange)
