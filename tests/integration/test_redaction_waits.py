"""A long redaction of one client's text does not delay other clients, and no record is lost or reordered."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from waiting import until_recorded

Start = Callable[..., Any]

SIZE = 128 * 1024
MOST_SECONDS = 3.0
"""Limit of the other client's wait, on a machine with other load; it was 30 seconds and more."""
RULES = """
version: 1
rules:
  - {id: short, when: {path: /short}, then: {reply: {body: hello}}}
  - {id: long, when: {path: /long}, then: [waitForBody, {reply: {body: "token is hunter2-hunter2"}}]}
  - {id: echo, when: {path: /ws, websocket: true}, then: echo}
"""
TEXTS = {
    "names": ("text/plain", "password="),
    "heads": ("text/plain", "Authorization: Bearer "),
    "lists": ("application/json", '"token":['),
    "explanations": ("text/plain", 'header token: expected "a" '),
    "bytes": ("application/octet-stream", "\0sid=\xff"),
    "many": ("text/plain", "secret=#######&"),
}


def filled(unit: str) -> bytes:
    text = (unit * (SIZE // len(unit) + 1))[:SIZE]
    for number in range(text.count("#######")):
        text = text.replace("#######", f"{number:07}", 1) if number < 2000 else text
    return text.encode("latin-1")


def ask(port: int, method: str, path: str, body: bytes | None = None, kind: str = "text/plain") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("text", TEXTS)
def test_another_client_does_not_wait(recorder: Start, text: str) -> None:
    kind, unit = TEXTS[text]
    run = recorder(RULES)
    body = filled(unit)
    assert ask(run.port, "POST", "/long", body, kind) == b"token is hunter2-hunter2"
    begun = time.monotonic()
    assert ask(run.port, "GET", "/short") == b"hello"
    waited = time.monotonic() - begun
    until_recorded(run, "response", 2)
    session = run.stop()
    assert waited < MOST_SECONDS
    long = next(record for record in session.by_type("request") if record["path"] == "/long")
    assert long["body"].get("redacted", False) is (text != "bytes")  # matches by chance in binary data stay
    assert long["body"]["size"] == len(body)


def test_what_is_found_elsewhere_is_replaced_behind_it_and_in_its_order(recorder: Start) -> None:
    run = recorder(RULES)
    body = b'{"password": "hunter2-hunter2", "rest": "' + b"x" * SIZE + b'"}'
    ask(run.port, "POST", "/long", body, "application/json")
    session = run.stop()
    request, response = session.one("request"), session.one("response")
    assert request["seq"] < response["seq"]
    placeholder = json.loads(request["body"]["text"])["password"]
    assert placeholder.startswith("redacted-")
    assert response["body"]["text"] == f"token is {placeholder}"
    assert session.one("session-ended")["redactions"] == 2
    times = [record["timestamp"] for record in session.records]
    assert times == sorted(times)


def test_long_bodies_beside_the_log(recorder: Start) -> None:
    run = recorder(RULES)
    body = b"".join(b"password=secret-%07d&" % number for number in range(20_000))
    assert len(body) > 400_000
    ask(run.port, "POST", "/long", body)
    ask(run.port, "GET", "/short")
    session = run.stop()
    kept = next(record for record in session.by_type("request") if record["path"] == "/long")["body"]
    content = session.content(kept)
    assert content.count(b"password=redacted-") == 20_000
    assert b"secret-" not in content


def test_the_end_waits_for_what_is_under_way(recorder: Start) -> None:
    run = recorder(RULES)
    for _ in range(3):
        ask(run.port, "POST", "/long", filled("password=#######&"), "application/x-www-form-urlencoded")
    session = run.stop()
    assert len(session.by_type("request")) == len(session.by_type("response")) == 3
    assert session.records[-1]["type"] == "session-ended"
    assert all("redacted" in record["body"] for record in session.by_type("request"))
