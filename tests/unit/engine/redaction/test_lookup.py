"""Search for many values: the matches are the same with an automaton and without, and both take one pass."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.redaction import lookup as redact_lookup
from mockrec.engine.redaction.lookup import Lookup

VALUES = st.dictionaries(st.binary(min_size=1, max_size=4).map(lambda data: data.translate(FEW)), st.just(b"*"), min_size=1, max_size=6)  # fmt: skip
FEW = bytes(97 + number % 3 for number in range(256))
"""Only three letters: values of them overlap themselves and each other."""


def automaton(placeholders: dict[bytes, bytes]) -> Lookup:
    lookup = Lookup(placeholders)
    lookup._least = -1
    return lookup


@given(VALUES, st.binary(max_size=40).map(lambda data: data.translate(FEW)))
def test_the_same_is_found_with_an_automaton_and_without(placeholders: dict[bytes, bytes], data: bytes) -> None:
    with_one, without = automaton(placeholders), Lookup(placeholders)
    assert with_one.occurs(data) == without.occurs(data)
    assert with_one.spans(data) == without.spans(data)
    assert without._automaton is None
    assert with_one._automaton is not None or not data


@pytest.mark.parametrize("is_built", [True, False], ids=["automaton", "each"])
@pytest.mark.parametrize("unit", [b"A", b"AB", b'password":"', b"QUFB"])
def test_a_value_that_repeats_itself_takes_time_by_its_length(unit: bytes, is_built: bool) -> None:
    """The library's default automaton took minutes to build for the forms of 16 KB of one letter."""
    value = unit * (64 * 1024 // len(unit))
    lookup = Lookup({value: b"*", value[:-1] + b"!": b"!"})
    if is_built:
        lookup._least = -1
    text = (value[:-1] + b"?") * 4 + value
    started = time.process_time()
    assert lookup.occurs(text)
    assert [placeholder for _, _, placeholder in lookup.spans(text)] == [b"*"]
    assert lookup.replaced(text)[1] == 1
    assert time.process_time() - started < 2


def test_many_short_values_are_worth_an_automaton_soon() -> None:
    lookup = Lookup({b"value-%d" % number: b"*" for number in range(5000)})
    for _ in range(3):
        assert not lookup.occurs(b"x" * 8192)
    assert lookup._automaton is not None


def test_few_are_looked_for_on_their_own_at_first() -> None:
    lookup = Lookup({b"one-secret": b"*", b"b25lLXNlY3JldA": b"*"})
    assert not lookup.occurs(b"x" * 8192)
    assert lookup._automaton is None
    for _ in range(redact_lookup._UNTIL_BUILT):
        lookup.occurs(b"x" * 1024)
    assert lookup._automaton is not None
