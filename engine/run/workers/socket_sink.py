"""The sink of a worker's recorder: batches over a socket to the parent, written by the worker's writer thread."""

from __future__ import annotations

import socket

from mockrec.formats.schema.errors import OutputError


class SocketSink:
    """Sends batches; waits while the parent does not read."""

    name = "the parent process"
    most_at_once = 256 * 1024
    """See `Sink`. Each call costs a change of threads, and the parent reads what there is."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def write(self, data: bytes) -> None:
        """Send a batch. Raises OutputError if the parent has ended."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise OutputError(self.name, error.strerror or str(error)) from None

    def sync_point(self, now: float | None = None) -> None:
        """Do nothing: no data is buffered here."""

    def close(self) -> None:
        """Close the socket. The parent reads to the end, and so knows that the last batch is complete."""
        self._socket.close()
