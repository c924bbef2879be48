"""A session that goes on in other files: ends a part with a record and begins the next one with another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mockrec.engine import clock
from mockrec.engine.recording.exchange_log import Log
from mockrec.engine.recording.recorder import Recorder
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.rotation import PartSink
from mockrec.formats.sessions.parts import ROTATED

Record = dict[str, Any]


class SessionParts:
    """The parts of one recording. Used by its event loop."""

    def __init__(self, sinks: Sequence[Sink], recorder: Recorder, log: Log) -> None:
        self.number = 1
        """Of the part that is written."""
        self._sinks = [sink for sink in sinks if isinstance(sink, PartSink)]
        self._recorder = recorder
        self._log = log
        self._header: Record = {}
        for sink in self._sinks:
            sink.on_due = lambda number: recorder.soon(lambda: self._next(number))

    def begin(self, header: Record, *, rotates: bool) -> None:
        """Write the first record of the session."""
        if rotates:
            header = header | {"part": 1}
        self._header = header
        self._log.add(header)

    def set_rules(self, told: Record) -> None:
        """The rules were replaced by those of a `rules-reloaded` record."""
        self._header = self._header | {key: told[key] for key in ("rules", "rulesSha256")}

    def reopen(self) -> tuple[list[str], list[str]]:
        """Begin outputs that were renamed again under their names: which ones, and which names others have taken."""
        moved = [sink for sink in self._sinks if sink.is_moved]
        taken = [sink.path for sink in moved if _is_taken(sink.path)]
        if moved and not taken:
            self._switch(again=True)
        return ([] if taken else [sink.path for sink in moved]), taken

    def _next(self, after: int) -> None:
        """Begin the part after this one, if that has not happened yet: several outputs may have asked."""
        if after == self.number:
            self._switch(again=False)

    def _switch(self, *, again: bool) -> None:
        now = clock.timestamp(clock.now())
        ended: Record = {"seq": 0, "type": "session-ended", "timestamp": now, "reason": ROTATED, "part": self.number}
        self._recorder.flush()
        counts = self._recorder.counts
        self._log.add(ended | {"counts": {**counts, "session-ended": counts["session-ended"] + 1}})
        self.number += 1
        number = self.number

        def begin(sink: Sink) -> None:
            if isinstance(sink, PartSink):
                sink.begin_again(number) if again else sink.begin(number)

        self._recorder.then(begin)
        self._log.add(self._header | {"timestamp": now, "part": number})
        self._recorder.flush()


def _is_taken(path: str) -> bool:
    """Whether a name leads to something that must not be written over."""
    try:
        return os.path.lexists(path) and not (os.path.isfile(path) and os.path.getsize(path) == 0)
    except OSError:
        return True
