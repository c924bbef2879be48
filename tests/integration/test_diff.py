"""`mockrec diff` of sessions that the program recorded: whatever is changed is found and named, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from websockets.sync.client import connect

Start = Callable[..., Any]
Program = Callable[..., CompletedProcess[str]]

# A small shop. What stands in <…> is what the tests change; ids, times and tokens are new in each run.
SHOP = """\
version: 1
rules:
  - id: order
    when: {method: POST, pathTemplate: "/orders"}
    then:
      reply:
        status: 201
        headers:
          Location: "{{ request.url }}/{{ uuid }}"
          Set-Cookie: "session={{ uuid }}; Path=/; HttpOnly"
          X-Request-Id: "{{ uuid }}"
        json: {id: "{{ uuid }}", at: "{{ now }}", state: open, self: "{{ request.url }}"}
        template: true
  - id: item
    when: {pathTemplate: "/items/{id}"}
    then:
      reply:
        status: <200>
        headers: {Cache-Control: <no-store>}
        json: {id: "{{ request.params.id }}", name: <Chair>, tags: [{id: 1, word: wood}, {id: 2, word: <oak>}]}
        template: true
  - id: page
    when: {path: /}
    then:
      reply:
        headers: {Content-Type: text/html}
        body: |
          <!doctype html>
          <title><Shop></title>
          <p>made at {{ now }}</p>
        template: true
  - id: prices
    when: {path: /prices}
    then: {stream: {sse: [{event: price, data: '{"price": 1}'}, {event: price, data: '{"price": <2>}'}]}}
  - id: chat
    when: {path: /chat}
    then: {script: [{send: hello}, {expect: {json: {a: 1}}}, {send: {json: {members: <2>}}}, {close: {code: 1000}}]}
  - id: slow
    when: {path: /slow}
    then: [{delay: <1ms>}, {reply: {body: "done\\n"}}]
"""


def shop(*changes: tuple[str, str]) -> str:
    """The rules, with some of the values changed."""
    rules = SHOP
    for old, new in changes:
        assert f"<{old}>" in rules
        rules = rules.replace(f"<{old}>", new)
    for value in ("200", "no-store", "Chair", "oak", "Shop", "2", "1ms"):
        rules = rules.replace(f"<{value}>", value)
    return rules


def call(port: int, method: str, path: str, body: Any = None) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        connection.getresponse().read()
    finally:
        connection.close()


def visit(port: int, more: tuple[str, ...] = ()) -> None:
    """What the shop's test suite does."""
    call(port, "GET", "/")
    for number in range(3):
        call(port, "GET", f"/items/{number}")
    for number in range(2):
        call(port, "POST", "/orders", {"item": number})
    call(port, "GET", "/prices")
    for _ in range(12):
        call(port, "GET", "/slow")
    with connect(f"ws://127.0.0.1:{port}/chat", proxy=None) as socket:
        assert socket.recv() == "hello"
        socket.send('{"a": 1}')
        socket.recv()
    for path in more:
        call(port, "GET", path)


@pytest.fixture
def record(recorder: Start) -> Callable[..., Path]:
    """Records the visit to a shop; gives the session."""

    def recorded(name: str, *changes: tuple[str, str], more: tuple[str, ...] = ()) -> Path:
        run = recorder(shop(*changes), out=name)
        visit(run.port, more)
        session = run.stop()
        assert session.code == 0
        path: Path = session.path
        return path

    return recorded


