"""Rules that go on (`continue: true`): what clients, servers and the log see of them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]

RULES = """
version: 1
rules:
  - id: marked
    continue: true
    then: {change: {response: {headers: {set: {X-All: "1"}}}}}
  - id: rename
    when: {path: /old}
    continue: true
    times: 2
    then:
      - change: {request: {method: PUT, matchReplacePath: [["^/old", "/new"]], headers: {set: {X-New: "yes"}}}}
      - delay: 1ms
      - emit: {type: seen, data: {path: "{{ request.path }}", count: "{{ count }}"}}
  - id: merge
    when: {path: /json}
    continue: true
    then: {change: {request: {mergeJson: {a: 2}}, response: {mergeJson: {more: true}}}}
  - {id: block, when: {path: /track}, then: {reply: {status: 204}}}
  - {id: new, when: {method: PUT, path: /new, headers: {X-New: "yes"}}, then: {reply: {body: new}}}
  - {id: json, when: {path: /json, json: {a: 2, b: 1}}, then: {reply: {json: {got: 1}}}}
  - {id: stream, when: {path: /stream}, then: {stream: {chunks: [{data: a}, {data: b}]}}}
"""


def told(session: Any, kind: str) -> list[tuple[str | None, list[str] | None]]:
    return [(one.get("matchedRuleId"), one.get("continuedRuleIds")) for one in session.by_type(kind)]


def test_what_rules_change_is_what_later_ones_see(recorder: Start, client: Make) -> None:
    run = recorder(RULES)
    said = client(run.port)
    new = said.ask("GET /old?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (new.status, new.text, new.headers["x-all"]) == (200, "new", "1")
    assert said.ask("GET /track HTTP/1.1\r\nHost: a\r\n\r\n").status == 204
    merged = said.ask('POST /json HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{"b":1}')
    assert json.loads(merged.text) == {"got": 1, "more": True}
    assert merged.headers["content-length"] == "21"
    assert said.ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").text == "ab"
    missed = said.ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (missed.status, missed.headers["x-all"]) == (503, "1")
    assert "As changed by: marked" in missed.text
    session = run.stop()
    expected = [
        ("new", ["marked", "rename"]), ("block", ["marked"]), ("json", ["marked", "merge"]),
        ("stream", ["marked"]), (None, ["marked"]),
    ]  # fmt: skip
    assert told(session, "request") == told(session, "response") == expected
    first = session.by_type("request")[0]
    assert (first["method"], first["path"]) == ("GET", "/old?x=1")  # as the client sent it
    assert session.content(session.by_type("request")[2]["body"]) == b'{"b":1}'
    event = session.one("rule-event")
    assert (event["ruleId"], event["eventData"]) == ("rename", {"path": "/new", "count": "1"})
    used = {rule["id"]: (rule["used"], rule["pending"]) for rule in session.one("session-ended")["rules"]}
    assert used["marked"] == (5, False)
    assert used["rename"] == (1, True)


def test_a_rule_that_is_used_up_changes_nothing_more(recorder: Start, client: Make) -> None:
    run = recorder(RULES)
    said = client(run.port)
    statuses = [said.ask("GET /old HTTP/1.1\r\nHost: a\r\n\r\n").status for _ in range(3)]
    assert statuses == [200, 200, 503]
    assert told(run.stop(), "response")[2] == (None, ["marked"])


def test_over_http2(recorder: Start, connect: Any) -> None:
    run = recorder(RULES)
    talk = connect(run.port)
    assert talk.answer(talk.ask("/old")) == ("200", b"new")
    assert told(run.stop(), "response") == [("new", ["marked", "rename"])]


def test_a_server_is_asked_what_has_become_of_the_request(recorder: Start, upstream: Make, client: Make) -> None:
    body = gzip.compress(b'{"x":1}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server = upstream(head + body)
    run = recorder(
        "version: 1\nrules:\n"
        "  - {id: on, continue: true, then: {change: {request: {body: hey, matchReplaceQuery: [[a=1, a=2]]},"
        " response: {status: 203, mergeJson: {y: 2}}}}}\n"
        f"  - {{id: pass, then: {{forward: {{to: '{server.url}'}}}}}}\n"
    )
    answer = client(run.port).ask("POST /p?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    assert answer.status == 203
    assert json.loads(gzip.decompress(answer.body)) == {"x": 1, "y": 2}
    received = server.requests[-1]
    assert (received.start, received.body) == ("POST /p?a=2 HTTP/1.1", b"hey")
    session = run.stop()
    assert told(session, "response") == [("pass", ["on"])]
    events = dict(session.told("pass"))
    assert events["passthrough-request-body"]["rawBody"]["text"] == "hey"
    raw = base64.b64decode(events["passthrough-response-body"]["rawBody"]["base64"])
    assert raw == body  # what the server said is not lost


def test_another_host_is_asked_and_named(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(
        "version: 1\nrules:\n"
        f"  - {{id: moved, continue: true, then: {{change: {{request: {{host: '{server.authority}'}}}}}}}}\n"
        f"  - {{id: pass, when: {{host: '{server.authority}'}}, then: passthrough}}\n"
    )
    assert client(run.port).ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").text == "ok"
    assert ["Host", server.authority] in server.requests[-1].fields
    assert told(run.stop(), "response") == [("pass", ["moved"])]


def test_a_body_that_cannot_be_changed_is_a_500_of_its_rule(recorder: Start, client: Make) -> None:
    run = recorder(RULES)
    said = client(run.port)
    answer = said.ask("POST /json HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nno")
    assert answer.status == 500
    assert "rule merge" in answer.text
    assert "not JSON" in answer.text
    assert told(run.stop(), "response") == [("merge", ["marked"])]


def test_an_upgrade_is_changed_too(recorder: Start) -> None:
    from websockets.sync.client import connect

    run = recorder(
        "version: 1\nrules:\n"
        "  - {id: on, continue: true, then: {change: {request: {matchReplacePath: [[^/a, /b]]},"
        " response: {headers: {set: {X-On: '1', Upgrade: h2c}}}}}}\n"
        "  - {id: echo, when: {path: /b}, then: echo}\n"
    )
    with connect(f"ws://127.0.0.1:{run.port}/a", proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.headers["x-on"] == "1"
        socket.send("hi")
        assert socket.recv(20) == "hi"
    session = run.stop()
    assert told(session, "websocket-close") == [("echo", ["on"])]


@pytest.mark.parametrize("name", ["session.har", "session.parquet"])
def test_every_format_keeps_who_went_on(recorder: Start, client: Make, program: Any, tmp_path: Any, name: str) -> None:
    run = recorder(RULES)
    assert client(run.port).ask("GET /old HTTP/1.1\r\nHost: a\r\n\r\n").text == "new"
    session = run.stop()
    kept = tmp_path / name
    assert program("filter", session.path, "-o", kept).returncode == 0
    found = program("filter", kept, "continued_rule == rename", "--count")
    assert (found.returncode, found.stdout.strip()) == (0, "1")
    back = program("filter", kept, "-o", tmp_path / "back.jsonl")
    assert back.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()]
    ids = [line["continuedRuleIds"] for line in lines if line["type"] in ("request", "response")]
    assert ids == [["marked", "rename"]] * 2
