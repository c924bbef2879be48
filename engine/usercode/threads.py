"""Daemon threads for the user's functions: the process ends without them, whatever they do.

Those of anyio and of `concurrent.futures` are waited for when the interpreter ends, so that one function that never
returns would keep the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

MOST_THREADS: Final = 64
"""Functions that run at a time; further calls wait for one to return."""

Report = Callable[[BaseException | None, str], None]
"""Told what has gone wrong outside of any call: an exception if there is one, and a sentence."""


class Threads:
    """A pool for plain functions, which starts a thread when none is idle."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._some = threading.Semaphore(0)
        self._idle = 0
        self._count = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job`, which raises nothing, as soon as a thread is free."""
        with self._lock:
            self._jobs.append(job)
            is_new = self._idle < len(self._jobs) and self._count < self._most
            self._count += is_new
        self._some.release()
        if is_new:
            threading.Thread(target=self._work, name="mockrec-user-function", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            self._some.acquire()
            with self._lock:
                self._idle -= 1
                job = self._jobs.popleft()
            job()


class LoopThread:
    """An event loop of their own for `async` functions, in a daemon thread: one that blocks holds up only others like
    it. Nothing ends it: `loop.stop()` and a `KeyboardInterrupt` or `SystemExit` in a task, which asyncio lets through,
    are reported, and the loop goes on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread: int | None = None
        """The identity of the thread, once there is one."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running. May be asked for from any thread."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(self._failed)
                thread = threading.Thread(target=self._run, args=(self._loop,), name="mockrec-user-loop", daemon=True)
                thread.start()
                self.thread = thread.ident
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
            except BaseException as error:
                self._report(error, "")
            else:
                self._report(None, "asked its event loop to stop, which goes on")

    def _failed(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        self._report(context.get("exception"), str(context.get("message", "")))
