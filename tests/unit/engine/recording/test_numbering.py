"""The numbers of lines that were encoded before their numbers were known."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.recording.numbering import numbered
from mockrec.formats.files.jsonl import encode_lines

TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(['\n{"seq":0', '{"seq":0,"a":1}', "{\\n", "%d", "\r\n"]))
VALUES = st.recursive(TEXTS, lambda one: st.dictionaries(st.sampled_from(["seq", "a"]), one | st.just(0), max_size=2))


@given(st.lists(VALUES, max_size=6), st.integers(0, 10**12))
def test_each_line_has_its_number_and_else_what_it_had(values: list[Any], first: int) -> None:
    lines = encode_lines([{"seq": 0, "type": "a", "value": value} for value in values])
    expected = [{"seq": number, "type": "a", "value": value} for number, value in enumerate(values, first)]
    assert numbered(lines, first) == encode_lines(expected)
