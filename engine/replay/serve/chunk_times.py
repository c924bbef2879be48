"""Split a recorded body into chunks, each with the time at which it is sent.

Where the recording has the chunks (`response-body-data`), their sizes and times are kept. Otherwise the events of an
event stream are spread evenly over the recorded duration of the body, and any other body is sent whole at its end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.wire.parts import header_table

_MAX_EVENTS: Final = 10_000
"""At most this many events are sent one by one; the last chunk of a longer stream holds all remaining events."""
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)")
"""A blank line ends an event (HTML standard, 9.2.5)."""


def ticks(
    body: bytes,
    fields: Sequence[Sequence[str]],
    record: Mapping[str, Any],
    pieces: Sequence[float],
    latency: Latency,
    *,
    is_open: bool = False,
) -> list[tuple[float, bytes]]:
    """Return the chunks in order, each with its due time in milliseconds after the complete request.

    `fields` are the response's header fields. `is_open`: the stream had not ended when the client disconnected, so its
    last event is due before the recorded end.
    """
    head, end = latency.of(record)
    if pieces:
        return _recorded_chunks(body, record, pieces, latency, end)
    headers = header_table(fields)
    is_events = headers.get("content-type", "").lower().startswith("text/event-stream")
    if not is_events or "content-encoding" in headers:
        return [(end, body)]
    events = _events(body)
    steps = max(1, len(events) if is_open else len(events) - 1)
    return [(head + (end - head) * number / steps, event) for number, event in enumerate(events)]


def _recorded_chunks(
    body: bytes, record: Mapping[str, Any], pieces: Sequence[float], latency: Latency, end: float
) -> list[tuple[float, bytes]]:
    found: list[tuple[float, bytes]] = []
    start = 0
    for at, size in zip(pieces[::2], pieces[1::2], strict=True):
        data = body[start : start + int(size)]
        start += int(size)
        if data:
            found.append((latency.due(record, at, end), data))
    return [*found, (end, body[start:])] if start < len(body) else found


def _events(body: bytes) -> list[bytes]:
    events: list[bytes] = []
    start = 0
    for found in _EVENT_END.finditer(body):
        if len(events) == _MAX_EVENTS - 1:
            break
        events.append(body[start : found.end()])
        start = found.end()
    return [*events, body[start:]] if start < len(body) or not events else events
