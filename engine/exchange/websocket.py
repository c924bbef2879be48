"""An accepted WebSocket as steps use it: receives and sends messages, whatever carries the frames, and logs them.

Messages pass in fragments, so that a long one need not be in memory; of each, as much is kept as the log keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.websocket.parts import CloseFrame, Fragment, Ping, Pong, WsFault

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange
    from mockrec.engine.wire.websocket.connection import WebSocket

Part = Fragment | Ping | Pong | CloseFrame
CLOSING_SECONDS = 5.0
"""How long the client's close frame is waited for after ours."""
_GOING_AWAY = 1001
_AT_ONCE = 64 * 1024
"""Bytes of frames that are read in one turn of the event loop."""
_MOST_PARTS = 1024
"""Messages that are handled in one turn of the event loop: some ten milliseconds."""
_MOST_COLLECTED = 8 * 1024
"""Bytes of frames that are written together. The byte stream waits for the end of the loop's turn with as many."""


class OpenSockets:
    """The WebSockets that stay open until a side closes them; `leave` closes them at the end of the run."""

    def __init__(self) -> None:
        self._sessions: set[WebSocketSession] = set()
        self._leaving = False

    @contextmanager
    def hold(self, session: WebSocketSession) -> Iterator[None]:
        """Count `session` among them during this block."""
        self._sessions.add(session)
        if self._leaving:
            session.leave()
        try:
            yield
        finally:
            self._sessions.discard(session)

    def leave(self) -> None:
        """Close all, also those that are opened from now on."""
        self._leaving = True
        for session in self._sessions:
            session.leave()


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """How long messages may be, how much of each is kept for the log, in bytes, and how long WebSockets stay open."""

    message: int = 100 * 1024 * 1024
    logged: int = 10 * 1024 * 1024
    open: OpenSockets = field(default_factory=OpenSockets)


class WebSocketLost(Exception):
    """The client disconnected without a close frame, or broke the protocol. The exchange has been ended."""


