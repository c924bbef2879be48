"""A recorded WebSocket held again: the client's messages in turn, each behind as many answers as in the recording.

What the server says need not be what it said then (a diff tells); only how much it had said counts.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_bytes
from typing import Any

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import KeptContent
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.receiving import Receiving
from mockrec.engine.replay.send.request import SendContext, begin, failed, sentence
from mockrec.engine.replay.session.requests import Record, time_of
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.steps.websocket_relay import ServerEnd
from mockrec.engine.upstream.errors import RESET, UpstreamError
from mockrec.engine.upstream.headers import without
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, Ping, WebSocket
from mockrec.engine.wire.websocket.handshake import agreed, without_others
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError

_NORMAL = 1000
_ROOM = 4096
"""Recorded messages that wait to be sent before reading waits too."""


class RecordedScript:
    """What was said on a recorded WebSocket, as it is read from the session."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._over = False
        self._dropped = False

    async def add(self, record: Record) -> None:
        """The next record; waits while the conversation is far behind."""
        while len(self._records) >= _ROOM and not self._dropped:
            self._room = anyio.Event()
            await self._room.wait()
        if not self._dropped:
            self._records.append(record)
            self._news.set()

    def end(self) -> None:
        """The session has no more of it."""
        self._over = True
        self._news.set()

    def drop(self) -> None:
        """Nobody listens any more."""
        self._dropped = True
        self._records.clear()
        self._room.set()

    async def next(self) -> Record | None:
        """The next record; None at the end."""
        while not self._records:
            if self._over:
                return None
            self._news = anyio.Event()
            await self._news.wait()
        record = self._records.popleft()
        self._room.set()
        return record


class WebSocketReplay:
    """One WebSocket. `run` returns why it has failed; empty if it has not."""

    def __init__(
        self,
        tools: SendContext,
        peer: ClientConnection,
        request: UpstreamRequest,
        identity: str,
        pace: Pace,
        fill: Callable[[bytes, Record], Awaitable[bytes]],
        folder: Path | None,
    ) -> None:
        """`fill` puts other values into a message, given with its record."""
        self.script = RecordedScript()
        self._tools = tools
        self._peer = peer
        self._request = request
        self._identity = identity
        self._pace = pace
        self._fill = fill
        self._folder = folder
        self._exchange: Exchange | None = None
        self._offer = ""
        self.tags: Sequence[str] = ()
        """Of the new exchange."""

    def change(self, request: UpstreamRequest, body: bytes) -> None:
        """Send this request instead, which goes to the same server."""
        del body
        self._request = request

    async def run(self, told: Callable[[], None]) -> str:
        """`told` is called when the request leaves, or would have."""
        request = self._request
        offered = next((value for name, value in request.raw_headers if name.lower() == "sec-websocket-extensions"), "")
        self._offer = without_others(offered)
        kept = without(request.raw_headers, "sec-websocket-extensions", "sec-websocket-key")
        key = base64.b64encode(token_bytes(16)).decode("ascii")
        request.raw_headers = [*kept, ["Sec-WebSocket-Key", key]]
        if self._offer:
            request.raw_headers.append(["Sec-WebSocket-Extensions", self._offer])
        if not any(name.lower() == "sec-websocket-version" for name, _ in kept):
            request.raw_headers.append(["Sec-WebSocket-Version", "13"])
        request.method = "GET"
        carrier: UpstreamStream | None = None
        try:
            told()
            if not request.route.secure:
                self._begin(http2=False)
            carrier = await self._tools.upstream_client.connect_websocket(self._peer, request.route, to_self=True)
            self._peer.ip, self._peer.port = carrier.pipe.local
            exchange = self._exchange or self._begin(http2=carrier.dialed.is_http2)
            return await self._hold(carrier, exchange)
        except UpstreamError as error:
            failed(self._exchange or self._begin(http2=False), error)
            return sentence(error)
        except ValueError as error:
            return str(error)
        finally:
            self.script.drop()
            if carrier is not None:
                carrier.close()
            if self._exchange is not None and not self._exchange.finished:
                self._exchange.abort(None)

    def _begin(self, *, http2: bool) -> Exchange:
        exchange = begin(
            self._tools, self._peer, self._request, self._identity, tags=self.tags, http2=http2, websocket=True
        )
        self._exchange = exchange
        return exchange

    async def _hold(self, carrier: UpstreamStream, exchange: Exchange) -> str:
        receiving = Receiving(carrier, exchange, self._tools.timeout, self._tools.upstream_client.backpressure)
        await carrier.ask_for_websocket(self._request)
        response, parts = await receiving.head()
        if not carrier.accepts(response.head.status):
            await receiving.rest(response, parts)  # an ordinary answer, as it stands
            return ""
        carrier.deadline = float("inf")
        answer = response.head.headers.get("sec-websocket-extensions", "")
        try:
            deflate = agreed(answer, self._offer) if answer else None
        except ValueError as error:
            raise UpstreamError("WS_ERR_EXTENSION", f"it agrees to what nobody offered: {error}") from None
        exchange.response_head = response.head
        exchange.ws_accepted_at = clock.now()
        exchange.log.websocket.accepted(exchange)
        limit = self._tools.message_limit
        codec = WebSocket("client", deflate=deflate, message_limit=limit, check_text=False)
        talk = _WebSocketDriver(exchange, ServerEnd(*carrier.upgraded(parts), codec), self._tools)
        async with anyio.create_task_group() as group:
            group.start_soon(talk.listen)
            try:
                problem = await self._follow(talk)
            except UpstreamError as error:
                talk.failed(error)
                problem = ""
            group.cancel_scope.cancel()
        return problem or talk.problem

    async def _follow(self, talk: _WebSocketDriver) -> str:
        """Do what the recorded client did. Raises UpstreamError."""
        expected = 0
        accepted_then = accepted_now = None
        while True:
            record = await self.script.next()
            kind = None if record is None else record["type"]
            if record is not None and kind == "websocket-accepted":
                accepted_then, accepted_now = time_of(record), clock.now()
            elif kind == "websocket-message-sent":
                expected += 1
            elif record is not None and kind == "websocket-message-received":
                if not await talk.heard(expected):
                    await talk.finish(_NORMAL, "")
                    return talk.problem
                if self._pace.factor is not None and accepted_then is not None and accepted_now is not None:
                    later = (time_of(record) - accepted_then) / self._pace.factor
                    await sleep_until(accepted_now + later * 1000.0)
                await self._say(talk, record)
            else:
                if await talk.heard(expected, last=True):
                    await self._end(talk, record)
                return ""

    async def _say(self, talk: _WebSocketDriver, record: Record) -> None:
        content: Any = record.get("content")
        try:
            body = Body.from_record(content if isinstance(content, Mapping) else {"size": 0}, self._folder)
            data = body.bytes
        except SessionError as error:
            raise UpstreamError("E_SESSION", f"its recorded message cannot be read: {error}") from None
        if body.truncated:
            raise UpstreamError("E_SESSION", "its recorded message was cut")
        await talk.say(await self._fill(data, record), is_binary=bool(record.get("isBinary")))

    async def _end(self, talk: _WebSocketDriver, record: Record | None) -> None:
        """End it as it ended: by either side's close frame, or by leaving."""
        if record is not None and record["type"] == "abort":
            return
        code = record.get("closeCode") if record is not None else _NORMAL
        code = code if isinstance(code, int) else None
        reason = str(record.get("closeReason") or "") if record is not None else ""
        if record is None or record.get("initiator") != "server":
            await talk.close(code, reason)
        await talk.closed()
        await talk.finish(code, reason)


