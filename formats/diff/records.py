"""The records of a session as far as a comparison looks at them: most of a line is skipped, not read.

The head of a request comes twice, when it begins and when its body is complete. The first one is needed only where
the second never comes, so its line waits as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

import msgspec
import orjson

HEAD: Final = "\x00head"
"""Key under which a `request-initiated` has its line, to be read by `whole_head` if it is needed."""
_BEGINS: Final = b'"type":"request-initiated"'
_NEAR: Final = 64
"""Bytes of a line in which its type stands, as the recorder writes it; other lines are read as a whole."""


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


class _Named(TypedDict, total=False):
    type: str
    id: Any


_needed = msgspec.json.Decoder(_Needed).decode
_named = msgspec.json.Decoder(_Named).decode


def decode(line: bytes) -> Any:
    """What of a line is compared. Raises `orjson.JSONDecodeError` for a line that is no JSON."""
    try:
        if _BEGINS in line[:_NEAR]:
            record: Any = _named(line)
            record[HEAD] = line
            return record
        return _needed(line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return orjson.loads(line)  # which also says what is wrong


def whole_head(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `request-initiated` with what it says of the request."""
    line = record.get(HEAD)
    if line is None:
        return record
    try:
        return _needed(line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        found = orjson.loads(line)
        return found if isinstance(found, Mapping) else record
