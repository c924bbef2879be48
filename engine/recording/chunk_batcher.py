"""The pieces of a body on their way to the log: gathered for 20 ms, so that a slow body gives few records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mockrec.engine import clock

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange
    from mockrec.engine.redaction.holdback import HoldBack

_SECONDS = 0.02
_MOST = 1024 * 1024
"""Bytes that are gathered at most: a fast body must not be held in memory."""


@dataclass(slots=True)
class Piece:
    """What is written at once."""

    kind: str
    data: bytes
    at: float
    """When its first byte came."""
    is_ended: bool
    is_last: bool
    """Whether nothing follows, be it the end or not."""
    hold: HoldBack | None
    """What it goes through first."""
    coding: str = ""
    """UTF-16 or UTF-32, where that is known of the whole body."""
    known: Collection[str] | None = None
    """The secrets of the exchange, where what is held has to go out now, but for what may be the beginning of one."""
    before: bytes = b""
    """What went out before it and has to be looked at with it."""

    def held(self) -> Piece | None:
        """What can be written now; None if that is nothing."""
        if self.hold is None:
            return self if self.data or self.is_ended else None
        if self.known is not None:
            data = self.hold.release(self.known)
            before = self.hold.before
        else:
            data = self.hold.feed(self.data)
            before = self.hold.before
            if self.is_last:
                rest = self.hold.end()
                before = before if data else self.hold.before
                data += rest
        if not (data or self.is_ended):
            return None
        return replace(self, data=data, hold=None, coding=self.hold.coding, before=before)

    @property
    def size(self) -> int:
        """How many bytes are looked at."""
        return len(self.data) + (self.hold.size if self.hold is not None else 0)


Write = Callable[["Exchange", Piece], None]


class BodyChunkBatcher:
    """One direction of one exchange. The last piece is written by `end`, with `isEnded`."""

    __slots__ = (
        *("_chunks", "_exchange", "_hold", "_hold_time", "_kind"),
        *("_release", "_since", "_size", "_timer", "_write"),
    )

    def __init__(
        self, exchange: Exchange, kind: str, write: Write, hold: HoldBack | None = None, hold_time: float = 0.1
    ) -> None:
        """`hold` keeps back what may be the beginning of a secret, and everything else for `hold_time` seconds."""
        self._hold_time = hold_time
        self._release: asyncio.TimerHandle | None = None
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
            if self._hold is not None and self._release is None:
                wait = max(0.0, self._hold_time - _SECONDS)
                self._release = asyncio.get_running_loop().call_later(wait, self._let_go)

    def _let_go(self) -> None:
        """Write what is held, as far as no secret may begin in it."""
        self._release = None
        known = self._exchange.known
        secrets = () if known is None else tuple(known.placeholders)
        self._write(self._exchange, Piece(self._kind, b"", clock.now(), False, False, self._hold, known=secrets))

    def give_up(self) -> None:
        """Nothing more will come, and there is no end: write everything."""
        if self._chunks or self._hold is not None:
            self._written(is_ended=False, is_last=True)

    def end(self) -> None:
        """Write the last piece, which may be empty."""
        if not self._chunks:
            self._since = clock.now()
        self._written(is_ended=True)

    def _written(self, *, is_ended: bool, is_last: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (is_ended or is_last) and self._release is not None:
            self._release.cancel()
            self._release = None
        piece = Piece(self._kind, b"".join(self._chunks), self._since, is_ended, is_ended or is_last, self._hold)
        self._chunks = []
        self._size = 0
        if is_last:
            self._hold = None
        self._write(self._exchange, piece)
