"""The rule that would match a request. That it loads and matches is a property test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from mockrec.engine.rules.request import RequestView
from mockrec.engine.rules.suggest import quoted, suggest_rule

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


@pytest.mark.parametrize("text", ["", "plain", "\x00\x1f\x7f", "é\u2028", "😀", "a'b\"c\\d", "- : # &*!|>%@`"])
def test_quoted_texts_are_read_back(text: str) -> None:
    assert quoted(text).isascii()
    assert yaml.safe_load(quoted(text)) == text
