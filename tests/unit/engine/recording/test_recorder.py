"""Numbers, batches, backpressure, gaps, and the end of a recording."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.recording import recorder as module
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.engine.recording.recorder import BATCH_BYTES, SMALL_BATCH_BYTES, Recorder
from mockrec.engine.recording.worker_recorder import WorkerRecorder
from mockrec.formats.schema.errors import FormatError, OutputError
from mockrec.formats.schema.events import check_record

pytestmark = pytest.mark.anyio


def record(kind: str = "response", **more: Any) -> dict[str, Any]:
    return {"seq": 0, "type": kind, "timestamp": "2026-01-01T00:00:00.000000Z", **more}


def last() -> dict[str, Any]:
    return record("session-ended", reason="done")


MANY = 2 * BATCH_BYTES // 1000


class Secrets:
    """One value is secret in the whole session."""

    holds_values = True

    def lines(self, lines: bytes) -> bytes:
        return lines.replace(b"hunter2", b"***")


def no_failure(error: FormatError) -> None:
    raise AssertionError(error)


def recording(*sinks: Any, **more: Any) -> Recorder:
    return Recorder(sinks, **{"on_failure": no_failure, **more})


async def until(condition: Any) -> None:
    with anyio.fail_after(20):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
def small_queue(monkeypatch: pytest.MonkeyPatch) -> int:
    """A queue that a few records fill."""
    monkeypatch.setattr(module, "QUEUE_BYTES", 1000)
    return 1000


# ── numbers and batches ────────────────────────────────────────────────────────────────────────────


async def test_records_are_numbered_and_written_in_order(sink: Any) -> None:
    it = recording(sink)
    for number in range(MANY):
        it.add(record(number=number, text="a" * 1000))
    await it.close(last)
    assert len(sink.batches) > 1
    numbers = [one["seq"] for one in sink.records]
    assert numbers == list(range(MANY + 1))
    assert [one.get("number") for one in sink.records[:-1]] == numbers[:-1]
    assert sink.types[-1] == "session-ended"
    assert sink.closed == 1


async def test_a_full_batch_is_passed_on_at_once(sink: Any) -> None:
    it = recording(sink)
    while it._queued == 0:
        it.add(record(text="a" * 1000))
    assert BATCH_BYTES <= it._queued < BATCH_BYTES + 2000
    assert it._timer is None
    await it.close(last)


async def test_a_slow_sink_gets_small_batches(sink: Any) -> None:
    sink.most_waiting = 40_000
    it = recording(sink)
    while it._queued == 0:
        it.add(record(text="a" * 1000))
    assert 10_000 <= it._queued < 12_000
    await it.close(last)


async def test_batches_are_small_while_secrets_are_replaced_in_them(sink: Any) -> None:
    secrets = Secrets()
    secrets.holds_values = False
    it = recording(sink, session_secrets=secrets)
    sizes = []
    for values in (False, True, True):
        secrets.holds_values = values
        queued = it._queued
        while it._queued == queued:
            it.add(record(text="hunter2" + "a" * 1000))
        sizes.append(it._queued - queued)
    await it.close(last)
    assert sizes[0] > BATCH_BYTES
    assert sizes[2] < SMALL_BATCH_BYTES + 2000
    kept = [one for one in sink.records if "hunter2" in one.get("text", "")]
    assert sum(len(one["text"]) for one in kept) < sizes[0] < len(sink.data)
    assert sum("***" in one.get("text", "") for one in sink.records) > 800


async def test_a_batch_does_not_wait_long(sink: Any) -> None:
    it = recording(sink)
    it.add(record())
    assert it._queued == 0
    await until(lambda: sink.batches)
    assert len(sink.records) == 1
    await it.close(last)


async def test_flush_passes_the_batch_on(sink: Any) -> None:
    it = recording(sink)
    it.flush()
    it.add(record())
    it.flush()
    await until(lambda: sink.batches)
    it.flush()
    await it.close(last)
    assert len(sink.records) == 2


async def test_every_sink_gets_the_same(sink: Any, other_sink: Any) -> None:
    it = recording(sink, other_sink)
    it.add(record())
    await it.close(last)
    assert sink.data == other_sink.data != b""


async def test_no_sink_waits_for_another(sink: Any, other_sink: Any) -> None:
    """A slow one keeps its own lines waiting, not those of one that has been promised to be quick."""
    sink.hold()
    it = recording(sink, other_sink)
    it.add(record())
    it.flush()
    await until(lambda: other_sink.types == ["response"])
    assert sink.data == b""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.close, last)
        await until(lambda: other_sink.closed)
        assert sink.data == b""
        sink.release()
    assert sink.data == other_sink.data


async def test_a_sink_that_fails_does_not_stop_the_others(sink: Any, other_sink: Any) -> None:
    sink.fails = OutputError("x", "No space left on device")
    failures: list[FormatError] = []
    it = recording(sink, other_sink, on_failure=failures.append)
    it.add(record())
    it.flush()
    await until(lambda: failures)
    it.add(record())
    await it.close(last)
    assert other_sink.types == ["response", "response", "session-ended"]
    assert failures == [sink.fails]
    assert (sink.closed, other_sink.closed) == (1, 1)


async def test_records_are_counted_by_type_also_without_a_sink() -> None:
    it = recording()
    for kind in ("request", "request", "response"):
        it.add(record(kind))
    assert not it.behind
    seen: list[dict[str, int]] = []

    def end() -> dict[str, Any]:
        seen.append(dict(it.counts))
        return last()

    await it.close(end)
    assert seen == [{"request": 2, "response": 1}]


# ── deferred records ───────────────────────────────────────────────────────────────────────────────


def deferred(it: Recorder, *kinds: str) -> None:
    it.defer(lambda: [it.add(record(kind)) for kind in kinds])  # type: ignore[func-returns-value, misc]


async def test_deferred_records_come_before_the_next_one(sink: Any) -> None:
    it = recording(sink)
    deferred(it, "request-initiated", "request")
    it.add(record("abort"))
    deferred(it, "request-initiated")
    it.add_line("request", "id", b',"type":"request"}\n')
    deferred(it, "request-initiated")
    deferred(it, "websocket-request")
    it.add_lines(["gap"], b'{"seq":0,"type":"gap"}\n')
    await it.close(last)
    expected = ["request-initiated", "request", "abort", "request-initiated", "request", "request-initiated"]
    assert sink.types == [*expected, "websocket-request", "gap", "session-ended"]
    assert [one["seq"] for one in sink.records] == list(range(9))


async def test_a_deferred_record_does_not_wait_long(sink: Any) -> None:
    it = recording(sink)
    deferred(it, "request")
    assert sink.batches == []
    await until(lambda: sink.types == ["request"])
    await it.close(last)


async def test_deferred_records_are_written_when_asked_for(sink: Any) -> None:
    it = recording(sink)
    deferred(it, "request-initiated", "request")
    with anyio.fail_after(20):
        assert await it.written() == 1
    assert sink.types == ["request-initiated", "request"]
    deferred(it, "response")
    assert it.close_now(last, module.clock.now() + 20_000)
    assert sink.types == ["request-initiated", "request", "response", "session-ended"]


async def test_joined_records_replace_the_deferred_ones(sink: Any) -> None:
    it = recording(sink)
    for number in range(1000):
        deferred(it, "abort")
        first = it.next_number
        lines = b'{"seq":%d,"type":"request","n":%d}\n{"seq":%d,"type":"response"}\n' % (first, number, first + 1)
        it.add_joined(["request", "response"], ["a", "a"], lines)
    await it.close(last)
    deferred(it, "abort")
    it.add_joined(["request"], ["a"], b"never")
    it.flush()
    assert sink.types == [*["request", "response"] * 1000, "session-ended"]
    assert [one["seq"] for one in sink.records] == list(range(2001))
    assert it.counts["response"] == 1000


async def test_large_lines_keep_their_place(sink: Any) -> None:
    it = recording(sink)
    it.add(record("abort"))
    deferred(it, "request")
    lines = b'{"seq":1,"type":"request"}\n{"seq":2,"type":"response","x":"%b"}\n' % (b"x" * module.LARGE)
    it.add_joined(["request", "response"], ["a", "a"], lines)
    it.add(record("request", text="a" * module.LARGE))
    it.add_line("response", "b", b',"type":"response"}\n')
    it.add_line("response", "b", b',"type":"response","x":"%b"}\n' % (b"x" * module.LARGE))
    assert it._queued == 0
    await it.close(last)
    assert sink.types == ["abort", "request", "response", "request", "response", "response", "session-ended"]
    assert [one["seq"] for one in sink.records] == list(range(7))
    assert it.counts == {"abort": 1, "request": 2, "response": 3, "session-ended": 1}


async def test_large_lines_fill_a_batch_too(sink: Any) -> None:
    it = recording(sink)
    added = 0
    while it._queued == 0:
        it.add(record(text="a" * 100_000))
        added += 100_000
    assert BATCH_BYTES <= added < BATCH_BYTES + 100_000
    await it.close(last)


async def test_a_log_that_leaves_records_out_or_is_listened_to_defers_none() -> None:
    assert recording().can_defer
    assert not recording(drop=True).can_defer
    assert not recording(callbacks=Callbacks({}, {})).can_defer


# ── backpressure ───────────────────────────────────────────────────────────────────────────────────


async def test_a_slow_sink_slows_the_traffic_and_loses_nothing(sink: Any, small_queue: int) -> None:
    it = recording(sink)
    sink.hold()
    added = 0
    while not it.behind:
        it.add(record(text="x" * 100))
        it.flush()
        added += 1
        assert added < 100
    went_on: list[int] = []

    async def wait(number: int) -> None:
        await it.wait_for_room()
        assert not it.behind
        went_on.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert went_on == []
        sink.release()
    assert sorted(went_on) == [0, 1, 2, 3, 4]
    await it.close(last)
    assert len(sink.records) == added + 1


async def test_it_falls_behind_and_recovers_again_and_again(sink: Any, small_queue: int) -> None:
    it = recording(sink)
    for _ in range(20):
        sink.hold()
        it.add(record(text="x" * 2 * small_queue))
        it.flush()
        assert it.behind
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.wait_for_room)
            tasks.start_soon(it.wait_for_room)
            await wait_all_tasks_blocked()
            sink.release()
        assert not it.behind
    await it.close(last)


async def test_traffic_does_not_wait_while_there_is_room(sink: Any) -> None:
    it = recording(sink)
    with anyio.fail_after(60):
        await it.wait_for_room()
    await it.close(last)


# ── leaving records out ────────────────────────────────────────────────────────────────────────────


async def test_records_left_out_are_counted_in_a_gap(sink: Any, small_queue: int) -> None:
    it = recording(sink, drop=True)
    sink.hold()
    it.add(record(text="x" * 2 * small_queue))
    it.flush()
    assert not it.behind
    for kind in ("request", "response", "response"):
        it.add(record(kind))
    sink.release()
    await until(lambda: not it._is_full())
    it.add(record("abort"))
    await it.close(last)
    assert sink.types == ["response", "gap", "abort", "session-ended"]
    gap = sink.records[1]
    assert gap["counts"] == {"request": 1, "response": 2}
    assert check_record(gap) == []
    assert [one["seq"] for one in sink.records] == [0, 1, 2, 3]


async def test_a_gap_at_the_end_of_a_recording_is_recorded(sink: Any, small_queue: int) -> None:
    it = recording(sink, drop=True)
    sink.hold()
    it.add(record(text="x" * 2 * small_queue))
    it.flush()
    it.add(record("request"))
    counts: list[dict[str, int]] = []

    def end() -> dict[str, Any]:
        counts.append(dict(it.counts))
        return last()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.close, end)
        await until(lambda: counts)
        sink.release()
    assert sink.types == ["response", "gap", "session-ended"]
    assert sink.records[1]["counts"] == {"request": 1}
    assert counts == [{"response": 1, "gap": 1}]


async def test_nothing_is_left_out_while_the_disk_keeps_up(sink: Any) -> None:
    it = recording(sink, drop=True)
    for _ in range(1000):
        it.add(record())
    await it.close(last)
    assert sink.types == ["response"] * 1000 + ["session-ended"]


# ── failures ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_is_reported_in_the_loop(sink: Any) -> None:
    sink.fails = OutputError("x", "No space left on device")
    failures: list[FormatError] = []
    loop = asyncio.get_running_loop()

    def failed(error: FormatError) -> None:
        assert asyncio.get_running_loop() is loop
        failures.append(error)

    it = recording(sink, on_failure=failed)
    it.add(record())
    await until(lambda: failures)
    await it.close(last)
    assert failures == [sink.fails]


async def test_traffic_does_not_wait_for_a_sink_that_failed(sink: Any, small_queue: int) -> None:
    sink.fails = OutputError("x", "No space left on device")
    it = recording(sink, on_failure=lambda error: None)
    for _ in range(20):
        it.add(record(text="x" * small_queue))
        it.flush()
        with anyio.fail_after(20):
            await it.wait_for_room()
    await it.close(last)


# ── callbacks ──────────────────────────────────────────────────────────────────────────────────────


async def test_callbacks_get_records_as_they_are_written(sink: Any) -> None:
    heard: list[int] = []
    callbacks = Callbacks({"gap": lambda event: heard.append(event.seq)}, {"gap": "h.py:f"})
    it = recording(sink, callbacks=callbacks)
    async with anyio.create_task_group() as tasks:
        callbacks.start(tasks, it.add)
        for kind in ("gap", "x", "gap"):
            it.add(record(kind, counts={"x": 1}))
        await it.finish_callbacks()
        assert heard == [0, 2]
        await it.close(last)
        tasks.cancel_scope.cancel()
    assert sink.types == ["gap", "x", "gap", "session-ended"]


async def test_nothing_is_written_after_the_last_record(sink: Any) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError

    callbacks = Callbacks({"session-ended": broken, "gap": broken}, {"session-ended": "h.py:f", "gap": "h.py:f"})
    it = recording(sink, callbacks=callbacks)
    async with anyio.create_task_group() as tasks:
        callbacks.start(tasks, it.add)
        it.add(record("gap", counts={"x": 1}))
        await it.finish_callbacks()
        await it.close(last)
        await callbacks.finish()
        it.add(record("late"))
        it.flush()
        tasks.cancel_scope.cancel()
    assert sink.types == ["gap", "callback-error", "session-ended"]


# ── worker processes ───────────────────────────────────────────────────────────────────────────────


async def test_lines_of_a_worker_are_numbered_by_the_parent(sink: Any, other_sink: Any) -> None:
    packed: list[tuple[list[str], bytes]] = []

    def pack(types: Any, ids: Any, lines: bytes) -> bytes:
        packed.append((list(types), lines))
        return lines

    worker = WorkerRecorder([other_sink], pack=pack, on_failure=no_failure)
    for number in range(3):
        worker.add(record(number=number))
    await worker.close(None)
    assert [one["seq"] for one in other_sink.records] == [0, 0, 0]

    parent = recording(sink)
    parent.add(record())
    for kinds, lines in packed:
        parent.add_lines(kinds, lines)
    await parent.close(last)
    assert [one["seq"] for one in sink.records] == list(range(5))
    assert [one.get("number") for one in sink.records] == [None, 0, 1, 2, None]
    assert parent.counts == {"response": 4, "session-ended": 1}


async def test_secrets_of_the_session_are_replaced_in_lines_of_a_worker(sink: Any) -> None:
    worker = WorkerRecorder(
        [sink], pack=lambda types, ids, lines: lines, on_failure=no_failure, session_secrets=Secrets()
    )
    worker.add(record(text="hunter2"))
    worker.add(record(text="plain"))
    await worker.close(None)
    assert [one["text"] for one in sink.records] == ["***", "plain"]
