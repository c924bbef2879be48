"""Opens many keep-alive connections, asks one thing on each and leaves them open."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import BenchError
from load import body_size, request_bytes

SPARE_FILES = 200


def allow_files(connections: int) -> None:
    """Raises the limit of open files; servers that are started after this inherit it."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"{connections} connections need {wanted} open files; the limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ask(client: socket.socket) -> None:
    client.sendall(request_bytes())
    received = b""
    while b"\r\n\r\n" not in received or len(received) < _expected(received):
        piece = client.recv(65536)
        if not piece:
            raise BenchError("the server closed an idle connection")
        received += piece


def _expected(received: bytes) -> int:
    head = received[: received.index(b"\r\n\r\n") + 4]
    return len(head) + body_size(head)


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """`count` connections that have been answered once each, open until the end of the block."""
    with ExitStack() as stack:
        try:
            for _ in range(count):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _ask(client)
        except OSError as error:
            raise BenchError(f"an idle connection failed: {error!r}") from error
        yield
