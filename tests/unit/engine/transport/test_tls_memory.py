"""Bytes through OpenSSL: the two ways are equal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from certificates import openssl_contexts
from OpenSSL import SSL

from mockrec.engine.transport import tls_memory
from mockrec.engine.transport.tls_memory import RECORD, FastTlsMemory, TlsMemory, memory_of

BOTH = pytest.mark.parametrize("kind", [TlsMemory, FastTlsMemory])
Contexts = tuple[SSL.Context, SSL.Context]
Kind = Callable[[SSL.Connection], TlsMemory]


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Of client and server."""
    return openssl_contexts()


def connected(contexts: Contexts, kind: Kind) -> tuple[TlsMemory, TlsMemory, SSL.Connection]:
    client, server = SSL.Connection(contexts[0], None), SSL.Connection(contexts[1], None)
    client.set_connect_state()
    server.set_accept_state()
    ends = kind(client), kind(server)
    for _ in range(4):
        for side, end, other in ((client, *ends), (server, *reversed(ends))):
            try:
                side.do_handshake()
            except SSL.WantReadError:
                pass
            sent = end.take_sent(100)
            if sent:
                other.put_received(sent)
    return *ends, client


@BOTH
@pytest.mark.parametrize("size", [1, 100, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD, 200_000])
def test_data_arrives(contexts: Contexts, kind: Kind, size: int) -> None:
    client, server, _ = connected(contexts, kind)
    data = bytes(range(256)) * (size // 256 + 1)
    client.write(data[:size])
    server.put_received(client.take_sent(size + 1000))
    assert client.take_sent(1000) == b""
    received = b""
    while len(received) < size:
        received += server.read()
    assert received == data[:size]
    with pytest.raises(SSL.WantReadError):
        server.read()


@BOTH
def test_other_buffers_than_bytes(contexts: Contexts, kind: Kind) -> None:
    client, server, _ = connected(contexts, kind)
    client.write(bytearray(b"abc"))
    server.put_received(bytearray(client.take_sent(1000)))
    assert server.read() == b"abc"


@BOTH
def test_what_is_sent_may_be_more_than_expected(contexts: Contexts, kind: Kind) -> None:
    client, server, _ = connected(contexts, kind)
    for expected in (1, 60, 1000, 2 * RECORD, 3 * RECORD):
        client.write(bytes(100_000))
        server.put_received(client.take_sent(expected))
        assert sum(len(server.read()) for _ in range(7)) == 100_000


@BOTH
def test_the_end_and_errors(contexts: Contexts, kind: Kind) -> None:
    client, server, side = connected(contexts, kind)
    side.shutdown()
    server.put_received(client.take_sent(1000))
    with pytest.raises(SSL.ZeroReturnError):
        server.read()
    client, server, _ = connected(contexts, kind)
    server.put_received(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(SSL.Error) as error:
        server.read()
    assert "SSL routines" in str(error.value)


def test_another_pyopenssl_is_used_by_its_methods(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = SSL.Connection(contexts[0], None)
    assert type(memory_of(connection)) is FastTlsMemory
    monkeypatch.setattr(tls_memory, "_FUNCTIONS", ("SSL_read", "SSL_gone"))
    assert type(memory_of(connection)) is TlsMemory
