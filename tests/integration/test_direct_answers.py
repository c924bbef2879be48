"""Requests that are answered in the callback of their bytes, and what is left to the task of the connection instead.

The first request of a connection is read by its task; so each of these sends another one before.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

RULES = """\
version: 1
rules:
  - {id: fixed, when: {path: /fixed}, then: {reply: {body: fixed}}}
  - {id: slow, when: {path: /slow}, then: [{delay: 1ms}, {reply: {body: slow}}]}
  - {id: body, when: {path: /body, bodyIncludes: end}, then: {reply: {body: "{{ request.body }}", template: true}}}
  - {id: large, when: {path: /large}, then: {reply: {body: "{{ 'x' * 4000000 }}", template: true}}}
  - {id: reset, when: {path: /close}, then: close}
"""
FIXED = b"GET /fixed HTTP/1.1\r\nHost: a.test\r\n\r\n"
SLOW = FIXED.replace(b"/fixed", b"/slow")
LARGE = FIXED.replace(b"/fixed", b"/large")
LAST = b"GET /fixed HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
POST = b"POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n"


class Client:
    """One connection, on which a request was answered already."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname="a.test")
        self.reader = self.socket.makefile("rb")
        assert self.ask(FIXED) == (200, b"fixed")

    def ask(self, data: bytes) -> tuple[int, bytes]:
        self.socket.sendall(data)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """The next response; status 0 at the end of the connection."""
        line = self.reader.readline()
        if not line:
            return 0, b""
        length = 0
        while (field := self.reader.readline()) != b"\r\n":
            name, _, value = field.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return int(line.split()[1]), self.reader.read(length)

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


@pytest.fixture
def run(recorder: Any) -> Any:
    return recorder(RULES)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def client(run: Any, request: pytest.FixtureRequest) -> Any:
    made = Client(run.port, tls=request.param)
    yield made
    made.close()


def paths(run: Any, kind: str = "response") -> list[str]:
    return [urlsplit(record["url"]).path for record in run.stop().by_type(kind)]


def test_what_waits_goes_on_in_the_task(run: Any, client: Client) -> None:
    for _ in range(3):
        assert client.ask(SLOW) == (200, b"slow")
        assert client.ask(FIXED) == (200, b"fixed")
    assert paths(run) == ["/fixed", *["/slow", "/fixed"] * 3]


def test_a_head_in_pieces(run: Any, client: Client) -> None:
    for cut in (1, 4, 20, len(FIXED) - 2, len(FIXED) - 1):
        client.socket.sendall(FIXED[:cut])
        other = Client(run.port)  # when it has its answer, the first piece was read
        assert client.ask(FIXED[cut:]) == (200, b"fixed")
        other.close()
    assert paths(run) == ["/fixed"] * 11


def test_requests_in_one_piece_are_answered_in_order(run: Any, client: Client) -> None:
    client.socket.sendall(FIXED * 2 + SLOW + FIXED + SLOW + FIXED * 40 + POST + b"the-end.." + FIXED)
    bodies = [b"fixed"] * 2 + [b"slow", b"fixed", b"slow"] + [b"fixed"] * 40 + [b"the-end..", b"fixed"]
    assert [client.answer() for _ in bodies] == [(200, body) for body in bodies]
    assert client.ask(FIXED) == (200, b"fixed")
    assert len(paths(run)) == len(bodies) + 2


def test_a_request_and_the_start_of_the_next(run: Any, client: Client) -> None:
    assert client.ask(FIXED + FIXED[:10]) == (200, b"fixed")
    assert client.ask(FIXED[10:] + POST) == (200, b"fixed")
    client.socket.sendall(b"the-end..")
    assert client.answer() == (200, b"the-end..")
    assert paths(run) == ["/fixed", "/fixed", "/fixed", "/body"]


def test_a_body_with_its_head_or_after_it(run: Any, client: Client) -> None:
    assert client.ask(POST + b"the-end..") == (200, b"the-end..")
    client.socket.sendall(POST + b"the")
    Client(run.port).close()
    assert client.ask(b"-end..") == (200, b"the-end..")
    assert client.ask(FIXED) == (200, b"fixed")
    session = run.stop()
    assert [record["body"]["text"] for record in session.by_type("request") if record["path"] == "/body"] == [
        "the-end.."
    ] * 2


def test_a_response_that_the_client_does_not_read_at_once(run: Any, client: Client) -> None:
    for _ in range(2):
        client.socket.sendall(LARGE + FIXED)
        other = Client(run.port)  # others are answered meanwhile
        other.close()
        assert client.answer() == (200, b"x" * 4_000_000)
        assert client.answer() == (200, b"fixed")
    assert paths(run).count("/large") == 2


def test_the_last_request_ends_the_connection(run: Any, client: Client) -> None:
    assert client.ask(LAST + FIXED) == (200, b"fixed")
    assert client.answer() == (0, b"")
    assert paths(run) == ["/fixed", "/fixed"]


def test_a_step_that_closes(run: Any, client: Client) -> None:
    assert client.ask(FIXED.replace(b"/fixed", b"/close")) == (0, b"")
    assert paths(run, "abort") == ["/close"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /fixed HTTP/1.1\r\n\r\n", 400),
        (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /fixed HTTP/9.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 3\r\n\r\n", 400),
        (b"GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n", 503),
    ],
)
def test_what_is_refused(run: Any, client: Client, data: bytes, status: int) -> None:
    answer = client.ask(data)
    assert answer[0] == status
    session = run.stop()
    assert len(session.by_type("client-error")) == (status == 400)
    assert "defect" not in session.stderr


def test_a_tunnel_after_requests(run: Any, client: Client) -> None:
    client.socket.sendall(b"CONNECT b.test:80 HTTP/1.1\r\nHost: b.test:80\r\n\r\n")
    assert client.answer() == (200, b"")
    for _ in range(3):
        assert client.ask(FIXED) == (200, b"fixed")
    hosts = [record["host"] for record in run.stop().by_type("response")]
    assert hosts == ["a.test", *["b.test"] * 3]


def test_what_follows_a_refusal_is_no_request(recorder: Any) -> None:
    """The rest of a head that was too late: the 408 was its answer, and other clients have theirs."""
    run = recorder("version: 1\nserver: {timeouts: {head: 300ms}}\n" + RULES.partition("\n")[2])
    client, other = Client(run.port), Client(run.port)
    client.socket.sendall(SLOW.removesuffix(b"\r\n"))
    assert client.answer()[0] == 408
    client.socket.sendall(b"\r\n" + FIXED * 3)
    for _ in range(5):
        assert other.ask(FIXED) == (200, b"fixed")
    assert client.reader.read() == b""  # the connection ends without another response
    client.close()
    other.close()
    session = run.stop()
    assert [urlsplit(record["url"]).path for record in session.by_type("request-initiated")] == ["/fixed"] * 7
    assert len(session.by_type("client-error")) == 1
    assert "Traceback" not in session.stderr
