"""Writes on an HTTP/2 connection, as the flow-control windows allow. Any task may write."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio

from mockrec.engine import clock
from mockrec.engine.transport.byte_stream import ByteStream

_MOST_AT_ONCE = 64 * 1024
"""Bytes of one stream that are written at once."""


class _Queue:
    """Data that waits for the window of one stream."""

    __slots__ = ("pieces", "size", "when_sent")

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.size = 0
        self.when_sent: Callable[[], None] | None = None


class StreamCodec(Protocol):
    """What a writer needs of an HTTP/2 codec; see `wire/http2/server.py`."""

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
    """The writer of one connection. Methods that wait raise what those of byte streams raise.

    Any of them may be cancelled while it waits: frames are taken from the codec and written in one step, so that no
    frame of another stream is lost.
    """

    def __init__(self, codec: StreamCodec, below: ByteStream, on_wait: Callable[[], None] | None = None) -> None:
        """`below` carries the connection. `on_wait` is called when a sender begins to wait for a window."""
        self._codec = codec
        self._below = below
        self._on_wait = on_wait
        self._windows: dict[int, anyio.Event] = {}
        """Stream → the event that its senders wait for."""
        self._waits_since: dict[int, float] = {}
        """Stream → when its senders began to wait, the longest ago first."""
        self._queues: dict[int, _Queue] = {}
        """The data of streams that are byte streams."""

    async def flush(self) -> None:
        """Write the codec's frames as soon as the stream below has room."""
        await self._below.wait_writable()
        self.push()

    def push(self) -> None:
        """Write the codec's frames now, from code that cannot await."""
        if self._codec.pending:
            self._below.write_nowait(self._codec.outgoing())

    async def flush_quietly(self) -> None:
        """Write the codec's frames, unless the connection is lost."""
        try:
            await self.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    # ── streams that are byte streams ──────────────────────────────────────────────────────────────

    def queue(self, stream: int, data: bytes) -> None:
        """Send `data` after the data queued before, without waiting: at once as far as the window allows."""
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = _Queue()
        queue.pieces.append(data)
        queue.size += len(data)
        self._send_queue(stream, queue)
        self.push()

    def queued(self, stream: int) -> int:
        """How many bytes of a stream are queued."""
        queue = self._queues.get(stream)
        return 0 if queue is None else queue.size

    def when_sent(self, stream: int, act: Callable[[], None]) -> None:
        """Call `act` when no data of the stream is queued (any more), which may be now."""
        queue = self._queues.get(stream)
        if queue is None:
            act()
        else:
            queue.when_sent = act

    def forget(self, stream: int) -> None:
        """Drop the queued data of a stream."""
        self._queues.pop(stream, None)

    def _send_queue(self, stream: int, queue: _Queue) -> None:
        codec = self._codec
        while queue.pieces:
            room = codec.window(stream)
            if room <= 0:
                return
            piece = queue.pieces[0]
            if len(piece) <= room:
                queue.pieces.popleft()
            else:
                queue.pieces[0] = piece[room:]
                piece = piece[:room]
            queue.size -= len(piece)
            codec.send_data(stream, piece, end=False)
        del self._queues[stream]
        if queue.when_sent is not None:
            queue.when_sent()

    # ── bodies ─────────────────────────────────────────────────────────────────────────────────────

    async def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """Send a piece of a body, as the flow-control windows allow (RFC 9113, 5.2)."""
        codec, at = self._codec, 0
        while at < len(data):
            # Wait for the socket first: a client may open its windows wide and read nothing.
            await self.flush()
            if not codec.is_open(stream):
                raise anyio.BrokenResourceError
            room = min(codec.window(stream), _MOST_AT_ONCE)
            if room <= 0:
                await self.wait_for_window(stream)
                continue
            piece = data[at : at + room] if at or room < len(data) else data
            at += len(piece)
            codec.send_data(stream, piece, end=end and at == len(data))
            self.push()

    async def wait_for_window(self, stream: int) -> None:
        """Return when the window of a stream may have changed."""
        event = self._windows.get(stream)
        if event is None:
            event = self._windows[stream] = anyio.Event()
        self._waits_since.setdefault(stream, clock.now())
        if self._on_wait is not None:
            self._on_wait()
        try:
            await event.wait()
        finally:
            self._waits_since.pop(stream, None)

    @property
    def waits_since(self) -> float:
        """When the longest wait for a window began, in monotonic milliseconds; infinity if there is none."""
        return next(iter(self._waits_since.values()), math.inf)

    def waiting_since(self, moment: float) -> list[int]:
        """The streams whose senders have waited for a window since `moment` or longer."""
        return [stream for stream, since in self._waits_since.items() if since <= moment]

    def open_windows(self, *, all_of_them: bool = False) -> None:
        """Send queued data and wake senders whose windows may have changed, or all (`all_of_them`) at the end."""
        moved = set(self._queues)
        for stream, queue in list(self._queues.items()):
            if self._codec.is_open(stream):
                self._send_queue(stream, queue)
            else:
                del self._queues[stream]
        for stream in list(self._windows):
            if all_of_them or stream in moved or self._codec.window(stream) > 0 or not self._codec.is_open(stream):
                self._windows.pop(stream).set()
