"""One recording from its first record to its last.

`single.py` answers requests in this process, `workers/supervisor.py` in several others.
"""

from __future__ import annotations

import math
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.config import RecordSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.recording.callbacks import callbacks_of
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.event_log import wanted_types
from mockrec.engine.recording.recording import Recording
from mockrec.engine.recording.session_records import Listening, rules_reloaded, session_started
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.run.responder import Responder
from mockrec.engine.run.rulefile import reload_file
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.usercode.calls import own_call
from mockrec.engine.usercode.watch import left_behind, watch_functions
from mockrec.formats.schema.errors import FormatError, worse

if TYPE_CHECKING:
    from mockrec.engine.replay.serve.cassette import Cassette

HELD_UP: Final = {
    "name": "HeldUp",
    "code": "E_HELD_UP",
    "message": "mockrec ended while its event loop was held up",
}
"""The error of exchanges that are open when a run ends although its event loop is blocked."""
_CALLBACK_SECONDS = 0.3
"""What callbacks get at the end in addition to the grace."""


class Run(ABC):
    """A recording. The constructor checks everything and takes the port; `record` does the rest."""

    def __init__(self, settings: RunSettings, hooks: Hooks, *, drop: bool, key: bytes | None = None) -> None:
        """`drop`: leave out records for which the disk is too slow; `key`: of placeholders, see `Redactor.of`.

        Raises ConfigError (handlers, port). It accepts no connection and touches no file.
        """
        self.settings = settings
        self.failure: FormatError | None = None
        """Why the recording could not be written."""
        self.stop_asked = anyio.Event()
        """Set when the run cannot continue: its log failed, or its workers cannot start."""
        self.hooks = hooks
        self.redactor = Redactor.of(settings.record.redact, os.environ, settings.loaded.secrets, key)
        """Keeps secrets out of the log; None if they are not redacted."""
        if self.redactor is not None and settings.control is not None:
            self.redactor.remember_values([settings.control.token])
        handlers = Handlers()
        self._responder = self._make_responder(handlers)
        self._callbacks = callbacks_of(settings.record, handlers.resolve, hooks.failure)
        self._drop = drop
        self._patience = anyio.CancelScope()
        self._hurry = anyio.Event()
        self._ends_at = -math.inf
        """When the grace of exchanges and callbacks ends, in the event loop's seconds."""
        self._background: TaskGroup
        self._recording: Recording
        self._listening: Listening

    @property
    def ca(self) -> str | None:
        """Path of the authority's certificate; None if there is no authority."""
        return self._responder.ca.certificate

    @property
    def ca_problem(self) -> ConfigError | None:
        """Why there is no authority. Only TLS needs one."""
        return self._responder.ca.problem

    @property
    def url(self) -> str:
        """The URL at which clients on this machine reach the recorder."""
        return self._listening.url

    @property
    def port(self) -> int:
        return self._listening.port

    @property
    def rules(self) -> RuleSet:
        """The rule set in force, with the number of uses of each rule."""
        return self._responder.rules

    @property
    def replays(self) -> Replays:
        """The sessions that rules replay."""
        return self._responder.replays

    @property
    def record_counts(self) -> Mapping[str, int]:
        """The number of records by type, as far as they were encoded."""
        return self._recording.recorder.counts

    @property
    def recorded(self) -> list[Cassette]:
        """The cassettes to which exchanges are added when the run ends."""
        return self._responder.recorded

    @property
    def reached(self) -> list[str]:
        """The servers to which connections were made, or attempted, as `host:port`."""
        return self._responder.reached

    @property
    def unlocked(self) -> Sequence[str]:
        """Outputs without a lock: their file systems have none, so other programs might write them as well."""
        return self._recording.unlocked

    async def listen_also(self, sock: socket.socket) -> None:
        """Accept connections of a further listening socket. Only a run in one process can do so."""
        raise NotImplementedError

    # ── defined by subclasses ──────────────────────────────────────────────────────────────────────

    def _make_responder(self, handlers: Handlers) -> Responder:
        """Compile the rules of the settings. Raises ConfigError."""
        return Responder(self.settings, self.hooks, handlers)

    @abstractmethod
    def _listen(self) -> Listening:
        """Prepare to accept connections: the recording has begun. Return where the server listens."""

    @abstractmethod
    async def _start(self, serving: TaskGroup) -> bool:
        """Accept connections from now on, in tasks of `serving`. Return False if that fails."""

    @abstractmethod
    async def _stop(self, serving: TaskGroup) -> None:
        """End what runs in `serving`, with the grace that exchanges have."""

    async def _finish_control(self) -> None:  # noqa: B027 - most runs have none
        """Write what scopes have kept, and give the rules the uses that the control API has kept elsewhere. Raises
        FormatError."""

    @property
    def control_url(self) -> str | None:
        """The URL of the control API; None if there is none."""
        return None

    @abstractmethod
    async def _use(self, loaded: Loaded) -> None:
        """Answer by other rules from now on. Raises what `Responder.use` raises, and keeps the present rules then."""

    @abstractmethod
    def _close(self) -> None:
        """Close the listening sockets, also if they were never used."""

    # ── a recording ────────────────────────────────────────────────────────────────────────────────

    async def record(self, body: Callable[[Self], Awaitable[Ending]]) -> Ending:
        """Record while `body` runs, and return how it ended. Raises OutputError if an output cannot be opened."""
        settings = self.settings
        try:
            recording = self._recording = Recording(
                settings, self.redactor, self._recording_failed, drop=self._drop, callbacks=self._callbacks
            )
        except BaseException:
            self._close()
            raise
        log = recording.log
        self._listening = self._listen()
        types = wanted_types(settings.record.events)
        ending = Ending("failed", 70)
        async with anyio.create_task_group() as self._background:
            if self._callbacks is not None:
                self._callbacks.start(self._background, log.add)
            self._background.start_soon(watch_functions, self.hooks.warn)
            header = session_started(settings, self._listening, types, recording.redaction)
            recording.parts.begin(header, rotates=settings.rotate is not None)
            try:
                async with anyio.create_task_group() as serving:
                    if await self._start(serving):
                        ending = await body(self)
                    self._ends_at = anyio.current_time() + settings.grace
                    await self._stop(serving)
                try:
                    await self._finish_control()
                except FormatError as error:
                    self._recording_failed(error)
                ending = self.hooks.settle(ending)
            finally:
                with anyio.CancelScope(shield=True):
                    self._close()
                    await recording.settle()
                    await self._finish_callbacks()
                    await recording.close(lambda: self._last_record(ending), self._hurry, settings.grace)
                    await self._finish_callbacks()  # a callback may wait for the last record
                self._responder.close()
                self._warn_of_unfinished()
                self._background.cancel_scope.cancel()
        return ending

    async def _finish_callbacks(self) -> None:
        """Wait for callbacks until the grace of exchanges is over, and a little longer."""
        recorder = self._recording.recorder
        left = self._ends_at - anyio.current_time()
        with self._patience, anyio.move_on_after(max(left, 0.0) + _CALLBACK_SECONDS):
            await recorder.finish_callbacks()

    def _warn_of_unfinished(self) -> None:
        """Warn of functions that have not returned, and of events that callbacks have not got."""
        for sentence in left_behind():
            self.hooks.warn(sentence)
        left = 0 if self._callbacks is None else self._callbacks.left
        if left:
            self.hooks.warn(f"the run ended before callbacks had seen {left} of their events")

    def _last_record(self, ending: Ending) -> dict[str, Any]:
        return self._recording.ended(ending, self.rules)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    async def reload(self) -> Loaded:
        """Read the rule file again. Raises ConfigError or RuleFileError, and keeps the present rules then."""
        loaded = await own_call(reload_file, self.settings.loaded)
        await self._use(loaded)
        if self.redactor is not None:
            self.redactor.remember_values(loaded.secrets)
        record = rules_reloaded(loaded.rule_file)
        self._recording.parts.set_rules(record)
        if "rules-reloaded" in kept_types(self.settings):
            self._recording.log.add(record)
        return loaded

    def reopen(self) -> tuple[list[str], list[str]]:
        """Open new outputs under the names of those that were renamed; see `SessionParts.reopen`."""
        return self._recording.parts.reopen()

    def hurry(self) -> None:
        """Give running exchanges and waiting callbacks no more time."""
        self._patience.cancel()
        self._hurry.set()

    def end_now(self, ending: Ending, seconds: float) -> bool:
        """Abort open exchanges and write the last record, from another thread, because the event loop is blocked.

        Return whether everything was written within `seconds`. The process has to end afterwards.
        """
        self._give_up(HELD_UP)
        return self._recording.close_now(lambda: self._last_record(ending), seconds)

    @abstractmethod
    def _give_up(self, error: dict[str, str]) -> None:
        """Abort open exchanges, while the event loop is blocked."""

    @abstractmethod
    def stop_answering(self) -> None:
        """End each connection after its present exchange."""

    def _recording_failed(self, error: FormatError) -> None:
        self.failure = worse(self.failure, error)
        self.hooks.failed(error)
        self.stop_asked.set()


def kept_types(settings: RunSettings) -> frozenset[str]:
    """The types of the records that are made; without an output and a control API, only those for callbacks."""
    is_read = settings.outputs or settings.control is not None
    return wanted_types(settings.record.events) if is_read else frozenset(settings.record.callbacks)


def check_callbacks(record: RecordSettings) -> list[str]:
    """Return a sentence for each callback that would never be called, because its type is not recorded."""
    types = wanted_types(record.events)
    return [
        f"record.callbacks: {kind} is not among the recorded events, so {os.path.basename(name)} is never called"
        for kind, name in record.callbacks.items()
        if kind not in types
    ]
