"""One session while it is recorded, put together: outputs, redaction, bodies beside the log, and the recorder itself.

Whatever records (`mockrec run`, `mockrec replay`) does it with this, so that no way to the disk goes past redaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import anyio

from mockrec.engine import clock
from mockrec.engine.config import RecordSettings
from mockrec.engine.recording.body_encoder import BodyLogger
from mockrec.engine.recording.body_files import BodyFiles, has_folder
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.engine.recording.exchange_log import ExchangeLog, Log
from mockrec.engine.recording.outputs import OutputSettings, open_outputs
from mockrec.engine.recording.parts import SessionParts
from mockrec.engine.recording.recorder import Recorder
from mockrec.engine.recording.session_records import SessionEnding, session_ended
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog
from mockrec.engine.redaction.redactor import RedactingLog, Redactor
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.jsonl import encode_each, encode_lines
from mockrec.formats.schema.errors import FormatError

Record = dict[str, Any]
Pack = Callable[[Sequence[Record], Sequence[bytes]], bytes]
"""Makes something of records and their lines."""


class RecordingSettings(OutputSettings, Protocol):
    """What of a command's settings says what to record, and where."""

    @property
    def record(self) -> RecordSettings: ...
    @property
    def inline_bodies(self) -> bool: ...


class Recording:
    """`log` takes records, `recorder` counts and writes them."""

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
        """Opens the outputs, unless there are `sinks`. With `pack`, somebody else numbers the records, and sinks get
        what it makes of them. Raises OutputError; nothing is open then."""
        record = settings.record
        sinks = open_outputs(settings) if sinks is None else sinks
        self.redactor = redactor
        self.unlocked = [sink.name for sink in sinks if not getattr(sink, "locked", True)]
        """Outputs on file systems without locks: another program might write them as well."""
        try:
            spool = _open_spool(settings, on_failure)
        except BaseException:
            for sink in sinks:
                sink.close()
            raise
        self.recorder = Recorder(
            sinks,
            drop=drop,
            callbacks=callbacks,
            encode=_encoder(redactor, pack),
            on_failure=on_failure,
            numbers=pack is None,
            watch=None if spool is None else spool.check,
        )
        self.spool = spool
        self.bodies = BodyLogger(record.bodies, record.max_body_size, redactor, spool)
        self.log: Log = self.recorder
        self._hold_time = record.hold_time
        self._backlog: Backlog | None = None
        if redactor is not None:
            redactor.most = AT_ONCE
            self._backlog = self.bodies.backlog = Backlog(self.recorder.pending, self.recorder.leave_out)
            self.log = RedactingLog(self.recorder.add, self.recorder.flush, redactor, self.bodies, self._backlog)
        self.parts = SessionParts(sinks, self.recorder, self.log)

    def notes(self, types: Collection[str]) -> ExchangeLog:
        """What builds the records of exchanges."""
        return ExchangeLog(self.recorder, frozenset(types), self.bodies, self.redactor, self._backlog, self._hold_time)

    @property
    def redaction(self) -> Record | None:
        """What the first record says of it."""
        return None if self.redactor is None else self.redactor.description

    @property
    def redactions(self) -> int:
        """How many secrets were replaced."""
        return 0 if self.redactor is None else self.redactor.count

    def ended(self, ending: SessionEnding, rules: RuleSet, truncated: int = 0, redactions: int = 0) -> Record:
        """The last record. `truncated` bodies and `redactions` were those of other processes."""
        return session_ended(
            ending, self.recorder.counts, rules, self.bodies.truncated + truncated, self.redactions + redactions
        )

    async def close(
        self, last: Callable[[], Record] | None, hurry: anyio.Event | None = None, patience: float = 2.0
    ) -> None:
        """Write the last record, made when everything else is recorded, and close the outputs; see `Recorder.close`."""
        await self.settle()
        redactor = self.redactor
        if last is None or redactor is None:
            await self.recorder.close(last, hurry, patience)
        else:
            redactor.most = None
            await self.recorder.close(lambda: redactor.record(last()), hurry, patience)

    def close_now(self, last: Callable[[], Record], seconds: float) -> bool:
        """The same from another thread, while the event loop is held up; whether all is written in time."""
        redactor, until = self.redactor, clock.now() + seconds * 1000
        if self._backlog is None or redactor is None:
            return self.recorder.close_now(last, until)
        drained = closed = False
        try:
            drained = self._backlog.drain_now(until)
        finally:  # a defect there must not lose the rest
            redactor.most = None
            closed = self.recorder.close_now(lambda: redactor.record(last()), until)
        return drained and closed

    async def settle(self) -> None:
        """Return when everything that has happened is redacted and recorded."""
        if self._backlog is not None:
            await self._backlog.drain()


def _encoder(redactor: Redactor | None, pack: Pack | None) -> Callable[[Sequence[Record]], bytes]:
    """What makes the bytes for the sinks of records."""
    if pack is None:
        return encode_lines if redactor is None else lambda records: redactor.lines(encode_lines(records))

    def encode(records: Sequence[Record]) -> bytes:
        lines = encode_each(records)
        if redactor is not None:
            joined = b"".join(lines)
            redacted = redactor.lines(joined)
            if redacted is not joined:
                lines = redacted.splitlines(keepends=True)
        return pack(records, lines)

    return encode


def _open_spool(settings: RecordingSettings, on_failure: Callable[[FormatError], None]) -> BodyFiles | None:
    """Where long bodies go; stdout has no place beside it. Raises OutputError."""
    if settings.inline_bodies or not settings.outputs or not all(map(has_folder, settings.outputs)):
        return None
    loop = asyncio.get_running_loop()

    def failed(error: FormatError) -> None:  # it may be in the thread that redacts
        loop.call_soon_threadsafe(on_failure, error)

    spool = BodyFiles(settings.outputs, settings.file_mode, failed)
    if settings.force:
        spool.clear()
    else:
        spool.sweep_dead()
    return spool
