"""What a server may say so that two readers see different answers in it.

A client asks twice on one connection. Whatever the server says to the first request, the second gets its own answer or
an error, never what was said before; and what no two readers would understand alike is not passed on at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

INNER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = "broken off"

# Name → method of the first request, what the server says to it, and its status and body for the client, 502 or BROKEN.
CASES: dict[str, tuple[str, bytes, tuple[int, bytes] | int | str]] = {
    # more than was asked for
    "an answer behind the answer": ("GET", OK + b"Content-Length: 2\r\n\r\nok" + INNER, (200, b"ok")),
    "an answer behind chunks": ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + INNER, (200, b"ok")),
    "an answer behind HEAD": ("HEAD", OK + b"Content-Length: 64\r\n\r\n" + INNER, (200, b"")),
    "an answer behind a 204": ("GET", b"HTTP/1.1 204 No\r\nContent-Length: 44\r\n\r\n" + INNER, (204, b"")),
    "an answer behind a 204 with chunks": ("GET", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n" + INNER, (204, b"")),
    "an answer behind a 304": ("GET", b"HTTP/1.1 304 Not\r\nContent-Length: 44\r\n\r\n" + INNER, (304, b"")),
    "a body longer than its length": ("GET", OK + b"Content-Length: 2\r\n\r\nokand more", (200, b"ok")),
    "a CRLF behind the answer": ("GET", OK + b"Content-Length: 2\r\n\r\nok\r\n", (200, b"ok")),
    # lengths
    "both lengths": ("GET", OK + b"Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", (200, b"ok")),
    "both lengths, the other order": ("GET", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", (200, b"ok")),
    "lengths that differ": ("GET", OK + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\nok", 502),
    "a list of lengths that differ": ("GET", OK + b"Content-Length: 2, 0\r\n\r\nok", 502),
    "the same length twice": ("GET", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
    "a length with a sign": ("GET", OK + b"Content-Length: +2\r\n\r\nok", 502),
    "a negative length": ("GET", OK + b"Content-Length: -2\r\n\r\nok", 502),
    "an empty length": ("GET", OK + b"Content-Length:\r\n\r\nok", 502),
    "a length too large": ("GET", OK + b"Content-Length: 18446744073709551618\r\n\r\nok", 502),
    "a length above 63 bits": ("GET", OK + b"Content-Length: 9223372036854775810\r\n\r\nok", 502),
    "a length with a no-break space": ("GET", OK + b"Content-Length: 2\xa0\r\n\r\nok", 502),
    "a length with zeros": ("GET", OK + b"Content-Length: 002\r\n\r\nok", (200, b"ok")),
    # codings
    "an unknown coding": ("GET", OK + b"Transfer-Encoding: cow\r\n\r\nok", 502),
    "identity": ("GET", OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 502),
    "chunks not last": ("GET", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 502),
    "chunks twice": ("GET", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
    "a coding with a vertical tab": ("GET", OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 502),
    "a coding with a space before the colon": ("GET", OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 502),
    "chunks in HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", (200, b"ok")),
    "a chunk size with garbage": ("GET", CHUNKED + b"2x\r\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk size with a sign": ("GET", CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk size too large": ("GET", CHUNKED + b"10000000000000002\r\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk with a bare LF": ("GET", CHUNKED + b"2\nok\r\n0\r\n\r\n", (200, b"ok")),
    "chunks with bare LFs alone": ("GET", CHUNKED + b"2\nok\n0\n\n", (200, b"ok")),
    "a chunk extension with a bare LF": ("GET", CHUNKED + b"2;a\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk extension with two ends": ("GET", CHUNKED + b"2;a\n\r\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk size with blanks behind": ("GET", CHUNKED + b"0002  \r\nok\r\n0\r\n\r\n", (200, b"ok")),
    "a chunk size with a blank before": ("GET", CHUNKED + b" 2\r\nok\r\n0\r\n\r\n", BROKEN),
    "a chunk with a bare CR behind": ("GET", CHUNKED + b"2\r\nok\r0\r\n\r\n", BROKEN),
    "a trailer that frames, with a blank": ("GET", CHUNKED + b"2\r\nok\r\n0\r\nContent-Length : 44\r\n\r\n", BROKEN),
    "a chunk that goes on": ("GET", CHUNKED + b"2\r\nokk0\r\n\r\n", BROKEN),
    "chunk extensions": ("GET", CHUNKED + b"2;a=b\r\nok\r\n0;x\r\n\r\n", (200, b"ok")),
    "trailers that frame": ("GET", CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 44\r\nTransfer-Encoding: cow\r\n\r\n", (200, b"ok")),
    "a folded trailer": ("GET", CHUNKED + b"2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n", BROKEN),
    # lines
    "a folded field": ("GET", OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
    "a folded length": ("GET", OK + b"Content-Length:\r\n 2\r\n\r\nok", 502),
    "a folded coding": ("GET", OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 502),
    "a fold that looks like a length": ("GET", OK + b"X: a\r\n Content-Length: 0\r\nContent-Length: 2\r\n\r\nok", 502),
    "a fold that looks like a coding": ("GET", OK + b"X: a\r\n\tTransfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\nok", 502),
    "a fold of blanks": ("GET", OK + b"X: a\r\n  \r\nContent-Length: 2\r\n\r\nok", 502),
    "a folded first line": ("GET", OK + b" X: a\r\nContent-Length: 2\r\n\r\nok", 502),
    "a length with a space before the colon": ("GET", OK + b"Content-Length : 2\r\n\r\nok", 502),
    "a length with another sign in its name": ("GET", OK + b"Content@Length: 0\r\nContent-Length: 2\r\n\r\nok", 502),
    "a name with a NUL": ("GET", OK + b"X\0: a\r\nContent-Length: 2\r\n\r\nok", 502),
    "a name with a blank behind": ("GET", OK + b"X : a\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
    "a name that is none": ("GET", OK + b"X@Y: a\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
    "a control character in a value": ("GET", OK + b"X: a\x01b\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
    "an empty line before, and an answer behind": ("GET", b"\r\n" + OK + b"Content-Length: 2\r\n\r\nok" + INNER, (200, b"ok")),
    "a bare CR in a value": ("GET", OK + b"X: a\rContent-Length: 0\r\nContent-Length: 2\r\n\r\nok", 502),
    "a NUL in a value": ("GET", OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok", 502),
    "a field without a colon": ("GET", OK + b"X\r\nContent-Length: 2\r\n\r\nok", 502),
    "lines that end in LF": ("GET", OK.replace(b"\r", b"") + b"Content-Length: 2\n\nok", (200, b"ok")),
    "a bare CR in the reason": ("GET", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok", 502),
    "another protocol": ("GET", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
    "a status of four digits": ("GET", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", 502),
    "a switch that nobody asked for": ("GET", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + INNER, 502),
    # 1xx
    "a 100 with a length": ("GET", b"HTTP/1.1 100 Continue\r\nContent-Length: 44\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", (200, b"ok")),
    "a 103": ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", (200, b"ok")),
    "a 103 that frames": ("GET", b"HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\nContent-Length: 44\r\nConnection: close\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", (200, b"ok")),
    "a flood of 1xx": ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20_000 + OK + b"Content-Length: 2\r\n\r\nok", 502),
}  # fmt: skip
VICTIM = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nvictim"


@pytest.fixture(scope="module")
def run(shared_recorder: Make) -> Any:
    return shared_recorder("version: 1\nupstream: {timeouts: {head: 5s, bodyIdle: 5s}}\nrules: [{then: passthrough}]\n")


def saying(first: bytes) -> Callable[[Any], None]:
    """A server that says this to the first request, and its due to the second, on whatever connection it comes."""

    def serve(connection: Any) -> None:
        while (received := connection.request()) is not None:
            connection.send(VICTIM if received.target == "/victim" else first)

    return serve


@pytest.mark.parametrize("name", CASES)
def test_the_next_request_gets_its_own_answer(run: Any, upstream: Make, client: Make, name: str) -> None:
    method, said, expected = CASES[name]
    server = upstream(serve=saying(said))
    asking = client(run.port)
    asking.send(f"{method} /first HTTP/1.1\r\nHost: {server.authority}\r\n\r\n")
    if expected == BROKEN:
        # The length is told by chunks, so the end of the connection is not taken for the end of the body.
        rest = asking.rest()
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and b"chunked" in rest and not rest.endswith(b"0\r\n\r\n")
        asking = client(run.port)
    else:
        answered = asking.answer(method)
        if expected == 502:
            assert answered.status == 502
        else:
            assert (answered.status, answered.body) == expected
            assert answered.trailers == b""
            framing = [name for name, _ in answered.fields if name.lower() in ("content-length", "transfer-encoding")]
            assert len(framing) <= 1
        for interim in answered.interim:
            assert b"content-length" not in interim.lower() and b"connection" not in interim.lower()
        assert len(answered.interim) < 10_000
    asking.send(f"GET /victim HTTP/1.1\r\nHost: {server.authority}\r\nConnection: close\r\n\r\n")
    assert asking.answer().body == b"victim"
    assert asking.rest() == b""


def test_what_comes_between_two_requests_is_no_answer(run: Any, upstream: Make, client: Make) -> None:
    """The server waits until the first answer has been taken, and speaks unasked."""
    taken, spoken = threading.Event(), threading.Event()

    def serve(connection: Any) -> None:
        while (received := connection.request()) is not None:
            if received.target != "/first":
                connection.send(VICTIM)
                continue
            connection.send(OK + b"Content-Length: 2\r\n\r\nok")
            connection.wait(taken)
            connection.send(INNER)
            spoken.set()
            assert not connection.more(), "a request on a connection that speaks unasked"
            return

    server = upstream(serve=serve)
    asking = client(run.port)
    head = f" HTTP/1.1\r\nHost: {server.authority}\r\n\r\n"
    assert asking.ask("GET /first" + head).body == b"ok"
    taken.set()
    assert spoken.wait(20)
    client(run.port).ask("GET /another" + head)  # what came before it has been read by now
    assert asking.ask("GET /victim" + head).body == b"victim"
    assert server.accepted == 3


@pytest.mark.parametrize(
    "reply",
    [
        'headers: {x-said: "{{ request.query.x }}"}, body: ok',
        'statusMessage: "{{ request.query.x }}", body: ok',
    ],
)
def test_a_template_cannot_split_an_answer(recorder: Make, client: Make, reply: str) -> None:
    rules = f"version: 1\nrules: [{{then: {{reply: {{template: true, {reply}}}}}}}]\n"
    run = recorder(rules)
    asking = client(run.port)
    inner = "a%0d%0aContent-Length:%200%0d%0a%0d%0aHTTP/1.1%20200%20OK%0d%0aX:%20smuggled"
    asking.send(f"GET /?x={inner} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    rest = asking.rest()
    assert b"smuggled" not in rest.lower().partition(b"\r\n\r\n")[0]
    assert rest.count(b"HTTP/1.1 ") <= 1
    session = run.stop()
    assert session.code == 0


def test_the_log_keeps_its_guarantees(run: Any) -> None:
    assert run.stop().code == 0
