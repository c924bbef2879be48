"""A recording by several processes. To the command line it is what a `Run` is."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.exchange.notes import wanted_types
from mockrec.engine.net.listener import bind_shared, url_of
from mockrec.engine.record.callbacks import callbacks_of
from mockrec.engine.record.framing import rules_reloaded, session_ended, session_started
from mockrec.engine.record.recording import Recording
from mockrec.engine.record.redact import Redactor
from mockrec.engine.replay.replays import Replays
from mockrec.engine.rulefile import reload_file
from mockrec.engine.rules.load import Loaded
from mockrec.engine.rules.select import RuleSet
from mockrec.engine.run import kept_types
from mockrec.engine.server import Server
from mockrec.engine.settings import Ending, Hooks, RunSettings
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.workers import messages
from mockrec.engine.workers.hand import Hand
from mockrec.engine.workers.memory import check_memory
from mockrec.engine.workers.merge import Merge
from mockrec.engine.workers.messages import Assignment, Message
from mockrec.formats.errors import FormatError, OutputError

_PATIENCE = 5.0
"""Seconds that a worker gets to end beyond the grace of its exchanges."""
_MOST_FAILED_STARTS = 3
_PAUSE = 0.1
"""Seconds before a worker that could not start is tried again."""


@dataclass(frozen=True, slots=True)
class _Listening:
    url: str
    host: str
    port: int


class WorkerDefect(Exception):
    """A defect in a worker; its traceback is a note."""


class Crew:
    """A recording. `Crew(settings)` checks everything and takes the port; `record` does the rest."""

    def __init__(self, settings: RunSettings, hooks: Hooks, count: int, *, tells_exchanges: bool) -> None:
        """Raises ConfigError (handlers, port, rules with a memory); no file is touched yet."""
        if not sys.platform.startswith("linux"):
            raise ConfigError("--workers needs Linux, which spreads connections over processes (SO_REUSEPORT)")
        self.settings = settings
        self.failure: FormatError | None = None
        """Why the recording could not be kept."""
        self.stop_asked = anyio.Event()
        """Set when the run cannot go on: its log failed, or a worker does not start."""
        self.hooks = hooks
        self._key = os.urandom(32)
        self.redactor = Redactor.of(settings.record.redact, os.environ, settings.loaded.secrets, self._key)
        """What keeps secrets out of the log; None where they stay."""
        handlers = Handlers()
        self._server = Server(settings, hooks, handlers)  # answers nothing: it says whether the workers' servers will
        check_memory(self._server.rules)
        self._callbacks = callbacks_of(settings.record, handlers.resolve)
        self._tells_exchanges = tells_exchanges
        self._sockets = bind_shared(settings.server.host, settings.server.ports, count)
        self.port: int = self._sockets[0][0].getsockname()[1]
        self.url = url_of(settings.server.host, self.port)
        """Where clients find the recorder."""
        self._hands: dict[int, Hand] = {}
        self._all_ready = anyio.Event()
        self._loaded, self._version = settings.loaded, 0
        self._stopping = False
        self._answering = True
        self._truncated = self._redactions = 0
        self._patience = anyio.CancelScope()

    ca = property(lambda self: self._server.ca, doc="Path of the authority's certificate.")
    ca_problem = property(lambda self: self._server.ca_problem, doc="Why there is no authority: only TLS needs one.")

    @property
    def rules(self) -> RuleSet:
        """The rule set in force, with what all workers have used of it."""
        return self._server.rules

    @property
    def replays(self) -> Replays:
        """None: rules that answer from sessions have a memory."""
        return self._server.replays

    async def record(self, body: Callable[[Any], Awaitable[Ending]]) -> Ending:
        """Record while `body` runs, and end as it says. Raises OutputError if an output cannot be opened."""
        settings = self.settings
        try:
            recording = Recording(settings, self.redactor, self._recording_failed, callbacks=self._callbacks)
        except BaseException:
            self._close_sockets()
            raise
        recorder, log = recording.recorder, recording.log
        self._recording = recording
        listening = _Listening(self.url, settings.server.host, self.port)
        ending = Ending("failed", 70)
        async with anyio.create_task_group() as background:
            if self._callbacks is not None:
                self._callbacks.start(background, log.add)
            log.add(session_started(settings, listening, wanted_types(settings.record.events), recording.redaction))
            try:
                async with anyio.create_task_group() as serving:
                    for number in range(1, len(self._sockets) + 1):
                        serving.start_soon(self._keep, number)
                    ending = await self._follow(body)
                    self._stop()
                    background.start_soon(self._lose_patience)
                ending = self.hooks.settle(ending)
            finally:
                with anyio.CancelScope(shield=True):
                    self._close_sockets()
                    with self._patience:
                        await recorder.finish_callbacks()
                    await recording.close(lambda: self._last_record(ending))
                    with self._patience:
                        await recorder.finish_callbacks()  # one may wait for the last record
                self._server.close()
                background.cancel_scope.cancel()
        return ending

    async def _follow(self, body: Callable[[Any], Awaitable[Ending]]) -> Ending:
        """`body`, once all workers accept connections."""
        async with anyio.create_task_group() as group:
            for event in (self._all_ready, self.stop_asked):
                group.start_soon(_until, event, group)
        return await body(self) if self._all_ready.is_set() else Ending("failed", 70)

    def _last_record(self, ending: Ending) -> dict[str, Any]:
        counts = self._recording.recorder.counts
        redactions = self._redactions + self._recording.redactions
        return session_ended(ending, counts, self.rules, self._truncated, redactions)

    # ── workers ────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, number: int) -> None:
        """One worker, and those that replace it."""
        failed_starts = 0
        while not self._stopping:
            merge = Merge(self._recording.recorder)
            hand = self._hands[number] = Hand(number, self._taker(merge), lambda said: self._hear(number, said))
            words = await hand.work(self._assignment(), self._sockets[number - 1])
            if not words and self._is_over():
                return
            ended = merge.lost(self._recording.log.add)
            self.hooks.lost(f"{hand} {words or 'ended unasked'}", ended)
            failed_starts = 0 if hand.ready else failed_starts + 1
            if failed_starts >= _MOST_FAILED_STARTS:
                self.stop_asked.set()
                return
            if failed_starts:
                await anyio.sleep(_PAUSE)

    def _is_over(self) -> bool:
        return self._stopping

    def _taker(self, merge: Merge) -> Callable[[bytes], Awaitable[None]]:
        recorder = self._recording.recorder

        async def take(data: bytes) -> None:
            merge.take(data)
            if recorder.behind:
                await recorder.wait_for_room()

        return take

    def _assignment(self) -> Assignment:
        """What a worker serves that starts now."""
        settings, count = self.settings, len(self._sockets)
        limits = settings.server.limits
        share = replace(limits, connections=-(-limits.connections // count))
        tls = settings.tls
        if self._server.ca is not None:
            tls = replace(tls, ca_cert=self._server.ca, ca_key=self._server.ca_key)
        its_settings = replace(
            settings,
            loaded=self._loaded,
            server=replace(settings.server, limits=share),
            record=replace(settings.record, callbacks={}),  # the parent's: they see every record, in order
            tls=tls,
            force=False,  # the parent has emptied what there was
            command=None,
        )
        key = None if self.redactor is None else self._key
        kept = kept_types(settings)
        return Assignment(its_settings, kept, key, clock.anchor(), self._tells_exchanges, self._version)

    def _hear(self, number: int, said: Message) -> None:
        match said:
            case messages.Ready():
                hand = self._hands[number]
                hand.ready = True
                if self._stopping:  # it has started too late to have been told
                    hand.tell(messages.Stop())
                elif not self._answering:
                    hand.tell(messages.StopAnswering())
                if len(self._hands) == len(self._sockets) and all(one.ready for one in self._hands.values()):
                    self._all_ready.set()
            case messages.Progress():
                self._add(said)
            case messages.Defect(name, text):
                error = WorkerDefect(name)
                error.add_note(text)
                self.hooks.defect(error)
            case messages.Failed(file, message):
                self._recording_failed(OutputError(file, message))
            case messages.Refused(reason):
                self.hooks.lost(f"worker {number} cannot start: {reason}", 0)

    def _add(self, progress: messages.Progress) -> None:
        if progress.version == self._version:
            for place, used in progress.used:
                self.rules.rules[place].used += used
        self._truncated += progress.truncated
        self._redactions += progress.redactions
        self.hooks.progress(progress.exchanges, progress.unmatched, progress.ended)

    def _tell_all(self, message: Message) -> None:
        for hand in self._hands.values():
            hand.tell(message)

    def _stop(self) -> None:
        self._stopping = True
        self._close_sockets()
        self._tell_all(messages.Stop())

    async def _lose_patience(self) -> None:
        """Workers end in the grace that they have; one that does not is killed."""
        await anyio.sleep(self.settings.grace + _PATIENCE)
        for hand in self._hands.values():
            hand.kill()

    def _close_sockets(self) -> None:
        for sockets in self._sockets:
            for sock in sockets:
                sock.close()

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    def reload(self) -> Loaded:
        """Read the rule file again. Raises ConfigError or RuleFileError, and keeps the rules there are."""
        loaded = reload_file(self.settings.loaded)
        self._server.use(loaded, check_memory)
        self._loaded, self._version = loaded, self._version + 1
        if self.redactor is not None:
            self.redactor.learn_values(loaded.secrets)
        if "rules-reloaded" in kept_types(self.settings):
            self._recording.log.add(rules_reloaded(loaded.rule_file))
        self._tell_all(messages.Reload(loaded, self._version))
        return loaded

    def hurry(self) -> None:
        """Give running exchanges and waiting callbacks no more time."""
        self._tell_all(messages.Hurry())
        self._patience.cancel()

    def stop_answering(self) -> None:
        """Let connections end after the exchange they are at."""
        self._answering = False
        self._tell_all(messages.StopAnswering())

    def _recording_failed(self, error: FormatError) -> None:
        # A closed pipe and a full disk may come together: the one that is worse is told.
        if self.failure is None or self.failure.exit_code == 141:
            self.failure = error
        self.stop_asked.set()


async def _until(event: anyio.Event, group: TaskGroup) -> None:
    """Ends `group` when an event is set."""
    await event.wait()
    group.cancel_scope.cancel()
