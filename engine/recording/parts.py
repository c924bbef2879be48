"""A session in several files: each part ends with `session-ended` and the next begins with `session-started`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mockrec.engine import clock
from mockrec.engine.recording.envelope import Record, session_envelope
from mockrec.engine.recording.event_log import Log
from mockrec.engine.recording.recorder import Recorder
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.rotation import PartSink
from mockrec.formats.sessions.parts import ROTATED


class SessionParts:
    """The parts of one recording. Used by its event loop."""

    def __init__(self, sinks: Sequence[Sink], recorder: Recorder, log: Log) -> None:
        self.number = 1
        """The number of the current part."""
        self._sinks = [sink for sink in sinks if isinstance(sink, PartSink)]
        self._recorder = recorder
        self._log = log
        self.header: Record = {}
        """The first record of the session."""
        for sink in self._sinks:
            sink.on_due = lambda number: recorder.call_soon(lambda: self._begin_after(number))

    def begin(self, header: Record, *, rotates: bool) -> None:
        """Write the first record of the session."""
        if rotates:
            header = header | {"part": 1}
        self.header = header
        self._log.add(header)

    def set_rules(self, reloaded: Record) -> None:
        """Begin the next parts with the rules of a `rules-reloaded` record."""
        self.header = self.header | {key: reloaded[key] for key in ("rules", "rulesSha256")}

    def reopen(self) -> tuple[list[str], list[str]]:
        """Begin new files in place of outputs that were renamed. Return their paths, and the paths that other files
        have taken; if there are any, nothing is begun."""
        moved = [sink for sink in self._sinks if sink.is_moved]
        taken = [sink.path for sink in moved if _is_taken(sink.path)]
        if moved and not taken:
            self._switch(again=True)
        return ([] if taken else [sink.path for sink in moved]), taken

    def _begin_after(self, after: int) -> None:
        """Begin the part after part `after`, once: several outputs may be due for it."""
        if after == self.number:
            self._switch(again=False)

    def _switch(self, *, again: bool) -> None:
        ended = session_envelope("session-ended", clock.now()) | {"reason": ROTATED, "part": self.number}
        self._recorder.flush()
        counts = self._recorder.counts
        self._log.add(ended | {"counts": {**counts, "session-ended": counts["session-ended"] + 1}})
        self.number += 1
        number = self.number

        def begin(sink: Sink) -> None:
            if isinstance(sink, PartSink):
                sink.begin_again(number) if again else sink.begin(number)

        self._recorder.run_in_writers(begin)
        self._log.add(self.header | {"timestamp": ended["timestamp"], "part": number})
        self._recorder.flush()


def _is_taken(path: str) -> bool:
    """Return whether a path names a file that must not be overwritten."""
    try:
        return os.path.lexists(path) and not (os.path.isfile(path) and os.path.getsize(path) == 0)
    except OSError:
        return True
