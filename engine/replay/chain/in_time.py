"""What a session says, in the order in which it happened.

A recorder writes a record when it has it whole and redacted, and other tools write exchange after exchange; so an
answer may stand behind a request that was made of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, RecordedResponse, known_at, time_of

_MOST: Final = 512
"""What is held back at a time."""
_MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of bodies in that."""


def in_time(
    found: Iterable[RecordedRequest | RecordedMessage | RecordedResponse],
) -> Iterator[RecordedRequest | RecordedMessage | RecordedResponse]:
    """The same, sorted as far as that is possible with a bounded look ahead."""
    held: list[tuple[float, int, int, RecordedRequest | RecordedMessage | RecordedResponse]] = []
    requested: dict[str, float] = {}
    """Time of each request that is held back: its own response never comes before it."""
    latest = 0.0
    size = 0
    for number, one in enumerate(found):
        if isinstance(one, RecordedRequest):
            time = requested[one.id] = one.began
        elif isinstance(one, RecordedResponse):
            time = max(known_at(one.record), requested.get(one.id, 0.0))
        else:
            time = time_of(one.record)
        latest = time or latest  # what has no time stays where it is
        entry = latest, number, _size(one), one
        heapq.heappush(held, entry)
        size += entry[2]
        while len(held) > _MOST or size > _MOST_BYTES:
            _, _, less, first = heapq.heappop(held)
            size -= less
            if isinstance(first, RecordedRequest):
                requested.pop(first.id, None)
            yield first
    while held:
        yield heapq.heappop(held)[3]


def _size(one: RecordedRequest | RecordedMessage | RecordedResponse) -> int:
    body = one.record.get("body")
    size = body.get("size") if isinstance(body, Mapping) and "file" not in body else 0
    return size if isinstance(size, int) else 0
