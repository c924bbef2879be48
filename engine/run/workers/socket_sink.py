"""The way of a worker's records to its parent: batches over a socket, written by the worker's writer thread."""

from __future__ import annotations

import socket

from mockrec.formats.schema.errors import OutputError


class LinkSink:
    """Takes batches; waits while the parent does not read."""

    name = "the parent process"

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def write(self, data: bytes) -> None:
        """Raises OutputError when the parent is gone."""
        try:
            self._link.sendall(data)
        except OSError as error:
            raise OutputError(self.name, error.strerror or str(error)) from None

    def sync_point(self, now: float | None = None) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The parent reads to the end, and knows that nothing was cut."""
        self._link.close()
