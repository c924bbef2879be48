"""Idle connections to servers, and what becomes of their faults; the pipes only remember."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import pytest

from mockrec.engine import clock
from mockrec.engine.tls.session import TlsError
from mockrec.engine.upstream.dial import Dialed
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.http import Pool, UpstreamConnection
from mockrec.engine.wire.parts import Data, End, Response

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FakePipe:
    """A pipe whose other end says what it is told to."""

    peer = ("192.0.2.1", 80)
    local = ("192.0.2.2", 5000)

    def __init__(self, *said: bytes | Exception) -> None:
        self.said = list(said)
        self.sent: list[bytes] = []
        self.send_error: Exception | None = None
        self.stuck = False
        self.alive = True
        self.closed = 0
        self.unexpired = 0
        self.watcher: Callable[[], None] | None = None

    async def receive(self, max_bytes: int = 0) -> bytes:
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def send(self, item: bytes) -> None:
        if self.send_error is not None:
            raise self.send_error
        if self.stuck:
            await anyio.sleep_forever()
        self.sent.append(item)

    def close(self) -> None:
        self.closed += 1

    def unexpire(self) -> None:
        self.unexpired += 1

    def watch(self, ended: Callable[[], None] | None) -> None:
        self.watcher = ended

    def end(self) -> None:
        """The server closes the connection."""
        self.alive = False
        if self.watcher is not None:
            self.watcher()


class Made:
    """A connection, its pipe, and how often it was forgotten."""

    def __init__(self, *said: bytes | Exception) -> None:
        self.pipe = FakePipe(*said)
        self.forgotten: list[UpstreamConnection] = []
        self.connection = UpstreamConnection(Dialed(self.pipe), self.forgotten.append)  # type: ignore[arg-type]

    def ask(self) -> None:
        self.connection.codec.send_request("GET", "/", [["Host", "a"]], body=False)

    async def failure(self) -> tuple[str, str]:
        try:
            while True:
                await self.connection.receive(2.5)
        except UpstreamError as error:
            return error.code, str(error)


# ── the pool ───────────────────────────────────────────────────────────────────────────────────────


def test_an_idle_connection_is_taken_once() -> None:
    pool, made = Pool(), Made()
    pool.give("a", made.connection)
    assert pool.take("b") is None
    assert pool.take("a") is made.connection
    assert pool.take("a") is None
    assert made.pipe.closed == 0


def test_the_connection_that_was_given_last_is_taken_first() -> None:
    pool, first, second = Pool(), Made(), Made()
    pool.give("a", first.connection)
    pool.give("a", second.connection)
    assert [pool.take("a"), pool.take("a")] == [second.connection, first.connection]


def test_a_connection_that_has_ended_meanwhile_is_not_given_out() -> None:
    pool, good, ended = Pool(), Made(), Made()
    pool.give("a", good.connection)
    pool.give("a", ended.connection)
    ended.pipe.alive = False
    assert pool.take("a") is good.connection
    assert (ended.pipe.closed, ended.forgotten) == (1, [ended.connection])


def test_an_idle_connection_ends_with_its_server() -> None:
    pool, made = Pool(), Made()
    pool.give("a", made.connection)
    made.pipe.end()
    assert (made.pipe.closed, made.forgotten) == (1, [made.connection])
    assert pool.take("a") is None


def test_a_connection_in_use_is_left_to_its_user() -> None:
    pool, made = Pool(), Made()
    pool.give("a", made.connection)
    pool.take("a")
    made.pipe.end()
    assert made.pipe.closed == 0


def test_a_connection_with_an_open_request_is_not_kept() -> None:
    pool, made = Pool(), Made()
    made.ask()
    pool.give("a", made.connection)
    assert pool.take("a") is None
    assert made.pipe.closed == 1


def test_a_connection_that_was_closed_is_not_kept() -> None:
    pool, made = Pool(), Made()
    made.connection.close()
    assert not made.connection.reusable
    pool.give("a", made.connection)
    assert pool.take("a") is None
    assert (made.pipe.closed, len(made.forgotten)) == (1, 1)


def test_when_the_client_goes_so_do_its_connections() -> None:
    pool, early, late = Pool(), Made(), Made()
    pool.give("a", early.connection)
    pool.close()
    assert (early.pipe.closed, early.forgotten) == (1, [early.connection])
    pool.give("a", late.connection)
    assert late.pipe.closed == 1
    assert pool.take("a") is None


def test_a_connection_is_forgotten_once() -> None:
    made = Made()
    made.connection.close()
    made.connection.close()
    assert (made.pipe.closed, len(made.forgotten)) == (1, 1)


# ── one connection ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_the_parts_of_an_answer_come_as_they_complete() -> None:
    made = Made(ANSWER[:10], ANSWER[10:])
    made.ask()
    assert await made.connection.receive(1) == []
    response, *rest = await made.connection.receive(1)
    assert isinstance(response, Response)
    assert rest == [Data(b"ok"), End()]
    assert made.connection.reusable
    made.pipe.alive = False
    assert not made.connection.reusable


@pytest.mark.anyio
async def test_a_body_may_end_with_the_connection() -> None:
    made = Made(b"HTTP/1.1 200 OK\r\n\r\nok", anyio.EndOfStream())
    made.ask()
    await made.connection.receive(1)
    assert await made.connection.receive(1) == [End()]
    assert not made.connection.reusable


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        ((anyio.EndOfStream(),), "ECONNRESET", "it closed the connection without an answer (socket hang up)"),
        ((ANSWER[:5], anyio.EndOfStream()), "ECONNRESET", "it closed the connection in the middle of its answer"),
        ((ANSWER[:-1], anyio.EndOfStream()), "ECONNRESET", "it closed the connection in the middle of its answer"),
        ((b"SSH-2.0",), "HPE_INVALID_CONSTANT", "its answer is not HTTP/1 (HPE_INVALID_CONSTANT)"),
        ((anyio.BrokenResourceError(),), "ECONNRESET", "the connection was reset"),
        (
            (TlsError("tlsv1 alert internal error"),),
            "EPROTO",
            "TLS failed: tlsv1 alert internal error (SSL alert number 80)",
        ),
        ((TimeoutError(),), "ETIMEDOUT", "no answer within 2.5s"),
        ((ANSWER[:5], TimeoutError()), "ETIMEDOUT", "no more of its answer within 2.5s"),
        ((ANSWER[:-1], TimeoutError()), "ETIMEDOUT", "no more of its answer within 2.5s"),
    ],
)
async def test_whatever_happens_is_told_as_the_servers_failure(
    said: tuple[bytes | Exception, ...], code: str, text: str
) -> None:
    made = Made(*said)
    made.ask()
    assert await made.failure() == (code, text)
    assert not made.connection.reusable
    assert made.pipe.unexpired == (code == "ETIMEDOUT")


@pytest.mark.anyio
async def test_a_deadline_holds_while_something_is_waited_for() -> None:
    made = Made(ANSWER[:5], ANSWER[5:])
    made.ask()
    assert made.connection.deadline == math.inf
    before = clock.now()
    made.connection.allow(2)
    assert before + 2000 <= made.connection.deadline <= clock.now() + 2000
    await made.connection.receive(1)
    assert made.connection.deadline == math.inf


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "code"), [(anyio.BrokenResourceError(), "ECONNRESET"), (TlsError("bad length"), "EPROTO")]
)
@pytest.mark.parametrize("seconds", [None, 1])
async def test_a_write_that_fails_is_the_servers_failure(error: Exception, code: str, seconds: float | None) -> None:
    made = Made()
    made.pipe.send_error = error
    with pytest.raises(UpstreamError) as caught:
        await made.connection.send(b"x", seconds)
    assert caught.value.code == code


@pytest.mark.anyio
async def test_a_server_that_takes_nothing_has_so_long() -> None:
    made = Made()
    made.pipe.stuck = True
    with pytest.raises(UpstreamError, match=r"it has taken no data for 0\.01s") as caught:
        await made.connection.send(b"x", 0.01)
    assert caught.value.code == "ETIMEDOUT"
    made.pipe.stuck = False
    await made.connection.send(b"y", 1)
    await made.connection.send(b"z")
    assert made.pipe.sent == [b"y", b"z"]
