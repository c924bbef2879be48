"""The channel of an exchange that has no client: what is sent on it goes nowhere, and only the log keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.parts import ResponseHead, header_table


class NullChannel:
    """A `Channel` (`message/channel.py`) that discards what is sent. Heads stay as the server has sent them."""

    framing_key: object = None
    bodiless = False

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        return fields

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        raw = [[name, value] for name, value in headers]
        return ResponseHead(status, reason, raw, header_table(raw))

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        pass

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        pass

    async def send_head(self, head: ResponseHead) -> None:
        pass

    async def send_data(self, data: bytes) -> None:
        pass

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        pass

    async def send_raw(self, data: bytes) -> None:
        pass

    async def send_cut(self, data: bytes) -> None:
        pass

    def websocket_head(self, fields: Sequence[tuple[str, str]]) -> ResponseHead:
        raise AssertionError("an exchange without a client is never upgraded")

    async def accept_websocket(self, head: ResponseHead) -> tuple[ByteStream, bytes]:
        raise AssertionError("an exchange without a client is never upgraded")

    def close(self) -> None:
        pass

    def reset(self) -> None:
        pass


NULL_CHANNEL = NullChannel()
