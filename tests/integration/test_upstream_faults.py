"""Servers that fail: what the client gets, what the log says, and that nothing hangs or is left open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]
Wait = Callable[..., None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RULES = """\
version: 1
upstream: {timeouts: {connect: 2s, head: 300ms, bodyIdle: 300ms}, simulateConnectionErrors: %s}
rules: [{id: on, then: passthrough}]
"""


def serving(data: bytes, end: str) -> Callable[[Any], None]:
    """A server that says this to the first request and ends."""

    def serve(connection: Any) -> None:
        if connection.request() is None:
            return
        connection.send(data)
        if end == "reset":
            connection.reset()
        elif end == "hang":
            connection.hang()

    return serve


# What the server does → the code of the fault.
BEFORE = {
    "closes at once": (b"", "close", "ECONNRESET"),
    "resets": (b"", "reset", "ECONNRESET"),
    "closes in its head": (b"HTTP/1.1 200 OK\r\nContent-", "close", "ECONNRESET"),
    "garbage": (b"220 mail.test ESMTP\r\n", "hang", "HPE_INVALID_CONSTANT"),
    "bad header": (b"HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n", "hang", "HPE_INVALID_HEADER_TOKEN"),
    "folded header": (b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n", "hang", "HPE_INVALID_HEADER_TOKEN"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "hang", "HPE_INVALID_CONTENT_LENGTH"),
    "unknown coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "hang", "HPE_INVALID_TRANSFER_ENCODING"),
    "unasked switch": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "hang", "HPE_UNEXPECTED_SWITCH"),
    "says nothing": (b"", "hang", "ETIMEDOUT"),
    "stops in its head": (b"HTTP/1.1 200 OK\r\n", "hang", "ETIMEDOUT"),
}  # fmt: skip
WITHIN = {
    "closes in a body by length": (HEAD + b"some", "close", "ECONNRESET"),
    "resets in a body by length": (HEAD + b"some", "reset", "ECONNRESET"),
    "closes in a chunked body": (CHUNKED + b"4\r\nsome\r\n", "close", "ECONNRESET"),
    "bad chunk": (CHUNKED + b"4\r\nsome\r\nzz\r\n", "hang", "HPE_INVALID_CHUNK_SIZE"),
    "stops in its body": (HEAD + b"some", "hang", "ETIMEDOUT"),
}


@pytest.mark.parametrize("name", BEFORE)
def test_before_the_answer_it_is_a_502(recorder: Start, upstream: Make, client: Make, name: str) -> None:
    data, end, code = BEFORE[name]
    server = upstream(serve=serving(data, end))
    run = recorder(RULES % "false")
    got = client(run.port).get(f"{server.url}/x")
    assert got.status_line == "HTTP/1.1 502 Error communicating with upstream server"
    assert got.text.startswith(f"Error communicating with upstream server http://127.0.0.1:{server.port}: ")
    assert got.text.endswith(f" [{code}]\n")
    session = run.stop()
    record = session.one("response")
    assert record["tags"] == [f"passthrough-error:{code}"]
    told = dict(session.told())
    assert told["passthrough-abort"]["error"]["code"] == code
    assert told["passthrough-abort"]["downstreamAborted"] is False
    assert told["passthrough-abort"]["tags"] == [f"passthrough-error:{code}"]


@pytest.mark.parametrize("name", BEFORE)
def test_or_a_reset_where_that_is_to_be_shown(recorder: Start, upstream: Make, client: Make, name: str) -> None:
    data, end, code = BEFORE[name]
    server = upstream(serve=serving(data, end))
    run = recorder(RULES % "true")
    said = client(run.port)
    said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        said.rest()
    session = run.stop()
    error = session.one("abort")["error"]
    assert error["code"] == code
    assert error["message"].startswith("Upstream connection error: ")
    assert session.one("abort")["tags"] == [f"passthrough-error:{code}"]
    assert session.by_type("response") == []


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("simulate", ["false", "true"])
def test_within_a_body_the_body_breaks_off(
    recorder: Start, upstream: Make, client: Make, name: str, simulate: str
) -> None:
    data, end, code = WITHIN[name]
    server = upstream(serve=serving(data, end))
    run = recorder(RULES % simulate)
    said = client(run.port)
    said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\n\r\n")
    if simulate == "true":
        with pytest.raises(ConnectionResetError):
            said.rest()
    else:
        received = said.rest()
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"some" in received
        assert not received.endswith(b"0\r\n\r\n")
    session = run.stop()
    record = session.one("abort")
    assert record["error"]["code"] == code
    assert record["response"]["body"]["text"] == "some"
    assert record["response"]["body"]["incomplete"] is True
    assert dict(session.told())["passthrough-abort"]["error"]["code"] == code


def test_a_body_that_ends_with_the_connection_is_reset_for_an_old_client(
    recorder: Start, upstream: Make, client: Make
) -> None:
    server = upstream(serve=serving(CHUNKED + b"4\r\nsome\r\n", "close"))
    run = recorder(RULES % "false")
    said = client(run.port)
    said.send(f"GET {server.url}/x HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):  # a FIN would look like the end
        said.rest()
    assert run.stop().one("abort")["error"]["code"] == "ECONNRESET"


def test_nobody_listens(recorder: Start, client: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        run = recorder(RULES % "false")
        got = client(run.port).get(f"http://127.0.0.1:{port}/")
        assert (got.status, got.text) == (
            502,
            f"Error communicating with upstream server http://127.0.0.1:{port}: the connection was refused [ECONNREFUSED]\n",
        )
    told = dict(run.stop().told())
    assert list(told) == ["passthrough-request-head", "passthrough-request-body", "passthrough-abort"]


def test_a_name_that_nobody_has(recorder: Start, client: Make) -> None:
    run = recorder(RULES % "false")
    got = client(run.port).get("http://nope.invalid/")
    assert got.status == 502
    assert "http://nope.invalid:80: " in got.text
    (tag,) = run.stop().one("response")["tags"]
    assert tag in ("passthrough-error:ENOTFOUND", "passthrough-error:EAI_AGAIN")


def test_a_server_that_does_not_read(recorder: Start, upstream: Make, client: Make) -> None:
    answered = threading.Event()

    def serve(connection: Any) -> None:
        connection.head()
        connection.wait(answered)

    def upload() -> None:
        try:
            said.send(b"x" * size)
        except OSError:
            pass  # nobody wants the rest

    size = 100_000_000  # more than all buffers on the way
    server = upstream(serve=serve)
    run = recorder(RULES % "false")
    said = client(run.port)
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
    sender = threading.Thread(target=upload)
    sender.start()
    got = said.answer("POST")
    answered.set()
    assert got.status == 502
    assert got.text.endswith("it has taken no data for 0.3s [ETIMEDOUT]\n")
    sender.join(20)
    assert not sender.is_alive()
    assert run.stop().one("request")["body"]["size"] == size


CERTIFICATES = {
    "expired": ({"days": (-10, -5)}, "CERT_HAS_EXPIRED"),
    "not yet valid": ({"days": (5, 10)}, "CERT_NOT_YET_VALID"),
    "self-signed": ({"self_signed": True}, "DEPTH_ZERO_SELF_SIGNED_CERT"),
    "foreign": ({"foreign": True}, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
}


@pytest.mark.parametrize("name", [*CERTIFICATES, "wrong name"])
def test_certificates_that_are_not_good(recorder: Start, upstream: Make, client: Make, pki: Any, name: str) -> None:
    options, code = CERTIFICATES.get(name, ({}, "ERR_TLS_CERT_ALTNAME_INVALID"))
    server = upstream(tls=pki.server(*(["other.test"] if name == "wrong name" else []), **options))
    rules = f"version: 1\nupstream: {{trustedCAs: ['{pki.ca}']}}\nrules: [{{id: on, then: passthrough}}, {{id: lax, then: passthrough}}]\n"
    run = recorder(rules)
    got = client(run.port).get(f"https://127.0.0.1:{server.port}/")
    assert got.status == 502, got.text
    assert got.text.endswith(f"[{code}]\n")
    assert run.stop().one("response")["tags"] == [f"passthrough-error:{code}"]
    # And the same server where nobody looks.
    run = recorder(rules.replace("trustedCAs", "ignoreTlsErrors: ['127.0.0.1'], trustedCAs"), out="lax.jsonl")
    assert client(run.port).get(f"https://127.0.0.1:{server.port}/").text == "ok"
    run.stop()


def test_a_server_without_tls(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(serve=serving(b"", "close"))
    run = recorder(RULES % "false")
    got = client(run.port).get(f"https://127.0.0.1:{server.port}/")
    assert got.status == 502
    run.stop()


def test_nothing_is_left_open(recorder: Start, upstream: Make, client: Make, eventually: Wait) -> None:
    faults = {**BEFORE, **WITHIN}
    servers = {name: upstream(serve=serving(data, end)) for name, (data, end, _) in faults.items()}
    run = recorder(RULES % "false")
    first = client(run.port)
    assert first.get("http://127.0.0.1:1/").status == 502
    before = run.descriptors
    for server in servers.values():
        for _ in range(3):
            said = client(run.port)
            said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            said.rest()
            said.leave()
    eventually(lambda: run.descriptors == before, "descriptors are left open")
    session = run.stop()
    assert len(session.by_type("response")) + len(session.by_type("abort")) == 1 + 3 * len(faults)
