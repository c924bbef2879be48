"""Each count has its limit, and what counts as progress."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockrec.engine.wire.h2_frames import Violation
from mockrec.engine.wire.h2_limits import (
    HEADER_OVERFLOW,
    IDLE_FRAMES,
    RESETS,
    RESETS_AMONG,
    SETTINGS_AT_ONCE,
    Limits,
)

CALM = 11


def too_much(act: Callable[[], Violation | None], times: int, tag: str = "") -> None:
    """The last of so many times is one too many, and none before."""
    assert [act() for _ in range(times - 1)] == [None] * (times - 1)
    violation = act()
    assert violation is not None and (violation.code, violation.tag) == (CALM, tag) and violation.detail


def test_frames_without_progress() -> None:
    limits = Limits(100)
    for _ in range(IDLE_FRAMES):
        limits.count_frame()
    limits.progress()
    too_much(limits.count_frame, IDLE_FRAMES + 1)


def test_a_header_block() -> None:
    limits = Limits(100)
    assert limits.count_block(100, last=True) is None
    assert limits.block == 0
    too_much(lambda: limits.count_block(10, last=False), 11, HEADER_OVERFLOW)
    assert limits.block == 110


def test_resets_in_a_row() -> None:
    too_much(Limits(100).count_reset, RESETS + 1)


@pytest.mark.parametrize("others", [RESETS_AMONG // RESETS - 1, RESETS_AMONG // RESETS])
def test_resets_among_other_frames(others: int) -> None:
    limits = Limits(100)
    found = []
    for _ in range(3 * RESETS):
        for _ in range(others):
            limits.count_frame()
            limits.progress()
        found.append(limits.count_reset())
    assert any(found) is (others * RESETS < RESETS_AMONG)


def test_settings() -> None:
    limits = Limits(100)
    assert limits.count_settings(6 * SETTINGS_AT_ONCE) is None
    too_much(lambda: limits.count_settings(6 * SETTINGS_AT_ONCE + 1), 1)
