"""An open-loop driver: requests are due at a constant rate, whether or not earlier responses have arrived.

A closed loop (wrk) sends no request while it waits, so a pause of the server delays one request for each connection. Here
the wait of a request counts from the moment when it was due ("coordinated omission"), as for users who do not wait for
each other.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass

from bench import BenchError
from load import body_size, request_bytes

CONNECTIONS = 64
_GIVE_UP = 30.0
_SPIN = 0.0005
"""Seconds before a moment in which the driver does not sleep, because the system wakes it too late."""


@dataclass(frozen=True)
class Latencies:
    """Waits of the requests of one turn, in milliseconds, sorted."""

    waits: list[float]
    late: float
    """The longest time, in milliseconds, by which the driver sent a request too late; part of its wait."""

    def percentile(self, share: float) -> float:
        """Return the wait that this share (0 to 1) of the requests did not exceed."""
        return self.waits[min(len(self.waits) - 1, math.ceil(share * len(self.waits)) - 1)]


class _Connection:
    """One keep-alive connection with at most one request."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _GIVE_UP)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.received = b""

    def is_complete(self) -> bool:
        """Receive; return whether the response is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise BenchError("the server has closed a connection")
        self.received += data
        head, mark, body = self.received.partition(b"\r\n\r\n")
        if not mark or len(body) < body_size(head + mark):
            return False
        self.received = b""
        return True


def drive_at_rate(port: int, rate: float, seconds: float) -> Latencies:
    """Send GET /hello `rate` times a second; return the waits. Raises BenchError if a connection breaks."""
    request = request_bytes()
    connections = [_Connection(port) for _ in range(CONNECTIONS)]
    free = deque(connections)
    waits: list[float] = []
    late = 0.0
    total = max(1, int(rate * seconds))
    sent = 0
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = time.perf_counter()
        while len(waits) < total:
            now = time.perf_counter()
            if now - started > seconds + _GIVE_UP:
                raise BenchError(f"{total - len(waits)} responses have not arrived")
            while sent < total and free and (due := started + sent / rate) <= now:
                connection = free.popleft()
                connection.due = due
                late = max(late, now - due)
                connection.socket.send(request)
                sent += 1
            next_due = started + sent / rate if sent < total and free else now + 0.1
            for key, _ in selector.select(max(0.0, next_due - time.perf_counter() - _SPIN)):
                connection = key.data
                if connection.is_complete():
                    waits.append((time.perf_counter() - connection.due) * 1000)
                    free.append(connection)
    for connection in connections:
        connection.socket.close()
    return Latencies(sorted(waits), late * 1000)
