"""HTTP/2: real clients, mocked and passed on, tunnels through streams; what the log says is what it says of HTTP/1."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2.events
import httpx
import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]
Connect = Callable[[int], Any]

SECONDS = 20.0
RULES = """\
version: 1
upstream: {trustedCAs: [ca.pem]}
unmatched: passthrough
rules:
  - {id: hello, when: {path: /hello}, then: {reply: {body: hello, headers: {X-A: "1"}}}}
  - {id: big, when: {path: /big}, then: {reply: {file: big.bin}}}
  - {id: trailers, when: {path: /trailers}, then: {reply: {body: sum, trailers: {X-Sum: "3"}}}}
  - {id: hints, when: {path: /hints}, then: [{informational: {status: 103, headers: {Link: </a>}}}, {reply: {body: there}}]}
  - {id: close, when: {path: /close}, then: close}
  - {id: json, when: {path: /json, json: {a: 1}}, then: {reply: {status: 201}}}
  - {id: slow, when: {path: /slow}, then: [{delay: 60s}, {reply: {}}]}
"""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture
def start(recorder: Start, pki: Any, tmp_path: Path) -> Start:
    """The recorder with the tests' authority."""
    (tmp_path / "ca.pem").write_bytes(pki.ca.read_bytes())
    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 12_000)

    def run(rules: str = RULES, *options: str) -> Any:
        return recorder(rules, *options, *pki.options)

    return run


