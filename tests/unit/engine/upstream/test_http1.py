"""One HTTP/1 connection to a server, and what becomes of its faults; the pipes only remember."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from mockrec.engine import clock
from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.wire.parts import Data, End, ResponsePart

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Make = Callable[..., Any]


@pytest.mark.anyio
async def test_the_parts_of_an_answer_come_as_they_complete(make: Make) -> None:
    made = make(ANSWER[:10], ANSWER[10:])
    made.ask()
    assert await made.connection.receive(1) == []
    response, *rest = await made.connection.receive(1)
    assert isinstance(response, ResponsePart)
    assert rest == [Data(b"ok"), End()]
    assert made.connection.reusable
    made.pipe.alive = False
    assert not made.connection.reusable


@pytest.mark.anyio
async def test_a_body_may_end_with_the_connection(make: Make) -> None:
    made = make(b"HTTP/1.1 200 OK\r\n\r\nok", anyio.EndOfStream())
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
        (
            (b"SSH-2.0",),
            "HPE_INVALID_CONSTANT",
            "its answer is not HTTP/1: it begins with 'SSH-2.0', which is no status line",
        ),
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
    make: Make, said: tuple[bytes | Exception, ...], code: str, text: str
) -> None:
    made = make(*said)
    made.ask()
    assert await made.failure() == (code, text)
    assert not made.connection.reusable
    assert made.pipe.unexpired == (code == "ETIMEDOUT")


@pytest.mark.anyio
async def test_a_deadline_holds_while_something_is_waited_for(make: Make) -> None:
    made = make(ANSWER[:5], ANSWER[5:])
    made.ask()
    assert made.connection.deadline == math.inf
    before = clock.now()
    made.connection.set_deadline(2)
    assert before + 2000 <= made.connection.deadline <= clock.now() + 2000
    await made.connection.receive(1)
    assert made.connection.deadline == math.inf


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "code"), [(anyio.BrokenResourceError(), "ECONNRESET"), (TlsError("bad length"), "EPROTO")]
)
@pytest.mark.parametrize("seconds", [None, 1])
async def test_a_write_that_fails_is_the_servers_failure(
    make: Make, error: Exception, code: str, seconds: float | None
) -> None:
    made = make()
    made.pipe.send_error = error
    with pytest.raises(UpstreamError) as caught:
        await made.connection.send(b"x", seconds)
    assert caught.value.code == code


@pytest.mark.anyio
async def test_a_server_that_takes_nothing_has_so_long(make: Make) -> None:
    made = make()
    made.pipe.stuck = True
    with pytest.raises(UpstreamError, match=r"it has taken no data for 0\.01s") as caught:
        await made.connection.send(b"x", 0.01)
    assert caught.value.code == "ETIMEDOUT"
    made.pipe.stuck = False
    await made.connection.send(b"y", 1)
    await made.connection.send(b"z")
    assert made.pipe.sent == [b"y", b"z"]
