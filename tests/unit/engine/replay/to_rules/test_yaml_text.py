"""What is written as YAML is read again as it was, by the reader of rule files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.engine.replay.to_rules.yaml_text import yaml_lines
from mockrec.engine.rules.language.load import load_rules
from mockrec.engine.rules.model import Reply

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["yes", "1e5", "0o14", "1.10", "~", "", " a", "a ", "a\nb", "a\nb\n", "a\n\n", "\na", "a\n b\n", "a: b", "a #b", "- a", "${X}", "$${",
     "a\tb\n", "'", '"', "'\"", "a\r\nb", "a\n  \nb", "\u2028\n", "\ufeff", "\x85", "a\\u000A", "\\n", "k" * 1100, "\ufffd" * 200]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Any:
    loaded = load_rules(text.encode(), path="r.yaml", folder="/", read_file=lambda path: b"", env={})
    (step,) = loaded.rule_file.rules[0].steps
    assert isinstance(step, Reply)
    return step.body.json


def written(value: Any) -> str:
    lines = yaml_lines([{"then": {"reply": {"json": value}}}], 2)
    return "\n".join(["version: 1", "rules:", *lines]) + "\n"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_everything_comes_back(value: Any) -> None:
    text = written(value)
    assert read(text) == value, text


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"a": 1, "b": ["x", "1", None]}, ['{a: 1, b: [x, "1", null]}']),
        ("two\nlines\n", ["|", "  two", "  lines"]),
        ("kept\n\n", ["|+", "  kept", ""]),
        ('say "hi"', ["'say \"hi\"'"]),
        ("a\tb\n'", ['"a\\tb\\n\'"']),
        ("plain words; q=0.9", ["plain words; q=0.9"]),
        ("true", ['"true"']),
    ],
)
def test_it_reads_well(value: Any, lines: list[str]) -> None:
    first, *rest = yaml_lines({"k": value})
    assert [first.removeprefix("k: "), *rest] == lines


def test_what_is_too_long_for_a_line_becomes_a_block() -> None:
    assert list(yaml_lines({"k": {"a": "x" * 60, "b": ["y" * 60]}})) == ["k:", f"  a: {'x' * 60}", f"  b: [{'y' * 60}]"]


def test_keys_of_any_length() -> None:
    value = {"k" * 2000: {"\x00" * 500: [1], "short": "a"}, "l" * 101: "x"}
    assert read(written(value)) == value
