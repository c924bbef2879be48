"""Coroutines that begin at once."""

from __future__ import annotations

import anyio
import pytest

from mockrec.engine.server.eager_task import EagerTask, detach


def test_what_never_waits_needs_no_task() -> None:
    seen = []

    async def quick() -> None:
        seen.append("all of it")

    assert EagerTask(quick()).done
    assert seen == ["all of it"]


def test_what_fails_at_once_fails_there() -> None:
    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        EagerTask(failing())


@pytest.mark.anyio
async def test_the_rest_runs_in_the_task_that_awaits_it() -> None:
    seen: list[object] = []
    event = anyio.Event()

    async def slow() -> None:
        seen.append("begun")
        await detach()
        seen.append(anyio.get_current_task().id)
        await event.wait()
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        seen.append("done")

    begun = EagerTask(slow())
    assert (begun.done, seen) == (False, ["begun"])
    ids = []

    async def task() -> None:
        ids.append(anyio.get_current_task().id)
        await begun

    async with anyio.create_task_group() as group:
        group.start_soon(task)
        event.set()
    assert seen == ["begun", ids[0], "done"]


@pytest.mark.anyio
async def test_it_may_wait_for_something_before_it_has_a_task() -> None:
    event = anyio.Event()
    seen = []

    async def waiting() -> None:
        await event.wait()
        seen.append("heard")

    begun = EagerTask(waiting())
    event.set()
    await begun
    assert seen == ["heard"]


@pytest.mark.anyio
async def test_cancellation_and_failures_come_through() -> None:
    seen = []

    async def stubborn() -> None:
        try:
            await detach()
            await anyio.sleep_forever()
        finally:
            seen.append("cleaned up")

    begun = EagerTask(stubborn())
    with anyio.move_on_after(0.01) as scope:
        await begun
    assert scope.cancelled_caught
    assert seen == ["cleaned up"]

    async def failing() -> None:
        await detach()
        raise ValueError("later")

    later = EagerTask(failing())
    with pytest.raises(ValueError, match="later"):
        await later
