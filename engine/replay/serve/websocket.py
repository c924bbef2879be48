"""A recorded WebSocket served: what was said to the client then, behind as many of its messages as then."""

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
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.schema.lenient import object_of

_PROTOCOL = re.compile(r"[!-~]+")
MISMATCH = "replay-mismatch"
"""The type of the rule-event for a message that is not the recorded one."""


async def converse(
    exchange: Exchange,
    cassette: Cassette,
    found: RecordedExchange,
    record: Mapping[str, Any],
    latency: Latency,
    limits: SocketSettings,
) -> None:
    """Accept as it was accepted, then say what was said; `record` is the acceptance."""
    headers = record.get("headers") or {}
    protocol = headers.get("sec-websocket-protocol", "") if isinstance(headers, Mapping) else ""
    protocol = protocol if isinstance(protocol, str) and _PROTOCOL.fullmatch(protocol) else ""
    session = await accepted(exchange, limits, protocol)
    if session is None:
        return
    talk = _WebSocketServing(exchange, session, cassette, found, latency, time_of(record))
    with limits.open.hold(session):
        try:
            if not await talk.follow():
                await listen(session)
        except WebSocketLost:
            talk.left()


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
        self._then = accepted_then
        self._now = clock.now()
        self._heard = 0
        self._awaited = 0

    async def follow(self) -> bool:
        """Go through what was said; whether the WebSocket is closed then. Raises WebSocketLost."""
        for spot in self._found.said:
            record = self._cassette.read(spot)
            kind = record["type"]
            if kind == "websocket-message-sent":
                await self._wait(record)
                await self._session.send(self._content(record), is_binary=bool(record.get("isBinary")))
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
            await sleep_until(self._now + (time_of(record) - self._then) * 1000.0 * self._latency.factor)

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
        """Wait for the client's next message; False if it has closed instead."""
        self._awaited += 1
        message = await self._session.message()
        if message is None:
            self._mismatch(f"the client has closed instead of its message {self._awaited}")
            return False
        self._heard += 1
        recorded, said = self._content(record), message[0]
        if not object_of(record.get("content")).get("truncated") and not fits(_value(recorded), _value(said)):
            self._mismatch(f"the client has said something else in its message {self._awaited}")
        return True

    async def _close(self, record: Mapping[str, Any]) -> bool:
        if record.get("initiator") != "server":
            return False
        await self._wait(record)
        code = record.get("serverCloseCode", record.get("closeCode"))
        reason = record.get("serverCloseReason", record.get("closeReason"))
        await self._session.close(code if isinstance(code, int) else None, str(reason or ""))
        return True

    def left(self) -> None:
        """The client has gone."""
        if self._heard < self._awaited:
            self._mismatch(f"the client has left before its message {self._awaited}")

    def _mismatch(self, what: str) -> None:
        self._cassette.mismatch(f"{self._found.name}: {what}")
        told = {"recording": self._found.id, "message": what}
        self._exchange.log.rule_event(self._exchange, MISMATCH, told)


def _value(data: bytes) -> Any:
    """JSON as a value, so that its spelling does not count; other messages as text or bytes."""
    if data[:1] in (b"{", b"["):
        try:
            return shallow_json(data)
        except ValueError:
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
