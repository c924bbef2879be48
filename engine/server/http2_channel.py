"""The response side of one HTTP/2 stream: encodes a response and sends it as the flow-control windows allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import anyio

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.http2_writer import StreamWriter
from mockrec.engine.wire.http2.server import H2Server
from mockrec.engine.wire.parts import ResponseHead

INTERNAL_ERROR = 2
_SMALL_BODY = 16 * 1024
"""Bytes of a body that are written without checking first whether the client reads."""

_BEFORE_RESET = 0.1
"""Seconds between the last data and the reset of a truncated stream: curl discards data that arrives with the reset."""


class StreamOwner(Protocol):
    """What a channel needs of the connection of its stream."""

    codec: H2Server
    writer: StreamWriter
    dispatching: bool
    """True while received frames are dispatched; responses are flushed afterwards, together."""

    def request_is_complete(self, number: int) -> bool: ...

    async def wait_for_request(self, number: int) -> None: ...

    def as_byte_stream(self, number: int) -> ByteStream: ...

    async def send_raw(self, data: bytes) -> None: ...

    def reset(self, number: int, code: int) -> None: ...


class Http2Channel:
    """Implements `message/channel.py`, which describes the methods.

    It knows its stream by number only: a reference to the stream would lead back to the exchange, which is to be freed
    without the garbage collector.
    """

    __slots__ = ("_number", "_owner", "bodiless")

    framing_key = "h2"

    def __init__(self, owner: StreamOwner, number: int, *, bodiless: bool) -> None:
        self._owner = owner
        self._number = number
        self.bodiless = bodiless

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        return [[name.lower(), value] for name, value in fields]

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        return self._owner.codec.frame(status, reason, headers, length, date)

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        self._check_open()
        self._owner.codec.send_interim(self._number, status, headers)
        await self._owner.writer.flush()

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        self._check_open()
        codec = self._owner.codec
        if not trailers and codec.send_whole(self._number, head, body):
            if not self._owner.dispatching:
                await self._owner.writer.flush()
            return
        if not self._owner.request_is_complete(self._number):
            await self._send_around_request(head, body, trailers)
            return
        codec.send_head(self._number, head, end=not (body or trailers))
        if body and len(body) <= min(codec.window(self._number), _SMALL_BODY):
            codec.send_data(self._number, body, end=not trailers)
            if trailers:
                codec.send_end(self._number, trailers)
            await self._owner.writer.flush()
        elif body:
            await self._owner.writer.send_data(self._number, body, end=not trailers)
            if trailers:
                await self.send_end(trailers)
        else:
            if trailers:
                codec.send_end(self._number, trailers)
            await self._owner.writer.flush()

    async def _send_around_request(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        """Send an early response, but its last byte only after the end of the request.

        curl 7.88 stops reading at the end of the response, and then waits forever for the flow-control window that it
        needs to send the rest of the request.
        """
        if body:
            await self.send_head(head)
            await self.send_data(body[:-1])
        await self._owner.wait_for_request(self._number)
        self._check_open()
        if body:
            await self._owner.writer.send_data(self._number, body[-1:], end=not trailers)
        else:
            self._owner.codec.send_head(self._number, head, end=not trailers)
        if trailers:
            self._owner.codec.send_end(self._number, trailers)
        await self._owner.writer.flush()

    async def send_head(self, head: ResponseHead) -> None:
        self._check_open()
        self._owner.codec.send_head(self._number, head, end=False)
        await self._owner.writer.flush()

    async def send_data(self, data: bytes) -> None:
        await self._owner.writer.send_data(self._number, data, end=False)

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        self._check_open()
        self._owner.codec.send_end(self._number, trailers)
        await self._owner.writer.flush()

    async def send_cut(self, data: bytes) -> None:
        if data:
            await self.send_data(data)
            await anyio.sleep(_BEFORE_RESET)
        self.reset()

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        return self.frame(200, "", fields, None, "")

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        self._check_open()
        stream = self._owner.as_byte_stream(self._number)
        self._owner.codec.send_head(self._number, head, end=False)
        await self._owner.writer.flush()
        return stream, b""

    async def send_raw(self, data: bytes) -> None:
        await self._owner.send_raw(data)

    def _check_open(self) -> None:
        """Raise BrokenResourceError if the client has closed the stream."""
        if not self._owner.codec.is_open(self._number):
            raise anyio.BrokenResourceError

    def close(self) -> None:
        """A stream has no FIN: ending it without a response is a stream error (RFC 9113, 8.1)."""
        self.reset()

    def reset(self) -> None:
        self._owner.reset(self._number, INTERNAL_ERROR)
