"""The helper processes of a recorder: started when they are needed, replaced when they have reached the limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import anyio
from anyio.abc import Process, TaskGroup

from mockrec.engine.offload.messages import Done, Job
from mockrec.engine.pickle_frames import LENGTH_BYTES, to_frame

MOST: Final = max(2, min(4, os.cpu_count() or 1))
"""Helpers at a time; at least two, so that one job never occupies all of them."""
TAG: Final = "match-limit"
"""The beginning of the tag of an exchange for which a job could not be done within the limit."""
_START_SECONDS = 5.0
_WALL_FACTOR = 6.0
"""Seconds of wall time for a second of CPU time: a busy machine gives it late."""


class TooLong(Exception):
    """A job has used up its time or memory, or no helper was available in time; the text says which."""


class Helpers:
    """Calls functions in other processes, each within a limit of CPU time."""

    def __init__(self, seconds: float, warn: Callable[[str], None] = lambda text: None, *, most: int = MOST) -> None:
        """`seconds` of CPU time for each job. `warn` is called once for each place whose jobs reach the limit."""
        self.seconds = seconds
        self._warn = warn
        self._warned: set[str] = set()
        self._most = most
        self._wall_seconds = _START_SECONDS + seconds * _WALL_FACTOR
        self._idle: list[_Helper] = []
        self._waiting: deque[asyncio.Future[_Helper | None]] = deque()
        self._all: set[_Helper] = set()
        self._starting = 0
        self._group: TaskGroup | None = None

    async def run(self) -> None:
        """Keep helpers until cancelled, and end them then."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                await anyio.sleep_forever()
        finally:
            self._group = None
            with anyio.CancelScope(shield=True):
                for helper in list(self._all):
                    await helper.end()

    async def call(
        self, function: Callable[..., Any], *arguments: Any, subject: tuple[str, Callable[[], Any]] | None = None
    ) -> Any:
        """Call a module-level function in a helper, and return its result. Raises what it raises, and TooLong.

        `subject` is an id, and a function that makes the first argument; that is only sent to a helper that has not got
        it from the job before. Must run in a task of its own.
        """
        subject_id = None if subject is None else subject[0]
        helper = await self._take(subject_id)
        if subject is None or helper.subject_id == subject_id:
            job = Job(function, arguments, subject_id)
        else:
            job = Job(function, arguments, subject_id, subject[1]())
        try:
            with anyio.fail_after(self._wall_seconds):
                done = await helper.do(job)
        except (TimeoutError, OSError, EOFError):
            self._lose(helper)
            raise TooLong(f"took longer than {self.seconds:g}s of CPU time") from None
        except BaseException:
            self._lose(helper)  # the caller was cancelled, and the helper is still at work
            raise
        self._give(helper)
        if isinstance(done.error, MemoryError):
            raise TooLong("needed too much memory")
        if done.error is not None:
            raise done.error
        return done.result

    def report_limit(
        self, tag: Callable[[str], None], name: str, place: str, reason: str, result: str = "failed"
    ) -> None:
        """Tag an exchange, and warn the user once for each `place`; `name` is the key of the rule language."""
        tag(f"{TAG}:{name}")
        if place not in self._warned:
            self._warned.add(place)
            self._warn(f"{place} {reason}, so it {result} (server.limits.matchTime)")

    # ── free helpers ───────────────────────────────────────────────────────────────────────────────

    async def _take(self, subject_id: str | None) -> _Helper:
        """Return a free helper: the one that has the subject, or any other."""
        with anyio.move_on_after(self._wall_seconds):
            while True:
                for helper in reversed(self._idle):
                    if helper.subject_id == subject_id or helper is self._idle[0]:
                        self._idle.remove(helper)
                        self._start_spare()
                        return helper
                if len(self._all) + self._starting < self._most:
                    helper = await self._start()
                    self._start_spare()
                    return helper
                future: asyncio.Future[_Helper | None] = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                try:
                    given = await future
                except BaseException:
                    if future.done() and not future.cancelled() and (late := future.result()) is not None:
                        self._give(late)
                    raise
                if given is not None:
                    return given
        raise TooLong("found all helpers busy")

    def _give(self, helper: _Helper) -> None:
        """Make a helper available: it is free."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(helper)
                return
        self._idle.append(helper)

    def _lose(self, helper: _Helper) -> None:
        """End a helper that has reached the limit or was given up."""
        self._all.discard(helper)
        helper.kill()
        while self._waiting:  # one of those that wait may start another helper
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        if self._group is not None:
            self._group.start_soon(helper.end)

    def _start_spare(self) -> None:
        """Start another helper if none is idle, so that the next job need not wait for that."""
        if self._group is not None and not self._idle and len(self._all) + self._starting < self._most:
            self._group.start_soon(self._spare)

    async def _spare(self) -> None:
        if not self._idle and len(self._all) + self._starting < self._most:
            with contextlib.suppress(TooLong):
                self._give(await self._start())

    async def _start(self) -> _Helper:
        self._starting += 1
        try:
            helper = await _Helper.start(self.seconds)
        except OSError as error:
            raise TooLong(f"found no helper, for none can be started: {error.strerror or error}") from None
        finally:
            self._starting -= 1
        self._all.add(helper)
        return helper


class _Helper:
    """One helper process."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.subject_id: str | None = None
        """The id of the subject that it has."""

    @classmethod
    async def start(cls, seconds: float) -> _Helper:
        """Start a process. Raises OSError."""
        ours, its = socket.socketpair()
        try:
            # In a session of its own: a terminal's Ctrl-C is for the recorder, which decides when a helper ends.
            process = await anyio.open_process(
                [sys.executable, "-P", "-m", "mockrec.engine.offload.helper", str(its.fileno()), str(seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            its.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def do(self, job: Job) -> Done:
        """Do a job. Raises OSError or EOFError (of which IncompleteReadError is one) if the process has ended."""
        self.subject_id = job.subject_id
        self._writer.write(to_frame(job))
        length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
        done: Done = pickle.loads(await self._reader.readexactly(length))
        return done

    def kill(self) -> None:
        """Kill the process."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """Kill the process and return when it has ended."""
        self.kill()
        self._writer.close()
        await self._process.wait()
