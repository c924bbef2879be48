"""Servers that fail: what the client gets, what the log says, and that nothing hangs or is left open."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

Start = Callable[..., Any]
Make = Callable[..., Any]
Wait = Callable[..., None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RULES = """\
version: 1
upstream: {timeouts: {connect: 2s, head: 1s, bodyIdle: 1s}, simulateConnectionErrors: %s}
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
    "no colon": (b"HTTP/1.1 200 OK\r\nX\r\n\r\n", "hang", "HPE_INVALID_HEADER_TOKEN"),
    "NUL in a header": (b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "hang", "HPE_INVALID_HEADER_TOKEN"),
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


def told_by(session: Any, identity: str) -> dict[str, Any]:
    return {
        record["eventType"]: record["eventData"] for record in session.of(identity) if record["type"] == "rule-event"
    }


def test_before_the_answer_it_is_a_502(recorder: Start, upstream: Make, client: Make) -> None:
    run = recorder(RULES % "false")
    codes = {}
    for data, end, code in BEFORE.values():
        server = upstream(serve=serving(data, end))
        codes[f"{server.url}/x"] = code
        got = client(run.port).get(f"{server.url}/x")
        assert got.status_line == "HTTP/1.1 502 Error communicating with upstream server"
        assert got.text.startswith(f"Error communicating with upstream server http://127.0.0.1:{server.port}: ")
        assert got.text.endswith(f" [{code}]\n")
    session = run.stop()
    responses = session.by_type("response")
    assert len(responses) == len(BEFORE)
    for record in responses:
        tags = [f"passthrough-error:{codes[record['url']]}"]
        assert record["tags"] == tags
        abort = told_by(session, record["id"])["passthrough-abort"]
        assert abort["error"]["code"] == codes[record["url"]]
        assert abort["downstreamAborted"] is False
        assert abort["tags"] == tags


def show_the_same(said: Any, log: Any, url: str, end: str, code: str, eventually: Wait) -> bytes:
    """What the client gets of a server that fails like this, up to the same end; the log has the reason first."""
    if code == "ETIMEDOUT":
        eventually(lambda: any('"abort"' in line and url in line for line in log.read_text().splitlines()), "the abort")
        said.sock.setblocking(False)
        received = b""
        try:
            while data := said.sock.recv(65536):
                received += data
        except BlockingIOError:
            return received
        pytest.fail("the connection has ended")
    if end == "close":
        data: bytes = said.rest()
        return data
    with pytest.raises(ConnectionResetError):
        said.rest()
    data = said.buffer
    return data


@pytest.mark.parametrize("way", ["rule file", "option"])
def test_or_the_same_where_that_is_to_be_shown(
    recorder: Start, upstream: Make, client: Make, eventually: Wait, way: str
) -> None:
    run = recorder(RULES % "true") if way == "rule file" else recorder(RULES % "false", "--transparent")
    codes = {}
    for data, end, code in BEFORE.values():
        server = upstream(serve=serving(data, end))
        codes[f"{server.url}/x"] = code
        said = client(run.port)
        said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert show_the_same(said, run.log, server.url, end, code, eventually) == b""
    session = run.stop()
    assert session.by_type("response") == []
    aborts = session.by_type("abort")
    assert len(aborts) == len(BEFORE)
    for record in aborts:
        assert record["error"]["code"] == codes[record["url"]]
        assert record["error"]["message"].startswith("Upstream connection error: ")
        assert record["tags"] == [f"passthrough-error:{codes[record['url']]}"]


@pytest.mark.parametrize("simulate", ["false", "true"])
def test_within_a_body_the_body_breaks_off(
    recorder: Start, upstream: Make, client: Make, eventually: Wait, simulate: str
) -> None:
    run = recorder(RULES % simulate)
    codes = {}
    for data, end, code in WITHIN.values():
        server = upstream(serve=serving(data, end))
        codes[f"{server.url}/x"] = code
        said = client(run.port)
        said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\n\r\n")
        if simulate == "true":
            shown = "close" if code.startswith("HPE_") else end
            received = show_the_same(said, run.log, server.url, shown, code, eventually)
            assert received.startswith(b"HTTP/1.1 200 OK\r\n") or end == "reset"  # a reset may overtake what was sent
        else:
            received = said.rest()
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"some" in received
            assert not received.endswith(b"0\r\n\r\n")
    session = run.stop()
    aborts = session.by_type("abort")
    assert len(aborts) == len(WITHIN)
    for record in aborts:
        assert record["error"]["code"] == codes[record["url"]]
        assert record["response"]["body"]["text"] == "some"
        assert record["response"]["body"]["incomplete"] is True
        assert told_by(session, record["id"])["passthrough-abort"]["error"]["code"] == codes[record["url"]]


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_real_clients_notice_a_body_that_breaks_off(recorder: Start, upstream: Make, library: str) -> None:
    run = recorder(RULES % "false")
    for data, end, _ in WITHIN.values():
        url = upstream(serve=serving(data, end)).url
        if library == "httpx":
            with httpx.Client(proxy=run.url, trust_env=False) as session, pytest.raises(httpx.RemoteProtocolError):
                session.get(url)
        else:
            with requests.Session() as session:
                session.trust_env = False
                session.proxies = {"http": run.url}
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    session.get(url)
    run.stop()


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


