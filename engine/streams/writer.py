"""Writing on an HTTP/2 connection: whoever has something to say writes, one at a time, as the windows allow."""

from __future__ import annotations

from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.pipe import Pipe


class StreamCodec(Protocol):
    """What is needed of a codec here; see `wire/h2.py`."""

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
    """One for a connection. All that wait raise what pipes raise."""

    def __init__(self, codec: StreamCodec, pipe: Pipe) -> None:
        self.group: TaskGroup | None = None
        """Runs what nobody waits for."""
        self._codec = codec
        self._pipe = pipe
        self._windows: dict[int, anyio.Event] = {}
        """What those wait for who want to send on a stream."""
        self._writing = False
        self._written: anyio.Event | None = None
        """For those who wait until somebody else has written."""
        self._soon = False

    async def flush(self) -> None:
        """Write what the codec has to say; what others are writing comes first."""
        while self._writing:
            if self._written is None:
                self._written = anyio.Event()
            await self._written.wait()
        data = self._codec.outgoing()
        while data:
            self._writing = True
            try:
                await self._pipe.send(data)
            finally:
                self._writing = False
                if self._written is not None:
                    self._written.set()
                    self._written = None
            data = self._codec.outgoing()

    def flush_soon(self) -> None:
        """Write as soon as possible, for those who cannot wait."""
        if not self._soon and self.group is not None and self._codec.pending:
            self._soon = True
            self.group.start_soon(self.flush_quietly)

    async def flush_quietly(self) -> None:
        """Write, if anybody is still there."""
        self._soon = False
        try:
            await self.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    async def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """A piece of a body, as the windows allow (RFC 9113, 5.2)."""
        codec, at = self._codec, 0
        while at < len(data):
            if not codec.is_open(stream):
                raise anyio.BrokenResourceError
            room = codec.window(stream)
            if room <= 0:
                await self.flush()
                await self.wait_for_window(stream)
                continue
            piece = data[at : at + room] if at or room < len(data) else data
            at += len(piece)
            codec.send_data(stream, piece, end=end and at == len(data))
            await self.flush()

    async def wait_for_window(self, stream: int) -> None:
        """Return when a stream's window may have changed."""
        waiting = self._windows.get(stream)
        if waiting is None:
            waiting = self._windows[stream] = anyio.Event()
        await waiting.wait()

    def open_windows(self, *, all_of_them: bool = False) -> None:
        """Let those look again who wait to send: something has come, or (`all_of_them`) nothing will any more."""
        for stream in list(self._windows):
            if all_of_them or self._codec.window(stream) > 0 or not self._codec.is_open(stream):
                self._windows.pop(stream).set()
