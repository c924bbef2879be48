"""A recording by several processes: starts workers, replaces those that die, and merges their records."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.session_records import Listening
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.run.responder import Responder
from mockrec.engine.run.run import Run, kept_types
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.run.workers import messages
from mockrec.engine.run.workers.merger import WorkerMerger
from mockrec.engine.run.workers.messages import Assignment, Message
from mockrec.engine.run.workers.process import WorkerProcess
from mockrec.engine.run.workers.stateful_rules import check_stateless
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.transport.sockets import bind_shared, url_of
from mockrec.formats.schema.errors import OutputError

_EXTRA_SECONDS = 0.5
"""What a worker gets to end after the grace of its exchanges, and after the last bytes it has sent."""
_POLL_SECONDS = 0.1
_MOST_FAILED_STARTS = 3
_RESTART_SECONDS = 0.1
"""The pause before a worker that could not start is started again."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Where all workers listen."""

    url: str
    host: str
    port: int


class WorkerDefect(Exception):
    """A defect in a worker; a note has its traceback."""


class WorkerPool(Run):
    """A recording whose servers are worker processes."""

    def __init__(self, settings: RunSettings, hooks: Hooks, count: int, *, reports_exchanges: bool) -> None:
        """Raises ConfigError, also for rules with state."""
        if not sys.platform.startswith("linux"):
            raise ConfigError("--workers needs Linux, which spreads connections over processes (SO_REUSEPORT)")
        self._key = os.urandom(32)
        super().__init__(settings, hooks, drop=False, key=self._key)  # `drop` is for the workers' recorders
        self._reports_exchanges = reports_exchanges
        self._sockets = bind_shared(settings.server.host, settings.server.ports, count)
        self._workers: dict[int, WorkerProcess] = {}
        self._mergers: dict[int, WorkerMerger] = {}
        self._all_ready = anyio.Event()
        self._loaded, self._version = settings.loaded, 0
        self._stopping = False
        self._answering = True
        self._truncated = self._redactions = 0

    def _make_responder(self, handlers: Handlers) -> Responder:
        """Compile the rules as the workers will. This process only counts how often each rule is used."""
        return Responder(self.settings, self.hooks, handlers, check_stateless)

    def _listen(self) -> Listening:
        host, port = self.settings.server.host, self._sockets[0][0].getsockname()[1]
        return _Endpoint(url_of(host, port), host, port)

    async def _start(self, serving: TaskGroup) -> bool:
        """Return when all workers accept connections."""
        for number in range(1, len(self._sockets) + 1):
            serving.start_soon(self._keep_running, number)
        async with anyio.create_task_group() as group:
            for event in (self._all_ready, self.stop_asked):
                group.start_soon(_until, event, group)
        return self._all_ready.is_set()

    async def _stop(self, serving: TaskGroup) -> None:
        self._stopping = True
        self._close()
        self._send_all(messages.Stop())
        self._background.start_soon(self._kill_late_workers)

    async def _kill_late_workers(self) -> None:
        """Kill workers that do not end within the grace."""
        ends_at = anyio.current_time() + self.settings.grace
        while True:
            await anyio.sleep(_POLL_SECONDS)
            now = anyio.current_time()
            if self._hurry.is_set():
                ends_at = min(ends_at, now)
            for worker in self._workers.values():
                if not worker.taking and now > max(ends_at, worker.last_sign) + _EXTRA_SECONDS:
                    worker.kill()

    def _close(self) -> None:
        for sockets in self._sockets:
            for sock in sockets:
                sock.close()

    def _last_record(self, ending: Ending) -> dict[str, Any]:
        return self._recording.ended(ending, self.rules, self._truncated, self._redactions)

    # ── workers ────────────────────────────────────────────────────────────────────────────────────

    async def _keep_running(self, number: int) -> None:
        """Run a worker, and start another one whenever it dies."""
        failed_starts = 0
        while True:
            merger = self._mergers[number] = WorkerMerger(self._recording.recorder, kept_types(self.settings))
            worker = self._workers[number] = WorkerProcess(
                number, self._record_taker(merger), lambda message: self._take_message(number, message)
            )
            words = await worker.run(self._assignment, self._sockets[number - 1], stdout=self._worker_stdout)
            if not words and self._stopping:
                return
            ended = merger.lost(self._recording.log.add)
            if self._recording.body_files is not None and worker.pid is not None:
                self._recording.body_files.sweep(worker.pid)
            self.hooks.lost(f"{worker} {words or 'ended unasked'}", ended)
            failed_starts = 0 if worker.ready else failed_starts + 1
            if failed_starts >= _MOST_FAILED_STARTS:
                self.hooks.warn(f"worker {number} ended {failed_starts} times before it was ready: the run ends")
                self.stop_asked.set()
                return
            if failed_starts:
                await anyio.sleep(_RESTART_SECONDS)
            if self._stopping:
                return

    @property
    def _worker_stdout(self) -> int | None:
        """What a worker has as stdout: stderr, if records go to our stdout, where nothing else may be written."""
        return 2 if "-" in self.settings.outputs else None

    def _record_taker(self, merger: WorkerMerger) -> Callable[[bytes], Awaitable[None]]:
        recorder = self._recording.recorder

        async def take(data: bytes) -> None:
            merger.take(data)
            if recorder.behind:
                await recorder.wait_for_room()

        return take

    def _assignment(self) -> Assignment:
        """What a worker that starts now has to serve."""
        settings, count = self.settings, len(self._sockets)
        limits = settings.server.limits
        its_limits = replace(limits, connections=-(-limits.connections // count))
        tls = settings.tls
        if self.ca is not None:
            tls = replace(tls, ca_cert=self.ca, ca_key=self._responder.ca.key)
        its_settings = replace(
            settings,
            loaded=self._loaded,
            server=replace(settings.server, limits=its_limits),
            record=replace(settings.record, callbacks={}),  # the parent calls them: they get every record, in order
            tls=tls,
            force=False,  # the parent has truncated the outputs
            command=None,
        )
        key = None if self.redactor is None else self._key
        types = kept_types(settings)
        return Assignment(its_settings, types, key, clock.anchor(), self._reports_exchanges, self._version)

    def _take_message(self, number: int, message: Message) -> None:
        worker = self._workers[number]
        match message:
            case messages.Ready():
                worker.ready = True
                if self._stopping:  # it was not ready when this was sent to the others
                    worker.send(messages.Stop())
                elif not self._answering:
                    worker.send(messages.StopAnswering())
                if len(self._workers) == len(self._sockets) and all(one.ready for one in self._workers.values()):
                    self._all_ready.set()
            case messages.ProgressMessage():
                self._add_progress(message)
            case messages.LeftOut(counts, ended):
                self._mergers[number].left_out(counts, ended)
            case messages.Defect(name, text):
                error = WorkerDefect(name)
                error.add_note(text)
                self.hooks.defect(error)
            case messages.UserFailure(failure):
                self.hooks.failure(failure)
            case messages.Warned(sentence):
                self.hooks.warn(sentence)
            case messages.Failed(file, text):
                self._recording_failed(OutputError(file, text))
            case messages.StartRefused(reason):
                what = "keeps the rules before" if worker.ready else "cannot start"
                self.hooks.lost(f"worker {number} {what}: {reason}", 0)

    def _add_progress(self, progress: messages.ProgressMessage) -> None:
        if progress.version == self._version:
            for index, used in progress.used:
                self.rules.rules[index].used += used
        self._truncated += progress.truncated
        self._redactions += progress.redactions
        self.hooks.progress(progress.exchanges, progress.unmatched, progress.ended)

    def _send_all(self, message: Message) -> None:
        for worker in self._workers.values():
            worker.send(message)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────

    async def reload(self) -> Loaded:
        self._loaded = await super().reload()
        self._version += 1
        self._send_all(messages.Reload(self._loaded, self._version))
        return self._loaded

    async def _use(self, loaded: Loaded) -> None:
        await self._responder.use(loaded)

    def _give_up(self, error: dict[str, str]) -> None:
        for worker in self._workers.values():
            worker.kill()

    def hurry(self) -> None:
        self._send_all(messages.Hurry())
        super().hurry()

    def stop_answering(self) -> None:
        self._answering = False
        self._send_all(messages.StopAnswering())


async def _until(event: anyio.Event, group: TaskGroup) -> None:
    """Cancel `group` when `event` is set."""
    await event.wait()
    group.cancel_scope.cancel()
