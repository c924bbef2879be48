"""Selection of the rule for a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.matching.match import MatcherError
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import MEMO_SIZE, NEED_BODY, SPAN, NeedBody, RuleSet, rule_copy, when_key
from mockrec.engine.rules.model import (
    Close,
    Condition,
    Echo,
    Forward,
    MultipartPart,
    Passthrough,
    Replay,
    Reply,
    Reset,
    Rule,
    Script,
    SourceLocation,
    Step,
    Timeout,
    When,
)

RequestOf = Callable[..., RequestView]
RulesOf = Callable[..., list[Rule]]

PLACE = SourceLocation("rules.yaml", 1, 1, "")
ANY = When()
A = When(path="/a")
ROOT = When(path="/")


def answers(rule_set: RuleSet, request: RequestView, times: int = 1) -> list[str | None]:
    """The ids of the rules selected for the same request, several times in a row."""
    ids: list[str | None] = []
    for _ in range(times):
        rule = rule_set.select(request)
        assert not isinstance(rule, NeedBody)
        if rule is not None:
            rule_set.use(rule)
        ids.append(None if rule is None else rule.rule.id)
    return ids


def test_no_rules_match_nothing(request_of: RequestOf) -> None:
    assert RuleSet([]).select(request_of()) is None


def test_the_first_in_file_order_answers(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(A, ANY, ROOT))
    assert answers(rules, request_of("GET", "http://x.test/a"), 3) == ["rule-1"] * 3
    assert answers(rules, request_of("GET", "http://x.test/"), 3) == ["rule-2"] * 3


def test_a_higher_priority_goes_first_and_a_fallback_last(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(
        rules_of(
            {"when": A, "priority": 0},
            {"when": A},
            {"when": A, "priority": 1.5, "times": 1},
            {"when": ANY, "priority": 10, "times": 1},
        )
    )
    assert answers(rules, request_of("GET", "http://x.test/a"), 4) == ["rule-4", "rule-3", "rule-2", "rule-2"]
    assert [rule.rule.id for rule in rules.ranked] == ["rule-4", "rule-3", "rule-2", "rule-1"]


def test_a_rule_is_used_up_after_its_times(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of({"when": A, "times": 2}, {"when": A, "times": 0}, {"when": A, "times": 1}))
    assert answers(rules, request_of("GET", "http://x.test/a"), 4) == ["rule-1", "rule-1", "rule-3", None]
    assert rules.used == {"rule-1": 2, "rule-2": 0, "rule-3": 1}


def test_choosing_alone_counts_nothing(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of({"when": A, "times": 1}))
    request = request_of("GET", "http://x.test/a")
    assert rules.select(request) is rules.select(request) is rules.rules[0]
    assert rules.used == {"rule-1": 0}


def test_rules_of_the_same_when_are_a_sequence(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(A, A, A))
    assert answers(rules, request_of("GET", "http://x.test/a"), 5) == [
        "rule-1", "rule-2", "rule-3", "rule-3", "rule-3",
    ]  # fmt: skip


def test_a_sequence_stands_at_the_place_of_its_first_member(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(A, ANY, A))
    assert answers(rules, request_of("GET", "http://x.test/a"), 3) == ["rule-1", "rule-3", "rule-3"]
    assert answers(rules, request_of("GET", "http://x.test/b"), 2) == ["rule-2", "rule-2"]


def test_what_says_how_often_does_not_begin_or_end_a_sequence(request_of: RequestOf, rules_of: RulesOf) -> None:
    request = request_of("GET", "http://x.test/a")
    once_first = RuleSet(rules_of({"when": A, "times": 1}, A, A))
    assert answers(once_first, request, 4) == ["rule-1", "rule-2", "rule-3", "rule-3"]
    always_first = RuleSet(rules_of({"when": A, "times": "always"}, A))
    assert answers(always_first, request, 3) == ["rule-1"] * 3
    always_last = RuleSet(rules_of(A, {"when": A, "times": "always"}))
    assert answers(always_last, request, 3) == ["rule-1"] * 3


def test_a_rule_that_says_how_often_has_its_turn_within_a_sequence(request_of: RequestOf, rules_of: RulesOf) -> None:
    request = request_of("GET", "http://x.test/a")
    twice = RuleSet(rules_of(A, {"when": A, "times": 2}, ANY, {"when": A, "times": 0}, A))
    assert answers(twice, request, 5) == ["rule-1", "rule-2", "rule-2", "rule-5", "rule-5"]
    always = RuleSet(rules_of(A, {"when": A, "times": "always"}, A))
    assert answers(always, request, 3) == ["rule-1", "rule-2", "rule-2"]
    after = RuleSet(rules_of(A, A, {"when": A, "times": 1}))
    assert answers(after, request, 3) == ["rule-1", "rule-2", "rule-2"]


def test_another_priority_or_another_kind_of_rule_is_another_sequence(request_of: RequestOf, rules_of: RulesOf) -> None:
    request = request_of("GET", "http://x.test/a")
    assert answers(RuleSet(rules_of({"when": A, "priority": 2}, A)), request, 2) == ["rule-1", "rule-1"]
    closing = RuleSet(rules_of(A, {"when": A, "steps": (Close(PLACE),)}))
    assert answers(closing, request, 2) == ["rule-1", "rule-1"]
    upgrade = request_of("GET", "ws://x.test/a", websocket=True)
    assert answers(closing, upgrade, 2) == ["rule-2", "rule-2"]


def test_whens_are_the_same_by_meaning() -> None:
    one = When(path="/a", headers={"a": "1", "b": Condition(gt=1)}, given=("path", "headers"), source={"x": 1})
    two = When(path="/a", headers={"b": Condition(gt=1), "a": "1"}, given=("headers", "path"))
    assert when_key(one) == when_key(two)
    assert hash(when_key(one)) == hash(when_key(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (When(path="/a"), When(path="/b")),
        (When(path="/a"), When(url="/a")),
        (When(json=1, given=("json",)), When(json=True, given=("json",))),
        (When(json=None, given=("json",)), When()),
        (When(json={"a": [1, 2]}, given=("json",)), When(json={"a": [2, 1]}, given=("json",))),
        (When(query={"a": Condition(gt=1)}), When(query={"a": Condition(gte=1)})),
        (When(multipart=(MultipartPart(name="a"),)), When(multipart=(MultipartPart(filename="a"),))),
        (When(not_=When(path="/a")), When(not_=When(path="/b"))),
    ],
)
def test_whens_that_differ(one: When, two: When) -> None:
    assert when_key(one) != when_key(two)


def test_the_body_is_needed_only_for_the_rule_that_could_win(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(
        rules_of(
            When(path="/other", body="x"),
            {"when": When(path="/a", body="x"), "times": 1},
            When(path="/a", method=("GET",)),
            When(path="/a", body="y"),
        )
    )
    early = request_of("GET", "http://x.test/a", body=b"x", complete=False)
    late = request_of("GET", "http://x.test/a", body=b"x")
    assert rules.select(early) is NEED_BODY
    assert answers(rules, late, 2) == ["rule-2", "rule-3"]
    # Once the rule that needs the body is used up, the body is not needed.
    chosen = rules.select(early)
    assert not isinstance(chosen, NeedBody)
    assert chosen is rules.rules[2]


def test_a_rule_above_the_one_that_needs_the_body_answers_at_once(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(A, When(path="/a", body="x")))
    assert answers(rules, request_of("GET", "http://x.test/a", complete=False)) == ["rule-1"]
    assert [rule.needs_body for rule in rules.rules] == [False, True]


@pytest.mark.parametrize(
    ("when", "step", "ordinary", "upgrade"),
    [
        (ANY, Reply(PLACE), True, False),
        (ANY, Close(PLACE), True, True),
        (ANY, Reset(PLACE), True, True),
        (ANY, Timeout(PLACE), True, True),
        (ANY, Passthrough(PLACE), True, True),
        (ANY, Forward(PLACE, to_host="a"), True, True),
        (ANY, Replay(PLACE, "a.jsonl"), True, True),
        (ANY, Echo(PLACE), False, True),
        (ANY, Script(PLACE), False, True),
        (When(websocket=True), Reply(PLACE), False, True),
        (When(websocket=False), Close(PLACE), True, False),
        (When(any_of=(When(websocket=True), When(path="/a"))), Reply(PLACE), True, True),
        (When(not_=When(websocket=True)), Reply(PLACE), True, False),
    ],
)
def test_upgrades_see_only_the_rules_that_are_meant_for_them(
    request_of: RequestOf, rules_of: RulesOf, when: When, step: Step, ordinary: bool, upgrade: bool
) -> None:
    rules = RuleSet(rules_of({"when": when, "steps": (step,)}))
    plain = request_of("GET", "http://x.test/a")
    socket = request_of("GET", "ws://x.test/a", websocket=True)
    assert (rules.select(plain) is not None) is ordinary
    assert (rules.select(socket) is not None) is upgrade
    assert rules.rules[0].match(plain) is ordinary
    assert rules.rules[0].match(socket) is upgrade


def test_params_belong_to_the_rule_that_answers(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(When(path_template="/u/{wrong}", body="x"), When(path_template="/u/{id}"), ANY))
    request = request_of("GET", "http://x.test/u/7", body=b"y")
    assert answers(rules, request) == ["rule-2"]
    assert request.params == {"id": "7"}
    without = RuleSet(rules_of(When(path_template="/u/{wrong}", body="x"), ANY))
    assert answers(without, request) == ["rule-2"]
    assert dict(request.params) == {}


@pytest.mark.parametrize(
    ("path", "rule_id"),
    [
        ("/a", "rule-1"),
        ("/u/7", "rule-2"),
        ("/v/7", "rule-3"),
        ("/u/7/", "rule-7"),
        ("/b%2Fb", "rule-4"),
        ("/u", "rule-7"),
        ("/u/special", "rule-2"),
        ("/zz", "rule-6"),
        ("/é".replace("é", "%C3%A9") + "/1", "rule-5"),
    ],
)
def test_the_index_finds_paths_templates_and_the_rest(
    request_of: RequestOf, rules_of: RulesOf, path: str, rule_id: str
) -> None:
    rules = RuleSet(
        rules_of(
            When(path="/a"),
            When(path_template="/u/{id}"),
            When(path_template="/{any}/7"),
            When(url="/b%2fb?ignored"),
            When(path_template="/é/{id}"),
            When(path_regex="zz"),
            ANY,
            When(path="/u/special"),
        )
    )
    request = request_of("GET", f"http://x.test{path}")
    for _ in range(2):  # the second time from the memory of the first
        assert answers(rules, request) == [rule_id]


def test_the_memory_of_the_index_is_bounded(request_of: RequestOf, rules_of: RulesOf) -> None:
    count = MEMO_SIZE + 5
    rules = RuleSet(rules_of(*[When(path=f"/{number}") for number in range(count)]))
    for number in range(count):
        assert answers(rules, request_of("GET", f"http://x.test/{number}")) == [f"rule-{number + 1}"]
    assert len(rules._index._memo) <= MEMO_SIZE


def test_the_number_of_segments_fills_no_memory_either(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(rules_of(When(path_template="/{id}"), When(path_template="/{a}/x/{b}")))
    for slashes in (*range(1, MEMO_SIZE + 3), 1):
        path = "/" * slashes
        rules._index.candidates(path)
    assert len(rules._index._shape_memo) <= MEMO_SIZE
    assert answers(rules, request_of("GET", "http://x.test/1")) == ["rule-1"]


def test_pending_rules_are_in_file_order(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = RuleSet(
        rules_of(
            {"when": A, "times": 2},
            {"when": ROOT, "times": "always"},
            {"when": When(path="/c"), "priority": 5},
            {"when": When(path="/d"), "times": 0},
        )
    )
    assert [rule.rule.id for rule in rules.pending()] == ["rule-1", "rule-2", "rule-3"]
    answers(rules, request_of("GET", "http://x.test/a"))
    answers(rules, request_of("GET", "http://x.test/"))
    assert [rule.rule.id for rule in rules.pending()] == ["rule-1", "rule-3"]
    answers(rules, request_of("GET", "http://x.test/a"))
    answers(rules, request_of("GET", "http://x.test/c"))
    assert rules.pending() == ()
    assert rules.rules[0].used_up
    assert not rules.rules[1].used_up


def test_python_matchers_need_somebody_to_find_them(request_of: RequestOf, rules_of: RulesOf) -> None:
    rules = rules_of(When(python="handlers.py:f"))

    def broken(request: RequestView) -> Any:
        raise KeyError("x")

    with pytest.raises(ConfigError, match=r"handlers\.py:f: python matchers cannot be used here"):
        RuleSet(rules)
    with pytest.raises(MatcherError, match="rule rule-1: KeyError"):
        RuleSet(rules, lambda name: broken).select(request_of())


def test_rules_that_differ_only_in_writing_are_a_sequence(rules_of: RulesOf, request_of: RequestOf) -> None:
    """The order of methods and the case of header names have no meaning."""
    for first, second in (
        (When(method=("GET", "POST")), When(method=("POST", "GET"))),
        (When(headers={"X-A": "1"}), When(headers={"x-a": "1"})),
    ):
        rule_set = RuleSet(rules_of(first, second))
        assert answers(rule_set, request_of(headers=[("x-a", "1")]), 3) == ["rule-1", "rule-2", "rule-2"]


# ── rules that are added ───────────────────────────────────────────────────────────────────────────


def test_added_rules_hide_those_of_the_file(request_of: RequestOf, rules_of: RulesOf) -> None:
    file = RuleSet(rules_of(A, A))
    added = RuleSet([replace(rule, id=f"added-{n}", position=n - SPAN) for n, rule in enumerate(rules_of(A, A))])
    both = RuleSet.of([*added.rules, *file.rules], asks_user=False)
    assert answers(both, request_of("GET", "http://x.test/a"), 3) == ["added-0", "added-1", "added-1"]
    again = RuleSet.of(file.rules, asks_user=False)
    assert answers(again, request_of("GET", "http://x.test/a"), 3) == ["rule-1", "rule-2", "rule-2"]


def test_a_set_of_the_same_rules_keeps_their_counts(request_of: RequestOf, rules_of: RulesOf) -> None:
    file = RuleSet(rules_of(A, A))
    answers(file, request_of("GET", "http://x.test/a"), 1)
    assert answers(RuleSet.of(file.rules, asks_user=False), request_of("GET", "http://x.test/a"), 1) == ["rule-2"]


def test_a_copy_begins_again(request_of: RequestOf, rules_of: RulesOf) -> None:
    file = RuleSet(rules_of(A, A))
    answers(file, request_of("GET", "http://x.test/a"), 2)
    copied = RuleSet.of([rule_copy(rule) for rule in file.rules], asks_user=False)
    assert answers(copied, request_of("GET", "http://x.test/a"), 2) == ["rule-1", "rule-2"]
    assert file.used == {"rule-1": 1, "rule-2": 1}


def test_a_set_that_is_not_in_force_leaves_its_rules_to_another(request_of: RequestOf, rules_of: RulesOf) -> None:
    file = RuleSet(rules_of(A, A, A))
    places = [(rule.rank, rule.following) for rule in file.rules]
    other = RuleSet.arranged(file.rules[1:], asks_user=False)
    assert [(rule.rank, rule.following) for rule in file.rules] == places
    assert answers(file, request_of("GET", "http://x.test/a"), 2) == ["rule-1", "rule-2"]
    other.put_in_force()
    assert [rule.rank for rule in other.rules] == [0, 1]
    assert answers(other, request_of("GET", "http://x.test/a"), 1) == ["rule-3"]
