"""The URL of a listener, and what becomes of sockets that it never used."""

from __future__ import annotations

import pytest

from mockrec.engine.server.listener import Listener
from mockrec.engine.transport.sockets import bind

HOST = "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("mock.test", "mock.test"),
    ],
)
def test_the_url_is_one_that_clients_can_use(host: str, shown: str) -> None:
    sockets = bind(HOST, (0, 0))
    it = Listener(sockets, host, None)  # type: ignore[arg-type]
    assert it.port == sockets[0].getsockname()[1]
    assert it.url == f"http://{shown}:{it.port}"
    it.close()


def test_sockets_that_were_never_used_are_closed() -> None:
    sockets = bind(HOST, (0, 0))
    Listener(sockets, HOST, None).close()  # type: ignore[arg-type]
    assert [sock.fileno() for sock in sockets] == [-1]
