"""HTTP/2 without TLS towards servers: who is asked by it, what falls back to HTTP/1.1, and what the log says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h2.events
import pytest
from http2_client import Talk
from http2_server import Answer, Asked, Http2, Http2Connection
from hyperframe.frame import SettingsFrame

Start = Callable[..., Any]
Make = Callable[..., Any]
Connect = Callable[..., Any]

RULES = """\
version: 1
upstream: {http2: %s, timeouts: {connect: 2s}}
unmatched: passthrough
"""


def echo(_: Http2Connection, asked: Asked) -> Answer:
    return Answer(("content-type", "application/grpc"), body=asked.body, trailers=(("grpc-status", "0"),))


@pytest.fixture
def http2(upstream: Make) -> Callable[..., Any]:
    """`http2()`: a server that speaks HTTP/2 at once, with its port."""

    def make() -> tuple[Http2, Any]:
        server = Http2(echo)
        return server, upstream(serve=server.serve)

    return make


def heads(session: Any) -> list[dict[str, Any]]:
    return [data for kind, data in session.told() if kind == "passthrough-response-head"]


def test_a_client_of_http2_reaches_a_server_that_knows_nothing_else(
    recorder: Start, http2: Any, connect: Connect
) -> None:
    server, at = http2()
    run = recorder(RULES % "true")
    talk = connect(run.port)
    streams = [talk.ask(f"/a.B/C{n}", ("te", "trailers"), authority=at.authority, body=b"%d" % n) for n in range(5)]
    assert [talk.answer(stream) for stream in streams] == [("200", b"%d" % n) for n in range(5)]
    assert talk.until(h2.events.TrailersReceived).headers == [("grpc-status", "0")]
    session = run.stop()
    assert at.accepted == 1
    assert {asked.headers["te"] for asked in server.asked} == {"trailers"}
    assert [asked.fields[1] for asked in server.asked] == [(":scheme", "http")] * 5  # in the client's order
    assert [head["httpVersion"] for head in heads(session)] == ["2.0"] * 5
    assert [record["rawTrailers"] for record in session.by_type("response")] == [[["grpc-status", "0"]]] * 5


def test_so_does_one_in_a_tunnel(recorder: Start, http2: Any, client: Make) -> None:
    server, at = http2()
    run = recorder(RULES % "true")
    talk = Talk(client(run.port).tunnel(at.authority).sock, authority=at.authority)
    assert talk.answer(talk.ask("/a", body=b"x")) == ("200", b"x")
    run.stop()
    assert (at.accepted, len(server.asked)) == (1, 1)


def test_a_server_of_http1_is_asked_once_for_each_client(recorder: Start, upstream: Make, connect: Connect) -> None:
    at = upstream()
    run = recorder(RULES % "true")
    talk = connect(run.port)
    assert [talk.answer(talk.ask("/", authority=at.authority)) for _ in range(3)] == [("200", b"ok")] * 3
    assert (at.prefaces, [one.start for one in at.requests]) == (1, ["GET / HTTP/1.1"] * 3)
    session = run.stop()
    assert [head["httpVersion"] for head in heads(session)] == ["1.1"] * 3
    assert [kind for kind, _ in session.told()].count("passthrough-request-head") == 3


@pytest.mark.parametrize("end", ["close", "reset", "hang"])
def test_a_server_that_takes_the_preface_ill_is_asked_by_http1(
    recorder: Start, upstream: Make, connect: Connect, end: str
) -> None:
    def serve(served: Any) -> None:
        if served.number == 0:
            served.sock.recv(3)
            {"close": served.sock.close, "reset": served.reset, "hang": served.hang}[end]()
        else:
            served.request()
            served.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    at = upstream(serve=serve)
    run = recorder(RULES % "true")
    talk = connect(run.port)
    assert talk.answer(talk.ask("/", authority=at.authority)) == ("200", b"ok")
    assert run.stop().by_type("abort") == []


def test_nobody_is_asked_where_it_is_off(recorder: Start, upstream: Make, connect: Connect) -> None:
    at = upstream()
    run = recorder(RULES % "false")
    talk = connect(run.port)
    assert talk.answer(talk.ask("/", authority=at.authority)) == ("200", b"ok")
    run.stop()
    assert (at.prefaces, at.request.start) == (0, "GET / HTTP/1.1")


def test_clients_of_http1_reach_it_by_prior_knowledge(recorder: Start, http2: Any, client: Make) -> None:
    server, at = http2()
    run = recorder(RULES % "prior-knowledge")
    got = client(run.port).ask(f"POST {at.url}/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nsome")
    assert (got.status, got.body) == (200, b"some")
    session = run.stop()
    (asked,) = server.asked
    assert dict(asked.fields[:4]) == {":method": "POST", ":scheme": "http", ":authority": at.authority, ":path": "/a"}
    told = dict(session.told())
    assert told["passthrough-request-head"]["rawHeaders"] == [[name, value] for name, value in asked.fields]
    assert told["passthrough-response-head"]["httpVersion"] == "2.0"


def test_without_it_the_502_says_what_helps(recorder: Start, upstream: Make, client: Make) -> None:
    def serve(served: Any) -> None:
        served.send(SettingsFrame(0, settings={3: 100}).serialize())
        served.hang()

    at = upstream(serve=serve)
    run = recorder(RULES % "true")
    got = client(run.port).get(f"{at.url}/a")
    assert got.status == 502
    assert got.text.endswith(": it speaks HTTP/2 alone (upstream.http2: prior-knowledge) [HPE_INVALID_CONSTANT]\n")
    run.stop()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "its answer is not HTTP/2 but HTTP/1 (see upstream.http2) [ERR_HTTP2_ERROR]",
        ),
        (b"", "it closed the connection without a word of HTTP/2 (see upstream.http2) [ECONNRESET]"),
    ],
)
def test_prior_knowledge_that_is_wrong_is_a_502_that_says_so(
    recorder: Start, upstream: Make, client: Make, answer: bytes, reason: str
) -> None:
    def serve(served: Any) -> None:
        served.until(b"SM\r\n\r\n")
        served.send(answer)

    at = upstream(serve=serve)
    run = recorder(RULES % "prior-knowledge")
    got = client(run.port).get(f"{at.url}/a")
    assert (got.status, got.text.endswith(f": {reason}\n")) == (502, True), got.text
    code = reason.rpartition("[")[2].strip("]")
    assert run.stop().one("response")["tags"] == [f"passthrough-error:{code}"]


def test_behind_an_http_proxy_it_goes_through_a_tunnel(recorder: Start, http2: Any, connect: Connect) -> None:
    server, at = http2()
    proxy = recorder(RULES % "true", out="proxy.jsonl")
    run = recorder(
        f"{RULES % 'true'}  # through another recorder\n".replace("{http2", f"{{proxy: '{proxy.url}', http2")
    )
    talk = connect(run.port)
    assert talk.answer(talk.ask("/a", authority=at.authority, body=b"x")) == ("200", b"x")
    assert heads(run.stop())[0]["httpVersion"] == "2.0"
    session = proxy.stop()
    assert session.one("request")["httpVersion"] == "2.0"
    assert len(server.asked) == 1
