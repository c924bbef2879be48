"""The only reader of the system clock: a wall-clock anchor taken once, and monotonic time from there.

All times inside the engine are monotonic milliseconds (float). They become wall-clock time only when a record is built,
so that the timestamps of a session never run backwards when the system clock is set.
"""

from __future__ import annotations

import time

_anchor_wall_ms = time.time_ns() / 1e6
_anchor_ms = time.perf_counter_ns() / 1e6
_wall_minus_mono = _anchor_wall_ms - _anchor_ms

_perf_counter_ns = time.perf_counter_ns


def now() -> float:
    """Monotonic milliseconds, to a tenth of a microsecond."""
    return _perf_counter_ns() // 100 / 10_000.0  # a third of what round() takes


def anchor() -> float:
    """The wall-clock time of monotonic time 0, in milliseconds since the Unix epoch."""
    return _wall_minus_mono


def use_anchor(wall_minus_mono: float) -> None:
    """Use the anchor of another process of this machine, so that the timestamps of both agree."""
    global _wall_minus_mono
    _wall_minus_mono = wall_minus_mono


def wall(mono_ms: float) -> float:
    """Milliseconds since the Unix epoch for a monotonic time of this process."""
    return mono_ms + _wall_minus_mono


class _SecondCache:
    """The second that was formatted last, as text: thousands of records share it."""

    first_micro = -2_000_000
    iso = ""
    encoded = b""
    http = b""


def timestamp(mono_ms: float) -> str:
    """Format a monotonic time as ISO 8601 in UTC, with exactly six fraction digits, truncated."""
    micros = int((mono_ms + _wall_minus_mono) * 1000.0)
    fraction = micros - _SecondCache.first_micro
    if not 0 <= fraction < 1_000_000:
        _fill(micros // 1_000_000)
        fraction = micros - _SecondCache.first_micro
    return f"{_SecondCache.iso}{fraction:06d}Z"


def second_and_micros(mono_ms: float) -> tuple[bytes, int]:
    """The parts of a `timestamp` for a `%b%06dZ`: the encoded second with its point, and the microseconds in it."""
    micros = int((mono_ms + _wall_minus_mono) * 1000.0)
    fraction = micros - _SecondCache.first_micro
    if not 0 <= fraction < 1_000_000:
        _fill(micros // 1_000_000)
        fraction = micros - _SecondCache.first_micro
    return _SecondCache.encoded, fraction


def same_second(first: float, second: float, third: float) -> tuple[bytes, int, int, int] | None:
    """The parts of three timestamps in one second, as `second_and_micros` returns them; None if they are in several."""
    encoded, one = second_and_micros(first)
    wall_minus_mono, begin = _wall_minus_mono, _SecondCache.first_micro
    two = int((second + wall_minus_mono) * 1000.0) - begin
    three = int((third + wall_minus_mono) * 1000.0) - begin
    return (encoded, one, two, three) if one <= two <= three < 1_000_000 else None


def http_date() -> bytes:
    """The present value of a `Date` field (RFC 9110, 5.6.7)."""
    micros = int((_perf_counter_ns() / 1e6 + _wall_minus_mono) * 1000.0)
    if not 0 <= micros - _SecondCache.first_micro < 1_000_000:
        _fill(micros // 1_000_000)
    return _SecondCache.http


def _fill(second: int) -> None:
    parts = time.gmtime(second)
    _SecondCache.first_micro = second * 1_000_000
    _SecondCache.iso = time.strftime("%Y-%m-%dT%H:%M:%S.", parts)
    _SecondCache.encoded = _SecondCache.iso.encode("ascii")
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[parts.tm_wday]
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][parts.tm_mon - 1]
    _SecondCache.http = f"{day}, {parts.tm_mday:02d} {month} {time.strftime('%Y %H:%M:%S', parts)} GMT".encode()
