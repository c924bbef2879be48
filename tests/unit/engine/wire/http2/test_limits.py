"""Each count has its limit, and what counts as progress."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine.wire.http2.frames import Violation
from mockrec.engine.wire.http2.limits import (
    HEADER_OVERFLOW,
    IDLE_FRAMES,
    RESETS,
    RESETS_A_SECOND,
    SETTINGS_AT_ONCE,
    PeerLimits,
)

CALM = 11


def too_much(act: Callable[[], Violation | None], times: int, tag: str = "") -> None:
    """The last of so many times is one too many, and none before."""
    assert [act() for _ in range(times - 1)] == [None] * (times - 1)
    violation = act()
    assert violation is not None and (violation.code, violation.tag) == (CALM, tag) and violation.detail


def test_frames_without_progress() -> None:
    limits = PeerLimits(100)
    limits.now = 30_000.0  # clocks do not begin at 0
    for _ in range(IDLE_FRAMES):
        limits.count_frame()
    limits.progress()
    too_much(limits.count_frame, IDLE_FRAMES + 1)


def test_a_header_block() -> None:
    limits = PeerLimits(100)
    assert limits.count_block(100, last=True) is None
    assert limits.block == 0
    too_much(lambda: limits.count_block(10, last=False), 11, HEADER_OVERFLOW)
    assert limits.block == 110


def test_resets_in_a_row() -> None:
    too_much(PeerLimits(100).count_reset, RESETS + 1)


def test_resets_as_people_cause_them() -> None:
    limits = PeerLimits(100)
    for _ in range(10 * RESETS):
        limits.now += 1.0 / RESETS_A_SECOND
        assert limits.count_reset() is None
    limits.now += RESETS / RESETS_A_SECOND
    too_much(limits.count_reset, RESETS + 1)


def test_pings_of_a_connection_that_is_kept_alive() -> None:
    limits = PeerLimits(100)
    for _ in range(10 * IDLE_FRAMES):
        limits.now += 1.0
        assert limits.count_frame() is None


def test_settings() -> None:
    limits = PeerLimits(100)
    assert limits.count_settings(6 * SETTINGS_AT_ONCE) is None
    too_much(lambda: limits.count_settings(6 * SETTINGS_AT_ONCE + 1), 1)
