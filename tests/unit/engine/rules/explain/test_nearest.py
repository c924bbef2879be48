"""The nearest rule, and its matchers that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.explain.nearest import MAX_COMPARED, nearest
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Condition, Echo, MultipartPart, Rule, SourceLocation, When

RequestOf = Callable[..., RequestView]
RulesOf = Callable[..., list[Rule]]

PLACE = SourceLocation("rules.yaml", 1, 1, "")
NO_JSON = "a body that cannot be read (Expecting value: line 1 column 1 (char 0))"
FORM = [("content-type", "application/x-www-form-urlencoded"), ("x-a", "1"), ("cookie", "c=1")]


def near(rules: list[Rule], request: RequestView) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    found = nearest(request, RuleSet(rules, lambda name: lambda view: False).ranked)
    assert found is not None
    return found.rule.rule.id, found.failures


def test_there_is_none_without_rules(request_of: RequestOf) -> None:
    assert nearest(request_of(), ()) is None


@pytest.mark.parametrize(
    ("whens", "method", "path", "rule_id"),
    [
        # A typo in the path is nearer than another path altogether.
        ([When(path="/x"), When(path="/users/lst")], "GET", "/users/list", "rule-2"),
        # The right path with another method is nearer than another path with the right one.
        ([When(path="/x", method=("GET",)), When(path="/users", method=("PUT",))], "GET", "/users", "rule-2"),
        # One header is less than a method.
        ([When(path="/u", method=("PUT",)), When(path="/u", headers={"a": "1"})], "GET", "/u", "rule-2"),
        # Most that matches, not least that fails.
        ([When(headers={"z": "1"}), When(path="/u", method=("PUT",), headers={"z": "1"})], "PUT", "/u", "rule-2"),
        ([When(method=("PUT",)), When(path="/u", query={"a": "1"}, headers={"z": "1"})], "GET", "/u", "rule-2"),
        # Many small things are less than the path.
        (
            [
                When(path="/u", headers={"z": "1"}),
                When(path="/v", hostname="x.test", protocol="http", port=80, host="x.test"),
            ],
            *("GET", "/u", "rule-1"),
        ),
        # Among equals the first in rank.
        ([When(path="/aa"), When(path="/bb")], "GET", "/cc", "rule-1"),
    ],
)
def test_nearest(
    request_of: RequestOf, rules_of: RulesOf, whens: list[When], method: str, path: str, rule_id: str
) -> None:
    assert near(rules_of(*whens), request_of(method, f"http://x.test{path}"))[0] == rule_id


@pytest.mark.parametrize(
    ("when", "failure"),
    [
        (When(method=("PUT", "GET")), ("method", "PUT or GET", '"POST"')),
        (When(path="/b"), ("path", '"/b"', '"/a"')),
        (When(path_template="/u/{id}"), ("pathTemplate", '"/u/{id}"', '"/a"')),
        (When(path_regex="^b"), ("pathRegex", "/^b/", '"/a"')),
        (When(url="http://y/a"), ("url", '"http://y/a"', '"http://x.test:81/a"')),
        (When(url_regex="y"), ("urlRegex", "/y/", '"http://x.test:81/a"')),
        (When(host="x.test"), ("host", '"x.test"', '"x.test:81"')),
        (When(hostname="y"), ("hostname", '"y"', '"x.test"')),
        (When(port=80), ("port", "80", "81")),
        (When(protocol="https"), ("protocol", '"https"', '"http"')),
        (When(exact_query=""), ("exactQuery", '""', '"?q=1&q=2"')),
        (When(headers={"x-a": "2"}), ("headers.x-a", '"2"', '"1"')),
        (When(headers={"X-b": "2"}), ("headers.X-b", '"2"', "nothing")),
        (When(query={"q": Condition(gt=5)}), ("query.q", "> 5", '"1", "2"')),
        (When(cookies={"c": "2"}), ("cookies.c", '"2"', '"1"')),
        (When(form={"f": "2"}), ("form.f", '"2"', '"1"')),
        (When(body="x"), ("body", '"x"', '"f=1"')),
        (When(body_includes="x"), ("bodyIncludes", '"x"', '"f=1"')),
        (When(body_regex="x"), ("bodyRegex", "/x/", '"f=1"')),
        (When(multipart=(MultipartPart(name="p"),)), ("multipart", "other parts", "[]")),
        (When(not_=When(path="/a")), ("not", "anything but (/a)", "this request")),
        (When(any_of=(When(path="/b"), When(path="/c"))), ("anyOf", "one of (/b | /c)", "none of them")),
        (When(json=1, given=("json",)), ("json", "1", NO_JSON)),
        (When(python="/x/h.py:f"), ("python", "h.py:f to return True", "that it did not")),
        (When(websocket=True), ("websocket", "true", "false")),
    ],
)  # fmt: skip
def test_each_matcher_says_what_it_expected_and_found(
    request_of: RequestOf, rules_of: RulesOf, when: When, failure: tuple[str, str, str]
) -> None:
    request = request_of("POST", "http://x.test:81/a?q=1&q=2", FORM, b"f=1")
    assert near(rules_of(when), request)[1] == (failure,)


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        ({"json": [2], "given": ("json",)}, ("json", "[2]", '{"a": [1, 2]}')),
        ({"json_schema": {"type": "array"}}, ("jsonSchema", '{"type": "array"}', '{"a": [1, 2]}')),
        ({"json_path": {"$.a[*]": 3}}, ("jsonPath.$.a[*]", "3", "1, 2")),
        ({"json_path": {"$.b": 3}}, ("jsonPath.$.b", "3", "nothing")),
    ],
)
def test_json_is_shown_as_it_came(
    request_of: RequestOf, rules_of: RulesOf, given: dict[str, Any], failure: tuple[str, str, str]
) -> None:
    assert near(rules_of(When(**given)), request_of("POST", body=b'{"a": [1, 2]}'))[1] == (failure,)


def test_a_body_that_nobody_waited_for_is_not_held_against_a_rule(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = rules_of(When(path="/b", body="x"))
    assert near(rules, request_of("GET", "http://x.test/a", complete=False))[1] == (("path", '"/b"', '"/a"'),)


def test_a_users_function_is_not_asked_again(request_of: RequestOf, rules_of: RulesOf) -> None:
    calls = []

    def handler(request: RequestView) -> bool:
        calls.append(request)
        return False

    ranked = RuleSet(rules_of(When(path="/b", python="h.py:f")), lambda name: handler).ranked
    found = nearest(request_of("GET", "http://x.test/a"), ranked)
    assert found is not None
    assert [failure[0] for failure in found.failures] == ["path"]
    assert not calls


def test_a_users_function_inside_a_choice_may_fail(request_of: RequestOf, rules_of: RulesOf) -> None:
    def broken(request: RequestView) -> bool:
        raise KeyError("x")

    ranked = RuleSet(rules_of(When(any_of=(When(python="h.py:f"),))), lambda name: broken).ranked
    found = nearest(request_of(), ranked)
    assert found is not None
    assert [failure[0] for failure in found.failures] == ["anyOf"]


def test_the_kind_of_request_counts(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = rules_of({"when": When(), "steps": (Echo(PLACE),)}, When(path="/b"))
    rule_id, failures = near(rules, request_of("GET", "http://x.test/zzz"))
    assert rule_id == "rule-2" or failures == (("websocket", "an upgrade to WebSocket", "an ordinary request"),)
    (failure,) = near(rules[:1], request_of())[1]
    assert failure == ("websocket", "an upgrade to WebSocket", "an ordinary request")


def test_only_so_many_rules_are_compared(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = rules_of(*[When(path="/far/away")] * MAX_COMPARED, When(path="/exactl"))
    assert near(rules, request_of("GET", "http://x.test/exactly"))[0] == "rule-1"


def test_params_are_left_as_they_were_not(request_of: RequestOf, rules_of: RulesOf) -> None:
    request = request_of("GET", "http://x.test/u/7")
    near(rules_of(When(path_template="/u/{id}", method=("PUT",))), request)
    assert dict(request.params) == {}
