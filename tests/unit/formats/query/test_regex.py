"""Regular expressions: RE2's meaning whichever engine runs, and no pattern that runs away."""

from __future__ import annotations

import re
import time

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mockrec.formats.query.regex import matcher, problem
from mockrec.formats.text.short_regex import common_subset

PIECES = st.sampled_from(
    [
        "a",
        "b",
        "k",
        "i",
        "/",
        "-",
        "_",
        r"\.",
        r"\d",
        r"\w",
        r"\W",
        r"\D",
        r"\s",
        r"\b",
        ".",
        "[ab]",
        "[^a-c]",
        r"[\d-]",
        "(",
        ")",
        "(?:",
        "|",
        "^",
        "$",
        "*",
        "+",
        "?",
        "*?",
        "{2}",
        "{1,}",
        "{0,2}",
        "[]a]",
        "é",
        "(?i)",
    ]
)
PATTERNS = st.lists(PIECES, max_size=7).map("".join)
TEXTS = st.text(st.sampled_from("abkKi12/-_.\n\t\v éÉıİſK"), max_size=10)


def by_re2(pattern: str, text: str, ignore_case: bool) -> bool:
    return bool(pc.match_substring_regex(pa.scalar(text), pattern=pattern, ignore_case=ignore_case).as_py())


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, text=TEXTS, ignore_case=st.booleans())
@example("a$", "a\n", False)
@example("i", "ı", True)
@example("k", "K", True)
@example(r"^[\w.]+$", "a.b", False)
def test_every_pattern_means_what_re2_says(pattern: str, text: str, ignore_case: bool) -> None:
    try:
        expected = by_re2(pattern, text, ignore_case)
    except pa.ArrowInvalid:
        assert problem(pattern)
        return
    assert problem(pattern) == ""
    assert matcher(pattern, ignore_case=ignore_case)(text) == expected


@pytest.mark.parametrize("pattern", [r"/v1/users/[0-9]+$", "curl|okhttp", r"^https?://[a-z.]+/", r"\.png$", "a{2,3}"])
def test_common_patterns_run_in_python(pattern: str) -> None:
    assert common_subset(pattern) is not None


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a|b|ab)*c", "a*a*a*a*b", "a?" * 25 + "a" * 25, ".*.*.*x", "([a-z]+)*1"]
)
def test_patterns_that_run_away_go_to_re2(pattern: str) -> None:
    started = time.process_time()
    matcher(pattern, ignore_case=False)("a" * 5000)
    assert time.process_time() - started < 2


def test_long_texts_go_to_re2_where_python_takes_their_square() -> None:
    started = time.process_time()
    assert not matcher("a+b", ignore_case=False)("a" * 200_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("a(", "missing )"), ("a{1001}", "repetition"), ("(?=a)", "(?="), ("x" * 1001, "1001 characters")],
)
def test_what_is_no_pattern(pattern: str, said: str) -> None:
    assert said in problem(pattern)


def test_the_translation_compiles() -> None:
    translated = common_subset("(a|b)?c$")
    assert translated is not None
    assert re.compile(translated[0]).search("xc")
