"""Requests that are passed on: what the server gets, what the client gets back, and what the log says of both."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

Record = dict[str, Any]
Start = Callable[..., Any]
Make = Callable[..., Any]
Wait = Callable[..., None]

SECONDS = 20.0
MIB = 1024 * 1024
PASS = "version: 1\nrules:\n  - {id: on, then: passthrough}\n"
FORWARD = "version: 1\nrules:\n  - {id: on, then: {forward: {to: 'http://127.0.0.1:%d'}}}\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def ends(session: Any) -> list[Record]:
    return [record for record in session.records if record["type"] in ("response", "abort")]


# ── byte for byte ──────────────────────────────────────────────────────────────────────────────────


METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND")


def test_a_request_and_its_answer_pass_as_they_are(recorder: Start, upstream: Make, client: Make) -> None:
    head = (
        b"HTTP/1.1 207 Quite  fine\r\nServer: tests\r\nX-One: 1\r\nSet-Cookie: a=1; Path=/\r\nx-ONE: 2\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 5\r\nConnection: keep-alive\r\nX-Empty: \r\nX-Latin: caf\xe9\r\n\r\n"
    )
    server = upstream(lambda received: head + (b"" if received.method == "HEAD" else b"hello"))
    run = recorder(PASS, "--redact", "none")
    fields = (
        f"Host: 127.0.0.1:{server.port}\r\nX-A: 1\r\naccept: */*\r\nx-a: 2\r\nCookie: k=v\r\nX-Latin: caf\xe9\r\n"
        "Authorization: Basic YTpi\r\n"
    )
    said = client(run.port)
    for method in METHODS:
        sent, body = ("", "") if method in ("GET", "HEAD") else ("Content-Length: 4\r\n", "data")
        target = "/a%20b/../c?x=1&x=%41"
        got = said.ask(f"{method} {server.url}{target} HTTP/1.1\r\n{fields}{sent}\r\n{body}")
        assert got.head == head
        assert got.body == (b"" if method == "HEAD" else b"hello")
        assert server.requests[-1].head == f"{method} {target} HTTP/1.1\r\n{fields}{sent}\r\n".encode("latin-1")
        assert server.requests[-1].body == body.encode()
    assert server.accepted == 1
    session = run.stop()
    for method, request, response in zip(METHODS, session.by_type("request"), session.by_type("response"), strict=True):
        assert request["method"] == response["method"] == method
        assert request["body"]["size"] == (0 if method in ("GET", "HEAD") else 4)
        assert (response["statusCode"], response["statusMessage"]) == (207, "Quite  fine")
        assert response["rawHeaders"] == [*got.fields[:-2], ["X-Empty", ""], ["X-Latin", "caf\xe9"]]
        assert response["body"] == ({"size": 0, "text": ""} if method == "HEAD" else {"size": 5, "text": "hello"})


def test_an_answer_of_nginx_is_the_original_one(recorder: Start, client: Make, nginx: Make, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page.html").write_bytes(b"<p>hello</p>" * 100)
    port = nginx(f"root {folder}; keepalive_timeout 30;")
    run = recorder(PASS)
    fields = f"Host: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n\r\n"
    for target in ("/page.html", "/nothing"):
        for method in ("GET", "HEAD"):
            direct = client(port).ask(f"{method} {target} HTTP/1.1\r\n{fields}")
            through = client(run.port).ask(f"{method} http://127.0.0.1:{port}{target} HTTP/1.1\r\n{fields}")
            assert ["Connection", "keep-alive"] in through.fields
            assert [pair for pair in through.fields if pair[0] != "Date"] == [
                pair for pair in direct.fields if pair[0] != "Date"
            ]
            assert (through.status_line, through.body) == (direct.status_line, direct.body)
            assert len(through.head) == len(direct.head)
    etag = through.headers.get("etag") or client(port).get("/page.html").headers["etag"]
    cached = client(run.port).get(f"http://127.0.0.1:{port}/page.html", f"If-None-Match: {etag}")
    assert (cached.status, cached.body) == (304, b"")
    ranged = client(run.port).get(f"http://127.0.0.1:{port}/page.html", "Range: bytes=3-7")
    assert (ranged.status, ranged.body) == (206, b"hello")
    assert run.stop().one("session-ended")["exitCode"] == 0


def test_chunked_bodies_and_trailers_both_ways(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX-Sum: 7\r\nx-b: 8\r\n\r\n"
    )
    run = recorder(PASS)
    got = client(run.port).ask(
        f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-End\r\n"
        "Transfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\nX-End: yes\r\nX-End: no\r\n\r\n"
    )
    assert (got.body, got.trailers) == (b"hello", b"X-Sum: 7\r\nx-b: 8\r\n")
    assert "content-length" not in got.headers
    received = server.request
    assert (received.body, received.trailers) == (b"wikipedia", b"X-End: yes\r\nX-End: no\r\n")
    assert received.fields == [
        ["Host", server.authority],
        ["TE", "trailers"],
        ["Trailer", "X-End"],
        ["Transfer-Encoding", "chunked"],
        ["Connection", "TE"],
    ]
    session = run.stop()
    assert session.one("request")["rawTrailers"] == [["X-End", "yes"], ["X-End", "no"]]
    assert session.one("response")["rawTrailers"] == [["X-Sum", "7"], ["x-b", "8"]]
    assert session.one("response")["body"] == {"size": 5, "text": "hello"}


# answer of the server → fields and body that the client gets
FRAMINGS: list[tuple[bytes, list[list[str]], bytes]] = [
    (b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end", [["Server", "old"], ["Transfer-Encoding", "chunked"]], b"until the end"),
    (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", [["Content-Length", "0"]], b""),
    (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", [["Content-Length", "2"]], b"ok"),
    (b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", [["X-A", "1"]], b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: x\r\n\r\n", [["Content-Length", "99"], ["ETag", "x"]], b""),
    (b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", [["Content-Length", "0"]], b""),
    (b"HTTP/1.1 599 What\r\nContent-Length: 1\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n!", [["Content-Length", "1"]], b"!"),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", [["Content-Length", "2"]], b"ok"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", [["Content-Length", "2"]], b"ok"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", [["Content-Length", "2"]], b"ok"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        [["Transfer-Encoding", "chunked"]],
        b"ok",
    ),
]  # fmt: skip


def test_every_framing_of_an_answer(recorder: Start, upstream: Make, client: Make) -> None:
    run = recorder(PASS)
    said = client(run.port)
    for answer, fields, body in FRAMINGS:

        def serve(connection: Any, answer: bytes = answer) -> None:
            while connection.request() is not None:
                connection.send(answer)
                if b"HTTP/1.0" in answer:
                    return

        server = upstream(serve=serve)
        for _ in range(2):  # the client's connection is as good as before
            got = said.get(f"{server.url}/")
            assert got.status == int(answer[9:12]), answer
            assert got.fields == fields, answer
            assert got.body == body, answer
    session = run.stop()
    sizes = [len(body) for _, _, body in FRAMINGS for _ in range(2)]
    assert [record["body"]["size"] for record in session.by_type("response")] == sizes


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_http10_client(recorder: Start, upstream: Make, client: Make, framing: str) -> None:
    server = upstream(
        {
            "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "chunked": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
            "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        }[framing],
        **(
            {"serve": lambda connection: (connection.request(), connection.send(server._answer))}
            if framing == "close"
            else {}
        ),
    )
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"POST {server.url}/old HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
    data = said.rest()
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"hello"
    assert (
        server.request.head
        == f"POST /old HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 2\r\n\r\n".encode()
    )
    assert server.request.body == b"hi"
    response = run.stop().one("response")
    assert response["body"] == {"size": 5, "text": "hello"}
    assert "trailers" not in response


def test_answers_that_say_something_before(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.css>\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + OK
    )
    run = recorder(PASS)
    got = client(run.port).get(f"{server.url}/")
    assert got.interim == [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.css>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
    ]
    assert got.text == "ok"
    session = run.stop()
    assert [record["statusCode"] for record in session.by_type("response-information")] == [103, 102]


def test_103_reaches_the_client_before_the_answer_is_there(recorder: Start, upstream: Make, client: Make) -> None:
    seen = threading.Event()

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        connection.wait(seen)
        connection.send(OK)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"GET {server.url}/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert said.until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
    seen.set()
    assert said.answer().text == "ok"
    run.stop()


def test_a_client_that_expects_100_gets_one_from_us(recorder: Start, upstream: Make, client: Make) -> None:
    def serve(connection: Any) -> None:
        received = connection.head()
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        received.body = connection.exactly(5)
        connection.send(OK)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert said.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    said.send("hello")
    got = said.answer()
    assert (got.interim, got.text) == ([], "ok")
    assert ["Expect", "100-continue"] in server.request.fields
    session = run.stop()
    assert session.one("response-information")["statusCode"] == 100


@needs_curl
def test_curl_uploads_through_the_proxy(recorder: Start, nginx: Make, tmp_path: Path) -> None:
    (tmp_path / "two.bin").write_bytes(bytes(range(256)) * 8192)
    port = nginx("client_max_body_size 8m; location / { return 200 $request_length-$content_length; }")
    run = recorder(PASS)
    argv = ["curl", "-sS", "-x", run.url, "--noproxy", "", "-H", "Expect: 100-continue", "-T", tmp_path / "two.bin"]
    done = subprocess.run(
        [*argv, f"http://127.0.0.1:{port}/up"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.endswith(f"-{2 * MIB}")
    done = subprocess.run(
        [*argv, "-H", "Transfer-Encoding: chunked", f"http://127.0.0.1:{port}/up"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    session = run.stop()
    assert [record["body"]["size"] for record in session.by_type("request")] == [2 * MIB] * 2


# ── connections ────────────────────────────────────────────────────────────────────────────────────


def test_a_clients_requests_share_a_connection_and_two_clients_do_not(
    recorder: Start, upstream: Make, client: Make, eventually: Wait
) -> None:
    server = upstream(lambda received: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % received.connection)
    run = recorder(PASS)
    first, second = client(run.port), client(run.port)
    for _ in range(3):
        assert [first.get(f"{server.url}/a").text, second.get(f"{server.url}/b").text] == ["0", "1"]
    assert server.accepted == 2
    first.leave()
    eventually(lambda: server.ended == [0], "the connection of a client that has left is closed")
    assert second.get(f"{server.url}/b").text == "1"
    second.leave()
    eventually(lambda: sorted(server.ended) == [0, 1])
    session = run.stop()
    heads = [data for kind, data in session.told() if kind == "passthrough-response-head"]
    assert [head.get("reused", False) for head in heads] == [False, False, True, True, True, True, True]
    assert ["connect" in head["timings"] for head in heads] == [True, True, False, False, False, False, False]


def test_a_client_of_several_servers_keeps_a_connection_to_each(recorder: Start, upstream: Make, client: Make) -> None:
    servers = [upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number) for number in range(3)]
    run = recorder(PASS)
    said = client(run.port)
    for _ in range(3):
        assert [said.get(f"{server.url}/").text for server in servers] == ["0", "1", "2"]
    assert [server.accepted for server in servers] == [1, 1, 1]
    run.stop()


def test_a_connection_that_the_server_has_closed_is_not_used_again(
    recorder: Start, upstream: Make, client: Make, eventually: Wait
) -> None:
    def serve(connection: Any) -> None:
        connection.request()
        connection.send(OK)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    assert said.get("http://127.0.0.1:1/").status == 502  # the recorder knows the client now
    before = run.descriptors
    for number in range(1, 6):
        assert said.get(f"{server.url}/").text == "ok"
        eventually(lambda number=number: len(server.ended) == number)
        eventually(lambda: run.descriptors <= before, "what the server has closed is not kept")
    assert server.accepted == 5
    run.stop()


def test_a_connection_that_ends_when_it_is_used_again(recorder: Start, upstream: Make, client: Make) -> None:
    """The server may close an idle connection just then: a request that may be repeated is, another is not."""

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(OK)
        if connection.request() is not None and connection.number < 2:
            connection.reset()  # without an answer
        else:
            connection.send(OK)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    assert [said.get(f"{server.url}/{n}").status for n in range(2)] == [200, 200]
    assert server.accepted == 2
    assert [received.start for received in server.requests] == ["GET /0 HTTP/1.1", "GET /1 HTTP/1.1", "GET /1 HTTP/1.1"]
    assert said.ask(f"POST {server.url}/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").status == 502
    assert server.accepted == 2
    session = run.stop()
    assert [kind for kind, _ in session.told()].count("passthrough-abort") == 1


def test_pipelined_requests_are_passed_on_one_after_another(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(lambda received: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + received.target.encode())
    run = recorder(PASS)
    said = client(run.port)
    said.send("".join(f"GET {server.url}/{n} HTTP/1.1\r\nHost: a\r\n\r\n" for n in range(6)))
    assert [said.answer().text for _ in range(6)] == [f"/{n}" for n in range(6)]
    assert server.accepted == 1
    run.stop()


def test_connection_fields_belong_to_one_connection(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(
        b"HTTP/1.1 200 OK\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nProxy-Connection: close\r\nContent-Length: 2\r\n\r\nok"
    )
    run = recorder(PASS)
    said = client(run.port)
    got = said.get(
        f"{server.url}/", "Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic bWU6c2VjcmV0", "X-End: 1",
    )  # fmt: skip
    assert got.fields == [["Content-Length", "2"]]
    assert server.request.fields == [["Host", server.authority], ["X-End", "1"]]
    assert said.get(f"{server.url}/").text == "ok"
    assert server.accepted == 2
    session = run.stop()
    names = {name.lower() for record in session.by_type("request") for name, _ in record["rawHeaders"]}
    assert "proxy-authorization" not in names


# ── large and slow bodies ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_bodies_both_ways(recorder: Start, upstream: Make, client: Make, framing: str) -> None:
    content = bytes(range(256)) * 4096 * 8
    pieces = [content[at : at + 100_000] for at in range(0, len(content), 100_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    field = f"Content-Length: {len(content)}" if framing == "length" else "Transfer-Encoding: chunked"
    sent = content if framing == "length" else chunks
    server = upstream(f"HTTP/1.1 200 OK\r\n{field}\r\n\r\n".encode() + sent)
    run = recorder(PASS)
    said = client(run.port)
    for _ in range(2):
        said.send(f"POST {server.url}/big HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")
        said.send(sent)
        assert hashlib.sha256(said.answer().body).digest() == hashlib.sha256(content).digest()
    assert all(received.body == content for received in server.requests)
    assert server.accepted == 1
    session = run.stop()
    for kind in ("request", "response"):
        assert [session.content(record["body"]) == content for record in session.by_type(kind)] == [True] * 2


def test_the_first_bytes_of_an_answer_do_not_wait_for_the_rest(recorder: Start, upstream: Make, client: Make) -> None:
    steps = [threading.Event() for _ in range(3)]

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        for number, step in enumerate(steps):
            connection.wait(step)
            connection.send(b"pc%d" % number)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"GET {server.url}/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert said.head().status == 200  # nothing of the body has been sent
    for number, step in enumerate(steps):
        step.set()
        assert said.exactly(3) == b"pc%d" % number
    assert run.stop().one("response")["body"]["text"] == "pc0pc1pc2"


def test_the_first_bytes_of_an_upload_do_not_wait_for_the_rest(recorder: Start, upstream: Make, client: Make) -> None:
    got: list[bytes] = []
    steps = [threading.Event() for _ in range(3)]

    def serve(connection: Any) -> None:
        connection.head()
        for step in steps:
            got.append(connection.exactly(3))
            step.set()
        connection.send(OK)

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"PUT {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    for number, step in enumerate(steps):
        said.send(f"pc{number}")
        assert step.wait(SECONDS)
    assert said.answer().text == "ok"
    assert got == [b"pc0", b"pc1", b"pc2"]
    assert run.stop().one("request")["body"]["text"] == "pc0pc1pc2"


def test_a_server_that_answers_before_the_request_is_complete(recorder: Start, upstream: Make, client: Make) -> None:
    def serve(connection: Any) -> None:
        connection.head()
        connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    server = upstream(serve=serve)
    run = recorder(PASS)
    said = client(run.port)
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    got = said.answer()
    assert (got.status, got.text) == (413, "no")
    said.send("defghi")
    assert said.get(f"{server.url}/").status == 413, "the client's connection goes on"
    session = run.stop()
    assert [record["body"]["size"] for record in session.by_type("request")] == [9, 0]


def test_a_client_that_reads_slowly_slows_the_server_down(recorder: Start, upstream: Make) -> None:
    sent = 0
    done = threading.Event()

    def serve(connection: Any) -> None:
        nonlocal sent
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        try:
            while sent < 64 * MIB:
                connection.sock.settimeout(1.0)
                sent += connection.sock.send(b"x" * 65536)
        except TimeoutError:
            done.set()
            connection.sock.settimeout(SECONDS)
            connection.hang()

    server = upstream(serve=serve)
    run = recorder(PASS)
    with socket.socket() as said:
        said.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        said.settimeout(SECONDS)
        said.connect(("127.0.0.1", run.port))
        said.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert done.wait(SECONDS)
        assert sent < 32 * MIB
    session = run.stop()
    assert session.one("abort")["response"]["body"]["incomplete"] is True


# ── ways to the server ─────────────────────────────────────────────────────────────────────────────


def test_httpx_and_requests_through_the_proxy(recorder: Start, upstream: Make) -> None:
    packed = gzip.compress(b"hello " * 1000)
    server = upstream(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
        % (len(packed), packed)
    )
    run = recorder(PASS)
    with httpx.Client(proxy=run.url, trust_env=False) as session:
        assert session.get(f"{server.url}/httpx").text == "hello " * 1000
        assert session.post(f"{server.url}/httpx", json={"a": 1}).status_code == 200
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": run.url}
        assert session.get(f"{server.url}/requests").text == "hello " * 1000
        assert session.put(f"{server.url}/requests", data=iter([b"a", b"b"])).status_code == 200
    assert [received.body for received in server.requests] == [b"", b'{"a":1}', b"", b"ab"]
    assert server.accepted == 2
    bodies = [record["body"] for record in run.stop().by_type("response")]
    assert {body["text"] for body in bodies} == {"hello " * 1000}
    assert bodies[0]["contentEncoding"] == "gzip"
    assert bodies[0]["encodedSize"] == len(packed)


def test_forward_leads_to_another_server_and_host_follows(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(FORWARD % server.port)
    said = client(run.port)
    assert said.get("/api?x=1").text == "ok"
    assert said.get("http://nowhere.invalid/other").text == "ok"
    first, second = server.requests
    assert (first.start, second.start) == ("GET /api?x=1 HTTP/1.1", "GET /other HTTP/1.1")
    assert first.headers["host"] == second.headers["host"] == f"127.0.0.1:{server.port}"
    session = run.stop()
    assert session.by_type("request")[0]["headers"]["host"] == "unused.test", "the log has what the client has sent"


def test_before_a_server_without_rules(recorder: Start, upstream: Make, client: Make) -> None:
    server, other = upstream(), upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
    run = recorder(None, "--upstream", server.url)
    said = client(run.port)
    assert said.get("/a").text == "ok"
    assert said.ask("POST /b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 2\r\n\r\nhi").text == "ok"
    assert [received.headers["host"] for received in server.requests] == [f"127.0.0.1:{server.port}"] * 2
    assert server.requests[1].body == b"hi"
    assert said.get(f"{other.url}/").text == "other"  # what a proxy is asked for, as --unmatched says
    session = run.stop()
    assert {record["ruleId"] for record in session.by_type("rule-event")} == {"upstream", "unmatched"}
    assert all("matchedRuleId" not in record for record in session.by_type("response"))


def test_before_a_server_without_rules_and_nothing_else(recorder: Start, upstream: Make, client: Make) -> None:
    server, other = upstream(), upstream()
    run = recorder(None, "--upstream", server.url, "--unmatched", "reject")
    said = client(run.port)
    assert said.get("/a").text == "ok"
    assert said.get(f"{other.url}/").status == 503
    assert other.accepted == 0
    assert run.stop().code == 0


def test_before_a_server_with_rules_and_unmatched_passthrough(recorder: Start, upstream: Make, client: Make) -> None:
    server, other = upstream(), upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
    rules = "version: 1\nrules:\n  - {when: {path: /mine}, then: {reply: {body: mine}}}\n"
    run = recorder(rules, "--upstream", server.url, "--unmatched", "passthrough")
    said = client(run.port)
    assert said.get("/mine").text == "mine"
    assert said.get("/a").text == "ok"
    assert said.get(f"{other.url}/").text == "other"
    session = run.stop()
    heads = [
        record["ruleId"] for record in session.by_type("rule-event") if record["eventType"].endswith("request-head")
    ]
    assert heads == ["upstream", "unmatched"]


def test_unmatched_passthrough_of_the_rule_file(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(
        "version: 1\nunmatched: passthrough\nrules:\n  - {id: mine, when: {path: /mine}, then: {reply: {body: mine}}}\n"
    )
    said = client(run.port)
    assert [said.get(f"{server.url}{path}").text for path in ("/mine", "/other")] == ["mine", "ok"]
    assert server.request.target == "/other"
    session = run.stop()
    assert {record["ruleId"] for record in session.by_type("rule-event")} == {"unmatched"}
    assert [record.get("matchedRuleId") for record in session.by_type("response")] == ["mine", None]


def test_without_rules_everything_is_passed_on(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(None)
    assert client(run.port).get(f"{server.url}/").text == "ok"
    session = run.stop()
    assert [kind for kind, _ in session.told("unmatched")] == [
        "passthrough-request-head",
        "passthrough-request-body",
        "passthrough-response-head",
        "passthrough-response-body",
    ]


@needs_curl
def test_a_command_is_recorded(upstream: Make, tmp_path: Path, program: Make) -> None:
    server = upstream()
    done = program(
        "run",
        "-o",
        "s.jsonl",
        "--",
        "curl",
        "-sS",
        f"{server.url}/from-curl",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok"
    assert server.request.target == "/from-curl"
    records = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    response = next(record for record in records if record["type"] == "response")
    assert response["url"] == f"{server.url}/from-curl"
    assert response["body"]["text"] == "ok"


def own_address() -> str | None:
    """An address of this machine that others can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # no packet leaves for this
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def test_the_loopback_of_another_machine_is_its_own(recorder: Start, upstream: Make, client: Make) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    theirs = upstream(host=address)
    run = recorder(PASS, "--host", "0.0.0.0", "--open")
    for name in ("127.0.0.1", "localhost"):
        got = client(run.port, host=address).get(f"http://{name}:{theirs.port}/")
        assert got.text == "ok"
        assert theirs.requests[-1].headers["host"] == f"{name}:{theirs.port}"
        assert client(run.port).get(f"http://{name}:{theirs.port}/").status == 502
    session = run.stop()
    heads = [data for kind, data in session.told() if kind == "passthrough-response-head"]
    assert [head["remoteIpAddress"] for head in heads] == [address] * 2


