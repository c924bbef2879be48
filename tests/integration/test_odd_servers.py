"""Servers that break the rules and are understood all the same: what clients get, and what the log says was odd."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

Make = Callable[..., Any]

PASS = "version: 1\nrules: [{id: on, then: passthrough}]\n"
OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

# Target → what the server says, the field that the client gets, and the kinds in the log.
ANSWERS: dict[str, tuple[bytes, list[str] | None, list[str]]] = {
    "/plain": (OK + b"X-A: b\r\n" + TWO, ["X-A", "b"], []),
    "/folded": (OK + b"X-Fold: one\r\n two\r\n" + TWO, ["X-Fold", "one two"], ["folded-field"]),
    "/space-colon": (OK + b"X-Sp : v\r\n" + TWO, ["X-Sp", "v"], ["space-before-colon"]),
    "/odd-name": (OK + b"X@Y: v\r\n" + TWO, ["X@Y", "v"], ["odd-name"]),
    "/blank-name": (OK + b"HTTP 1/1 302: v\r\n" + TWO, ["HTTP 1/1 302", "v"], ["odd-name"]),
    "/control": (OK + b"X-Ctl: a\x01b\r\n" + TWO, ["X-Ctl", "a\x01b"], ["control-character"]),
    "/no-name": (OK + b": v\r\n" + TWO, None, ["empty-name"]),
    "/lf": (OK.replace(b"\r", b"") + b"Content-Length: 2\n\nok", None, ["bare-lf"]),
    "/lines-before": (b"\r\n" + OK + TWO, None, ["empty-lines"]),
    "/version": (b"HTTP/2 200\r\n" + TWO, None, ["status-line"]),
    "/length-twice": (OK + b"Content-Length: 2\r\n" + TWO, None, ["repeated-length"]),
    "/both": (OK + b"Content-Length: 9\r\n" + CHUNKED[len(OK) :] + b"2\r\nok\r\n0\r\n\r\n", None, ["both-lengths"]),
    "/chunk-pad": (CHUNKED + b"0002  \r\nok\r\n0\r\n\r\n", None, ["chunk-padded-size"]),
    "/chunk-lf": (CHUNKED + b"2\nok\n0\n\n", None, ["chunk-bare-lf"]),
    "/everything": (
        OK + b"X-Fold : a\x02\n\tb\r\n" + TWO,
        ["X-Fold", "a\x02 b"],
        ["bare-lf", "control-character", "space-before-colon", "folded-field"],
    ),
}


def test_odd_answers_are_repaired_tagged_and_kept(recorder: Make, upstream: Make, client: Make) -> None:
    server = upstream(lambda received: ANSWERS[received.target][0])
    run = recorder(PASS, "--upstream", server.url)
    asking = client(run.port)
    for target, (_, expected, _) in ANSWERS.items():
        answered = asking.get(target)
        assert (answered.status, answered.body) == (200, b"ok"), target
        given = [field for field in answered.fields if field[0] not in ("Content-Length", "Transfer-Encoding")]
        assert given == ([expected] if expected else []), target
    session = run.stop()
    ends = session.by_type("response")
    heads = [data for kind, data in session.told() if kind == "passthrough-response-head"]
    for end, head, (said, expected, kinds) in zip(ends, heads, ANSWERS.values(), strict=True):
        assert sorted(end["tags"]) == sorted(f"upstream-odd:{kind}" for kind in kinds)
        in_head = [kind for kind in kinds if not kind.startswith("chunk-")]
        raw = said[: len(said) - len(said.partition(b"ok")[2]) - 2].decode("latin-1") if in_head else None
        assert head.get("rawHead", "").rstrip("2\r\n") == (raw or "").rstrip("2\r\n")
        if expected:
            assert expected in end["rawHeaders"] and expected in head["rawHeaders"]


def test_an_odd_answer_that_comes_in_pieces_is_tagged_in_its_response(
    recorder: Make, upstream: Make, client: Make
) -> None:
    first = threading.Event()

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(CHUNKED + b"2 \nok")
        connection.wait(first)
        connection.send(b"\n0\nX-Sum : 1\n\n")

    run = recorder(PASS, "--upstream", upstream(serve=serve).url)
    asking = client(run.port)
    asking.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    asking.head()
    assert asking.until(b"ok\r\n")
    first.set()
    assert asking.until(b"0\r\n") + asking.until(b"\r\n\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"
    end = run.stop().one("response")
    assert set(end["tags"]) == {
        f"upstream-odd:{kind}" for kind in ("chunk-bare-lf", "chunk-padded-size", "space-before-colon")
    }
    assert end["rawTrailers"] == [["X-Sum", "1"]]


def test_odd_interim_responses_and_trailers_reach_clients_repaired(
    recorder: Make, upstream: Make, client: Make
) -> None:
    hints = b"HTTP/1.1 103 Early\r\nLink : </a>\r\nX@Y: v\r\nX-Ctl: a\x01b\r\n\r\n"
    body = b"2\r\nok\r\n0\r\nX@Y: v\r\nX-Ctl: a\x01b\r\nX-Sum : 1\r\n\r\n"
    run = recorder(PASS, "--upstream", upstream(lambda _: hints + CHUNKED + body).url)
    answered = client(run.port).get("/")
    assert answered.interim == [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Ctl: a b\r\n\r\n"]
    assert (answered.status, answered.body) == (200, b"ok")
    assert answered.trailers == b"X-Ctl: a b\r\nX-Sum: 1\r\n"
    end = run.stop().one("response")
    assert set(end["tags"]) == {
        f"upstream-odd:{kind}" for kind in ("space-before-colon", "odd-name", "control-character")
    }


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"Content-Length : 2\r\n\r\nok", "a field that frames is not written as it should be: 'Content-Length : 2'"),
        (b"X\r\n" + TWO, "the line 'X' has no colon"),
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "its Transfer-Encoding is 'gzip, chunked'"),
        (b"Content-Length: +2\r\n\r\nok", "its Content-Length is '+2'"),
    ],
)
def test_what_is_refused_is_explained_and_kept(
    recorder: Make, upstream: Make, client: Make, said: bytes, text: str
) -> None:
    run = recorder(PASS, "--upstream", upstream(lambda _: OK + said).url)
    answered = client(run.port).get("/")
    assert answered.status == 502 and text in answered.text
    session = run.stop()
    abort = dict(session.told())["passthrough-abort"]
    assert text in abort["error"]["message"]
    assert abort["rawHead"] == (OK + said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").decode()


def test_secrets_in_an_odd_head_are_redacted(recorder: Make, upstream: Make, client: Make) -> None:
    said = b"X-Odd : fine\r\nSet-Cookie : sid=topsecret1; Path=/\r\nAuthorization:\r\n Bearer topsecret2\r\n"
    run = recorder(PASS, "--upstream", upstream(lambda _: OK + said + TWO).url)
    answered = client(run.port).get("/")
    assert answered.headers["set-cookie"] == "sid=topsecret1; Path=/"
    session = run.stop()
    raw = dict(session.told())["passthrough-response-head"]["rawHead"]
    assert raw.startswith("HTTP/1.1 200 OK\r\nX-Odd : fine\r\nSet-Cookie : sid=") and "topsecret" not in raw
    assert not [record for record in session.records if "topsecret" in str(record)]


# ── HTTP/2 ─────────────────────────────────────────────────────────────────────────────────────────


def serving_http2(connection: Any) -> None:
    """A server whose fields have blanks around, and a name that is none."""
    config = h2.config.H2Configuration(
        client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    speaking = h2.connection.H2Connection(config)
    speaking.initiate_connection()
    connection.send(speaking.data_to_send())
    while data := connection.sock.recv(65536):
        for event in speaking.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                fields = [
                    (":status", "200"),
                    ("content-security-policy", "frame-ancestors 'none' "),
                    ("x@y", "\tv"),
                    ("x-ctl", "a\x01b"),
                ]
                speaking.send_headers(event.stream_id, fields)
                speaking.send_data(event.stream_id, b"ok", end_stream=True)
        connection.send(speaking.data_to_send())


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_odd_fields_of_http2(recorder: Make, upstream: Make, pki: Any) -> None:
    context = pki.server()
    context.set_alpn_protocols(["h2"])
    server = upstream(serve=serving_http2, tls=context)
    run = recorder(f"{PASS}upstream: {{ignoreTlsErrors: true}}\n", *pki.options)
    ran = subprocess.run(
        ["curl", "-s", "-S", "-i", "--http2", "-x", run.url, "--cacert", str(pki.ca), server.url],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    head, _, body = ran.stdout.split(b"\r\n\r\n", 1)[1].partition(b"\r\n\r\n")  # behind the tunnel's 200
    assert body == b"ok"
    # Libraries of HTTP/2 refuse the whole response for a name that is no token, and for a control character.
    assert head.splitlines()[1:] == [b"content-security-policy: frame-ancestors 'none'", b"x-ctl: a b"]
    session = run.stop()
    assert set(session.one("response")["tags"]) == {
        f"upstream-odd:{kind}" for kind in ("padded-value", "odd-name", "control-character")
    }
    told = dict(session.told())["passthrough-response-head"]
    assert (
        told["rawHead"]
        == ":status: 200\r\ncontent-security-policy: frame-ancestors 'none' \r\nx@y: \tv\r\nx-ctl: a\x01b\r\n"
    )


# ── connections ────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_that_says_close_gets_a_new_connection_each_time(recorder: Make, upstream: Make, client: Make) -> None:
    """The server closes as it was asked to, and does not say so."""

    def serve(connection: Any) -> None:
        assert connection.request().headers["connection"] == "close"
        connection.send(OK + TWO)
        assert not connection.more(), "a request behind the last one"

    server = upstream(serve=serve)
    run = recorder(
        "version: 1\nrules: [{then: {passthrough: {request: {headers: {set: {Connection: close}}}}}}]\n",
        "--upstream",
        server.url,
    )
    asking = client(run.port)
    for _ in range(4):
        answered = asking.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert (answered.status, answered.body) == (200, b"ok")
    assert server.accepted == 4
    heads = [data for kind, data in run.stop().told() if kind == "passthrough-response-head"]
    assert not any(data.get("reused") for data in heads)


UPGRADE = (
    "GET /ws HTTP/1.1\r\nX-First: 1\r\nHost: {H}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nUPGRADE: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Last: 1\r\n\r\n"
)


@pytest.mark.parametrize("framing", [b"Content-Length: 50\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_a_refused_upgrade_that_breaks_off_is_passed_on(
    recorder: Make, upstream: Make, client: Make, framing: bytes
) -> None:
    asked = threading.Event()

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\n" + framing + b"\r\n")
        connection.wait(asked)
        connection.reset()

    server = upstream(serve=serve)
    run = recorder(PASS, "--upstream", server.url)
    asking = client(run.port)
    asking.send(UPGRADE.replace("{H}", server.authority))
    answered = asking.head()
    assert (answered.status_line, answered.headers["retry-after"]) == ("HTTP/1.1 429 Too Many", "7")
    asked.set()
    with contextlib.suppress(ConnectionResetError):  # an announced length tells of the break as well
        asking.rest()
    session = run.stop()
    abort = session.one("abort")
    assert abort["response"]["statusCode"] == 429
    assert "passthrough-error:ECONNRESET" in abort["tags"]


def test_the_heads_of_an_upgrade_keep_their_order(recorder: Make, upstream: Make, client: Make) -> None:
    accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    said = (
        b"HTTP/1.1 101 Switching Protocols\r\nX-First: 1\r\n"
        + accept
        + b"Connection: upgrade\r\nX-Mid: 1\r\nUpgrade: WebSocket\r\n\r\n"
    )

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(said)
        while connection.more():
            pass

    server = upstream(serve=serve)
    run = recorder(PASS, "--upstream", server.url)
    asking = client(run.port)
    sent = UPGRADE.replace("{H}", server.authority)
    asking.send(sent)
    assert asking.until(b"\r\n\r\n") == said
    asking.leave()
    assert server.requests[0].head == sent.encode()
    accepted = run.stop().one("websocket-accepted")
    assert [name for name, _ in accepted["rawHeaders"]] == [
        "X-First", "Sec-WebSocket-Accept", "Connection", "X-Mid", "Upgrade",
    ]  # fmt: skip


# ── odd clients, where they are accepted ───────────────────────────────────────────────────────────

LENIENT = f"{PASS}server: {{lenient: true}}\n"


def test_a_lenient_server_takes_from_clients_what_servers_may_send(
    recorder: Make, upstream: Make, client: Make
) -> None:
    server = upstream(lambda received: OK + b"Content-Length: %d\r\n\r\n" % len(received.body) + received.body)
    run = recorder(LENIENT, "--upstream", server.url)
    head = "POST /a HTTP/1.1\r\nHost: a\r\nX-Sp : v\r\nX@Y: v\nX-Fold: one\r\n two\x01\r\n"
    asking = client(run.port)
    answered = asking.ask(head + "Transfer-Encoding: chunked\r\n\r\n0002  \nok\n0\n\n")
    assert (answered.status, answered.body) == (200, b"ok")
    plain = asking.ask("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    assert (plain.status, plain.body) == (200, b"hi")
    odd, good = server.requests
    assert odd.fields[1:] == [
        ["X-Sp", "v"], ["X@Y", "v"], ["X-Fold", "one two\x01"], ["Transfer-Encoding", "chunked"],
    ]  # fmt: skip
    assert (odd.body, good.target) == (b"ok", "/b")
    first, second = run.stop().by_type("response")
    kinds = ("bare-lf", "space-before-colon", "odd-name", "folded-field", "control-character")
    assert set(first["tags"]) == {f"client-odd:{kind}" for kind in (*kinds, "chunk-bare-lf", "chunk-padded-size")}
    assert second["tags"] == []


def test_a_lenient_server_takes_odd_fields_of_http2(
    recorder: Make, upstream: Make, client: Make, tmp_path: Any
) -> None:
    server = upstream(lambda _: OK + TWO)
    run = recorder(LENIENT, "--upstream", server.url)
    sock = client(run.port).sock
    speaking = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    speaking.initiate_connection()
    fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
        ("x-pad", " v "),
        ("x@y", "v"),
    ]
    speaking.send_headers(1, fields, end_stream=True)
    sock.sendall(speaking.data_to_send())
    events: list[Any] = []
    while not any(isinstance(event, h2.events.StreamEnded) for event in events):
        events += speaking.receive_data(sock.recv(65536))
    (head,) = [dict(event.headers) for event in events if isinstance(event, h2.events.ResponseReceived)]
    assert head[b":status"] == b"200"
    assert server.requests[0].fields[1:] == [["x-pad", "v"], ["x@y", "v"]]
    assert run.stop().one("response")["tags"] == ["client-odd:padded-value", "client-odd:odd-name"]


@pytest.mark.parametrize(
    "fields",
    [
        "Host: a\r\nContent-Length : 5\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n chunked\r\n",
        "Host: a\r\nX: b\r\n Content-Length: 5\r\n",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
        "Host: a\r\nContent-Length: +5\r\n",
        "Host : a\r\n",
        "Host: a\r\nX-Sp : v\r\nHost: b\r\n",
        "Host: a\r\nX-Sp : v\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nX: a\rb\r\n",
        "Host: a\r\nX: a\0b\r\n",
    ],
)
def test_a_lenient_server_refuses_what_frames_oddly(recorder: Make, upstream: Make, client: Make, fields: str) -> None:
    server = upstream(lambda _: OK + TWO)
    run = recorder(LENIENT, "--upstream", server.url)
    asking = client(run.port)
    asking.send(f"POST /first HTTP/1.1\r\n{fields}\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert asking.head().status == 400
    asking.rest()
    assert len(run.stop().by_type("client-error")) == 1
    assert server.requests == []
