"""One recording from its first record to its last: rules, outputs, listener, and their orderly end."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.config import RecordSettings, ServerSettings
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.logged import BodyLogger
from mockrec.engine.exchange.notes import Notes, wanted_types
from mockrec.engine.net.listener import Listener, bind
from mockrec.engine.net.site import Site
from mockrec.engine.record.callbacks import Callbacks
from mockrec.engine.record.framing import session_ended, session_started, told_rules
from mockrec.engine.record.outputs import open_outputs
from mockrec.engine.record.recorder import Recorder
from mockrec.engine.rulefile import load_file
from mockrec.engine.rules.load import Loaded
from mockrec.engine.steps.compile import Tools, compile_rules
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.unmatched import explain_plan
from mockrec.engine.steps.webhook import Webhooks
from mockrec.formats.errors import FormatError

_LEAST_MATCHED = 10 * 1024 * 1024
"""Matchers see at least so much of a body, however little of it the log keeps."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What to record, where, and how to end. Durations in seconds."""

    loaded: Loaded
    server: ServerSettings
    record: RecordSettings
    outputs: tuple[str, ...] = ()
    """Paths, `-` for stdout; empty: nothing is recorded."""
    output_format: str | None = None
    force: bool = False
    file_mode: int = 0o600
    drop: bool = False
    """Leave records out where the disk is too slow, instead of slowing the traffic down."""
    grace: float = 2.0
    command: tuple[str, ...] | None = None


@dataclass(slots=True)
class Ending:
    """Why a run ends, and with which exit code."""

    reason: str
    exit_code: int = 0


@dataclass(slots=True)
class Hooks:
    """What the command line wants to hear."""

    exchange_ended: Callable[[Exchange], None] | None = None
    defect: Callable[[BaseException], None] = field(default=lambda error: None)
    settle: Callable[[Ending], Ending] = field(default=lambda ending: ending)
    """Called when everything has ended but the log: the last word on reason and exit code."""


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
        self._webhooks = Webhooks()
        self._grace = anyio.CancelScope()
        self._patience = anyio.CancelScope()
        handlers = Handlers()
        rules = compile_rules(settings.loaded.rule_file.rules, Tools(handlers, self._webhooks))
        self._callbacks = _callbacks(settings.record, handlers)
        self._sockets = bind(settings.server.host, settings.server.ports)
        self._rules = rules

    @property
    def url(self) -> str:
        """Where clients find the recorder."""
        return self._listener.url

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def rules(self) -> Any:
        """The rule set in force."""
        return self._site.rules

    async def record(self, body: Callable[[Run], Awaitable[Ending]]) -> Ending:
        """Record while `body` runs, and end as it says. Raises OutputError if an output cannot be opened."""
        settings = self.settings
        try:
            sinks = open_outputs(settings)
        except BaseException:
            for sock in self._sockets:
                sock.close()
            raise
        recorder = Recorder(sinks, drop=settings.drop, callbacks=self._callbacks, on_failure=self._recording_failed)
        bodies = BodyLogger(settings.record.bodies, settings.record.max_body_size)
        self._listener = Listener(self._sockets, settings.server.host, self._build_site(recorder, bodies))
        ending = Ending("failed", 70)
        async with anyio.create_task_group() as background:
            if self._callbacks is not None:
                self._callbacks.start(background, recorder.add)
            recorder.add(session_started(settings, self._listener, wanted_types(settings.record.events)))
            try:
                async with anyio.create_task_group() as serving:
                    self._webhooks.start(serving)
                    await self._listener.start(serving)
                    ending = await body(self)
                    await self._stop(serving)
                ending = self.hooks.settle(ending)
            finally:
                with anyio.CancelScope(shield=True):
                    self._listener.close()
                    with self._patience:
                        await recorder.finish_callbacks()
                    await recorder.close(lambda: session_ended(ending, recorder.counts, self._site.rules, bodies))
                    with self._patience:
                        await recorder.finish_callbacks()  # one may wait for the last record
                background.cancel_scope.cancel()
        return ending

    def _build_site(self, recorder: Recorder, bodies: BodyLogger) -> Site:
        settings = self.settings
        kept = wanted_types(settings.record.events)
        if not settings.outputs:
            kept = frozenset(settings.record.callbacks)
        notes = Notes(recorder, kept, bodies)
        notes.ended = self.hooks.exchange_ended
        limit = settings.record.max_body_size
        self._site = Site(
            rules=self._rules,
            unmatched=explain_plan(lambda: self._site.rules),
            notes=notes,
            backpressure=recorder,
            timeouts=settings.server.timeouts,
            limits=settings.server.limits,
            cors=settings.server.cors,
            match_limit=max(limit, _LEAST_MATCHED),
            log_limit=limit,
            report_defect=self.hooks.defect,
        )
        return self._site

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    def reload(self) -> Loaded:
        """Read the rule file again. Raises ConfigError or RuleFileError, and keeps the rules there are."""
        loaded = load_file(Path(self.settings.loaded.rule_file.path))
        rules = compile_rules(loaded.rule_file.rules, Tools(Handlers(), self._webhooks))
        self._site.rules = rules
        self._site.notes.rules_reloaded(told_rules(loaded.rule_file), loaded.rule_file.sha256)
        return loaded

    def hurry(self) -> None:
        """Give running exchanges and waiting callbacks no more time."""
        self._grace.cancel()
        self._patience.cancel()

    def stop_answering(self) -> None:
        """Let connections end after the exchange they are at."""
        self._site.closing = True

    def _recording_failed(self, error: FormatError) -> None:
        # A closed pipe and a full disk may come together: the one that is worse is told.
        if self.failure is None or self.failure.exit_code == 141:
            self.failure = error
        self.stop_asked.set()

    async def _stop(self, serving: TaskGroup) -> None:
        with self._grace, anyio.move_on_after(self.settings.grace):
            await self._listener.stop()
            await self._webhooks.wait()
        serving.cancel_scope.cancel()


def _callbacks(record: RecordSettings, handlers: Handlers) -> Callbacks | None:
    if not record.callbacks:
        return None
    functions = {kind: handlers.resolve(name) for kind, name in record.callbacks.items()}
    names = {kind: os.path.basename(name) for kind, name in record.callbacks.items()}
    return Callbacks(functions, names)


def check_callbacks(record: RecordSettings) -> list[str]:
    """Sentences about callbacks that would never be called, because nothing of their type is recorded."""
    types = wanted_types(record.events)
    return [
        f"record.callbacks: {kind} is not among the recorded events, so {os.path.basename(name)} is never called"
        for kind, name in record.callbacks.items()
        if kind not in types
    ]
