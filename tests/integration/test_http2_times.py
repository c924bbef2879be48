"""HTTP/2 as strict as HTTP/1: deadlines of connections, heads, bodies and tunnels, and the password of a proxy."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import h2.events
import pytest

Start = Callable[..., Any]
Connect = Callable[[int], Any]

RULES = """\
version: 1
server: {timeouts: {head: 300ms, bodyIdle: 300ms, keepAlive: 300ms, handshake: 300ms}}
rules:
  - {id: hello, when: {path: /hello}, then: {reply: {body: hello}}}
  - {id: slow, when: {path: /slow}, then: [{delay: 1s}, {reply: {body: slow}}]}
  - {id: whole, when: {path: /whole, bodyIncludes: end}, then: {reply: {status: 201}}}
  - {id: early, when: {path: /early}, then: {reply: {status: 202}}}
"""


# ── deadlines ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asks", [0, 1])
def test_an_idle_connection_ends(recorder: Start, connect: Connect, asks: int) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    for _ in range(asks):
        assert talk.status(talk.ask("/hello")) == "200"
    events = talk.rest()
    goaway = next(event for event in events if isinstance(event, h2.events.ConnectionTerminated))
    assert goaway.error_code == 0
    assert run.stop().by_type("client-error") == []


def test_a_connection_that_waits_for_an_answer_is_not_idle(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.ask("/slow")
    assert talk.status(number) == "200"
    talk.rest()
    assert run.stop().one("response")["statusCode"] == 200


def test_a_body_that_stops(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.ask("/whole", end=False)
    other = talk.ask("/slow")
    assert talk.status(number) == "408"
    assert talk.until(h2.events.StreamReset, number).error_code == 0
    assert talk.status(other) == "200"  # the others go on
    session = run.stop()
    error, abort = session.one("client-error"), session.one("abort")
    assert (error["errorCode"], error["exchangeId"]) == ("ERR_HTTP_REQUEST_TIMEOUT", abort["id"])
    assert (error["response"]["statusCode"], abort["error"]["code"]) == (408, "ERR_HTTP_REQUEST_TIMEOUT")


def test_a_body_that_stops_behind_its_answer(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.ask("/early", end=False)
    assert talk.status(number) == "202"
    assert talk.until(h2.events.StreamReset, number).error_code == 8
    talk.rest()
    session = run.stop()
    assert session.one("client-error")["aborted"] is True
    assert session.one("response")["statusCode"] == 202 and session.by_type("abort") == []


def test_a_body_that_comes_slowly(recorder: Start, connect: Connect) -> None:
    """Longer than `bodyIdle` in all; each piece is in time, because the recorder's answer to a ping is waited for."""
    run = recorder(RULES.replace("bodyIdle: 300ms", "bodyIdle: 5s"))
    talk = connect(run.port)
    number = talk.ask("/whole", end=False)
    for piece in (b"a", b"b", b"end"):
        talk.send(number, piece, end=piece == b"end")
        talk.conn.ping(b"12345678")
        talk.flush()
        talk.until(h2.events.PingAckReceived)
    assert talk.status(number) == "201"
    assert run.stop().by_type("client-error") == []


@pytest.mark.parametrize("asks", [False, True])
def test_a_head_that_stops(recorder: Start, connect: Connect, asks: bool) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    talk.until(h2.events.RemoteSettingsChanged)  # and all that is said about it comes before the head
    if asks:
        talk.ask("/slow")
    talk.until(h2.events.SettingsAcknowledged)
    talk.sock.sendall(b"\0\0\1\1\0\0\0\0\x09\x82")
    assert any(isinstance(event, h2.events.ConnectionTerminated) for event in talk.rest())
    session = run.stop()
    assert session.one("client-error")["errorCode"] == "ERR_HTTP_REQUEST_TIMEOUT"
    assert len(session.by_type("abort")) == asks


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"PRI * HTTP/2", b"\x16\x03\x01\x02"])
def test_a_tunnel_whose_client_says_nothing(
    recorder: Start, connect: Connect, client: Any, pki: Any, said: bytes
) -> None:
    """What happens to a tunnel through HTTP/1.1 happens to one through a stream."""
    run = recorder(RULES, *pki.options)
    old = client(run.port).tunnel("a.test:443")
    old.send(said)
    before = old.rest()
    talk = connect(run.port)
    number = talk.tunnel("a.test:443")
    assert talk.status(number) == "200"
    if said:
        talk.send(number, said)
    while not any(isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)) for event in talk.events):
        assert talk.more()
    assert talk.data(number) == before
    session = run.stop()
    kinds = [
        (one["type"], one.get("errorCode"), one.get("failureCause"))
        for one in session.records
        if "error" in one["type"]
    ]
    assert len(kinds) == (2 if said else 0) and len(set(kinds)) == (1 if said else 0)


def test_a_tunnel_between_requests(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.tunnel("a.test:80")
    assert talk.status(number) == "200"
    talk.send(number, b"GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n")
    talk.until(h2.events.StreamEnded, number)
    talk.rest()
    assert run.stop().one("response")["statusCode"] == 200


# ── who may ────────────────────────────────────────────────────────────────────────────────────────


AUTH = """\
version: 1
server: {auth: "me:secret"}
rules:
  - then: {reply: {body: there}}
"""


def test_a_proxy_s_password_is_asked_for_in_http_2_too(recorder: Start, connect: Connect) -> None:
    run = recorder(AUTH)
    right = base64.b64encode(b"me:secret").decode()
    wrong = base64.b64encode(b"me:other").decode()
    talk = connect(run.port)
    own = f"127.0.0.1:{run.port}"
    for credentials in ((), (("proxy-authorization", f"Basic {wrong}"),)):
        for number in (talk.ask("/a", *credentials), talk.tunnel("other.test:80", *credentials)):
            head = dict(talk.until(h2.events.ResponseReceived, number).headers)
            assert head[":status"] == "407" and head["proxy-authenticate"].startswith("Basic ")
    assert talk.status(talk.ask("/b", ("proxy-authorization", f"Basic {right}"))) == "200"
    assert talk.status(talk.ask("/c", authority=own)) == "200"
    assert talk.status(talk.tunnel("other.test:80", ("proxy-authorization", f"Basic {right}"))) == "200"
    session = run.stop()
    assert [record["errorCode"] for record in session.by_type("client-error")] == ["ERR_PROXY_AUTH_REQUIRED"] * 4
    assert [record["path"] for record in session.by_type("request")] == ["/b", "/c"]