class KeptContent:
    """The part of a message that the log keeps, while the message passes."""

    __slots__ = ("_limit", "_pieces", "_room", "is_binary", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.is_binary = False
        self.clear()

    def clear(self) -> None:
        """Begin the next message."""
        self._pieces: list[bytes] = []
        self._room = self._limit
        self.size = 0

    def add(self, fragment: Fragment) -> None:
        """Add the next fragment."""
        if fragment.starts:
            self.is_binary = fragment.is_binary
        data = fragment.data
        self.size += len(data)
        if self._room > 0 and data:
            self._pieces.append(data[: self._room])
            self._room -= len(data)

    @property
    def data(self) -> bytes:
        """The first bytes of the message."""
        return b"".join(self._pieces)


class WebSocketSession:
    """One WebSocket. `receive` and the `send` methods raise WebSocketLost once the client has disconnected."""

    def __init__(self, exchange: Exchange, stream: ByteStream, codec: WebSocket, first: bytes, limit: int) -> None:
        """`first`: bytes that were read after the request already; `limit`: bytes of a message that the log keeps."""
        self._exchange = exchange
        self._stream = stream
        self._codec = codec
        self._parts: deque[Part | WsFault] = deque()
        self._unread = b""
        """Received bytes that are not read as frames yet."""
        if first:
            self._unread = first[_AT_ONCE:]
            self._parts.extend(codec.receive(first[:_AT_ONCE]))
        self._limit = limit
        self._received = KeptContent(limit)
        self._sent = KeptContent(limit)
        self._fragments: list[bytes] = []
        """The message that is being received. It stays when a call of `message` is cancelled, for the next call."""
        self._collected = bytearray()
        """Frames of `send_soon` that are not written yet."""
        self._own_close: CloseFrame | None = None
        """Our close frame, if it was sent before the client's was received."""
        self._writing = False
        self._leaving = False
        self._close: CloseFrame | None = None
        """The client's close frame, once it is received."""

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    async def receive(self) -> Part:
        """Return the next fragment, ping, pong or close. The caller has to answer pings and the close."""
        while not self._parts:
            data = self._unread
            if data:
                await checkpoint()  # one read may be 40,000 frames, for which others would wait
            else:
                if self._collected:
                    await self._write(b"")
                try:
                    data = await self._stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
                    self._lose()
            self._unread = data[_AT_ONCE:]
            self._parts.extend(self._codec.receive(data[:_AT_ONCE]))
        if not len(self._parts) % _MOST_PARTS:
            await checkpoint()
        part = self._parts.popleft()
        if type(part) is Fragment:
            self._log("received", self._received, part)
        elif isinstance(part, WsFault):
            await self._fail(part)
        elif isinstance(part, CloseFrame):
            self._close = part
        return part  # type: ignore[return-value]

    async def message(self) -> tuple[bytes, bool] | None:
        """Return the next whole message, and whether it is binary; answer pings meanwhile. None after a close, which is
        answered and logged."""
        while True:
            part = await self.receive()
            if isinstance(part, Fragment):
                self._fragments.append(part.data)
                if part.ends:
                    fragments, self._fragments = self._fragments, []
                    return b"".join(fragments), self._received.is_binary
            elif isinstance(part, Ping):
                await self.pong(part.data)
            elif isinstance(part, CloseFrame):
                await self.close(part.code, part.reason)
                return None

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    async def send_fragment(self, fragment: Fragment) -> None:
        """Send a fragment of a message. Does nothing after our close frame."""
        if self._codec.close_sent:
            return
        await self._write(self._frame(fragment))
        self._log("sent", self._sent, fragment)

    async def send_soon(self, fragment: Fragment) -> None:
        """Send a fragment as `send_fragment` does, but in one write with those that follow it before `receive` waits.
        Small writes wait for the end of the loop's turn anyway; this saves most of their cost."""
        if self._codec.close_sent:
            return
        self._collected += self._frame(fragment)
        self._log("sent", self._sent, fragment)
        if len(self._collected) >= _MOST_COLLECTED:
            await self._write(b"")

    def _frame(self, fragment: Fragment) -> bytes:
        return self._codec.send_fragment(
            fragment.data, is_binary=fragment.is_binary, starts=fragment.starts, ends=fragment.ends
        )

    async def send(self, data: bytes, *, is_binary: bool) -> None:
        """Send a whole message. Does nothing after our close frame."""
        if self._codec.close_sent:
            return
        await self._write(self._codec.send_message(data, is_binary=is_binary))
        self._log("sent", self._sent, Fragment(data, is_binary, True, True))

    async def ping(self, data: bytes) -> None:
        """Send a ping."""
        await self._write(self._codec.send_ping(data))

    async def pong(self, data: bytes) -> None:
        """Answer a ping."""
        await self._write(self._codec.send_pong(data))

    async def close(self, code: int | None, reason: str = "") -> None:
        """Send our close frame, before or after the client's, wait for the client's, and log the close."""
        await self.send_close(code, reason)
        with anyio.move_on_after(CLOSING_SECONDS):
            while self._close is None:
                part = await self.receive()  # messages before the client's close frame are still logged
                if isinstance(part, Ping):
                    await self.pong(part.data)
        if self._close is None:
            self.give_up()
            raise WebSocketLost
        self._end(self._close)

    async def send_close(self, code: int | None, reason: str = "") -> None:
        """Send our close frame. For callers that receive the client's themselves and then call `finish`."""
        if not self._codec.close_sent:
            self._own_close = CloseFrame(code, reason) if self._close is None else None
            await self._write(self._codec.send_close(code, reason))

    def leave(self) -> None:
        """Send our close frame because the run is ending. If a frame is being written, it is sent after that."""
        self._leaving = True
        if not (self._writing or self._codec.close_sent):
            leaving = CloseFrame(_GOING_AWAY, "mockrec is stopping")
            self._own_close = leaving if self._close is None else None
            self._stream.write_nowait(self._joined(self._codec.send_close(leaving.code, leaving.reason)))

    @property
    def close_sent(self) -> bool:
        """Whether our close frame has been sent."""
        return self._codec.close_sent

    @property
    def client_close(self) -> CloseFrame | None:
        """The client's close frame, once it is received."""
        return self._close

    def finish(self) -> None:
        """Log the close: both close frames have passed."""
        if self._close is not None:
            self._end(self._close)

    def watch(self, left: Callable[[], None] | None) -> None:
        """Call `left` when the client disconnects while `receive` is not running; None: no longer."""
        self._stream.on_disconnect(left)

    def give_up(self) -> None:
        """Abort the exchange: the client has not answered our close frame."""
        message = "the client has not answered the close frame"
        self._exchange.abort({"name": "WebSocketError", "code": "WS_CLOSE_TIMEOUT", "message": message})

    def _end(self, close: CloseFrame) -> None:
        exchange = self._exchange
        if not exchange.finished:
            exchange.ws_closed_at = clock.now()
            initiator = "client" if self._own_close is None else "server"
            exchange.log.websocket.closed(exchange, close.code, close.reason, initiator, self._own_close)
            exchange.notify_end()

    # ── aborts and client errors ───────────────────────────────────────────────────────────────────

    async def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            await self._stream.send(self._joined(data))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._lose()
        finally:
            self._writing = False
        if self._leaving:
            self.leave()

    def _joined(self, data: bytes) -> bytes:
        """Return the frames that were collected, and `data` after them."""
        if self._collected:
            data = bytes(self._collected) + data
            self._collected.clear()
        return data

    def _lose(self) -> None:
        """End the exchange because the client has disconnected: an abort, unless its close frame was received."""
        if self._close is not None:
            self._end(self._close)
        self._exchange.abort(None)
        raise WebSocketLost

    async def _fail(self, fault: WsFault) -> None:
        """The client has broken RFC 6455: send it the close code, and log what was wrong."""
        code = f"WS_ERR_{fault.code}"
        self._stream.write_nowait(self._joined(self._codec.send_close(fault.code, fault.reason)))
        exchange = self._exchange
        exchange.log.client_error(
            exchange.client,
            Fault(code, status=0, detail=fault.reason),
            exchange.target.context,
            started_at=exchange.started_at,
            answered=None,
            exchange=exchange,
        )
        exchange.abort({"name": "WebSocketError", "code": code, "message": fault.reason})
        raise WebSocketLost

    def _log(self, direction: str, kept: KeptContent, fragment: Fragment) -> None:
        """Note the next fragment of a direction, and log its message if it is complete."""
        data = fragment.data
        if fragment.starts and fragment.ends and len(data) <= self._limit:
            kept.is_binary = fragment.is_binary
            self._exchange.log.websocket.message(self._exchange, direction, data, len(data), fragment.is_binary)
            return
        kept.add(fragment)
        if fragment.ends:
            self._exchange.log.websocket.message(self._exchange, direction, kept.data, kept.size, kept.is_binary)
            kept.clear()
