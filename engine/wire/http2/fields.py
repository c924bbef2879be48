"""Fields of HTTP/2 (RFC 9113, 8.2): checks, and conversions between bytes and text.

Values may hold what they may hold in HTTP/1 (`syntax.py`), so that they can be forwarded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hpack.struct import NeverIndexedHeaderTuple

from mockrec.engine.wire.fault_phrases import bad_value, quoted
from mockrec.engine.wire.odd_fields import FRAMING, ODD_NAME, PADDED, value_kind
from mockrec.engine.wire.syntax import BREAKS_VALUE, CONTROLS, LOWERCASE_TOKEN_BYTES, TOKEN_BYTES, content_length

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

_ODD_NAME = re.compile(rb"[^\x00-\x20A-Z:\x7f-\xff]+")
"""The names that pass the minimal validation of RFC 9113 (8.2.1)."""
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)  # RFC 9113, 8.2.2
_SECRET = frozenset((b"authorization", b"proxy-authorization"))


def fields_fault(fields: Fields, pseudo: frozenset[bytes], *, odd: bool = False) -> str:
    """Return why a list of fields is malformed (RFC 9113, 8.2 and 8.3), or empty.

    `pseudo`: the pseudo-headers that it may begin with. `odd`: faults that `repaired` leaves are accepted.
    """
    seen: set[bytes] = set()
    begun = False
    for name, value in fields:
        if name.startswith(b":"):
            if name not in pseudo:
                return f"the pseudo-header {quoted(name)} does not belong here"
            if begun or name in seen:
                return f"the pseudo-header {quoted(name)} is out of order or repeated"
            seen.add(name)
        else:
            begun = True
            if not LOWERCASE_TOKEN_BYTES.fullmatch(name) and not (odd and _ODD_NAME.fullmatch(name)):
                return f"a field has the name {quoted(name)}; expected small letters, digits and !#$%&'*+-.^_`|~"
            if name in _CONNECTION_FIELDS or (name == b"te" and value.lower() != b"trailers"):
                return f"the field {quoted(name)} belongs to HTTP/1 and is not allowed in HTTP/2"
        holds_odd = odd and name[:1] != b":" and name not in FRAMING and value_kind(value)
        if not (_VALUE.fullmatch(value) or holds_odd):
            return f"the value of the field {quoted(name)} {bad_value(value)}"
    return ""


def repaired(fields: Fields) -> tuple[Fields, tuple[str, ...]]:
    """Return the repaired fields and the kinds of faults in them (RFC 9113, 8.2.1).

    Whitespace around values is removed. Control characters and names that are no tokens are named and stay; fields that
    frame, and faults that cannot be repaired, stay as they are.
    """
    odd: dict[str, None] = {}
    good: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name[:1] == b":" or name in FRAMING:
            good.append((name, value))
            continue
        trimmed = value.strip(b" \t")
        if trimmed != value:
            odd[PADDED] = None
        kind = value_kind(trimmed)
        if kind:
            odd[kind] = None
        if not LOWERCASE_TOKEN_BYTES.fullmatch(name) and _ODD_NAME.fullmatch(name):
            odd[ODD_NAME] = None
        good.append((name, trimmed))
    return tuple(good), tuple(odd)


def list_size(fields: Fields) -> int:
    """Return the size of a list of fields as RFC 9113 (6.5.2) counts it."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def as_text(fields: Fields) -> list[list[str]]:
    """Return fields as pairs of text (latin-1)."""
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in fields]


def shown(fields: Fields, limit: int) -> list[list[str]]:
    """Return the first fields as pairs of text: as many as fit into a list of `limit` bytes (RFC 9113, 6.5.2)."""
    for at, (name, value) in enumerate(fields):
        limit -= len(name) + len(value) + 32
        if limit < 0:
            return as_text(fields[:at])
    return as_text(fields)


def as_wire(fields: Iterable[Sequence[str]]) -> Fields:
    """Return fields for the encoder; secrets that an attacker could guess stay out of the table (RFC 7541, 7.1)."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return tuple(
        NeverIndexedHeaderTuple(name, value)
        if name in _SECRET or (name == b"cookie" and len(value) < 20)
        else (name, value)
        for name, value in pairs
    )


def plain_fields(headers: Iterable[Sequence[str]], *, odd: bool = False) -> list[list[str]]:
    """Return fields as HTTP/2 sends them (RFC 9113, 8.2): lower-case names, trimmed values, no connection fields.

    `odd`: another server or client sent them over HTTP/1. A name that is no token is left out and control characters
    become spaces, because libraries of HTTP/2 refuse the whole message for either. Raises ValueError for what no head
    can hold.
    """
    fields: list[list[str]] = []
    for raw_name, raw_value in headers:
        if not TOKEN_BYTES.fullmatch(raw_name.encode()):
            if odd:
                continue
            raise ValueError(f"no head can hold the field {raw_name!r}: {raw_value!r}")
        if BREAKS_VALUE.search(raw_value):
            raise ValueError(f"no head can hold the field {raw_name!r}: {raw_value!r}")
        if odd:
            raw_value = CONTROLS.sub(" ", raw_value)
        name, value = raw_name.lower(), raw_value.strip(" \t")
        if name.encode() in _CONNECTION_FIELDS or (name == "te" and value.lower() != "trailers"):
            continue
        fields.append([name, value])
    return fields


def declared_length(fields: Fields, allowed: int) -> int | str:
    """Return the length that fields declare (RFC 9113, 8.1.1), -1 if none, or why it is invalid.

    `allowed`: how many equal Content-Length fields may be there.
    """
    lengths = [value for name, value in fields if name == b"content-length"]
    if not lengths:
        return -1
    if len(lengths) > allowed or len(set(lengths)) > 1 or not lengths[0].isdigit():
        return f"content-length is {quoted(b', '.join(lengths))}; expected one number in digits"
    length = content_length(lengths[0].decode())
    return f"content-length is {quoted(lengths[0])}; expected a number below 2^63" if length is None else length
