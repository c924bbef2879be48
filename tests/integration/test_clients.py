"""Real clients against the real program: what they see, and what the log says of it."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import shutil
import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import brotli
import httpx
import pytest
import requests
import zstandard

Start = Callable[..., Any]

RULES = """
version: 1
rules:
  - id: hello
    when: {method: [GET, HEAD], path: /hello}
    then: {reply: {headers: [[X-One, "1"], [Content-Type, text/plain], [x-one, "2"], [Set-Cookie, a=1], [Set-Cookie, b=2]], body: Hello}}
  - {id: upload, when: {method: [POST, PUT], path: /upload}, then: {reply: {status: 201, json: {ok: true}}}}
  - {id: whole, when: {method: POST, path: /whole}, then: [waitForBody, {reply: {status: 201, json: {ok: true}}}]}
  - {id: json, when: {path: /json, json: {name: Ada}}, then: {reply: {status: 202, json: {got: it}}}}
  - {id: binary, when: {path: /binary}, then: {reply: {base64: "AP+A/g==", headers: {Content-Type: application/octet-stream}}}}
  - {id: trailers, when: {path: /trailers}, then: {reply: {body: abc, trailers: {X-Sum: "7"}}}}
  - {id: big, when: {path: /big}, then: {reply: {body: "BIG"}}}
