"""Daemon threads for the user's functions: the process ends without waiting for them.

The interpreter waits at its end for threads of anyio and of `concurrent.futures`, so that one function that never
returns would keep the process alive.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

MOST_THREADS: Final = 64
"""Functions that run at once; further calls wait until one returns."""

Report = Callable[[BaseException | None, str], None]
"""Called for a failure outside of any call, with an exception, if there is one, and a sentence."""


class Threads:
    """A pool of threads for plain functions, which starts a thread when none is idle."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._job_count = threading.Semaphore(0)
        self._idle = 0
        self._count = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job`, which raises nothing, as soon as a thread is free."""
        with self._lock:
            self._jobs.append(job)
            is_new = self._idle < len(self._jobs) and self._count < self._most
            self._count += is_new
        self._job_count.release()
        if is_new:
            threading.Thread(target=self._work, name="mockrec-user-function", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            self._job_count.acquire()
            with self._lock:
                self._idle -= 1
                job = self._jobs.popleft()
            job()


class LoopThread:
    """An event loop for `async` functions, in a daemon thread: a function that blocks delays only other such functions.

    It never ends: `loop.stop()`, and a `KeyboardInterrupt` or `SystemExit` in a task, which asyncio raises again, are
    reported, and the loop continues.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread: int | None = None
        """The identity of the thread, once it has been started."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop. May be used from any thread."""
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
