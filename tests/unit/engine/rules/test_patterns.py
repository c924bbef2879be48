"""Regular expressions of rules: RE2's meaning, Python's where a rule says so, and time in proportion to the text."""

from __future__ import annotations

import time

import pytest

from mockrec.engine.rules.patterns import (
    PythonRegex,
    check_regex,
    quick_length,
    replacer,
    searcher,
)
from mockrec.formats.text.regex import RegexError


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^/users/\d+$", "/users/12", True),
        (r"^/users/\d+$", "/users/12\n", False),
        (r"^a\Z", "a", True),
        (r"^a\Z", "a\n", False),
        (r"\d", "٣", False),
        (r"^\w$", "é", False),
        (r"^.$", "é", True),
        (r"^[é\u00e8]{,2}$", "éè", True),
        (r"^[{,3}]+$", ",3", True),
        (r"a\_b", "a_b", True),
        (r"(?i)STRASSE", "strasse", True),
        (r"(?P<n>a)b", "ab", True),
        (r"a.*b", "a\ud800c", False),
        (r"", "", True),
    ],
)
def test_what_a_pattern_finds(pattern: str, text: str, found: bool) -> None:
    check_regex(pattern)
    assert searcher(pattern)(text) is found


def test_a_short_text_and_a_long_one_are_searched_alike() -> None:
    search = searcher(r"a+b$")
    assert search("x" * 10 + "aab") is search("x" * 100_000 + "aab") is True
    assert search("x" * 10 + "aab\n") is search("x" * 100_000 + "aab\n") is False


@pytest.mark.parametrize(
    ("pattern", "missing"),
    [
        ("(?=a)", "look-arounds"),
        ("(?<!a)b", "look-arounds"),
        (r"(a)\1", "back references"),
        ("(?P<n>a)(?P=n)", "back references"),
        ("(a)?(?(1)b|c)", "conditions"),
        ("(?>a)", "atomic groups"),
        ("a++", "atomic groups"),
        ("(?#no)a", "comments"),
        ("(?x) a", "the flags x, a, u and L"),
    ],
)
def test_what_only_python_knows_is_named_with_the_fix(pattern: str, missing: str) -> None:
    with pytest.raises(RegexError, match=missing) as caught:
        check_regex(pattern)
    assert "{regex: …, syntax: python}" in str(caught.value)
    check_regex(PythonRegex(pattern))
    with pytest.raises(RegexError) as caught:
        check_regex(pattern, python_allowed=False)
    assert "syntax: python" not in str(caught.value)


def test_what_is_no_pattern_for_anybody_has_no_such_fix() -> None:
    for pattern in ("(", PythonRegex("(")):
        with pytest.raises(RegexError, match=r"not a regular expression: missing \)") as caught:
            check_regex(pattern)
        assert "python" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "a*a*a*a*a*b", r"(.*)*x"])
def test_a_pattern_takes_time_in_proportion_to_the_text(pattern: str) -> None:
    search = searcher(pattern)
    started = time.process_time()
    search("a" * 30 + "!")
    search("a" * 200_000 + "!")
    assert time.process_time() - started < 2  # Python's `re` would need years


def test_a_pattern_with_many_instructions_is_quick_in_short_texts_only() -> None:
    assert quick_length("a") > 500_000
    assert quick_length("[a-z]{1,500}x") < 20_000
    assert quick_length(PythonRegex("a")) == 0


@pytest.mark.parametrize(
    ("pattern", "template", "text", "result"),
    [
        ("x*", "-", "abxd", "-a-b--d-"),
        (r"(?P<n>b)|c", r"<\g<n>\1\g<0>\n>", "abcé", "a<bbb\n><c\n>é"),
        ("é", r"\&ü", "café", r"caf\&ü"),
        ("a", r"\101\0\\", "ba", "bA\0\\"),
        ("z", "y", "a\ud800", "a\ud800"),
        (PythonRegex(r"(a)(?=b)"), r"\1\1", "abac", "aabac"),
    ],
)
def test_replacements(pattern: str, template: str, text: str, result: str) -> None:
    assert replacer(pattern, template)(text, 1000) == result


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (r"\2", "invalid group reference 2"),
        (r"\g<2>", "invalid group reference 2"),
        (r"\g<x>", "unknown group name 'x'"),
        (r"\q", "bad escape"),
        ("\\", "bad escape"),
    ],
)
def test_replacements_that_cannot_be(template: str, problem: str) -> None:
    for pattern in ("(a)", PythonRegex("(a)")):
        with pytest.raises(RegexError, match=None if isinstance(pattern, PythonRegex) else problem):
            replacer(pattern, template)
