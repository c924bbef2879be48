"""Protobuf without its schema: field numbers, with values as far as wire types tell them.

https://protobuf.dev/programming-guides/encoding/: a message is a sequence of fields, each with its number, a wire type
and a value. What the wire does not tell is shown as it most probably is, by these rules:

| wire type | value |
|---|---|
| varint | the number, unsigned |
| 64 or 32 bits | `{"fixed64": number}`, `{"fixed32": number}` |
| length-delimited | printable UTF-8 as a string; else, if it is one to its last byte, a message; else `{"bytes": …}` |
| group | `{"group": fields}` |

A field that occurs more than once is a list. Messages are decoded with a stack of our own, no deeper than `DEEPEST`;
below that, a value is bytes.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

DEEPEST: Final = 32
"""Levels of nested messages that are decoded; protobuf's own libraries refuse more than 100."""
MOST_FIELDS: Final = 100_000
"""Fields of a message, nested ones included, that are decoded; a varint of two bytes is many times that in memory."""
_DEEPEST_GROUPS: Final = 4
"""Groups inside groups. The end of a group is found by reading all that is in it, once for each level."""
_LARGEST_NUMBER: Final = (1 << 29) - 1
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class WireType(IntEnum):
    """How a value is encoded."""

    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    GROUP = 3
    GROUP_END = 4
    FIXED32 = 5


_VARINT, _FIXED64, _LENGTH, _GROUP, _GROUP_END, _FIXED32 = map(int, WireType)
"""As plain numbers: each field of a message is compared with some of them."""


class WireError(ValueError):
    """The bytes are no protobuf. The text is a clause that names the byte."""


class WireField(NamedTuple):
    """One field of a message. A tuple, because it is made for every few bytes of a body."""

    number: int
    wire_type: int
    value: int | bytes
    """The number; of a length-delimited field and of a group its content."""
    start: int
    """Where the field begins in its message, in bytes."""
    end: int


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it. Raises WireError."""
    result = shift = 0
    start = position
    while True:
        if position >= len(data):
            raise WireError(f"the number at byte {start} is cut")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= 70:
            raise WireError(f"the number at byte {start} has more than 10 bytes")
    return result & 0xFFFF_FFFF_FFFF_FFFF, position


def write_varint(value: int) -> bytes:
    """Encode a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields_of(data: bytes) -> Iterator[WireField]:
    """Yield the fields of a message, not those of messages inside it. Raises WireError at the first fault."""
    position, size = 0, len(data)
    while position < size:
        start = position
        tag = data[position]
        if 8 <= tag < 0x80 and tag & 7 == _VARINT and position + 1 < size and data[position + 1] < 0x80:
            position += 2  # a small number of a field up to 15: the most frequent one, and the shortest
            yield WireField(tag >> 3, _VARINT, data[position - 1], start, position)
            continue
        number, wire_type, position = _tag(data, position)
        if wire_type == _GROUP_END:
            raise WireError(f"the group end at byte {start} has no beginning")
        if wire_type == _GROUP:
            begin = position
            position, stop = _group_end(data, position, number)
            yield WireField(number, wire_type, data[begin:stop], start, position)
            continue
        value, position = _value(data, position, wire_type)
        yield WireField(number, wire_type, value, start, position)


def _tag(data: bytes, position: int) -> tuple[int, int, int]:
    tag, after = read_varint(data, position)
    number, wire_type = tag >> 3, tag & 7
    if not 0 < number <= _LARGEST_NUMBER:
        raise WireError(f"the field at byte {position} has the number {number}")
    if wire_type > _FIXED32:
        raise WireError(f"the field at byte {position} has the wire type {wire_type}, which protobuf does not define")
    return number, wire_type, after


