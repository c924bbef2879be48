"""A client of HTTP/1 for tests, which sends exactly the bytes that a test gives it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Protocol

from socket_reader import SOCKET_SECONDS, SocketReader


class Answered:
    """A response as the client received it."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.status_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.status = int(self.status_line.split(" ")[1])
        self.fields = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""
        self.trailers = b""
        self.interim: list[bytes] = []
        """Heads of the interim responses before it."""

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()


class Client(SocketReader):
    """One connection, on the client's side."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        super().__init__(sock)
        self._context = context

    def send(self, data: str | bytes) -> None:
        """Send all bytes; text is Latin-1."""
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def head(self) -> Answered:
        """Return the head of the next final response."""
        interim: list[bytes] = []
        while True:
            head = self.until(b"\r\n\r\n")
            assert head, f"the connection ended; {self.buffer[:500]!r} was left"
            answered = Answered(head)
            if answered.status >= 200:
                answered.interim = interim
                return answered
            interim.append(head)

    def answer(self, method: str = "GET") -> Answered:
        """Return the next final response, to a request with this method."""
        answered = self.head()
        if method == "HEAD" or answered.status in (204, 304):
            return answered
        if "transfer-encoding" in answered.headers:
            answered.body, answered.trailers = self.chunked()
        elif "content-length" in answered.headers:
            answered.body = self.exactly(int(answered.headers["content-length"]))
        else:
            answered.body = self.rest()
        return answered

    def ask(self, request: str | bytes) -> Answered:
        """Send a request and return its response."""
        data = request.encode("latin-1") if isinstance(request, str) else request
        self.send(data)
        return self.answer(data.partition(b" ")[0].decode())

    def get(self, url: str, *fields: str) -> Answered:
        """GET a whole URL or a path, with these field lines."""
        return self.ask("\r\n".join([f"GET {url} HTTP/1.1", "Host: unused.test", *fields, "", ""]))

    def rest(self) -> bytes:
        """Return everything until the end of the connection. Raises ConnectionResetError if the end is a reset."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def tunnel(self, authority: str, name: str | None = None) -> Client:
        """Open a tunnel with CONNECT, and in it TLS for the server `name`, if given."""
        self.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
        assert self.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        if name is not None:
            assert self._context is not None
            self.sock = self._context.wrap_socket(self.sock, server_hostname=name)
        return self

    def leave(self) -> None:
        """Close the connection."""
        self.sock.close()


class Connect(Protocol):
    """The type of the fixture `client`."""

    def __call__(self, port: int, host: str = ..., context: ssl.SSLContext | None = ...) -> Client:
        """Connect to a port; `context` is used by `Client.tunnel`."""


def clients() -> Iterator[Connect]:
    """Yield the function that connects; close the connections when the test ends."""
    made: list[Client] = []

    def connect(port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Client:
        connected = Client(socket.create_connection((host, port), SOCKET_SECONDS), context)
        made.append(connected)
        return connected

    yield connect
    for one in made:
        one.leave()
