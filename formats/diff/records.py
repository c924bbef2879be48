"""The records of a session as far as a comparison looks at them: most of a line is skipped, not read.

Plain requests and responses, which are nearly all records of a session, are read into structs of just the needed
fields. Any other record, and any field of an unexpected type, is read as a mapping (`decode`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec
import orjson

UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""What the decoders raise for a line that they do not take."""


class PlainBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A body that is text and complete."""

    size: int | float
    text: str


class Times(msgspec.Struct, gc=False):
    """Of `timingEvents`, in milliseconds."""

    startTimestamp: int | float | None = None  # noqa: N815 - the name in the record
    headersSentTimestamp: int | float | None = None  # noqa: N815


class Initiated(msgspec.Struct, gc=False, tag_field="type", tag="request-initiated"):
    """A request whose head has come. The same head comes again with the complete request."""

    id: str


class PlainRequest(msgspec.Struct, gc=False, tag_field="type", tag="request"):
    """A complete request."""

    id: str
    method: str
    url: str
    body: PlainBody
    tags: list[str] = []


class PlainResponse(msgspec.Struct, gc=False, tag_field="type", tag="response"):
    """A response whose fields are texts; with `trailers`, `error` or `set-cookie` it is read as a mapping."""

    id: str
    statusCode: int | float  # noqa: N815
    body: PlainBody
    statusMessage: str | None = None  # noqa: N815
    headers: dict[str, str] = {}
    duration: int | float | None = None
    timingEvents: Times | None = None  # noqa: N815
    trailers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


Plain = Initiated | PlainRequest | PlainResponse


def plain_decoder(*, requests: bool) -> Callable[[bytes], Plain]:
    """A decoder of plain records, which raises one of `UNREADABLE` for any other line.

    `requests`: whether complete requests are among them; their header fields are not read.
    """
    decode: Any = msgspec.json.Decoder(Plain if requests else Initiated | PlainResponse).decode
    return decode  # type: ignore[no-any-return]


class _Needed(TypedDict, total=False):
    type: str
    id: Any
    method: Any
    url: Any
    headers: Any
    tags: Any
    body: Any
    content: Any
    isBinary: Any
    statusCode: Any
    statusMessage: Any
    duration: Any
    timingEvents: Any
    trailers: Any
    error: Any
    errorCode: Any
    failureCause: Any
    response: Any
    request: Any
    requestBody: Any
    destination: Any
    tlsMetadata: Any
    closeCode: Any
    closeReason: Any


_needed = msgspec.json.Decoder(_Needed).decode


def decode(line: bytes) -> Any:
    """What of a line is compared. Raises `orjson.JSONDecodeError` for a line that is no JSON."""
    try:
        return _needed(line)
    except UNREADABLE:
        return orjson.loads(line)  # which also says what is wrong


def head_of(line: bytes) -> Mapping[str, Any]:
    """What of a `request-initiated` is compared, from its line."""
    found = decode(line)
    return found if isinstance(found, Mapping) else {}
