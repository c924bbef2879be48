"""The user's functions: called one at a time, in order, with typed events."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.recording import callbacks as module
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.events import check_record
from mockrec.formats.schema.exchange_events import Abort
from mockrec.formats.schema.session_events import Gap

pytestmark = pytest.mark.anyio


class Called:
    """Callbacks under way, and what they have added to the log."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.callbacks = callbacks
        self.added: list[dict[str, Any]] = []

    def offer(self, record: dict[str, Any]) -> None:
        self.callbacks.offer(record["type"], encode_lines((record,)))

    def gap(self, number: int) -> None:
        self.offer({"seq": number, "type": "gap", "timestamp": "2026-01-01T00:00:00.000000Z", "counts": {"x": 1}})


@asynccontextmanager
async def calling(**functions: Callable[[Any], Any]) -> AsyncIterator[Called]:
    names = {kind: f"handlers.py:{kind}" for kind in functions}
    called = Called(Callbacks(functions, names))
    async with anyio.create_task_group() as tasks:
        called.callbacks.start(tasks, called.added.append)
        with anyio.fail_after(20):
            yield called
        tasks.cancel_scope.cancel()


async def test_events_are_typed_and_in_order(record_of: Any) -> None:
    seen: list[Any] = []
    async with calling(gap=seen.append, abort=seen.append) as called:
        called.gap(1)
        called.offer(record_of("abort"))
        called.gap(3)
        called.offer(record_of("response"))
        assert seen == []
        await called.callbacks.finish()
    assert [type(event) for event in seen] == [Gap, Abort, Gap]
    assert [event.seq for event in seen if isinstance(event, Gap)] == [1, 3]
    assert called.added == []


async def test_callbacks_run_one_at_a_time_also_if_they_wait() -> None:
    log: list[str] = []

    async def slow(event: Any) -> None:
        log.append(f"{event.seq} begins")
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        log.append(f"{event.seq} ends")

    async with calling(gap=slow) as called:
        for number in range(3):
            called.gap(number)
        await called.callbacks.finish()
    assert log == [f"{number} {what}" for number in range(3) for what in ("begins", "ends")]


async def test_finish_waits_for_all_of_them() -> None:
    seen: list[int] = []
    may_go_on = threading.Event()

    def slow(event: Any) -> None:
        assert may_go_on.wait(20)
        seen.append(event.seq)

    async with calling(gap=slow) as called:
        for number in range(5):
            called.gap(number)
        finished: list[bool] = []

        async def finish() -> None:
            await called.callbacks.finish()
            finished.append(True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(finish)
            await wait_all_tasks_blocked()
            assert not finished
            may_go_on.set()
        assert seen == [0, 1, 2, 3, 4]
        await called.callbacks.finish()
        called.gap(5)
        await called.callbacks.finish()
        assert seen[-1] == 5


async def test_finish_without_a_start() -> None:
    with anyio.fail_after(60):
        await Callbacks({}, {}).finish()


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_exception_is_recorded_and_the_next_callback_is_called(record_of: Any, is_async: bool) -> None:
    seen: list[Any] = []

    def broken(event: Any) -> None:
        seen.append(event)
        raise RuntimeError("no\ud800")

    async def broken_later(event: Any) -> None:
        broken(event)

    function = broken_later if is_async else broken
    async with calling(abort=function, gap=function) as called:
        abort = record_of("abort")
        called.offer(abort)
        called.gap(1)
        await called.callbacks.finish()
    assert len(seen) == 2
    first, second = called.added
    assert (first["type"], first["eventType"], first["callback"]) == ("callback-error", "abort", "handlers.py:abort")
    assert (first["id"], first["connectionId"]) == (abort["id"], abort["connectionId"])
    assert (first["error"]["name"], first["error"]["message"]) == ("RuntimeError", "no\ud800")
    assert "in broken" in first["error"]["stack"]
    assert "id" not in second
    assert [check_record(record) for record in called.added] == [[], []]


async def test_traffic_waits_while_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    may_go_on = threading.Event()

    def slow(event: Any) -> None:
        assert may_go_on.wait(20)

    went_on: list[int] = []
    async with calling(gap=slow) as called:
        callbacks = called.callbacks

        async def wait(number: int) -> None:
            await callbacks.wait_for_room()
            assert not callbacks.full
            went_on.append(number)

        for number in range(3):
            assert not callbacks.full
            called.gap(number)
        assert callbacks.full
        await wait_all_tasks_blocked()
        assert not callbacks.full  # one of them is being called
        called.gap(3)
        assert callbacks.full
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(wait, number)
            await wait_all_tasks_blocked()
            assert went_on == []
            may_go_on.set()
        assert sorted(went_on) == [0, 1, 2]
        await callbacks.finish()


def test_ten_thousand_may_wait() -> None:
    assert module.MOST_WAITING == 10_000
