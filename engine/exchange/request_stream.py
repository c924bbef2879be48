"""A request body on its way to somebody who wants all of it: a server that it is passed on to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import anyio

_ROOM = 64 * 1024
"""Bytes that may wait; the client waits while there are more. What was taken waits too, until more is asked for."""


class RequestBodyStream:
    """Pieces in at one end (`feed`, `end`), out at the other (`next`); a client is not read faster than that."""

    __slots__ = ("_dropped", "_given", "_news", "_pieces", "_room", "_size", "_unbounded", "begun", "ended", "on_room")

    def __init__(self, pieces: Iterable[bytes], *, ended: bool) -> None:
        """`pieces` have come already."""
        self._pieces = deque(pieces)
        self._size = sum(map(len, self._pieces))
        self._given = 0
        """Bytes of what was taken last."""
        self.ended = ended
        """Whether nothing more will come: the body is complete, or its client has left."""
        self._news: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self._unbounded = False
        self._dropped = False
        self.begun = False
        """Whether somebody has had bytes of it."""
        self.on_room: Callable[[], None] | None = None
        """Called when the client need not wait any longer, by those who have told it to."""

    def feed(self, data: bytes) -> None:
        """A piece has come."""
        if self._dropped:
            return
        self._pieces.append(data)
        self._size += len(data)
        self._tell()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def next(self) -> bytes:
        """What has come since, waiting for it; nothing at the end."""
        self._given = 0
        if not self.full:
            self._make_room()
        while not self._pieces and not self.ended:
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        return self._take()

    def ready(self) -> bytes | None:
        """The whole body, if it has come and nobody has had any of it; whoever asks has it then."""
        if not self.ended or self.begun:
            return None
        data = self._take()
        self._given = 0  # nothing more comes
        self._make_room()
        return data

    def _take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._given, self._size = self._size, 0
        self.begun = self.begun or bool(data)
        return data

    def unbound(self) -> None:
        """Somebody waits for the whole body before anybody reads it."""
        self._unbounded = True
        self._make_room()

    async def hold(self, limit: int) -> None:
        """Return when the whole body has come, or more than `limit` bytes of it; nobody reads it meanwhile."""
        self.unbound()
        while not self.ended and self._size <= limit:
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        self._unbounded = False

    def drop(self) -> None:
        """Nobody will read any more."""
        self._dropped = True
        self._pieces.clear()
        self._size = self._given = 0
        self.unbound()

    def _make_room(self) -> None:
        if self.on_room is not None:
            self.on_room()
        if self._room is not None:
            self._room.set()
            self._room = None

    @property
    def full(self) -> bool:
        """Whether the client has to wait."""
        return self._size + self._given > _ROOM and not self._unbounded

    async def wait_for_room(self) -> None:
        """Return when it need not wait any longer."""
        while self.full:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
