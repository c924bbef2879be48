"""HTTP/2 towards servers: what they are asked, what comes back, and what the log says, for clients of both protocols."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from http2_client import Talk
from http2_server import Answer, Asked, Http2, Http2Connection
from hyperframe.frame import GoAwayFrame

Start = Callable[..., Any]
Make = Callable[..., Any]
Connect = Callable[..., Any]

RULES = """\
version: 1
upstream: {trustedCAs: [ca.pem]}
unmatched: passthrough
rules:
  - {id: impatient, when: {path: /slow}, then: {passthrough: {timeouts: {head: 1s}}}}
  - {id: changed, when: {path: /changed}, then: {passthrough: {request: {method: PUT, body: new}, response: {headers: {set: {X-By: rule}}}}}}
"""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture
def start(recorder: Start, pki: Any, tmp_path: Path) -> Start:
    """A recorder that passes on, with the tests' authority."""
    (tmp_path / "ca.pem").write_bytes(pki.ca.read_bytes())

    def run(rules: str = RULES, *options: str) -> Any:
        return recorder(rules, *options, *pki.options)

    return run


@pytest.fixture
def http2(upstream: Make, pki: Any) -> Callable[..., Any]:
    """`http2(answer)`: a server with its port; `protocols`: what it offers."""

    def make(
        answer: Callable[[Http2Connection, Asked], Answer | None], *protocols: str, streams: int = 100
    ) -> tuple[Http2, Any]:
        context = pki.server()
        context.set_alpn_protocols(list(protocols or ("h2",)))
        server = Http2(answer, streams)
        return server, upstream(serve=server.serve, tls=context)

    return make


@pytest.fixture
def ask(pki: Any) -> Iterator[Callable[..., httpx.Client]]:
    """`ask(recorder)`: a client that goes through it; `http2=False` for the older protocol."""
    made: list[httpx.Client] = []

    def client(run: Any, *, http2: bool = True) -> httpx.Client:
        one = httpx.Client(
            proxy=run.url, http2=http2, http1=not http2, verify=pki.trusting, trust_env=False, timeout=20
        )
        made.append(one)
        return one

    yield client
    for one in made:
        one.close()


@pytest.fixture
def streams(pki: Any, client: Connect) -> Callable[..., Talk]:
    """`streams(recorder, server)`: a client that speaks HTTP/2 through a tunnel."""

    def connect(run: Any, at: Any) -> Talk:
        context = pki.trusting
        context.set_alpn_protocols(["h2"])
        inside = client(run.port, context=context).tunnel(at.authority, "127.0.0.1")
        return Talk(inside.sock, scheme="https", authority=at.authority)

    return connect


def hello(_: Http2Connection, asked: Asked) -> Answer:
    return Answer(("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2"), body=asked.body or b"hello")


def test_http2_all_the_way(start: Start, http2: Any, ask: Connect) -> None:
    server, at = http2(hello, "h2", "http/1.1")
    run = start(RULES, "--redact", "none")
    client = ask(run)
    answer = client.post(f"{at.url}/a?b=c", content=b"body", headers=[("X-B", "1"), ("X-B", "2"), ("Cookie", "a=1")])
    assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 200, b"body")
    assert answer.headers.get_list("x-a", split_commas=False) == ["1", "2"]
    assert "content-length" not in answer.headers
    client.get(f"{at.url}/again")
    asked = server.asked[0]
    assert [name for name, _ in asked.fields[:4]] == [":method", ":authority", ":scheme", ":path"]  # as httpx has it
    assert asked.headers[":authority"] == at.authority
    assert asked.headers[":path"] == "/a?b=c"
    assert [value for name, value in asked.fields if name == "x-b"] == ["1", "2"]
    assert (asked.headers["cookie"], asked.headers["content-length"], asked.body) == ("a=1", "4", b"body")
    assert not {"host", "connection", "transfer-encoding"} & set(asked.headers)
    session = run.stop()
    assert at.accepted == 1
    told = session.told()
    kinds = [
        "passthrough-request-head",
        "passthrough-request-body",
        "passthrough-response-head",
        "passthrough-response-body",
    ]
    assert [kind for kind, _ in told] == kinds * 2
    assert told[0][1]["rawHeaders"] == [[name, value] for name, value in asked.fields]
    head = told[2][1]
    assert (head["httpVersion"], head["statusMessage"], head["remotePort"]) == ("2.0", "", at.port)
    assert head["rawHeaders"][0] == [":status", "200"]
    assert "reused" not in head
    assert "tls" in head["timings"]
    assert told[6][1]["reused"] is True
    response = session.by_type("response")[0]
    assert response["rawHeaders"] == [[":status", "200"], ["content-type", "text/plain"], ["x-a", "1"], ["x-a", "2"]]


