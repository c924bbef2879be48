"""When the client of an HTTP/2 connection has taken too long: between requests, inside a head, inside a body."""

from __future__ import annotations

import math

from mockrec.engine.config import Timeouts


class Http2Deadlines:
    """The deadlines of one connection, in monotonic milliseconds."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._head = timeouts.head * 1000.0
        self._body = timeouts.body_idle * 1000.0
        self._keep_alive = timeouts.keep_alive * 1000.0
        self._head_began: float | None = None
        """When the field block began that is not complete; None if there is none."""
        self._bodies: dict[int, float] = {}
        """Stream → when data of its incomplete request body was last received, the longest ago first."""

    def set_head_open(self, is_open: bool, now: float) -> None:
        """Say whether a field block has begun that is not complete."""
        if not is_open:
            self._head_began = None
        elif self._head_began is None:
            self._head_began = now

    def restart_body(self, stream: int, now: float) -> None:
        """Expect (more) data of a request body; its time begins now."""
        self._bodies.pop(stream, None)
        self._bodies[stream] = now

    def forget_body(self, stream: int) -> None:
        """Expect no data: the body is complete, or it is the reader of the body that has to go on."""
        self._bodies.pop(stream, None)

    def restart_all(self, now: float) -> None:
        """Begin all times again: it was this server that did not read."""
        self._bodies = dict.fromkeys(self._bodies, now)
        if self._head_began is not None:
            self._head_began = now

    def next(self, now: float, *, idle: bool) -> float:
        """The next deadline. `idle`: no stream is open."""
        found = now + self._keep_alive if idle else math.inf
        if self._head_began is not None:
            found = min(found, self._head_began + self._head)
        for oldest in self._bodies.values():
            return min(found, oldest + self._body)
        return found

    def head_is_late(self, now: float) -> bool:
        """Whether a field block has taken too long."""
        return self._head_began is not None and self._head_began + self._head <= now

    def late_bodies(self, now: float) -> list[int]:
        """The streams whose request bodies have taken too long."""
        return [stream for stream, last in self._bodies.items() if last + self._body <= now]
