"""Calls of the user's functions, and which of them are running: one table a process, for whoever watches the clock."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mockrec.engine.usercode.failure import Failure, UserError, frames_of, name_of, text_of
from mockrec.engine.usercode.threads import LoopThread, Threads

T = TypeVar("T")
Outcome = tuple[Any, BaseException | None]
Caller = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Outcome]"]


@dataclass(eq=False, slots=True)
class Running:
    """A function that has not returned yet."""

    function: Callable[..., Any]
    is_async: bool = False
    began: float = field(default_factory=time.monotonic)
    """Monotonic seconds."""
    thread: int | None = None
    """The identity of the thread it runs in; None while it waits for one."""
    abandoned: bool = False
    """Whether nobody waits for it any more."""

    @property
    def name(self) -> str:
        return name_of(self.function)


_running: Final[set[Running]] = set()
_tasks: Final[set[asyncio.Task[None]]] = set()
"""Referred to, so that they are not collected while they run."""
_reports: Final[list[Callable[[Failure], None]]] = []


def _left_behind(error: BaseException | None, message: str) -> None:
    """What has failed outside of a call: in a task or callback that a function has left in its loop."""
    what = "a task or callback of a function"
    failure = Failure(what, message) if error is None else Failure(what, text_of(error), frames_of(error))
    for report in _reports:
        report(failure)


_threads: Final = Threads()
user_loop: Final = LoopThread(_left_behind)


def report_failures(report: Callable[[Failure], None]) -> None:
    """Tell `report`, in its own event loop, of what fails outside of any call, as long as this process lives."""
    loop = asyncio.get_running_loop()

    def told(failure: Failure) -> None:
        try:
            loop.call_soon_threadsafe(report, failure)
        except RuntimeError:
            pass  # that loop has ended

    _reports[:] = [told]


def running() -> list[Running]:
    """What runs now, the longest first. May be called from any thread."""
    return sorted(_running.copy(), key=lambda one: one.began)


async def call(function: Callable[..., Any], *arguments: Any, then: Callable[[Any], Any] | None = None) -> Any:
    """What a function returns, awaited if need be, and given to `then`, which belongs to the function: what it raises
    counts as the function's. Plain functions run in a daemon thread, others in the event loop of another one.

    Raises UserError for whatever it raises. A `CancelledError` from here is one of the caller's own scopes; the
    function is then left behind: a thread runs on, a task is told by a cancellation.
    """

    def plain() -> Any:
        result = function(*arguments)
        return result if then is None or inspect.isawaitable(result) else then(result)

    async def awaited(result: Awaitable[Any]) -> Any:
        return await result if then is None else then(await result)

    if inspect.iscoroutinefunction(function):
        return _value(function, await _in_loop(function, lambda: awaited(function(*arguments))))
    result = _value(function, await _in_thread(function, plain))
    if inspect.isawaitable(result):
        return _value(function, await _in_loop(function, lambda: awaited(result)))
    return result


async def call_plain(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a plain function returns, in a daemon thread. Raises as `call` does."""
    return _value(function, await _in_thread(function, lambda: function(*arguments)))


async def own_call(function: Callable[..., T], *arguments: Any) -> T:
    """The same for a function of ours that runs code of the user's: what it raises is raised as it is."""
    try:
        return await call_plain(function, *arguments)  # type: ignore[no-any-return]
    except UserError as failed:
        raise failed.error from None


def _value(function: Callable[..., Any], outcome: Outcome) -> Any:
    value, error = outcome
    if error is not None:
        raise UserError(function, error)
    return value


async def _in_thread(function: Callable[..., Any], make: Callable[[], Any]) -> Outcome:
    one, caller = Running(function), _caller()
    context = contextvars.copy_context()

    def job() -> None:
        if one.abandoned:  # before it could begin
            return
        one.thread = threading.get_ident()
        try:
            outcome: Outcome = context.run(make), None
        except BaseException as error:  # whatever it is, it must not end the thread
            outcome = None, error
        _running.discard(one)
        _settle(caller, outcome)

    _running.add(one)
    _threads.submit(job)
    try:
        return await caller[1]
    finally:
        one.abandoned = True
        if one.thread is None:
            _running.discard(one)


async def _in_loop(function: Callable[..., Any], make: Callable[[], Awaitable[Any]]) -> Outcome:
    one, caller = Running(function, is_async=True), _caller()
    loop, context = user_loop.loop, contextvars.copy_context()
    one.thread = user_loop.thread
    task: asyncio.Task[None] | None = None

    async def run() -> None:
        # Nothing may leave this task: the loop itself raises a KeyboardInterrupt or SystemExit again.
        outcome: Outcome = None, asyncio.CancelledError("the function was cancelled")
        try:
            outcome = await make(), None
        except BaseException as error:
            outcome = None, error
        finally:
            _running.discard(one)
            _settle(caller, outcome)

    def start() -> None:
        nonlocal task
        task = loop.create_task(run(), context=context)
        _tasks.add(task)
        task.add_done_callback(_ended)

    def _ended(task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if task.cancelled():  # by another function, before it could begin
            _running.discard(one)
            _settle(caller, (None, asyncio.CancelledError("the function was cancelled before it began")))

    def cancel() -> None:
        if task is not None:
            task.cancel()

    _running.add(one)
    loop.call_soon_threadsafe(start)
    try:
        return await caller[1]
    except BaseException:
        one.abandoned = True
        loop.call_soon_threadsafe(cancel)
        raise


def _caller() -> Caller:
    loop = asyncio.get_running_loop()
    return loop, loop.create_future()


def _settle(caller: Caller, outcome: Outcome) -> None:
    """Give the outcome to who waits for it, in another thread."""
    loop, future = caller

    def settle() -> None:
        if not future.done():
            future.set_result(outcome)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # its loop has ended
