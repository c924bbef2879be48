"""Small writes on TLS: those of one turn of the event loop are one record, and none is lost or overtaken."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from certificates import openssl_contexts
from OpenSSL import SSL

from mockrec.engine.transport.tcp import TcpStream
from mockrec.engine.transport.tls import TlsStream
from mockrec.engine.transport.write_batch import WriteCoalescer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]


class Transport:
    """A transport of asyncio whose other end is another stream."""

    def __init__(self, other: TcpStream) -> None:
        self.other = other
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.other.data_received(data)

    def write_eof(self) -> None:
        self.other.eof_received()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.other.eof_received()

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Pair:
    """Both ends of a TLS connection; what the client sends is looked at."""

    def __init__(self, client: TlsStream, server: TlsStream, transport: Transport) -> None:
        self.client, self.server, self.transport = client, server, transport

    @property
    def writes(self) -> list[bytes]:
        return self.transport.writes


@pytest.fixture
async def pair() -> Pair:
    client_context, server_context = openssl_contexts()
    sides = SSL.Connection(client_context, None), SSL.Connection(server_context, None)
    sides[0].set_connect_state()
    sides[1].set_accept_state()
    below = TcpStream(coalescer=WriteCoalescer()), TcpStream()
    transport = Transport(below[1])
    below[0].connection_made(transport)
    below[1].connection_made(Transport(below[0]))
    client, server = (TlsStream(one, side) for one, side in zip(below, sides, strict=True))
    async with anyio.create_task_group() as group:
        group.start_soon(client.handshake)
        group.start_soon(server.handshake)
    await anyio.wait_all_tasks_blocked()
    transport.writes.clear()
    return Pair(client, server, transport)


async def test_writes_of_one_turn_are_one_record(pair: Pair) -> None:
    for piece in (b"a", b"bc", b"def"):
        pair.client.write_nowait(piece)
    assert pair.writes == []
    assert await pair.server.receive() == b"abcdef"
    (written,) = pair.writes
    assert len(written) == 5 + int.from_bytes(written[3:5], "big")
    pair.client.write_nowait(b"next")
    assert await pair.server.receive() == b"next"


async def test_much_is_written_at_once(pair: Pair) -> None:
    pair.client.write_nowait(b"a")
    pair.client.write_nowait(bytes(20_000))
    assert sum(map(len, pair.writes)) > 20_000
    received = b""
    while len(received) < 20_001:
        received += await pair.server.receive()
    assert received == b"a" + bytes(20_000)


async def test_a_send_does_not_overtake(pair: Pair) -> None:
    pair.client.write_nowait(b"first")
    await pair.client.send(b"second")
    received = b""
    while len(received) < 11:
        received += await pair.server.receive()
    assert received == b"firstsecond"


@pytest.mark.parametrize("way", ["close", "reset", "send_eof"])
async def test_the_end_comes_after_what_was_written(pair: Pair, way: str) -> None:
    pair.client.write_nowait(b"last words")
    if way == "send_eof":
        await pair.client.send_eof()
    else:
        getattr(pair.client, way)()
    assert await pair.server.receive() == b"last words"
    with pytest.raises(anyio.EndOfStream):
        await pair.server.receive()
    pair.client.write_nowait(b"too late")
    await anyio.lowlevel.checkpoint()
    assert not pair.server.readable
