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
_OPENS = frozenset({"request-initiated", "websocket-request", "tls-passthrough-opened", "raw-passthrough-opened"})
_ENDS = frozenset({"response", "abort", "websocket-close", "tls-passthrough-closed", "raw-passthrough-closed"})
# What stands after `{"seq":12` in a line, for each type: quicker to tell apart than a parsed record.
_TYPE = b',"type":"'
_KINDS = {kind.encode(): kind for kind in EVENT_TYPES}
_ID = b'"id":"'


class Merge:
    """The lines of one worker, from its start to its end."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rest = b""
        self._open: dict[bytes, bytes] = {}
        """Exchange or tunnel → the line that opened it."""

    def take(self, data: bytes) -> None:
        """Bytes as they come from the worker, cut anywhere."""
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        if lines:
            self._recorder.add_lines([self._look_at(line) for line in lines])

    def _look_at(self, line: bytes) -> tuple[str, bytes]:
        """Its type, and what of it stands after its number."""
        number_end = line.index(b",")
        begin = number_end + len(_TYPE)
        end = line.index(b'"', begin)
        kind = _KINDS[line[begin:end]]
        if kind in _OPENS:
            self._open[_id_of(line, end)] = line
        elif kind in _ENDS:
            self._open.pop(_id_of(line, end), None)
        return kind, line[number_end:]

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
        for line in self._open.values():
            opened: Record = orjson.loads(line)
            yield _closed(opened, now) if opened["type"].endswith("-opened") else _aborted(opened, now)


def _id_of(line: bytes, start: int) -> bytes:
    begin = line.index(_ID, start) + len(_ID)
    return line[begin : line.index(b'"', begin)]


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
