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
from mockrec.engine.recording.session_records import Listening
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.run import Run, kept_types
from mockrec.engine.run.server import Server
from mockrec.engine.run.settings import Ending, Hooks, RunSettings
from mockrec.engine.run.workers import messages
from mockrec.engine.run.workers.merger import Merge
from mockrec.engine.run.workers.messages import Assignment, Message
from mockrec.engine.run.workers.process import WorkerProcess
from mockrec.engine.run.workers.stateful_rules import check_memory
from mockrec.engine.server.listener import bind_shared, url_of
from mockrec.engine.steps.handlers import Handlers
from mockrec.formats.schema.errors import OutputError

_PATIENCE = 0.5
"""Seconds that a worker gets to end beyond the grace of its exchanges, as long as no more records come from it."""
_LOOK_SECONDS = 0.1
_MOST_FAILED_STARTS = 3
_PAUSE = 0.1
"""Seconds before a worker that could not start is tried again."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """Where all workers listen."""

    url: str
    host: str
    port: int


class WorkerDefect(Exception):
    """A defect in a worker; its traceback is a note."""


class WorkerPool(Run):
    """A recording whose servers are processes of their own."""

    def __init__(self, settings: RunSettings, hooks: Hooks, count: int, *, tells_exchanges: bool) -> None:
        """Raises ConfigError, also for rules with a memory."""
        if not sys.platform.startswith("linux"):
            raise ConfigError("--workers needs Linux, which spreads connections over processes (SO_REUSEPORT)")
        self._key = os.urandom(32)
        super().__init__(settings, hooks, drop=False, key=self._key)  # the workers leave out what is too much
        self._tells_exchanges = tells_exchanges
        self._sockets = bind_shared(settings.server.host, settings.server.ports, count)
        self._hands: dict[int, WorkerProcess] = {}
        self._merges: dict[int, Merge] = {}
        self._all_ready = anyio.Event()
        self._loaded, self._version = settings.loaded, 0
        self._stopping = False
        self._answering = True
        self._truncated = self._redactions = 0

    def _make_server(self, handlers: Handlers) -> Server:
        """It answers nothing here: it says whether those of the workers will."""
        return Server(self.settings, self.hooks, handlers, check_memory)

    def _listen(self) -> Listening:
        host, port = self.settings.server.host, self._sockets[0][0].getsockname()[1]
        return _Shared(url_of(host, port), host, port)

    async def _start(self, serving: TaskGroup) -> bool:
        """Returns when all workers accept connections."""
        for number in range(1, len(self._sockets) + 1):
            serving.start_soon(self._keep, number)
        async with anyio.create_task_group() as group:
            for event in (self._all_ready, self.stop_asked):
                group.start_soon(_until, event, group)
        return self._all_ready.is_set()

    async def _stop(self, serving: TaskGroup) -> None:
        self._stopping = True
        self._close()
        self._tell_all(messages.Stop())
        self._background.start_soon(self._lose_patience)

    async def _lose_patience(self) -> None:
        """Workers end in the grace that they have; one that does not is killed."""
        ends_at = anyio.current_time() + self.settings.grace
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            now = anyio.current_time()
            if self._hurry.is_set():
                ends_at = min(ends_at, now)
            for hand in self._hands.values():
                if not hand.taking and now > max(ends_at, hand.last_sign) + _PATIENCE:
                    hand.kill()

    def _close(self) -> None:
        for sockets in self._sockets:
            for sock in sockets:
                sock.close()

    def _last_record(self, ending: Ending) -> dict[str, Any]:
        return self._recording.ended(ending, self.rules, self._truncated, self._redactions)

    # ── workers ────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, number: int) -> None:
        """One worker, and those that replace it."""
        failed_starts = 0
        while True:
            merge = Merge(self._recording.recorder, kept_types(self.settings))
            self._merges[number] = merge
            hand = self._hands[number] = WorkerProcess(
                number, self._taker(merge), lambda said: self._hear(number, said)
            )
            words = await hand.work(self._assignment, self._sockets[number - 1], stdout=self._worker_stdout)
            if not words and self._stopping:
                return
            ended = merge.lost(self._recording.log.add)
            if self._recording.body_files is not None and hand.pid is not None:
                self._recording.body_files.sweep(hand.pid)
            self.hooks.lost(f"{hand} {words or 'ended unasked'}", ended)
            failed_starts = 0 if hand.ready else failed_starts + 1
            if failed_starts >= _MOST_FAILED_STARTS:
                self.stop_asked.set()
                return
            if failed_starts:
                await anyio.sleep(_PAUSE)
            if self._stopping:
                return

    @property
    def _worker_stdout(self) -> int | None:
        """Where the records go, nothing else may."""
        return 2 if "-" in self.settings.outputs else None

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
            case messages.ProgressMessage():
                self._add(said)
            case messages.LeftOut(counts, ended):
                self._merges[number].left_out(counts, ended)
            case messages.Defect(name, text):
                error = WorkerDefect(name)
                error.add_note(text)
                self.hooks.defect(error)
            case messages.UserFailure(failure):
                self.hooks.failure(failure)
            case messages.Warned(sentence):
                self.hooks.warn(sentence)
            case messages.Failed(file, message):
                self._recording_failed(OutputError(file, message))
            case messages.StartRefused(reason):
                what = "keeps the rules before" if self._hands[number].ready else "cannot start"
                self.hooks.lost(f"worker {number} {what}: {reason}", 0)

    def _add(self, progress: messages.ProgressMessage) -> None:
        if progress.version == self._version:
            for place, used in progress.used:
                self.rules.rules[place].used += used
        self._truncated += progress.truncated
        self._redactions += progress.redactions
        self.hooks.progress(progress.exchanges, progress.unmatched, progress.ended)

    def _tell_all(self, message: Message) -> None:
        for hand in self._hands.values():
            hand.tell(message)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    async def reload(self) -> Loaded:
        self._loaded = await super().reload()
        self._version += 1
        self._tell_all(messages.Reload(self._loaded, self._version))
        return self._loaded

    def _give_up(self, error: dict[str, str]) -> None:
        for hand in self._hands.values():
            hand.kill()

    def hurry(self) -> None:
        self._tell_all(messages.Hurry())
        super().hurry()

    def stop_answering(self) -> None:
        self._answering = False
        self._tell_all(messages.StopAnswering())


async def _until(event: anyio.Event, group: TaskGroup) -> None:
    """Ends `group` when an event is set."""
    await event.wait()
    group.cancel_scope.cancel()
