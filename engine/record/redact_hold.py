"""A body that comes in pieces, cut where no secret is cut: what may go on in the next piece is held back."""

from __future__ import annotations

import re
from typing import Any, Final

from mockrec.engine.record.redact_patterns import Match

MOST_HELD: Final = 1024 * 1024
"""A value that is longer than this is let go in parts."""
_NAME = 4096
"""Bytes behind the last separator that may be the beginning of a name or token; in more, they are none."""
_SEPARATORS = (b"\n", b"&", b",", b"}", b">")
_OPENING = re.compile(rb'\s*(?:(\\*)"|(\[)|)')
_LIST = re.compile(rb"[^\]]*\]")
_WORD = re.compile(rb'[^\r\n&",;}\]]*[\r\n&",;}\]]')
_LINE = re.compile(rb"[^\n]*\n")
_STRING = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(rb"[A-Za-z0-9_.=/+-]*[^A-Za-z0-9_.=/+-]")
_KEY_END = b"PRIVATE KEY-----"


class Hold:
    """Gives out what came, later."""

    __slots__ = ("_any", "_held")

    def __init__(self, any_secret: Any) -> None:
        """`any_secret`: the expression that finds something in all that may hold a secret."""
        self._any = any_secret
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The next piece came: what of everything so far can be looked at on its own."""
        held = self._held + data if self._held else data
        cut = self._cut(held)
        self._held = held[cut:]
        return held[:cut]

    def end(self) -> bytes:
        """Nothing more will come: the rest."""
        held, self._held = self._held, b""
        return held

    def _cut(self, held: bytes) -> int:
        near = max(0, len(held) - _NAME)
        cut = max(held.rfind(separator, near) + 1 for separator in _SEPARATORS) or near
        if len(held) > MOST_HELD or self._any.search(held) is None:
            return cut
        for match in self._any.finditer(held):
            if match.start() >= cut:
                break
            if not _is_closed(match, held, cut):
                # The name may begin before what was found of it.
                return max(held.rfind(separator, 0, match.start()) + 1 for separator in _SEPARATORS)
        return cut


def _is_closed(match: Match, held: bytes, cut: int) -> bool:
    """Whether the value that belongs to a match ends before `cut`."""
    found = match.group(0)
    if found.startswith(b"-----BEGIN"):
        end = held.find(_KEY_END, held.find(_KEY_END, match.start()) + 1)
        return 0 <= end < cut
    if found.endswith(b"\n"):
        return 0 <= held.find(b"\r\n--", match.end()) <= cut - 4
    if found.endswith(b"@"):
        return match.end() <= cut
    if found[-1:] in (b"=", b":", b'"', b"/"):
        is_line = found.endswith(b":") and b'"' not in found  # a field of a head ends with its line
        return 0 <= _value_end(held, match.end(), _LINE if is_line else _WORD) <= cut
    closed = _TOKEN.match(held, match.end())
    return closed is not None and closed.end() <= cut


def _value_end(held: bytes, start: int, bare: re.Pattern[bytes]) -> int:
    """Where a value ends that begins here, `bare` if it has no quotes; -1 if that has not come."""
    opening = _OPENING.match(held, start)
    assert opening is not None  # it matches nothing, too
    start = opening.end()
    if opening[1]:  # JSON in a string of JSON
        quote = opening[1] + b'"'
        end = held.find(quote, start)
        while end > 0 and held[end - 1 : end] == b"\\":
            end = held.find(quote, end + 1)
        return end + len(quote) if end >= 0 else -1
    kind = _STRING if opening[1] is not None else _LIST if opening[2] else bare
    closed = kind.match(held, start)
    return closed.end() if closed is not None else -1
