"""An HTTP/2 client for tests, on the package h2. It keeps received events until a test asks for them."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events


class Talk:
    """One connection; `sock` is a plain or a TLS socket."""

    def __init__(self, sock: Any, *, scheme: str = "http", authority: str = "h.test") -> None:
        self.sock = sock
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.events: list[Any] = []
        self._scheme = scheme
        self._authority = authority
        self.conn.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send the bytes that h2 has queued."""
        self.sock.sendall(self.conn.data_to_send())

    def ask(
        self,
        path: str,
        *more: tuple[str, str],
        method: str = "",
        authority: str = "",
        body: bytes | None = None,
        end: bool = True,
    ) -> int:
        """Send a request (GET, or POST with a body) and return its stream; with `end=False` more of the body follows."""
        number: int = self.conn.get_next_available_stream_id()
        method = method or ("GET" if end and body is None else "POST")
        head = [(":method", method), (":scheme", self._scheme), (":path", path)]
        head += [(":authority", authority or self._authority), *more]
        self.conn.send_headers(number, head, end_stream=end and body is None)
        if body is not None:
            self.conn.send_data(number, body, end_stream=end)
        self.flush()
        return number

    def tunnel(self, authority: str, *more: tuple[str, str]) -> int:
        """Send CONNECT and return its stream."""
        number: int = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, [(":method", "CONNECT"), (":authority", authority), *more])
        self.flush()
        return number

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a part of a body; it must fit into the windows."""
        self.conn.send_data(stream, data, end_stream=end)
        self.flush()

    def more(self) -> bool:
        """Read available bytes and handle their events; False at the end of the connection."""
        data = self.sock.recv(65536)
        self.events += self.conn.receive_data(data) if data else []
        try:
            self.flush()
        except OSError:
            pass  # the server disconnected; its earlier events are still read
        return bool(data)

    def until(self, kind: type | tuple[type, ...], stream: int | None = None) -> Any:
        """Return the next event of a kind, on `stream` if given; other events stay queued."""
        while True:
            for index, event in enumerate(self.events):
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    del self.events[index]
                    return event
            assert self.more(), f"the end came before {kind}"

    def status(self, stream: int) -> str:
        """Return the status of the response on a stream."""
        return str(dict(self.until(h2.events.ResponseReceived, stream).headers)[":status"])

    def data(self, stream: int) -> bytes:
        """Return the received part of a body."""
        found = [one for one in self.events if isinstance(one, h2.events.DataReceived) and one.stream_id == stream]
        return b"".join([event.data for event in found])

    def answer(self, stream: int) -> tuple[str, bytes]:
        """Wait for the end of a response; return its status and body. The status is `reset CODE` after a reset."""
        over = self.until((h2.events.StreamEnded, h2.events.StreamReset), stream)
        reset = isinstance(over, h2.events.StreamReset)
        return f"reset {over.error_code}" if reset else self.status(stream), self.data(stream)

    def rest(self) -> list[Any]:
        """Return all events until the end of the connection."""
        while self.more():
            pass
        return self.events
