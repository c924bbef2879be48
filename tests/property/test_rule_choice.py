"""Choosing a rule, for any rules and requests.

The index finds what a plain scan finds, nobody waits for a body that cannot matter, and the rule that is
suggested for a request that nothing matched does match it.
"""

from __future__ import annotations

import math
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine.rules.explain.explain import explain_miss
from mockrec.engine.rules.explain.suggest import suggest_rule
from mockrec.engine.rules.language.load import load_rules
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import NEED_BODY, CompiledRule, NeedBody, RuleSet
from mockrec.engine.rules.matching.values import json_equal, json_includes
from mockrec.engine.rules.model import (
    Close,
    Condition,
    Echo,
    MultipartPart,
    Reply,
    Rule,
    SourceLocation,
    Step,
    When,
)
from mockrec.engine.rules.yaml.scalars import double_quoted

PLACE = SourceLocation("rules.yaml", 1, 1, "")
STEPS: tuple[Step, ...] = (Reply(PLACE), Close(PLACE), Echo(PLACE))
PATHS = ("/", "/a", "/a/b", "/a/1", "/b/1", "/%2F", "//a", "/a/")

few_paths = st.sampled_from(PATHS)
leaf_whens = st.builds(
    When,
    method=st.sampled_from([None, ("GET",), ("GET", "PUT")]),
    path=st.none() | few_paths,
    url=st.none() | st.sampled_from(["/a?x", "/b/1", "http://x.test/a", "x.test/a/b"]),
    path_template=st.none() | st.sampled_from(["/a/{id}", "/{any}/1", "/{x}", "/a/b", "/{x}/{y}"]),
    path_regex=st.none() | st.sampled_from(["1$", "^/a"]),
    body=st.none() | st.sampled_from(["x", "y"]),
    websocket=st.sampled_from([None, None, True, False]),
)
# Most rules ask for one or two things only, or nothing would ever match.
simple_whens = st.one_of(
    st.just(When()),
    st.builds(When, path=few_paths),
    st.builds(When, url=st.sampled_from(["/a?x", "/b/1", "x.test/a"])),
    st.builds(When, path_template=st.sampled_from(["/a/{id}", "/{any}/1", "/{x}"])),
    st.builds(When, path=few_paths, body=st.sampled_from(["x", "y"])),
)
whens = st.one_of(
    simple_whens,
    leaf_whens,
    st.builds(When, not_=simple_whens, path=st.none() | few_paths),
    st.builds(When, any_of=st.lists(simple_whens, min_size=1, max_size=3).map(tuple)),
)


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule]:
    pool = draw(st.lists(whens, min_size=1, max_size=4))
    count = draw(st.integers(0, 8))
    return [
        Rule(
            f"rule-{position + 1}",
            draw(st.sampled_from(pool)),
            (draw(st.sampled_from(STEPS)),),
            draw(st.sampled_from([None, None, None, "always", 0, 1, 2])),
            draw(st.sampled_from([1, 1, 1, 0, 2.5])),
            PLACE,
            position,
        )
        for position in range(count)
    ]


@st.composite
def requests(draw: st.DrawFn, *, complete: bool = True) -> RequestView:
    path = draw(few_paths)
    websocket = draw(st.sampled_from([False, False, False, True]))
    protocol = "ws" if websocket else "http"
    body = draw(st.sampled_from([b"", b"x", b"y"]))
    url = f"{protocol}://x.test{path}{draw(st.sampled_from(['', '?x']))}"
    method = draw(st.sampled_from(["GET", "PUT"]))
    request = RequestView(method, protocol, url, "x.test", 80, path, {}, [], websocket, lambda: body)
    request.body_complete = complete
    return request


# ── the plain scan that the index must agree with ──────────────────────────────────────────────────


def scan(ranked: tuple[CompiledRule, ...], request: RequestView) -> CompiledRule | None:
    for rule in ranked:
        equals = [one for one in ranked if same(one, rule)]
        turns = [one for one in equals if one.rule.times is None]
        sequence = equals[equals.index(turns[0]) : equals.index(turns[-1]) + 1] if len(turns) > 1 else [rule]
        if rule in sequence[1:]:
            continue  # it has its turn at the place of the sequence's first member
        if rule not in sequence:
            sequence = [rule]
        if len(sequence) == 1 and rule.used_up:
            continue
        if rule.match(request):
            return next((one for one in sequence[:-1] if one.used < turns_of(one)), sequence[-1])
    return None


def same(one: CompiledRule, other: CompiledRule) -> bool:
    return (
        one.rule.when == other.rule.when
        and one.rule.priority == other.rule.priority
        and one.only_upgrades == other.only_upgrades
        and one.takes_upgrades == other.takes_upgrades
    )


def turns_of(rule: CompiledRule) -> float:
    times = rule.rule.times
    if times is None:
        return 1
    return times if isinstance(times, int) else math.inf


@given(rule_lists(), st.lists(requests(), max_size=12))
def test_the_index_chooses_what_a_plain_scan_chooses(rules: list[Rule], asked: list[RequestView]) -> None:
    rule_set = RuleSet(rules)
    for request in asked:
        expected = scan(rule_set.ranked, request)
        chosen = rule_set.select(request)
        assert chosen is expected
        if isinstance(chosen, CompiledRule):
            rule_set.use(chosen)
    for rule in rule_set.rules:
        assert isinstance(rule.rule.times, str | None) or rule.used <= rule.rule.times