def curl(*arguments: str | Path, code: int = 0) -> str:
    argv = ["curl", "-sS", "--noproxy", "*", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout


@needs_curl
@pytest.mark.parametrize("tls", [False, True])
def test_curl(start: Start, pki: Any, tls: bool) -> None:
    run = start()
    way = (
        ["--cacert", pki.ca, "--http2", f"https://localhost:{run.port}"]
        if tls
        else ["--http2-prior-knowledge", run.url]
    )
    *options, url = way
    assert curl(*options, "-i", f"{url}/hello?x=1").startswith("HTTP/2 200")
    assert curl(*options, "-o", "/dev/null", "-w", "%{http_version} %{size_download}", f"{url}/big") == "2 3072000"
    assert curl(*options, "-I", f"{url}/hello").splitlines()[0].strip() == "HTTP/2 200"
    assert "HTTP/2 503" in curl(*options, "-i", f"{url}/nothing", "-H", "Host: " + url.partition("://")[2])
    session = run.stop()
    request, response = session.by_type("request")[0], session.by_type("response")[0]
    assert (request["httpVersion"], request["path"], request["protocol"]) == (
        "2.0",
        "/hello?x=1",
        "https" if tls else "http",
    )
    assert {name for name, _ in request["rawHeaders"][:4]} == {":method", ":scheme", ":authority", ":path"}
    assert request["headers"][":path"] == "/hello?x=1"
    assert (response["statusMessage"], response["rawHeaders"][0]) == ("", [":status", "200"])
    assert ["x-a", "1"] in response["rawHeaders"]
    assert request["remotePort"] > 0
    head = session.by_type("response")[2]
    assert head["body"] == {"size": 0, "text": ""}


def test_httpx(start: Start, pki: Any) -> None:
    run = start()
    context = pki.trusting
    with httpx.Client(http2=True, verify=context, trust_env=False) as client:
        for _ in range(3):
            answer = client.get(f"https://localhost:{run.port}/hello")
            assert (answer.http_version, answer.text) == ("HTTP/2", "hello")
        assert client.post(f"https://localhost:{run.port}/json", json={"a": 1}).status_code == 201
        assert len(client.get(f"https://localhost:{run.port}/big").content) == 3_072_000
    session = run.stop()
    assert len({record["connectionId"] for record in session.by_type("request")}) == 1
    assert [record["matchedRuleId"] for record in session.by_type("response")] == ["hello"] * 3 + ["json", "big"]


@pytest.mark.parametrize(
    ("setting", "offers", "chosen"),
    [
        ("true", ["h2", "http/1.1"], "h2"),
        ("fallback", ["h2", "http/1.1"], "http/1.1"),
        ("fallback", ["h2"], "h2"),
        ("false", ["h2", "http/1.1"], "http/1.1"),
    ],
)
def test_what_is_agreed_on(start: Start, pki: Any, setting: str, offers: list[str], chosen: str) -> None:
    run = start(f"{RULES}server: {{http2: {setting}}}\n")
    context = pki.trusting
    context.set_alpn_protocols(offers)
    with (
        socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        assert tls.selected_alpn_protocol() == chosen
    run.stop()


def test_off_means_off(start: Start) -> None:
    run = start(RULES, "--http2", "false")
    with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert run.stop().one("client-error")["errorCode"] == "HPE_INVALID_METHOD"


def test_trailers_hints_and_bodies_that_decide(start: Start, connect: Connect) -> None:
    run = start()
    talk = connect(run.port)
    assert talk.until(h2.events.TrailersReceived, talk.ask("/trailers")).headers == [("x-sum", "3")]
    number = talk.ask("/hints")
    assert (":status", "103") in talk.until(h2.events.InformationalResponseReceived, number).headers
    assert talk.answer(number) == ("200", b"there")
    number = talk.ask("/json", end=False)
    talk.send(number, b'{"a":')
    talk.send(number, b" 1}", end=True)
    assert talk.status(number) == "201"
    session = run.stop()
    assert session.by_type("response")[0]["rawTrailers"] == [["x-sum", "3"]]
    assert session.one("response-information")["statusCode"] == 103
    assert session.by_type("request")[2]["body"]["text"] == '{"a": 1}'


def test_resets_both_ways(start: Start, connect: Connect, eventually: Any) -> None:
    run = start()
    talk = connect(run.port)
    assert talk.answer(talk.ask("/close"))[0] == "reset 2"
    number = talk.ask("/slow")
    assert talk.answer(talk.ask("/hello")) == ("200", b"hello")  # while the other waits
    talk.conn.reset_stream(number, 8)
    talk.flush()
    eventually(lambda: run.log.read_bytes().count(b'"type":"abort"') == 2)
    assert talk.answer(talk.ask("/hello")) == ("200", b"hello")
    session = run.stop()
    first, second = session.by_type("abort")
    assert first["error"]["code"] == "E_RULE_CLOSE"
    assert "error" not in second, "the request was complete"


def test_a_broken_client_is_told_and_recorded(start: Start, connect: Connect) -> None:
    run = start()
    talk = connect(run.port)
    talk.ask("/slow")
    talk.sock.sendall(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")  # a window update of nothing
    assert talk.until(h2.events.ConnectionTerminated).error_code == 1
    session = run.stop()
    assert session.one("client-error")["errorCode"] == "ERR_HTTP2_ERROR"
    assert session.one("abort")["error"]["code"] == "ERR_HTTP2_ERROR"


def test_a_stop_says_goodbye(start: Start, connect: Connect) -> None:
    run = start()
    talk = connect(run.port)
    assert talk.answer(talk.ask("/hello")) == ("200", b"hello")
    session = run.stop()
    assert talk.until(h2.events.ConnectionTerminated).error_code == 0
    assert session.one("session-ended")["reason"] == "SIGINT"


def test_what_is_passed_on_is_http1_to_the_server(start: Start, connect: Connect, upstream: Make) -> None:
    server = upstream(
        b"HTTP/1.1 200 OK\r\nServer: real\r\nConnection: keep-alive\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n"
    )
    run = start()
    talk = connect(run.port)
    fields = (("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "1"), ("x-a", "2"))
    talk.ask("/a?b", *fields, authority=server.authority, body=b"body")
    fields = talk.until(h2.events.ResponseReceived).headers
    assert fields == [(":status", "200"), ("server", "real"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    assert talk.until(h2.events.DataReceived).data == b"ok"
    assert talk.until(h2.events.TrailersReceived).headers == [("x-sum", "9")]
    received = server.request
    assert received.start == "POST /a?b HTTP/1.1"
    assert received.body == b"body"
    assert received.fields[0] == ["Host", server.authority]
    assert sorted(received.fields[1:]) == [
        ["Transfer-Encoding", "chunked"],
        ["cookie", "a=1; b=2"],
        ["x-a", "1"],
        ["x-a", "2"],
    ]
    session = run.stop()
    assert session.one("response")["rawTrailers"] == [["x-sum", "9"]]
    assert dict(session.told())["passthrough-response-head"]["httpVersion"] == "1.1"


NODE = """\
import http2 from 'node:http2'; import tls from 'node:tls'; import fs from 'node:fs';
const ask = (session, path) => new Promise((done, failed) => {
    const stream = session.request({':path': path}); let text = '';
    stream.setEncoding('utf8').on('data', (data) => text += data).on('end', () => done(text)).on('error', failed);
});
const outer = http2.connect(process.argv[2]);
const tunnel = outer.request({':method': 'CONNECT', ':authority': 'localhost:443'});
await new Promise((done) => tunnel.on('response', done));
const inside = tls.connect({socket: tunnel, servername: 'localhost', ca: fs.readFileSync(process.argv[3]), ALPNProtocols: ['h2']});
await new Promise((done, failed) => inside.on('secureConnect', done).on('error', failed));
const inner = http2.connect('https://localhost', {createConnection: () => inside});
console.log(inside.alpnProtocol, await ask(inner, '/hello'), (await ask(inner, '/big')).length > 1000000, await ask(outer, '/hello'));
inner.close(); outer.close();
"""


NODE_POST = """\
import http2 from 'node:http2'; import fs from 'node:fs';
const [url, ca, length] = process.argv.slice(2);
const session = http2.connect(url, {ca: fs.readFileSync(ca), maxSessionMemory: 50});
const ask = () => new Promise((done, failed) => {
    const headers = {':path': '/hello', ':method': 'POST', ...(length ? {'content-length': length} : {})};
    const stream = session.request(headers); let text = '', status;
    stream.on('response', (head) => status = head[':status']);
    stream.setEncoding('utf8').on('data', (data) => text += data).on('end', () => done(status + ' ' + text)).on('error', failed);
    stream.end(Buffer.alloc(4000000));
});
for (const told of await Promise.all(Array.from({length: 5}, ask))) console.log(told);
session.close();
"""


@needs_node
def test_a_tunnel_through_a_stream_with_tls_and_http2_inside(start: Start, pki: Any, tmp_path: Path) -> None:
    (tmp_path / "ask.mjs").write_text(NODE)
    run = start()
    done = subprocess.run(
        ["node", "ask.mjs", run.url, pki.ca], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "h2 hello true hello\n", done.stderr
    session = run.stop()
    urls = [record["url"] for record in session.by_type("request")]
    assert urls == ["https://localhost/hello", "https://localhost/big", f"{run.url}/hello"]
    assert len({record["connectionId"] for record in session.by_type("request")}) == 1
    assert session.by_type("request")[0]["tlsMetadata"]["sniHostname"] == "localhost"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_many_streams_at_once(start: Start, tls: bool) -> None:
    run = start(RULES, "--events", "response")
    url = f"https://localhost:{run.port}" if tls else run.url
    done = subprocess.run(
        ["h2load", "-n", "5000", "-c", "50", "-m", "20", f"{url}/hello"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
    assert len(run.stop().by_type("response")) == 5000


@needs_curl
@pytest.mark.parametrize("path", ["/hello", "/empty", "/trailers"])
def test_an_answer_that_comes_before_a_large_upload_is_over(start: Start, tmp_path: Path, path: str) -> None:
    """curl has to read windows meanwhile, which it does not any more once it has the whole answer."""
    run = start(RULES + "  - {id: empty, when: {path: /empty}, then: {reply: {status: 204}}}\n")
    report = ["-w", "%{http_code} %{size_upload}", "-o", "/dev/null"]
    told = curl(
        "--http2-prior-knowledge",
        "--max-time",
        "30",
        "--data-binary",
        f"@{tmp_path / 'big.bin'}",
        *report,
        f"{run.url}{path}",
    )
    assert told == f"{204 if path == '/empty' else 200} 3072000"
    session = run.stop()
    assert session.one("request")["body"]["size"] == 3_072_000
    assert session.by_type("client-error") == session.by_type("abort") == []


@needs_node
@pytest.mark.parametrize("length", [True, False])
def test_an_early_answer_to_node(start: Start, pki: Any, tmp_path: Path, length: bool) -> None:
    (tmp_path / "post.mjs").write_text(NODE_POST)
    run = start()
    done = subprocess.run(
        ["node", "post.mjs", f"https://localhost:{run.port}", pki.ca, "4000000" if length else ""],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "200 hello\n" * 5, done.stderr
    assert run.stop().by_type("client-error") == []


def test_an_early_answer_is_whole_but_for_its_last_byte(start: Start, connect: Connect) -> None:
    run = start()
    talk = connect(run.port)
    number = talk.ask("/hello", ("content-length", "2"), end=False)
    talk.until(h2.events.ResponseReceived)
    assert talk.until(h2.events.DataReceived).data == b"hell"
    talk.send(number, b"ab", end=True)
    assert talk.until(h2.events.DataReceived).data == b"o"
    talk.until(h2.events.StreamEnded)
    assert run.stop().one("request")["body"]["text"] == "ab"


def test_a_client_that_wants_the_answer_first_has_to_wait_a_moment(start: Start, connect: Connect) -> None:
    run = start()
    talk = connect(run.port)
    number = talk.ask("/hello", ("content-length", "2"), end=False)
    talk.until(h2.events.StreamEnded, number)  # though nothing has been sent of the body
    talk.send(number, b"ab", end=True)
    talk.until(h2.events.StreamEnded, talk.ask("/hello"))
    session = run.stop()
    assert session.by_type("request")[0]["body"]["text"] == "ab" and session.by_type("client-error") == []


@pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")
@pytest.mark.parametrize("tls", [False, True])
def test_nghttp(start: Start, tmp_path: Path, tls: bool) -> None:
    run = start()
    url = f"https://localhost:{run.port}" if tls else run.url
    done = subprocess.run(
        ["nghttp", "-n", "-s", "-m", "20", "-d", tmp_path / "big.bin", f"{url}/hello"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.count(" 200 ") == 20, done.stdout + done.stderr
    assert [record["body"]["size"] for record in run.stop().by_type("request")] == [3_072_000] * 20


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_page(start: Start, pki: Any, tmp_path: Path, program: Callable[..., Any]) -> None:
    page = "<script>fetch('/post', {method: 'POST', body: 'x'.repeat(3e6)}).then(r => r.text()).then(t => document.write('got ' + t))</script>"
    rules = f"""\
version: 1
rules:
  - {{when: {{path: /page}}, then: {{reply: {{headers: {{Content-Type: text/html}}, body: "{page}"}}}}}}
  - {{when: {{path: /post}}, then: {{reply: {{body: posted}}}}}}
  - {{then: {{reply: {{status: 404}}}}}}
"""
    run = start(rules)
    shown = program("ca", "show", "--ca-cert", pki.ca, "--as", "json").stdout
    pin = shown.partition('"spkiSha256":')[2].split('"')[1]
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync --virtual-time-budget=20000 --dump-dom"
    done = subprocess.run(
        ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--no-proxy-server",
         f"--ignore-certificate-errors-spki-list={pin}", f"https://localhost:{run.port}/page"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "got posted" in done.stdout
    requests = [record for record in run.stop().by_type("request") if record["path"] in ("/page", "/post")]
    assert [record["httpVersion"] for record in requests] == ["2.0", "2.0"]
    assert requests[1]["body"]["size"] == 3_000_000