# ── loops ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_rule_that_passes_on_to_the_recorder_itself(recorder: Start, client: Make, name: str) -> None:
    run = recorder(PASS)
    for target in ("/direct", f"http://{name}:{run.port}/proxy"):
        got = client(run.port).ask(f"GET {target} HTTP/1.1\r\nHost: {name}:{run.port}\r\n\r\n")
        assert got.status == 500
        assert "Passthrough loop detected" in got.text
        assert f"http://{name}:{run.port}/" in got.text
    session = run.stop()
    assert [record["statusCode"] for record in session.by_type("response")] == [500, 500]


def test_a_forward_to_the_recorder_itself_goes_round_once(recorder: Start, client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    rules = """
version: 1
rules:
  - {id: round, when: {path: /round}, then: {forward: {to: "http://127.0.0.1:@"}}}
  - {id: to-mock, when: {path: /other}, then: {forward: {to: "http://127.0.0.1:@", request: {matchReplacePath: [[other, mock]]}}}}
  - {id: mock, when: {path: /mock}, then: {reply: {body: mocked}}}
""".replace("@", str(port))
    run = recorder(rules, "--port", str(port))
    said = client(port)
    got = said.get("/round")
    assert got.status == 500
    assert "Passthrough loop detected" in got.text
    assert said.get("/other").text == "mocked"
    session = run.stop()
    assert len(session.by_type("response")) == 4


def test_an_unmatched_request_for_the_recorder_itself_is_explained(recorder: Start, client: Make) -> None:
    run = recorder(
        "version: 1\nunmatched: passthrough\nrules:\n  - {when: {path: /mock}, then: {reply: {body: mocked}}}\n"
    )
    for name in ("127.0.0.1", "localhost"):
        got = client(run.port).get(f"http://{name}:{run.port}/nothing")
        assert got.status == 503
        assert "/mock" in got.text
        assert client(run.port).get(f"http://{name}:{run.port}/mock").text == "mocked"
    got = client(run.port).ask(f"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1:{run.port}\r\n\r\n")
    assert got.status == 503
    session = run.stop()
    assert session.by_type("rule-event") == []


# ── what the log says ──────────────────────────────────────────────────────────────────────────────


def test_what_a_rule_tells_of_passing_on(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    run = recorder(PASS)
    said = client(run.port)
    said.ask(f"POST http://localhost:{server.port}/p?q=1 HTTP/1.1\r\nHost: odd.test\r\nContent-Length: 4\r\n\r\ndata")
    session = run.stop()
    request, body, response, end = session.told("on")
    assert request == (
        "passthrough-request-head",
        {
            "method": "POST",
            "protocol": "http",
            "hostname": "localhost",
            "port": str(server.port),
            "path": "/p?q=1",
            "rawHeaders": [["Host", f"localhost:{server.port}"], ["Content-Length", "4"]],
        },
    )
    assert body == ("passthrough-request-body", {"overridden": False})
    timings = response[1].pop("timings")
    assert list(timings) == ["dns", "connect", "firstByte"]
    assert all(isinstance(value, float) and 0 <= value < 20_000 for value in timings.values())
    assert response == (
        "passthrough-response-head",
        {
            "statusCode": 201,
            "statusMessage": "Made",
            "httpVersion": "1.1",
            "rawHeaders": [["X-A", "1"], ["x-a", "2"], ["Content-Length", "2"], ["Connection", "close"]],
            "remoteIpAddress": "127.0.0.1",
            "remotePort": server.port,
        },
    )
    assert end == ("passthrough-response-body", {"overridden": False})
    identity = session.one("response")["id"]
    assert [record["type"] for record in session.of(identity)] == [
        "request-initiated", "request", "rule-event", "rule-event", "rule-event", "rule-event", "response",
    ]  # fmt: skip
    for record in session.by_type("rule-event"):
        assert record["requestId"] == identity
        assert record["ruleId"] == "on"


def test_what_a_rule_tells_of_changes(recorder: Start, upstream: Make, client: Make) -> None:
    packed = gzip.compress(b"original")
    server = upstream(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    )
    run = recorder("""
version: 1
rules:
  - id: on
    then:
      passthrough:
        request: {method: PUT, headers: {set: {X-New: "1"}}, body: changed}
        response: {body: other, status: 404}
""")
    got = client(run.port).ask(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ndata")
    assert got.status_line == "HTTP/1.1 404 Not Found"
    assert gzip.decompress(got.body) == b"other"
    session = run.stop()
    told = dict(session.told("on"))
    assert told["passthrough-request-head"]["method"] == "PUT"
    assert told["passthrough-request-head"]["rawHeaders"] == [
        ["Host", server.authority],
        ["Content-Length", "7"],
        ["X-New", "1"],
    ]
    assert told["passthrough-request-body"] == {"overridden": True, "rawBody": {"size": 7, "text": "changed"}}
    assert told["passthrough-response-head"]["statusCode"] == 200
    overridden = told["passthrough-response-body"]
    assert overridden["overridden"] is True
    assert overridden["rawBody"]["size"] == len(packed)
    assert session.one("request")["method"] == "POST"
    assert session.one("request")["body"]["text"] == "data"
    assert session.one("response")["body"]["text"] == "other"


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("when", ["before the answer", "while uploading", "in the answer"])
def test_a_client_that_leaves(
    recorder: Start, upstream: Make, client: Make, eventually: Wait, how: str, when: str
) -> None:
    def serve(connection: Any) -> None:
        if when == "while uploading":
            connection.head()
        else:
            connection.request()
        if when == "in the answer":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        connection.hang()

    server = upstream(serve=serve)
    run = recorder(PASS)
    before = run.descriptors
    said = client(run.port)
    length = "Content-Length: 9\r\n" if when == "while uploading" else ""
    said.send(
        f"{'POST' if length else 'GET'} {server.url}/ HTTP/1.1\r\nHost: a\r\n{length}\r\n{'abc' if length else ''}"
    )
    eventually(lambda: len(server.requests) == 1)
    if when == "in the answer":
        assert said.head().status == 200
        assert said.exactly(3) == b"abc"
    if how == "rst":
        said.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    said.leave()
    eventually(lambda: server.ended == [0], "the server's connection has ended")
    eventually(lambda: run.descriptors <= before)
    session = run.stop()
    abort = session.one("abort")
    kind, data = session.told("on")[-1]
    assert kind == "passthrough-abort"
    assert data["downstreamAborted"] is True
    assert data["error"]["code"] == "ECONNRESET"
    assert data.get("tags", []) == []
    assert abort.get("tags", []) == []
    if when == "in the answer":
        assert abort["response"]["body"] == {"size": 3, "text": "abc", "incomplete": True}
    if when == "while uploading":
        assert abort["requestBody"] == {"size": 3, "text": "abc", "incomplete": True}


def test_a_recorder_that_is_stopped_ends_what_it_passes_on(
    recorder: Start, upstream: Make, client: Make, eventually: Wait
) -> None:
    server = upstream(serve=lambda connection: (connection.request(), connection.hang()))
    run = recorder(PASS, "--grace", "100ms")
    client(run.port).send(f"GET {server.url}/ HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(server.requests) == 1)
    session = run.stop(signal.SIGTERM)
    eventually(lambda: server.ended == [0])
    assert session.one("abort")["url"] == f"{server.url}/"
    assert session.told("on")[-1][0] == "passthrough-abort"


# ── what a reader found ────────────────────────────────────────────────────────────────────────────


def test_before_a_server_passthrough_means_that_server(recorder: Start, upstream: Make, client: Make) -> None:
    server, other = upstream(), upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
    run = recorder(f"version: 1\nserver: {{auth: 'ada:pwd'}}\n{PASS.partition(chr(10))[2]}", "--upstream", server.url)
    said = client(run.port)
    # Whatever Host says: otherwise this would be an open proxy.
    for host in ("public.test", other.authority, f"127.0.0.1:{run.port}"):
        assert (
            said.ask(f"GET /x HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic YWRhOnB3ZA==\r\n\r\n").text == "ok"
        )
    assert other.requests == []
    assert {received.headers["host"] for received in server.requests} == {server.authority}
    assert not any("proxy-authorization" in received.headers for received in server.requests)
    run.stop()


def test_a_protocol_that_cannot_be_passed_on(recorder: Start, client: Make) -> None:
    run = recorder(PASS)
    got = client(run.port).get("ftp://127.0.0.1/file")
    assert (got.status, "ftp is no protocol that can be passed on" in got.text) == (500, True)
    assert run.stop().code == 0


def test_a_head_that_drips_is_too_slow_all_the_same(recorder: Start, upstream: Make, client: Make) -> None:
    def serve(connection: Any) -> None:
        connection.request()
        try:
            while True:
                connection.send(b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\nX-A: 1\r\n\r\n")
                connection.sock.settimeout(0.05)
                try:
                    if not connection.sock.recv(1):
                        return
                except TimeoutError:
                    continue
        except OSError:
            return

    server = upstream(serve=serve)
    run = recorder(f"version: 1\nupstream: {{timeouts: {{head: 400ms}}}}\n{PASS.partition(chr(10))[2]}")
    got = client(run.port).get(f"{server.url}/")
    assert got.status == 502
    assert got.text.endswith("no answer within 0.4s [ETIMEDOUT]\n")
    assert set(got.interim) == {b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n"}
    run.stop()


def test_a_body_that_is_too_long_to_be_changed_is_not_held(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    rules = "version: 1\nrecord: {maxBodySize: 1MiB}\nrules:\n  - then: {passthrough: {request: {matchReplaceBody: [[a, b]]}}}\n"
    run = recorder(rules)
    said = client(run.port)
    size = 100 * MIB
    said.send(f"POST {server.url}/ HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
    sender = threading.Thread(target=lambda: said.send(b"x" * size))
    sender.start()
    got = said.answer("POST")
    sender.join()
    assert got.status == 500
    assert "a rule can change bodies of up to" in got.text
    peak = Path(f"/proc/{run.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) < 130_000
    assert server.requests == []
    run.stop()


def test_many_servers_of_one_client(recorder: Start, upstream: Make, client: Make, eventually: Wait) -> None:
    servers = [upstream() for _ in range(40)]
    run = recorder(PASS)
    said = client(run.port)
    assert said.get("http://127.0.0.1:1/").status == 502
    before = run.descriptors
    for server in servers:
        assert said.get(f"{server.url}/").text == "ok"
    eventually(lambda: run.descriptors <= before + 32, "idle connections are kept without end")
    run.stop()


def test_rules_that_would_open_the_proxy_are_not_loaded(recorder: Start, tmp_path: Path, eventually: Wait) -> None:
    run = recorder("version: 1\nrules: [{then: {reply: {}}}]\n", "--host", "0.0.0.0", "--watch")
    (tmp_path / "rules.yaml").write_text(PASS)
    eventually(lambda: "the rules stay as they were" in run.stderr, run.stderr)
    assert "server.auth" in run.stderr
    run.stop()
