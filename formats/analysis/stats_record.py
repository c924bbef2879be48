"""What statistics read of a record."""

from __future__ import annotations

from typing import Any

import msgspec


class _Body(msgspec.Struct, frozen=True, gc=False):
    size: Any = 0


class _Response(msgspec.Struct, frozen=True, gc=False):
    statusCode: Any = None
    body: _Body = _Body()


class _Timing(msgspec.Struct, frozen=True, gc=False):
    startTimestamp: Any = None
    headersSentTimestamp: Any = None


class StatsRecord(msgspec.Struct, gc=False):
    """The keys that are counted; the rest of a line is skipped."""

    type: str
    id: Any = None
    timestamp: Any = None
    method: Any = None
    url: Any = None
    statusCode: Any = None
    duration: Any = None
    matchedRuleId: Any = None
    error: Any = None
    errorCode: Any = None
    failureCause: Any = None
    destination: Any = None
    bytesReceived: Any = None
    bytesSent: Any = None
    rules: Any = None
    body: _Body = _Body()
    requestBody: _Body = _Body()
    response: _Response = _Response()
    timingEvents: _Timing = _Timing()


NEEDED = (
    *((name,) for name in StatsRecord.__struct_fields__),
    *(("headers",), ("trailers",), ("operation",), ("content",)),
)
"""The paths of these keys, for sources that can leave the rest of a record out."""