def test_a_client_of_http1_before_a_server_of_both_gets_http1(
    start: Start, upstream: Make, pki: Any, ask: Connect
) -> None:
    context = pki.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    at = upstream(tls=context)
    run = start()
    assert ask(run, http2=False).get(at.url).text == "ok"
    run.stop()
    assert at.request.version == "HTTP/1.1"


def test_many_requests_share_one_connection(start: Start, http2: Any, streams: Connect) -> None:
    waiting: list[tuple[Http2Connection, Asked]] = []

    def answer(connection: Http2Connection, asked: Asked) -> Answer | None:
        waiting.append((connection, asked))
        if len(waiting) == 20:  # all of them at once, the last first
            for to, late in reversed(waiting):
                to.say(late.stream, Answer(body=late.headers[":path"].encode()))
        return None

    _, at = http2(answer)
    run = start()

    talk = streams(run, at)
    numbers = [talk.ask(f"/{number}") for number in range(20)]
    assert [talk.answer(number) for number in numbers] == [("200", f"/{number}".encode()) for number in range(20)]
    assert at.accepted == 1
    session = run.stop()
    assert len(session.by_type("response")) == 20
    assert len({record["connectionId"] for record in session.by_type("request")}) == 1


def test_more_requests_than_a_connection_takes(start: Start, http2: Any, streams: Connect) -> None:
    _, at = http2(hello, streams=3)
    run = start()

    talk = streams(run, at)
    numbers = [talk.ask("/") for _ in range(30)]
    assert [talk.answer(number) for number in numbers] == [("200", b"hello")] * 30
    run.stop()
    assert 1 <= at.accepted <= 11


def test_large_bodies_both_ways(start: Start, http2: Any, ask: Connect) -> None:
    body = bytes(range(251)) * 40_000

    def answer(_: Http2Connection, asked: Asked) -> Answer:
        return Answer(("x-hash", hashlib.sha256(asked.body).hexdigest()), body=asked.body[::-1])

    _, at = http2(answer)
    run = start()
    got = ask(run).post(f"{at.url}/", content=body)
    assert got.headers["x-hash"] == hashlib.sha256(body).hexdigest()
    assert got.content == body[::-1]
    session = run.stop()
    assert session.one("response")["body"]["size"] == len(body)


def test_a_refused_stream_is_asked_again(start: Start, http2: Any, ask: Connect) -> None:
    def answer(connection: Http2Connection, asked: Asked) -> Answer | None:
        if len(server.asked) == 1:
            connection.conn.reset_stream(asked.stream, 7)
            return None
        return Answer(body=b"at last")

    server, at = http2(answer)
    run = start()
    answered = ask(run).request("PATCH", f"{at.url}/")
    assert answered.text == "at last"
    session = run.stop()
    assert len(server.asked) == 2
    assert [kind for kind, _ in session.told()].count("passthrough-request-head") == 1


