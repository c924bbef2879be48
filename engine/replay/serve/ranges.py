"""Byte ranges (RFC 9110, 14): parse `Range` and `Content-Range`, and resolve a range against a representation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MOST_RANGES: Final = 100
"""Maximum number of ranges in one request; a request with more gets the whole representation (RFC 9110, 14.2)."""

_DIGITS = r"[0-9]{1,18}"
_RANGE = re.compile(rf"({_DIGITS})?[ \t]*-[ \t]*({_DIGITS})?")
_CONTENT_RANGE = re.compile(rf"bytes[ \t]+(?:({_DIGITS})-({_DIGITS})|\*)/({_DIGITS}|\*)", re.IGNORECASE)

Wanted = tuple[int | None, int | None]
"""First and last byte of a requested range: `(3, None)` is open-ended, `(None, 3)` means the last three bytes."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The bytes in a response: the first one, the last one, and the length of the representation (None: unknown).

    `first` and `last` are None in the response to an unsatisfiable range (416).
    """

    first: int | None
    last: int | None
    total: int | None

    @property
    def is_whole(self) -> bool:
        """Whether the response holds the whole representation."""
        return self.first == 0 and self.total is not None and self.last == self.total - 1


def parse_range(value: str | None) -> list[Wanted] | None:
    """Parse a `Range` in bytes. None if it is to be ignored: no field, another unit, invalid, or too many ranges."""
    unit, equals, text = (value or "").partition("=")
    if not equals or unit.strip().lower() != "bytes" or text.count(",") >= MOST_RANGES:
        return None
    wanted: list[Wanted] = []
    for piece in text.split(","):
        if not piece.strip():
            continue
        found = _RANGE.fullmatch(piece.strip())
        if found is None:
            return None
        first, last = (None if one is None else int(one) for one in found.groups())
        if (first is None and last is None) or (first is not None and last is not None and last < first):
            return None
        wanted.append((first, last))
    return wanted or None


def is_other_unit(value: str | None) -> bool:
    """Return whether a `Range` uses a unit other than bytes; some APIs paginate so (`items=0-9`, `0-9`)."""
    return bool(value) and (value or "").partition("=")[0].strip().lower() != "bytes"


def parse_content_range(value: str | None) -> ContentRange | None:
    """Parse a `Content-Range`; None if it is missing or invalid."""
    found = _CONTENT_RANGE.fullmatch((value or "").strip())
    if found is None:
        return None
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return ContentRange(None, None, total)
    first, last = int(found[1]), int(found[2])
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(first, last, total)


def resolve(wanted: Wanted, total: int) -> tuple[int, int] | None:
    """Return the first and last byte of a range in `total` bytes; None if it is unsatisfiable (416)."""
    first, last = wanted
    if first is None:
        length = min(last or 0, total)
        return (total - length, total - 1) if length else None
    if first >= total:
        return None
    return first, total - 1 if last is None else min(last, total - 1)


def inside(wanted: Wanted, part: ContentRange) -> tuple[int, int] | None:
    """Return the first and last byte of a range; None unless the part holds all of them."""
    if part.first is None or part.last is None:
        return None
    if part.total is None:
        first, last = wanted
        if first is None or last is None:
            return None
        found: tuple[int, int] | None = first, last
    else:
        found = resolve(wanted, part.total)
    return found if found is not None and part.first <= found[0] and found[1] <= part.last else None
