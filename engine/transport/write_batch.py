"""Coalesces small writes: those of one iteration of the event loop are handed to the kernel together, at its end.

A client that sleeps in its own event loop is woken by the first write and finds the others as well. So a busy recorder
pays for one wake-up instead of one for each connection. No write waits longer than the iteration lasts.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushed(Protocol):
    """A stream that coalesces small writes."""

    def flush(self) -> None:
        """Hand the coalesced data to the kernel."""


class WriteCoalescer:
    """One for all streams of an event loop."""

    __slots__ = ("_loop", "_streams")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams: list[Flushed] = []

    def add(self, stream: Flushed) -> None:
        """Flush `stream` at the end of this iteration."""
        if not self._streams:
            self._loop.call_soon(self._flush)
        self._streams.append(stream)

    def _flush(self) -> None:
        streams, self._streams = self._streams, []
        for stream in streams:
            try:
                stream.flush()
            except Exception as error:  # the others must not lose their data with this one
                report = {"message": "coalesced data of a connection was not written", "exception": error}
                self._loop.call_exception_handler(report)
