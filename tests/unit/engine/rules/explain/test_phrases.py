"""Phrases for the parts of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.explain.phrases import step_words, times_words, when_words
from mockrec.engine.rules.model import (
    BodyChange,
    Chunk,
    Close,
    Condition,
    Delay,
    Emit,
    Forward,
    HeaderChanges,
    Informational,
    JsonRpc,
    Malformed,
    MultipartPart,
    Passthrough,
    Python,
    Replay,
    Reply,
    RequestChanges,
    Reset,
    ResponseChanges,
    Rule,
    SourceLocation,
    Step,
    Stream,
    Timeout,
    WaitForBody,
    Webhook,
    When,
)
from mockrec.engine.rules.wording import MAX_SHOWN, expected_words, printable, shorten, shown

PLACE = SourceLocation("rules.yaml", 1, 1, "")
REPLACED = (("a", "b"),)


def test_values_are_shown_as_json_on_one_line() -> None:
    assert shown({"a": ("é", None, True)}) == '{"a": ["é", null, true]}'
    assert shown('a\n"b"\x1b') == '"a\\n\\"b\\"\\u001b"'
    assert shown(b"x") == "\"b'x'\""


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 10_000_000)) == MAX_SHOWN
    assert shown(list(range(1000))).endswith("…")
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"


def test_control_characters_are_escaped() -> None:
    assert printable("plain é") == "plain é"
    assert printable("a\x1b[31m\r\n") == "a\\u001b[31m\\u000d\\u000a"


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("a", '"a"'),
        (("a", "b"), '["a", "b"]'),
        (Condition(absent=True), "absent"),
        (Condition(present=True), "present"),
        (Condition(), "present"),
        (Condition(equals="a"), '"a"'),
        (Condition(regex="^a", includes="b"), 'matching /^a/ and including "b"'),
        (Condition(gt=1, lte=5.5), "> 1 and <= 5.5"),
        (Condition(gte=1, lt=5), ">= 1 and < 5"),
    ],
)
def test_expected_values(expected: Any, words: str) -> None:
    assert expected_words(expected) == words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(), "any request"),
        (When(method=("GET",), path="/a"), "GET /a"),
        (When(method=("GET", "PUT"), url="http://x/a"), "GET or PUT http://x/a"),
        (When(method=("ANY",), path_template="/u/{id}"), "/u/{id}"),
        (When(path_regex="^/a", url_regex="x"), "path matching /^/a/ URL matching /x/"),
        (When(host="x:1", hostname="*.x", port=1, protocol="ws"),
         "any request for host x:1 and for hostname *.x and for port 1 and by ws"),
        (When(headers={"a": "1"}, query={"b": Condition(absent=True)}),
         'any request with header a "1" and with query parameter b absent'),
        (When(cookies={"a": "1"}, form={"b": "2"}, json_path={"$.c": 3}),
         'any request with cookie a "1" and with form field b "2" and with JSON at $.c 3'),
        (When(path="/", exact_query=""), "/ without a query"),
        (When(path="/", exact_query="?a"), '/ with the query "?a"'),
        (When(multipart=(MultipartPart(name="a", content="b"),)),
         'any request with a part {"name": "a", "content": "b"}'),
        (When(body="b", body_includes="c", body_regex="d"),
         'any request with the body "b" and with "c" in the body and with a body matching /d/'),
        (When(json=None, json_includes={}, given=("json", "jsonIncludes")),
         "any request with the JSON null and with JSON including {}"),
        (When(json_schema=True, json_rpc={"method": "m"}),
         'any request with JSON valid by a schema and with the JSON-RPC call {"method": "m"}'),
        (When(websocket=True), "any request upgrading to WebSocket"),
        (When(websocket=False), "any request not upgrading to WebSocket"),
        (When(path="/", not_=When(method=("GET",))), "/ but not (GET)"),
        (When(any_of=(When(path="/a"), When(path="/b"))), "any request being one of (/a | /b)"),
        (When(python="/home/me/handlers.py:ok"), "any request accepted by handlers.py:ok"),
    ],
)  # fmt: skip
def test_whens(when: When, words: str) -> None:
    assert when_words(when) == words


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Reply(PLACE, status=404), "reply 404"),
        (Stream(PLACE, chunks=(Chunk(b"a"),)), "stream 200"),
        (JsonRpc(PLACE, result=1), "JSON-RPC result"),
        (JsonRpc(PLACE, error={"code": 1}), "JSON-RPC error"),
        (Malformed(PLACE, raw=b"x"), "raw bytes"),
        (Malformed(PLACE, truncate_after=5, reply=Reply(PLACE)), "reply 200 cut off after 5 bytes"),
        (Python(PLACE, handler="/a/b/handlers.py:f"), "python handlers.py:f"),
        (Close(PLACE), "close the connection"),
        (Reset(PLACE), "reset the connection"),
        (Timeout(PLACE), "never answer"),
        (Delay(PLACE, fixed=0.1), "wait 100ms"),
        (Delay(PLACE, fixed=1.5), "wait 1.5s"),
        (Delay(PLACE, uniform=(0.05, 1)), "wait 50ms to 1s"),
        (Delay(PLACE, lognormal=(0.05, 1)), "wait about 50ms"),
        (WaitForBody(PLACE), "wait for the body"),
        (Informational(PLACE, status=103), "informational 103"),
        (Webhook(PLACE, url="http://x/"), "webhook http://x/"),
        (Emit(PLACE, type="a"), 'emit "a"'),
        (Passthrough(PLACE), "pass it on"),
        (
            Passthrough(
                PLACE,
                request=RequestChanges(
                    method="PUT",
                    protocol="https",
                    match_replace_host=REPLACED,
                    match_replace_path=REPLACED,
                    match_replace_query=REPLACED,
                    headers=HeaderChanges(replace=()),
                    body=BodyChange(data=b""),
                ),
                response=ResponseChanges(201, HeaderChanges(remove=("a",)), BodyChange(has_merge=True)),
                delay=Delay(PLACE, fixed=0.1),
            ),
            "pass it on, changing the request (method, protocol, host, path, query, headers, body)"
            " and the response (status, headers, body), delayed by 100ms",
        ),
        (
            Passthrough(PLACE, request=RequestChanges(host="a", update_host_header=False)),
            "pass it on, changing the request (host, headers)",
        ),
        (
            Forward(PLACE, to_protocol="http", to_host="localhost", to_port=3000),
            "pass it on to http://localhost:3000",
        ),
        (
            Forward(PLACE, to_host="::1", response=ResponseChanges(status=500)),
            "pass it on to [::1], changing the response (status)",
        ),
        (Replay(PLACE, session="/rules/a.jsonl"), "replay a.jsonl"),
        (Step(PLACE), ""),
    ],
)
def test_steps(step: Step, words: str) -> None:
    assert step_words(step) == words


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (None, ""),
        ("always", "always"),
        (1, "once"),
        (2, "twice"),
        (3, "thrice"),
        (4, "4 times"),
        (0, "0 times"),
    ],
)
def test_times(rule_of: Callable[..., Rule], times: int | str | None, words: str) -> None:
    assert times_words(rule_of(times=times)) == words
