"""A recorded WebSocket replayed: the client's messages in their order, each after as many messages of the server as in
the recording.

The server's messages need not be the recorded ones (`diff` compares them); only their number counts.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_bytes
from typing import Any

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.receiving import ResponseRecorder
from mockrec.engine.replay.send.recorded_exchange import SendContext, abort, described, recorded_exchange
from mockrec.engine.replay.send.websocket_driver import WebSocketDriver
from mockrec.engine.replay.session.requests import Record, time_of
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.steps.websocket_relay import take_over
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.headers import without
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.request_loop import open_websocket
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Part, ResponseHead
from mockrec.engine.wire.websocket.handshake import without_others
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError

_NORMAL = 1000
_MOST_WAITING = 4096
"""Recorded messages that wait to be sent before reading the session waits too."""


class RecordedScript:
    """The records of one recorded WebSocket, as they are read from the session."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._added = anyio.Event()
        self._taken = anyio.Event()
        self._complete = False
        self._dropped = False

    async def add(self, record: Record) -> None:
        """Add the next record; wait while the replay of the WebSocket is far behind."""
        while len(self._records) >= _MOST_WAITING and not self._dropped:
            self._taken = anyio.Event()
            await self._taken.wait()
        if not self._dropped:
            self._records.append(record)
            self._added.set()

    def end(self) -> None:
        """End the replayed WebSocket, because its records are exhausted."""
        self._complete = True
        self._added.set()

    def drop(self) -> None:
        """Discard the records, also those that are added later."""
        self._dropped = True
        self._records.clear()
        self._taken.set()

    async def next(self) -> Record | None:
        """The next record; None at the end."""
        while not self._records:
            if self._complete:
                return None
            self._added = anyio.Event()
            await self._added.wait()
        record = self._records.popleft()
        self._taken.set()
        return record


class WebSocketReplay:
    """One WebSocket; the `ResponseHandler` of its opening handshake. `run` returns why it has failed, or an empty
    text."""

    head_timeout = None
    """`ResponseRecorder` sets the deadline."""

    def __init__(
        self,
        context: SendContext,
        peer: ClientConnection,
        request: UpstreamRequest,
        recorded_id: str,
        pace: Pace,
        fill: Callable[[bytes, Record], Awaitable[bytes]],
        folder: Path | None,
    ) -> None:
        """`fill` puts other values into a message, given with its record; `folder` has the bodies that stand in files
        of their own."""
        self.script = RecordedScript()
        self._context = context
        self._peer = peer
        self._request = request
        self._recorded_id = recorded_id
        self._pace = pace
        self._fill = fill
        self._folder = folder
        self._exchange: Exchange | None = None
        self._recorder: ResponseRecorder | None = None
        self._offer = ""
        """The extensions that are offered to the server."""
        self._problem = ""
        self.tags: Sequence[str] = ()
        """Tags of the new exchange."""
        self.scope: str | None = None
        """The scope of the recorded exchange."""

    def change(self, request: UpstreamRequest, body: bytes) -> None:
        """Send this request instead, which goes to the same server."""
        del body
        self._request = request

    async def run(self, on_sent: Callable[[], None]) -> str:
        """Open the WebSocket and replay its messages. `on_sent` is called when the request is sent, or fails to be."""
        request, context = self._request, self._context
        self._prepare_request()
        stream: UpstreamStream | None = None
        try:
            on_sent()
            if not request.route.secure:
                self._begin(http2=False)
            stream = await context.upstream_client.connect_websocket(self._peer, request.route, to_self=True)
            self._peer.ip, self._peer.port = stream.byte_stream.local
            exchange = self._exchange or self._begin(http2=stream.transport.is_http2)
            self._recorder = ResponseRecorder(stream, exchange, context.timeout, exchange.log.backpressure)
            await open_websocket(stream, request, self)
            return self._problem
        except UpstreamError as error:
            abort(self._exchange or self._begin(http2=False), error)
            return described(error)
        except ValueError as error:
            return str(error)
        finally:
            self.script.drop()
            if stream is not None:
                stream.close()
            if self._exchange is not None and not self._exchange.finished:
                self._exchange.abort(None)

    def _prepare_request(self) -> None:
        """Make a handshake of the recorded request: with a new key, and only extensions that this recorder knows."""
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

    def _begin(self, *, http2: bool) -> Exchange:
        exchange = recorded_exchange(
            self._context,
            self._peer,
            self._request,
            self._recorded_id,
            tags=self.tags,
            scope=self.scope,
            http2=http2,
            websocket=True,
        )
        self._exchange = exchange
        return exchange

    async def interim(self, head: ResponseHead) -> None:
        """See `ResponseHandler`."""
        assert self._recorder is not None
        await self._recorder.interim(head)

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> bool:
        """Replay the messages if the server accepts the WebSocket, or record its refusal."""
        assert self._recorder is not None
        assert self._exchange is not None
        if not stream.accepts_websocket(head.status):
            return await self._recorder.record(head, parts)
        stream.deadline = float("inf")
        exchange, context = self._exchange, self._context
        server = take_over(stream, head, parts, self._offer, context.message_limit)
        exchange.response_head = head
        exchange.ws_accepted_at = clock.now()
        exchange.log.websocket.accepted(exchange)
        driver = WebSocketDriver(exchange, server, context)
        async with anyio.create_task_group() as group:
            group.start_soon(driver.receive)
            try:
                await self._follow(driver)
            except UpstreamError as error:
                driver.fail(error)
            group.cancel_scope.cancel()
        self._problem = driver.problem
        return False

    async def _follow(self, driver: WebSocketDriver) -> None:
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
                if not await driver.wait_for(expected):
                    await driver.finish(_NORMAL, "")
                    return
                if self._pace.factor is not None and accepted_then is not None and accepted_now is not None:
                    later = (time_of(record) - accepted_then) / self._pace.factor
                    await sleep_until(accepted_now + later * 1000.0)
                await self._send_message(driver, record)
            else:
                if await driver.wait_for(expected, last=True):
                    await self._end(driver, record)
                return

    async def _send_message(self, driver: WebSocketDriver, record: Record) -> None:
        content: Any = record.get("content")
        try:
            body = Body.from_record(content if isinstance(content, Mapping) else {"size": 0}, self._folder)
            data = body.bytes
        except SessionError as error:
            raise UpstreamError("E_SESSION", f"its recorded message cannot be read: {error}") from None
        if body.truncated:
            raise UpstreamError("E_SESSION", "its recorded message was cut")
        await driver.send(await self._fill(data, record), is_binary=bool(record.get("isBinary")))

    async def _end(self, driver: WebSocketDriver, record: Record | None) -> None:
        """End the WebSocket as the recorded one ended: by the close frame of either side, or by an abort."""
        if record is not None and record["type"] == "abort":
            return
        code = record.get("closeCode") if record is not None else _NORMAL
        code = code if isinstance(code, int) else None
        reason = str(record.get("closeReason") or "") if record is not None else ""
        if record is None or record.get("initiator") != "server":
            await driver.send_close(code, reason)
        await driver.wait_for_close()
        await driver.finish(code, reason)