class _WebSocketDriver:
    """An accepted WebSocket under way."""

    def __init__(self, exchange: Exchange, server: ServerEnd, tools: SendContext) -> None:
        self.problem = ""
        self._exchange = exchange
        self._server = server
        self._timeout = tools.timeout
        self._received = KeptContent(tools.body_limit)
        self._heard = 0
        self._ours: CloseFrame | None = None
        """Our close frame, if it came first."""
        self._theirs: CloseFrame | None = None
        self._over = False
        self._news = anyio.Event()

    async def listen(self) -> None:
        """Note what the server says, to its last word."""
        try:
            while not self._over:
                await checkpoint_if_cancelled()  # of one that never stops talking nothing is waited for
                part = await self._server.receive()
                if type(part) is Fragment:
                    self._take(part)
                elif type(part) is Ping:
                    await self._server.send(self._server.codec.send_pong(part.data))
                elif type(part) is CloseFrame:
                    self._theirs = part
                    self._over = True
                    self._tell()
        except UpstreamError as error:
            self.failed(error)

    def _take(self, fragment: Fragment) -> None:
        kept = self._received
        kept.add(fragment)
        if fragment.ends:
            notes = self._exchange.log.websocket
            notes.message(self._exchange, "sent", kept.data, kept.size, kept.is_binary)
            kept.clear()
            self._heard += 1
            self._tell()

    async def finish(self, code: int | None, reason: str) -> None:
        """Both close frames: ours, if it has not been sent yet, says this."""
        if self._theirs is None or self._exchange.finished:
            return
        said = self._ours or CloseFrame(code, reason)
        await self._server.close(said.code, said.reason)
        exchange = self._exchange
        exchange.ws_closed_at = clock.now()
        initiator = "server" if self._ours is None else "client"
        first = self._theirs if self._ours is None else None
        exchange.log.websocket.closed(exchange, said.code, said.reason, initiator, first)

    def failed(self, error: UpstreamError) -> None:
        """It goes on no more."""
        if not self._over:
            self._over = True
            self.problem = sentence(error)
            if not self._exchange.finished:
                failed(self._exchange, error)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def heard(self, count: int, *, last: bool = False) -> bool:
        """Wait until the server has said so many messages; False if nothing more can be said to it. `last`: nothing
        more need be."""
        while self._heard < count and not self._over:
            with anyio.move_on_after(self._timeout) as scope:
                await self._news.wait()
            if scope.cancelled_caught:
                text = f"{self._heard} of {count} recorded answers have come, and no more within {self._timeout:g}s"
                self.failed(UpstreamError("ETIMEDOUT", text))
        if self._over and not self.problem and not (last and self._heard >= count):
            self.problem = "the server has closed the WebSocket before the conversation was over"
        return not self._over

    async def say(self, data: bytes, *, is_binary: bool) -> None:
        """A message to the server."""
        codec = self._server.codec
        with anyio.move_on_after(self._timeout) as scope:
            await self._server.send(codec.send_message(data, is_binary=is_binary))
        if scope.cancelled_caught:
            raise UpstreamError("ETIMEDOUT", f"it has taken no message for {self._timeout:g}s")
        notes = self._exchange.log.websocket
        notes.message(self._exchange, "received", data, len(data), is_binary)

    async def close(self, code: int | None, reason: str) -> None:
        """Our close frame; the server's ends it."""
        self._ours = CloseFrame(code, reason)
        await self._server.close(code, reason)

    async def closed(self) -> None:
        """Wait for the server's close frame. Raises UpstreamError."""
        with anyio.move_on_after(self._timeout):
            while not self._over:
                await self._news.wait()
        if self._theirs is None:
            raise UpstreamError(RESET, "it has not closed the WebSocket")
