"""Field lines that break the rules and have one meaning: they are repaired, and each kind of fault is named.

RFC 9112 (2.2, 5.1, 5.2) and RFC 9110 (5.5) let a recipient of responses repair much, and curl and browsers do. A fault
is repaired if all recipients that accept it read it the same way. What two recipients could read as two different
framings is refused: any fault in a field that frames, a NUL, a bare CR, a line without a colon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mockrec.engine.wire.syntax import CONTROLS_BYTES, FIELD_LINE, FRAMING_NAMES, TOKEN_BYTES, WHITESPACE

FOLDED: Final = "folded-field"
SPACE_BEFORE_COLON: Final = "space-before-colon"
ODD_NAME: Final = "odd-name"
NO_NAME: Final = "empty-name"
CONTROL: Final = "control-character"
PADDED: Final = "padded-value"
"""In HTTP/2 only: whitespace around a value (RFC 9113, 8.2.1). In HTTP/1 it is allowed (RFC 9112, 5)."""
BARE_LF: Final = "bare-lf"
EMPTY_LINES: Final = "empty-lines"
STATUS_LINE: Final = "status-line"
REPEATED_LENGTH: Final = "repeated-length"
BOTH_LENGTHS: Final = "both-lengths"
CHUNK_LF: Final = "chunk-bare-lf"
CHUNK_PADDED: Final = "chunk-padded-size"

ODD_TAG: Final = "upstream-odd:"
"""Prefix of the tag for a kind of fault in a server's message."""
CLIENT_ODD_TAG: Final = "client-odd:"
"""Prefix of the tag for a kind of fault in a client's message, which `server.lenient` accepts."""

_NEVER = re.compile(rb"[\x00\r\n]")
_NO_LETTERS = re.compile(rb"[^a-z]+")
FRAMING: Final = frozenset(name.encode() for name in FRAMING_NAMES)
_LIKE_FRAMING: Final = (b"contentlength", b"transferencoding")

Fields = list[list[str]]


def odd_tags(kinds: Sequence[str]) -> list[str]:
    """Return the tags of an exchange for these kinds of faults in the server's message."""
    return [f"{ODD_TAG}{kind}" for kind in kinds]


def client_odd_tags(kinds: Sequence[str]) -> list[str]:
    """Return the tags of an exchange for these kinds of faults in the client's message."""
    return [f"{CLIENT_ODD_TAG}{kind}" for kind in kinds]


def is_like_framing(name: bytes, framing: frozenset[bytes] = FRAMING) -> bool:
    """Whether a recipient that drops invalid characters could read an invalid name as one in `framing`.

    RFC 9112, 11.2: request smuggling.
    """
    lower = name.lower()
    return lower.strip(WHITESPACE) in framing or _NO_LETTERS.sub(b"", lower).startswith(_LIKE_FRAMING)


def value_kind(value: bytes) -> str | None:
    """Return the kind of fault in a value (RFC 9110, 5.5), or empty; None if no head can hold the value."""
    if _NEVER.search(value):
        return None
    return CONTROL if CONTROLS_BYTES.search(value) else ""


def read_fields(lines: Sequence[bytes], framing: frozenset[bytes] = FRAMING) -> tuple[Fields, tuple[str, ...]] | str:
    """Return the fields of these lines and the kinds of faults in them, or why they cannot be read (RFC 9112, 5).

    Fields with names in `framing` are read only without faults. Takes time in proportion to the bytes.
    """
    fields: list[tuple[bytes, list[bytes]]] = []
    odd: dict[str, None] = {}
    for line in lines:
        matched = FIELD_LINE.fullmatch(line)
        if matched is not None:
            fields.append((matched[1], [matched[2]]))
            continue
        fault = _folded(line, fields, odd, framing) if line[:1] in (b" ", b"\t") else _field(line, fields, odd, framing)
        if fault:
            return fault
    if FOLDED in odd:  # RFC 9112, 5.2: a fold is replaced by one or more SP
        joined = [(name, b" ".join([piece for piece in pieces if piece])) for name, pieces in fields]
    else:
        joined = [(name, pieces[0]) for name, pieces in fields]
    # A field without a name cannot be passed on; no recipient reads a framing in it.
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in joined if name], tuple(odd)


def _field(
    line: bytes, fields: list[tuple[bytes, list[bytes]]], odd: dict[str, None], framing: frozenset[bytes]
) -> str:
    """Repair one invalid field line; return why it cannot be read, or empty."""
    raw_name, colon, raw_value = line.partition(b":")
    if not colon:
        return f"the line {_shown(line)} has no colon"
    name, value = raw_name.rstrip(WHITESPACE), raw_value.strip(WHITESPACE)
    if _NEVER.search(name) or CONTROLS_BYTES.search(name) or b"\t" in name:
        return f"the name of a field holds a control character: {_shown(line)}"
    kind = value_kind(value)
    if kind is None:
        return f"the field {_shown(name)} holds a NUL or a bare CR"
    if is_like_framing(name, framing):
        return f"a field that frames is not written as it should be: {_shown(line)}"
    if kind:
        odd[kind] = None
    if name != raw_name:
        odd[SPACE_BEFORE_COLON] = None
    if not name:
        odd[NO_NAME] = None
    elif not TOKEN_BYTES.fullmatch(name):
        odd[ODD_NAME] = None
    fields.append((name, [value]))
    return ""


def _folded(
    line: bytes, fields: list[tuple[bytes, list[bytes]]], odd: dict[str, None], framing: frozenset[bytes]
) -> str:
    """Append a folded line (obs-fold; RFC 9112, 5.2) to its field; return why it cannot be read, or empty."""
    rest = line.strip(WHITESPACE)
    if not fields:
        return f"the first line after the start line begins with a blank: {_shown(line)}"
    if not rest:
        return "a line holds blanks alone, which some recipients read as the end of the head"
    if fields[-1][0].lower() in framing:
        return f"the field {_shown(fields[-1][0])} frames, and is folded"
    name, colon, _ = rest.partition(b":")
    if colon and is_like_framing(name, framing):
        return f"a folded line looks like a field that frames: {_shown(line)}"
    kind = value_kind(rest)
    if kind is None:
        return f"the field {_shown(fields[-1][0])} holds a NUL or a bare CR"
    if kind:
        odd[kind] = None
    odd[FOLDED] = None
    fields[-1][1].append(rest)
    return ""


def _shown(text: bytes) -> str:
    """Return the start of `text` for an error message, on one line."""
    shown = ascii(text[:60].decode("latin-1"))
    return shown if len(text) <= 60 else f"{shown}…"
