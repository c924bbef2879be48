"""When the client of an HTTP/2 connection has taken too long: between requests, inside a head, inside a body."""

from __future__ import annotations

import math

from mockrec.engine.config import Timeouts


class H2Deadlines:
    """The times of one connection, in monotonic milliseconds."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._head = timeouts.head * 1000.0
        self._body = timeouts.body_idle * 1000.0
        self._keep_alive = timeouts.keep_alive * 1000.0
        self._block: float | None = None
        """When the head began that is not complete."""
        self._bodies: dict[int, float] = {}
        """When something was last heard of each body that is to come, those first that are waited for longest."""

    def block(self, open_: bool, now: float) -> None:
        """Whether a head is not complete."""
        if not open_:
            self._block = None
        elif self._block is None:
            self._block = now

    def heard(self, stream: int, now: float) -> None:
        """A body is to come, or more of it has."""
        self._bodies.pop(stream, None)
        self._bodies[stream] = now

    def forget(self, stream: int) -> None:
        """No more is to come, or nobody would read it now."""
        self._bodies.pop(stream, None)

    def waited(self, now: float) -> None:
        """It was us who did not read."""
        self._bodies = dict.fromkeys(self._bodies, now)
        if self._block is not None:
            self._block = now

    def next(self, now: float, *, idle: bool) -> float:
        """When the next one passes. `idle`: no stream is open."""
        found = now + self._keep_alive if idle else math.inf
        if self._block is not None:
            found = min(found, self._block + self._head)
        for oldest in self._bodies.values():
            return min(found, oldest + self._body)
        return found

    def head_is_late(self, now: float) -> bool:
        """Whether a head has taken too long."""
        return self._block is not None and self._block + self._head <= now

    def late_bodies(self, now: float) -> list[int]:
        """The streams of the bodies that have taken too long."""
        return [stream for stream, last in self._bodies.items() if last + self._body <= now]
