"""Changes of requests and responses on their way, each as the server and the client see it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]

SENT = "X-A: 1\r\nX-B: 2\r\nx-a: 3\r\n"


def rules(server: Any, changes: str) -> str:
    return f"version: 1\nrules:\n  - then:\n      forward: {{to: '{server.url}', {changes}}}\n"


# request changes → request line, and fields without Host
REQUESTS = {
    "method": ("method: PUT", "PUT /a/b?q=1 HTTP/1.1", [["X-A", "1"], ["X-B", "2"], ["x-a", "3"]]),
    "path": ("matchReplacePath: [['^/a', '/z'], [b, 'c d']]", "GET /z/c%20d?q=1 HTTP/1.1", None),
    "query": ("matchReplaceQuery: [['q=1', 'q=2&r=\\g<0>']]", "GET /a/b?q=2&r=q=1 HTTP/1.1", None),
    "set": ("headers: {set: {X-A: new, X-C: 4}}", None, [["X-A", "new"], ["X-B", "2"], ["X-C", "4"]]),
    "add": ("headers: {add: {x-b: [3, 4]}}", None, [["X-A", "1"], ["X-B", "2"], ["x-a", "3"], ["x-b", "3"], ["x-b", "4"]]),
    "remove": ("headers: {remove: [x-a]}", None, [["X-B", "2"]]),
    "replace": ("replaceHeaders: {Only: this}", None, [["Only", "this"]]),
    "body": ("body: hey", None, [["X-A", "1"], ["X-B", "2"], ["x-a", "3"], ["Content-Length", "3"]]),
}  # fmt: skip


def test_changes_of_a_request(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(
        "version: 1\nrules:\n"
        + "".join(
            f"  - {{id: {name}, times: once, then: {{forward: {{to: '{server.url}', request: {{{changes}}}}}}}}}\n"
            for name, (changes, _, _) in REQUESTS.items()
        )
    )
    said = client(run.port)
    for name, (_, line, fields) in REQUESTS.items():
        assert said.ask(f"GET /a/b?q=1 HTTP/1.1\r\nHost: here\r\n{SENT}\r\n").text == "ok"
        received = server.requests[-1]
        assert received.start == (line or "GET /a/b?q=1 HTTP/1.1"), name
        hosts = [value for field, value in received.fields if field.lower() == "host"]
        assert hosts == ([] if name == "replace" else [server.authority]), name
        if fields is not None:
            assert [pair for pair in received.fields if pair[0] != "Host"] == fields, name
    session = run.stop()
    for name, received in zip(REQUESTS, server.requests, strict=True):
        told = dict(session.told(name))
        head = told["passthrough-request-head"]
        assert head["rawHeaders"] == received.fields
        assert f"{head['method']} {head['path']} HTTP/1.1" == received.start
        changed = {"overridden": True, "rawBody": {"size": 3, "text": "hey"}}
        assert told["passthrough-request-body"] == (changed if name == "body" else {"overridden": False})
    # What the client has asked is recorded as it was.
    assert {record["path"] for record in session.by_type("request")} == {"/a/b?q=1"}


@pytest.mark.parametrize(
    ("update", "host"),
    [("", "{new}"), ("updateHostHeader: true,", "{new}"), ("updateHostHeader: false,", "old.test"), ("updateHostHeader: v.test,", "v.test")],
)  # fmt: skip
def test_another_host_moves_the_connection(
    recorder: Start, upstream: Make, client: Make, update: str, host: str
) -> None:
    server = upstream()
    run = recorder(
        f"version: 1\nrules: [{{then: {{passthrough: {{request: {{{update} host: '{server.authority}'}}}}}}}}]\n"
    )
    assert client(run.port).ask("GET http://old.test/ HTTP/1.1\r\nHost: old.test\r\n\r\n").text == "ok"
    assert server.request.headers["host"] == host.format(new=server.authority)
    run.stop()


def test_a_host_by_pattern_and_another_protocol(recorder: Start, upstream: Make, client: Make, pki: Any) -> None:
    server = upstream(tls=pki.server())
    run = recorder(
        f"version: 1\nupstream: {{trustedCAs: ['{pki.ca}']}}\nrules:\n  - then:\n      passthrough:\n"
        f"        request: {{protocol: https, matchReplaceHost: [['^old\\.test:\\d+$', 'localhost:{server.port}']]}}\n"
    )
    assert client(run.port).ask("GET http://old.test/ HTTP/1.1\r\nHost: old.test\r\n\r\n").text == "ok"
    assert server.request.headers["host"] == f"localhost:{server.port}"
    run.stop()


ORIGINAL = {"a": 1, "list": [1, {"x": 2}], "big": 12345678901234567890, "text": "ä"}
# changes of a JSON body → what becomes of it
BODIES: dict[str, tuple[str, Any]] = {
    "json": ("json: {new: [1, null]}", {"new": [1, None]}),
    "mergeJson": ("mergeJson: {a: null, list: [9], more: true}", {**ORIGINAL, "a": None, "list": [9, {"x": 2}], "more": True}),
    "patchJson": ("patchJson: [{op: replace, path: /list/1/x, value: 7}, {op: remove, path: /a}]", {"list": [1, {"x": 7}], "big": ORIGINAL["big"], "text": "ä"}),
    "matchReplaceBody": ("matchReplaceBody: [['\"a\":\\s*1', '\"a\": 2']]", {**ORIGINAL, "a": 2}),
}  # fmt: skip
CODINGS = {"": lambda data: data, "gzip": gzip.compress, "br": brotli.compress}


def decoded(coding: str, data: bytes) -> bytes:
    return {"": lambda: data, "gzip": lambda: gzip.decompress(data), "br": lambda: brotli.decompress(data)}[coding]()


@pytest.mark.parametrize("name", BODIES)
def test_changes_of_both_bodies(recorder: Start, upstream: Make, client: Make, name: str) -> None:
    change, expected = BODIES[name]
    original = json.dumps(ORIGINAL, ensure_ascii=False).encode()
    messages = []
    for coding, encode in CODINGS.items():
        data = encode(original)
        fields = f"Content-Length: {len(data)}\r\n" + (f"Content-Encoding: {coding}\r\n" if coding else "")
        messages.append(f"{fields}\r\n".encode() + data)
    server = upstream(lambda received: b"HTTP/1.1 200 OK\r\n" + messages[int(received.target[1:])])
    run = recorder(rules(server, f"request: {{{change}}}, response: {{{change}}}"))
    said = client(run.port)
    for number, (coding, message) in enumerate(zip(CODINGS, messages, strict=True)):
        got = said.ask(f"POST /{number} HTTP/1.1\r\nHost: a\r\n".encode() + message)
        assert json.loads(decoded(coding, got.body)) == expected
        assert json.loads(decoded(coding, server.requests[-1].body)) == expected
        assert got.headers["content-length"] == str(len(got.body))
        assert server.requests[-1].headers["content-length"] == str(len(server.requests[-1].body))
    if name == "json":
        assert said.get("/0").status == 200, "there need not be a body that it takes the place of"
    session = run.stop()
    told = [data for kind, data in session.told() if kind == "passthrough-response-body"]
    for record, data, message in zip(session.by_type("response"), told, messages, strict=False):
        assert json.loads(record["body"]["text"]) == expected
        assert data["overridden"] is True
        assert data["rawBody"]["size"] == len(message.partition(b"\r\n\r\n")[2])


def test_changes_of_an_answers_head(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(b"HTTP/1.1 200 Fine\r\nServer: real\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok")
    run = recorder(rules(server, "response: {status: 404, headers: {set: {Server: fake}, remove: x-a, add: {X-N: 1}}}"))
    got = client(run.port).get("/")
    assert got.status_line == "HTTP/1.1 404 Not Found"
    assert got.fields == [["Server", "fake"], ["Content-Length", "2"], ["X-N", "1"]]
    told = dict(run.stop().told())
    assert (told["passthrough-response-head"]["statusCode"], told["passthrough-response-head"]["statusMessage"]) == (
        200,
        "Fine",
    )


def test_a_body_from_a_file_is_read_each_time(recorder: Start, upstream: Make, client: Make, tmp_path: Path) -> None:
    file = tmp_path / "body.txt"
    file.write_text("one")
    server = upstream(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    run = recorder(rules(server, "response: {file: body.txt}"))
    said = client(run.port)
    assert said.get("/").text == "one"
    file.write_text("another")
    got = said.get("/")
    assert (got.text, got.headers["content-length"]) == ("another", "7")
    assert "transfer-encoding" not in got.headers
    file.unlink()
    got = said.get("/")
    assert got.status == 500
    assert "body.txt: No such file" in got.text
    run.stop()


FAILURES = {
    "no JSON": ("mergeJson: {a: 1}", b"<p>", "JSON"),
    "a patch that does not fit": ("patchJson: [{op: remove, path: /nope}]", b"{}", "/nope"),
    "a coding that is wrong": ("matchReplaceBody: [[a, b]]", b"not gzip", "gzip"),
}


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_change_that_cannot_be_made_is_a_500(recorder: Start, upstream: Make, client: Make, side: str) -> None:
    messages = []
    for _, data, text in FAILURES.values():
        coding = "Content-Encoding: gzip\r\n" if text == "gzip" else ""
        messages.append(f"{coding}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    server = upstream(lambda received: b"HTTP/1.1 200 OK\r\n" + messages[int(received.target[1:])])
    run = recorder(
        "version: 1\nrules:\n"
        + "".join(
            f"  - {{when: {{path: /{number}}}, then: {{forward: {{to: '{server.url}', {side}: {{{change}}}}}}}}}\n"
            for number, (change, _, _) in enumerate(FAILURES.values())
        )
    )
    said = client(run.port)
    for number, (_, _, text) in enumerate(FAILURES.values()):
        got = said.ask(f"POST /{number} HTTP/1.1\r\nHost: a\r\n".encode() + messages[number])
        assert got.status == 500
        assert text in got.text
        assert f"rule-{number + 1} (" in got.text
    assert len(server.requests) == (len(FAILURES) if side == "response" else 0)
    run.stop()


def test_head_and_304_keep_their_heads(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
    run = recorder(rules(server, "response: {headers: {add: {X-N: 1}}}"))
    got = client(run.port).get("/")
    assert (got.status, got.fields) == (304, [["ETag", "x"], ["X-N", "1"]])
    run.stop()


def test_the_answer_waits_as_long_as_the_rule_says(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(rules(server, "delay: 200ms"))
    assert client(run.port).get("/").text == "ok"
    session = run.stop()
    assert session.one("response")["duration"] >= 200
    assert dict(session.told())["passthrough-response-head"]["timings"]["firstByte"] < 200


# ── framing stays right ────────────────────────────────────────────────────────────────────────────

FRAMING = """
version: 1
rules:
  - {when: {path: /as-head}, then: {forward: {to: "@", request: {method: HEAD}}}}
  - {when: {path: /as-get}, then: {forward: {to: "@", request: {method: GET}}}}
  - {when: {path: /200}, then: {forward: {to: "@", response: {status: 200}}}}
  - {when: {path: /204}, then: {forward: {to: "@", response: {status: 204}}}}
  - {when: {path: /304}, then: {forward: {to: "@", response: {status: 304}}}}
  - {when: {path: /lie}, then: {forward: {to: "@", request: {headers: {set: {Content-Length: "1"}}}, response: {headers: {set: {content-length: "1"}}}}}}
  - {when: {path: /gone}, then: {forward: {to: "@", request: {headers: {remove: [content-length, transfer-encoding]}}, response: {headers: {remove: [content-length, transfer-encoding]}}}}}
  - {when: {path: /coded}, then: {forward: {to: "@", request: {headers: {set: {Transfer-Encoding: gzip}}}, response: {headers: {set: {Transfer-Encoding: gzip}}}}}}
  - {when: {path: /replaced}, then: {forward: {to: "@", request: {replaceHeaders: {Host: b}}, response: {replaceHeaders: {Only: this}}}}}
  - {when: {path: /twice}, then: {forward: {to: "@", request: {headers: {add: {Content-Length: "2"}}}, response: {headers: {add: {Content-Length: "2"}}}}}}
