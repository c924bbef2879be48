"""Functions around what answers, bodies that functions make piece by piece, and asynchronous matchers."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until_there

Start = Callable[..., Any]
Make = Callable[..., Any]

HANDLERS = """
import asyncio, pathlib

def before(request):
    if "stop" in request.query: return {"response": {"status": 418, "body": "stopped"}}
    if "reset" in request.query: return "reset"
    if "bad" in request.query: return {"metod": "PUT"}
    if "same" in request.query: return None
    return {"method": "PUT", "url": request.url.replace("/a", "/b"), "headers": {**request.headers, "x-hook": "1"},
            "json": {"was": request.text}}

async def after(response, request):
    await asyncio.sleep(0)
    if "close" in request.query: return "close"
    if "fail" in request.query: raise LookupError("no such thing")
    return {"status": 299, "statusMessage": "Hooked", "headers": {**response.headers, "x-after": "1"},
            "json": {"got": response.json, "path": request.path}}

def only_response(response):
    return {"body": response.text.upper()}

async def is_even(request):
    await asyncio.sleep(0)
    return request.path.endswith("2")

def plain(request):
    yield "one"
    yield b"two"

def later(request):
    async def body():
        for number in range(3):
            yield f"{number}"
            await asyncio.sleep(0)
    return {"status": 201, "headers": {"X-A": "1"}, "body": body(), "trailers": {"Sum": "3"}}

def at_once(request):
    raise ValueError("before the first piece")
    yield

def in_between(request):
    yield "one"
    raise ValueError("behind the first piece")

def no_piece(request):
    yield 7

async def endless(request):
    try:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.001)
    finally:
        pathlib.Path(__file__).with_name("closed").touch()
