"""The rule that would match a request. That it loads and matches is a property test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from mockrec.engine.rules.explain.nearest import nearest
from mockrec.engine.rules.explain.suggest import suggest_rule
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Rule, When
from mockrec.engine.rules.yaml.scalars import double_quoted

RequestOf = Callable[..., RequestView]


def test_common_requests_need_no_quotes(request_of: RequestOf) -> None:
    assert suggest_rule(request_of("GET", "http://x.test/a/b-c_d.~e?q=1")) == (
        "- when: {method: GET, path: /a/b-c_d.~e}\n"
        "  then: {reply: {status: 200, body: Hello}}\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "when"),
    [
        ("NULL", "/", {"method": "NULL", "path": "/"}),
        ("GET", "/a,b: {c}", {"method": "GET", "path": "/a,b:%20{c}"}),
        ("GET", "/${HOME}", {"method": "GET", "path": "/$${HOME}"}),
        ("GET", '/"\\', {"method": "GET", "path": '/"\\'}),
        ("get", "/", {"path": "/"}),
        ("OPTIONS", "*", {"method": "OPTIONS"}),
    ],
)
def test_others_are_quoted_or_left_out(method: str, path: str, when: dict[str, str]) -> None:
    request = RequestView(method, "http", f"http://x.test{path if path[0] == '/' else ''}", "x.test", 80, path, {}, [])
    (rule,) = yaml.safe_load(suggest_rule(request))
    assert rule == {"when": when, "then": {"reply": {"status": 200, "body": "Hello"}}}


def test_an_upgrade_gets_a_step_that_answers_upgrades(request_of: RequestOf) -> None:
    (rule,) = yaml.safe_load(suggest_rule(request_of("GET", "ws://x.test/chat", websocket=True)))
    assert rule == {"when": {"method": "GET", "path": "/chat"}, "then": {"close": {}}}


POST = {
    "url": "http://x.test/q?page=2&page=3&a=%22",
    "headers": [("content-type", "application/x-www-form-urlencoded"), ("X-Key", "other"), ("cookie", "c=1")],
    "body": b"name=B%C3%B6b",
}


@pytest.mark.parametrize(
    ("asked", "when"),
    [
        (When(query={"page": "1"}), {"query": {"page": "2"}}),
        (When(query={"a": "1", "gone": "1"}), {"query": {"a": '"', "gone": {"absent": True}}}),
        (When(headers={"x-key": "1"}), {"headers": {"x-key": "other"}}),
        (When(cookies={"c": "2"}), {"cookies": {"c": "1"}}),
        (When(form={"name": "Ada"}), {"form": {"name": "Böb"}}),
        (When(body="x"), {"body": "name=B%C3%B6b"}),
        (When(exact_query="?x"), {"exactQuery": "?page=2&page=3&a=%22"}),
        (When(hostname="y.test"), {}),
    ],
)
def test_what_decides_is_in_it(request_of: RequestOf, rule_of: Callable[..., Rule], asked: When, when: object) -> None:
    request = request_of("POST", POST["url"], headers=POST["headers"], body=POST["body"])
    near = nearest(request, RuleSet([rule_of(asked)]).ranked)
    assert near is not None
    (rule,) = yaml.safe_load(suggest_rule(request, near.decisive))
    assert rule["when"] == {"method": "POST", "path": "/q", **when}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("body", "when"),
    [
        (b'{"a": [1, null, "x"]}', {"json": {"a": [1, None, "x"]}}),
        (b'{"${HOME}": 1}', {"body": '{"$${HOME}": 1}'}),
        (b"[" * 40 + b"]" * 40, {"body": "[" * 40 + "]" * 40}),
        (b'"' + b"x" * 500 + b'"', {}),
        (b"\xff\xfe", {}),
    ],
)
def test_a_body_is_in_it_where_it_is_short(
    request_of: RequestOf, rule_of: Callable[..., Rule], body: bytes, when: dict[str, object]
) -> None:
    request = request_of("POST", "http://x.test/q", body=body)
    near = nearest(request, RuleSet([rule_of(When(body="other"))]).ranked)
    assert near is not None
    (rule,) = yaml.safe_load(suggest_rule(request, near.decisive))
    assert rule["when"] == {"method": "POST", "path": "/q", **when}


def test_a_rule_for_another_path_decides_nothing(request_of: RequestOf, rule_of: Callable[..., Rule]) -> None:
    near = nearest(request_of("GET", "http://x.test/q"), RuleSet([rule_of(When(path="/r", headers={"a": "1"}))]).ranked)
    assert near is not None
    assert near.decisive == ()


@pytest.mark.parametrize("text", ["", "plain", "\x00\x1f\x7f", "é\u2028", "😀", "a'b\"c\\d", "- : # &*!|>%@`"])
def test_quoted_texts_are_read_back(text: str) -> None:
    assert double_quoted(text).isascii()
    assert yaml.safe_load(double_quoted(text)) == text
