"""One grammar of selectors: what each user of it allows, and the one text of its error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.redaction.policy import Policy
from mockrec.engine.replay.session.selectors import parse_selector as of_replay
from mockrec.engine.rules.language.names import SelectorType
from mockrec.formats.diff.selectors import WORDS
from mockrec.formats.diff.selectors import parse_selector as of_diff
from mockrec.formats.schema.vocabulary import (
    SELECTOR_KINDS,
    VALUE_KINDS,
    Selector,
    SelectorError,
    parse_selector,
    selector_pattern,
)

COMPARE = Path(__file__).parents[4] / "formats" / "diff"
VALUES = {"NAME": "id", "PATH": "$.id", "REGEX": "[0-9]+"}
USERS: dict[str, Callable[[str], Any]] = {
    "rules": lambda text: SelectorType().parse(text, plain=True),
    "redaction": lambda text: Policy((text,)),
    "replay": of_replay,
}


@pytest.mark.parametrize("side", ["", "request.", "response."])
@pytest.mark.parametrize("kind", SELECTOR_KINDS)
def test_a_selector_is_written_as_it_is_read(kind: str, side: str) -> None:
    text = f"{side}{kind}:a:b"
    selector = parse_selector(text, SELECTOR_KINDS)
    assert selector == Selector(kind, "a:b", side.rstrip("."))
    assert str(selector) == text
    assert re.match(selector_pattern(SELECTOR_KINDS), text)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("kind", SELECTOR_KINDS)
def test_the_kinds_that_have_a_meaning(user: str, kind: str) -> None:
    text = f"{kind}:{VALUES[SELECTOR_KINDS[kind]]}"
    if kind in VALUE_KINDS:
        USERS[user](text)
    else:
        with pytest.raises(ValueError, match=f'text:REGEX, got "{kind}:'):
            USERS[user](text)


@pytest.mark.parametrize("kind", SELECTOR_KINDS)
def test_a_comparison_takes_every_kind(kind: str) -> None:
    value = "/id" if kind == "xml" else VALUES[SELECTOR_KINDS[kind]]
    assert of_diff(f"{kind}:{value}").kind == kind


EXPECTED = "expected a selector: header:NAME, cookie:NAME, query:NAME, form:NAME, name:NAME, json:PATH or text:REGEX"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("token", '"token"'),
        ("heder:x-id", '"heder:x-id"; did you mean "header:x-id"?'),
        ("response.Headers:", '"response.Headers:"; did you mean "response.header:NAME"?'),
        ("version", '"version"'),
        ("both.header:a", '"both.header:a"; did you mean "header:a"?'),
    ],
)
def test_one_error_everywhere(user: str, text: str, got: str) -> None:
    with pytest.raises(ValueError) as raised:
        USERS[user](text)
    assert str(raised.value) == f"{EXPECTED}, got {got}"


@pytest.mark.parametrize(
    ("text", "got"),
    [("version", '"version"'), ("statsu", '"statsu"; did you mean "status"?'), ("status:1", '"status:1"')],
)
def test_the_error_of_a_comparison_names_its_words(text: str, got: str) -> None:
    with pytest.raises(SelectorError) as raised:
        of_diff(text)
    assert str(raised.value).endswith(f"or text:REGEX, or one of the words {', '.join(WORDS)}, got {got}")


def test_every_area_of_a_difference_has_a_selector() -> None:
    """And every word an area, but for those that are given to `Subject` in a variable."""
    source = "".join(path.read_text(encoding="utf-8") for path in COMPARE.rglob("*.py"))
    areas = set(re.findall(r'Subject\([^,()]+, "(\w+)"', source))
    assert areas <= {*SELECTOR_KINDS, *WORDS}
    assert set(WORDS) <= areas
