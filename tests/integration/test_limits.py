"""Clients that are too many, or take nothing of what is sent: answered, recorded, and everybody else is served."""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from waiting import to_the_end

Start = Callable[..., Any]
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
DESCRIPTORS = 64
SECONDS = 20.0
LARGE = 64 * 1024 * 1024
"""More than the kernel takes for a client that does not read."""


def connect(port: int, **options: int) -> socket.socket:
    sock = socket.socket()
    for name, value in options.items():
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    sock.settimeout(SECONDS)
    sock.connect(("127.0.0.1", port))
    return sock


@pytest.fixture
def few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs that are started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    started = subprocess.Popen

    def popen(*args: Any, **named: Any) -> Any:
        return started(
            *args, **named, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS,) * 2)
        )

    assert soft > DESCRIPTORS and hard > DESCRIPTORS
    monkeypatch.setattr("subprocess.Popen", popen)
    monkeypatch.setenv("MOCKREC_TESTS_FORK", "0")  # a copy has the limits of what it is a copy of


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.usefixtures("few_descriptors")
def test_more_clients_than_descriptors(recorder: Start, loop: str) -> None:
    """Nobody is dropped in silence, and there are no tracebacks of the event loop."""
    run = recorder("version: 1\nrules: [{then: {reply: {body: hi}}}]\n", env={"MOCKREC_LOOP": loop})
    clients, statuses = [], []
    for _ in range(2 * DESCRIPTORS):
        clients.append(connect(run.port))
        clients[-1].sendall(REQUEST)
        statuses.append(clients[-1].recv(12)[-3:])
    for client in clients:
        client.close()
    served, refused = statuses.count(b"200"), statuses.count(b"503")
    assert served and served + refused == len(clients)
    with connect(run.port) as late:
        late.sendall(REQUEST)
        assert late.recv(12)[-3:] in (b"200", b"503")
    session = run.stop()
    assert session.code == 0
    assert "Traceback" not in session.stderr
    codes = [record["errorCode"] for record in session.by_type("client-error")]
    assert set(codes) == {"ERR_TOO_MANY_CONNECTIONS"}
    assert len(codes) + len(session.by_type("response")) == len(clients) + 1


@pytest.fixture
def stingy(recorder: Start, tmp_path: Path) -> Any:
    """A recorder that waits a short time for those who do not read, and has much to say."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGE)
    return recorder(
        "version: 1\nserver: {timeouts: {sendIdle: 300ms}}\n"
        "rules: [{when: {path: /large}, then: {reply: {file: large}}}, {then: {reply: {body: hi}}}]\n"
    )


def told(run: Any) -> Any:
    session = run.stop()
    assert session.code == 0
    assert session.one("abort")["error"]["code"] == "ERR_HTTP_SEND_TIMEOUT"
    return session


def test_a_client_that_does_not_read(stingy: Any) -> None:
    with connect(stingy.port, SO_RCVBUF=4096) as idle:
        idle.sendall(REQUEST.replace(b"/ ", b"/large "))
        with connect(stingy.port) as other:
            other.sendall(REQUEST)
            assert other.recv(12)[-3:] == b"200", "everybody else is served"
        idle.recv(1)
        while '"type":"abort"' not in stingy.log.read_text(encoding="utf-8"):
            with connect(stingy.port) as other:
                other.sendall(REQUEST)
                assert other.recv(12)[-3:] == b"200"
        assert len(to_the_end(idle)) < LARGE
    told(stingy)


def test_a_client_of_http2_that_opens_no_window(stingy: Any) -> None:
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    client.increment_flow_control_window(1 << 20)  # of the connection, not of the stream
    head = [(":method", "GET"), (":scheme", "http"), (":authority", "a")]
    client.send_headers(1, [*head, (":path", "/large")], end_stream=True)
    with connect(stingy.port) as sock:
        sock.sendall(client.data_to_send())
        seen: list[str] = []
        while "StreamReset" not in seen:
            seen += [type(event).__name__ for event in client.receive_data(sock.recv(65536))]
        client.send_headers(3, [*head, (":path", "/")], end_stream=True)
        sock.sendall(client.data_to_send())
        while "StreamEnded" not in seen:
            seen += [type(event).__name__ for event in client.receive_data(sock.recv(65536))]
    assert len(told(stingy).by_type("response")) == 1, "the connection goes on"