@pytest.mark.parametrize("body", [b"", b"body"])
def test_a_stream_that_is_refused_before_its_body_is_there_is_asked_again(
    start: Start, http2: Any, streams: Connect, body: bytes
) -> None:
    heads: list[int] = []
    asked_again = threading.Event()

    def at_head(connection: Http2Connection, stream: int) -> None:
        heads.append(stream)
        if len(heads) == 1:
            connection.conn.reset_stream(stream, 7)
        else:
            asked_again.set()

    server, at = http2(lambda _, asked: Answer(body=b"at last: " + asked.body))
    server.at_head = at_head
    run = start()
    talk = streams(run, at)
    number = talk.ask("/", method="PATCH", end=False)
    assert asked_again.wait(20)
    talk.send(number, body, end=True)
    assert talk.answer(number) == ("200", b"at last: " + body)
    session = run.stop()
    assert session.one("request")["body"]["size"] == len(body)
    assert [kind for kind, _ in session.told()].count("passthrough-request-head") == 1


def test_a_server_that_leaves_takes_nothing_more(start: Start, http2: Any, ask: Connect) -> None:
    def answer(connection: Http2Connection, asked: Asked) -> Answer | None:
        if connection.number == 0:
            connection.say(asked.stream, Answer(body=b"first"))
            connection.sock.sendall(GoAwayFrame(0, last_stream_id=asked.stream).serialize())
            return None
        return Answer(body=b"second")

    _, at = http2(answer)
    run = start()
    client = ask(run)
    assert client.get(f"{at.url}/").text == "first"
    assert client.get(f"{at.url}/").text == "second"  # which may have met the GOAWAY on its way
    run.stop()
    assert at.accepted == 2


def test_resets_by_the_server(start: Start, http2: Any, streams: Connect) -> None:
    def answer(connection: Http2Connection, asked: Asked) -> Answer | None:
        if asked.headers[":path"] == "/late":
            connection.conn.send_headers(asked.stream, [(":status", "200"), ("content-length", "10")])
            connection.conn.send_data(asked.stream, b"half")
        connection.conn.reset_stream(asked.stream, 11)
        return None

    _, at = http2(answer)
    run = start()
    talk = streams(run, at)
    status, text = talk.answer(talk.ask("/early"))
    assert status == "502"
    assert b"it reset the stream with ENHANCE_YOUR_CALM (11)" in text
    assert talk.answer(talk.ask("/late")) == ("reset 2", b"half")
    session = run.stop()
    assert at.accepted == 1
    codes = [data["error"]["code"] for kind, data in session.told() if kind == "passthrough-abort"]
    assert codes == ["ERR_HTTP2_STREAM_ERROR"] * 2
    assert session.one("abort")["error"]["code"] == "ERR_HTTP2_STREAM_ERROR"


@pytest.mark.parametrize("how", ["the connection", "the stream"])
def test_a_client_that_leaves_resets_the_stream(start: Start, http2: Any, streams: Connect, how: str) -> None:
    asked = threading.Event()

    def answer(connection: Http2Connection, _: Asked) -> None:
        asked.set()

    server, at = http2(answer)
    run = start()
    talk = streams(run, at)
    number = talk.ask("/")
    assert asked.wait(20)
    if how == "the stream":
        talk.conn.reset_stream(number, 8)
        talk.flush()
        assert server.reset.wait(20)
        assert server.resets == [8]
    talk.sock.close()
    session = run.stop()
    assert at.ended == [0]
    assert dict(session.told())["passthrough-abort"]["downstreamAborted"] is True


def test_a_server_that_is_silent(start: Start, http2: Any, streams: Connect) -> None:
    def answer(connection: Http2Connection, asked: Asked) -> Answer | None:
        return None if asked.headers[":path"] == "/slow?very" else Answer(body=b"quick")

    server, at = http2(answer)
    run = start()
    talk = streams(run, at)
    status, text = talk.answer(talk.ask("/slow?very"))
    assert (status, b"no answer within 1s" in text) == ("502", True)
    assert server.reset.wait(20)
    assert talk.answer(talk.ask("/slow")) == ("200", b"quick")
    session = run.stop()
    assert (at.accepted, server.resets) == (1, [8])
    assert dict(session.told("impatient"))["passthrough-abort"]["error"]["code"] == "ETIMEDOUT"