"""  # fmt: skip


def test_a_method_that_changes_the_framing(recorder: Start, upstream: Make, client: Make) -> None:
    def answer(received: Any) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if received.method == "HEAD" else b"hello")

    server = upstream(answer)
    run = recorder(FRAMING.replace("@", server.url))
    said = client(run.port)
    got = said.get("/as-head")
    assert (got.status, got.headers["content-length"], got.body) == (200, "0", b"")
    got = said.ask("HEAD /as-get HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (got.status, got.headers["content-length"], got.body) == (200, "5", b"")
    assert said.ask("POST /as-get HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").text == "hello"
    assert [received.method for received in server.requests] == ["HEAD", "GET", "GET"]
    assert server.requests[-1].body == b"hi"
    assert server.accepted == 1
    run.stop()


@pytest.mark.parametrize("status", [200, 204, 304])
def test_a_status_that_changes_the_framing(recorder: Start, upstream: Make, client: Make, status: int) -> None:
    fields = "X-A: 1\r\n" + ("" if status == 204 else "Content-Length: 5\r\n")
    server = upstream(f"HTTP/1.1 {status} Was\r\n{fields}\r\n".encode() + (b"hello" if status == 200 else b""))
    run = recorder(FRAMING.replace("@", server.url))
    said = client(run.port)
    for new in (200, 204, 304, 200):
        got = said.get(f"/{new}")
        assert got.status == new
        assert got.body == (b"hello" if (status, new) == (200, 200) else b"")
        if new == 200:
            assert got.headers["content-length"] == str(len(got.body))
    assert server.accepted == 1
    run.stop()


@pytest.mark.parametrize("size", [5, 300_000])
def test_fields_that_lie_about_the_body(recorder: Start, upstream: Make, client: Make, size: int) -> None:
    body = b"x" * size
    by_length = f"Host: a\r\nContent-Length: {size}\r\n\r\n".encode() + body
    chunked = b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    message = by_length
    server = upstream(lambda received: b"HTTP/1.1 200 OK\r\n" + message)
    run = recorder(FRAMING.replace("@", server.url))
    said = client(run.port)
    for message in (by_length, chunked):
        for path in ("lie", "gone", "coded", "replaced", "twice"):
            got = said.ask(f"POST /{path} HTTP/1.1\r\n".encode() + message)
            assert (got.status, got.body == body) == (200, True), path
            received = server.requests[-1]
            assert (received.target, received.body == body) == (f"/{path}", True)
            for fields in (got.fields, received.fields):
                framing = [pair for pair in fields if pair[0].lower() in ("content-length", "transfer-encoding")]
                assert len(framing) == 1, (path, fields)
    assert server.accepted == 1
    session = run.stop()
    assert [record["body"]["size"] for record in session.by_type("response")] == [size] * 10


def test_an_answer_without_a_body_has_none_to_change(recorder: Start, upstream: Make, client: Make) -> None:
    def answer(received: Any) -> bytes:
        if received.target == "/304":
            return b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
        if received.target == "/204":
            return b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + (b"" if received.method == "HEAD" else b'{"a": 0}')

    server = upstream(answer)
    run = recorder(rules(server, "response: {mergeJson: {a: 1}, headers: {add: {X-N: 1}}}"))
    said = client(run.port)
    assert [said.get(path).status for path in ("/304", "/204")] == [304, 204]
    head = said.ask("HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.status, head.headers["x-n"]) == (200, "1")
    assert said.get("/200").text == '{"a":1}'
    run.stop()
