"""Byte ranges (RFC 9110, 14)."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.serve.ranges import (
    MOST_RANGES,
    ContentRange,
    inside,
    is_other_unit,
    parse_content_range,
    parse_range,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bytes=0-499", [(0, 499)]),
        ("bytes=-500", [(None, 500)]),
        ("bytes=9500-", [(9500, None)]),
        ("bytes=0-0, -1", [(0, 0), (None, 1)]),
        ("bytes=0-0,,5-", [(0, 0), (5, None)]),
        ("Bytes = 1 - 2", [(1, 2)]),
        ("bytes=2-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes 0-1", None),
        ("bytes=٣-4", None),
        (f"bytes={'9' * 30}-", None),
        ("items=0-1", None),
        ("", None),
        (None, None),
        (f"bytes={','.join(['0-0'] * MOST_RANGES)}", [(0, 0)] * MOST_RANGES),
        (f"bytes={','.join(['0-0'] * (MOST_RANGES + 1))}", None),
    ],
)
def test_what_is_asked_for(text: str | None, wanted: object) -> None:
    assert parse_range(text) == wanted


def test_other_units() -> None:
    assert [is_other_unit(text) for text in ("items=0-1", "0-24", "bytes=x", "", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bytes 0-3/12", ContentRange(0, 3, 12)),
        ("Bytes 0-3/*", ContentRange(0, 3, None)),
        ("bytes */12", ContentRange(None, None, 12)),
        ("bytes 3-0/12", None),
        ("bytes 0-12/12", None),
        ("items 0-3/12", None),
        ("", None),
        (None, None),
    ],
)
def test_what_an_answer_holds(text: str | None, told: object) -> None:
    assert parse_content_range(text) == told


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ((0, 3), (0, 3)),
        ((8, 99), (8, 11)),
        ((11, None), (11, 11)),
        ((12, None), None),
        ((None, 4), (8, 11)),
        ((None, 40), (0, 11)),
        ((None, 0), None),
    ],
)
def test_where_that_is(wanted: tuple[int | None, int | None], found: object) -> None:
    assert resolve(wanted, 12) == found


def test_nothing_is_in_an_empty_body() -> None:
    assert resolve((0, None), 0) is None
    assert resolve((None, 5), 0) is None


def test_a_part_of_a_part() -> None:
    part = ContentRange(4, 7, 12)
    assert inside((5, 6), part) == (5, 6)
    assert inside((4, 7), part) == (4, 7)
    assert inside((5, None), part) is None  # to the end of it all, which is elsewhere
    assert inside((None, 2), part) is None
    assert inside((3, 5), part) is None
    assert inside((None, 2), ContentRange(8, 11, 12)) == (10, 11)
    unknown = ContentRange(4, 7, None)
    assert (inside((5, 6), unknown), inside((5, None), unknown)) == ((5, 6), None)
    assert inside((0, 1), ContentRange(None, None, 12)) is None
    assert [one.is_whole for one in (ContentRange(0, 11, 12), part, ContentRange(0, 3, None))] == [True, False, False]