"""


@pytest.fixture
def started(recorder: Start, tmp_path: Path) -> Start:
    """`mockrec run` with the handlers of this file."""

    def start(rules: str, *options: Any) -> Any:
        (tmp_path / "handlers.py").write_text(HANDLERS)
        return recorder(f"version: 1\nrules:\n{rules}", *options)

    return start


def around(server: Any) -> str:
    return (
        f"  - {{id: pass, then: {{forward: {{to: '{server.url}', request: {{python: 'handlers.py:before'}},"
        " response: {python: 'handlers.py:after'}}}}\n"
    )


def ask(client: Any, target: str, body: str = "hi") -> Any:
    return client.ask(f"POST {target} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def test_what_hooks_return_is_what_servers_and_clients_get(started: Start, upstream: Make, client: Make) -> None:
    coded = gzip.compress(b'{"n":1}')
    server = upstream(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(coded), coded)
    )
    run = started(around(server))
    answer = ask(client(run.port), "/a?x=1")
    assert answer.status_line == "HTTP/1.1 299 Hooked"
    assert answer.headers["x-after"] == "1"
    assert json.loads(gzip.decompress(answer.body)) == {"got": {"n": 1}, "path": "/b"}
    received = server.requests[-1]
    assert received.start == "PUT /b?x=1 HTTP/1.1"
    assert (received.headers["x-hook"], received.headers["host"]) == ("1", server.authority)
    assert json.loads(received.body) == {"was": "hi"}
    session = run.stop()
    events = dict(session.told("pass"))
    assert events["passthrough-request-head"]["method"] == "PUT"
    assert events["passthrough-request-body"]["rawBody"]["text"] == '{"was":"hi"}'
    said = events["passthrough-response-body"]
    assert said["overridden"] is True
    assert base64.b64decode(said["rawBody"]["base64"]) == coded  # what the server said is not lost
    request, response = session.one("request"), session.one("response")
    assert (request["method"], session.content(request["body"])) == ("POST", b"hi")  # as the client sent it
    assert (response["statusCode"], response["matchedRuleId"]) == (299, "pass")


def test_hooks_answer_themselves_and_fail(started: Start, upstream: Make, client: Make) -> None:
    server = upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    run = started(around(server))
    stopped = ask(client(run.port), "/a?stop=1")
    assert (stopped.status, stopped.text, server.requests) == (418, "stopped", [])
    bad = ask(client(run.port), "/a?bad=1")
    assert (bad.status, server.requests) == (500, [])
    assert 'unknown key "metod"; did you mean "method"?' in bad.text
    same = ask(client(run.port), "/a?same=1")
    assert (same.status, server.requests[-1].start, server.requests[-1].body) == (299, "POST /a?same=1 HTTP/1.1", b"hi")
    failed = ask(client(run.port), "/a?fail=1")
    assert failed.status == 500
    assert "LookupError: no such thing" in failed.text
    with pytest.raises(ConnectionResetError):
        ask(client(run.port), "/a?reset=1")
    with pytest.raises(AssertionError, match="the connection ended"):
        ask(client(run.port), "/a?close=1")
    session = run.stop()
    errors = [
        one["eventData"]["error"]["name"] for one in session.by_type("rule-event") if one["eventType"] == "python-error"
    ]
    assert errors == ["ValueError", "LookupError"]
    assert [one["error"]["code"] for one in session.by_type("abort")] == ["E_RULE_RESET", "E_RULE_CLOSE"]
    assert "handlers.py" in session.stderr
    assert "Traceback" not in session.stderr


def test_a_rule_that_goes_on_has_hooks_around_every_answer(started: Start, client: Make) -> None:
    run = started(
        "  - {id: loud, continue: true, then: {change: {response: {python: 'handlers.py:only_response'}}}}\n"
        "  - {id: changed, when: {path: /a}, continue: true, then: {change: {request: {python: 'handlers.py:before'}}}}\n"
        "  - {id: b, when: {method: PUT, path: /b, jsonIncludes: {was: hi}}, then: {reply: {body: found}}}\n"
        "  - {id: stream, when: {path: /stream}, then: {stream: {chunks: [{data: ab}, {data: cd}]}}}\n"
    )
    assert ask(client(run.port), "/a").text == "FOUND"
    assert ask(client(run.port), "/stream").text == "ABCD"
    assert ask(client(run.port), "/a?stop=1").text == "STOPPED"
    session = run.stop()
    told = [(one["matchedRuleId"], one["continuedRuleIds"]) for one in session.by_type("response")]
    assert told == [("b", ["loud", "changed"]), ("stream", ["loud"]), ("changed", ["loud"])]


def test_a_matcher_may_be_asynchronous(started: Start, client: Make) -> None:
    run = started(
        "  - {id: even, when: {python: 'handlers.py:is_even'}, then: {reply: {body: even}}}\n"
        "  - {id: odd, then: {reply: {body: odd}}}\n"
    )
    said = client(run.port)
    assert [said.get(path).text for path in ("/1", "/2", "/3")] == ["odd", "even", "odd"]
    assert [one["matchedRuleId"] for one in run.stop().by_type("response")] == ["odd", "even", "odd"]


def steps(*names: str) -> str:
    return "".join(
        f"  - {{id: {name}, when: {{path: /{name}}}, then: {{python: 'handlers.py:{name}'}}}}\n" for name in names
    )


def test_generators_are_bodies(started: Start, client: Make, connect: Any) -> None:
    run = started(steps("plain", "later"))
    said = client(run.port)
    assert said.get("/plain").text == "onetwo"
    later = said.get("/later")
    assert (later.status, later.text, later.headers["x-a"]) == (201, "012", "1")
    assert b"Sum: 3" in later.trailers
    head = said.ask("HEAD /later HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.status, head.text) == (201, "")
    talk = connect(run.port)
    assert talk.answer(talk.ask("/plain")) == ("200", b"onetwo")
    session = run.stop()
    bodies = [session.content(one["body"]) for one in session.by_type("response")]
    assert bodies == [b"onetwo", b"012", b"", b"onetwo"]


def test_generators_that_fail(started: Start, client: Make) -> None:
    run = started(steps("at_once", "in_between", "no_piece"))
    early = client(run.port).get("/at_once")
    assert early.status == 500
    assert "before the first piece" in early.text
    assert "expected text or bytes, got int" in client(run.port).get("/no_piece").text
    cut = client(run.port)
    cut.send("GET /in_between HTTP/1.1\r\nHost: a\r\n\r\n")
    assert cut.head().status == 200
    assert cut.rest() == b"3\r\none\r\n"  # and no end
    session = run.stop()
    errors = [one["eventData"]["error"]["message"] for one in session.by_type("rule-event")]
    assert errors[::2] == ["before the first piece", "behind the first piece"]
    abort = session.one("abort")
    assert (abort["error"]["code"], abort["matchedRuleId"]) == ("E_RULE_FAILED", "in_between")
    assert "in_between() failed: ValueError: behind the first piece" in abort["error"]["message"]


def test_a_generator_is_closed_when_its_client_leaves(started: Start, client: Make, tmp_path: Path) -> None:
    run = started(steps("endless"))
    said = client(run.port)
    said.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    assert said.head().status == 200
    said.sock.close()
    until_there(tmp_path / "closed", run.process, lambda: run.stderr)
    session = run.stop()
    assert session.one("abort")["matchedRuleId"] == "endless"
    assert session.by_type("rule-event") == []
