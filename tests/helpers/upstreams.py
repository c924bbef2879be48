"""An origin server for tests, which sends the bytes that a test gives it: one thread accepts, one serves each connection."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from socket_reader import SOCKET_SECONDS, SocketReader


class Received:
    """A request as the server received it."""

    def __init__(self, head: bytes, connection: int) -> None:
        self.head = head
        self.connection = connection
        """Number of its connection, from 0."""
        self.start, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.target, self.version = self.start.split(" ")
        self.fields = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""
        self.trailers = b""


class Served(SocketReader):
    """One connection, on the server's side."""

    def __init__(self, sock: socket.socket, number: int, server: Upstream) -> None:
        super().__init__(sock)
        self.number = number
        self.server = server

    def head(self) -> Received | None:
        """Return the next request without its body; None at the end of the connection."""
        head = self.until(b"\r\n\r\n")
        if not head:
            return None
        if head == b"PRI * HTTP/2.0\r\n\r\n":  # close the connection, as a server without HTTP/2 does
            self.server.prefaces += 1
            return None
        received = Received(head, self.number)
        self.server.requests.append(received)
        return received

    def request(self) -> Received | None:
        """Return the next request; None at the end of the connection."""
        received = self.head()
        if received is not None:
            if "transfer-encoding" in received.headers:
                received.body, received.trailers = self.chunked()
            else:
                received.body = self.exactly(int(received.headers.get("content-length", "0")))
        return received

    def send(self, data: bytes) -> None:
        """Send all bytes."""
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hang(self) -> None:
        """Send nothing until the client disconnects or the server is closed."""
        while self.more():
            pass

    def wait(self, event: threading.Event) -> None:
        """Wait for an event of the test."""
        assert event.wait(SOCKET_SECONDS), "the test did not set the event"


Respond = Callable[[Received], bytes]
Serve = Callable[[Served], None]


class Upstream:
    """A listening server: its URL, and the requests that it received."""

    def __init__(
        self, answer: bytes | Respond | None, serve: Serve | None, host: str, port: int, tls: ssl.SSLContext | None
    ) -> None:
        self._answer = answer
        self._serve = serve or self._converse
        self._tls = tls
        self.requests: list[Received] = []
        self.accepted = 0
        self.prefaces = 0
        """How many connections began with the preface of HTTP/2."""
        self.ended: list[int] = []
        """Numbers of the connections that have ended, in this order."""
        self.defects: list[BaseException] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64
        )
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.authority}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            sock.settimeout(SOCKET_SECONDS)
            thread = threading.Thread(target=self._hold, args=(sock, self.accepted), daemon=True)
            self.accepted += 1
            self._sockets.append(sock)
            self._threads.append(thread)
            thread.start()

    def _hold(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                plain = sock
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                finally:
                    plain.close()  # the TLS socket owns the descriptor now
                self._sockets.append(sock)
            self._serve(Served(sock, number, self))
        except OSError:
            pass  # the client disconnected
        except BaseException as error:
            self.defects.append(error)
        finally:
            self.ended.append(number)
            sock.close()

    def _converse(self, connection: Served) -> None:
        while (received := connection.request()) is not None:
            answer = self._answer
            assert answer is not None
            connection.send(answer if isinstance(answer, bytes) else answer(received))

    @property
    def request(self) -> Received:
        """The only request."""
        assert len(self.requests) == 1, [received.start for received in self.requests]
        return self.requests[0]

    def close(self) -> None:
        """Stop listening, end all connections and wait for their threads."""
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._acceptor.join(SOCKET_SECONDS)
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(SOCKET_SECONDS)
            assert not thread.is_alive(), "a server's thread did not end"
        for sock in self._sockets:
            sock.close()


_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class StartUpstream(Protocol):
    """The type of the fixture `upstream`."""

    def __call__(
        self,
        answer: bytes | Respond | None = ...,
        *,
        serve: Serve | None = ...,
        host: str = ...,
        port: int = ...,
        tls: ssl.SSLContext | None = ...,
    ) -> Upstream:
        """Start a server that sends `answer`, bytes or a function of the request, for every request.

        With `serve`, that function handles each connection instead.
        """


def counting() -> Callable[[Received], bytes]:
    """An answer that names the target and counts the requests."""
    count = 0

    def answer(received: Received) -> bytes:
        nonlocal count
        count += 1
        text = f"{received.target} {count}".encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)

    return answer


def upstreams() -> Iterator[StartUpstream]:
    """Yield the function that starts servers; close them when the test ends. Exceptions of their threads fail it."""
    running: list[Upstream] = []

    def start(
        answer: bytes | Respond | None = _OK,
        *,
        serve: Serve | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> Upstream:
        server = Upstream(answer, serve, host, port, tls)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()
    assert [defect for server in running for defect in server.defects] == []
