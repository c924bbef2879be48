"""TLS as a pipe over pipes in memory: both ends are ours, every byte can be cut, changed or lost on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.transport.tls import TlsError, TlsStream, reason_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["1.2", "1.3"])
MIB = bytes(range(256)) * 4096


class MemoryPipe:
    """One end of a connection in memory. `step` bytes are received at a time."""

    peer = ("192.0.2.1", 443)
    local = ("192.0.2.2", 50000)

    def __init__(self, step: int | None = None) -> None:
        self.step = step
        self.other: MemoryPipe = self
        self.arrived = bytearray()
        self.sends: list[bytes] = []
        self.eof = False
        self.broken = False
        self.told: list[str] = []
        self.take: Callable[[bytes], bytes | None] | None = None
        self._news = anyio.Event()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        while not self.arrived:
            if self.broken:
                raise anyio.BrokenResourceError
            if self.eof:
                raise anyio.EndOfStream
            await self._news.wait()
        size = self.step or len(self.arrived)
        data = bytes(self.arrived[:size])
        del self.arrived[:size]
        return data

    async def send(self, item: bytes) -> None:
        await self.wait_writable()
        self.write_nowait(item)

    async def wait_writable(self) -> None:
        if self.broken:
            raise anyio.BrokenResourceError
        await anyio.lowlevel.checkpoint()

    def write_nowait(self, data: bytes) -> None:
        self.sends.append(data)
        self.other.arrived += data
        self.other._wake()

    def divert(self, take: Callable[[bytes], bytes | None] | None) -> None:
        self.take = take

    async def send_eof(self) -> None:
        self.other.eof = True
        self.other._wake()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self.told.append("close")
        self.other.eof = True
        self.other._wake()

    def reset(self) -> None:
        self.told.append("reset")
        self.broken = self.other.broken = True
        self.other._wake()

    def set_expired(self) -> None:
        self.told.append("expire")

    def clear_expired(self) -> None:
        self.told.append("unexpire")

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        self.told.append("watch" if callback is not None else "unwatch")

    @property
    def readable(self) -> bool:
        return bool(self.arrived)

    @property
    def alive(self) -> bool:
        return not (self.eof or self.broken or self.arrived)


def memory_pipes(step: int | None = None) -> tuple[MemoryPipe, MemoryPipe]:
    client, server = MemoryPipe(step), MemoryPipe(step)
    client.other, server.other = server, client
    return client, server


def certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.test")])
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=9))
    return builder.sign(key, hashes.SHA256()), key


CERTIFICATE, KEY = certificate()


def context(*, server: bool, version: int | None = None) -> SSL.Context:
    made = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
    if version is not None:
        made.set_min_proto_version(version)
        made.set_max_proto_version(version)
    if server:
        made.use_certificate(CERTIFICATE)
        made.use_privatekey(KEY)
    return made


def tls_pipe(below: ByteStream, using: SSL.Context, *, server: bool, received: bytes = b"") -> TlsStream:
    tls = SSL.Connection(using, None)
    if server:
        tls.set_accept_state()
    else:
        tls.set_connect_state()
    return TlsStream(below, tls, received)


async def shake_hands(client: TlsStream, server: TlsStream) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(client.handshake)
        group.start_soon(server.handshake)


async def connected(
    version: int | None = None, step: int | None = None, below: tuple[ByteStream, ByteStream] | None = None
) -> tuple[TlsStream, TlsStream]:
    """Both ends of a TLS connection."""
    below_client, below_server = below or memory_pipes(step)
    client = tls_pipe(below_client, context(server=False, version=version), server=False)
    server = tls_pipe(below_server, context(server=True, version=version), server=True)
    await shake_hands(client, server)
    return client, server


def memory(pipe: TlsStream) -> MemoryPipe:
    assert isinstance(pipe.below, MemoryPipe)
    return pipe.below


async def exactly(pipe: TlsStream, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        out += await pipe.receive()
    assert len(out) == size
    return bytes(out)


async def to_the_end(pipe: TlsStream) -> bytes:
    out = bytearray()
    try:
        while True:
            out += await pipe.receive()
    except anyio.EndOfStream:
        return bytes(out)


async def both_ways(client: TlsStream, server: TlsStream, up: bytes, down: bytes) -> None:
    """Data goes in both directions at once and arrives as it was sent."""
    got: dict[str, bytes] = {}

    async def take(pipe: TlsStream, size: int, name: str) -> None:
        got[name] = await exactly(pipe, size)

    async with anyio.create_task_group() as group:
        group.start_soon(take, client, len(down), "down")
        group.start_soon(take, server, len(up), "up")
        group.start_soon(client.send, up)
        group.start_soon(server.send, down)
    assert got == {"up": up, "down": down}


# ── diverted data ──────────────────────────────────────────────────────────────────────────────────


class Diverted:
    """A server whose data is diverted, and the bytes that its client sends."""

    def __init__(self, client: TlsStream, server: TlsStream, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.server = server
        self.taken: list[bytes] = []
        self.left: bytes | None = None
        """What the diverted calls return."""
        self.passed: list[bytes] = []
        """What `receive` gets from below."""
        monkeypatch.setattr(memory(server), "receive", self._receive)
        server.divert(self._take)

    def _take(self, data: bytes) -> bytes | None:
        self.taken.append(data)
        return self.left

    async def _receive(self) -> bytes:
        return self.passed.pop(0)

    async def sent(self, *pieces: bytes) -> bytes:
        """The records of these pieces."""
        for piece in pieces:
            await self.client.send(piece)
        return self.sent_so_far()

    def sent_so_far(self) -> bytes:
        arrived = memory(self.server).arrived
        data = bytes(arrived)
        arrived.clear()
        return data

    def feed(self, data: bytes) -> bytes | None:
        """The stream below gets bytes while `receive` waits."""
        below = memory(self.server).take
        assert below is not None
        left = below(data)
        if left is not None:
            self.passed.append(left)
        return left


@pytest.fixture
async def diverted(monkeypatch: pytest.MonkeyPatch) -> Diverted:
    client, server = await connected(SSL.TLS1_3_VERSION)
    pair = Diverted(client, server, monkeypatch)
    pair.sent_so_far()
    return pair


async def test_diverted_data_is_decrypted_before(diverted: Diverted) -> None:
    data = await diverted.sent(b"one", b"two")
    assert diverted.feed(data[:10]) is None
    assert diverted.feed(data[10:]) is None
    assert diverted.taken == [b"onetwo"]


@pytest.mark.parametrize("left", [b"", b"rest"])
async def test_what_is_left_is_received_before_what_follows(diverted: Diverted, left: bytes) -> None:
    diverted.left = left
    assert diverted.feed(await diverted.sent(b"one")) == b""
    diverted.passed[0] += await diverted.sent(b"two")  # it came before the task ran
    assert await diverted.server.receive() == left
    assert await diverted.server.receive() == b"two"
    assert diverted.taken == [b"one"]


async def test_the_end_after_diverted_data_wakes_the_receive(diverted: Diverted) -> None:
    data = await diverted.sent(b"one")
    await diverted.client.send_eof()
    assert diverted.feed(data + diverted.sent_so_far()) == b""
    assert diverted.taken == [b"one"]
    with pytest.raises(anyio.EndOfStream):
        await diverted.server.receive()


async def test_a_failure_after_diverted_data_wakes_the_receive(diverted: Diverted) -> None:
    broken = b"\x17\x03\x03\x00\x20" + bytes(32)
    assert diverted.feed(await diverted.sent(b"one") + broken) == b""
    assert diverted.taken == [b"one"]
    for _ in range(2):
        with pytest.raises(TlsError):
            await diverted.server.receive()


async def test_without_a_taker_nothing_is_diverted(diverted: Diverted) -> None:
    diverted.server.divert(None)
    assert memory(diverted.server).take is None


# ── data ───────────────────────────────────────────────────────────────────────────────────────────


@VERSIONS
@pytest.mark.parametrize("step", [None, 1, 1000])
async def test_data_goes_both_ways_however_the_bytes_below_are_cut(version: int, step: int | None) -> None:
    client, server = await connected(version, step)
    assert client.tls.get_protocol_version() == server.tls.get_protocol_version() == version
    await both_ways(client, server, b"hello", b"world!")
    await both_ways(client, server, b"x" * 40_000, b"y")


@VERSIONS
@pytest.mark.parametrize("size", [1, 16_384, 16_385, 65_536, len(MIB)])
async def test_data_of_many_records(version: int, size: int) -> None:
    client, server = await connected(version)
    await both_ways(client, server, MIB[:size], MIB[-size:])


async def test_data_is_encrypted() -> None:
    client, _ = await connected()
    await client.send(b"a secret that nobody may read")
    assert b"secret" not in b"".join(memory(client).sends)


async def test_one_write_is_one_write_below() -> None:
    client, _ = await connected()
    before = len(memory(client).sends)
    await client.send(MIB)
    assert len(memory(client).sends) == before + 1


async def test_nothing_is_sent_for_nothing() -> None:
    client, _ = await connected()
    before = len(memory(client).sends)
    await client.send(b"")
    assert len(memory(client).sends) == before


async def test_all_that_has_come_is_received_at_once() -> None:
    client, server = await connected()
    for data in (b"a", b"b", b"c" * 20_000):
        await client.send(data)
    assert await server.receive() == b"ab" + b"c" * 20_000


async def test_a_pipe_has_the_ends_of_the_one_below() -> None:
    client, _ = await connected()
    assert (client.peer, client.local) == (MemoryPipe.peer, MemoryPipe.local)


@VERSIONS
async def test_what_was_read_before_counts(version: int) -> None:
    below_client, below_server = memory_pipes()
    client = tls_pipe(below_client, context(server=False, version=version), server=False)
    async with anyio.create_task_group() as group:
        group.start_soon(client.handshake)
        hello = await below_server.receive()
        server = tls_pipe(below_server, context(server=True, version=version), server=True, received=hello)
        await server.handshake()
    await both_ways(client, server, b"up", b"down")


@VERSIONS
async def test_data_that_comes_with_the_end_of_the_handshake_is_not_lost(version: int) -> None:
    below_client, below_server = memory_pipes()
    client = tls_pipe(below_client, context(server=False, version=version), server=False)
    server = tls_pipe(below_server, context(server=True, version=version), server=True)

    async def client_side() -> None:
        await client.handshake()
        client.write_nowait(b"at once")

    async with anyio.create_task_group() as group:
        group.start_soon(client_side)
        group.start_soon(server.handshake)
    assert await server.receive() == b"at once"


# ── TLS inside TLS ─────────────────────────────────────────────────────────────────────────────────


@VERSIONS
@pytest.mark.parametrize("step", [None, 1])
async def test_tls_inside_tls(version: int, step: int | None) -> None:
    outer = await connected(SSL.TLS1_3_VERSION, step)
    client, server = await connected(version, below=outer)
    size = len(MIB) if step is None else 20_000
    await both_ways(client, server, MIB[:size], b"down")
    client.close()
    assert await to_the_end(server) == b""
    assert await to_the_end(outer[1]) == b""


# ── the end ────────────────────────────────────────────────────────────────────────────────────────


@VERSIONS
async def test_a_peer_that_says_goodbye_has_ended(version: int) -> None:
    client, server = await connected(version)
    await client.send(b"last words")
    await client.send_eof()
    assert await to_the_end(server) == b"last words"
    with pytest.raises(anyio.EndOfStream):
        await server.receive()
    assert not server.alive


@VERSIONS
async def test_goodbye_is_enough_without_the_end_below(version: int) -> None:
    client, server = await connected(version)
    client.tls.shutdown()
    memory(client).write_nowait(client.tls.bio_read(1000))
    with pytest.raises(anyio.EndOfStream):
        await server.receive()
    assert not memory(server).eof


@VERSIONS
async def test_a_direction_that_has_ended_leaves_the_other_open(version: int) -> None:
    client, server = await connected(version)
    await client.send_eof()
    assert await to_the_end(server) == b""
    await server.send(MIB)
    await server.send_eof()
    assert await to_the_end(client) == MIB


async def test_an_end_below_without_goodbye_is_an_end() -> None:
    client, server = await connected()
    await client.send(b"data")
    await memory(client).send_eof()
    assert await to_the_end(server) == b"data"


@pytest.mark.parametrize("how", ["close", "aclose", "send_eof"])
async def test_nothing_is_written_behind_the_end(how: str) -> None:
    client, server = await connected()
    if how == "close":
        client.close()
    elif how == "aclose":
        await client.aclose()
    else:
        await client.send_eof()
    assert memory(client).told == ([] if how == "send_eof" else ["close"])
    assert not client.alive
    sent = list(memory(client).sends)
    with pytest.raises(anyio.BrokenResourceError):
        await client.send(b"more")
    client.write_nowait(b"more")
    client.close()
    assert memory(client).sends == sent
    assert await to_the_end(server) == b""


async def test_a_pipe_can_be_closed_before_the_handshake() -> None:
    below_client, below_server = memory_pipes()
    client = tls_pipe(below_client, context(server=False), server=False)
    client.close()
    assert below_client.told == ["close"]
    with pytest.raises(anyio.EndOfStream):
        await below_server.receive()


async def test_a_reset_is_one_below_and_says_nothing_before() -> None:
    client, server = await connected()
    sent = list(memory(client).sends)
    client.reset()
    assert memory(client).told == ["reset"]
    assert memory(client).sends == sent
    with pytest.raises(anyio.BrokenResourceError):
        await to_the_end(server)


async def test_what_is_put_is_not_waited_for() -> None:
    client, server = await connected()
    client.write_nowait(b"now")
    assert memory(server).readable
    assert await server.receive() == b"now"


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def failing(reason: str) -> AsyncIterator[None]:
    with pytest.raises(TlsError) as caught:
        yield
    assert reason in caught.value.reason
    assert str(caught.value) == caught.value.reason


async def test_versions_that_differ_are_told_to_both() -> None:
    below_client, below_server = memory_pipes()
    client = tls_pipe(below_client, context(server=False, version=SSL.TLS1_2_VERSION), server=False)
    server = tls_pipe(below_server, context(server=True, version=SSL.TLS1_3_VERSION), server=True)
    reasons: dict[str, str] = {}

    async def shake(name: str, pipe: TlsStream) -> None:
        with pytest.raises(TlsError) as caught:
            await pipe.handshake()
        reasons[name] = caught.value.reason

    async with anyio.create_task_group() as group:
        group.start_soon(shake, "client", client)
        group.start_soon(shake, "server", server)
    assert reasons == {"client": "tlsv1 alert protocol version", "server": "unsupported protocol"}


async def test_what_is_no_tls_is_a_fault() -> None:
    below_client, below_server = memory_pipes()
    below_server.write_nowait(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    # OpenSSL 3.5 looks at the length first.
    with pytest.raises(TlsError, match=r"^(wrong version number|packet length too long)$"):
        await tls_pipe(below_client, context(server=False), server=False).handshake()


async def test_an_end_in_the_middle_of_the_handshake() -> None:
    below_client, below_server = memory_pipes()
    await below_server.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await tls_pipe(below_client, context(server=False), server=False).handshake()


@VERSIONS
@pytest.mark.parametrize("data", [b"", b"good data"])
async def test_an_alert_is_a_fault_with_its_reason_behind_what_was_good(version: int, data: bytes) -> None:
    client, server = await connected(version)
    if version == SSL.TLS1_3_VERSION:  # the server's tickets
        client.write_nowait(b"x")
        server.write_nowait(b"y")
        assert (await client.receive(), await server.receive()) == (b"y", b"x")
    # The server finds fault with what comes, and tells the client so.
    server.write_nowait(data)
    memory(server).arrived += b"\x17\x03\x03\x00\x20" + bytes(32)
    async with failing("bad record mac"):
        await server.receive()
    if data:
        assert await client.receive() == data
    for _ in range(2):
        async with failing("alert bad record mac"):
            await client.receive()


async def test_a_broken_record_behind_data_is_found_after_it() -> None:
    client, server = await connected()
    client.write_nowait(b"good")
    memory(server).arrived += b"\x17\x03\x03\x00\x20" + bytes(32)
    assert await server.receive() == b"good"
    for _ in range(2):
        async with failing("bad record mac"):
            await server.receive()


async def test_a_write_before_the_handshake_is_a_fault() -> None:
    below_client, _ = memory_pipes()
    with pytest.raises(TlsError):
        await tls_pipe(below_client, context(server=False), server=False).send(b"x")


async def test_what_breaks_below_breaks_above() -> None:
    client, server = await connected()
    memory(client).reset()
    with pytest.raises(anyio.BrokenResourceError):
        await client.send(b"x")
    with pytest.raises(anyio.BrokenResourceError):
        await to_the_end(server)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            SSL.Error([("SSL routines", "", "first"), ("SSL routines", "", "tlsv1 alert unknown ca")]),
            "tlsv1 alert unknown ca",
        ),
        (SSL.Error([("l", "", "bad record mac"), ("l", "", "record layer failure")]), "bad record mac"),
        (SSL.Error([("l", "", "record layer failure")]), "record layer failure"),
        (SSL.Error([("lib", "function", "")]), "('lib', 'function', '')"),
        (SSL.SysCallError(-1, "Unexpected EOF"), "the connection was closed in the middle of TLS"),
        (SSL.Error([]), "[]"),
        (SSL.WantReadError(), "WantReadError"),
    ],
)
async def test_reasons_are_openssls_own_words(error: SSL.Error, reason: str) -> None:
    assert reason_of(error) == reason


# ── keys that change in the middle ─────────────────────────────────────────────────────────────────


async def test_a_server_may_shake_hands_again_and_wait_for_it() -> None:
    client, server = await connected(SSL.TLS1_2_VERSION)
    got: list[bytes] = []

    async def read() -> None:
        got.append(await exactly(client, 6))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await server.send(b"one")
        assert server.tls.renegotiate()
        await server.handshake()  # says hello, does not wait
        await wait_all_tasks_blocked()
        # Our answer is here: the client has not been asked to write anything.
        assert memory(server).readable
        server.tls.bio_write(await memory(server).receive())
        with pytest.raises(SSL.WantReadError):
            server.tls.recv(1)
        server.below.write_nowait(server.tls.bio_read(65536))
        await wait_all_tasks_blocked()
        server.tls.bio_write(await memory(server).receive())
        with pytest.raises(SSL.WantReadError):
            server.tls.recv(1)
        assert server.tls.total_renegotiations() == 1
        await server.send(b"two")
    assert got == [b"onetwo"]


# ── what others ask of a pipe ──────────────────────────────────────────────────────────────────────


async def test_a_pipe_with_data_is_readable_and_not_idle() -> None:
    client, server = await connected()
    await server.send(b"x")
    await client.receive()
    assert client.alive
    assert not client.readable
    await server.send(b"unasked")
    assert client.readable
    assert not client.alive


async def test_data_that_came_unasked_waits_and_the_connection_is_not_alive() -> None:
    client, server = await connected()
    await server.send(b"x")
    await client.receive()
    assert client.alive
    await server.send(b"ab")
    await server.send(b"cd")
    assert client.readable
    assert not client.alive
    assert await client.receive() == b"abcd"
    assert client.alive
    await server.send(b"ef")
    assert await client.receive() == b"ef"


async def test_a_ticket_that_came_unasked_is_no_data() -> None:
    client, server = await connected(SSL.TLS1_3_VERSION)
    assert memory(client).readable
    assert client.alive
    assert not memory(client).readable
    await server.send_eof()
    assert not client.alive


async def test_garbage_that_came_unasked_is_no_data_either() -> None:
    client, _ = await connected(SSL.TLS1_3_VERSION)
    assert client.alive
    memory(client).arrived += b"garbage " * 10
    assert not client.alive


async def test_deadlines_and_watchers_are_for_the_pipe_at_the_bottom() -> None:
    outer, _ = await connected()
    inner = tls_pipe(outer, context(server=False), server=False)
    inner.set_expired()
    inner.clear_expired()
    inner.on_disconnect(lambda: None)
    inner.on_disconnect(None)
    assert memory(outer).told == ["expire", "unexpire", "watch", "unwatch"]
