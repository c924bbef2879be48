"""The YAML reader: the core schema of 1.2, locations, limits, and one clear problem for broken text."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.yaml import nodes
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, ScalarNode, core_value, parse


def plain(node: AnyNode) -> Any:
    if isinstance(node, ScalarNode):
        return core_value(node.text) if node.plain else node.text
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {plain(key): plain(value) for key, value in node.pairs}


def problem(data: bytes | str) -> str:
    with pytest.raises(RuleFileError) as caught:
        parse(data.encode() if isinstance(data, str) else data, "r.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, word) for word in ("yes", "no", "on", "off", "Y", "nUll", "2024-01-01", "12:30:45", "1_000")],
        *[("12", 12), ("-7", -7), ("+3", 3), ("007", 7), ("0o17", 15), ("0xfF", 255)],
        *[("1.10", 1.1), ("-.5", -0.5), ("2.", 2.0), ("1e3", 1000.0), ("1.5E-2", 0.015)],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf)],
        *[(word, word) for word in ("0b1", "0o9", "-0x1", "1.2.3", ".", "-", "1e", ".Nan", "1 2")],
    ],
)
def test_core_schema(text: str, value: Any) -> None:
    found = core_value(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(core_value(".nan"))  # type: ignore[arg-type]


def test_numbers_of_absurd_length_stay_text() -> None:
    assert core_value("9" * 5000) == "9" * 5000


def test_quotes_and_tags_make_text() -> None:
    assert plain(parse(b"['1', \"2\", !!str 3, ! 4, !!int '5', 6]", "r")) == ["1", "2", "3", "4", 5, 6]


def test_places_count_from_one() -> None:
    root = parse("# é\nä: [x,\n  {k: é, l: v}]\n".encode(), "r")
    assert isinstance(root, MapNode)
    key, value = root.pairs[0]
    assert (root.line, root.column, key.line, key.column) == (2, 1, 2, 1)
    assert isinstance(value, ListNode)
    inner = value.items[1]
    assert isinstance(inner, MapNode)
    assert (inner.line, inner.column) == (3, 3)
    assert (inner.pairs[1][0].line, inner.pairs[1][0].column) == (3, 10)


def test_a_byte_order_mark_is_skipped() -> None:
    assert plain(parse(b"\xef\xbb\xbfa: 1", "r")) == {"a": 1}


def test_aliases_repeat_what_was_named() -> None:
    assert plain(parse(b"a: &x [1, {b: 2}]\nc: *x\nd: &x 3\ne: *x", "r")) == {
        **{"a": [1, {"b": 2}], "c": [1, {"b": 2}]},
        **{"d": 3, "e": 3},
    }


def test_block_scalars_are_known() -> None:
    root = parse(b"a: |\n  x\nb: x", "r")
    assert isinstance(root, MapNode)
    assert [node.block for _, node in root.pairs if isinstance(node, ScalarNode)] == [True, False]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "r.yaml:1:1: the file is empty; a rule file begins with `version: 1` and `rules:`"),
        (b"# nothing\n", "r.yaml:1:1: the file is empty; a rule file begins with `version: 1` and `rules:`"),
        ("a: é\nb: ".encode() + b"\xe9", "r.yaml:2:4: not UTF-8: byte 0xe9"),
        ("a:\n\tb: 1", "r.yaml:2:1: YAML forbids tabs for indentation; use spaces"),
        ("a:\n  \tb: 1\n", "r.yaml:2:3: YAML forbids tabs for indentation; use spaces"),
        ("a: 1\nb: \x01", "r.yaml:2:4: not YAML: control characters are not allowed"),
        ("a: 1\n---\nb: 2", "r.yaml:2:1: a rule file holds one YAML document; `---` begins a second one"),
        ("a: *x", "r.yaml:1:4: nothing before this place is named &x"),
        ("a: &x [*x]", "r.yaml:1:8: nothing before this place is named &x"),
        ("a: !secret x", "r.yaml:1:4: the tag '!secret' is not part of the rule language"),
        ("a: !!binary x", "r.yaml:1:4: the tag 'tag:yaml.org,2002:binary' is not part of the rule language"),
        ("a: b: c", "r.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        (
            'a: "x\nb: y',
            "r.yaml:2:5: not YAML: found unexpected end of stream, "
            "while scanning a quoted scalar that begins in line 1",
        ),
    ],
)
def test_what_is_not_yaml(data: bytes | str, message: str) -> None:
    assert problem(data) == message


def test_control_characters_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_LOADER", yaml.SafeLoader)
    assert problem("a: 1\nb: \x07") == "r.yaml:2:4: not YAML: control characters are not allowed"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested more than 100 levels deep" in problem(text)


def test_nesting_up_to_the_bound() -> None:
    node: AnyNode = parse(b"[" * 100 + b"]" * 100, "r")
    depth = 0
    while isinstance(node, ListNode):
        depth += 1
        node = node.items[0] if node.items else ScalarNode(1, 1, "", plain=True, block=False)
    assert depth == 100
    assert "nested more" in problem("[" * 101 + "]" * 101)


def test_aliases_cannot_multiply_without_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases repeat more than 100000 values" in problem("\n".join(lines))
