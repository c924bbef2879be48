"""`mockrec replay --to-rules`: the rule file answers the recorded requests as they were answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until_there

from mockrec.formats.sessions.session import open_session

Start = Callable[..., Any]
Program = Callable[..., subprocess.CompletedProcess[str]]

SHOP = Path(__file__).parent / "shop"
NOT_COMPARED = ("date", "content-encoding", "content-length", "transfer-encoding", "connection")
MIXED = """\
version: 1
rules:
  - {when: {path: /a, query: {n: 1}}, then: {reply: {json: {"first": [1, null, "ä"]}}}}
  - {when: {path: /a, query: {n: 1}}, then: {reply: {body: "second\\n\\n"}}}
  - {when: {path: /big}, then: {reply: {file: big.txt, headers: {Content-Type: text/plain, Vary: [a, b]}}}}
  - {when: {path: /bytes}, then: {reply: {base64: /wAB, status: 299, statusMessage: Odd}}}
  - {when: {path: /hint}, then: [{informational: {status: 103, headers: {Link: </s.css>}}, }, {reply: {body: "${HOME}", trailers: {X-Sum: "1"}}}]}
  - {when: {path: /gone}, then: {reply: {status: 204}}}
  - {when: {path: /reset}, then: reset}
  - {when: {path: /close}, then: close}
  - {when: {path: /post}, then: {reply: {body: posted}}}
