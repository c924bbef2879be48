"""Sort the contents of a session by time.

A recorder writes a record once it is complete and redacted, and other tools write one exchange after the other. So a
response may follow a request that depends on it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, RecordedResponse, known_at, time_of

_MOST: Final = 512
"""The most items that are held back at a time."""
_MOST_BYTES: Final = 16 * 1024 * 1024
"""The most bytes of bodies in the items that are held back."""


def in_time(
    items: Iterable[RecordedRequest | RecordedMessage | RecordedResponse],
) -> Iterator[RecordedRequest | RecordedMessage | RecordedResponse]:
    """Yield the items sorted by time, as far as a bounded lookahead allows."""
    held: list[tuple[float, int, int, RecordedRequest | RecordedMessage | RecordedResponse]] = []
    requested: dict[str, float] = {}
    """The time of each request that is held back; its own response is never sorted before it."""
    latest = 0.0
    size = 0
    for number, item in enumerate(items):
        if isinstance(item, RecordedRequest):
            time = requested[item.id] = item.began
        elif isinstance(item, RecordedResponse):
            time = max(known_at(item.record), requested.get(item.id, 0.0))
        else:
            time = time_of(item.record)
        latest = time or latest  # an item without a time keeps its position
        entry = latest, number, _size(item), item
        heapq.heappush(held, entry)
        size += entry[2]
        while len(held) > _MOST or size > _MOST_BYTES:
            _, _, first_size, first = heapq.heappop(held)
            size -= first_size
            if isinstance(first, RecordedRequest):
                requested.pop(first.id, None)
            yield first
    while held:
        yield heapq.heappop(held)[3]


def _size(item: RecordedRequest | RecordedMessage | RecordedResponse) -> int:
    body = item.record.get("body")
    size = body.get("size") if isinstance(body, Mapping) and "file" not in body else 0
    return size if isinstance(size, int) else 0
