"""A request body that is forwarded while it arrives: buffered between the client and the reader, with backpressure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import anyio

_ROOM = 64 * 1024
"""Bytes in the buffer above which the client has to wait. What `next` returned counts too, until it is called again:
only then has it been sent on."""


class RequestBodyStream:
    """A buffer between the connection (`feed`, `end`) and the task that forwards the body (`next`). The client is read
    no faster than the body is forwarded."""

    __slots__ = (
        *("_arrived", "_dropped", "_given", "_pieces", "_room", "_size", "_unlimited"),
        *("begun", "ended", "on_room"),
    )

    def __init__(self, pieces: Iterable[bytes], *, ended: bool) -> None:
        """`pieces` have arrived already."""
        self._pieces = deque(pieces)
        self._size = sum(map(len, self._pieces))
        self._given = 0
        """Bytes that `next` returned last."""
        self.ended = ended
        """Whether no more will arrive: the body is complete, or the client has left."""
        self._arrived: anyio.Event | None = None
        """Set when a piece or the end arrives; made when a task first waits for that."""
        self._room: anyio.Event | None = None
        """Set when the client need not wait any longer; made likewise."""
        self._unlimited = False
        self._dropped = False
        self.begun = False
        """Whether any bytes of it have been taken."""
        self.on_room: Callable[[], None] | None = None
        """Called when the client need not wait any longer; set by a connection that has stopped reading."""

    def feed(self, data: bytes) -> None:
        """Add a piece that has arrived."""
        if self._dropped:
            return
        self._pieces.append(data)
        self._size += len(data)
        self._wake_reader()

    def end(self) -> None:
        """Mark the body as ended, and wake the reader."""
        self.ended = True
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

    async def next(self) -> bytes:
        """Return all bytes that have arrived since the last call, waiting for some; empty at the end."""
        self._given = 0
        if not self.full:
            self._make_room()
        while not self._pieces and not self.ended:
            await self._wait_for_data()
        return self._take()

    def ready(self) -> bytes | None:
        """Take and return the whole body, if all of it has arrived and none of it was taken; otherwise None."""
        if not self.ended or self.begun:
            return None
        data = self._take()
        self._given = 0  # no more will arrive, so nothing has to wait for it
        self._make_room()
        return data

    def _take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._given, self._size = self._size, 0
        self.begun = self.begun or bool(data)
        return data

    def lift_limit(self) -> None:
        """Buffer everything that arrives: a task waits for the whole body before any of it is forwarded."""
        self._unlimited = True
        self._make_room()

    async def wait_until_buffered(self, limit: int) -> None:
        """Return when the whole body has arrived, or more than `limit` bytes of it. It is not read meanwhile."""
        self.lift_limit()
        while not self.ended and self._size <= limit:
            await self._wait_for_data()
        self._unlimited = False

    def drop(self) -> None:
        """Discard the buffer and all that arrives from now on: the body will not be read any more."""
        self._dropped = True
        self._pieces.clear()
        self._size = self._given = 0
        self.lift_limit()

    async def _wait_for_data(self) -> None:
        if self._arrived is None:
            self._arrived = anyio.Event()
        await self._arrived.wait()

    def _make_room(self) -> None:
        if self.on_room is not None:
            self.on_room()
        if self._room is not None:
            self._room.set()
            self._room = None

    @property
    def full(self) -> bool:
        """Whether the client has to wait."""
        return self._size + self._given > _ROOM and not self._unlimited

    async def wait_for_room(self) -> None:
        """Return when the client need not wait any longer."""
        while self.full:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
