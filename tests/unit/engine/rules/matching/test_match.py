"""Combinations of matchers: tiers, `not`, `anyOf`, and the user's own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.match import CompiledWhen, MatcherError, compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import When

RequestOf = Callable[..., RequestView]

GET = When(method=("GET",))
PUT = When(method=("PUT",))
HELLO = When(body="hello")
BYE = When(body="bye")


def compiled(when: When, handler: Callable[[RequestView], Any] | None = None) -> CompiledWhen:
    def resolve(name: str) -> Callable[[RequestView], Any]:
        assert handler is not None, name
        return handler

    return compile_when(when, resolve, "rule-1")


@pytest.mark.parametrize(
    ("when", "before", "after"),
    [
        (HELLO, None, True),
        (BYE, None, False),
        (When(method=("GET",), body="hello"), None, True),
        (When(method=("PUT",), body="hello"), False, False),
        (When(not_=GET), False, False),
        (When(not_=PUT), True, True),
        (When(not_=HELLO), None, False),
        (When(not_=BYE), None, True),
        (When(not_=When(method=("PUT",), body="hello")), True, True),
        (When(not_=When(not_=HELLO)), None, True),
        (When(any_of=(PUT, GET)), True, True),
        (When(any_of=(PUT, PUT)), False, False),
        (When(any_of=(HELLO, GET)), True, True),
        (When(any_of=(PUT, HELLO)), None, True),
        (When(any_of=(PUT, BYE)), None, False),
        (When(any_of=(HELLO, BYE), not_=GET), False, False),
        (When(any_of=(PUT, HELLO), body="bye"), None, False),
        (When(any_of=(GET, HELLO), body="hello"), None, True),
    ],
)
def test_the_body_is_only_asked_for_when_it_can_still_decide(
    request_of: RequestOf, when: When, before: bool | None, after: bool
) -> None:
    match = compiled(when).match
    assert match(request_of("GET", body=b"hello", complete=False)) is before
    assert match(request_of("GET", body=b"hello")) is after


def test_needs_body_says_whether_a_matcher_may_look_at_it() -> None:
    assert not compiled(GET).needs_body
    assert not compiled(When(not_=GET, any_of=(GET, PUT))).needs_body
    assert compiled(HELLO).needs_body
    assert compiled(When(not_=HELLO)).needs_body
    assert compiled(When(any_of=(GET, HELLO))).needs_body
    assert compiled(When(python="h.py:f"), lambda request: True).needs_body


def test_matchers_are_named_and_the_body_comes_last() -> None:
    when = When(body="x", form={"f": "1"}, headers={"a": "1", "b": "2"}, path="/", not_=HELLO)
    labels = [matcher.label for matcher in compiled(when).matchers]
    assert labels == ["path", "headers.a", "headers.b", "not", "body", "form.f"]


def test_params_come_from_the_template_that_matched(request_of: RequestOf) -> None:
    templates = When(any_of=(When(path_template="/{a}", method=("PUT",)), When(path_template="/{b}")))
    assert compiled(templates).has_params
    request = request_of("GET", "http://x.test/1")
    assert compiled(templates).match(request)
    assert request.params == {"b": "1"}


def test_params_of_what_must_not_match_are_not_kept(request_of: RequestOf) -> None:
    request = request_of("GET", "http://x.test/1")
    when = When(not_=When(path_template="/{a}", body="bye"))
    assert not compiled(when).has_params
    assert compiled(when).match(request)
    assert dict(request.params) == {}


@pytest.mark.parametrize(("returned", "answer"), [(True, True), (False, False), (None, False)])
def test_a_users_function_decides(request_of: RequestOf, returned: bool | None, answer: bool) -> None:
    seen = []

    def handler(request: RequestView) -> bool | None:
        seen.append(request)
        return returned

    request = request_of(complete=False)
    match = compiled(When(python="handlers.py:f"), handler).match
    assert match(request) is None
    assert not seen
    request.body_complete = True
    assert match(request) is answer
    assert seen == [request]


def test_a_users_exception_names_the_rule(request_of: RequestOf) -> None:
    def handler(request: RequestView) -> bool:
        raise ValueError("broken")

    with pytest.raises(MatcherError, match="rule rule-1: ValueError: broken") as caught:
        compiled(When(python="handlers.py:f"), handler).match(request_of())
    assert caught.value.rule_id == "rule-1"
    assert isinstance(caught.value.exception, ValueError)


def test_an_answer_that_is_no_bool_is_an_error(request_of: RequestOf) -> None:
    async def handler(request: RequestView) -> bool:
        return True

    with pytest.raises(MatcherError, match="must return True or False, not coroutine"):
        compiled(When(python="handlers.py:f"), handler).match(request_of())
    with pytest.raises(MatcherError, match="not str"):
        compiled(When(python="handlers.py:f"), lambda request: "yes").match(request_of())
