"""Deferred checks, and rules that need their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.deferral import QUICK_BODY, Deferral
from mockrec.engine.rules.matching.match import check_of, compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import NEED_BODY, RuleSet
from mockrec.engine.rules.model import Condition, MultipartPart, When
from mockrec.engine.rules.patterns import PythonRegex

RequestOf = Callable[..., RequestView]
ANSWERED = {"multipart": "multipart/form-data; boundary=s", "form": "application/x-www-form-urlencoded"}


def deferring(request: RequestView) -> Deferral:
    request.deferral = deferral = Deferral(lambda size: len(request.body) <= size)
    return deferral


def compiled(**given: Any) -> Any:
    return compile_when(When(given=tuple(given), **given), lambda name: lambda view: True, "r")


@pytest.mark.parametrize(
    ("given", "quick"),
    [
        ({"body": "x"}, QUICK_BODY),
        ({"body_includes": "x"}, QUICK_BODY),
        ({"body_regex": "x"}, QUICK_BODY),
        ({"body_regex": "[ab]{1,500}x"}, 3900),
        ({"body_regex": PythonRegex("x")}, 0),
        ({"form": {"a": "1"}}, QUICK_BODY),
        ({"form": {"a": Condition(regex=PythonRegex("1"))}}, 0),
        ({"multipart": (MultipartPart(name="a"),)}, QUICK_BODY),
        ({"json": 1}, QUICK_BODY),
        ({"json_includes": 1}, QUICK_BODY),
        ({"json_rpc": {}}, QUICK_BODY),
        ({"json_schema": True}, QUICK_BODY),
        ({"json_schema": {"items": {"$ref": "#"}}}, 0),
        ({"json_path": {"$.a": 1}}, QUICK_BODY),
        ({"json_path": {"$..a[?@.b]": 1}}, 8 * 1024),
        ({"json_path": {"$..a..b": 1}}, 0),
        ({"json_path": {"$[?$..b]": 1}}, 0),
        ({"json_path": {"$[?match(@.a, 'x')]": 1}}, 0),
    ],
)
def test_what_is_put_off_by_the_size_of_the_body(request_of: RequestOf, given: dict[str, Any], quick: int) -> None:
    when = compiled(**given)
    key = next(iter(given))
    headers = [("content-type", ANSWERED.get(key, "text/plain"))]
    assert when.defers
    for size, is_put_off in ((max(quick, 1), not quick), (quick + 8192, True)):
        request = request_of("POST", headers=headers, body=b"-" * size)
        assert when.match(request) is False  # without a deferral everything is answered at once
        deferral = deferring(request)
        assert when.match(request) is (None if is_put_off else False)
        assert len(deferral.wanted) == is_put_off
        for question in deferral.wanted:
            check = check_of(question.key, question.name, question.expected)
            deferral.answers[question] = bool(check(request_of("POST", headers=headers, body=b"-" * size)))
            assert question.rule == "r"
        assert when.match(request) is False


@pytest.mark.parametrize(
    "given",
    [
        {"path_regex": PythonRegex("x")},
        {"url_regex": PythonRegex("x")},
        {"headers": {"a": Condition(regex=PythonRegex("x"))}},
        {"query": {"a": Condition(regex=PythonRegex("x"))}},
        {"cookies": {"a": Condition(regex=PythonRegex("x"))}},
    ],
)
def test_patterns_of_the_head_in_pythons_syntax_are_put_off(request_of: RequestOf, given: dict[str, Any]) -> None:
    when = compiled(**given)
    request = request_of("GET", complete=False)
    deferral = deferring(request)
    assert not when.needs_body
    assert when.match(request) is None
    (question,) = deferral.wanted
    for answer in (True, False):
        deferral.answers[question] = answer
        assert when.match(request) is answer


def test_a_head_that_does_not_match_asks_nothing(request_of: RequestOf) -> None:
    request = request_of("GET", "http://x/a")
    deferral = deferring(request)
    assert compiled(path="/b", path_regex=PythonRegex("x")).match(request) is False
    assert deferral.wanted == []


def test_all_of_a_rules_questions_are_asked_together(request_of: RequestOf) -> None:
    request = request_of("POST", body=b"x" * (QUICK_BODY + 1))
    deferral = deferring(request)
    assert compiled(body_includes="x", json={}, body_regex="y").match(request) is None
    assert sorted(question.key for question in deferral.wanted) == ["bodyIncludes", "bodyRegex", "json"]


def test_not_and_any_of_wait_for_answers(request_of: RequestOf) -> None:
    request = request_of("GET")
    deferral = deferring(request)
    when = compiled(
        not_=When(path_regex=PythonRegex("x")),
        any_of=(When(path="/no"), When(url_regex=PythonRegex("y"))),
    )
    assert when.match(request) is None
    for question in deferral.wanted:
        deferral.answers[question] = question.key == "urlRegex"
    assert when.match(request) is True


def test_a_users_function_is_called_once_and_last(request_of: RequestOf) -> None:
    calls: list[str] = []

    def judge(request: RequestView) -> bool:
        calls.append(request.path)
        return True

    when = compile_when(When(body_includes="x", python="f"), lambda name: judge)
    request = request_of("POST", body=b"x" * (QUICK_BODY + 1))
    deferral = deferring(request)
    assert when.match(request) is None
    assert calls == []
    deferral.answers[deferral.wanted[0]] = True
    assert when.match(request) is True
    assert calls == ["/"]


def test_a_rule_that_may_win_is_waited_for(request_of: RequestOf, rules_of: Any) -> None:
    rules = RuleSet(rules_of(When(path_regex=PythonRegex("x")), When()))
    assert rules.defers
    request = request_of("GET")
    deferral = deferring(request)
    assert rules.select(request) is NEED_BODY
    deferral.answers[deferral.wanted[0]] = False
    assert rules.select(request) is rules.rules[1]
    assert not RuleSet(rules_of(When(path="/"))).defers
