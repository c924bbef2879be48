"""Equality of two scalar values."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from mockrec.formats.diff.compare.values import HiddenText, ValueComparer
from mockrec.formats.diff.compare.volatile import Window

WINDOW = Window.around(1_767_600_000.0)
ONE, OTHER = "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001"


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (1, Decimal("1.0"), True),
        (10**30, 10**30 + 1, False),
        (True, 1, False),
        (True, True, True),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ("a", "a", True),
        ("a", "b", False),
        (ONE, OTHER, True),
        (ONE, "none", False),
        (1_767_600_000, 1_767_600_900, True),
        (1_767_600_000, 1_767_600_900_000, False),  # another unit
        (1_767_600_000, 17, False),
        (1_767_600_000, Decimal("1767600000.5"), True),
        (10**400, 1, False),
        (Decimal("NaN"), 1, False),
    ],
)
def test_scalars(values: ValueComparer, a: Any, b: Any, same: bool) -> None:
    assert values.same(a, b) is same
    assert values.same(b, a) is same


def test_strict_compares_as_it_is(strict: ValueComparer) -> None:
    assert not strict.same(ONE, OTHER)
    assert not strict.same(1_767_600_000, 1_767_600_900)


def test_marks_are_compared_by_value_only_with_the_same_key() -> None:
    one, other = "redacted-00000001", "redacted-00000002"
    assert ValueComparer(WINDOW).same(one, other)
    assert not ValueComparer(WINDOW, marks_comparable=True).same(one, other)
    assert ValueComparer(WINDOW, marks_comparable=True).same(one, one)
    assert not ValueComparer(WINDOW).same(one, f"Bearer {other}")


def test_a_mark_stands_for_any_text(values: ValueComparer) -> None:
    assert values.same("Bearer redacted-00000001", "Bearer open")
    assert values.same("open", "redacted-00000001")
    assert not values.same("Bearer redacted-00000001", "Basic open")


def test_hosts_that_are_the_same() -> None:
    values = ValueComparer(WINDOW, own=(["127.0.0.1:1234"], ["127.0.0.1:5678"]))
    assert values.same("http://127.0.0.1:1234/x", "http://127.0.0.1:5678/x")
    assert not values.same("http://127.0.0.1:5678/x", "http://127.0.0.1:1234/x")
    assert not values.same("http://old.test/x", "http://new.test/x")
    pair = values.with_hosts("old.test", "new.test")
    assert pair.same("http://old.test/x", "http://new.test/x")
    assert pair.same("http://127.0.0.1:1234/x", "http://127.0.0.1:5678/x")
    assert values.with_hosts("same.test", "same.test") is values


def test_hidden_texts_are_counted() -> None:
    hidden = HiddenText(re.compile("build-[0-9]+"))
    values = ValueComparer(WINDOW, hidden=[hidden])
    assert values.same("at build-7", "at build-8")
    assert not values.same("at build-7", "in build-8")
    assert hidden.count == 4


def test_only_differing_parts_of_a_long_text_are_masked(values: ValueComparer, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    mask = values.masked
    monkeypatch.setattr(values, "masked", lambda text, side: masked.append(text) or mask(text, side))
    same = '{"word":"amber"}' * 10_000
    assert values.same_masked(f'{same}{{"id":"{ONE}"}}', f'{same}{{"id":"{OTHER}"}}')
    assert masked == []  # two ids are not masked at all
    assert values.same_masked(f'{same}{{"id":"/{ONE}"}}', f'{same}{{"id":"/{OTHER}"}}')
    assert masked == [f"/{ONE}", f"/{OTHER}"]
