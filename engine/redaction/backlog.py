"""Long redactions, off the event loop: a large body of one exchange does not delay the others.

Short texts are redacted at once. Long ones go to one thread, in the order of their arrival, and so do the later records
of the same exchange until it has caught up. The thread shares the interpreter with the event loop, which gets it back
within a few milliseconds.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import anyio

from mockrec.engine import clock

Record = dict[str, Any]

AT_ONCE: Final = 16 * 1024
"""Bytes that are redacted in the event loop: they take a few milliseconds, whatever they are."""
MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes in the queue from which traffic has to wait for the thread."""


class TooMuch(Exception):
    """The redaction would take too long for the event loop. Raised before anything is changed."""


class Later(dict[str, Any]):
    """A part of a record that is made only when the record is redacted, because it takes long; see `completed`."""

    def __init__(self, make: Callable[[Any], Record]) -> None:
        """`make` takes the `BodyEncoder` of the thread."""
        super().__init__()
        self.make = make


def completed(record: Record, bodies: Any) -> Record:
    """Return the record with its `Later` parts made."""
    for key, item in record.items():
        if isinstance(item, Later):
            return completed({**record, key: item.make(bodies)}, bodies)
        if key == "eventData" and isinstance(item, dict) and any(isinstance(one, Later) for one in item.values()):
            return {**record, key: completed(item, bodies)}
    return record


class BacklogOwner(Protocol):
    """The owner of redactions in the backlog: an exchange, the session, a body on its way to the disk."""

    waiting: int
    """Its redactions that are queued or under way. While there are any, its next records have to be queued too."""


class Backlog:
    """The queue of long redactions of one event loop. Its thread starts with the first and ends with the process."""

    def __init__(self, pending: Callable[[int], None], leaves_out: Callable[[str], bool]) -> None:
        """`pending` is called with the change of the bytes in the queue; `leaves_out` returns whether records of a type
        are dropped at the moment, because the queue is too long."""
        self.leaves_out = leaves_out
        self._pending = pending
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None], BacklogOwner, int]] = (
            queue.SimpleQueue()
        )
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """Calls for the event loop, with the results of the thread."""
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._idle: anyio.Event | None = None
        self.size = 0
        """Bytes in the queue."""

    def put(self, owner: BacklogOwner, work: Callable[[], Any], done: Callable[[Any], None], size: int) -> None:
        """Call `work` in the thread, and then `done` with its result in the event loop. `size`: the bytes that it
        redacts."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="redaction", daemon=True)
            self._thread.start()
        owner.waiting += 1
        self._count += 1
        self.size += size
        self._pending(size)
        self._queue.put((work, done, owner, size))

    async def drain(self) -> None:
        """Wait until the queue is empty and all results have been handed over."""
        while self._count:
            if self._idle is None or self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    def drain_now(self, until: float) -> bool:
        """Do the same from another thread, while the event loop is blocked. Return False if the queue is not empty at
        the time `until` (in milliseconds of `clock.now`)."""
        while self._count:
            try:
                call = self._done.get(timeout=max(until - clock.now(), 0) / 1000)
            except queue.Empty:
                return False
            call()
        return True

    def _run(self) -> None:
        while True:
            work, done, owner, size = self._queue.get()
            try:
                result = work()
            except BaseException as error:
                self._post(self._failed, error, owner, size)
            else:
                self._post(self._finished, done, result, owner, size)
            del work, done, owner  # no references while waiting for the next

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        self._done.put(partial(call, *arguments))
        try:
            self._loop.call_soon_threadsafe(self._run_next)
        except RuntimeError:
            pass  # the event loop has ended: no caller waits for the result

    def _run_next(self) -> None:
        try:
            call = self._done.get_nowait()
        except queue.Empty:
            return  # `drain_now` has called it
        call()

    def _finished(self, done: Callable[[Any], None], result: Any, owner: BacklogOwner, size: int) -> None:
        try:
            done(result)
        finally:
            self._removed(owner, size)

    def _failed(self, error: BaseException, owner: BacklogOwner, size: int) -> None:
        self._removed(owner, size)
        raise error

    def _removed(self, owner: BacklogOwner, size: int) -> None:
        owner.waiting -= 1
        self._count -= 1
        self.size -= size
        self._pending(-size)
        if not self._count and self._idle is not None:
            self._idle.set()
