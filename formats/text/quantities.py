"""Durations and sizes: read as users write them (`1.5 s`, `64KiB`) on the command line, in rule files and in filters,
and shown to users."""

from __future__ import annotations

import re
from typing import Final

MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
"""Units of durations. Case counts: `M` would be taken for months or millions."""
BYTES: Final[dict[str, int]] = {"b": 1} | {
    f"{letter}{unit}": base**power
    for unit, base in (("b", 1000), ("ib", 1024))
    for power, letter in enumerate("kmg", 1)
}
"""Units of sizes in lower case: kB is 1000 (SI), KiB is 1024 (IEC 80000-13). Case does not count."""
_SHOWN: Final = ("KiB", "MiB", "GiB", "TiB")
"""Units of sizes that are shown, each 1024 of the one before."""
AGE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s|m|h|d|w)")
_AGE_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)")
SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?((?:[kKmMgG][iI]?)?[bB])?")
_LONGEST = 100
"""Characters. No quantity needs more, and Python refuses to convert very long numbers."""


def seconds_of(text: str) -> float:
    """Return the seconds of `100ms`, `2s`, `1.5 m`, `1h` or `0`. Raises ValueError."""
    if text == "0":
        return 0.0
    found = DURATION.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise ValueError(f"not a duration: {text!r}")
    return float(found[1]) * (MILLISECONDS[found[2]] / 1000)


def age_of(text: str) -> float:
    """Return the seconds of an age such as `12h`, `30d` or `2w`. Raises ValueError."""
    found = AGE.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise ValueError(f"not an age: {text!r}")
    return float(found[1]) * _AGE_SECONDS[found[2]]


def bytes_of(text: str) -> int:
    """Return the bytes of `64KiB`, `10 mb`, `1.5kB` or `512`. Raises ValueError, also for a fraction of a byte."""
    found = SIZE.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise ValueError(f"not a size: {text!r}")
    unit = BYTES[(found[2] or "b").lower()]
    if "." not in found[1]:
        return int(found[1]) * unit
    whole, _, fraction = found[1].partition(".")
    count, rest = divmod(int(fraction) * unit, int("1" + "0" * len(fraction)))
    if rest:
        raise ValueError(f"not a whole number of bytes: {text!r}")
    return int(whole) * unit + count


_NO_TIME = 1e14
"""Milliseconds, 3,000 years: a file that was edited by hand may name any number."""


def show_duration(milliseconds: float | None) -> str:
    """Return `0.42ms`, `3.1ms`, `182ms`, `1.25s`, `2m05s`; nothing for None, `?` for what is no time: infinity, NaN and
    thousands of years."""
    if milliseconds is None:
        return ""
    if not abs(milliseconds) < _NO_TIME:
        return "?"
    if milliseconds < 1:
        return f"{milliseconds:.2f}ms"
    if milliseconds < 99.95:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    if milliseconds < 59_995:
        return f"{milliseconds / 1000:.2f}s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{seconds:02d}s" if hours else f"{minutes}m{seconds:02d}s"


def show_age(seconds: float) -> str:
    """Return `45s`, `12h`, `30d`: the largest unit of which there are two at least, or else whole seconds."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def show_size(count: int) -> str:
    """Return `17 B`, `1.5 KiB`, `3.0 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = count / 1024
    for unit in _SHOWN[:-1]:
        if value < 1023.95:
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_SHOWN[-1]}"
