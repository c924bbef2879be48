"""Secrets in bodies of gRPC: replaced inside the fields of messages, with new lengths, so that the body can still be
read.

A compressed message that holds a secret becomes an uncompressed one: each message says whether it is compressed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from mockrec.formats.content.codings import MAGIC
from mockrec.formats.operations.grpc.frames import LARGEST_SUM, TRAILERS, Decompressor, Frame, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind
from mockrec.formats.operations.grpc.wire_format import (
    DEEPEST,
    MOST_FIELDS,
    WireError,
    WireField,
    WireType,
    fields_of,
    text_of,
    write_varint,
)

Redact = Callable[[bytes], bytes]
"""Redacts bytes on their own; returns the same object if they hold no secret."""


class LongMessageError(Exception):
    """The compressed messages of a body are longer than they may be here."""


def redacted_grpc(data: bytes, kind: GrpcKind, redact: Redact, most: int | None = None) -> bytes:
    """Redact a body of gRPC, or the beginning of one; return the same object if it holds no secret.

    `most`: the bytes of decompressed messages. Raises LongMessageError if there are more. Without it, they are searched
    up to the bound of those who read them, and the rest as it is.
    """
    left = LARGEST_SUM if most is None else most
    found = split_frames(data, kind)
    changed = False
    out = bytearray()
    for frame in found.frames:
        plain, size = _decompressed(frame, left)
        if size > left and most is not None:
            raise LongMessageError
        left = max(0, left - size)
        new = redact(plain) if frame.is_trailers else redacted_message(plain, redact)
        flags, message = frame.flags, frame.data
        if new is not plain:
            flags, message, changed = frame.flags & TRAILERS, new, True
        out += bytes([flags]) + len(message).to_bytes(4, "big") + message
    rest = redact(found.rest) if found.rest else found.rest
    if not changed and rest is found.rest:
        return data
    out += rest
    return base64.b64encode(bytes(out)) if kind is GrpcKind.WEB_TEXT else bytes(out)


def _decompressed(frame: Frame, most: int) -> tuple[bytes, int]:
    """Return the message of a frame, decompressed if it begins as gzip or zlib does: the header field that names the
    coding is not known here; and how much was decompressed, which is more than `most` if it was too long. One that
    cannot be decompressed is returned as it is."""
    if not frame.is_compressed:
        return frame.data, 0
    coding = "gzip" if frame.data.startswith(MAGIC["gzip"]) else "deflate"
    decompressor = Decompressor(coding, most)
    plain, problem = decompressor.message(frame)
    return plain, most + 1 if decompressor.is_exceeded else (0 if problem else len(plain))


class _Open(msgspec.Struct):
    """A message while it is written anew."""

    fields: list[WireField]
    data: bytes
    depth: int
    of: WireField | None = None
    """The field of the message around it."""
    next: int = 0
    out: bytearray = msgspec.field(default_factory=bytearray)
    changed: bool = False


def redacted_message(data: bytes, redact: Redact) -> bytes:
    """Redact the texts and byte strings of a message; return the same object if it holds no secret."""
    try:
        fields = list(fields_of(data))
    except WireError:
        return redact(data)
    left = MOST_FIELDS - len(fields)
    stack = [_Open(fields, data, 1)]
    while True:
        message = stack[-1]
        if message.next == len(message.fields):
            stack.pop()
            if not stack:
                return bytes(message.out) if message.changed else data
            _close(message, stack[-1])
            continue
        found = message.fields[message.next]
        message.next += 1
        value = found.value
        if not isinstance(value, bytes):
            message.out += message.data[found.start : found.end]
            continue
        inner = _inner(found, value) if message.depth < DEEPEST else None
        if inner is not None and len(inner) <= left:
            left -= len(inner)
            stack.append(_Open(inner, value, message.depth + 1, found))
            continue
        new = redact(value)
        if new is value:
            message.out += message.data[found.start : found.end]
        else:
            message.changed = True
            message.out += _field(found, new)


def _close(message: _Open, outer: _Open) -> None:
    """Write a nested message into the one around it."""
    assert message.of is not None
    if message.changed:
        outer.changed = True
        outer.out += _field(message.of, bytes(message.out))
    else:
        outer.out += outer.data[message.of.start : message.of.end]


def _inner(found: WireField, value: bytes) -> list[WireField] | None:
    """Return the fields of a value that is most probably a message; None for a text or other bytes."""
    if found.wire_type != WireType.GROUP and (not value or text_of(value) is not None):
        return None
    try:
        return list(fields_of(value))
    except WireError:
        return None


def _field(found: WireField, value: bytes) -> bytes:
    tag = write_varint(found.number << 3 | found.wire_type)
    if found.wire_type == WireType.GROUP:
        return tag + value + write_varint(found.number << 3 | WireType.GROUP_END)
    return tag + write_varint(len(value)) + value
