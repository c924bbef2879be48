"""The records of a session as far as a comparison looks at them: most of a line is skipped, not read.

Plain requests and responses, which are nearly all records of a session, are read into structs of just the needed
fields. Any other record, and any field of an unexpected type, is read as a mapping (`decode`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import msgspec
import orjson

UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""What the decoders raise for a line that they do not take."""


class PlainBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A body that is text and complete."""

    size: int | float
    text: str


class ExchangeTimes(msgspec.Struct, gc=False):
    """Of `timingEvents`, in milliseconds."""

    startTimestamp: int | float | None = None
    headersSentTimestamp: int | float | None = None


class Initiated(msgspec.Struct, gc=False, tag_field="type", tag="request-initiated"):
    """A request whose head has come. The same head comes again with the complete request."""

    id: str
    method: str
    url: str
    tags: list[str] = []


class PlainRequest(msgspec.Struct, gc=False, tag_field="type", tag="request"):
    """A complete request."""

    id: str
    method: str
    url: str
    body: PlainBody
    tags: list[str] = []

    def record(self) -> dict[str, Any]:
        """As it would be read by `decode`, but for its header fields."""
        return _record(self, "request", self.body)


class PlainResponse(msgspec.Struct, gc=False, tag_field="type", tag="response"):
    """A response whose fields are texts; one with `set-cookie` is read as a mapping."""

    id: str
    statusCode: int | float
    body: PlainBody
    statusMessage: str | None = None
    headers: dict[str, str] = {}
    duration: int | float | None = None
    timingEvents: ExchangeTimes | None = None
    trailers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, str | int | float | None] | msgspec.UnsetType = msgspec.UNSET
    # Of the request: needed where that has no record of its own.
    method: str = ""
    url: str = ""
    tags: list[str] = []

    def record(self) -> dict[str, Any]:
        """As it would be read by `decode`."""
        record = _record(self, "response", self.body)
        if self.timingEvents is not None:
            record["timingEvents"] = msgspec.structs.asdict(self.timingEvents)
        return {key: value for key, value in record.items() if value is not msgspec.UNSET}


def _record(plain: PlainRequest | PlainResponse, kind: str, body: PlainBody) -> dict[str, Any]:
    return {**msgspec.structs.asdict(plain), "type": kind, "body": msgspec.structs.asdict(body)}


Plain = Initiated | PlainRequest | PlainResponse


def plain_decoder(*, requests: bool) -> Callable[[bytes], list[Plain]]:
    """A decoder of lines that hold only plain records. It raises one of `UNREADABLE` for others, and for no lines.

    `requests`: whether complete requests are among them; their header fields are not read.
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
