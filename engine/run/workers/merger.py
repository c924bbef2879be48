"""Merges the records of workers into one session, and ends the exchanges that a lost worker has left open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from mockrec.engine import clock
from mockrec.engine.recording.recorder import Recorder
from mockrec.engine.run.workers.batches import Batch, Unpacker
from mockrec.formats.schema.lifecycle import ENDS_OF

Record = dict[str, Any]

LOST_CODE: Final = "E_WORKER_LOST"


class WorkerMerger:
    """Passes the records of one worker on to the parent's recorder, from the worker's start to its end."""

    def __init__(self, recorder: Recorder, types: Collection[str]) -> None:
        """`types` are recorded. An exchange whose end is not among them counts as ended."""
        self._recorder = recorder
        self._awaited = {kind for kind, ends in ENDS_OF.items() if ends <= frozenset(types)}
        self._unpacker = Unpacker()
        self._open: dict[str, bytes] = {}
        """Open exchange or tunnel → the line of its first record."""
        self._left_out: Counter[str] = Counter()
        """Records that the worker has left out, less those that its `gap` records count; negative if a `gap` record has
        arrived before the message."""
        self._ended_early: set[str] = set()
        """Exchanges and tunnels whose last record was left out, and whose first record has not arrived yet."""

    def take(self, data: bytes) -> None:
        """Take bytes from the worker; a batch may be cut anywhere."""
        for batch in self._unpacker.feed(data):
            self._add(batch)

    def _add(self, batch: Batch) -> None:
        for identity in batch.ended:
            self._open.pop(identity, None)
        if batch.opened or "gap" in batch.types:
            lines = batch.each_line
            for identity, index in batch.opened:
                if identity in self._ended_early:
                    self._ended_early.discard(identity)
                elif batch.types[index] in self._awaited:
                    self._open[identity] = lines[index]
            for kind, line in zip(batch.types, lines, strict=True):
                if kind == "gap":
                    self._left_out.subtract(orjson.loads(line)["counts"])
        self._recorder.add_lines(batch.types, batch.lines)

    def left_out(self, counts: Mapping[str, int], ended: Iterable[str]) -> None:
        """The worker has left out `counts` records of each type, among them the last records of `ended`."""
        self._left_out.update(counts)
        for identity in ended:
            if self._open.pop(identity, None) is None:
                self._ended_early.add(identity)

    def lost(self, add: Callable[[Record], None]) -> int:
        """The worker has died: take the rest of its records, and end what it had open with records given to `add`.

        Return how many exchanges and tunnels it had open.
        """
        rest = self._unpacker.rest()
        if rest is not None:
            self._add(rest)
        now = clock.now()
        unrecorded = {kind: count for kind, count in self._left_out.items() if count > 0}
        if unrecorded:
            add({"seq": 0, "type": "gap", "timestamp": clock.timestamp(now), "counts": unrecorded})
        count = 0
        for record in self._ends(now):
            add(record)
            count += 1
        self._open.clear()
        self._ended_early.clear()
        self._left_out.clear()
        return count

    def _ends(self, now: float) -> Iterator[Record]:
        for line in self._open.values():
            opened = orjson.loads(line)
            yield _closed(opened, now) if opened["type"].endswith("-opened") else _aborted(opened, now)


def _aborted(opened: Record, now: float) -> Record:
    timing = opened["timingEvents"]
    opened.pop("body", None)
    return opened | {
        "type": "abort",
        "timestamp": clock.timestamp(now),
        "timingEvents": timing | {"abortedTimestamp": now},
        "host": _host(opened),
        "duration": round(now - timing["startTimestamp"], 4),
        "error": {
            "name": "WorkerLost",
            "code": LOST_CODE,
            "message": "the process that served this connection has died",
        },
    }


def _host(opened: Record) -> str:
    return re.split("[/?#]", str(opened["url"]).partition("://")[2], maxsplit=1)[0].rpartition("@")[2]


def _closed(opened: Record, now: float) -> Record:
    kind = opened["type"].removesuffix("-opened")
    return opened | {
        "type": f"{kind}-closed",
        "timestamp": clock.timestamp(now),
        "timingEvents": opened["timingEvents"] | {"disconnectTimestamp": now},
        "bytesReceived": 0,  # the worker has not said
        "bytesSent": 0,
        "tags": [*opened["tags"], f"{kind}-error:{LOST_CODE}"],
    }
