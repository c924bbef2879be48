"""A body that a generator of the user's yields piece by piece, each sent at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import anyio
import msgspec

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import UserError
from mockrec.engine.wire.syntax import BODILESS_STATUSES

_CLOSING_SECONDS: Final = 1.0
_END: Final = object()


def is_stream(body: Any) -> bool:
    """Whether a body is an iterator, plain or asynchronous."""
    return isinstance(body, (Iterator, AsyncIterator))


class Streamed(msgspec.Struct):
    """A response whose body is still to be generated."""

    response: PreparedResponse
    pieces: Iterator[Any] | AsyncIterator[Any]

    async def send(self, exchange: Exchange) -> None:
        """Send the whole response. The head is sent with the first piece, so that an exception before it becomes a 500.

        Raises UserError for what the generator raises, and ValueError for a head that no message can hold.
        """
        try:
            if exchange.channel.bodiless or self.response.status in BODILESS_STATUSES:
                await exchange.begin(self.response)
            else:
                data = await self._next()
                await exchange.begin(self.response)
                while data is not _END:
                    await exchange.send(data)
                    data = await self._next()
            await exchange.finish()
        finally:
            await self._close()

    async def _next(self) -> Any:
        """The next piece, as bytes, or `_END`. Raises UserError."""
        pieces = self.pieces
        if isinstance(pieces, Iterator):
            return await call(lambda: next(pieces, _END), then=self._bytes)

        async def following() -> Any:
            return await anext(pieces, _END)

        return await call(following, then=self._bytes)

    def _bytes(self, piece: Any) -> Any:
        """A piece as bytes. Raises TypeError and ValueError for an object that cannot be one."""
        if piece is _END or isinstance(piece, bytes):
            return piece
        if isinstance(piece, (bytearray, memoryview)):
            return bytes(piece)
        if not isinstance(piece, str):
            raise TypeError(f"a body in pieces: expected text or bytes, got {type(piece).__name__}")
        if any(name.lower() == "content-encoding" for name, _ in self.response.headers):
            raise ValueError("a body in pieces with a content-encoding has to be bytes that are encoded already")
        return piece.encode()

    async def _close(self) -> None:
        """Close the generator in its own thread or loop; one that is still running a second later is left running."""
        close = getattr(self.pieces, "aclose", None) or getattr(self.pieces, "close", None)
        if close is not None:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True), contextlib.suppress(UserError):
                await call(close)
