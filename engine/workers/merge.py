"""The lines of workers become records of one session; and what a lost worker has left open gets its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from mockrec.engine import clock
from mockrec.engine.record.recorder import Recorder
from mockrec.formats.events import EVENT_TYPES

Record = dict[str, Any]

LOST_CODE: Final = "E_WORKER_LOST"
# A worker's line begins with `{"seq":0,"type":"TYPE","timestamp":"2026-01-01T00:00:00.000000Z","id":"`. To look at
# places in it is quicker than to parse it, and this is done for every record of every worker.
_HEAD = b'{"seq":0'
_BETWEEN = b"\n" + _HEAD
_KIND = len(b',"type":"')
_TO_ID = len(b'","timestamp":"2026-01-01T00:00:00.000000Z","id":"')
_ID = 36

_OPENS, _ENDS = "opens", "ends"
_ROLES = {
    "request-initiated": _OPENS,
    "websocket-request": _OPENS,
    "tls-passthrough-opened": _OPENS,
    "raw-passthrough-opened": _OPENS,
    "response": _ENDS,
    "abort": _ENDS,
    "websocket-close": _ENDS,
    "tls-passthrough-closed": _ENDS,
    "raw-passthrough-closed": _ENDS,
}
_KINDS = {kind.encode(): (kind, _ROLES.get(kind)) for kind in EVENT_TYPES}


class Merge:
    """The lines of one worker, from its start to its end."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rest = b""
        self._open: dict[bytes, bytes] = {}
        """Exchange or tunnel → what of its first line stands after the number."""

    def take(self, data: bytes) -> None:
        """Bytes as they come from the worker, cut anywhere."""
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n")
        self._rest = data[end + 1 :]
        if end < 0:
            return
        # No line has a line break inside, so nothing else can look like the beginning of one.
        pieces = data[len(_HEAD) : end].split(_BETWEEN)
        kinds = []
        opened = self._open
        for piece in pieces:
            kind_end = piece.index(b'"', _KIND)
            kind, role = _KINDS[piece[_KIND:kind_end]]
            kinds.append(kind)
            if role is _ENDS:
                opened.pop(piece[kind_end + _TO_ID : kind_end + _TO_ID + _ID], None)
            elif role is _OPENS:
                opened[piece[kind_end + _TO_ID : kind_end + _TO_ID + _ID]] = piece
        self._recorder.add_lines(kinds, pieces)

    def lost(self, add: Any) -> int:
        """The worker has died: end what it had open with records given to `add`; how many those were."""
        now = clock.now()
        count = 0
        for record in self._ends(now):
            add(record)
            count += 1
        self._open.clear()
        self._rest = b""  # half a line: its record is lost, like those that were not sent at all
        return count

    def _ends(self, now: float) -> Iterator[Record]:
        for piece in self._open.values():
            opened: Record = orjson.loads(_HEAD + piece)
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
    return str(opened["url"]).partition("://")[2].partition("/")[0]


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
