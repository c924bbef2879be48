"""The lines of workers become records of one session; and what a lost worker has left open gets its end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from mockrec.engine import clock
from mockrec.engine.recording.recorder import Recorder
from mockrec.engine.run.workers.batches import HEAD, Batch, Unpacker
from mockrec.formats.schema.lifecycle import ENDS_OF

Record = dict[str, Any]

LOST_CODE: Final = "E_WORKER_LOST"


class Merge:
    """The records of one worker, from its start to its end."""

    def __init__(self, recorder: Recorder, kept: Collection[str]) -> None:
        """`kept`: types of records that are recorded. What has no end among them is not waited for."""
        self._recorder = recorder
        self._waited_for = {kind for kind, ends in ENDS_OF.items() if ends <= frozenset(kept)}
        self._unpacker = Unpacker()
        self._open: dict[str, bytes] = {}
        """Exchange or tunnel → what of its first line stands after the number."""
        self._left_out: Counter[str] = Counter()
        """Records that the worker has left out, less those that its `gap` records tell; negative where those have come
        first."""
        self._ended_unseen: set[str] = set()
        """Ends that were left out, of exchanges whose first record is still on its way."""

    def take(self, data: bytes) -> None:
        """Bytes as they come from the worker, cut anywhere."""
        for batch in self._unpacker.feed(data):
            self._add(batch)

    def _add(self, batch: Batch) -> None:
        for identity in batch.ended:
            self._open.pop(identity, None)
        for identity, place in batch.opened:
            if identity in self._ended_unseen:
                self._ended_unseen.discard(identity)
            elif batch.kinds[place] in self._waited_for:
                self._open[identity] = batch.pieces[place]
        if "gap" in batch.kinds:
            for kind, piece in zip(batch.kinds, batch.pieces, strict=True):
                if kind == "gap":
                    self._left_out.subtract(orjson.loads(HEAD + piece)["counts"])
        self._recorder.add_lines(batch.kinds, batch.pieces)

    def left_out(self, counts: Mapping[str, int], ended: Iterable[str]) -> None:
        """The worker has left records out: how many of each type, and which exchanges and tunnels they would have
        ended."""
        self._left_out.update(counts)
        for identity in ended:
            if self._open.pop(identity, None) is None:
                self._ended_unseen.add(identity)

    def lost(self, add: Any) -> int:
        """The worker has died: take what has come of its last batch, and end what it had open with records given to
        `add`; how many those were."""
        rest = self._unpacker.rest()
        if rest is not None:
            self._add(rest)
        now = clock.now()
        untold = {kind: count for kind, count in self._left_out.items() if count > 0}
        if untold:
            add({"seq": 0, "type": "gap", "timestamp": clock.timestamp(now), "counts": untold})
        count = 0
        for record in self._ends(now):
            add(record)
            count += 1
        self._open.clear()
        self._ended_unseen.clear()
        self._left_out.clear()
        return count

    def _ends(self, now: float) -> Iterator[Record]:
        for piece in self._open.values():
            opened: Record = orjson.loads(HEAD + piece)
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
        "bytesReceived": 0,  # nobody knows any more
        "bytesSent": 0,
        "tags": [*opened["tags"], f"{kind}-error:{LOST_CODE}"],
    }
