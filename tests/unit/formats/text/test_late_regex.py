"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from mockrec.formats.text.late_regex import late_regex


def test_it_is_used_as_a_compiled_one() -> None:
    late = late_regex(r"(a)(b)?", re.IGNORECASE)
    found = late.fullmatch("A")
    assert found is not None
    assert found.groups() == ("A", None)
    assert late.sub("x", "abaA") == "xxx"
    assert (late.pattern, late_regex(b"a+").findall(b"aba")) == (r"(a)(b)?", [b"a", b"a"])


def test_after_the_first_use_the_method_is_that_of_the_expression() -> None:
    late = late_regex("a")
    assert late.search("ba")
    assert vars(late)["search"].__self__ == re.compile("a")


def test_a_mistake_is_raised_when_it_is_used() -> None:
    late = late_regex("(")
    with pytest.raises(re.error):
        late.match("a")
