"""Ignore rules: selectors, endpoints, files, and rules that hid nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.diff.ignore import parse_rule, read_rules
from mockrec.formats.diff.result import Result
from mockrec.formats.diff.selectors import parse_selector
from mockrec.formats.schema.vocabulary import SelectorError

Compare = Callable[..., Result]


@pytest.fixture
def left(make: Any, compare: Compare) -> Callable[..., list[str]]:
    """Return the paths of differences that a rule does not hide, between two responses with many differences."""
    a = {"meta": {"ts": 1, "by": "x"}, "items": [{"id": 1, "n": 1}, {"id": 2, "n": 1}], "list": [1, 2]}
    b = {"meta": {"ts": 2, "by": "y"}, "items": [{"id": 1, "n": 2}, {"id": 2, "n": 3}], "list": [1, 3]}

    def found(*rules: str) -> list[str]:
        url = "http://x.test/users/7/meta"
        one = make.exchange("PUT", url, body=a, headers={"x-build": "1", "set-cookie": ["a=1"]})
        other = make.exchange("PUT", url, 201, body=b, headers={"x-build": "2", "set-cookie": ["a=2"]})
        result = compare([one], [other], ignore=rules)
        assert not result.unused_rules
        return [difference.finding.path for difference in result.differences]

    return found


ALL = [
    "status",
    "response.header:x-build",
    "response.cookie:a",
    "response.json:$.meta.ts",
    "response.json:$.meta.by",
    "response.json:$.items[?@.id==1].n",
    "response.json:$.items[?@.id==2].n",
    "response.json:$.list[1]",
]


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ("status", [0]),
        ("response.status", [0]),
        ("header:X-Build", [1]),
        ("cookie:a", [2]),
        ("json:$.meta.ts", [3]),
        ("response.json:$.meta", [3, 4]),
        ("json:$.meta['ts', 'by']", [3, 4]),
        ("json:$..n", [5, 6]),
        ("json:$.items[*].n", [5, 6]),
        ("json:$.items[1]", [6]),
        ("json:$.items[?@.id==2].n", [6]),
        ("json:$..*", [3, 4, 5, 6, 7]),
        ("json:$", [3, 4, 5, 6, 7]),
        ("name:ts", [3]),
        ("name:X-BUILD", [1]),
        ("name:a", [2]),
        ("body", [3, 4, 5, 6, 7]),
        ("PUT /users/* json:$.list", [7]),
        ("/users/*/meta status", [0]),
        ("* /users/{id}/meta status", [0]),
        ("PUT x.test/* status", [0]),
    ],
)
def test_what_a_rule_hides(left: Any, rule: str, gone: list[int]) -> None:
    assert left(rule) == [path for number, path in enumerate(ALL) if number not in gone]


def test_every_path_is_a_rule_that_hides_it(left: Any) -> None:
    assert left() == ALL
    assert left(*ALL) == []


@pytest.mark.parametrize(
    "rule",
    ["request.status", "GET /users/* status", "/orders/* status", "header:x", "json:$.items[2]", "json:$.meta.x"],
)
def test_a_rule_that_hides_nothing_is_reported(make: Any, compare: Compare, rule: str) -> None:
    url = "http://x.test/users/7/meta"
    result = compare([make.exchange("PUT", url)], [make.exchange("PUT", url, 500)], ignore=[rule])
    assert [str(unused) for unused in result.unused_rules] == [rule]
    assert len(result.differences) == 1


def test_texts_that_do_not_count(make: Any, compare: Compare) -> None:
    a, b = make.exchange(body="built by job-7, n=1"), make.exchange(body="built by job-8, n=1")
    result = compare([a], [b], ignore=["text:job-[0-9]+"])
    assert (result.same, result.unused_rules) == (True, [])


def test_calls_that_do_not_count(make: Any, compare: Compare) -> None:
    result = compare([], [make.exchange(url="http://x.test/health")], ignore=["GET /health count"])
    assert result.same
    assert result.rules[0].hidden == 2


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "header:", "status:200", "json:meta", "json:$[?@.a>1]", "json:$[1:2]", "json:$[-1]", "text:(",
     "x:y", "GET /a text:b"],
)  # fmt: skip
def test_invalid_rules(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_rule(text)


def test_selectors_keep_their_text() -> None:
    selector = parse_selector("request.json:$.a")
    assert (selector.text, selector.side, selector.kind) == ("request.json:$.a", "request", "json")


def file_of(folder: Path, text: str) -> str:
    path = folder / "ignore.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        "ignore:\n"
        "  - {selector: 'json:$.a', reason: of the server}\n"
        "  - {selector: status, endpoint: GET /x, reason: flaky, until: 2030-01-01}\n"
        "  - {selector: body, reason: too old, until: 2020-01-01}\n",
    )
    rules = read_rules(path, date(2026, 1, 1))
    assert [(str(rule), rule.reason, rule.place) for rule in rules] == [
        ("json:$.a", "of the server", f"{path}: rule 1"),
        ("GET /x status", "flaky", f"{path}: rule 2"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected `ignore:`"),
        ("ignore: 7", "expected `ignore:`"),
        ("ignore: [7]", "rule 1: expected selector and reason"),
        ("ignore: [{selector: status}]", "rule 1: a reason is needed"),
        ("ignore: [{reason: x}]", "rule 1: a selector is needed"),
        ("ignore: [{selector: x, reason: y}]", "rule 1: expected a selector: header:NAME, "),
        ("ignore: [{selector: status, reason: y, why: z}]", "'why' is not known"),
        ("ignore: [{selector: status, reason: y, until: soon}]", "until is a day"),
        ("ignore: [{selector: status, reason: y, endpoint: 7}]", "endpoint"),
        ("a: [", "not YAML"),
        ("ignore: [{until: 2026-99-99}]", "not YAML: month must be in 1..12"),
        ("a: !!int x", "not YAML"),
        ("a: !!int ''", "not YAML"),
        ("a: !!timestamp x", "not YAML"),
        ("[" * 5000, "not YAML"),
    ],
)
def test_errors_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SelectorError, match=".*") as raised:
        read_rules(file_of(tmp_path, text), date(2026, 1, 1))
    assert message in str(raised.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SelectorError, match="No such file"):
        read_rules(str(tmp_path / "none.yaml"), date(2026, 1, 1))
