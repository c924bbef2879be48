"""Large sessions: blocks go to other processes, and the results are those of one process, whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.errors import RecordError
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.line_tables import from_stream
from mockrec.formats.select.selection import Selection
from mockrec.formats.workers import blocks as module
from mockrec.formats.workers.blocks import BlockWorkers

_EVENTS = "mockrec.formats.parquet.line_tables:events"


def _block(number: int, count: int = 50) -> bytes:
    record = {"type": "response", "seq": 0, "id": "", "method": "GET", "url": "http://x.test/", "statusCode": 200}
    return b"".join(
        json.dumps({**record, "seq": number * count + place, "id": f"e-{number}-{place}"}).encode() + b"\n"
        for place in range(count)
    )


@pytest.fixture(name="workers")
def _workers() -> Iterator[BlockWorkers[Any]]:
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=2, after=0) as workers:
        yield workers


def _given_away(workers: BlockWorkers[Any]) -> list[Any]:
    """The processes that were started."""
    return [worker._process for worker in workers._workers if worker._process is not None]


def test_results_are_those_of_one_process_in_order(workers: BlockWorkers[Any]) -> None:
    given = [_block(number) for number in range(40)]
    found = list(workers.results(given))
    assert _given_away(workers)
    assert [block for block, _ in found] == given
    for block, batch in found:
        assert batch.equals(TableMaker().table(block))


def test_error_is_raised_in_the_block_s_turn(workers: BlockWorkers[Any]) -> None:
    bad = _block(3) + b"[]\n"
    given = [_block(0), _block(1), _block(2), bad, b"x\n", _block(5)]
    results = workers.results(given)
    assert [next(results)[0] for _ in range(3)] == given[:3]
    with pytest.raises(RecordError, match="expected an object"):
        next(results)


def test_work_of_a_killed_worker_is_done_here(workers: BlockWorkers[Any]) -> None:
    given = [_block(number) for number in range(40)]
    found = []
    killed = False
    for block, batch in workers.results(given):
        if not killed:
            for process in _given_away(workers):
                os.kill(process.pid, signal.SIGKILL)
                killed = True
        found.append(block)
        assert batch.equals(TableMaker().table(block))
    assert killed
    assert found == given


def test_function_that_is_missing_costs_nothing_but_time() -> None:
    given = [_block(number) for number in range(30)]
    with BlockWorkers("mockrec.formats.nowhere:f", from_stream, TableMaker().table, workers=1, after=0) as workers:
        assert [block for block, _ in workers.results(given)] == given


def test_unbuffered_workers_that_are_stopped_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONUNBUFFERED, a write that a stop interrupts may be a part of what was given."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    given = [_block(number, 2_000) for number in range(30)]
    found = []
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=1, after=0) as workers:
        for block, batch in workers.results(given):
            for process in _given_away(workers):
                for number in (signal.SIGSTOP, signal.SIGCONT) * 5:
                    os.kill(process.pid, number)
            found.append(block)
            assert batch.num_rows == 2_000
    assert found == given


def test_worker_that_prints_something_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('a greeting of this machine')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    given = [_block(number) for number in range(30)]
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=1, after=0) as workers:
        assert [block for block, _ in workers.results(given)] == given
        assert not _given_away(workers)


def test_result_of_another_version_is_made_here() -> None:
    def unreadable(data: bytes) -> Any:
        raise ValueError(data)

    given = [_block(number) for number in range(30)]
    with BlockWorkers(_EVENTS, unreadable, TableMaker().table, workers=1, after=0) as workers:
        assert [batch.num_rows for _, batch in workers.results(given)] == [50] * 30


def test_large_blocks_are_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE", 1_000)
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=1, after=0) as workers:
        assert len(list(workers.results(_block(number) for number in range(5)))) == 5
        assert not _given_away(workers)


def test_blocks_in_memory_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD", 1)
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=2, after=0) as workers:
        for number in range(10):
            assert len(list(workers.add(_block(number)))) == 1


def test_processes_end_with_the_work() -> None:
    with BlockWorkers(_EVENTS, from_stream, TableMaker().table, workers=2, after=0) as workers:
        list(workers.results(_block(number) for number in range(10)))
        processes = _given_away(workers)
    assert processes
    assert all(process.returncode is not None for process in processes)


def test_statistics_and_tables_of_a_large_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user's: with workers from the first block on, and with none."""
    path = tmp_path / "s.jsonl"
    torn = b'{"type":"resp'
    path.write_bytes(b"".join(_block(number, 4_000) for number in range(8)) + torn)
    found = []
    for count in (3, 1):
        monkeypatch.setattr(module, "processes", lambda count=count: count)
        monkeypatch.setattr(module, "START_SECONDS", 0.0)
        stats, selection = Stats(), Selection([str(path)], None)
        add_session(stats, selection, None)
        assert "is cut off" in selection.inputs[0].cut_off
        found.append((stats.exchanges, stats.slowest, stats.records, stats.statuses, stats.endpoints))
    assert found[0] == found[1]
    assert found[0][0] == 32_000
