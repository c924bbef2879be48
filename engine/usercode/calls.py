"""Calls the user's functions, and keeps the table of those that are running, for `watch.py`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from mockrec.engine.usercode.failure import Failure, UserError, frames_of, name_of, text_of
from mockrec.engine.usercode.threads import LoopThread, Threads

T = TypeVar("T")
Outcome = tuple[Any, BaseException | None]
Caller = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Outcome]"]


class Running(msgspec.Struct, eq=False):
    """A function of the user's that has not returned."""

    function: Callable[..., Any]
    is_async: bool = False
    began: float = msgspec.field(default_factory=time.monotonic)
    """Monotonic seconds."""
    thread: int | None = None
    """The identity of its thread; None while it waits for one."""
    abandoned: bool = False
    """Whether its caller has stopped waiting."""

    @property
    def name(self) -> str:
        return name_of(self.function)


_running: Final[set[Running]] = set()
_tasks: Final[set[asyncio.Task[None]]] = set()
"""Strong references: the event loop has only weak ones, and a running task could be garbage-collected."""
_reports: Final[list[Callable[[Failure], None]]] = []


def _left_behind(error: BaseException | None, message: str) -> None:
    """Report a failure outside of any call: in a task or callback that a function has left in its event loop."""
    what = "a task or callback of a function"
    failure = Failure(what, message) if error is None else Failure(what, text_of(error), frames_of(error))
    for report in _reports:
        report(failure)


_threads: Final = Threads()
user_loop: Final = LoopThread(_left_behind)


def report_failures(report: Callable[[Failure], None]) -> None:
    """Call `report`, in the present event loop, with each failure outside of any call, to the end of the process."""
    loop = asyncio.get_running_loop()

    def report_in_loop(failure: Failure) -> None:
        try:
            loop.call_soon_threadsafe(report, failure)
        except RuntimeError:
            pass  # that event loop has ended

    _reports[:] = [report_in_loop]


def running() -> list[Running]:
    """The functions that are running now, the longest first. May be called from any thread."""
    return sorted(_running.copy(), key=lambda one: one.began)


async def call(function: Callable[..., Any], *arguments: Any, then: Callable[[Any], Any] | None = None) -> Any:
    """Call a function and return its result, awaited if it is awaitable, and passed through `then` if that is given.

    Plain functions run in a daemon thread, `async` ones in the event loop of another thread; `then` runs there as well,
    and what it raises counts as raised by the function. Raises UserError for whatever the function raises. If the
    caller is cancelled, the function is left behind: a thread runs on, a task is cancelled.
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
    """Call a plain function in a daemon thread, and return its result. Raises UserError."""
    return _value(function, await _in_thread(function, lambda: function(*arguments)))


async def own_call(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of ours that runs code of the user's in a daemon thread. Raises what the function raises."""
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
        if one.abandoned:  # while it waited for a thread
            return
        one.thread = threading.get_ident()
        try:
            outcome: Outcome = context.run(make), None
        except BaseException as error:  # no exception may end the thread
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
        # No exception may leave this task: the event loop would raise KeyboardInterrupt and SystemExit again.
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
    """Pass the outcome to the caller, which waits in another thread."""
    loop, future = caller

    def settle() -> None:
        if not future.done():
            future.set_result(outcome)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # the caller's event loop has ended