def _value(data: bytes, position: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return read_varint(data, position)
    if wire_type == _LENGTH:
        length, position = read_varint(data, position)
    else:
        length = 8 if wire_type == _FIXED64 else 4
    if length > len(data) - position:
        raise WireError(f"the value at byte {position} is cut: {len(data) - position} of {length} bytes")
    found = data[position : position + length]
    return (found if wire_type == _LENGTH else int.from_bytes(found, "little")), position + length


def _group_end(data: bytes, position: int, number: int) -> tuple[int, int]:
    """Return the position after the end of a group, and that of its end tag. Groups may be nested."""
    begun = position
    open_groups = [number]
    while position < len(data):
        start = position
        inner, wire_type, position = _tag(data, position)
        if wire_type == _GROUP:
            open_groups.append(inner)
            if len(open_groups) > _DEEPEST_GROUPS:
                raise WireError(f"the group at byte {begun} has more than {_DEEPEST_GROUPS} levels")
        elif wire_type == _GROUP_END:
            if inner != open_groups.pop():
                raise WireError(f"the group end at byte {start} is of field {inner}, which is not the open group")
            if not open_groups:
                return position, start
        else:
            _, position = _value(data, position, wire_type)
    raise WireError(f"the group at byte {begun} has no end")


class _Message(msgspec.Struct):
    """A message while it is decoded."""

    fields: list[WireField]
    into: dict[str, Any]
    depth: int
    next: int = 0
    repeated: set[str] = msgspec.field(default_factory=set)
    """Keys whose value is a list of occurrences, not one occurrence that is a list."""


def decode_fields(data: bytes) -> dict[str, Any]:
    """Decode a message: field number (as text) → value, in order of the numbers. Raises WireError."""
    root: dict[str, Any] = {}
    left = MOST_FIELDS
    first = _fields(data, left)
    left -= len(first)
    stack = [_Message(first, root, 1)]
    while stack:
        message = stack[-1]
        if message.next == len(message.fields):
            stack.pop()
            continue
        found = message.fields[message.next]
        message.next += 1
        value = _shown(found)
        if value is None:
            assert isinstance(found.value, bytes)
            inner = None if message.depth == DEEPEST else _inner(found, left)
            if inner is None:
                value = {"bytes": base64.b64encode(found.value).decode()}
            else:
                left -= len(inner)
                fields: dict[str, Any] = {}
                value = {"group": fields} if found.wire_type == _GROUP else fields
                stack.append(_Message(inner, fields, message.depth + 1))
        _put(message, str(found.number), value)
    return root


def _put(message: _Message, key: str, value: Any) -> None:
    into = message.into
    if key not in into:
        into[key] = value
    elif key in message.repeated:
        into[key].append(value)
    else:
        into[key] = [into[key], value]
        message.repeated.add(key)


def _fields(data: bytes, most: int) -> list[WireField]:
    """Return the fields in the order of their numbers: encoders may write them in any order. Raises WireError."""
    found: list[WireField] = []
    for one in fields_of(data):
        if len(found) >= most:
            raise WireError(f"it has more than {MOST_FIELDS} fields")
        found.append(one)
    found.sort(key=lambda one: one.number)
    return found


def _inner(found: WireField, most: int) -> list[WireField] | None:
    """Return the fields of a value, if it is a message; an empty one is a string, and a group always a message."""
    assert isinstance(found.value, bytes)
    if not found.value and found.wire_type == _LENGTH:
        return None
    try:
        return _fields(found.value, most)
    except WireError:
        return None


def _shown(found: WireField) -> Any:
    """Return the value of a number or a text; None for what may be a message."""
    value = found.value
    if found.wire_type == _VARINT:
        return value
    if isinstance(value, int):
        return {"fixed64" if found.wire_type == _FIXED64 else "fixed32": value}
    return None if found.wire_type == _GROUP else text_of(value)


def text_of(value: bytes) -> str | None:
    """Return a length-delimited value as text, if it is printable UTF-8; None otherwise."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def has_numbers(value: Any) -> bool:
    """Return whether a message is given by field numbers."""
    return isinstance(value, Mapping) and bool(value) and all(str(key).isdecimal() for key in value)


def encode_fields(value: Mapping[Any, Any]) -> bytes:
    """Encode a message that is given by field numbers: integers and booleans as varints, floats as doubles, texts,
    mappings (messages) and `{bytes: base64}`; a list is a repeated field. The depth is that of a rule file. Raises
    ValueError."""
    out = bytearray()
    for key, item in value.items():
        number = int(key) if str(key).isdecimal() else 0
        if not 0 < number <= _LARGEST_NUMBER:
            raise ValueError(f"expected a field number, found {str(key)[:40]!r}")
        for one in item if isinstance(item, list | tuple) else (item,):
            wire_type, data = _encoded(one)
            out += write_varint(number << 3 | wire_type) + data
    return bytes(out)


def _encoded(value: Any) -> tuple[int, bytes]:
    """Return the wire type and the bytes of one value."""
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise ValueError(f"{value} has more than 64 bits")
        return _VARINT, write_varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    if isinstance(value, float):
        return _FIXED64, struct.pack("<d", value)
    if isinstance(value, str):
        data = value.encode()
    elif isinstance(value, Mapping) and set(value) == {"bytes"}:
        data = base64.b64decode(str(value["bytes"]), validate=True)
    elif isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("fixed32", "fixed64"):
        ((kind, number),) = value.items()
        if not isinstance(number, int):
            raise ValueError(f"{kind} is a number")
        size = 4 if kind == "fixed32" else 8
        return (_FIXED32 if size == 4 else _FIXED64), (number % (1 << 8 * size)).to_bytes(size, "little")
    elif isinstance(value, Mapping):
        data = encode_fields(value)
    else:
        raise ValueError("a field has no value: expected a number, a text or a mapping")
    return _LENGTH, write_varint(len(data)) + data
