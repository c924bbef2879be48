"""The sentence for a rule, and the text that explains why no rule matched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.explain.explain import MAX_FAILURES, MAX_RULES, explain_miss, explain_rule
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Delay, Reply, Rule, SourceLocation, When

RequestOf = Callable[..., RequestView]
RuleOf = Callable[..., Rule]
RulesOf = Callable[..., list[Rule]]

PLACE = SourceLocation("rules.yaml", 1, 1, "")
HELLO = When(method=("GET",), path="/hello")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"when": HELLO, "times": "always"}, "GET /hello → reply 200, always"),
        ({"when": HELLO}, "GET /hello → reply 200"),
        ({"priority": 0}, "any request → reply 200, as a fallback"),
        ({"times": 1, "priority": 2.5}, "any request → reply 200, once, priority 2.5"),
        (
            {"steps": (Delay(PLACE, fixed=0.1), Reply(PLACE, status=201))},
            "any request → wait 100ms, then reply 201",
        ),
    ],
)
def test_a_rule_is_one_sentence(rule_of: RuleOf, given: dict[str, Any], sentence: str) -> None:
    assert explain_rule(rule_of(**given)) == sentence


def test_a_miss_is_told_with_the_rules_the_nearest_and_a_rule_that_helps(
    request_of: RequestOf, rules_of: RulesOf
) -> None:
    rules = RuleSet(
        rules_of(
            {"when": HELLO, "id": "greet"},
            {"when": When(method=("PUT",), path="/other")},
            {"when": When(path="/gone"), "times": 0},
        )
    )
    assert explain_miss(request_of("GET", "http://x.test/helo?a=1"), rules) == (
        "No rule matches this request.\n"
        "\n"
        "The request: GET http://x.test/helo?a=1\n"
        "\n"
        "The rules, in the order in which they are evaluated:\n"
        "  greet: GET /hello → reply 200\n"
        "  rule-2: PUT /other → reply 200\n"
        "  rule-3: /gone → reply 200, 0 times (used up: 0 of 0)\n"
        "\n"
        "Nearest is greet (rules.yaml:1), but\n"
        '  path: expected "/hello", found "/helo"\n'
        "\n"
        "Used up: rule-3\n"
        "\n"
        "This rule would match, added to the list under `rules:`\n"
        "\n"
        "- when: {method: GET, path: /helo}\n"
        "  then: {reply: {status: 200, body: Hello}}\n"
    )


def test_without_rules_there_is_nothing_near(request_of: RequestOf) -> None:
    text = explain_miss(request_of(), RuleSet([]))
    assert "There are no rules." in text
    assert "Nearest" not in text
    assert "Used up" not in text
    assert "- when: {method: GET, path: /}" in text


def test_a_rule_that_is_used_up_is_named_as_the_nearest(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(When(path="/other"), {"when": HELLO, "times": 2}))
    rules.rules[1].used = 2
    text = explain_miss(request_of("GET", "http://x.test/hello"), rules)
    assert "Nearest is rule-2 (rules.yaml:1): it matches, but is used up after 2." in text
    text = explain_miss(request_of("POST", "http://x.test/hello"), rules)
    assert 'method: expected GET, found "POST"\n  and it is used up after 2.' in text


def test_long_lists_are_cut(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(*[When(path=f"/{number}") for number in range(MAX_RULES + 12)]))
    text = explain_miss(request_of("GET", "http://x.test/none"), rules)
    assert f"  rule-{MAX_RULES}: " in text
    assert f"rule-{MAX_RULES + 1}: " not in text
    assert "  and 12 more\n" in text

    headers = {f"x-{number}": "1" for number in range(MAX_FAILURES + 3)}
    text = explain_miss(request_of(), RuleSet(rules_of(When(headers=headers))))
    assert text.count("found nothing") == MAX_FAILURES
    assert "  and 3 more\n" in text


def test_what_came_from_the_wire_is_escaped_and_cut(request_of: RequestOf, rules_of: RulesOf) -> None:
    request = request_of("GET", "http://x.test/" + "a" * 5000, [("x-a", "\x1b[31m" + "b" * 5000)])
    text = explain_miss(request, RuleSet(rules_of(When(headers={"x-a": "c"}))))
    first = text.partition("- when")[0]
    assert "\x1b" not in first
    assert max(len(line) for line in first.splitlines()) < 400


def test_an_upgrade_is_called_one(request_of: RequestOf, rules_of: RulesOf) -> None:
    text = explain_miss(request_of("GET", "ws://x.test/", websocket=True), RuleSet(rules_of(When())))
    assert "The request: GET ws://x.test/ (an upgrade to WebSocket)\n" in text
    assert "websocket: expected an ordinary request, found an upgrade to WebSocket" in text
