"""Calls of functions that do what they like, and who waits for them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from mockrec.engine.usercode import calls
from mockrec.engine.usercode.calls import call, own_call, running
from mockrec.engine.usercode.failure import UserError
from mockrec.engine.usercode.threads import Threads

pytestmark = pytest.mark.anyio


async def test_a_value_comes_back_from_wherever_it_is_made() -> None:
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    assert await call(lambda number: number + 1, 1) == 2
    assert await call(later, 1) == 2
    assert await call(lambda number: later(number), 1) == 2
    assert await call(later, 1, then=str) == "2"
    assert await call(lambda number: number, 1, then=str) == "1"
    assert running() == []


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), StopIteration(), GeneratorExit()])
async def test_what_is_raised_is_an_error_of_the_functions(error: BaseException) -> None:
    def plain() -> None:
        raise error

    with pytest.raises(UserError) as caught:
        await call(plain)
    assert caught.value.error is error
    with pytest.raises(UserError) as caught:
        await call(lambda: 1, then=lambda value: plain())
    assert caught.value.error is error
    assert running() == []


async def test_a_task_that_cancels_itself_cancels_nobody_else() -> None:
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1000)

    with pytest.raises(UserError, match="CancelledError"):
        await call(cancels)


async def test_who_stops_waiting_leaves_a_thread_behind_and_tells_a_task() -> None:
    may_end, began = threading.Event(), threading.Event()
    told = threading.Event()

    def plain() -> None:
        began.set()
        may_end.wait(20)

    async def later() -> None:
        began.set()
        try:
            await asyncio.sleep(1000)
        finally:
            told.set()

    for function in (plain, later):
        began.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, function)
            await anyio.to_thread.run_sync(began.wait, 20)
            tasks.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(told.wait, 20)
    assert [one.function for one in running()] == [plain]
    may_end.set()
    with anyio.fail_after(20):
        while running():
            await anyio.sleep(0.005)


async def test_no_more_threads_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_threads", Threads(2))
    may_end = threading.Event()
    lock = threading.Lock()
    most = now = 0

    def plain() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        may_end.wait(20)
        with lock:
            now -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(call, plain)
        with anyio.fail_after(20):
            while now < 2:
                await anyio.sleep(0.005)
        may_end.set()
    assert most == 2


async def test_a_function_that_nobody_waits_for_any_more_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_threads", Threads(1))
    may_end, began = threading.Event(), threading.Event()
    called: list[int] = []

    def first() -> None:
        began.set()
        may_end.wait(20)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, first)
        await anyio.to_thread.run_sync(began.wait, 20)
        with anyio.move_on_after(0.01):
            await call(called.append, 1)
        may_end.set()
    await call(lambda: None)  # it comes after the other one
    assert called == []


async def test_our_own_functions_raise_as_they_are() -> None:
    def fails() -> Any:
        raise OSError("ours")

    with pytest.raises(OSError, match="ours"):
        await own_call(fails)
