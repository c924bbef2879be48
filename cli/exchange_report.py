"""One exchange in full, as text: its records in order, with heads, bodies and timing.

Yields lines and prints nothing. Text from the wire is escaped here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mockrec.cli.grpc_report import GrpcReport
from mockrec.cli.operation_report import operation_lines
from mockrec.cli.printing import duration, escape, size
from mockrec.formats.operations.grpc.descriptors import Descriptors
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError

Record = Mapping[str, Any]

_INDENT = "    "
_HEX_BYTES = 256
"""Most bytes that are shown of a binary body."""

_ENVELOPE = frozenset({"seq", "type", "timestamp", "id", "connectionId", "streamId", "requestId"})
_REQUEST_HEAD = frozenset(
    {
        "protocol",
        "httpVersion",
        "method",
        "url",
        "path",
        "remoteIpAddress",
        "remotePort",
        "headers",
        "rawHeaders",
    }
)
_RESPONSE_HEAD = frozenset({"statusCode", "statusMessage", "headers", "rawHeaders"})
_BODIES = {"requestBody": "request body", "body": "body", "content": "content", "rawHead": "bytes received"}
_TIMING = {
    "bodyReceivedTimestamp": "request complete",
    "headersSentTimestamp": "head sent",
    "responseSentTimestamp": "response sent",
    "wsAcceptedTimestamp": "accepted",
    "wsClosedTimestamp": "closed",
    "abortedTimestamp": "aborted",
    "connectTimestamp": "connected",
    "tunnelTimestamp": "tunnel ready",
    "handshakeTimestamp": "handshake done",
    "disconnectTimestamp": "disconnected",
    "failureTimestamp": "failed",
}


def story(
    records: Sequence[Record], bodies_folder: Path | None, descriptors: Descriptors | None = None
) -> Iterator[str]:
    """Yield the lines of an exchange, from its records in file order. `descriptors` name fields of gRPC messages."""
    first = records[0]
    grpc = GrpcReport.of(str(first.get("url", "")), descriptors)
    yield f"{escape(str(first.get('id', '')))}  on connection {escape(str(first.get('connectionId', '(none)')))}"
    head_shown = False
    for record in records:
        yield ""
        when, seq = escape(str(record.get("timestamp", ""))), escape(str(record.get("seq", "?")))
        yield f"{when}  {escape(record['type'])}  (seq {seq})"
        repeated = record["type"] in ("request", "abort", "websocket-request") and head_shown
        for line in _content(record, bodies_folder, repeated, grpc):
            yield f"{_INDENT}{line}".rstrip()
        head_shown = head_shown or ("rawHeaders" in record and "statusCode" not in record)
    described = [escape(line, keep_lines=True) for line in operation_lines(records, bodies_folder)]
    if described:
        yield ""
        yield from described


def _content(record: Record, folder: Path | None, head_shown: bool, grpc: GrpcReport) -> Iterator[str]:
    """Yield the fields of a record but its envelope; a request's head only if it was not shown before."""
    shown: set[str] = set(_ENVELOPE)
    if "statusCode" in record:
        yield from _response_head(record)
        shown |= _RESPONSE_HEAD | {"method", "url", "host"}
    elif "method" in record or "rawHeaders" in record:
        if not head_shown:
            yield from _request_head(record)
        shown |= _REQUEST_HEAD | {"host", "destination"}
        if head_shown:
            shown.add("tlsMetadata")
    for key, value in record.items():
        if key in shown or value == []:
            continue
        if key in _BODIES and isinstance(value, Mapping):
            messages = list(grpc.body(record, value, folder)) if key != "rawHead" else []
            yield from _body(_BODIES[key], value, folder, messages)
        elif key == "timingEvents" and isinstance(value, Mapping):
            yield f"timing: {_timing(value)}"
        elif key == "duration" and isinstance(value, (int, float)):
            yield f"duration: {duration(value)}"
        elif key in ("request", "response") and isinstance(value, Mapping):
            yield f"{key}:"
            for line in _content(value, folder, False, grpc):
                yield f"{_INDENT}{line}"
        else:
            yield f"{escape(key)}: {_value(value)}"


def _request_head(record: Record) -> Iterator[str]:
    version = f" HTTP/{record['httpVersion']}" if "httpVersion" in record else ""
    line = f"{record.get('method', '?')} {record.get('url', record.get('path', '?'))}{version}"
    client = (
        f"  (from {record['remoteIpAddress']}:{record.get('remotePort', '?')})" if "remoteIpAddress" in record else ""
    )
    yield escape(line + client)
    yield from _header_lines(record)


def _response_head(record: Record) -> Iterator[str]:
    yield escape(f"{record['statusCode']} {record.get('statusMessage', '')}".rstrip())
    yield from _header_lines(record)


def _header_lines(record: Record) -> Iterator[str]:
    pairs = record.get("rawHeaders")
    if not isinstance(pairs, list):
        return
    for pair in pairs:
        yield escape(": ".join(map(str, pair)) if isinstance(pair, list) else str(pair))


def _body(title: str, record: Record, folder: Path | None, messages: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a body: its `messages`, or else its text or bytes."""
    try:
        body = Body.from_record(record, folder)
        marks = [name for name in ("truncated", "redacted", "undecodable", "incomplete") if getattr(body, name)]
        if body.content_encoding:
            marks.append(f"was {body.content_encoding}, {size(body.encoded_size or 0)}")
        suffix = f" ({escape(', '.join(marks))})" if marks else ""
        yield f"{title}: {size(body.size)}{suffix}"
        text = body.text
        if messages:
            for line in messages:
                yield f"  {line}"
        elif text is not None:
            for line in text.splitlines():
                yield f"  {escape(line, keep_lines=True)}"
        else:
            yield from _hex(body.bytes)
    except (FormatError, TypeError, AttributeError) as error:
        # A damaged body must not hide the rest of the exchange.
        yield f"{title}: cannot be shown: {escape(str(error))}"


def _hex(data: bytes) -> Iterator[str]:
    shown = data[:_HEX_BYTES]
    for start in range(0, len(shown), 16):
        row = shown[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"  {start:08x}  {row.hex(' '):<47}  {text}"
    if len(data) > len(shown):
        yield f"  … {size(len(data) - len(shown))} more (--as json has them all)"


def _timing(timing: Record) -> str:
    """Return the milestones in milliseconds since the start."""
    start = timing.get("startTimestamp", timing.get("connectTimestamp"))
    if not isinstance(start, (int, float)):
        return _value(timing)
    steps = [
        f"{words} +{duration(timing[key] - start)}"
        for key, words in _TIMING.items()
        if isinstance(timing.get(key), (int, float))
    ]
    return ", ".join(steps) or "started"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    return escape(json.dumps(value, ensure_ascii=False))
