"""Status codes of gRPC by number and name, and the percent-encoding of messages.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and doc/statuscodes.md.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The names, each at the place of its number."""


def status_name(value: str) -> str:
    """Return the name of a `grpc-status` as it stands in a field; an unknown number stays as it is."""
    text = value.strip()
    if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) < len(STATUSES):
        return STATUSES[int(text)]
    return text


def status_number(name: str) -> int | None:
    """Return the number of a status name or a number as text; None if there is no such status."""
    if name.isascii() and name.isdecimal() and len(name) < 3 and int(name) < len(STATUSES):
        return int(name)
    upper = name.upper().replace("-", "_").replace("CANCELED", "CANCELLED")
    return STATUSES.index(upper) if upper in STATUSES else None


def decode_message(value: str) -> str:
    """Decode a `grpc-message`; bytes that are no UTF-8 are replaced."""
    return unquote_to_bytes(value.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def encode_message(text: str) -> str:
    """Encode a `grpc-message`: all but printable ASCII, and `%`, become %XX."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte != 0x25 else f"%{byte:02X}"
        for byte in text.encode("utf-8", "replace")
    )
