"""The body of one message on its way: all of it counted, its first bytes kept for the log, decoded on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mockrec.engine.wire.parts import RawHeaders
from mockrec.formats.content import codings as content

SPILLED = 256 * 1024
"""Bytes above which a body is written to a spill file while it arrives, if it has one."""


class BodySink(Protocol):
    """The destination of a long body while it arrives: a spill file (`recording/body_spill.py`)."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, as they were on the wire."""


class MessageBody:
    """One body. `size` counts every byte on the wire (chunk framing removed)."""

    __slots__ = (
        "_chunks",
        "_holds",
        "_kept",
        "_wanted",
        "complete",
        "limit",
        "open_spill",
        "size",
        "spill",
        "trailers",
    )

    def __init__(
        self,
        limit: int,
        *,
        holds: bool = False,
        wanted: bool = True,
        open_spill: Callable[[], BodySink | None] | None = None,
    ) -> None:
        """Keep at most `limit` bytes. `holds`: keep what exceeds the limit too, until `release`, because it may have to
        be forwarded. `wanted`: another than the log reads the body; a long body that only the log reads is not held in
        memory. `open_spill` opens the spill file of a long body; it must not refer to an object that holds the body."""
        self.open_spill = open_spill
        self.spill: BodySink | None = None
        """The spill file of a long body, from which the log takes it."""
        self.limit = limit
        self._holds = holds
        self._wanted = wanted
        self.size = 0
        self.complete = False
        self.trailers: RawHeaders = ()
        self._chunks: list[bytes] = []
        self._kept = 0

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        self.size += len(data)
        if self.open_spill is not None and self.size > SPILLED:
            self._start_spill()
        if self.spill is not None:
            self.spill.feed(data)
            if not (self._wanted or self._holds):
                return
        room = self.limit - self._kept
        if self._holds:
            self._chunks.append(data)
            self._kept += len(data)
        elif room > 0:
            piece = data if len(data) <= room else data[:room]
            self._chunks.append(piece)
            self._kept += len(piece)

    def _start_spill(self) -> None:
        """Open the spill file, once, and write to it what has been kept so far."""
        assert self.open_spill is not None
        self.spill = self.open_spill()
        self.open_spill = None
        if self.spill is not None:
            for piece in self._chunks:
                self.spill.feed(piece)
            if not (self._wanted or self._holds):
                self._forget()

    def _forget(self) -> None:
        """Free the memory: the spill file has the bytes, and only the log reads them."""
        self._chunks = []
        self._kept = 0

    def release(self, *, wanted: bool = True) -> list[bytes]:
        """Stop keeping what exceeds the limit; if the body is not `wanted` and has a spill file, keep nothing. Return
        all bytes that were kept until now."""
        held = self._chunks
        self._holds = False
        self._wanted = wanted
        if self.spill is not None and not wanted:
            self._forget()
        elif self._kept > self.limit:
            self._chunks = [b"".join(held)[: self.limit]]
            self._kept = self.limit
        else:
            self._chunks = held.copy()
        return held

    @property
    def kept(self) -> bytes:
        """The first bytes on the wire, as many as are in memory and within the limit."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0][: self.limit] if self._chunks else b""

    @property
    def truncated(self) -> bool:
        """Whether the body is longer than the limit."""
        return self.size > self.limit

    def decoded(self, content_encoding: str) -> bytes:
        """Return the whole body with its content codings undone, for matchers and handlers.

        Raises UndecodableError, also if the body is longer than what was kept.
        """
        if self.truncated:
            raise content.UndecodableError(
                f"the body has {self.size} bytes, of which record.maxBodySize keeps {self.limit}"
            )
        if self.size and not self._kept:
            raise content.UndecodableError("the body is not held in memory, because no step of the rule asks for it")
        return content.decoded_whole(self.kept, content.codings_of(content_encoding), self.limit)

    def fits(self, content_encoding: str, size: int) -> bool:
        """Return whether it has at most `size` bytes, on the wire and decoded. No more than that is decoded.

        True also if `decoded` would raise at once.
        """
        if self.truncated:
            return True
        if self.size > size:
            return False
        codings = content.codings_of(content_encoding)
        if not codings:
            return True
        try:
            data, whole = content.decode(self.kept, codings, size)
        except content.UndecodableError:
            return True
        return whole and len(data) <= size
