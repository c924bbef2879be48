"""What real clients send beyond the usual, and what they are told where it is too odd: with the log of both."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2.events
import pytest
import requests

Start = Callable[..., Any]
Make = Callable[..., Any]
Connect = Callable[[int], Any]

RULES = """\
version: 1
unmatched: passthrough
rules:
  - {when: {path: /cut}, then: {malformed: {truncateAfter: 20, status: 203, body: "0123456789012345678901234567890123456789"}}}
  - {when: {path: /hints}, then: [{informational: {status: 103, headers: {Link: </a>}}}, {reply: {body: there}}]}
  - {when: {path: /wait}, then: [waitForBody, {reply: {body: complete}}]}
  - {when: {path: "/münchen"}, then: {reply: {body: "{{ request.path }}", template: true}}}
  - {when: {host: mock.test}, then: {reply: {body: "{{ request.method }} {{ request.url }}", template: true}}}
"""
REFUSED = "mockrec refused this request: 400 Bad Request"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str | Path) -> tuple[int, str]:
    """The exit code and the output of curl."""
    done = subprocess.run(["curl", "-sS", "-i", *arguments], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


def said(port: int, data: bytes) -> bytes:
    """Everything that is answered, until the end."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while piece := sock.recv(65536):
            got += piece
        return got


@pytest.mark.parametrize("method", ["LIST", "X_Y", "PROPFIND", "MKCOL", "REPORT", "VERSION-CONTROL"])
def test_any_token_is_a_method(recorder: Start, method: str) -> None:
    run = recorder(RULES)
    answer = requests.request(
        method, f"http://127.0.0.1:{run.port}/v1/secret", headers={"Host": "mock.test"}, timeout=20
    )
    assert answer.text == f"{method} http://mock.test/v1/secret"
    request = run.stop().one("request")
    registered = method in ("PROPFIND", "MKCOL", "REPORT")
    assert (request["method"], request["tags"]) == (method, [] if registered else ["client-odd:unknown-method"])


@needs_curl
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_a_raw_utf_8_target_is_matched_and_recorded(recorder: Start, version: str) -> None:
    run = recorder(RULES)
    code, answer = curl(version, "--request-target", "/münchen?q=ü", f"http://127.0.0.1:{run.port}/")
    assert code == 0 and answer.endswith("/m%C3%BCnchen")
    request = run.stop().one("request")
    assert request["path"] == "/münchen?q=ü"
    assert request["url"] == f"http://127.0.0.1:{run.port}/m%C3%BCnchen?q=%C3%BC"
    assert request["tags"] == ["client-odd:raw-target"]


@needs_curl
def test_a_raw_utf_8_target_is_passed_on_as_it_is(recorder: Start, upstream: Make) -> None:
    run, server = recorder(RULES), upstream()
    code, answer = curl("-x", f"http://127.0.0.1:{run.port}", f"http://{server.authority}/à/東?ü")
    assert code == 0, answer
    session = run.stop()
    (request,) = server.requests
    assert request.head.startswith("GET /à/東?ü HTTP/1.1\r\n".encode())
    assert session.one("request")["path"] == "/à/東?ü"
    assert session.one("request")["url"] == f"http://{server.authority}/%C3%A0/%E6%9D%B1?%C3%BC"


def test_the_request_line_may_name_the_host(recorder: Start) -> None:
    run = recorder(RULES)
    assert said(run.port, b"GET http://mock.test/a HTTP/1.1\r\n\r\n").endswith(b"GET http://mock.test/a")
    inside = b"GET /b HTTP/1.1\r\nHost: mock.test\r\n\r\n"
    assert said(run.port, b"CONNECT mock.test:80 HTTP/1.1\r\n\r\n" + inside).endswith(b"GET http://mock.test/b")
    assert said(run.port, b"GET /a HTTP/1.1\r\n\r\n").endswith(
        b"There is no Host field, and the target names no host.\n"
    )
    session = run.stop()
    assert [request["tags"] for request in session.by_type("request")] == [["client-odd:no-host"]] * 2
    assert session.one("client-error")["request"].keys().isdisjoint({"url", "destination"})


