"""A body on its way: counted whole, kept up to the limit of the log, decoded when somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mockrec.engine.wire.content import codings as content
from mockrec.engine.wire.parts import RawHeaders

if TYPE_CHECKING:
    from mockrec.engine.recording.body_spill import BodySpill

SPILLED = 256 * 1024
"""Bytes after which a body goes into the folder beside the log too."""


class MessageBody:
    """One direction's body. `size` counts every byte on the wire (chunk framing removed)."""

    __slots__ = (
        "_chunks",
        "_holds",
        "_kept",
        "_wanted",
        "complete",
        "limit",
        "make_spill",
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
        make_spill: Callable[[], BodySpill | None] | None = None,
    ) -> None:
        """`holds`: what is over the limit is kept too, until it is known who wants it; see `release`. `wanted`: by
        others than the log; a long body that only the log wants is not held in memory. `make_spill` is called when the
        body has become long; it leads back to nothing that holds the body."""
        self.make_spill = make_spill
        self.spill: BodySpill | None = None
        """Where the log gets it from, if it is long."""
        self.limit = limit
        self._holds = holds
        self._wanted = wanted
        self.size = 0
        self.complete = False
        self.trailers: RawHeaders = ()
        self._chunks: list[bytes] = []
        self._kept = 0

    def add(self, data: bytes) -> None:
        """The next piece."""
        self.size += len(data)
        if self.make_spill is not None and self.size > SPILLED:
            self._spill_so_far()
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

    def _spill_so_far(self) -> None:
        assert self.make_spill is not None
        self.spill = self.make_spill()
        self.make_spill = None
        if self.spill is not None:
            for piece in self._chunks:
                self.spill.feed(piece)
            if not (self._wanted or self._holds):
                self._forget()

    def _forget(self) -> None:
        """The log has it elsewhere, and nobody else asks."""
        self._chunks = []
        self._kept = 0

    def release(self, *, wanted: bool = True) -> list[bytes]:
        """From now on nothing over the limit is kept, and of a long body nothing that nobody wants. Returns everything
        that was kept until now."""
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
        """The first bytes of the wire, as many as are in memory."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0][: self.limit] if self._chunks else b""

    @property
    def truncated(self) -> bool:
        """Whether more passed than is kept."""
        return self.size > self.limit

    def decoded(self, content_encoding: str) -> bytes:
        """The whole body with its content codings undone, for matchers and handlers.

        Raises UndecodableError, also where the body is longer than what was kept.
        """
        if self.truncated:
            raise content.UndecodableError(
                f"the body has {self.size} bytes, of which record.maxBodySize keeps {self.limit}"
            )
        if self.size and not self._kept:
            raise content.UndecodableError("the body is not held in memory, because no step of the rule asks for it")
        return content.decoded_whole(self.kept, content.codings_of(content_encoding), self.limit)

    def fits(self, content_encoding: str, size: int) -> bool:
        """Whether it has at most `size` bytes, on the wire and decoded; found out with no more work than that.

        True also where `decoded` raises at once.
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
