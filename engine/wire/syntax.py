"""Grammar of HTTP messages on the wire (RFC 9110, RFC 9112), with what `formats/text/syntax.py` shares with formats."""

from __future__ import annotations

import re
from typing import Final

from mockrec.formats.text.syntax import BODILESS_STATUSES, BREAKS_VALUE, CONTROLS, SCHEME_PATTERN, TOKEN, TOKEN_PATTERN

__all__ = [
    "BODILESS_STATUSES",
    "BREAKS_VALUE",
    "CONTROLS",
    "CONTROLS_BYTES",
    "FIELD_LINE",
    "FRAMING_NAMES",
    "LOWERCASE_TOKEN_BYTES",
    "SCHEME_PATTERN",
    "TOKEN",
    "TOKEN_BYTES",
    "TOKEN_PATTERN",
    "WHITESPACE",
    "content_length",
]

TOKEN_BYTES: Final = re.compile(TOKEN_PATTERN.encode())
LOWERCASE_TOKEN_BYTES: Final = re.compile(TOKEN_PATTERN.replace("A-Z", "").encode())
"""Names of fields in HTTP/2 (RFC 9113, 8.2.1)."""
CONTROLS_BYTES: Final = re.compile(CONTROLS.pattern.encode())
WHITESPACE: Final = b" \t"
"""OWS and BWS (RFC 9110, 5.6.3)."""

FIELD_LINE: Final = re.compile(
    rb"(" + TOKEN_PATTERN.encode() + rb"):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*"
)
"""`field-line` (RFC 9112, 5): name and value. The value may hold HTAB and every byte from 0x80 up (obs-text; RFC 9110,
5.5), no other control character."""

FRAMING_NAMES: Final = frozenset(("content-length", "transfer-encoding"))
"""The fields that frame content (RFC 9112, 6), in lower case."""

_DIGITS = re.compile(r"[0-9]{1,19}")
_LARGEST_LENGTH: Final = (1 << 63) - 1
"""A larger length is negative to a reader that counts with 64 bits."""


def content_length(text: str) -> int | None:
    """The number that one Content-Length value declares (RFC 9110, 8.6); None if it is no number below 2^63."""
    if not _DIGITS.fullmatch(text):
        return None
    length = int(text)
    return length if length <= _LARGEST_LENGTH else None