def test_a_server_that_speaks_nonsense(start: Start, upstream: Make, pki: Any, ask: Connect) -> None:
    context = pki.server()
    context.set_alpn_protocols(["h2"])
    at = upstream(serve=lambda served: (served.send(b"HTTP/1.1 200 OK\r\n\r\nhello"), served.hang()), tls=context)
    run = start()
    answer = ask(run).get(at.url)
    assert answer.status_code == 502
    assert "its answer is not HTTP/2" in answer.text
    session = run.stop()
    assert dict(session.told())["passthrough-abort"]["error"]["code"] == "ERR_HTTP2_ERROR"


def test_changes_of_a_rule(start: Start, http2: Any, ask: Connect) -> None:
    server, at = http2(hello)
    run = start()
    answer = ask(run).post(f"{at.url}/changed", content=b"old body")
    assert (answer.text, answer.headers["x-by"]) == ("new", "rule")
    asked = server.asked[0]
    assert (asked.headers[":method"], asked.headers["content-length"], asked.body) == ("PUT", "3", b"new")
    session = run.stop()
    assert dict(session.told("changed"))["passthrough-request-head"]["method"] == "PUT"


def test_interim_answers_and_none(start: Start, http2: Any, ask: Connect) -> None:
    def answer(connection: Http2Connection, asked: Asked) -> Answer:
        if asked.headers[":method"] == "HEAD":
            return Answer(("content-length", "100"))
        connection.conn.send_headers(asked.stream, [(":status", "103"), ("link", "</a>")])
        return Answer((":status", "204"))

    _, at = http2(answer)
    run = start()
    client = ask(run)
    head = client.head(at.url)
    assert (head.headers["content-length"], head.content) == ("100", b"")
    assert client.get(at.url).status_code == 204
    session = run.stop()
    assert session.one("response-information")["statusCode"] == 103


