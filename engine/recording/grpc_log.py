"""The records of gRPC messages while a body passes: `grpc-message-received` and `grpc-message-sent`.

The bytes of the messages are in the bodies of `request` and `response`. These records say when each message passed, and
what it means as far as it is short: by the descriptors of `record.protobuf`, or by field numbers.
"""

from __future__ import annotations

from typing import Any, Final

import anyio

from mockrec.engine import clock
from mockrec.engine.recording.envelope import envelope
from mockrec.engine.recording.event_log import EventLog
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.formats.operations.grpc.descriptors import Descriptors
from mockrec.formats.operations.grpc.frames import Decompressor, Frame
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind, is_protobuf, method_of
from mockrec.formats.operations.grpc.messages import Decoder, GrpcMessage
from mockrec.formats.operations.grpc.scanner import KEPT, MessageScanner, ScannedMessage

_MOST_AT_ONCE: Final = 64
"""Records for one piece of a body. An empty message has five bytes: 64 KiB of them would hold up the event loop."""
_MOST_DECODED_AT_ONCE: Final = KEPT
"""Bytes of messages that are decoded for one piece of a body: some 20 ms of work, while others wait."""

_MOST_HEARD: Final = 10_000
"""Messages that wait for a reader of `heard`."""


class GrpcMessages:
    """The messages of one exchange so far."""

    __slots__ = ("_arrived", "_scanners", "heard", "received", "sent")

    def __init__(self, kind: GrpcKind) -> None:
        self._scanners: dict[str, MessageScanner | None] = {"received": MessageScanner(kind)}
        self.received = 0
        """Messages of the client that have arrived."""
        self.heard: list[ScannedMessage] | None = None
        """Collects the messages of the client, for a reader that takes them out; None: there is none."""
        self.sent = 0
        self._arrived: anyio.Event | None = None

    async def wait_for(self, count: int, exchange: LoggedExchange) -> bool:
        """Return True when the client has sent `count` messages; False if its request ends before."""
        while self.received < count:
            if exchange.request_body.complete or exchange.finished:
                return False
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()
        return True

    def wake(self) -> None:
        """Wake what waits for messages: some have arrived, or no more will."""
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None


class GrpcLog:
    """Logs the messages of gRPC exchanges."""

    def __init__(self, events: EventLog, types: frozenset[str], descriptors: Descriptors | None) -> None:
        self._events = events
        self._descriptors = descriptors
        self._is_logged = {
            "received": "grpc-message-received" in types,
            "sent": "grpc-message-sent" in types,
        }

    def begin(self, exchange: LoggedExchange, content_type: str) -> None:
        """Watch the messages of a request whose content type says that it is gRPC."""
        kind = grpc_kind(content_type)
        if kind is not None:
            exchange.grpc = GrpcMessages(kind)

    def received(self, exchange: LoggedExchange, data: bytes) -> None:
        """Take bytes of the request body."""
        messages = exchange.grpc
        assert messages is not None
        scanner = messages._scanners["received"]
        assert scanner is not None
        found = scanner.feed(data)
        if found:
            self._log(exchange, "received", found, messages.received)
            messages.received += len(found)
            if messages.heard is not None and len(messages.heard) < _MOST_HEARD:
                messages.heard += found
            messages.wake()

    def sent(self, exchange: LoggedExchange, data: bytes) -> None:
        """Take bytes of the response body."""
        messages = exchange.grpc
        assert messages is not None
        if "sent" not in messages._scanners:
            head = exchange.response_head
            kind = None if head is None else grpc_kind(_text(head.headers.get("content-type")))
            messages._scanners["sent"] = None if kind is None else MessageScanner(kind)
        scanner = messages._scanners["sent"]
        if scanner is None:
            return
        found = scanner.feed(data)
        if found:
            self._log(exchange, "sent", found, messages.sent)
            messages.sent += len(found)

    def _log(self, exchange: LoggedExchange, direction: str, found: list[ScannedMessage], before: int) -> None:
        if not self._is_logged[direction]:
            return
        head = exchange.target if direction == "received" else exchange.response_head
        assert head is not None
        headers: dict[str, Any] = head.headers
        decoder = self._decoder(exchange, direction)
        protobuf = is_protobuf(_text(headers.get("content-type")))
        encoding = _text(headers.get("grpc-encoding"))
        now = clock.now()
        left = _MOST_DECODED_AT_ONCE
        for place, message in enumerate(found[:_MOST_AT_ONCE]):
            record = envelope(f"grpc-message-{direction}", exchange.id, exchange.client.connection_id, now)
            record["index"] = before + place
            record["size"] = message.size
            if message.is_compressed:
                record["compressed"] = True
            plain = _decompressed(message, encoding, left)
            if plain is not None:
                left -= len(plain.data)
                value = plain.value(decoder, protobuf=protobuf)
                record["message"] = value if isinstance(value, dict) else {"value": value}
            if place == _MOST_AT_ONCE - 1 and len(found) > _MOST_AT_ONCE:
                record["followedBy"] = len(found) - _MOST_AT_ONCE
            record["eventTimestamp"] = now
            self._events.add(record, exchange)

    def _decoder(self, exchange: LoggedExchange, direction: str) -> Decoder | None:
        if self._descriptors is None:
            return None
        side = "request" if direction == "received" else "response"
        return self._descriptors.decoder(method_of(exchange.target.path), side)


def _decompressed(message: ScannedMessage, encoding: str, most: int) -> GrpcMessage | None:
    """Return a message whose bytes, decompressed, are at most `most`; None for a longer one."""
    if message.data is None or (message.data and most <= 0):
        return None
    decompressor = Decompressor(encoding, KEPT)
    data, problem = decompressor.message(Frame(int(message.is_compressed), message.data))
    if decompressor.is_exceeded or len(data) > most:
        return None
    return GrpcMessage(data, message.is_compressed, problem)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
