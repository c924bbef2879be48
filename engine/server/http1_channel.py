"""The response side of an HTTP/1 connection: encodes responses and sends them. One object for all its exchanges."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import ResponseHead, header_table
from mockrec.engine.wire.websocket.handshake import accept_key

Sending = Coroutine[Any, Any, None]
"""What a method that sends returns: the coroutine of the stream itself, which costs one coroutine less."""


class Http1Channel:
    """Implements `message/channel.py`, which describes the methods."""

    __slots__ = ("_codec", "_stream", "ended")

    def __init__(self, codec: H1Server, stream: ByteStream) -> None:
        self._codec = codec
        self._stream = stream
        self.ended = False
        """Whether the connection must not carry another exchange."""

    @property
    def framing_key(self) -> object:
        return self._codec.framing_key

    @property
    def bodiless(self) -> bool:
        return self._codec.bodiless

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        return fields if "transfer-encoding" in head.headers else ()  # HTTP/1.0 has no trailers

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        return self._codec.frame(status, reason, headers, length, date)

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        await self._stream.send(self._codec.send_interim(status, reason, headers))

    def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> Sending:
        return self._stream.send(self._codec.send_whole(head, body, trailers))

    async def send_head(self, head: ResponseHead) -> None:
        await self._stream.send(self._codec.send_head(head))

    async def send_data(self, data: bytes) -> None:
        await self._stream.send(self._codec.send_data(data))

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        data = self._codec.send_end(trailers)
        if data:
            await self._stream.send(data)

    async def send_raw(self, data: bytes) -> None:
        self.ended = True
        if data:
            await self._stream.send(data)

    async def send_cut(self, data: bytes) -> None:
        await self.send_raw(data)

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        accept = accept_key(self._codec.websocket_key)
        given = {name.lower() for name, _ in fields}
        raw = [
            [name, value]
            for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
            if name.lower() not in given
        ]
        # Fields that a server sent keep their places; the accept key has to be that of this connection.
        raw += [[name, accept if name.lower() == "sec-websocket-accept" else value] for name, value in fields]
        return ResponseHead(101, "Switching Protocols", raw, header_table(raw))

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        self.ended = True
        self._stream.on_disconnect(None)  # from now on the session reads, and so sees when the client leaves
        await self._stream.send(self._codec.send_switch(head))
        return self._stream, self._codec.take_rest()

    def close(self) -> None:
        self.ended = True

    def reset(self) -> None:
        self.ended = True
        self._stream.reset()