NODE = """\
import http2 from 'node:http2'; import fs from 'node:fs';
const server = http2.createSecureServer({key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3])});
server.on('stream', (stream, headers) => {
    const pieces = []; let told = {}; stream.on('error', () => {});
    stream.on('trailers', (trailers) => told = trailers);
    stream.on('data', (data) => pieces.push(data)).on('end', () => {
        const body = Buffer.concat(pieces), extra = headers['x-length'] ? {'content-length': body.length, 'trailer': 'x-sum'} : {};
        if (headers[':path'] == '/reset') return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        stream.respond({':status': 200, 'set-cookie': ['a=1', 'b=2'], 'x-seen': JSON.stringify(headers), ...extra}, {waitForTrailers: true});
        stream.on('wantTrailers', () => stream.sendTrailers({'x-sum': String(body.length), 'x-up': told['x-up'] || ''}));
        stream.end(body);
    });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


@pytest.fixture
def node(node_server: Callable[..., int]) -> int:
    """The port of a server that speaks HTTP/2 and nothing else."""
    return node_server(NODE, "localhost", "127.0.0.1")


@needs_node
@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_node_as_the_server_and_curl_as_the_client(
    start: Start, pki: Any, tmp_path: Path, node: int, version: str
) -> None:
    body = tmp_path / "body.bin"
    body.write_bytes(bytes(range(256)) * 4096)
    run = start()
    argv = [
        "curl",
        "-sS",
        version,
        "--cacert",
        pki.ca,
        "--proxy",
        run.url,
        "--noproxy",
        "",
        "--data-binary",
        f"@{body}",
    ]
    done = subprocess.run(
        [*argv, "-H", "TE: trailers", "-o", "got", f"https://localhost:{node}/a?b"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_bytes() == body.read_bytes()
    session = run.stop()
    assert session.one("response")["rawTrailers"] == [["x-sum", str(256 * 4096)], ["x-up", ""]]
    head = dict(session.told())["passthrough-response-head"]
    assert head["httpVersion"] == "2.0"
    assert json.loads(dict(head["rawHeaders"])["x-seen"])[":path"] == "/a?b"
    assert session.one("request")["httpVersion"] == ("2.0" if version == "--http2" else "1.1")


@needs_node
def test_a_client_of_http1_before_a_server_of_http2_alone(start: Start, pki: Any, client: Connect, node: int) -> None:
    run = start()
    at = f"localhost:{node}"
    inside = client(run.port, context=pki.trusting).tunnel(at, "localhost")
    answer = inside.ask(
        f"POST /a HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n"
        "X-Length: 1\r\nX-B: 1\r\nX-B: 2\r\n\r\n4\r\nbody\r\n0\r\nX-Up: 1\r\n\r\n"
    )
    assert (answer.status, answer.body, answer.trailers) == (200, b"body", b"x-sum: 4\r\nx-up: 1\r\n")
    assert [value for name, value in answer.fields if name == "set-cookie"] == ["a=1", "b=2"]
    seen = json.loads(answer.headers["x-seen"])
    assert seen[":method"] == "POST"
    assert seen["x-b"] == "1, 2"
    assert seen["te"] == "trailers"
    assert not {"host", "connection", "transfer-encoding"} & set(seen)
    plain = inside.ask(f"GET /b HTTP/1.1\r\nHost: {at}\r\nCookie: a=1\r\n\r\n")
    assert (plain.body, plain.headers["transfer-encoding"], plain.trailers) == (
        b"",
        "chunked",
        b"x-sum: 0\r\nx-up: \r\n",
    )
    reset = inside.ask(f"GET /reset HTTP/1.1\r\nHost: {at}\r\n\r\n")
    assert reset.status == 502
    assert b"INTERNAL_ERROR (2)" in reset.body
    session = run.stop()
    heads = [data for kind, data in session.told() if kind == "passthrough-response-head"]
    assert [head["httpVersion"] for head in heads[:2]] == ["2.0", "2.0"]
    assert "reused" in heads[1]
    assert [record["statusMessage"] for record in session.by_type("response")][:2] == ["OK", "OK"]
    assert session.by_type("response")[0]["rawTrailers"] == [["x-sum", "4"], ["x-up", "1"]]
    assert session.by_type("request")[0]["rawTrailers"] == [["X-Up", "1"]]


def test_nginx(start: Start, nginx: Make, pki: Any, ask: Connect, tmp_path: Path) -> None:
    cert, key = pki.issue("localhost", "127.0.0.1", issuer=(pki.ca, pki.ca_key))
    data = bytes(range(256)) * 5000
    (tmp_path / "file.bin").write_bytes(data)
    port = nginx(f"ssl_certificate {cert}; ssl_certificate_key {key}; root {tmp_path};", "ssl http2")
    run = start()
    for version in (True, False):
        answer = ask(run, http2=version).get(f"https://localhost:{port}/file.bin")
        assert answer.content == data
        assert answer.headers["server"].startswith("nginx")
    session = run.stop()
    versions = [data["httpVersion"] for kind, data in session.told() if kind == "passthrough-response-head"]
    assert versions == ["2.0", "1.1"]


def test_a_refused_certificate_is_told(start: Start, upstream: Make, pki: Any, ask: Connect) -> None:
    context: ssl.SSLContext = pki.server(foreign=True)
    context.set_alpn_protocols(["h2"])
    at = upstream(tls=context)
    run = start()
    assert ask(run).get(at.url).status_code == 502
    session = run.stop()
    assert [kind for kind, _ in session.told()] == [
        "passthrough-request-head",
        "passthrough-request-body",
        "passthrough-abort",
    ]
