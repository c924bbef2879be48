"""Paths with their ids taken out: `/users/1042/orders/7f3a…` and `/users/7/orders/99c1…` are one endpoint."""

from __future__ import annotations

import re
from functools import lru_cache

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T_ ].*)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE)
_TOKEN = re.compile(r"(?=(?:.*\d){3})(?=.*[A-Za-z])[A-Za-z0-9]{16,}")
"""ULIDs, object ids, nano ids: long, without a word boundary, with digits in between."""
_WITH_PREFIX = re.compile(r"([A-Za-z]{1,20}[-_])([A-Za-z0-9]+)")
_WITH_ENDING = re.compile(r"(.+?)((?:\.[A-Za-z][A-Za-z0-9]{0,5})+)")
_LONGEST = 300
"""Characters of a segment; a longer one is no name."""


def template(path: str) -> str:
    """The path with `{id}` and `{date}` where a name would differ from call to call."""
    return "/".join([_segment(segment) for segment in path.split("/")])


@lru_cache(maxsize=16_384)
def _segment(segment: str) -> str:
    if len(segment) > _LONGEST or "%40" in segment or "@" in segment[1:]:
        return "{id}"
    if _DATE.fullmatch(segment):
        return "{date}"
    if _is_id(segment) or _NUMBER.fullmatch(segment):
        return "{id}"
    prefixed = _WITH_PREFIX.fullmatch(segment)
    if prefixed and (_is_id(prefixed[2]) or (prefixed[2].isdigit() and len(prefixed[2]) > 2)):
        return f"{prefixed[1]}{{id}}"
    ended = _WITH_ENDING.fullmatch(segment)
    if ended and (short := _segment(ended[1])) != ended[1]:
        return short + ended[2]
    if "." in segment and any(_is_id(part) for part in segment.split(".")):
        return ".".join("{id}" if _is_id(part) else part for part in segment.split("."))
    return segment


def _is_id(text: str) -> bool:
    return any(pattern.fullmatch(text) is not None for pattern in (_UUID, _HEX, _TOKEN))