def test_what_cannot_be_reached_is_a_reset_where_that_is_to_be_shown(
    recorder: Start, upstream: Make, client: Make, pki: Any, eventually: Wait
) -> None:
    run = recorder(RULES % "true")
    server = upstream(tls=pki.server(self_signed=True))
    urls = ["http://127.0.0.1:1/", "http://nope.invalid/", f"{server.url}/"]
    before = run.descriptors
    for url in urls:
        said = client(run.port)
        said.send(f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            said.rest()
    eventually(lambda: run.descriptors <= before)
    aborts = run.stop().by_type("abort")
    assert [record["url"] for record in aborts] == urls
    codes = [record["error"]["code"] for record in aborts]
    assert codes[0] == "ECONNREFUSED"
    assert codes[1] in ("ENOTFOUND", "EAI_AGAIN")
    assert codes[2] == "DEPTH_ZERO_SELF_SIGNED_CERT"
    assert [record["tags"] for record in aborts] == [[f"passthrough-error:{code}"] for code in codes]


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
    assert got.text.endswith("it has taken no data for 1s [ETIMEDOUT]\n")
    sender.join(20)
    assert not sender.is_alive()
    assert run.stop().one("request")["body"]["size"] == size


CERTIFICATES = {
    "expired": ({"days": (-10, -5)}, "CERT_HAS_EXPIRED"),
    "not yet valid": ({"days": (5, 10)}, "CERT_NOT_YET_VALID"),
    "self-signed": ({"self_signed": True}, "DEPTH_ZERO_SELF_SIGNED_CERT"),
    "foreign": ({"foreign": True}, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
}


def test_certificates_that_are_not_good(recorder: Start, upstream: Make, client: Make, pki: Any) -> None:
    options = f"upstream: {{trustedCAs: ['{pki.ca}']}}"
    run = recorder(
        f"version: 1\n{options}\nrules:\n  - {{when: {{path: /strict}}, then: passthrough}}\n"
        "  - {when: {path: /all}, then: {passthrough: {ignoreTlsErrors: true}}}\n"
        "  - {when: {path: /one}, then: {passthrough: {ignoreTlsErrors: ['127.0.0.1']}}}\n"
        "  - {when: {path: /other}, then: {passthrough: {ignoreTlsErrors: [localhost]}}}\n"
    )
    codes = []
    for name in (*CERTIFICATES, "wrong name"):
        issued, code = CERTIFICATES.get(name, ({}, "ERR_TLS_CERT_ALTNAME_INVALID"))
        server = upstream(tls=pki.server(*(["other.test"] if name == "wrong name" else []), **issued))
        for path in ("/strict", "/other"):
            got = client(run.port).get(f"{server.url}{path}")
            assert got.status == 502, got.text
            assert got.text.startswith(
                f"Error communicating with upstream server {server.url}: its certificate"
            ) or code.startswith("UNABLE")
            assert got.text.endswith(f"[{code}]\n")
            codes.append(code)
        # And the same server where nobody looks.
        for path in ("/all", "/one"):
            assert client(run.port).get(f"{server.url}{path}").text == "ok"
    records = [record for record in run.stop().by_type("response") if record["statusCode"] == 502]
    assert [record["tags"] for record in records] == [[f"passthrough-error:{code}"] for code in codes]


def test_what_the_command_line_trusts_steps_trust_too(
    recorder: Start, upstream: Make, client: Make, pki: Any, tmp_path: Path
) -> None:
    own, key = pki.issue("127.0.0.1", issuer=None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    servers = {"/": upstream(tls=context), "/own": upstream(tls=pki.server())}
    rules = f"rules: [{{when: {{path: /own}}, then: {{passthrough: {{trustedCAs: ['{pki.ca}']}}}}}}]"
    run = recorder(f"version: 1\nunmatched: passthrough\n{rules}\n", "--trust", own)
    said = client(run.port)
    for path, server in servers.items():
        assert said.get(f"{server.url}{path}").status == 200
    assert said.get(f"{servers['/'].url}/own").status == 200
    assert said.get(f"{servers['/own'].url}/").status == 502
    run.stop()


def test_a_server_without_tls(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(serve=serving(b"", "close"))
    run = recorder((RULES % "false").replace("connect: 2s", "connect: 300ms"))
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
        for _ in range(2):
            said = client(run.port)
            said.send(f"GET {server.url}/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            said.rest()
            said.leave()
    eventually(lambda: run.descriptors <= before, "descriptors are left open")
    session = run.stop()
    assert len(session.by_type("response")) + len(session.by_type("abort")) == 1 + 2 * len(faults)


# ── servers that take their time ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_a_server_that_promises_more_and_hangs(recorder: Start, upstream: Make, client: Make, interim: bytes) -> None:
    begun = threading.Event()

    def serve(connection: Any) -> None:
        connection.head()
        begun.set()
        connection.exactly(4)
        connection.send(interim)
        connection.hang()

    server = upstream(serve=serve)
    run = recorder(RULES % "false")
    said = client(run.port)
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nda")
    assert begun.wait(20)
    said.send("ta")
    got = said.answer("POST")
    assert got.status == 502
    assert got.text.endswith("no answer within 1s [ETIMEDOUT]\n")
    run.stop()


WHOLE = """\
version: 1
upstream: {timeouts: {head: 300ms, bodyIdle: 300ms}}
rules:
  - {when: {path: /waited}, then: [waitForBody, passthrough]}
  - {when: {path: /file}, then: {passthrough: {request: {file: big.bin}}}}
"""


@pytest.mark.parametrize("path", ["waited", "file"])
def test_a_server_that_does_not_read_a_whole_body(
    recorder: Start, upstream: Make, client: Make, eventually: Wait, tmp_path: Any, path: str
) -> None:
    body = b"x" * 12_000_000
    (tmp_path / "big.bin").write_bytes(body)
    leave = threading.Event()

    def serve(connection: Any) -> None:
        connection.head()
        leave.wait(20)

    server = upstream(serve=serve)
    run = recorder(WHOLE)
    assert client(run.port).get("http://127.0.0.1:1/waited").status == 502
    before = run.descriptors
    said = client(run.port)
    said.send(f"POST {server.url}/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n")
    said.send(body)
    got = said.answer("POST")
    assert got.status == 502
    assert "[ETIMEDOUT]" in got.text
    said.leave()
    eventually(lambda: run.descriptors <= before, "what the server does not read keeps its connection open")
    leave.set()
    run.stop()


@pytest.mark.parametrize("path", ["waited", "file"])
def test_a_server_that_answers_while_it_is_told_a_whole_body(
    recorder: Start, upstream: Make, client: Make, tmp_path: Any, path: str
) -> None:
    """An echo: it reads no further until what it has said is read."""
    body = bytes(range(256)) * 40_000
    (tmp_path / "big.bin").write_bytes(body)

    def serve(connection: Any) -> None:
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        left = len(body)
        while left:
            piece = connection.exactly(min(left, 100_000))
            connection.send(piece)
            left -= len(piece)

    server = upstream(serve=serve)
    run = recorder(WHOLE)
    said = client(run.port)
    said.send(f"POST {server.url}/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n")
    said.send(body)
    got = said.answer("POST")
    assert (got.status, got.body == body) == (200, True)
    run.stop()


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_a_server_that_does_not_let_us_in(
    recorder: Start, upstream: Make, client: Make, eventually: Wait, protocol: str
) -> None:
    """http: its queue is full, so TCP does not come about; https: nobody says anything to our hello."""
    run = recorder((RULES % "false").replace("connect: 2s", "connect: 200ms"))
    said = client(run.port)
    assert said.get("http://127.0.0.1:1/").status == 502
    before = run.descriptors
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3 if protocol == "http" else 0)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        got = said.get(f"{protocol}://127.0.0.1:{port}/")
        for filler in fillers:
            filler.close()
    assert got.status == 502
    assert got.text.endswith(f"{protocol}://127.0.0.1:{port}: no connection within 0.2s [ETIMEDOUT]\n")
    eventually(lambda: run.descriptors <= before)
    run.stop()


def test_a_server_that_does_not_read_a_short_request(
    recorder: Start, upstream: Make, client: Make, eventually: Wait
) -> None:
    """What is in the buffers when the time is up must not keep the connection open."""
    leave = threading.Event()

    def serve(connection: Any) -> None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        leave.wait(20)

    server = upstream(serve=serve)
    run = recorder(RULES % "false")
    said = client(run.port)
    assert said.get("http://127.0.0.1:1/").status == 502
    before = run.descriptors
    size = 6_000_000
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
    assert said.answer("POST").status == 502
    eventually(lambda: run.descriptors <= before)
    leave.set()
    run.stop()
