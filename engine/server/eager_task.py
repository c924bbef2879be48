"""Runs a coroutine at once in the calling task, and gives it a task of its own only if it has to wait.

asyncio has this idea since Python 3.12 (`asyncio.eager_task_factory`): most coroutines here never wait, and a task for
each would cost a fifth of the time of an exchange. This one works on Python 3.11, and inside anyio's task groups.

How it works. An `await` that has to wait yields an object to the event loop: a future, or None for "call me again in
the next iteration". `EagerTask(coroutine)` takes the loop's place for the first step and runs the coroutine up to its
first yield. If it ended before, there is nothing to do. Otherwise `await eager_task` in a real task yields the same
object again, now to the event loop, and drives the coroutine to its end as if it had been awaited there from the start.
A future that was completed in between wakes the real task at once.

`http2_requests.py` and `http1_direct.py` make such tasks; `dispatch.py` uses `detach`. In `http1_direct.py`, the part
up to the first suspension runs in a callback of the event loop, in which the task of the connection is entered.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class EagerTask:
    """A coroutine run eagerly to its first suspension; `await` it to run the rest.

    Up to the first suspension it runs in the caller's task. So it must not open cancel scopes or task groups there:
    they belong to the task in which they were opened. It calls `detach` before it does.
    """

    __slots__ = ("_coroutine", "_yielded", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run `coroutine` until it waits for the first time or ends. Raises what it raises."""
        self._coroutine = coroutine
        self.done = False
        """Whether it ended without waiting."""
        try:
            self._yielded = coroutine.send(None)
        except StopIteration:
            self.done = True

    def __await__(self) -> Generator[Any, Any, None]:
        """Run the coroutine from its first suspension to its end, in the awaiting task."""
        coroutine, yielded = self._coroutine, self._yielded
        try:
            while True:
                try:
                    value = yield yielded
                except BaseException as error:  # a cancellation, above all
                    yielded = coroutine.throw(error)
                else:
                    yielded = coroutine.send(value)
        except StopIteration:
            pass


class _Suspension:
    def __await__(self) -> Generator[None, None, None]:
        yield  # to the event loop: "call me again in the next iteration"


async def detach() -> None:
    """Suspend once, so that what follows runs in a task of its own, where it may open scopes and take its time.

    In a coroutine that has a task already, this lets other tasks run first, as `asyncio.sleep(0)` does.
    """
    await _Suspension()
