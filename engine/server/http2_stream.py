"""The answering side of one HTTP/2 stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import ResponseHead

if TYPE_CHECKING:
    from mockrec.engine.server.http2 import Http2Connection

INTERNAL_ERROR = 2
_AT_ONCE = 16 * 1024
"""Bytes of a body that are written without a look at whether the client reads."""

_BEFORE_RESET = 0.1
"""Seconds between the last data and the reset of a stream that is cut: curl forgets what comes together with it."""


class H2Channel:
    """See `message/channel.py` for what each method means."""

    __slots__ = ("_conversation", "_stream", "bodiless")

    framing_key = "h2"

    def __init__(self, conversation: Http2Connection, stream: int, *, bodiless: bool) -> None:
        self._conversation = conversation
        self._stream = stream
        self.bodiless = bodiless

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        return [[name.lower(), value] for name, value in fields]

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        return self._conversation.codec.frame(status, reason, headers, length, date)

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        self._check()
        self._conversation.codec.send_interim(self._stream, status, headers)
        await self._conversation.writer.flush()

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        self._check()
        codec = self._conversation.codec
        if not trailers and codec.send_whole(self._stream, head, body):
            if not self._conversation.taking:
                await self._conversation.writer.flush()
            return
        if not self._conversation.request_is_complete(self._stream):
            await self._send_around_request(head, body, trailers)
            return
        codec.send_head(self._stream, head, end=not (body or trailers))
        if body and len(body) <= min(codec.window(self._stream), _AT_ONCE):
            codec.send_data(self._stream, body, end=not trailers)
            if trailers:
                codec.send_end(self._stream, trailers)
            await self._conversation.writer.flush()
        elif body:
            await self._conversation.writer.send_data(self._stream, body, end=not trailers)
            if trailers:
                await self.send_end(trailers)
        else:
            if trailers:
                codec.send_end(self._stream, trailers)
            await self._conversation.writer.flush()

    async def _send_around_request(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        """An answer that comes early, but for its last byte, which comes behind the request.

        curl 7.88 stops reading when it has the whole answer, and waits forever for the window it needs for the rest.
        """
        if body:
            await self.send_head(head)
            await self.send_data(body[:-1])
        await self._conversation.wait_for_request(self._stream)
        self._check()
        if body:
            await self._conversation.writer.send_data(self._stream, body[-1:], end=not trailers)
        else:
            self._conversation.codec.send_head(self._stream, head, end=not trailers)
        if trailers:
            self._conversation.codec.send_end(self._stream, trailers)
        await self._conversation.writer.flush()

    async def send_head(self, head: ResponseHead) -> None:
        self._check()
        self._conversation.codec.send_head(self._stream, head, end=False)
        await self._conversation.writer.flush()

    async def send_data(self, data: bytes) -> None:
        await self._conversation.writer.send_data(self._stream, data, end=False)

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        self._check()
        self._conversation.codec.send_end(self._stream, trailers)
        await self._conversation.writer.flush()

    async def send_cut(self, data: bytes) -> None:
        if data:
            await self.send_data(data)
            await anyio.sleep(_BEFORE_RESET)
        self.reset()

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        return self.frame(200, "", fields, None, "")

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        self._check()
        pipe = self._conversation.as_pipe(self._stream)
        self._conversation.codec.send_head(self._stream, head, end=False)
        await self._conversation.writer.flush()
        return pipe, b""

    async def send_raw(self, data: bytes) -> None:
        await self._conversation.send_raw(data)

    def _check(self) -> None:
        """Raises BrokenResourceError where nobody is left to hear anything."""
        if not self._conversation.codec.is_open(self._stream):
            raise anyio.BrokenResourceError

    def close(self) -> None:
        """There is no FIN for a stream: its end without an answer is an error of ours (RFC 9113, 8.1)."""
        self.reset()

    def reset(self) -> None:
        self._conversation.reset(self._stream, INTERNAL_ERROR)
