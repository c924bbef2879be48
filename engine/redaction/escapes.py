"""Texts with the escapes of URLs, JSON and HTML decoded, all at once, and the spans that they had before.

They are searched, never written: it does no harm if too much is decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import re2

from mockrec.formats.text.late_regex import late_regex

_ESCAPES: Final = (
    rb"(?:%[0-9A-Fa-f]{2})+(?:(?<=%3[Aa])\+(?=%22|%5[BbCc]|%7[Bb]))?|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    rb"|\\(?:u[0-9A-Fa-f]{4}|[\"'\\/bfnrt])"
    rb"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|quot|amp|lt|gt|apos);"
)
_ESCAPE: Final = late_regex(_ESCAPES)
_ESCAPE_OR_PLUS: Final = late_regex(_ESCAPES + rb"|\+")
_NAMED: Final = {
    **{b"&quot;": b'"', b"&amp;": b"&", b"&lt;": b"<", b"&gt;": b">", b"&apos;": b"'", b"+": b" "},
    **{b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"},
}


def _compiled(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes
    return re2.compile(pattern, options)


LETTERS: Final = (
    r"%(?:25){0,2}(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])|\\u00(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])"
    r"|&#(?:[xX]0{0,4}(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])|0{0,4}(?:6[5-9]|[78][0-9]|9[0-9]|1[01][0-9]|12[0-2]));"
)
"""An escaped letter: no format requires it, so it may hide a name."""
_PLAIN_ESCAPED: Final = _compiled(
    rf"(?:{LETTERS}|%(?:25){{0,2}}(?:3[0-9]|2[DdEe]|5[Ff]|7[Ee])|\\u00(?:3[0-9]|2[DdEe]|5[Ff]|7[Ee])"
    r"|&#(?:[xX]0{0,4}(?:3[0-9]|2[DdEe]|5[Ff]|7[Ee])|0{0,4}(?:4[5-9]|5[0-7]|95|126));)".encode()
)
_ANY_ESCAPED: Final = _compiled(rb"\\u[0-9A-Fa-f]{4}|\\/|%[0-9A-Fa-f]{2}|&#|&(?:quot|amp|lt|gt|apos);")


def is_unusual(data: bytes, *, has_plain: bool) -> bool:
    """Return whether a value may stand in a text in an escaped form that is not generated in advance. `has_plain`: a
    value of letters, digits and `-._~`, which are escaped only to hide something."""
    return (_PLAIN_ESCAPED if has_plain else _ANY_ESCAPED).search(data) is not None


class Unescaped:
    """A text whose escapes are decoded, once or repeatedly."""

    __slots__ = ("_at", "_before", "_ends", "_raw", "data")

    def __init__(
        self, data: bytes, at: list[int], ends: list[int], raw: list[tuple[int, int]], before: Unescaped | None
    ) -> None:
        self.data = data
        self._at = at
        """Where each decoded escape begins in `data`,"""
        self._ends = ends
        """and where it ends."""
        self._raw = raw
        """The span of each in the text before."""
        self._before = before

    @classmethod
    def of(cls, data: bytes, before: Unescaped | None = None, *, has_plus: bool = False) -> Unescaped:
        """Decode the escapes of a text. `has_plus`: `+` is a space, as in forms and queries."""
        at: list[int] = []
        ends: list[int] = []
        raw: list[tuple[int, int]] = []
        pieces: list[bytes] = []
        last = size = 0
        for found in (_ESCAPE_OR_PLUS if has_plus else _ESCAPE).finditer(data):
            start, end = found.span()
            plain = _undone(found[0])
            pieces += (data[last:start], plain)
            size += start - last
            at.append(size)
            size += len(plain)
            ends.append(size)
            raw.append((start, end))
            last = end
        pieces.append(data[last:])
        return cls(b"".join(pieces), at, ends, raw, before)

    @property
    def is_other(self) -> bool:
        """Whether the text had any escapes."""
        return bool(self._at)

    def again(self) -> Unescaped | None:
        """Decode once more; None if no escapes are left."""
        again = Unescaped.of(self.data, self)
        return again if again.is_other else None

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the original text of what is here from `start` to `end`."""
        first, last = self._raw_start(start), self._raw_end(end) if end > start else self._raw_start(start)
        return (first, last) if self._before is None else self._before.raw(first, last)

    def _raw_start(self, at: int) -> int:
        number = bisect_right(self._at, at) - 1
        while number >= 0 and number + 1 < len(self._at) and self._at[number + 1] == at:
            number += 1
        if number < 0:
            return at
        start, end = self._raw[number]
        if at >= self._ends[number]:
            return end + at - self._ends[number]
        inside = at - self._at[number]
        return start + (3 * inside if end - start == 3 * (self._ends[number] - self._at[number]) else 0)

    def _raw_end(self, at: int) -> int:
        """`at` is the end of the span, exclusive."""
        number = bisect_right(self._at, at - 1) - 1
        if number < 0:
            return at
        start, end = self._raw[number]
        if at >= self._ends[number]:
            return end + at - self._ends[number]
        inside = at - self._at[number]
        return start + 3 * inside if end - start == 3 * (self._ends[number] - self._at[number]) else end


def _undone(escape: bytes) -> bytes:
    named = _NAMED.get(escape)
    if named is not None:
        return named
    if escape[:1] == b"%":
        # The space after the colon of JSON in a form: `"a": "b"`.
        return unquote_to_bytes(escape.replace(b"+", b" "))
    if escape[:2] == b"\\u":
        units = bytes.fromhex(escape.replace(b"\\u", b"").decode())
        return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")
    if escape[:1] == b"\\":
        return escape[1:]
    number = int(escape[3:-1], 16) if escape[2:3] in (b"x", b"X") else int(escape[2:-1])
    return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else escape
