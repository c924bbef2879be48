"""CONNECT: what is inside is looked at like a new connection, however deep; who may use it; what it says of clients."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2.events
import h2.exceptions
import pytest
from http2_client import Talk
from tls_client import Tls
from waiting import to_the_end

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
RULES = "version: 1\nrules:\n  - then: {reply: {body: hello}}\n"
WITH_PASSWORD = f"{RULES}server: {{auth: 'ada:s3cret:x'}}\n"
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def start(recorder: Start, tmp_path: Path) -> Start:
    """The recorder with an authority of the test's own."""

    def run(rules: str = RULES, *options: str | Path, **more: Any) -> Any:
        return recorder(rules, *options, env={"MOCKREC_CA_DIR": str(tmp_path / "ca")}, **more)

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Its certificate, which is there as soon as the recorder is ready."""
    return tmp_path / "ca" / "ca.pem"


def direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def connect_request(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode()


def enter(pipe: Any, target: str, *headers: str) -> None:
    """A CONNECT that is accepted."""
    pipe.sendall(connect_request(target, *headers))
    assert pipe.recv(65536) == ESTABLISHED


def ask(pipe: Any, path: str = "/", host: str = "h.test", *headers: str) -> bytes:
    """A request on a connection that goes on; the answer's body."""
    pipe.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode())
    data: bytes = pipe.recv(65536)
    assert data.startswith(b"HTTP/1.1 200 "), data
    return data.partition(b"\r\n\r\n")[2]


def answer(port: int, data: bytes) -> bytes:
    """Everything that comes back until the end."""
    with direct(port) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


def basic(text: str) -> str:
    return f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}"


def where(record: Record) -> tuple[str, str, int]:
    return record["url"], record["destination"]["hostname"], record["destination"]["port"]


