"""A request body that is forwarded while it arrives."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.exchange.request_stream import RequestBodyStream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]

MUCH = bytes(64 * 1024)
"""The buffer's limit."""


class Task:
    """A coroutine under way, and what it has come to."""

    def __init__(self) -> None:
        self.results: list[object] = []

    @property
    def waits(self) -> bool:
        return not self.results


def reader(*pieces: bytes, ended: bool = False) -> RequestBodyStream:
    return RequestBodyStream(pieces, ended=ended)


async def all_of(one: RequestBodyStream) -> bytes:
    out = b""
    while data := await one.next():
        out += data
    return out


# ── next ───────────────────────────────────────────────────────────────────────────────────────────


async def test_pieces_that_have_arrived_are_read_at_once_and_together() -> None:
    one = reader(b"ab", b"c")
    one.feed(b"de")
    assert await one.next() == b"abcde"


async def test_nothing_is_read_twice() -> None:
    one = reader(b"ab")
    assert await one.next() == b"ab"
    one.feed(b"cd")
    one.end()
    assert [await one.next(), await one.next(), await one.next()] == [b"cd", b"", b""]


async def test_an_empty_body() -> None:
    assert await reader(ended=True).next() == b""


async def test_a_reader_waits_for_the_next_piece_and_for_the_end() -> None:
    one, read = reader(), Task()

    async def read_all() -> None:
        while data := await one.next():
            read.results.append(data)
        read.results.append("end")

    async with anyio.create_task_group() as group:
        group.start_soon(read_all)
        await wait_all_tasks_blocked()
        assert read.waits
        one.feed(b"ab")
        one.feed(b"cd")
        await wait_all_tasks_blocked()
        assert read.results == [b"abcd"]
        one.feed(b"ef")
        await wait_all_tasks_blocked()
        assert read.results == [b"abcd", b"ef"]
        one.end()
    assert read.results == [b"abcd", b"ef", "end"]


async def test_a_client_that_leaves_ends_the_waiting() -> None:
    one = reader()
    async with anyio.create_task_group() as group:
        group.start_soon(one.next)
        await wait_all_tasks_blocked()
        one.end()
    assert one.ended


# ── ready ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_whole_body_is_ready_once() -> None:
    one = reader(b"ab", b"c", ended=True)
    assert one.ready() == b"abc"
    assert one.ready() is None
    assert await one.next() == b""


async def test_a_body_becomes_ready_with_its_end() -> None:
    one = reader(b"ab")
    assert one.ready() is None
    one.feed(b"cd")
    assert one.ready() is None
    one.end()
    assert one.ready() == b"abcd"


async def test_an_empty_body_is_ready_too() -> None:
    assert reader(ended=True).ready() == b""


async def test_an_empty_body_that_was_waited_for_is_ready() -> None:
    one = reader(ended=True)
    assert await one.next() == b""
    assert not one.begun
    assert one.ready() == b""


async def test_a_body_of_which_some_was_read_is_not_ready() -> None:
    one = reader(b"ab")
    await one.next()
    one.feed(b"cd")
    one.end()
    assert one.ready() is None
    assert await all_of(one) == b"cd"


# ── room ───────────────────────────────────────────────────────────────────────────────────────────


async def waiting_client(one: RequestBodyStream, task: Task) -> None:
    await one.wait_for_room()
    task.results.append("room")


async def test_a_client_need_not_wait_while_the_buffer_has_room() -> None:
    one = reader(MUCH)
    assert not one.full
    await one.wait_for_room()
    one.feed(b"x")
    assert one.full


async def test_pieces_that_arrived_before_count() -> None:
    assert reader(MUCH, b"x").full


@pytest.mark.parametrize("relief", ["next", "ready", "unbound", "drop"])
async def test_a_client_waits_until_there_is_room(relief: str) -> None:
    one, task = reader(MUCH), Task()
    one.feed(b"x")
    async with anyio.create_task_group() as group:
        group.start_soon(waiting_client, one, task)
        await wait_all_tasks_blocked()
        assert task.waits
        if relief == "next":
            assert len(await one.next()) == len(MUCH) + 1
            assert task.waits  # what was taken may not have gone yet
            group.start_soon(one.next)
        elif relief == "ready":
            one.end()
            assert len(one.ready() or b"") == len(MUCH) + 1
        elif relief == "unbound":
            one.lift_limit()
        else:
            one.drop()
        await wait_all_tasks_blocked()
        assert not task.waits
        assert not one.full
        group.cancel_scope.cancel()


async def test_a_slow_reader_holds_a_fast_client_back() -> None:
    one, most = reader(), 0

    async def client() -> None:
        nonlocal most
        for _ in range(40):
            one.feed(MUCH[:32768])
            most = max(most, one._size + one._given)
            if one.full:
                await one.wait_for_room()
        one.end()

    async with anyio.create_task_group() as group:
        group.start_soon(client)
        received = 0
        while data := await one.next():
            received += len(data)
            await wait_all_tasks_blocked()
    assert received == 40 * 32768
    assert most == len(MUCH) + 32768


async def test_without_a_limit_the_buffer_is_never_full() -> None:
    one = reader()
    one.lift_limit()
    for _ in range(3):
        one.feed(MUCH)
    assert not one.full
    one.end()
    assert len(one.ready() or b"") == 3 * len(MUCH)


# ── drop ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_dropped_body_is_not_kept() -> None:
    one = reader(b"ab")
    one.drop()
    one.feed(MUCH)
    one.feed(b"x")
    assert not one.full
    one.end()
    assert await one.next() == b""
