"""Requests of HTTP/2 on their way to servers of HTTP/1: what frames carry must not become lines.

Each case is one stream, with a victim on the next one of the same connection, so that both go to the server on the
connection that is kept. The server reads more strictly than any; see `test_smuggling.py` for HTTP/1.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from hpack.hpack import Decoder, Encoder
from strict_server import Strict

Fields = list[tuple[bytes, bytes]]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIRST: Fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"{H}"), (b":path", b"/first")]
INNER = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
LENGTH = b"content-length"
REFUSED = None
EMPTY = b"POST /first HTTP/1.1"


def plus(*fields: tuple[bytes, bytes]) -> Fields:
    return [*FIRST, *fields]


def but(name: bytes, value: bytes | None) -> Fields:
    """The first request with another pseudo-header, or without it."""
    return [(key, value if key == name and value is not None else old) for key, old in FIRST if key != name or value]


# Name → fields, body (None: the stream ends with its head), trailers, and the body that is passed on, or REFUSED.
CASES: dict[str, tuple[Fields, bytes | None, Fields, bytes | None]] = {
    "H2.CL too short": (plus((LENGTH, b"0")), INNER, [], REFUSED),
    "H2.CL too long": (plus((LENGTH, b"100")), b"hello", [], REFUSED),
    "H2.CL without a body": (plus((LENGTH, b"44")), None, [], REFUSED),
    "H2.CL right": (plus((LENGTH, b"5")), b"hello", [], b"hello"),
    "no length": (FIRST, b"hello", [], b"hello"),
    "a request for a body": (FIRST, INNER, [], INNER),
    "the end of chunks for a body": (FIRST, b"0\r\n\r\n" + INNER, [], b"0\r\n\r\n" + INNER),
    "no body": (FIRST, None, [], b""),
    "lengths that differ": (plus((LENGTH, b"5"), (LENGTH, b"0")), b"hello", [], REFUSED),
    "the same length twice": (plus((LENGTH, b"5"), (LENGTH, b"5")), b"hello", [], REFUSED),
    "a list of lengths": (plus((LENGTH, b"5, 5")), b"hello", [], REFUSED),
    "a length with a sign": (plus((LENGTH, b"+5")), b"hello", [], REFUSED),
    "a length with CRLF": (plus((LENGTH, b"5\r\nx: y")), b"hello", [], REFUSED),
    "a length too large": (plus((LENGTH, b"9223372036854775813")), b"hello", [], REFUSED),
    "a length with zeros": (plus((LENGTH, b"0005")), b"hello", [], b"hello"),
    "H2.TE": (plus((b"transfer-encoding", b"chunked")), b"0\r\n\r\n" + INNER, [], REFUSED),
    "H2.TE in capitals": (plus((b"Transfer-Encoding", b"chunked")), b"0\r\n\r\n" + INNER, [], REFUSED),
    "H2.TE behind CRLF in a value": (plus((b"x", b"a\r\ntransfer-encoding: chunked")), b"0\r\n\r\n" + INNER, [], REFUSED),
    "H2.TE behind LF in a value": (plus((b"x", b"a\ntransfer-encoding: chunked")), b"0\r\n\r\n" + INNER, [], REFUSED),
    "H2.TE behind CRLF in a name": (plus((b"x: a\r\ntransfer-encoding", b"chunked")), b"0\r\n\r\n", [], REFUSED),
    "a request in a value": (plus((b"x", b"a\r\n\r\n" + INNER)), None, [], REFUSED),
    "a request in a name": (plus((b"x: a\r\n\r\n" + INNER, b"a")), None, [], REFUSED),
    "CR in a value": (plus((b"x", b"a\rb")), None, [], REFUSED),
    "NUL in a value": (plus((b"x", b"a\0b")), None, [], REFUSED),
    "a value with spaces around": (plus((b"x", b" a ")), None, [], REFUSED),
    "a colon in a name": (plus((b"transfer-encoding: chunked\r\nx", b"a")), None, [], REFUSED),
    "a colon at the end of a name": (plus((b"content-length:", b"5")), None, [], REFUSED),
    "a space in a name": (plus((b"content-length ", b"5")), None, [], REFUSED),
    "no name": (plus((b"", b"5")), None, [], REFUSED),
    "connection": (plus((b"connection", b"close")), None, [], REFUSED),
    "keep-alive": (plus((b"keep-alive", b"x")), None, [], REFUSED),
    "proxy-connection": (plus((b"proxy-connection", b"x")), None, [], REFUSED),
    "upgrade": (plus((b"upgrade", b"h2c")), None, [], REFUSED),
    "te": (plus((b"te", b"chunked")), None, [], REFUSED),
    "expect": (plus((b"expect", b"100-continue"), (LENGTH, b"5")), b"hello", [], b"hello"),
    "a method with spaces": (but(b":method", b"GET /smuggled HTTP/1.1\r\nx: y"), None, [], REFUSED),
    "a method with CRLF": (but(b":method", b"POST\r\nx"), None, [], REFUSED),
    "an empty method": (but(b":method", b""), None, [], REFUSED),
    "a path with spaces": (but(b":path", b"/first HTTP/1.1\r\nHost: a"), None, [], REFUSED),
    "a path with one space": (but(b":path", b"/first /x"), None, [], REFUSED),
    "a path with a tab": (but(b":path", b"/first\t/x"), None, [], REFUSED),
    "a path with CRLF": (but(b":path", b"/first\r\n\r\n" + INNER), None, [], REFUSED),
    "a path with NUL": (but(b":path", b"/first\0"), None, [], REFUSED),
    "a path above ASCII": (but(b":path", b"/first\xe9"), None, [], REFUSED),
    "a whole URL for a path": (but(b":path", b"http://evil.test/first"), None, [], REFUSED),
    "a relative path": (but(b":path", b"first"), None, [], REFUSED),
    "an asterisk for a path": (but(b":path", b"*"), None, [], REFUSED),
    "an empty path": (but(b":path", b""), None, [], REFUSED),
    "no path": (but(b":path", None), None, [], REFUSED),
    "no method": (but(b":method", None), None, [], REFUSED),
    "no scheme": (but(b":scheme", None), None, [], REFUSED),
    "a scheme with a URL": (but(b":scheme", b"http://evil.test/x?"), None, [], REFUSED),
    "an authority with a user": (but(b":authority", b"evil.test@{H}"), None, [], REFUSED),
    "an authority with a path": (but(b":authority", b"{H}/smuggled"), None, [], REFUSED),
    "an authority with CRLF": (but(b":authority", b"{H}\r\nx: y"), None, [], REFUSED),
    "an authority with a space": (but(b":authority", b"{H} evil.test"), None, [], REFUSED),
    "neither authority nor host": (but(b":authority", None), None, [], REFUSED),
    "a host alone": ([*but(b":authority", None), (b"host", b"{H}")], None, [], b""),
    "a host alone with a space": ([*but(b":authority", None), (b"host", b"{H} evil.test")], None, [], REFUSED),
    "a host that differs": (plus((b"host", b"evil.test")), None, [], b""),
    "two hosts": (plus((b"host", b"{H}"), (b"host", b"{H}")), None, [], REFUSED),
    "a host with a space": (plus((b"host", b"{H} x")), None, [], REFUSED),
    "two methods": (plus((b":method", b"GET")), None, [], REFUSED),
    "two paths": ([(b":path", b"/smuggled"), *FIRST], None, [], REFUSED),
    "two authorities": ([(b":authority", b"evil.test"), *FIRST], None, [], REFUSED),
    "a pseudo-header behind fields": ([*FIRST[:3], (b"x", b"y"), FIRST[3]], None, [], REFUSED),
    "an unknown pseudo-header": ([(b":smuggled", b"x"), *FIRST], None, [], REFUSED),
    "a status": ([(b":status", b"200"), *FIRST], None, [], REFUSED),
    "cookies in pieces": (plus((b"cookie", b"a=b"), (b"cookie", b"c=d")), None, [], b""),
    "trailers": (FIRST, b"hello", [(b"x-sum", b"1")], b"hello"),
    "trailers with a length": (FIRST, b"hello", [(LENGTH, b"44"), (b"host", b"evil.test")], b"hello"),
    "trailers with a coding": (FIRST, b"hello", [(b"transfer-encoding", b"chunked")], REFUSED),
    "trailers with CRLF": (FIRST, b"hello", [(b"x", b"a\r\n\r\n" + INNER)], REFUSED),
    "trailers with a pseudo-header": (FIRST, b"hello", [(b":path", b"/smuggled")], REFUSED),
    "trailers without a body": (FIRST, b"", [(b"x-sum", b"1")], b""),
}  # fmt: skip


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def said(name: str, host: bytes) -> bytes:
    """Preface, the case on stream 1, the victim on stream 3."""
    fields, body, trailers, _ = CASES[name]
    encoder = Encoder()

    def block(fields: Fields) -> bytes:
        return encoder.encode([(key, value.replace(b"{H}", host)) for key, value in fields])

    out = PREFACE + frame(4, 0, 0, b"") + frame(1, 4 | (body is None), 1, block(fields))
    if body is not None:
        out += frame(0, not trailers, 1, body)
    if trailers:
        out += frame(1, 5, 1, block(trailers))
    victim: Fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"{H}"), (b":path", b"/victim")]
    return out + frame(1, 5, 3, block(victim))


def heard_from(sock: socket.socket) -> tuple[int, dict[int, bytes]]:
    """What is answered until both streams are over: the status of the first (0: reset), and the bodies."""
    decoder, buffer, over = Decoder(), b"", set[int]()
    statuses, bodies = {1: 0, 3: 0}, {1: b"", 3: b""}
    while over != {1, 3}:
        data = sock.recv(65536)
        assert data, "the connection has ended"
        buffer += data
        while len(buffer) >= 9 and len(buffer) >= 9 + (size := int.from_bytes(buffer[:3], "big")):
            kind, flags, stream = buffer[3], buffer[4], int.from_bytes(buffer[5:9], "big")
            payload, buffer = buffer[9 : 9 + size], buffer[9 + size :]
            assert kind != 7, payload
            if kind == 1:
                fields = dict(decoder.decode(payload))
                statuses[stream] = int(fields[":status"])
            elif kind == 0:
                bodies[stream] += payload
            if kind == 3 or (kind in (0, 1) and flags & 1):
                over.add(stream)
    assert statuses[3] == 200
    return statuses[1], bodies


@pytest.fixture(scope="module")
def run(shared_recorder: Callable[..., Any]) -> Any:
    return shared_recorder("version: 1\nrules: [{then: passthrough}]\n")


@pytest.mark.parametrize("name", CASES)
def test_refused_or_unambiguous(run: Any, upstream: Callable[..., Any], name: str) -> None:
    strict = Strict()
    server = upstream(serve=strict.serve)
    with socket.create_connection(("127.0.0.1", run.port), 20) as sock:
        sock.sendall(said(name, server.authority.encode()))
        status, bodies = heard_from(sock)
    server.close()
    passed = CASES[name][3]
    assert strict.problems == []
    assert bodies[3] == b"GET /victim"
    if passed is REFUSED:
        assert status in (0, 502)
        assert strict.requests == [("GET", "/victim", b"")]
    else:
        assert status == 200 and bodies[1] == b"POST /first"
        assert sorted(strict.requests) == [("GET", "/victim", b""), ("POST", "/first", passed)]
        assert not any(one.broken_off for one in strict.connections)


def test_each_refusal_is_in_the_log(run: Any) -> None:
    session = run.stop()
    errors = [record["errorCode"] for record in session.by_type("client-error")]
    refused = [name for name, case in CASES.items() if case[3] is REFUSED]
    assert len(errors) == len(refused)
    assert set(errors) <= {"ERR_HTTP2_ERROR", "ERR_INVALID_URL"}
    targets = {record["path"] for record in session.by_type("request")}
    assert targets == {"/first", "/victim"}