"""


def answers(path: Path, *, by_tag: bool) -> dict[str, Any]:
    """What each request was answered."""
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    with open_session(path) as session:
        for _, record in session:
            kind, identity = record["type"], record.get("id", "")
            if kind in ("request", "websocket-request"):
                tag = next((tag for tag in record["tags"] if tag.startswith("replay-of:")), "")
                names[identity] = tag.removeprefix("replay-of:") if by_tag else identity
                found[names[identity]] = [record["method"], record["path"]]
            elif kind == "response":
                headers = sorted(pair for pair in record["rawHeaders"] if pair[0].lower() not in NOT_COMPARED)
                body = {key: value for key, value in record["body"].items() if key in ("size", "text", "base64")}
                length = record["headers"].get("content-length") if found[names[identity]][0] == "HEAD" else None
                found[names[identity]] += [record["statusCode"], record["statusMessage"], headers, body, length]
                found[names[identity]].append(record.get("rawTrailers"))
            elif kind == "response-information":
                found[names[identity]] += [record["statusCode"], record["headers"].get("link")]
            elif kind == "abort":
                found[names[identity]].append("abort")
            elif kind.startswith("websocket-message"):
                found[names[identity]].append((record["direction"], record["content"], record["isBinary"]))
            elif kind == "websocket-close":
                told = (record.get("serverCloseCode"), record.get("serverCloseReason"), record["initiator"])
                found[names[identity]].append(told)
    return found


def replayed(recorder: Start, program: Program, session: Path, *, code: int = 0) -> tuple[dict[str, Any], str]:
    """The answers of a rule file made of a session to the requests of that session; the text of the file."""
    rules = session.with_name("made.yaml")
    done = program("replay", session, "--to-rules", rules)
    assert done.returncode == 0, done.stderr
    assert program("check", rules).returncode == 0
    run = recorder(rules, "--redact", "none", out="made.jsonl")
    done = program("replay", session, "--to", run.url, "-o", "again.jsonl", "--redact", "none")
    assert done.returncode == code, done.stderr
    run.stop()
    return answers(session.with_name("again.jsonl"), by_tag=True), rules.read_text(encoding="utf-8")


def test_the_shop_as_rules(recorder: Start, program: Program, tmp_path: Path) -> None:
    port = tmp_path / "port"
    shop = subprocess.Popen([sys.executable, SHOP / "app.py", port], stdin=subprocess.DEVNULL)
    try:
        until_there(port, shop)
        run = recorder(
            None,
            "--upstream",
            f"http://127.0.0.1:{port.read_text(encoding='ascii')}",
            "--redact",
            "none",
            out="shop.jsonl",
        )
        subprocess.run([sys.executable, SHOP / "suite.py", run.url], check=True, timeout=60)
        run.stop()
    finally:
        shop.kill()
        shop.wait()
    session = tmp_path / "shop.jsonl"
    again, _ = replayed(recorder, program, session)
    assert again == answers(session, by_tag=False)
    run = recorder(tmp_path / "made.yaml", "--strict", out="suite.jsonl")
    subprocess.run([sys.executable, SHOP / "suite.py", run.url], check=True, timeout=60)
    assert run.stop().code == 0


def test_all_that_a_rule_can_say(recorder: Start, program: Program, tmp_path: Path, client: Any) -> None:
    (tmp_path / "big.txt").write_text("big\n" * 5000, encoding="utf-8")
    run = recorder(MIXED, "--redact", "none", out="first.jsonl", env={"HOME": "$${HOME}"})
    for target in ("/a?n=1", "/a?n=1", "/a?n=1", "/big", "/big", "/bytes", "/hint", "/gone"):
        client(run.port).get(target)
    client(run.port).ask("HEAD /bytes HTTP/1.1\r\nHost: a\r\n\r\n")
    for target in ("/reset", "/close"):
        with pytest.raises((AssertionError, ConnectionResetError)):
            client(run.port).get(target)
    for body in ('{"a": 1, "b": null}', "text", "x" * 6000):
        client(run.port).ask(
            f"POST /post HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
    run.stop()
    session = tmp_path / "first.jsonl"
    again, text = replayed(recorder, program, session, code=1)
    assert again == answers(session, by_tag=False)
    assert "file: made.files/001-get-big.txt" in text
    assert (tmp_path / "made.files" / "001-get-big.txt").read_text(encoding="utf-8") == "big\n" * 5000
    assert text.count("made.files") == 1
    assert "then: reset" in text and "then: close" in text
    assert text.count("path: /a,") == 2 and "host:" not in text


def test_hosts_are_told_apart_where_they_must_be(
    recorder: Start, program: Program, tmp_path: Path, client: Any
) -> None:
    hosts = "".join(f"  - {{when: {{host: {name}.test}}, then: {{reply: {{body: {name}}}}}}}\n" for name in "ab")
    run = recorder(f"version: 1\nrules:\n{hosts}")
    for name in "ab":
        client(run.port).get(f"http://{name}.test/same")
    client(run.port).get("http://a.test/other")
    run.stop()
    assert program("replay", "session.jsonl", "--to-rules", "made.yaml").returncode == 0
    assert (tmp_path / "made.yaml").read_text(encoding="utf-8").count("host: ") == 2
    run = recorder(tmp_path / "made.yaml", out="made.jsonl")
    assert [client(run.port).get(f"http://{name}.test/same").text for name in "ab"] == ["a", "b"]
    assert client(run.port).ask("GET /other HTTP/1.1\r\nHost: c\r\n\r\n").text == "a"


def test_what_cannot_be_rules_is_said(program: Program, tmp_path: Path) -> None:
    base = {"id": "1", "connectionId": "c", "timestamp": "2026-01-01T00:00:00.000000Z"}
    head = {"method": "GET", "url": "http://a/x", "path": "/x", "rawHeaders": [["Host", "a"]]}
    lines = [
        {"type": "request", **base, **head, "body": {"size": 0, "text": ""}},
        {"type": "response", **base, "statusCode": 200, "body": {"size": 9, "text": "x", "truncated": True}},
        {"type": "request", **base, **head, "id": "2", "path": "/y", "url": "http://a/y"},
        {"type": "response", **base, "id": "2", "statusCode": 200, "body": {"size": 17, "text": "redacted-0123abcd"}},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = program("replay", "a.jsonl", "--to-rules", "r.yaml")
    assert done.returncode == 0
    assert "1 recording left out" in done.stderr and "GET /x: its body was cut" in done.stderr
    assert "1 rule answer with redacted values" in done.stderr
    assert program("replay", "a.jsonl", "--to-rules", "r.yaml").returncode == 2
    assert program("replay", "a.jsonl", "--to-rules", "r.yaml", "--force").returncode == 0
    assert program("replay", "a.jsonl", "--to-rules", "no/r.yaml").returncode == 3
    assert program("replay", "a.jsonl", "--to-rules", "s.yaml", "--pace", "max").returncode == 2