@pytest.fixture
def diff(program: Program) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Exit code and JSON report."""

    def done(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        outcome = program("diff", *arguments, "--as", "json")
        assert outcome.returncode in (0, 1), outcome.stderr
        return outcome.returncode, json.loads(outcome.stdout)

    return done


def found(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["endpoint"], one["path"], one["kind"]) for one in report["differences"]]


def test_two_runs_of_the_same_are_the_same(record: Any, diff: Any) -> None:
    a, b = record("a.jsonl"), record("b.jsonl")
    for options in ((), ("--requests",)):
        code, report = diff(a, b, *options)
        assert (code, found(report), report["onlyInA"], report["onlyInB"]) == (0, [], [], [])
        assert report["summary"]["paired"] == report["summary"]["exchanges"]["a"] == 20
    assert diff(a, a, "--strict", "--timing")[0] == 0
    strict = found(diff(a, b, "--strict")[1])
    assert ("POST /orders", "response.json:$.id", "value") in strict


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        (("Chair", "Table"), [("GET /items/{id}", "response.json:$.name", "value")]),
        (("oak", "7"), [("GET /items/{id}", "response.json:$.tags[?@.id==2].word", "type")]),
        (("200", "203"), [("GET /items/{id}", "status", "status")]),
        (("no-store", "private"), [("GET /items/{id}", "response.header:cache-control", "header")]),
        (("Shop", "Store"), [("GET /", "response.text (line 2)", "value")]),
    ],
)
def test_what_is_changed_is_found_and_nothing_else(
    record: Any, diff: Any, change: tuple[str, str], differences: list[tuple[str, str, str]]
) -> None:
    code, report = diff(record("a.jsonl"), record("b.jsonl", change))
    assert (code, found(report), report["onlyInA"], report["onlyInB"]) == (1, differences, [], [])


def test_events_and_messages(record: Any, diff: Any) -> None:
    code, report = diff(record("a.jsonl"), record("b.jsonl", ("2", "3")))
    assert (code, sorted(found(report))) == (
        1,
        [
            ("GET /chat", "response.message[1].json:$.members", "value"),
            ("GET /prices", "response.event[1].json:$.price", "value"),
        ],
    )


def test_a_call_that_was_added(record: Any, diff: Any, program: Program) -> None:
    a, b = record("a.jsonl"), record("b.jsonl", more=("/items/9",))
    code, report = diff(a, b)
    assert (code, found(report)) == (1, [("GET /items/{id}", "calls", "count")])
    assert (report["differences"][0]["a"], report["differences"][0]["b"]) == (3, 4)
    assert [(one["method"], one["url"].rpartition("/")[2]) for one in report["onlyInB"]] == [("GET", "9")]
    assert report["onlyInA"] == []
    assert program("diff", a, b, "--fail-on", "breaking").returncode == 0
    assert program("diff", b, a, "--fail-on", "breaking").returncode == 1


def test_an_endpoint_that_became_slow(record: Any, diff: Any) -> None:
    a, b = record("a.jsonl"), record("b.jsonl", ("1ms", "150ms"))
    assert diff(a, b)[0] == 0
    code, report = diff(a, b, "--timing")
    assert (code, found(report)) == (1, [("GET /slow", "duration", "timing")])


def test_noise_is_learned_from_a_second_recording(record: Any, diff: Any) -> None:
    a, again, b = record("a.jsonl"), record("a2.jsonl", ("Chair", "Stool")), record("b.jsonl", ("Chair", "Table"))
    code, report = diff(a, b, "--noise", again)
    assert (code, found(report), report["summary"]["noise"]) == (0, [], 3)


def test_reports_of_the_real_program(record: Any, program: Program, tmp_path: Path) -> None:
    a, b = record("a.jsonl"), record("b.jsonl", ("Chair", "Table"))
    done = program("diff", a, b, "-o", "diff.md", "-o", "diff.xml", "--as", "github")
    assert done.returncode == 1
    assert done.stdout == '::warning title=GET /items/{id} value::response.json:$.name "Chair" → "Table" (× 3)\n'
    assert "| changed | `response.json:$.name` value |" in (tmp_path / "diff.md").read_text(encoding="utf-8")
    assert 'failures="1"' in (tmp_path / "diff.xml").read_text(encoding="utf-8")


def test_compressed_sessions_and_stdin(record: Any, program: Program) -> None:
    a, b = record("a.jsonl.gz"), record("b.jsonl.zst")
    assert program("diff", a, b).returncode == 0
    with b.open("rb") as stdin:
        assert program("diff", a, "-", stdin=stdin).returncode == 0
