"""Durations and sizes as users write them, on the command line, in rule files and in filters: `1.5 s`, `64KiB`."""

from __future__ import annotations

import re
from typing import Final

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Units of durations. Case counts: `M` would be taken for months or millions."""
BYTES: Final[dict[str, int]] = {"b": 1} | {
    f"{letter}{unit}": base**power
    for unit, base in (("b", 1000), ("ib", 1024))
    for power, letter in enumerate("kmg", 1)
}
"""Units of sizes in lower case: kB is 1000 (SI), KiB is 1024 (IEC 80000-13). Case does not count."""
DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)")
SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?((?:[kKmMgG][iI]?)?[bB])?")
_LONGEST = 100
"""Characters. No quantity needs more, and Python refuses to read very long numbers."""


def seconds_of(text: str) -> float:
    """`100ms`, `2s`, `1.5 m`, `1h`, `0` → seconds. Raises ValueError."""
    if text == "0":
        return 0.0
    found = DURATION.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise ValueError(f"not a duration: {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def bytes_of(text: str) -> int:
    """`64KiB`, `10 mb`, `1.5kB`, `512` → bytes. Raises ValueError, also where it is no whole number of them."""
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
