"""Rule files are read quickly, and exactly as PyYAML and a parser of JSON read them."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, ScalarNode, parse
from mockrec.engine.run.control import posted

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.text(max_size=6)
    | st.sampled_from(["a\nb\n", "<<", "x: y", "${A}"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(SCALARS.filter(lambda one: one != "\0"), inner, max_size=4)
    ),
    max_leaves=25,
)


def read(node: AnyNode) -> Any:
    place = (node.line, node.column)
    if isinstance(node, ScalarNode):
        return (*place, node.text, node.plain, node.block)
    if isinstance(node, ListNode):
        return (*place, node.weight, [read(item) for item in node.items])
    return (*place, node.weight, [(read(key), read(value)) for key, value in node.pairs])


def composed(node: yaml.Node) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return (*place, node.value, node.style is None, node.style in ("|", ">"))
    if isinstance(node, yaml.SequenceNode):
        items = [composed(item) for item in node.value]
        return (*place, 1 + sum(map(weight, items)), items)
    pairs = [(composed(key), composed(value)) for key, value in node.value]
    return (*place, 1 + sum(weight(key) + weight(value) for key, value in pairs), pairs)


def weight(value: Any) -> int:
    return int(value[2]) if len(value) == 4 else 1


@given(VALUES, st.sampled_from([None, True, False]), st.sampled_from([None, "|", '"']))
def test_nodes_are_those_of_pyyaml(value: Any, flow: bool | None, style: str | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, default_style=style, allow_unicode=True, sort_keys=False)
    if "!!" in text:  # a style that needs the tag of the type
        text = re.sub(r"!!(int|bool|null) ", "", text)
    assert read(parse(text.encode(), "r")) == composed(yaml.compose(text, Loader=yaml.SafeLoader))


def outcome(check: Any, body: bytes) -> str:
    try:
        check(body)
    except orjson.JSONDecodeError as error:
        return str(error)
    return ""


PIECES = st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"rules"',
            b'"a"',
            b"1",
            b"nul",
            b"null",
            b" ",
            b"\n",
            b"\xff",
            b'"\\u00',
            b'"',
        ]
    )
    | st.sampled_from(
        [b'{"rules": [', b'{"when": {}}', b', {"then": "close"}', b"]}", b'"\\ud83d', b"\xc3\xbc", b"\x01"]
    ),
    max_size=12,
)


@given(PIECES)
def test_a_body_is_json_if_a_parser_of_json_says_so(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert outcome(posted._check_json, body) == outcome(orjson.loads, body)


@pytest.mark.parametrize("body", [b"[" * 9999, b'{"a": ' * 9999, b'{"rules": ' + b"[" * 9999 + b"]" * 9999 + b"}"])
def test_a_body_that_is_nested_too_deeply_is_no_json(body: bytes) -> None:
    assert "depth limit" in outcome(posted._check_json, body)


_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""An escaped pair of surrogates whose first backslash is not itself escaped."""


@given(
    st.lists(st.sampled_from(["\\", "\\\\", "\\ud83d", "\\uDE00", "\\u00e9", "ud83d", "x"]), max_size=9).map("".join)
)
def test_escaped_pairs_are_those_with_an_even_number_of_backslashes_before_them(text: str) -> None:
    joined = _PAIR.sub(lambda pair: pair[1] + orjson.loads(f'"\\u{pair[2]}\\u{pair[3]}"'), text)
    assert posted._ESCAPED_PAIR.sub(posted._joined, text) == joined
