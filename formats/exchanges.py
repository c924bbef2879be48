"""One row for each exchange, tunnel and fault of a session, made while its records pass by.

Remembers only what is still open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Row:
    """What one line can say about an exchange, a tunnel or a fault."""

    kind: str
    """The type of the record that ended it; `open` when nothing did."""
    id: str
    status: int | None = None
    method: str = ""
    url: str = ""
    duration: float | None = None
    """Milliseconds."""
    rule: str = ""
    note: str = ""
    """What was unusual, in a few words."""


def fold(records: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Row]:
    """Rows in the order of the ends; what never ended comes last."""
    still_open: dict[str, Row] = {}
    for _, record in records:
        kind = record["type"]
        identity = _text(record.get("id"))
        if kind in _ROWS:
            row = _ROWS[kind](record)
            row.kind, row.id = kind, identity
            still_open.pop(identity, None)
            yield row
        elif kind in ("request-initiated", "websocket-request"):
            still_open[identity] = _open_exchange(record)
        elif kind in ("tls-passthrough-opened", "raw-passthrough-opened"):
            still_open[identity] = _open_tunnel(record)
    yield from still_open.values()


def _open_exchange(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.note = "has no end"
    return row


def _open_tunnel(record: Mapping[str, Any]) -> Row:
    return Row("open", _text(record.get("id")), url=place(record.get("destination")), note="has no end")


def _exchange(record: Mapping[str, Any]) -> Row:
    return Row(
        "open",
        _text(record.get("id")),
        status=_status(record),
        method=_text(record.get("method")),
        url=_text(record.get("url")),
        duration=_number(record.get("duration")),
        rule=_text(record.get("matchedRuleId")),
    )


def _abort(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.status = _status(_object(record.get("response")))
    row.note = _error(record.get("error")) or "aborted"
    return row


def _websocket_close(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.status = 101
    words = ["closed", _text(record.get("closeCode")), _text(record.get("closeReason"))]
    row.note = " ".join(word for word in words if word)
    return row


def _client_error(record: Mapping[str, Any]) -> Row:
    request = _object(record.get("request"))
    return Row(
        "client-error",
        "",
        status=_status(_object(record.get("response"))),
        method=_text(request.get("method")),
        url=_text(request.get("url")),
        note=_text(record.get("errorCode")) or "client error",
    )


def _tls_error(record: Mapping[str, Any]) -> Row:
    name = _text(_object(record.get("tlsMetadata")).get("sniHostname"))
    return Row(
        "tls-client-error",
        "",
        url=name or place(record.get("destination")),
        note=f"TLS handshake: {record.get('failureCause', 'unknown')}",
    )


def _tunnel(record: Mapping[str, Any]) -> Row:
    timing = _object(record.get("timingEvents"))
    start, end = _number(timing.get("connectTimestamp")), _number(timing.get("disconnectTimestamp"))
    return Row(
        "",
        "",
        url=place(record.get("destination")),
        duration=end - start if start is not None and end is not None else None,
        note=f"tunnel, {record.get('bytesReceived', 0)} bytes in, {record.get('bytesSent', 0)} bytes out",
    )


def _gap(record: Mapping[str, Any]) -> Row:
    dropped = sum(_number(count) or 0 for count in _object(record.get("counts")).values())
    return Row("gap", "", note=f"{dropped:.0f} records were left out here: the disk was too slow")


def _callback_error(record: Mapping[str, Any]) -> Row:
    return Row("callback-error", "", note=f"callback: {_error(record.get('error')) or 'failed'}")


def _error(error: Any) -> str:
    known = _object(error)
    words = _text(known.get("code")) or _text(known.get("name")), _text(known.get("message"))
    return ": ".join(word for word in words if word)


def place(destination: Any) -> str:
    """`host:port` of a destination, as far as it is there."""
    known = _object(destination)
    return ":".join(_text(known[key]) for key in ("hostname", "port") if key in known)


# A session may be edited by hand or come from elsewhere: a value of the wrong type is shown or left out,
# never a reason to fail. `verify` is who complains about it.


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None


def _status(record: Mapping[str, Any]) -> int | None:
    value = record.get("statusCode")
    return value if type(value) is int else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_ROWS = {
    "response": _exchange,
    "abort": _abort,
    "websocket-close": _websocket_close,
    "client-error": _client_error,
    "tls-client-error": _tls_error,
    "tls-passthrough-closed": _tunnel,
    "raw-passthrough-closed": _tunnel,
    "gap": _gap,
    "callback-error": _callback_error,
}
