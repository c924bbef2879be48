"""The inside of an HTTP/2 stream as a pipe: of a tunnel (RFC 9113, 8.5) or of a WebSocket (RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from mockrec.engine.net.h2_conversation import H2Conversation

CONNECT_ERROR = 10
_CANCEL = 8


class H2StreamPipe:
    """See `Pipe`. What comes is credited to the client when it is read."""

    def __init__(self, conversation: H2Conversation, stream: int) -> None:
        self._conversation = conversation
        self._stream = stream
        self.peer = conversation.pipe.peer
        self.local = conversation.pipe.local
        self._pieces: list[bytes] = []
        self._ended = False
        self._gone = False
        self._expired = False
        self._closed = False
        self._news: anyio.Event | None = None
        self._watcher: Callable[[], None] | None = None

    # ── what the conversation calls ────────────────────────────────────────────────────────────────

    def feed(self, data: bytes) -> None:
        """Data has come."""
        self._pieces.append(data)
        self._tell()

    def end(self) -> None:
        """The client has ended its direction."""
        self._ended = True
        self._tell()
        self._tell_watcher()

    def lose(self) -> None:
        """The stream has been reset, or its connection has gone."""
        self._gone = True
        self._tell()
        self._tell_watcher()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _tell_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher()

    # ── what its user calls ────────────────────────────────────────────────────────────────────────

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """All bytes that have come; see `Pipe`."""
        while not self._pieces:
            if self._expired:
                raise TimeoutError
            if self._gone or self._closed:
                raise anyio.BrokenResourceError
            if self._ended:
                raise anyio.EndOfStream
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._expired = False
        self._conversation.codec.consumed(self._stream, len(data))
        await self._conversation.flush()
        return data

    async def send(self, item: bytes) -> None:
        """Write, as the windows allow."""
        if self._closed or self._gone:
            raise anyio.BrokenResourceError
        await self._conversation.send_data(self._stream, item, end=False)

    def put(self, data: bytes) -> None:
        """As much as the window allows: nobody waits for more."""
        codec = self._conversation.codec
        room = codec.window(self._stream)
        if data and room > 0 and not (self._closed or self._gone):
            codec.send_data(self._stream, data[:room], end=False)
            self._conversation.flush_soon()

    async def send_eof(self) -> None:
        """END_STREAM."""
        if not (self._closed or self._gone) and self._conversation.codec.is_open(self._stream):
            self._closed = True
            self._conversation.codec.send_end(self._stream)
            await self._conversation.flush()

    async def aclose(self) -> None:
        """END_STREAM, and nothing is read any more."""
        self.close()

    def close(self) -> None:
        """The same, for those who cannot wait."""
        codec = self._conversation.codec
        if codec.is_open(self._stream):
            if not self._closed:
                codec.send_end(self._stream)
            if not self._ended:
                codec.reset(self._stream, _CANCEL)
            self._conversation.flush_soon()
        self._closed = self._gone = True
        self._tell()

    def reset(self) -> None:
        """RST_STREAM: the tunnel has broken (RFC 9113, 8.5)."""
        self._closed = self._gone = True
        self._conversation.reset(self._stream, CONNECT_ERROR)
        self._tell()

    def expire(self) -> None:
        """See `Pipe`."""
        self._expired = True
        self._tell()

    def unexpire(self) -> None:
        """See `Pipe`."""
        self._expired = False

    def watch(self, ended: Callable[[], None] | None) -> None:
        """See `Pipe`."""
        self._watcher = ended
        if self._ended or self._gone:
            self._tell_watcher()

    @property
    def readable(self) -> bool:
        """See `Pipe`."""
        return bool(self._pieces)

    @property
    def alive(self) -> bool:
        """See `Pipe`."""
        return not (self._ended or self._gone or self._closed or self._pieces)
