"""Gathers the chunks of a body for 20 ms before they are logged, so that a slow body gives few records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.redaction.holdback import HoldBack

_SECONDS = 0.02
_MOST = 1024 * 1024
"""Bytes that are gathered at most, so that a fast body is not held in memory."""


class BodyChunk(msgspec.Struct):
    """What becomes one record."""

    kind: str
    data: bytes
    at: float
    """When its first byte passed."""
    is_ended: bool
    """Whether the body is complete with it."""
    is_last: bool
    """Whether no chunk follows: the body is complete, or was aborted."""
    holdback: HoldBack | None
    """Keeps back a tail that may be the start of a secret; None where nothing is redacted, or in a chunk that has
    passed it."""
    coding: str = ""
    """UTF-16 or UTF-32, if the first bytes of the body show that it is in one of them."""
    known: Collection[str] | None = None
    """Given when held bytes have waited long enough: the secrets of the exchange. All is released but a possible start
    of one of them."""
    before: bytes = b""
    """Bytes that were logged before it and have to be searched together with it."""

    def released(self) -> BodyChunk | None:
        """Return the bytes that can be logged now; None if there are none. Called once: it changes the holdback."""
        if self.holdback is None:
            return self if self.data or self.is_ended else None
        if self.known is not None:
            data = self.holdback.release(self.known)
            before = self.holdback.before
        else:
            data = self.holdback.feed(self.data)
            before = self.holdback.before
            if self.is_last:
                rest = self.holdback.end()
                before = before if data else self.holdback.before
                data += rest
        if not (data or self.is_ended):
            return None
        return replace(self, data=data, holdback=None, coding=self.holdback.coding, before=before)

    @property
    def size(self) -> int:
        """How many bytes redaction has to search."""
        return len(self.data) + (self.holdback.size if self.holdback is not None else 0)


Write = Callable[[LoggedExchange, BodyChunk], None]


class BodyChunkBatcher:
    """Batches the chunks of one body. The last chunk is written by `end`, with `isEnded`."""

    __slots__ = (
        *("_chunks", "_exchange", "_hold_time", "_holdback", "_kind"),
        *("_release", "_since", "_size", "_timer", "_write"),
    )

    def __init__(
        self,
        exchange: LoggedExchange,
        kind: str,
        write: Write,
        holdback: HoldBack | None = None,
        hold_time: float = 0.1,
    ) -> None:
        """`kind` is the type of the records. `holdback` keeps back bytes that may be part of a secret, for `hold_time`
        seconds at most unless they may be the start of a known one."""
        self._hold_time = hold_time
        self._release: asyncio.TimerHandle | None = None
        self._holdback = holdback
        self._exchange = exchange
        self._kind = kind
        self._write = write
        self._chunks: list[bytes] = []
        self._size = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, data: bytes) -> None:
        """Gather bytes that have passed. The record has the time of its first byte."""
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
            self._write_chunk(is_ended=False)
            if self._holdback is not None and self._release is None:
                wait = max(0.0, self._hold_time - _SECONDS)
                self._release = asyncio.get_running_loop().call_later(wait, self._write_held)

    def _write_held(self) -> None:
        """Write the bytes that are held back, except for a possible start of a known secret."""
        self._release = None
        known = self._exchange.known
        secrets = () if known is None else tuple(known.placeholders)
        self._write(
            self._exchange, BodyChunk(self._kind, b"", clock.now(), False, False, self._holdback, known=secrets)
        )

    def give_up(self) -> None:
        """The body was aborted: write all bytes, also those that are held back."""
        if self._chunks or self._holdback is not None:
            self._write_chunk(is_ended=False, is_last=True)

    def end(self) -> None:
        """The body is complete: write the last chunk, which may be empty."""
        if not self._chunks:
            self._since = clock.now()
        self._write_chunk(is_ended=True)

    def _write_chunk(self, *, is_ended: bool, is_last: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (is_ended or is_last) and self._release is not None:
            self._release.cancel()
            self._release = None
        chunk = BodyChunk(
            self._kind, b"".join(self._chunks), self._since, is_ended, is_ended or is_last, self._holdback
        )
        self._chunks = []
        self._size = 0
        if is_last:
            self._holdback = None
        self._write(self._exchange, chunk)
