"""HTTP/2 as strict as HTTP/1: deadlines of connections, heads, bodies and tunnels, and the password of a proxy."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

Start = Callable[..., Any]
Connect = Callable[[int], Any]

SECONDS = 20.0
RULES = """\
version: 1
server: {timeouts: {head: 300ms, bodyIdle: 300ms, keepAlive: 300ms, handshake: 300ms}}
rules:
  - {id: hello, when: {path: /hello}, then: {reply: {body: hello}}}
  - {id: slow, when: {path: /slow}, then: [{delay: 1s}, {reply: {body: slow}}]}
  - {id: whole, when: {path: /whole, bodyIncludes: end}, then: {reply: {status: 201}}}
  - {id: early, when: {path: /early}, then: {reply: {status: 202}}}
"""


class Talk:
    """A client of h2 that tells what happens to it."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.conn.initiate_connection()
        self.flush()
        self.events: list[Any] = []

    def flush(self) -> None:
        self.sock.sendall(self.conn.data_to_send())

    def ask(self, path: str, *more: tuple[str, str], authority: str = "h.test", end: bool = True) -> int:
        number: int = self.conn.get_next_available_stream_id()
        method = "GET" if end else "POST"
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *more]
        self.conn.send_headers(number, head, end_stream=end)
        self.flush()
        return number

    def tunnel(self, authority: str, *more: tuple[str, str]) -> int:
        number: int = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, [(":method", "CONNECT"), (":authority", authority), *more])
        self.flush()
        return number

    def more(self) -> bool:
        """Read what has come; False at the end."""
        data = self.sock.recv(65536)
        self.events += self.conn.receive_data(data) if data else []
        try:
            self.flush()
        except OSError:
            pass
        return bool(data)

    def until(self, kind: type, stream: int | None = None) -> Any:
        """The next event of a kind."""
        while True:
            for index, event in enumerate(self.events):
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    del self.events[index]
                    return event
            assert self.more(), f"the end came before {kind.__name__}"

    def status(self, stream: int) -> str:
        """The status of the answer on a stream."""
        return str(dict(self.until(h2.events.ResponseReceived, stream).headers)[":status"])

    def end(self) -> list[Any]:
        """Everything until the end of the connection."""
        while self.more():
            pass
        return self.events


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[Talk] = []

    def talk(port: int) -> Talk:
        made.append(Talk(port))
        return made[-1]

    yield talk
    for one in made:
        one.sock.close()


# ── deadlines ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asks", [0, 1])
def test_an_idle_connection_ends(recorder: Start, connect: Connect, asks: int) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    for _ in range(asks):
        assert talk.status(talk.ask("/hello")) == "200"
    events = talk.end()
    goaway = next(event for event in events if isinstance(event, h2.events.ConnectionTerminated))
    assert goaway.error_code == 0
    assert run.stop().by_type("client-error") == []


def test_a_connection_that_waits_for_an_answer_is_not_idle(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.ask("/slow")
    assert talk.status(number) == "200"
    talk.end()
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
    talk.end()
    session = run.stop()
    assert session.one("client-error")["aborted"] is True
    assert session.one("response")["statusCode"] == 202 and session.by_type("abort") == []


def test_a_body_that_comes_slowly(recorder: Start, connect: Connect) -> None:
    """Longer than `bodyIdle` in all; each piece is in time, because the recorder's answer to a ping is waited for."""
    run = recorder(RULES.replace("bodyIdle: 300ms", "bodyIdle: 5s"))
    talk = connect(run.port)
    number = talk.ask("/whole", end=False)
    for piece in (b"a", b"b", b"end"):
        talk.conn.send_data(number, piece, end_stream=piece == b"end")
        talk.flush()
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
    assert any(isinstance(event, h2.events.ConnectionTerminated) for event in talk.end())
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
        talk.conn.send_data(number, said)
        talk.flush()
    while not any(isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)) for event in talk.events):
        assert talk.more()
    after = b"".join(event.data for event in talk.events if isinstance(event, h2.events.DataReceived))
    assert after == before
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
    talk.conn.send_data(number, b"GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n")
    talk.flush()
    talk.until(h2.events.StreamEnded, number)
    talk.end()
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
