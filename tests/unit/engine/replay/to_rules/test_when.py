"""What a rule asks for that is made of a recorded request."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.to_rules.when import weight, when_of

MARK = "redacted-0123abcd"


def made(**changes: Any) -> dict[str, Any]:
    facts = {"websocket": False, "method": "GET", "path": "/a", "query": {}, "body": {"text": ""}, **changes}
    return when_of(facts, None, queries=False)


def test_the_plain_request() -> None:
    assert made() == {"method": "GET", "path": "/a"}


def test_hosts_queries_and_upgrades() -> None:
    facts = {"websocket": True, "method": "GET", "path": "/a", "query": {}}
    when = when_of(facts, "shop.test", queries=True)
    assert when == {"method": "GET", "websocket": True, "host": "shop.test", "path": "/a", "exactQuery": ""}
    assert made(query={"a": ["1"], "b": ["2", "3"]})["query"] == {"a": "1", "b": ["2", "3"]}


@pytest.mark.parametrize(
    ("body", "matchers"),
    [
        ({"text": "hi"}, {"body": "hi"}),
        ({"json": {"a": 1}}, {"json": {"a": 1}}),
        ({"json": {"a": MARK, "b": [1, MARK], "c": {}}}, {"jsonIncludes": {"b": [1], "c": {}}}),
        ({"json": MARK}, {}),
        ({"form": {"a": ["1"], "p": [MARK]}}, {"form": {"a": "1", "p": {"present": True}}}),
        ({"part": [["a", None, "x"], ["f", "n", MARK]]}, {"multipart": [{"name": "a", "content": "x"}, {"name": "f", "filename": "n"}]}),
        ({"text": f"5 bytes, sha256 {'a' * 64}"}, {}),
        ({"text": f"my {MARK}."}, {"bodyRegex": r"\Amy\ .*\.\Z"}),
        ({"undecodable": True}, {}),
        ("redacted-00000000", {}),
    ],
)  # fmt: skip
def test_bodies(body: Any, matchers: dict[str, Any]) -> None:
    assert made(body=body) == {"method": "GET", "path": "/a", **matchers}


def test_marks_in_urls() -> None:
    assert made(path=f"/u/{MARK}", query={"k": [MARK]}) == {
        "method": "GET",
        "pathRegex": r"\A/u/.*\Z",
        "query": {"k": {"present": True}},
    }


def test_what_asks_for_more_weighs_more() -> None:
    assert weight(made()) < weight(made(query={"a": ["1"]})) < weight(made(query={"a": ["1"], "b": ["1"]}))
