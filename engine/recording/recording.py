"""One recording assembled: outputs, redaction, files of bodies, and the recorder.

Everything that records (`mockrec run`, `mockrec replay`) uses this, so that nothing is written without the
redaction that the settings ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

import anyio

from mockrec.engine import clock
from mockrec.engine.config import RecordSettings
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.body_files import BodyFiles, has_folder
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.event_log import Log
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.recording.joined_records import JoinedRecords
from mockrec.engine.recording.outputs import OutputSettings, open_outputs
from mockrec.engine.recording.parts import SessionParts
from mockrec.engine.recording.recorder import Recorder
from mockrec.engine.recording.session_records import SessionEnding, session_ended
from mockrec.engine.recording.worker_recorder import Pack, WorkerRecorder
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog
from mockrec.engine.redaction.redactor import RedactingLog, Redactor
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.formats.files.frames import Sink
from mockrec.formats.schema.errors import FormatError


class RecordingSettings(OutputSettings, Protocol):
    """The settings of a command that determine what is recorded, and where."""

    @property
    def record(self) -> RecordSettings: ...
    @property
    def inline_bodies(self) -> bool: ...


class Recording:
    """A recording that is open: `log` redacts and adds records of the session, `exchange_log` those of exchanges, and
    `recorder` counts and writes them."""

    def __init__(
        self,
        settings: RecordingSettings,
        redactor: Redactor | None,
        on_failure: Callable[[FormatError], None],
        *,
        drop: bool = False,
        callbacks: Callbacks | None = None,
        sinks: Sequence[Sink] | None = None,
        pack: Pack | None = None,
    ) -> None:
        """Open the outputs, unless `sinks` are given. `pack` is given in a worker process: see `WorkerRecorder`. Raises
        OutputError; nothing is open then."""
        record = settings.record
        sinks = open_outputs(settings) if sinks is None else sinks
        self.redactor = redactor
        self.unlocked = [sink.name for sink in sinks if not getattr(sink, "locked", True)]
        """Outputs on file systems without locks: another program could write to them at the same time."""
        try:
            self.body_files = _open_body_files(settings, on_failure)
        except BaseException:
            for sink in sinks:
                sink.close()
            raise
        make = Recorder if pack is None else partial(WorkerRecorder, pack=pack)
        self.recorder = make(
            sinks,
            drop=drop,
            callbacks=callbacks,
            session_secrets=redactor,
            on_failure=on_failure,
            watch=None if self.body_files is None else self.body_files.check,
        )
        self.bodies = BodyEncoder(record.bodies, record.max_body_size, redactor, self.body_files)
        self.log: Log = self.recorder
        self._hold_time = record.hold_time
        self._descriptors = record.protobuf
        self._backlog: Backlog | None = None
        if redactor is not None:
            redactor.most = AT_ONCE
            self._backlog = self.bodies.backlog = Backlog(self.recorder.pending, self.recorder.leave_out)
            self.log = RedactingLog(self.recorder.add, self.recorder.flush, redactor, self.bodies, self._backlog)
        self.parts = SessionParts(sinks, self.recorder, self.log)

    def exchange_log(self, types: Collection[str]) -> ExchangeLog:
        """Return the log of exchanges, which records these types."""
        return ExchangeLog(
            self.recorder,
            frozenset(types),
            self.bodies,
            self.redactor,
            self._backlog,
            self._hold_time,
            self._descriptors,
            JoinedRecords(self.recorder) if self.recorder.can_defer else None,
        )

    @property
    def redaction(self) -> Record | None:
        """The description of the redaction in the first record; None without redaction."""
        return None if self.redactor is None else self.redactor.description

    @property
    def redactions(self) -> int:
        """The number of secrets that were replaced."""
        return 0 if self.redactor is None else self.redactor.count

    def ended(self, ending: SessionEnding, rules: RuleSet, truncated: int = 0, redactions: int = 0) -> Record:
        """Return the last record. `truncated` (bodies) and `redactions` are the counts of worker processes."""
        return session_ended(
            ending, self.recorder.counts, rules, self.bodies.truncated + truncated, self.redactions + redactions
        )

    async def close(
        self, last: Callable[[], Record] | None, hurry: anyio.Event | None = None, patience: float = 2.0
    ) -> None:
        """Write the last record, which is made after everything else is recorded, and close the outputs; see
        `Recorder.close`."""
        await self.settle()
        redactor = self.redactor
        if last is None or redactor is None:
            await self.recorder.close(last, hurry, patience)
        else:
            redactor.most = None
            await self.recorder.close(lambda: redactor.record(last()), hurry, patience)

    def close_now(self, last: Callable[[], Record], seconds: float) -> bool:
        """Close from another thread while the event loop is blocked. Return whether all is written within `seconds`."""
        redactor, until = self.redactor, clock.now() + seconds * 1000
        if self._backlog is None or redactor is None:
            return self.recorder.close_now(last, until)
        drained = closed = False
        try:
            drained = self._backlog.drain_now(until)
        finally:  # a defect in redaction must not lose the rest of the log
            redactor.most = None
            closed = self.recorder.close_now(lambda: redactor.record(last()), until)
        return drained and closed

    async def settle(self) -> None:
        """Return when everything that has happened is redacted and added to the recorder."""
        if self._backlog is not None:
            await self._backlog.drain()


def _open_body_files(settings: RecordingSettings, on_failure: Callable[[FormatError], None]) -> BodyFiles | None:
    """Return the files of long bodies; None if an output (stdout, for one) can have none. Raises OutputError."""
    if settings.inline_bodies or not settings.outputs or not all(map(has_folder, settings.outputs)):
        return None
    loop = asyncio.get_running_loop()

    def failed(error: FormatError) -> None:  # may be called in the thread of the backlog
        loop.call_soon_threadsafe(on_failure, error)

    files = BodyFiles(settings.outputs, settings.file_mode, failed)
    if settings.force:
        files.clear()
    else:
        files.sweep_dead()
    return files
