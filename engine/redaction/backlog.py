"""Redaction that takes long, off the event loop: nobody waits for the secrets of somebody else's text.

What is short is redacted at once. What is not goes to one thread, in the order in which it came, and so does whatever
else is recorded of the same exchange until then. The thread shares the interpreter with the loop, which gets it back
within some milliseconds.
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
"""Bytes that are redacted in the loop: some milliseconds, whatever they are."""
MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes that wait for the thread before traffic waits for it."""


class TooMuch(Exception):
    """This takes too long for the loop. Whoever raises it has done nothing yet."""


class Later(dict[str, Any]):
    """A part of a record that is made when the record is redacted, because it takes long: see `completed`."""

    def __init__(self, make: Callable[[Any], Record]) -> None:
        """`make` gets the `BodyEncoder` to make it with."""
        super().__init__()
        self.make = make


def completed(record: Record, bodies: Any) -> Record:
    """The record with everything in it that was to be made later."""
    for key, item in record.items():
        if isinstance(item, Later):
            return completed({**record, key: item.make(bodies)}, bodies)
        if key == "eventData" and isinstance(item, dict) and any(isinstance(one, Later) for one in item.values()):
            return {**record, key: completed(item, bodies)}
    return record


class Waits(Protocol):
    """What has redactions that are under way: an exchange, the session, a body on its way to the disk."""

    waiting: int
    """How many; as long as there are any, what follows them waits as well."""


class Backlog:
    """Of one event loop. The thread begins with the first work, and ends with `drain`'s caller's process."""

    def __init__(self, pending: Callable[[int], None], leaves_out: Callable[[str], bool]) -> None:
        """`pending` is told how many bytes more, or fewer, wait; `leaves_out` says whether a record of a type is left
        out, because too much waits."""
        self.leaves_out = leaves_out
        self._pending = pending
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None], Waits, int]] = (
            queue.SimpleQueue()
        )
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """What is to be done in the loop with what the thread has made."""
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._idle: anyio.Event | None = None
        self.size = 0
        """Bytes that wait."""

    def put(self, owner: Waits, work: Callable[[], Any], done: Callable[[Any], None], size: int) -> None:
        """Call `work` in the thread, and then `done` in the loop with what it returns."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="redaction", daemon=True)
            self._thread.start()
        owner.waiting += 1
        self._count += 1
        self.size += size
        self._pending(size)
        self._queue.put((work, done, owner, size))

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        while self._count:
            if self._idle is None or self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    def drain_now(self, until: float) -> bool:
        """The same in another thread, while the event loop is held up; whether nothing waits by then (in the clock's
        milliseconds)."""
        while self._count:
            try:
                act = self._done.get(timeout=max(until - clock.now(), 0) / 1000)
            except queue.Empty:
                return False
            act()
        return True

    def _run(self) -> None:
        while True:
            work, done, owner, size = self._queue.get()
            try:
                result = work()
            except BaseException as error:
                self._tell(self._failed, error, owner, size)
            else:
                self._tell(self._finished, done, result, owner, size)
            del work, done, owner  # not held until the next one comes

    def _tell(self, act: Callable[..., None], *arguments: Any) -> None:
        self._done.put(partial(act, *arguments))
        try:
            self._loop.call_soon_threadsafe(self._act)
        except RuntimeError:
            pass  # the loop has ended: nobody waits any more

    def _act(self) -> None:
        try:
            act = self._done.get_nowait()
        except queue.Empty:
            return  # done by `drain_now`
        act()

    def _finished(self, done: Callable[[Any], None], result: Any, owner: Waits, size: int) -> None:
        try:
            done(result)
        finally:
            self._left(owner, size)

    def _failed(self, error: BaseException, owner: Waits, size: int) -> None:
        self._left(owner, size)
        raise error

    def _left(self, owner: Waits, size: int) -> None:
        owner.waiting -= 1
        self._count -= 1
        self.size -= size
        self._pending(-size)
        if not self._count and self._idle is not None:
            self._idle.set()
