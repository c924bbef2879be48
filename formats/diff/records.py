"""The keys of records that a comparison needs: most of a line is skipped, not decoded.

Plain requests and responses, which are nearly all records of a session, are decoded into structs of only the needed
keys. Any other record, and any key of an unexpected type, is decoded as a mapping (`decode`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import msgspec
import orjson

UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""The exceptions of the decoders for a line of another form."""


class PlainBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A body that is text and complete."""

    size: int | float
    text: str


class ExchangeTimes(msgspec.Struct, gc=False):
    """Of `timingEvents`, in milliseconds."""

    startTimestamp: int | float | None = None
    headersSentTimestamp: int | float | None = None


class Initiated(msgspec.Struct, gc=False, tag_field="type", tag="request-initiated"):
    """The head of a request. The `request` record has the same head again."""

    id: str
    method: str
    url: str
    tags: list[str] = []
    scope: str = ""


class PlainRequest(msgspec.Struct, gc=False, tag_field="type", tag="request"):
    """A complete request."""

    id: str
    method: str
    url: str
    body: PlainBody
    tags: list[str] = []
    scope: str = ""
    headers: msgspec.Raw = msgspec.Raw(b"{}")

    def record(self) -> dict[str, Any]:
        """Return the record as `decode` returns it."""
        return _record(self, "request", self.body) | {"headers": orjson.loads(bytes(self.headers))}


class PlainResponse(msgspec.Struct, gc=False, tag_field="type", tag="response"):
    """A response whose header fields are strings; one with `set-cookie` is decoded as a mapping."""

    id: str
    statusCode: int | float
    body: PlainBody
    statusMessage: str | None = None
    headers: dict[str, str] = {}
    duration: int | float | None = None
    timingEvents: ExchangeTimes | None = None
    trailers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, str | int | float | None] | msgspec.UnsetType = msgspec.UNSET
    # Of the request: needed if that has no record of its own.
    method: str = ""
    url: str = ""
    tags: list[str] = []
    scope: str = ""

    def record(self) -> dict[str, Any]:
        """Return the record as `decode` returns it."""
        record = _record(self, "response", self.body)
        if self.timingEvents is not None:
            record["timingEvents"] = msgspec.structs.asdict(self.timingEvents)
        return {key: value for key, value in record.items() if value is not msgspec.UNSET}


def _record(plain: PlainRequest | PlainResponse, kind: str, body: PlainBody) -> dict[str, Any]:
    return {**msgspec.structs.asdict(plain), "type": kind, "body": msgspec.structs.asdict(body)}


Plain = Initiated | PlainRequest | PlainResponse


def plain_decoder(*, requests: bool) -> Callable[[bytes], list[Plain]]:
    """Return a decoder of lines of plain records. It raises one of `UNREADABLE` for other records, and for no lines.

    `requests`: whether complete requests are among them; their header fields are not decoded.
    """
    decode: Any = msgspec.json.Decoder(Plain if requests else Initiated | PlainResponse).decode_lines
    return decode  # type: ignore[no-any-return]


class _Needed(TypedDict, total=False):
    type: str
    id: Any
    method: Any
    url: Any
    headers: Any
    tags: Any
    scope: Any
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
    """Return the keys of a line that are compared. Raises `orjson.JSONDecodeError` for a line that is not JSON."""
    try:
        return _needed(line)
    except UNREADABLE:
        return orjson.loads(line)  # its error also names the fault
