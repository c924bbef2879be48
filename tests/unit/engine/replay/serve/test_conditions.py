"""Conditions (RFC 9110, 13), and whether a recorded 304 answers them."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.serve.conditions import confirms, entity_tags, is_conditional, same_validator

THEN = "Thu, 01 Jan 2026 00:00:00 GMT"
LATER = "Fri, 02 Jan 2026 00:00:00 GMT"
EARLIER = "Wed, 31 Dec 2025 00:00:00 GMT"


def test_tags_are_compared_weakly() -> None:
    assert entity_tags('W/"a", "b,c" ,bare') == {"a", "b,c", "bare"}
    assert entity_tags(None) == frozenset()


@pytest.mark.parametrize(
    ("asked", "recorded", "etag", "modified", "answer"),
    [
        ({"if-none-match": '"1"'}, {}, 'W/"1"', "", True),
        ({"if-none-match": '"0", "1"'}, {"if-none-match": '"1"'}, "", "", True),
        ({"if-none-match": "*"}, {}, '"1"', "", True),
        ({"if-none-match": '"2"'}, {}, '"1"', "", False),
        ({"if-none-match": '"2"', "if-modified-since": THEN}, {}, '"1"', THEN, False),  # the tag comes before the date
        ({"if-none-match": '"2"'}, {}, "", "", True),  # nobody knows what it was about
        ({"if-none-match": '"2"'}, {"if-modified-since": THEN}, "", "", False),
        ({"if-modified-since": THEN}, {"if-modified-since": THEN}, "", "", True),
        ({"if-modified-since": LATER}, {}, "", THEN, True),
        ({"if-modified-since": EARLIER}, {"if-modified-since": THEN}, "", "", False),
        ({"if-modified-since": "x"}, {"if-modified-since": THEN}, "", "", False),
        ({"if-modified-since": THEN}, {}, '"1"', "", False),
        ({"if-modified-since": THEN}, {}, "", "", True),
        ({}, {}, "", "", False),
        ({"if-none-match": "", "if-modified-since": ""}, {}, '"1"', THEN, False),
    ],
)
def test_who_gets_a_304(
    asked: dict[str, str], recorded: dict[str, str], etag: str, modified: str, answer: bool
) -> None:
    assert confirms(asked, recorded, etag, modified) is answer


def test_who_has_something() -> None:
    assert is_conditional({"if-none-match": "*"}) and is_conditional({"if-modified-since": THEN})
    assert not is_conditional({"if-match": "*", "if-none-match": ""})


def test_parts_only_of_the_very_same() -> None:
    assert same_validator('"1"', '"1"', "")
    assert not same_validator('W/"1"', 'W/"1"', "")  # weak ones never are (RFC 9110, 13.1.5)
    assert not same_validator('"1"', '"2"', THEN)
    assert same_validator(THEN, "", THEN)
    assert not same_validator(THEN, "", LATER)
    assert not same_validator(THEN, "", "")
