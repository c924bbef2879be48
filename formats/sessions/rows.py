"""One row for each exchange, tunnel and fault of a session, in one pass over its records.

In memory are the rows of open exchanges and tunnels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mockrec.formats.operations.readers import operation_of_record
from mockrec.formats.operations.spec import Operation
from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.schema.lenient import number_of, object_of, status_of, text_of
from mockrec.formats.schema.lifecycle import CLOSED_TYPES, COMPLETE_TYPES, ENDING_TYPES, FIRST_TYPES, OPENED_TYPES
from mockrec.formats.schema.upstream_failures import failure_code, failure_words

_MOST_NAMED = 10_000
"""Operations of exchanges without an end that are remembered."""
_NAMING = COMPLETE_TYPES | {"websocket-message-received"}
"""Types of records that may name an operation."""


@dataclass(slots=True)
class Row:
    """An exchange, a tunnel or a fault in one line."""

    kind: str
    """The type of the record that ended it; `open` if there is none."""
    id: str
    status: int | None = None
    method: str = ""
    url: str = ""
    duration: float | None = None
    """Milliseconds."""
    rule: str = ""
    note: str = ""
    """What was unusual, in a few words: the error, the close code, the size of a tunnel."""
    operation: str = ""
    """The operation's name, as far as the body names one."""


def rows_of(records: Iterable[tuple[int, Mapping[str, Any]]], bodies_folder: Path | None = None) -> Iterator[Row]:
    """Yield rows in the order of the ends; exchanges and tunnels without an end come last. `bodies_folder` has the
    bodies in files of their own, from which operations are named."""
    exchanges = Assembler[Row]()
    named: dict[str, Operation] = {}
    """The operations of exchanges that have not ended."""
    for _, record in records:
        kind = record["type"]
        identity = text_of(record.get("id"))
        if kind in _NAMING and identity not in named:
            _add_operation(named, identity, record, bodies_folder)
        if kind in _ROWS:
            row = _ROWS[kind](record)
            row.kind, row.id = kind, identity
            operation = named.pop(identity, None)
            if operation is not None:
                row.operation, row.note = operation.name, row.note or operation.finding
            if kind in ENDING_TYPES:
                exchanges.hand_on(identity)
            yield row
        elif kind in FIRST_TYPES:
            exchanges.current[identity] = _open_exchange(record)
        elif kind in OPENED_TYPES:
            exchanges.current[identity] = _open_tunnel(record)
    for row in exchanges.rest():
        if row.id in named:
            row.operation = named[row.id].name
        yield row


def _add_operation(
    named: dict[str, Operation], identity: str, record: Mapping[str, Any], bodies_folder: Path | None
) -> None:
    """Remember the operation that a request, or a message of a WebSocket, names."""
    operation = operation_of_record(record, bodies_folder)
    if operation is not None:
        named[identity] = operation
        if len(named) > _MOST_NAMED:
            del named[next(iter(named))]


def _open_exchange(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.note = "has no end"
    return row


def _open_tunnel(record: Mapping[str, Any]) -> Row:
    return Row("open", text_of(record.get("id")), url=place(record.get("destination")), note="has no end")


def _exchange(record: Mapping[str, Any]) -> Row:
    return Row(
        "open",
        text_of(record.get("id")),
        status=status_of(record),
        method=text_of(record.get("method")),
        url=text_of(record.get("url")),
        duration=number_of(record.get("duration")),
        rule=text_of(record.get("matchedRuleId")),
    )


def _response(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.note = _upstream_failure(record)
    return row


def _abort(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.status = status_of(object_of(record.get("response")))
    row.note = _error(record.get("error")) or _upstream_failure(record) or "aborted"
    return row


def _websocket_close(record: Mapping[str, Any]) -> Row:
    row = _exchange(record)
    row.status = 101
    words = ["closed", text_of(record.get("closeCode")), text_of(record.get("closeReason"))]
    row.note = " ".join(word for word in words if word)
    return row


def _client_error(record: Mapping[str, Any]) -> Row:
    request = object_of(record.get("request"))
    return Row(
        "client-error",
        "",
        status=status_of(object_of(record.get("response"))),
        method=text_of(request.get("method")),
        url=text_of(request.get("url")),
        note=text_of(record.get("errorCode")) or "client error",
    )


def _tls_error(record: Mapping[str, Any]) -> Row:
    name = text_of(object_of(record.get("tlsMetadata")).get("sniHostname"))
    return Row(
        "tls-client-error",
        "",
        url=name or place(record.get("destination")),
        note=f"TLS handshake: {record.get('failureCause', 'unknown')}",
    )


def _tunnel(record: Mapping[str, Any]) -> Row:
    timing = object_of(record.get("timingEvents"))
    start, end = number_of(timing.get("connectTimestamp")), number_of(timing.get("disconnectTimestamp"))
    return Row(
        "",
        "",
        url=place(record.get("destination")),
        duration=end - start if start is not None and end is not None else None,
        note=f"tunnel, {record.get('bytesReceived', 0)} bytes in, {record.get('bytesSent', 0)} bytes out",
    )


def _gap(record: Mapping[str, Any]) -> Row:
    dropped = sum(number_of(count) or 0 for count in object_of(record.get("counts")).values())
    return Row("gap", "", note=f"{dropped:.0f} records were left out here: the disk was too slow")


def _callback_error(record: Mapping[str, Any]) -> Row:
    return Row("callback-error", "", note=f"callback: {_error(record.get('error')) or 'failed'}")


def _upstream_failure(record: Mapping[str, Any]) -> str:
    """Return why the server could not be asked; empty if it could."""
    code = failure_code(record.get("tags"))
    return "" if code is None else failure_words(code)


def _error(error: Any) -> str:
    known = object_of(error)
    words = text_of(known.get("code")) or text_of(known.get("name")), text_of(known.get("message"))
    return ": ".join(word for word in words if word)


def place(destination: Any) -> str:
    """Return `host:port` of a destination, as far as both are recorded."""
    known = object_of(destination)
    return ":".join(text_of(known[key]) for key in ("hostname", "port") if key in known)


_ROWS = {
    "response": _response,
    "abort": _abort,
    "websocket-close": _websocket_close,
    "client-error": _client_error,
    "tls-client-error": _tls_error,
    **dict.fromkeys(CLOSED_TYPES, _tunnel),
    "gap": _gap,
    "callback-error": _callback_error,
}