def curl(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


# ── depth ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_http_in_tunnels(start: Start, depth: int) -> None:
    run = start()
    with direct(run.port) as sock:
        assert ask(sock, "/outside", f"127.0.0.1:{run.port}") == b"hello"
        for number in range(depth):
            enter(sock, f"t{number}.test:{8000 + number}")
        assert ask(sock, "/one", "other.test:1") == b"hello"
        assert ask(sock, "/two") == b"hello"
    session = run.stop()
    outside, one, two = session.by_type("request")
    assert where(outside) == (f"{run.url}/outside", "127.0.0.1", run.port)
    name, port = f"t{depth - 1}.test", 8000 + depth - 1
    assert where(one) == (f"http://{name}:{port}/one", name, port)
    assert where(two) == (f"http://{name}:{port}/two", name, port)
    assert one["headers"]["host"] == "other.test:1"
    assert len({record["connectionId"] for record in (outside, one, two)}) == 1
    assert session.by_type("client-error") == []


def test_layers_of_every_kind(start: Start, ca: Path) -> None:
    """TLS, in it a tunnel, in it TLS, in it a tunnel, in it plain HTTP; and each layer carries requests too."""
    run = start()
    with direct(run.port) as sock:
        outer = Tls(sock, ca, "proxy.test")
        assert ask(outer, "/a", "proxy.test") == b"hello"
        enter(outer, "one.test:443")
        inner = Tls(outer, ca, "sni.one.test")
        assert ask(inner, "/b") == b"hello"
        enter(inner, "two.test:80")
        assert ask(inner, "/c") == b"hello"
        enter(inner, "three.test:444")
        innermost = Tls(inner, ca, "three.test")
        assert ask(innermost, "/d") == b"hello"
    found = run.stop().by_type("request")
    assert [where(record) for record in found] == [
        ("https://proxy.test/a", "proxy.test", 443),
        ("https://one.test/b", "one.test", 443),
        ("http://two.test/c", "two.test", 80),
        ("https://three.test:444/d", "three.test", 444),
    ]
    names = [record.get("tlsMetadata", {}).get("sniHostname") for record in found]
    assert names == ["proxy.test", "sni.one.test", None, "three.test"]
    assert len({record["connectionId"] for record in found}) == 1


def test_tls_directly_in_tls(start: Start, ca: Path) -> None:
    run = start()
    with direct(run.port) as sock:
        assert ask(Tls(Tls(sock, ca, "outer.test"), ca, "inner.test"), "/", "inner.test") == b"hello"
    request = run.stop().one("request")
    assert request["tlsMetadata"]["sniHostname"] == "inner.test"
    assert request["url"] == "https://inner.test/"


@needs_curl
def test_curl_with_an_https_proxy(start: Start, ca: Path) -> None:
    run = start()
    proxy = f"https://localhost:{run.port}"
    said = curl("--proxy", proxy, "--proxy-cacert", ca, "--cacert", ca, "https://in.test/x", "http://plain.test/y")
    assert said == "hellohello"
    assert [where(record) for record in run.stop().by_type("request")] == [
        ("https://in.test/x", "in.test", 443),
        ("http://plain.test/y", "plain.test", 80),
    ]


def test_too_many_layers_end_the_connection(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        sock.sendall(connect_request("a.test:80") * 100)
        received = to_the_end(sock)
    assert 0 < received.count(ESTABLISHED) < 100
    assert run.stop().code == 0


class Through:
    """What is sent and comes through a tunnel in a stream of HTTP/2, as a socket."""

    def __init__(self, talk: Talk, stream: int) -> None:
        self._talk = talk
        self._stream = stream
        assert talk.status(stream) == "200"

    def sendall(self, data: bytes) -> None:
        if data:
            self._talk.send(self._stream, data)

    def recv(self, _: int) -> bytes:
        while not (data := self._talk.data(self._stream)):
            ended = (h2.events.StreamEnded, h2.events.StreamReset)
            if any(isinstance(event, ended) for event in self._talk.events) or not self._talk.more():
                return b""
        self._talk.events = [one for one in self._talk.events if not isinstance(one, h2.events.DataReceived)]
        return data


@pytest.mark.parametrize(("depth", "reached"), [(5, True), (31, True), (40, False)])
def test_tunnels_of_http2_inside_one_another_are_layers_too(start: Start, depth: int, reached: bool) -> None:
    run = start()
    with direct(run.port) as sock:
        talk = Talk(sock)
        try:
            for _ in range(depth):
                talk = Talk(Through(talk, talk.tunnel("h.test:80")))
            assert talk.answer(talk.ask("/deep")) == ("200", b"hello")
            there = True
        except (AssertionError, h2.exceptions.ProtocolError):
            there = False
    assert there == reached
    session = run.stop()
    assert session.code == 0
    assert len(session.by_type("response")) == reached


# ── the request for a tunnel ───────────────────────────────────────────────────────────────────────


def test_bytes_that_come_together_with_the_request(start: Start, ca: Path) -> None:
    run = start()
    request = b"GET /early HTTP/1.1\r\nHost: early.test\r\nConnection: close\r\n\r\n"
    said = answer(run.port, connect_request("early.test:80") + request)
    assert said.startswith(ESTABLISHED + b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"hello")
    said = answer(run.port, connect_request("a.test:80") + connect_request("b.test:81") + request)
    assert said.startswith(ESTABLISHED + ESTABLISHED + b"HTTP/1.1 200 OK\r\n")

    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(ca)).wrap_bio(into, out, server_hostname="tls.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with direct(run.port) as sock:
        sock.sendall(connect_request("tls.test:443") + out.read())
        data = sock.recv(65536)
        assert data.startswith(ESTABLISHED)
        into.write(data.removeprefix(ESTABLISHED))
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                into.write(sock.recv(65536))
        client.write(b"GET /tls HTTP/1.0\r\n\r\n")
        sock.sendall(out.read())
        assert sock.recv(65536)
    assert [record["url"] for record in run.stop().by_type("request")] == [
        "http://early.test/early",
        "http://b.test:81/early",
        "https://tls.test/tls",
    ]


def test_without_a_port_it_is_that_of_the_protocol(start: Start, ca: Path) -> None:
    run = start()
    with direct(run.port) as sock:
        enter(sock, "plain.test")
        assert ask(sock) == b"hello"
        enter(sock, "secure.test:")
        assert ask(Tls(sock, ca, "secure.test")) == b"hello"
    assert [where(record) for record in run.stop().by_type("request")] == [
        ("http://plain.test/", "plain.test", 80),
        ("https://secure.test/", "secure.test", 443),
    ]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_clients(start: Start, version: str) -> None:
    run = start()
    with direct(run.port) as sock:
        sock.sendall(f"CONNECT old.test:80 HTTP/{version}\r\nHost: old.test:80\r\n\r\n".encode())
        assert sock.recv(65536) == ESTABLISHED
        assert ask(sock) == b"hello"
    run.stop()


def test_bad_authorities(start: Start) -> None:
    run = start()
    codes = {
        "a.test:0": "PREPROCESSING_FAILED",
        "a.test:70000": "PREPROCESSING_FAILED",
        "a.test:http": "ERR_INVALID_URL",
        "user@a.test:80": "HPE_INVALID_URL",
        ":80": "ERR_INVALID_URL",
        "/path": "HPE_INVALID_URL",
        "http://a.test/": "HPE_INVALID_URL",
        "[::1:80": "ERR_INVALID_URL",
        "a.test:80:90": "ERR_INVALID_URL",
    }
    for target in codes:
        assert answer(run.port, connect_request(target)).startswith(b"HTTP/1.1 400 Bad Request\r\n"), target
    errors = run.stop().by_type("client-error")
    assert [error["errorCode"] for error in errors] == list(codes.values())
    assert {error["response"]["statusCode"] for error in errors} == {400}
    assert all(error["request"]["rawHead"]["text"].startswith("CONNECT ") for error in errors)


def test_a_body_in_the_request_is_refused(start: Start) -> None:
    run = start()
    said = answer(run.port, connect_request("a.test:80", "Content-Length: 3") + b"abc")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert run.stop().one("client-error")["response"]["statusCode"] == 400


def test_what_is_no_http_inside_is_a_client_error(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        enter(sock, "a.test:80")
        sock.sendall(b"\x00\x01\x02 what is this\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert run.stop().one("client-error")["response"]["statusCode"] == 400


def test_tunnels_that_are_left_unused_say_nothing(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        enter(sock, "a.test:80")
    with direct(run.port) as sock:
        enter(sock, "b.test:80")
        session = run.stop()
        assert sock.recv(1) == b""
    assert [record["type"] for record in session.records] == ["session-started", "session-ended"]


# ── metadata ───────────────────────────────────────────────────────────────────────────────────────

METADATA = json.dumps({"tags": ["one", "two"]})


def test_metadata_tags_everything_of_the_connection(start: Start, ca: Path) -> None:
    run = start("version: 1\nrules:\n  - {when: {path: /close}, then: close}\n  - then: {reply: {body: hello}}\n")
    with direct(run.port) as sock:
        assert ask(sock, "/before") == b"hello"
        enter(sock, "a.test:443", basic(f"metadata:{METADATA}"))
        client = Tls(sock, ca, "a.test")
        assert ask(client, "/inside") == b"hello"
        enter(client, "b.test:80", basic('metadata:{"tags": ["two", "three"]}'))
        assert ask(client, "/deeper") == b"hello"
        client.sendall(b"GET /close HTTP/1.1\r\nHost: b.test\r\n\r\n")
        assert client.recv(1) == b""
    tagged: dict[str, list[list[str]]] = {}
    for record in run.stop().records:
        if "url" in record:
            tagged.setdefault(record["url"].rpartition("/")[2], []).append(record["tags"])
    one, two, three = (f"socket-metadata:{tag}" for tag in ("one", "two", "three"))
    assert tagged == {
        "before": [[]] * 3,
        "inside": [[one, two]] * 3,
        "deeper": [[one, two, three]] * 3,
        "close": [[one, two, three]] * 3,
    }


def test_metadata_in_base64(start: Start) -> None:
    run = start()
    encoded = base64.b64encode(b'{"tags": ["\xc3\xbf?>"]}').decode()  # has + or / in it
    for text in (encoded, encoded.translate(str.maketrans("+/", "-_")).rstrip("=")):
        with direct(run.port) as sock:
            enter(sock, "a.test:80", basic(f"metadata:{text}"))
            assert ask(sock) == b"hello"
    assert [record["tags"] for record in run.stop().by_type("request")] == [["socket-metadata:\xff?>"]] * 2


def test_metadata_tags_client_errors(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        enter(sock, "a.test:80", basic(f"metadata:{METADATA}"))
        sock.sendall(b"rubbish\r\n\r\n")
        assert sock.recv(65536)
    tags = run.stop().one("client-error")["request"]["tags"]
    assert {"socket-metadata:one", "socket-metadata:two"} <= set(tags)


def test_other_credentials_are_nobodys_business(start: Start) -> None:
    run = start()
    given = ("metadata:{not json", "metadata:[1]", 'metadata:{"tags": 7}', "somebody:secret", "nocolon")
    for credentials in given:
        with direct(run.port) as sock:
            enter(sock, "a.test:80", basic(credentials))
            assert ask(sock) == b"hello"
    assert [record["tags"] for record in run.stop().by_type("request")] == [[]] * len(given)


def test_metadata_of_a_whole_url_hold_for_that_request(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        assert ask(sock, "http://abs.test/one", "abs.test", basic(f"metadata:{METADATA}")) == b"hello"
        assert ask(sock, "http://abs.test/two", "abs.test") == b"hello"
    one, two = run.stop().by_type("request")
    assert one["tags"] == ["socket-metadata:one", "socket-metadata:two"]
    assert two["tags"] == []
    assert "proxy-authorization" not in one["headers"]


# ── a password ─────────────────────────────────────────────────────────────────────────────────────


def test_without_the_password_there_is_no_tunnel(start: Start) -> None:
    run = start(WITH_PASSWORD)
    for headers in ((), (basic("ada:wrong"),), (basic("eve:s3cret:x"),), (basic(f"metadata:{METADATA}"),)):
        said = answer(run.port, connect_request("a.test:443", *headers))
        head = said.decode().split("\r\n")
        assert head[0] == "HTTP/1.1 407 Proxy Authentication Required"
        assert 'Proxy-Authenticate: Basic realm="mockrec", charset="UTF-8"' in head
    said = answer(run.port, b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 407 ")
    said = answer(run.port, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 407 "), "Host names another server, so this is the use of a proxy"
    session = run.stop()
    errors = session.by_type("client-error")
    assert [error["errorCode"] for error in errors] == ["ERR_PROXY_AUTH_REQUIRED"] * 6
    assert {error["response"]["statusCode"] for error in errors} == {407}
    assert errors[0]["request"]["method"] == "CONNECT"
    assert session.by_type("request") == []


def test_with_the_password_there_is(start: Start, ca: Path) -> None:
    run = start(WITH_PASSWORD)
    password = basic("ada:s3cret:x")
    with direct(run.port) as sock:
        enter(sock, "a.test:443", password)
        client = Tls(sock, ca, "a.test")
        assert ask(client, "/inside") == b"hello"
        enter(client, "b.test:80")  # the way there has been allowed
        assert ask(client, "/deeper") == b"hello"
        assert ask(client, "http://c.test/absolute", "c.test") == b"hello"
    with direct(run.port) as sock:
        assert ask(sock, "http://a.test/x", "a.test", password) == b"hello"
        assert ask(sock, "/direct", f"127.0.0.1:{run.port}") == b"hello"
    with direct(run.port) as sock:
        assert ask(Tls(sock, ca, "localhost"), "/direct", f"localhost:{run.port}") == b"hello"
    session = run.stop()
    assert session.by_type("client-error") == []
    found = session.by_type("request")
    assert len(found) == 6
    assert all("proxy-authorization" not in record["headers"] for record in found)


@needs_curl
def test_curl_says_the_password(start: Start, ca: Path) -> None:
    run = start(WITH_PASSWORD)
    proxy = ("-x", run.url, "--cacert", ca)
    user = ("--proxy-user", "ada:s3cret:x")
    assert curl(*proxy, *user, "https://a.test/", "http://b.test/") == "hellohello"
    assert curl(*proxy, *user, "--proxy-anyauth", "https://c.test/") == "hello", "asks first without"
    assert "407" in curl(*proxy, "https://d.test/", code=56)
    assert curl("--cacert", ca, f"https://localhost:{run.port}/", run.url) == "hellohello"
    session = run.stop()
    assert len(session.by_type("request")) == 5
    assert len(session.by_type("client-error")) == 2


def test_names_are_not_passed_on_by_sni_without_the_password(start: Start, ca: Path) -> None:
    """Where nobody could be asked, nobody gets through."""
    run = start(f"{WITH_PASSWORD}tls: {{passthrough: [localhost]}}\n")
    context = ssl.create_default_context(cafile=str(ca))
    with direct(run.port) as sock, pytest.raises(OSError):
        context.wrap_socket(sock, server_hostname="localhost")
    closed = run.stop().one("tls-passthrough-closed")
    assert closed["tags"] == ["tls-passthrough-error:ERR_PROXY_AUTH_REQUIRED"]


# ── open proxies ───────────────────────────────────────────────────────────────────────────────────

PASSING = {
    "unmatched": "unmatched: passthrough\n",
    "a rule": "rules:\n  - then: passthrough\n",
    "tls": "tls: {passthrough: [a.test]}\n",
    "raw": "server: {passthrough: [unknown-protocol]}\n",
}


@pytest.mark.parametrize("kind", PASSING)
def test_no_open_proxy_by_accident(program: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    text = "version: 1\n" + PASSING[kind] + ("" if kind == "a rule" else "rules: []\n")
    (tmp_path / "open.yaml").write_text(text)
    options = ("--host", "0.0.0.0", "--port", "0", "-o", "none", "--stop-after", "1ms")
    env = {"MOCKREC_CA_DIR": str(tmp_path / "ca"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = program("run", "open.yaml", *options, env=env)
    assert done.returncode == 2
    assert "server.auth" in done.stderr
    assert "--open" in done.stderr
    assert program("run", "open.yaml", *options, "--open", env=env).returncode == 0


def test_beyond_loopback_with_open_or_a_password(start: Start) -> None:
    passing = "version: 1\nunmatched: passthrough\nrules:\n  - then: {reply: {body: hello}}\n"
    run = start(passing, "--host", "0.0.0.0", "--open")
    assert http_get(run.port) == b"hello"
    run.stop()
    run = start(f"{passing}server: {{auth: 'a:b'}}\n", "--host", "0.0.0.0", out="second.jsonl")
    assert http_get(run.port) == b"hello"
    run.stop()
    run = start(passing, "--host", "127.0.0.2", out="loopback.jsonl")
    assert "listening on" not in run.stop().stderr, "only this machine reaches that"
    run = start(RULES, "--host", "0.0.0.0", out="third.jsonl")
    assert http_get(run.port) == b"hello", "nothing is passed on, so nothing has to be asked"
    run.stop()


def http_get(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()
