"""Ids: UUID version 7, sorted in the order of their making."""

from __future__ import annotations

import uuid

import pytest

from mockrec.engine import clock, ids
from mockrec.engine.ids import new_id


def fraction_of(made: uuid.UUID) -> int:
    return (made.int >> 64) & 0xFFF


def test_an_id_is_a_lower_case_uuid_of_version_7() -> None:
    text = new_id()
    made = uuid.UUID(text)
    assert text == str(made)
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_an_id_begins_with_the_time_of_its_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "wall", lambda mono: 1_700_000_000_123.25)
    made = uuid.UUID(new_id())
    assert made.int >> 80 == 1_700_000_000_123
    assert fraction_of(made) == 4096 // 4


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_instant_sort_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "wall", lambda mono: 1_700_000_000_123.0)
    made = [uuid.UUID(new_id()) for _ in range(5000)]
    assert made == sorted(made)
    assert [fraction_of(one) for one in made[:3]] == [0, 1, 2]
    assert made[4096].int >> 80 == 1_700_000_000_124
    assert {one.version for one in made} == {7}


def test_ids_sort_even_if_time_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1000.0, 900.0, 1000.0, 999.9])
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "wall", lambda mono: next(times))
    made = [new_id() for _ in range(4)]
    assert made == sorted(set(made))


def test_ids_end_in_random_bits() -> None:
    tails = [uuid.UUID(new_id()).int & ((1 << 62) - 1) for _ in range(500)]
    assert len(set(tails)) == len(tails)
    for bit in range(62):
        ones = sum(tail >> bit & 1 for tail in tails)
        assert 100 < ones < 400