@given(rule_lists(), requests())
def test_what_is_chosen_without_the_body_is_what_would_be_chosen_with_it(
    rules: list[Rule], request: RequestView
) -> None:
    rule_set = RuleSet(rules)
    request.body_complete = False
    early = rule_set.select(request)
    request.body_complete = True
    late = rule_set.select(request)
    assert not isinstance(late, NeedBody)
    if early is NEED_BODY:
        assert any(rule.needs_body for rule in rule_set.rules)
    else:
        assert early is late


@given(rule_lists(), requests())
def test_params_are_those_of_the_rule_that_answers(rules: list[Rule], request: RequestView) -> None:
    chosen = RuleSet(rules).select(request)
    if isinstance(chosen, CompiledRule) and not chosen.has_params:
        assert dict(request.params) == {}


# ── what is said when nothing matches ──────────────────────────────────────────────────────────────

visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#")
wire_paths = st.one_of(
    st.text(visible, max_size=20).map(lambda text: f"/{text}"),
    st.sampled_from(["/${HOME}", "/$${HOME}", "/$$", "/{{ x }}", "/a: b", "/,]}", "/'", '/"', "/\\", "*", "/%zz"]),
)
methods = st.one_of(
    st.sampled_from(["GET", "POST", "OPTIONS", "NULL", "ANY", "get", "NO"]),
    st.text(st.sampled_from("ABz19!#$%&'*+-.^_`|~"), min_size=1, max_size=8),
)


def load(text: str) -> RuleSet:
    def no_file(path: str) -> bytes:
        raise FileNotFoundError(path)

    loaded = load_rules(f"rules:\n{text}".encode(), path="rules.yaml", folder="/", read_file=no_file, env={})
    return RuleSet(loaded.rule_file.rules)


@given(methods, wire_paths, st.booleans())
def test_the_suggested_rule_loads_and_matches(method: str, path: str, websocket: bool) -> None:
    protocol = "ws" if websocket else "http"
    url = f"{protocol}://x.test{path if path != '*' else ''}"
    request = RequestView(method, protocol, url, "x.test", 80, path, {}, [], websocket)
    rules = load(suggest_rule(request))
    assert rules.select(request) is rules.rules[0]


@given(rule_lists(), requests())
def test_a_miss_is_explained_and_the_suggestion_helps(rules: list[Rule], request: RequestView) -> None:
    rule_set = RuleSet(rules)
    if rule_set.select(request) is None:
        text = explain_miss(request, rule_set)
        helpful = load(text[text.index("\n- when:") + 1 :])
        assert helpful.select(request) is helpful.rules[0]


@given(st.text())
def test_quoted_text_is_read_back(text: str) -> None:
    assert yaml.safe_load(double_quoted(text.replace("${", ""))) == text.replace("${", "")


# ── matchers on anything ───────────────────────────────────────────────────────────────────────────

EVERY_BODY_MATCHER = (
    When(body="x"),
    When(body_includes="x"),
    When(body_regex="x"),
    When(form={"a": "1"}),
    When(multipart=(MultipartPart(name="a", content="1"),)),
    When(json={"a": 1}, given=("json",)),
    When(json_includes={"a": [1]}, given=("jsonIncludes",)),
    When(json_path={"$..a": Condition(gt=1)}),
    When(json_schema={"type": "object", "required": ["a"]}),
    When(json_rpc={"method": "a"}),
)
content_types = st.one_of(
    st.sampled_from(
        ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "text/plain; charset=utf-16"]
    ),
    st.text(max_size=20).map(lambda text: f"multipart/form-data; boundary={text}; charset={text}"),
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.text(st.sampled_from('{}[]"a1:,\\&=%-\r\n b;'), max_size=60).map(str.encode),
)


@settings(deadline=None)  # the first example imports the libraries for JSONPath and JSON Schema
@given(content_types, bodies, st.text(max_size=20), st.text(max_size=20))
def test_no_body_and_no_header_makes_a_matcher_fail(content_type: str, body: bytes, cookie: str, query: str) -> None:
    headers: dict[str, Any] = {"content-type": content_type, "cookie": cookie}
    pairs = list(headers.items())
    for when in (*EVERY_BODY_MATCHER, When(cookies={"a": "1"}), When(query={"a": "1"})):
        url = f"http://x.test/?{query}"
        request = RequestView("POST", "http", url, "x.test", 80, "/", headers, pairs, False, lambda: body)
        request.body_complete = True
        rule_set = RuleSet([Rule("one", when, (Reply(PLACE),), None, 1, PLACE, 0)])
        if rule_set.select(request) is None:
            text = explain_miss(request, rule_set)
            assert "Nearest is one" in text
            helpful = load(text[text.index("\n- when:") + 1 :])
            assert helpful.select(request) is helpful.rules[0], text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values)
def test_equality_and_inclusion_of_json(one: Any, other: Any) -> None:
    assert json_equal(one, one)
    assert json_includes(one, one)
    assert json_equal(one, other) == json_equal(other, one)
    if json_equal(one, other):
        assert json_includes(one, other)


@given(st.lists(json_values, max_size=5), st.randoms())
def test_a_list_includes_any_part_of_itself_in_any_order(items: list[Any], random: Any) -> None:
    part = random.sample(items, random.randint(0, len(items)))
    assert json_includes(part, items)
    assert not json_includes([*items, *items, 0], items)
