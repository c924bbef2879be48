"""Writing on an HTTP/2 connection: whoever has something to say writes, as the windows allow."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream

_PIECE = 64 * 1024
"""Bytes of one stream that are written at once."""


class _Queue:
    """What waits for the window of one stream."""

    __slots__ = ("pieces", "size", "then")

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.size = 0
        self.then: Callable[[], None] | None = None


class StreamCodec(Protocol):
    """What is needed of a codec here; see `http2/server.py`."""

    @property
    def pending(self) -> bool: ...

    def outgoing(self) -> bytes: ...

    def window(self, stream: int) -> int: ...

    def is_open(self, stream: int) -> bool: ...

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None: ...

    def send_end(self, stream: int) -> None: ...

    def consumed(self, stream: int, size: int) -> None: ...

    def reset(self, stream: int, code: int) -> None: ...


class StreamWriter:
    """One for a connection. All that wait raise what pipes raise.

    Any of them may be cancelled while it waits: what the codec has said is taken and written in one step, so that
    no frame of another stream is lost with it.
    """

    def __init__(self, codec: StreamCodec, pipe: ByteStream) -> None:
        self._codec = codec
        self._pipe = pipe
        self._windows: dict[int, anyio.Event] = {}
        """What those wait for who want to send on a stream."""
        self._since: dict[int, float] = {}
        """When they began to wait, those first that have waited longest."""
        self.on_wait: Callable[[], None] | None = None
        """Called when somebody begins to wait."""
        self._queues: dict[int, _Queue] = {}
        """What is to be sent on streams that are pipes."""

    async def flush(self) -> None:
        """Write what the codec has to say, as soon as there is room."""
        await self._pipe.wait_writable()
        self.push()

    def push(self) -> None:
        """Write it now, for those who cannot wait."""
        if self._codec.pending:
            self._pipe.write_nowait(self._codec.outgoing())

    async def flush_quietly(self) -> None:
        """Write, if anybody is still there."""
        try:
            await self.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    # ── streams that are pipes ─────────────────────────────────────────────────────────────────────

    def queue(self, stream: int, data: bytes) -> None:
        """Send as the windows allow, without waiting: in order, and at once what can be."""
        waiting = self._queues.get(stream)
        if waiting is None:
            waiting = self._queues[stream] = _Queue()
        waiting.pieces.append(data)
        waiting.size += len(data)
        self._send_queue(stream, waiting)
        self.push()

    def queued(self, stream: int) -> int:
        """How many bytes wait."""
        waiting = self._queues.get(stream)
        return 0 if waiting is None else waiting.size

    def when_sent(self, stream: int, act: Callable[[], None]) -> None:
        """Call when nothing waits any more, which may be now."""
        waiting = self._queues.get(stream)
        if waiting is None:
            act()
        else:
            waiting.then = act

    def forget(self, stream: int) -> None:
        """Nothing more is to be sent."""
        self._queues.pop(stream, None)

    def _send_queue(self, stream: int, waiting: _Queue) -> None:
        codec = self._codec
        while waiting.pieces:
            room = codec.window(stream)
            if room <= 0:
                return
            piece = waiting.pieces[0]
            if len(piece) <= room:
                waiting.pieces.popleft()
            else:
                waiting.pieces[0] = piece[room:]
                piece = piece[:room]
            waiting.size -= len(piece)
            codec.send_data(stream, piece, end=False)
        del self._queues[stream]
        if waiting.then is not None:
            waiting.then()

    # ── bodies ─────────────────────────────────────────────────────────────────────────────────────

    async def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """A piece of a body, as the windows allow (RFC 9113, 5.2)."""
        codec, at = self._codec, 0
        while at < len(data):
            # Not before there is room: a client may open its windows wide, and read nothing.
            await self.flush()
            if not codec.is_open(stream):
                raise anyio.BrokenResourceError
            room = min(codec.window(stream), _PIECE)
            if room <= 0:
                await self.wait_for_window(stream)
                continue
            piece = data[at : at + room] if at or room < len(data) else data
            at += len(piece)
            codec.send_data(stream, piece, end=end and at == len(data))
            self.push()

    async def wait_for_window(self, stream: int) -> None:
        """Return when a stream's window may have changed."""
        waiting = self._windows.get(stream)
        if waiting is None:
            waiting = self._windows[stream] = anyio.Event()
        self._since.setdefault(stream, clock.now())
        if self.on_wait is not None:
            self.on_wait()
        try:
            await waiting.wait()
        finally:
            self._since.pop(stream, None)

    @property
    def waits_since(self) -> float:
        """When the one began who has waited longest for a window, in monotonic milliseconds; infinity for nobody."""
        return next(iter(self._since.values()), math.inf)

    def waiting_since(self, moment: float) -> list[int]:
        """The streams for whose windows somebody has waited since then or longer."""
        return [stream for stream, since in self._since.items() if since <= moment]

    def open_windows(self, *, all_of_them: bool = False) -> None:
        """Let those look again who wait to send: something has come, or (`all_of_them`) nothing will any more."""
        moved = set(self._queues)
        for stream, waiting in list(self._queues.items()):
            if self._codec.is_open(stream):
                self._send_queue(stream, waiting)
            else:
                del self._queues[stream]
        for stream in list(self._windows):
            if all_of_them or stream in moved or self._codec.window(stream) > 0 or not self._codec.is_open(stream):
                self._windows.pop(stream).set()