""".replace('"BIG"', '"' + "0123456789" * 100_000 + '"')

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


def curl(*arguments: str | Path) -> str:
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_rule(session: Any, kind: str, rule: str) -> list[dict[str, Any]]:
    """An upload that is answered early may be complete after what its client has asked next."""
    return [record for record in session.by_type(kind) if record.get("matchedRuleId") == rule]


def raw(port: int, data: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(data)
        received = b""
        while piece := client.recv(65536):
            received += piece
    return received


# ── curl ─────────────────────────────────────────────────────────────────────────────────────────────


@needs_curl
def test_curl_get_and_head(recorder: Start) -> None:
    run = recorder(RULES, "--redact", "none")
    assert curl(f"{run.url}/hello?a=1&a=2") == "Hello"
    head = curl("-I", f"{run.url}/hello")
    assert head.startswith("HTTP/1.1 200 OK\nX-One: 1\nContent-Type: text/plain\nx-one: 2\n")
    assert "Content-Length: 5\n" in head
    session = run.stop()
    request = session.by_type("request")[0]
    assert (request["method"], request["path"], request["url"]) == ("GET", "/hello?a=1&a=2", f"{run.url}/hello?a=1&a=2")
    assert request["rawHeaders"][0] == ["Host", f"127.0.0.1:{run.port}"]
    assert request["headers"]["user-agent"].startswith("curl/")
    get, head_response = session.by_type("response")
    assert get["rawHeaders"][:3] == [["X-One", "1"], ["Content-Type", "text/plain"], ["x-one", "2"]]
    assert get["headers"]["x-one"] == "1, 2"
    assert get["headers"]["set-cookie"] == ["a=1", "b=2"]
    assert get["body"] == {"size": 5, "text": "Hello"}
    assert head_response["body"] == {"size": 0, "text": ""}, "what was sent: no body for HEAD"


@needs_curl
def test_curl_waits_for_100_and_uploads(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "two.bin").write_bytes(bytes(range(256)) * 8192)
    run = recorder(RULES)
    said = curl("-i", "-T", tmp_path / "two.bin", "-H", "Expect: 100-continue", f"{run.url}/upload")
    assert said.startswith("HTTP/1.1 100 Continue\n\n")
    assert "HTTP/1.1 201 Created" in said
    session = run.stop()
    assert session.one("response-information")["statusCode"] == 100
    body = session.one("request")["body"]
    assert body["size"] == 2 * 1024 * 1024
    assert session.content(body) == (tmp_path / "two.bin").read_bytes()
    identity = session.one("request")["id"]
    kinds = [record["type"] for record in session.of(identity)]
    assert kinds[:2] == ["request-initiated", "response-information"]
    # The rule does not wait for the body, so its answer may be complete first.
    assert sorted(kinds[2:]) == ["request", "response"]


@needs_curl
def test_curl_chunked_http10_and_reuse(recorder: Start, tmp_path: Path) -> None:
    run = recorder(RULES)
    (tmp_path / "text").write_text("x" * 70_000, encoding="utf-8")
    assert '"ok"' in curl("-H", "Transfer-Encoding: chunked", "-T", tmp_path / "text", f"{run.url}/upload")
    assert curl("--http1.0", f"{run.url}/hello") == "Hello"
    posted = curl("-d", '{"name": "Ada"}', "-H", "Content-Type: application/json", f"{run.url}/json")
    assert posted == '{"got":"it"}'
    assert curl(f"{run.url}/hello", f"{run.url}/hello", f"{run.url}/hello") == "HelloHelloHello"
    session = run.stop()
    (uploaded,) = by_rule(session, "request", "upload")
    (post,) = by_rule(session, "request", "json")
    old, *reused = by_rule(session, "request", "hello")
    assert uploaded["body"]["size"] == 70_000
    assert uploaded["headers"]["transfer-encoding"] == "chunked"
    assert old["httpVersion"] == "1.0"
    assert (post["method"], post["body"]) == ("POST", {"size": 15, "text": '{"name": "Ada"}'})
    assert len({request["connectionId"] for request in reused}) == 1


@needs_curl
def test_curl_through_the_proxy(recorder: Start) -> None:
    run = recorder(RULES)
    assert curl("-x", run.url, "http://example.test/hello") == "Hello"
    assert curl("-x", run.url, "--proxy-user", "u:p", f"{run.url}/hello") == "Hello"
    session = run.stop()
    elsewhere, here = session.by_type("request")
    assert elsewhere["url"] == "http://example.test/hello"
    assert elsewhere["destination"] == {"hostname": "example.test", "port": 80}
    assert elsewhere["path"] == "/hello"
    assert here["destination"] == {"hostname": "127.0.0.1", "port": run.port}
    assert "proxy-authorization" not in here["headers"]
    assert session.by_type("response")[0]["host"] == "example.test"


# ── Python ───────────────────────────────────────────────────────────────────────────────────────────


def test_httpx(recorder: Start) -> None:
    run = recorder(RULES)
    with httpx.Client(base_url=run.url, trust_env=False) as client:
        assert client.get("/hello").text == "Hello"
        assert client.post("/json", json={"name": "Ada"}).json() == {"got": "it"}
        assert client.post("/upload", files={"f": ("a.txt", b"content")}, data={"k": "v"}).status_code == 201
        assert len(client.get("/big").content) == 1_000_000
        assert client.get("/nowhere").status_code == 503
    session = run.stop()
    assert len({record["connectionId"] for record in session.by_type("request")}) == 1
    assert session.by_type("request")[1]["body"]["text"] == '{"name":"Ada"}'
    assert session.by_type("response")[3]["body"]["size"] == 1_000_000
    missed = session.by_type("response")[4]
    assert "matchedRuleId" not in missed
    assert "No rule matches this request." in missed["body"]["text"]


def test_requests(recorder: Start) -> None:
    run = recorder(RULES, "--redact", "none")
    with requests.Session() as client:
        client.trust_env = False
        assert client.get(f"{run.url}/hello", cookies={"c": "1", "d": "2"}).text == "Hello"
        assert client.post(f"{run.url}/upload", data=(piece for piece in (b"ab", b"cd"))).json() == {"ok": True}
    session = run.stop()
    assert session.by_type("request")[0]["headers"]["cookie"] == "c=1; d=2"
    assert session.by_type("request")[1]["body"] == {"size": 4, "text": "abcd"}


def test_http_client(recorder: Start) -> None:
    """One connection: HEAD has no body that the next answer could be mistaken for, chunks arrive whole."""
    run = recorder(RULES)
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)

    def ask(method: str, path: str, *rest: Any, **options: Any) -> tuple[http.client.HTTPResponse, bytes]:
        client.request(method, path, *rest, **options)
        answer = client.getresponse()
        return answer, answer.read()

    assert ask("HEAD", "/hello")[1] == b""
    answer, body = ask("GET", "/hello")
    assert body == b"Hello"
    assert answer.getheaders()[:3] == [("X-One", "1"), ("Content-Type", "text/plain"), ("x-one", "2")]
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    pieces = [b"ab", b"c" * 70_000, b"d"]
    answer, _ = ask("PUT", "/upload", iter(pieces), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert answer.status == 201
    assert ask("GET", "/binary")[1] == b"\x00\xff\x80\xfe"
    client.close()
    session = run.stop()
    assert len({record["connectionId"] for record in session.by_type("request")}) == 1
    assert session.by_type("request")[2]["body"] == {"size": 70_003, "text": b"".join(pieces).decode()}
    assert session.by_type("response")[3]["body"] == {"size": 4, "base64": "AP+A/g=="}


def test_aiohttp_many_at_once(recorder: Start) -> None:
    run = recorder(RULES)

    async def calls() -> list[int]:
        async with aiohttp.ClientSession() as client:

            async def one(number: int) -> int:
                async with client.post(f"{run.url}/upload?n={number}", data=b"x" * number) as answer:
                    await answer.read()
                    return answer.status

            return await asyncio.gather(*(one(number) for number in range(100)))

    assert set(asyncio.run(calls())) == {201}
    session = run.stop()
    assert sorted(record["body"]["size"] for record in session.by_type("request")) == list(range(100))


# ── Node ─────────────────────────────────────────────────────────────────────────────────────────────


@needs_node
def test_node_fetch(recorder: Start) -> None:
    run = recorder(RULES)
    script = """
        const base = process.argv[1];
        const answer = await fetch(base + '/json', {method: 'POST', body: JSON.stringify({name: 'Ada'})});
        const cookies = (await fetch(base + '/hello')).headers.getSetCookie();
        const bytes = new Uint8Array(5 * 1024 * 1024).map((_, at) => at % 251);
        const upload = await fetch(base + '/whole', {method: 'POST', body: bytes});
        const big = await (await fetch(base + '/big')).arrayBuffer();
        console.log(JSON.stringify([answer.status, await answer.json(), cookies, upload.status, big.byteLength]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, run.url], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [202, {"got": "it"}, ["a=1", "b=2"], 201, 1_000_000]
    session = run.stop()
    # A body of 5 MB is redacted outside of the event loop, so the next exchange may be recorded before it.
    assert sorted(record["matchedRuleId"] for record in session.by_type("response")) == [
        "big",
        "hello",
        "json",
        "whole",
    ]
    size = 5 * 1024 * 1024
    (request,) = by_rule(session, "request", "whole")  # without waitForBody, Node stops sending when it is answered
    assert session.content(request["body"]) == (bytes(range(251)) * (size // 251 + 1))[:size]


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────


def test_case_order_and_repetition_of_headers(recorder: Start) -> None:
    run = recorder(RULES, "--redact", "none")
    received = raw(
        run.port,
        b"GET /hello HTTP/1.1\r\nX-b: 1\r\nHOST: h.test\r\nx-B: 2\r\nCookie: a=1\r\nConnection: close\r\nCookie: b=2\r\nX-Latin: caf\xe9\r\n\r\n",
    )
    head = received.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[:4] == [b"HTTP/1.1 200 OK", b"X-One: 1", b"Content-Type: text/plain", b"x-one: 2"]
    assert head[-1] == b"Connection: close"
    session = run.stop()
    request = session.one("request")
    assert request["rawHeaders"] == [
        ["X-b", "1"], ["HOST", "h.test"], ["x-B", "2"], ["Cookie", "a=1"], ["Connection", "close"], ["Cookie", "b=2"], ["X-Latin", "café"],
    ]  # fmt: skip
    assert request["headers"]["x-b"] == "1, 2"
    assert request["headers"]["cookie"] == "a=1; b=2"
    response = session.one("response")
    assert [f"{name}: {value}".encode() for name, value in response["rawHeaders"]] == head[1:], "what was really sent"


def test_trailers_both_ways(recorder: Start) -> None:
    run = recorder(RULES)
    received = raw(
        run.port,
        b"POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"
        b"GET /trailers HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    )
    assert received.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    session = run.stop()
    assert session.by_type("request")[0]["rawTrailers"] == [["X-Sum", "9"]]
    answered = session.by_type("response")[1]
    assert (answered["trailers"], answered["rawTrailers"]) == ({"x-sum": "7"}, [["X-Sum", "7"]])
    assert answered["body"]["text"] == "abc"


PLAIN = b'{"name": "Ada"}'
CODED = {
    "gzip": gzip.compress(PLAIN),
    "deflate": zlib.compress(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstandard.compress(PLAIN),
    "gzip, br": brotli.compress(gzip.compress(PLAIN)),
}


def test_coded_bodies_match_and_are_logged_as_text(recorder: Start) -> None:
    run = recorder(RULES)
    for coding, data in CODED.items():
        assert (
            httpx.post(
                f"{run.url}/json", content=data, headers={"Content-Encoding": coding}, trust_env=False
            ).status_code
            == 202
        )
    assert (
        httpx.post(
            f"{run.url}/json", content=b"no gzip", headers={"Content-Encoding": "gzip"}, trust_env=False
        ).status_code
        == 503
    )
    session = run.stop()
    *good, bad = session.by_type("request")
    for (coding, data), request in zip(CODED.items(), good, strict=True):
        assert request["body"] == {
            "size": len(PLAIN), "text": PLAIN.decode(), "contentEncoding": coding, "encodedSize": len(data),
        }  # fmt: skip
    assert bad["body"] == {"size": 7, "text": "no gzip", "undecodable": True}


def test_what_is_cut_is_marked_and_the_traffic_is_not(recorder: Start) -> None:
    run = recorder(RULES, "--max-body-size", "1KiB")
    assert httpx.post(f"{run.url}/upload", content=b"y" * 5000, trust_env=False).status_code == 201
    assert len(httpx.get(f"{run.url}/big", trust_env=False).content) == 1_000_000
    session = run.stop()
    assert session.by_type("request")[0]["body"] == {"size": 5000, "text": "y" * 1024, "truncated": True}
    body = session.by_type("response")[1]["body"]
    assert (body["size"], len(body["text"]), body["truncated"]) == (1_000_000, 1024, True)
    assert session.records[-1]["truncatedBodies"] == 2


def test_large_bodies_are_exact_both_ways(recorder: Start, tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "large.bin").write_bytes(data)
    run = recorder(RULES + "  - {id: large, when: {path: /large}, then: {reply: {file: large.bin}}}\n")
    assert httpx.post(f"{run.url}/upload", content=data, trust_env=False, timeout=30).status_code == 201
    assert httpx.get(f"{run.url}/large", trust_env=False, timeout=30).content == data
    session = run.stop()
    (request,) = by_rule(session, "request", "upload")
    (response,) = by_rule(session, "response", "large")
    for body in (request["body"], response["body"]):
        assert body["size"] == len(data)
        assert session.content(body) == data
