"""Serve a recorded WebSocket: send each recorded message after the client messages that preceded it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings, WebSocketLost, WebSocketSession
from mockrec.engine.replay.serve.cassette import Cassette, RecordedExchange
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.session.editable import shallow_json
from mockrec.engine.replay.session.fingerprint import fits
from mockrec.engine.replay.session.requests import time_of
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.steps.websocket import accepted, listen
from mockrec.formats.operations.correlation import correlation_id, without_id
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.schema.lenient import object_of
from mockrec.formats.text.json import dump

_PROTOCOL = re.compile(r"[!-~]+")
MISMATCH = "replay-mismatch"
"""The type of the rule-event for a client that deviates from the recording."""


async def serve_websocket(
    exchange: Exchange,
    cassette: Cassette,
    found: RecordedExchange,
    record: Mapping[str, Any],
    latency: Latency,
    limits: SocketSettings,
) -> None:
    """Accept the WebSocket as recorded, then replay its messages; `record` is the `websocket-accepted`."""
    headers = record.get("headers") or {}
    protocol = headers.get("sec-websocket-protocol", "") if isinstance(headers, Mapping) else ""
    protocol = protocol if isinstance(protocol, str) and _PROTOCOL.fullmatch(protocol) else ""
    session = await accepted(exchange, limits, protocol)
    if session is None:
        return
    serving = _WebSocketServing(exchange, session, cassette, found, latency, time_of(record))
    with limits.open.hold(session):
        try:
            if not await serving.follow():
                await listen(session)
        except WebSocketLost:
            serving.report_disconnect()


class _WebSocketServing:
    def __init__(
        self,
        exchange: Exchange,
        session: WebSocketSession,
        cassette: Cassette,
        found: RecordedExchange,
        latency: Latency,
        accepted_then: float,
    ) -> None:
        self._exchange = exchange
        self._session = session
        self._cassette = cassette
        self._found = found
        self._latency = latency
        self._accepted_then = accepted_then
        self._accepted_now = clock.now()
        self._received_messages = 0
        self._expected_messages = 0
        self._ids: dict[str | int, str | int] = {}
        """Recorded → present ids of requests inside the WebSocket; those that are equal are left out."""

    async def follow(self) -> bool:
        """Replay the recorded messages. True if the WebSocket is closed afterwards. Raises WebSocketLost."""
        for spot in self._found.said:
            record = self._cassette.read(spot)
            kind = record["type"]
            if kind == "websocket-message-sent":
                await self._wait(record)
                await self._session.send(
                    self._with_present_id(self._content(record)), is_binary=bool(record.get("isBinary"))
                )
            elif kind == "websocket-message-received":
                if not await self._expect(record):
                    return True
            elif kind == "websocket-close":
                return await self._close(record)
            elif kind == "abort" and record.get("error"):
                await self._wait(record)
                self._exchange.abort({**object_of(record["error"])})
                self._exchange.channel.reset()
                return True
        return False

    async def _wait(self, record: Mapping[str, Any]) -> None:
        if self._latency.factor:
            await sleep_until(
                self._accepted_now + (time_of(record) - self._accepted_then) * 1000.0 * self._latency.factor
            )

    def _content(self, record: Mapping[str, Any]) -> bytes:
        content = record.get("content")
        try:
            return Body.from_record(
                content if isinstance(content, Mapping) else {"size": 0}, self._cassette.folder
            ).bytes
        except (RecordError, SessionError) as error:
            self._mismatch(f"a recorded message cannot be read: {error}")
            return b""

    async def _expect(self, record: Mapping[str, Any]) -> bool:
        """Wait for the client's next message and compare it with the record. False if the client closed instead."""
        self._expected_messages += 1
        message = await self._session.message()
        if message is None:
            self._mismatch(f"the client has closed instead of its message {self._expected_messages}")
            return False
        self._received_messages += 1
        recorded, received = _value(self._content(record)), _value(message[0])
        identity, present = correlation_id(recorded), correlation_id(received)
        if identity is not None and present is not None:
            if identity != present:
                self._ids[identity] = present
            else:
                self._ids.pop(identity, None)
            recorded, received = without_id(recorded), without_id(received)
        if not object_of(record.get("content")).get("truncated") and not fits(recorded, received):
            self._mismatch(f"the client has said something else in its message {self._expected_messages}")
        return True

    def _with_present_id(self, content: bytes) -> bytes:
        """Return a recorded message with the id that the client has given its request now."""
        if not self._ids:
            return content
        document = _value(content)
        present = self._ids.get(identity) if (identity := correlation_id(document)) is not None else None
        return content if present is None else dump({**document, "id": present})

    async def _close(self, record: Mapping[str, Any]) -> bool:
        if record.get("initiator") != "server":
            return False
        await self._wait(record)
        code = record.get("serverCloseCode", record.get("closeCode"))
        reason = record.get("serverCloseReason", record.get("closeReason"))
        await self._session.close(code if isinstance(code, int) else None, str(reason or ""))
        return True

    def report_disconnect(self) -> None:
        """Report a mismatch if the client disconnected before a message that was recorded."""
        if self._received_messages < self._expected_messages:
            self._mismatch(f"the client has left before its message {self._expected_messages}")

    def _mismatch(self, what: str) -> None:
        self._cassette.mismatch(f"{self._found.name}: {what}")
        detail = {"recording": self._found.id, "message": what}
        self._exchange.log.rule_event(self._exchange, MISMATCH, detail)


def _value(data: bytes) -> Any:
    """Return a message for comparison: JSON as a value, so that whitespace is ignored; others as text or bytes."""
    if data[:1] in (b"{", b"["):
        try:
            return shallow_json(data)
        except ValueError:
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
