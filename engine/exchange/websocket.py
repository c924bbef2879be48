"""An accepted WebSocket as steps use it: messages in and out, whatever carries the frames. Both are told to the log.

Messages pass in fragments, so that a long one need not be in memory; of each, as much is kept as the log keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, Ping, Pong, WebSocket, WsFault

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange

Part = Fragment | Ping | Pong | CloseFrame
CLOSING_SECONDS = 5.0
"""How long the second close frame may take."""
_GOING_AWAY = 1001


class OpenSockets:
    """Those that stay open until somebody closes them: at the end of the run that is us."""

    def __init__(self) -> None:
        self._sessions: set[WebSocketSession] = set()
        self._leaving = False

    @contextmanager
    def hold(self, session: WebSocketSession) -> Iterator[None]:
        """It is one of them in this block."""
        self._sessions.add(session)
        if self._leaving:
            session.leave()
        try:
            yield
        finally:
            self._sessions.discard(session)

    def leave(self) -> None:
        """Close all, also those that are still to come."""
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
    """The client has gone without a close frame, or broke the protocol; the exchange has been ended."""


class KeptContent:
    """What the log keeps of a message on its way."""

    __slots__ = ("_limit", "_pieces", "_room", "is_binary", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.is_binary = False
        self.clear()

    def clear(self) -> None:
        """A next message begins."""
        self._pieces: list[bytes] = []
        self._room = self._limit
        self.size = 0

    def add(self, fragment: Fragment) -> None:
        """The next piece."""
        if fragment.starts:
            self.is_binary = fragment.is_binary
        data = fragment.data
        self.size += len(data)
        if self._room > 0 and data:
            self._pieces.append(data[: self._room])
            self._room -= len(data)

    @property
    def data(self) -> bytes:
        """The first bytes."""
        return b"".join(self._pieces)


class WebSocketSession:
    """One WebSocket. `receive` and the sends raise WebSocketLost once the client has gone."""

    def __init__(self, exchange: Exchange, pipe: ByteStream, codec: WebSocket, first: bytes, limit: int) -> None:
        """`first`: what has come behind the request already; `limit`: bytes of a message that the log keeps."""
        self._exchange = exchange
        self._pipe = pipe
        self._codec = codec
        self._parts: list[Part | WsFault] = list(codec.receive(first)) if first else []
        self._received = KeptContent(limit)
        self._sent = KeptContent(limit)
        self._pieces: list[bytes] = []
        """Of the message that is on its way; whoever waits for it may stop, and wait again."""
        self._first: CloseFrame | None = None
        """Our close frame, if it came before the client's."""
        self._writing = False
        self._leaving = False
        self._close: CloseFrame | None = None
        """What the client has said in its close frame."""

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    async def receive(self) -> Part:
        """The next fragment, ping, pong or close. A ping has not been answered, nor has a close."""
        while not self._parts:
            try:
                self._parts += self._codec.receive(await self._pipe.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
                self._lose()
        part = self._parts.pop(0)
        if isinstance(part, WsFault):
            await self._fail(part)
        elif isinstance(part, Fragment):
            self._received.add(part)
            if part.ends:
                self._note("received", self._received)
        elif isinstance(part, CloseFrame):
            self._close = part
        return part  # type: ignore[return-value]

    async def message(self) -> tuple[bytes, bool] | None:
        """The next whole message, and whether it is binary; pings are answered meanwhile. None after a close, which has
        been answered and told."""
        while True:
            part = await self.receive()
            if isinstance(part, Fragment):
                self._pieces.append(part.data)
                if part.ends:
                    pieces, self._pieces = self._pieces, []
                    return b"".join(pieces), self._received.is_binary
            elif isinstance(part, Ping):
                await self.pong(part.data)
            elif isinstance(part, CloseFrame):
                await self.close(part.code, part.reason)
                return None

    # ── out ────────────────────────────────────────────────────────────────────────────────────────

    async def send_fragment(self, fragment: Fragment) -> None:
        """A piece of a message to the client; nothing behind our close frame."""
        if self._codec.close_sent:
            return
        await self._write(
            self._codec.send_fragment(
                fragment.data, is_binary=fragment.is_binary, starts=fragment.starts, ends=fragment.ends
            )
        )
        self._sent.add(fragment)
        if fragment.ends:
            self._note("sent", self._sent)

    async def send(self, data: bytes, *, is_binary: bool) -> None:
        """A whole message to the client; nothing behind our close frame."""
        if self._codec.close_sent:
            return
        await self._write(self._codec.send_message(data, is_binary=is_binary))
        self._sent.add(Fragment(data, is_binary, True, True))
        self._note("sent", self._sent)

    async def ping(self, data: bytes) -> None:
        """A ping to the client."""
        await self._write(self._codec.send_ping(data))

    async def pong(self, data: bytes) -> None:
        """The answer to a ping."""
        await self._write(self._codec.send_pong(data))

    async def close(self, code: int | None, reason: str = "") -> None:
        """Our close frame: the first, or the answer to the client's. After both the WebSocket is over."""
        await self.send_close(code, reason)
        with anyio.move_on_after(CLOSING_SECONDS):
            while self._close is None:
                part = await self.receive()  # what comes before the client's close frame still counts
                if isinstance(part, Ping):
                    await self.pong(part.data)
        if self._close is None:
            self.give_up()
            raise WebSocketLost
        self._end(self._close)

    async def send_close(self, code: int | None, reason: str = "") -> None:
        """Our close frame, for those who receive the client's themselves, and call `finish` then."""
        if not self._codec.close_sent:
            self._first = CloseFrame(code, reason) if self._close is None else None
            await self._write(self._codec.send_close(code, reason))

    def leave(self) -> None:
        """Our close frame, because the run is ending; not into the middle of a frame that is being written."""
        self._leaving = True
        if not (self._writing or self._codec.close_sent):
            leaving = CloseFrame(_GOING_AWAY, "mockrec is stopping")
            self._first = leaving if self._close is None else None
            self._pipe.put(self._codec.send_close(leaving.code, leaving.reason))

    @property
    def close_sent(self) -> bool:
        """Whether our close frame has been sent."""
        return self._codec.close_sent

    @property
    def client_close(self) -> CloseFrame | None:
        """The client's close frame, once it has come."""
        return self._close

    def finish(self) -> None:
        """Both close frames have passed."""
        if self._close is not None:
            self._end(self._close)

    def watch(self, left: Callable[[], None] | None) -> None:
        """Call `left` when the client leaves, while nobody receives."""
        self._pipe.watch(left)

    def give_up(self) -> None:
        """The client has not answered our close frame."""
        message = "the client has not answered the close frame"
        self._exchange.abort({"name": "WebSocketError", "code": "WS_CLOSE_TIMEOUT", "message": message})

    def _end(self, close: CloseFrame) -> None:
        exchange = self._exchange
        if not exchange.finished:
            exchange.ws_closed_at = clock.now()
            initiator = "client" if self._first is None else "server"
            exchange.log.websocket.closed(exchange, close.code, close.reason, initiator, self._first)
            exchange.notify_end()

    # ── ends that are none ─────────────────────────────────────────────────────────────────────────

    async def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            await self._pipe.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._lose()
        finally:
            self._writing = False
        if self._leaving:
            self.leave()

    def _lose(self) -> None:
        """The client has gone: without a word, unless its close frame has come."""
        if self._close is not None:
            self._end(self._close)
        self._exchange.abort(None)
        raise WebSocketLost

    async def _fail(self, fault: WsFault) -> None:
        """The client has broken RFC 6455: it is told the code, and the log what was wrong."""
        code = f"WS_ERR_{fault.code}"
        self._pipe.put(self._codec.send_close(fault.code, fault.reason))
        exchange = self._exchange
        exchange.log.client_error(
            exchange.client,
            Fault(code, status=0, detail=fault.reason),
            exchange.target.origin,
            started_at=exchange.started_at,
            answered=None,
            exchange=exchange,
        )
        exchange.abort({"name": "WebSocketError", "code": code, "message": fault.reason})
        raise WebSocketLost

    def _note(self, direction: str, kept: KeptContent) -> None:
        self._exchange.log.websocket.message(self._exchange, direction, kept.data, kept.size, kept.is_binary)
        kept.clear()
