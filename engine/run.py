"""One recording from its first record to its last: rules, outputs, listener, and their orderly end."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from mockrec.engine.config import RecordSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.notes import wanted_types
from mockrec.engine.net.listener import bind
from mockrec.engine.record.callbacks import callbacks_of
from mockrec.engine.record.framing import rules_reloaded, session_ended, session_started
from mockrec.engine.record.recording import Recording
from mockrec.engine.record.redact import Redactor
from mockrec.engine.replay.replays import Replays
from mockrec.engine.rulefile import reload_file
from mockrec.engine.rules.load import Loaded
from mockrec.engine.rules.select import RuleSet
from mockrec.engine.server import Server
from mockrec.engine.settings import Ending, Hooks, RunSettings
from mockrec.engine.steps.handlers import Handlers
from mockrec.formats.errors import FormatError


class Run:
    """A recording. `Run(settings)` checks everything and takes the port; `record` does the rest."""

    def __init__(self, settings: RunSettings, hooks: Hooks) -> None:
        """Raises ConfigError (handlers, port); no connection is accepted and no file is touched yet."""
        self.settings = settings
        self.failure: FormatError | None = None
        """Why the recording could not be kept."""
        self.stop_asked = anyio.Event()
        """Set when the run cannot go on: its log failed."""
        self.hooks = hooks
        self.redactor = Redactor.of(settings.record.redact, os.environ, settings.loaded.secrets)
        """What keeps secrets out of the log; None where they stay."""
        handlers = Handlers()
        self._server = Server(settings, hooks, handlers)
        self._callbacks = callbacks_of(settings.record, handlers.resolve)
        self._patience = anyio.CancelScope()
        self._sockets = bind(settings.server.host, settings.server.ports)

    @property
    def ca(self) -> str | None:
        """Path of the authority's certificate."""
        return self._server.ca

    @property
    def ca_problem(self) -> ConfigError | None:
        """Why there is no authority: only TLS needs one."""
        return self._server.ca_problem

    @property
    def url(self) -> str:
        """Where clients find the recorder."""
        return self._server.listener.url

    @property
    def port(self) -> int:
        return self._server.listener.port

    @property
    def rules(self) -> RuleSet:
        """The rule set in force."""
        return self._server.rules

    @property
    def replays(self) -> Replays:
        """The sessions that rules answer from."""
        return self._server.replays

    async def record(self, body: Callable[[Run], Awaitable[Ending]]) -> Ending:
        """Record while `body` runs, and end as it says. Raises OutputError if an output cannot be opened."""
        settings = self.settings
        try:
            recording = Recording(
                settings, self.redactor, self._recording_failed, drop=settings.drop, callbacks=self._callbacks
            )
        except BaseException:
            for sock in self._sockets:
                sock.close()
            raise
        self._recording = recording
        recorder, log, server = recording.recorder, recording.log, self._server
        listener = server.build(self._sockets, recording, kept_types(settings))
        ending = Ending("failed", 70)
        async with anyio.create_task_group() as background:
            if self._callbacks is not None:
                self._callbacks.start(background, log.add)
            log.add(session_started(settings, listener, wanted_types(settings.record.events), recording.redaction))
            try:
                async with anyio.create_task_group() as serving:
                    await server.start(serving)
                    ending = await body(self)
                    await server.stop(serving)
                ending = self.hooks.settle(ending)
            finally:
                with anyio.CancelScope(shield=True):
                    listener.close()
                    with self._patience:
                        await recorder.finish_callbacks()
                    await recording.close(lambda: self._last_record(ending, recording))
                    with self._patience:
                        await recorder.finish_callbacks()  # one may wait for the last record
                server.close()
                background.cancel_scope.cancel()
        return ending

    def _last_record(self, ending: Ending, recording: Recording) -> dict[str, Any]:
        counts, truncated = recording.recorder.counts, recording.bodies.truncated
        return session_ended(ending, counts, self.rules, truncated, recording.redactions)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    def reload(self) -> Loaded:
        """Read the rule file again. Raises ConfigError or RuleFileError, and keeps the rules there are."""
        loaded = reload_file(self.settings.loaded)
        self._server.use(loaded)
        if self.redactor is not None:
            self.redactor.learn_values(loaded.secrets)
        if "rules-reloaded" in kept_types(self.settings):
            self._recording.log.add(rules_reloaded(loaded.rule_file))
        return loaded

    def hurry(self) -> None:
        """Give running exchanges and waiting callbacks no more time."""
        self._server.hurry()
        self._patience.cancel()

    def stop_answering(self) -> None:
        """Let connections end after the exchange they are at."""
        self._server.stop_answering()

    def _recording_failed(self, error: FormatError) -> None:
        # A closed pipe and a full disk may come together: the one that is worse is told.
        if self.failure is None or self.failure.exit_code == 141:
            self.failure = error
        self.stop_asked.set()


def kept_types(settings: RunSettings) -> frozenset[str]:
    """Types of records that are made: without an output only those that callbacks want."""
    return wanted_types(settings.record.events) if settings.outputs else frozenset(settings.record.callbacks)


def check_callbacks(record: RecordSettings) -> list[str]:
    """Sentences about callbacks that would never be called, because nothing of their type is recorded."""
    types = wanted_types(record.events)
    return [
        f"record.callbacks: {kind} is not among the recorded events, so {os.path.basename(name)} is never called"
        for kind, name in record.callbacks.items()
        if kind not in types
    ]
