"""The pieces of a body on their way to the log: gathered for 20 ms, so that a slow body gives few records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mockrec.engine import clock

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange
    from mockrec.engine.record.redact_hold import Hold

_SECONDS = 0.02
_MOST = 1024 * 1024
"""Bytes that are gathered at most: a fast body must not be held in memory."""

Write = Callable[["Exchange", str, bytes, float, bool], None]


class PieceBatch:
    """One direction of one exchange. The last piece is written by `end`, with `isEnded`."""

    __slots__ = ("_chunks", "_exchange", "_hold", "_kind", "_since", "_size", "_timer", "_write")

    def __init__(self, exchange: Exchange, kind: str, write: Write, hold: Hold | None = None) -> None:
        """`hold` keeps back what may be the beginning of a secret."""
        self._hold = hold
        self._exchange = exchange
        self._kind = kind
        self._write = write
        self._chunks: list[bytes] = []
        self._size = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, data: bytes) -> None:
        """The next piece. Its record has the time of the first byte in it."""
        if not self._chunks:
            self._since = clock.now()
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.flush)
        self._chunks.append(data)
        self._size += len(data)
        if self._size >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered, if anything."""
        if self._chunks:
            self._written(is_ended=False)

    def give_up(self) -> None:
        """Nothing more will come, and there is no end: write everything."""
        rest = self._hold.feed(b"".join(self._chunks)) + self._hold.end() if self._hold is not None else b""
        if rest:
            self._chunks, self._hold = [rest], None
        self.flush()

    def end(self) -> None:
        """Write the last piece, which may be empty."""
        if not self._chunks:
            self._since = clock.now()
        self._written(is_ended=True)

    def _written(self, *, is_ended: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data = b"".join(self._chunks)
        self._chunks = []
        self._size = 0
        if self._hold is not None:
            data = self._hold.feed(data)
            if is_ended:
                data += self._hold.end()
            elif not data:
                return
        self._write(self._exchange, self._kind, data, self._since, is_ended)