@needs_curl
def test_a_refusal_says_who_what_and_why(recorder: Start) -> None:
    run = recorder(RULES)
    _, lower = curl("-X", "patch", f"http://127.0.0.1:{run.port}/")
    _, port = curl("--http2-prior-knowledge", "-H", "Host: a:99999", f"http://127.0.0.1:{run.port}/")
    head = said(run.port, b"HEAD / HTTP/1.1\r\nHost: a\r\nb c: d\r\n\r\n")
    session = run.stop()
    assert f'{REFUSED} (HPE_INVALID_METHOD)\n\nThe method "patch" has to be written PATCH' in lower
    assert port.startswith("HTTP/2 400") and f"{REFUSED} (PREPROCESSING_FAILED)" in port
    assert head.endswith(b"\r\n\r\n") and b"Content-Length: " in head, "an answer to HEAD has no body"
    for line, error in zip(_refusals(run), session.by_type("client-error"), strict=True):
        assert f"({error['errorCode']}): {error['errorMessage']}" in line


def _refusals(run: Any) -> list[str]:
    return [line for line in run.stderr.splitlines() if "refused a request with 400" in line]


@needs_curl
def test_what_is_refused_inside_tls_is_recorded_with_it(recorder: Start, pki: Any) -> None:
    run = recorder(RULES, *pki.options)
    through = ("-x", f"http://127.0.0.1:{run.port}", "--cacert", pki.ca, "--noproxy", "")
    curl(*through, "--http1.1", "-H", "b c: d", "https://mock.test/a")
    curl(*through, "--http2", "-H", "content-length: 1x", "https://mock.test/b")
    first, second = run.stop().by_type("client-error")
    for error, path, version in ((first, "/a", "1.1"), (second, "/b", "2.0")):
        request = error["request"]
        assert request["protocol"] == "https" and request["httpVersion"] == version
        assert request["url"] == f"https://mock.test{path}" and request["path"] == path
        assert request["destination"] == {"hostname": "mock.test", "port": 443}
        assert request["tlsMetadata"]["sniHostname"] == "mock.test"
        assert request["id"] == error["id"]
    assert second["errorMessage"] == 'content-length is "1x"; expected one number in digits (PROTOCOL_ERROR)'


def test_a_connection_of_http2_that_breaks_off_tells_version_and_protocol(recorder: Start, connect: Connect) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    talk.sock.sendall(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")
    talk.until(h2.events.ConnectionTerminated)
    request = run.stop().one("client-error")["request"]
    assert (request["protocol"], request["httpVersion"]) == ("http", "2.0")


@needs_curl
def test_a_cut_answer_of_http2_arrives_as_far_as_it_goes(recorder: Start) -> None:
    run = recorder(RULES)
    code, answer = curl("--http2-prior-knowledge", f"http://127.0.0.1:{run.port}/cut")
    assert code == 92 and answer.startswith("HTTP/2 203") and answer.endswith("\n\n01234567890123456789")
    abort = run.stop().one("abort")
    assert abort["response"]["body"] == {"size": 20, "text": "01234567890123456789", "incomplete": True}


@needs_curl
def test_http2_has_no_reason_phrases(recorder: Start) -> None:
    run = recorder(RULES)
    curl("--http2-prior-knowledge", f"http://127.0.0.1:{run.port}/hints")
    curl(f"http://127.0.0.1:{run.port}/hints")
    records = run.stop().by_type("response-information")
    assert [record["statusMessage"] for record in records] == ["", "Early Hints"]


@pytest.mark.parametrize("leaving", ["FIN", "RST", "RST_STREAM"])
def test_a_client_of_http2_that_leaves_in_the_middle_of_an_upload(
    recorder: Start, connect: Connect, eventually: Any, leaving: str
) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    number = talk.ask("/wait", end=False)
    talk.send(number, b"ab")
    eventually(lambda: b'"type":"request-initiated"' in run.log.read_bytes())
    if leaving == "RST_STREAM":
        talk.conn.reset_stream(number, 8)
        talk.flush()
    elif leaving == "FIN":
        talk.sock.shutdown(socket.SHUT_WR)
    else:
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.sock.close()
    eventually(lambda: b'"type":"abort"' in run.log.read_bytes())
    session = run.stop()
    abort = session.one("abort")
    code = "HPE_INVALID_EOF_STATE" if leaving == "FIN" else "ECONNRESET"
    assert abort["error"]["name"] == "ClientError" and abort["error"]["code"] == code
    errors = [(error["errorCode"], error["exchangeId"]) for error in session.by_type("client-error")]
    assert errors == ([] if leaving == "RST_STREAM" else [(code, abort["id"])])
    assert abort["requestBody"] == {"size": 2, "text": "ab", "incomplete": True}
