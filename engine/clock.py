"""The only reader of the clock: a wall-clock anchor taken once, and monotonic time from there.

All times inside the engine are monotonic milliseconds (float). They become wall-clock text only when
a record is built, so timestamps of a session never run backwards when the system clock is set.
"""

from __future__ import annotations

import time

_anchor_wall_ms = time.time_ns() / 1e6
_anchor_ms = time.perf_counter_ns() / 1e6
_wall_minus_mono = _anchor_wall_ms - _anchor_ms

_perf_counter = time.perf_counter


def now() -> float:
    """Monotonic milliseconds, to a tenth of a microsecond."""
    return round(_perf_counter() * 1000.0, 4)


def wall(mono_ms: float) -> float:
    """Milliseconds since the Unix epoch for a monotonic time of this process."""
    return mono_ms + _wall_minus_mono


class _SecondCache:
    """The text of the second that was formatted last: thousands of records share it."""

    second = -1
    iso = ""
    http = b""


def timestamp(mono_ms: float) -> str:
    """ISO 8601 in UTC with exactly six fraction digits, cut and not rounded, for a monotonic time."""
    micros = int((mono_ms + _wall_minus_mono) * 1000.0)
    second, fraction = divmod(micros, 1_000_000)
    if second != _SecondCache.second:
        _fill(second)
    return f"{_SecondCache.iso}{fraction:06d}Z"


def http_date() -> bytes:
    """The value of a `Date` header for now (RFC 9110, 5.6.7)."""
    second = int((_perf_counter() * 1000.0 + _wall_minus_mono) / 1000.0)
    if second != _SecondCache.second:
        _fill(second)
    return _SecondCache.http


def _fill(second: int) -> None:
    parts = time.gmtime(second)
    _SecondCache.second = second
    _SecondCache.iso = time.strftime("%Y-%m-%dT%H:%M:%S.", parts)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[parts.tm_wday]
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][parts.tm_mon - 1]
    _SecondCache.http = f"{day}, {parts.tm_mday:02d} {month} {time.strftime('%Y %H:%M:%S', parts)} GMT".encode()
