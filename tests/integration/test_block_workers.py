"""Large sessions: blocks go to other processes, and the results are those of one process, whatever becomes of them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.errors import RecordError
from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.line_tables import from_stream
from mockrec.formats.select.selection import Selection
from mockrec.formats.workers import blocks as module
from mockrec.formats.workers.blocks import BlockWorkers
from mockrec.formats.workers.pool import WorkerPool
from mockrec.formats.workers.program import READY

_EVENTS = "mockrec.formats.parquet.line_tables:events"


def _block(number: int, count: int = 50) -> bytes:
    record = {"type": "response", "seq": 0, "id": "", "method": "GET", "url": "http://x.test/", "statusCode": 200}
    return b"".join(
        json.dumps({**record, "seq": number * count + place, "id": f"e-{number}-{place}"}).encode() + b"\n"
        for place in range(count)
    )


class _Made:
    """Makes batches of results, and counts those of workers."""

    def __init__(self) -> None:
        self.elsewhere = 0

    def read(self, data: bytes) -> Any:
        self.elsewhere += 1
        return from_stream(data, EVENTS)


@pytest.fixture(name="made")
def _made() -> _Made:
    return _Made()


@pytest.fixture(name="patient")
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process takes no block back that it has given away, so workers that are still starting get some."""
    monkeypatch.setattr(WorkerPool, "claim", lambda _: None)
    monkeypatch.setattr(module, "PATIENCE", 60.0)


def _workers(made: _Made, *, count: int = 1, function: str = _EVENTS) -> BlockWorkers[Any]:
    return BlockWorkers(function, made.read, TableMaker().table, workers=count, after=0)


def _processes(workers: BlockWorkers[Any]) -> list[subprocess.Popen[bytes]]:
    """The processes that were started, unless they are of no use any more."""
    return [] if workers._pool is None else workers._pool.processes


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("count", [1, 3])
def test_results_are_those_of_one_process_in_order(made: _Made, count: int) -> None:
    given = [_block(number) for number in range(40)]
    with _workers(made, count=count) as workers:
        found = list(workers.results(given))
    assert made.elsewhere >= 4 + 2 * count
    assert [block for block, _ in found] == given
    for block, batch in found:
        assert batch.equals(TableMaker().table(block))


def test_blocks_that_no_worker_has_begun_are_worked_on_here(made: _Made) -> None:
    given = [_block(number) for number in range(40)]
    with _workers(made) as workers:
        found = [block for block, _ in workers.results(given)]
    assert found == given
    assert made.elsewhere < 40


@pytest.mark.usefixtures("patient")
def test_error_is_raised_in_the_block_s_turn(made: _Made) -> None:
    bad = _block(3) + b"[]\n"
    given = [_block(0), _block(1), _block(2), bad, b"x\n", _block(5)]
    with _workers(made) as workers:
        results = workers.results(given)
        assert [next(results)[0] for _ in range(3)] == given[:3]
        with pytest.raises(RecordError, match="expected an object"):
            next(results)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("after", [0, 1, 7])
def test_work_of_a_killed_worker_is_done_here(made: _Made, after: int) -> None:
    given = [_block(number) for number in range(40)]
    found = []
    with _workers(made, count=2) as workers:
        for block, batch in workers.results(given):
            if len(found) == after:
                assert _processes(workers)
                os.kill(_processes(workers)[0].pid, signal.SIGKILL)
            found.append(block)
            assert batch.equals(TableMaker().table(block))
        assert not _processes(workers)
    assert found == given


@pytest.mark.usefixtures("patient")
def test_worker_that_was_killed_before_its_first_block(made: _Made) -> None:
    given = [_block(number) for number in range(20)]
    with _workers(made) as workers:
        list(workers.add(given[0]))
        os.kill(_processes(workers)[0].pid, signal.SIGKILL)
        found = [block for part in (*map(workers.add, given[1:]), workers.rest()) for block, _ in part]
    assert found == given[20 - len(found) :]
    assert len(found) >= 19


@pytest.mark.usefixtures("patient")
def test_function_that_is_missing_costs_nothing_but_time(made: _Made) -> None:
    given = [_block(number) for number in range(30)]
    with _workers(made, function="mockrec.formats.nowhere:f") as workers:
        assert [block for block, _ in workers.results(given)] == given
    assert not made.elsewhere


@pytest.mark.usefixtures("patient")
def test_workers_that_are_stopped_in_between(made: _Made) -> None:
    given = [_block(number, 2_000) for number in range(30)]
    found = []
    with _workers(made) as workers:
        for block, batch in workers.results(given):
            for process in _processes(workers):
                for number in (signal.SIGSTOP, signal.SIGCONT) * 5:
                    os.kill(process.pid, number)
            found.append(block)
            assert batch.num_rows == 2_000
    assert found == given
    assert made.elsewhere


def test_work_of_a_worker_that_was_stopped_is_done_here(made: _Made, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [_block(number) for number in range(30)]
    found = []
    with _workers(made) as workers, monkeypatch.context() as patch:
        patch.setattr(WorkerPool, "claim", lambda _: None)
        patch.setattr(module, "PATIENCE", 60.0)
        results = workers.results(given)
        found.append(next(results)[0])
        os.kill(_processes(workers)[0].pid, signal.SIGSTOP)
        patch.setattr(module, "PATIENCE", 0.001)
        found += [block for block, _ in results]
        os.kill(_processes(workers)[0].pid, signal.SIGCONT)
    assert found == given


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("greeting", ["os.write(1, b'a greeting of this machine')", "os._exit(0)"])
def test_worker_that_begins_with_something_else_is_not_used(
    made: _Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import os\n{greeting}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    given = [_block(number) for number in range(30)]
    with _workers(made) as workers:
        assert [block for block, _ in workers.results(given)] == given
        assert not _processes(workers)
    assert not made.elsewhere


@pytest.mark.usefixtures("patient")
def test_result_of_another_version_is_made_here(made: _Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(data: bytes) -> Any:
        raise ValueError(data)

    monkeypatch.setattr(made, "read", unreadable)
    given = [_block(number) for number in range(30)]
    with _workers(made) as workers:
        assert [batch.num_rows for _, batch in workers.results(given)] == [50] * 30


@pytest.mark.parametrize("place", ["new_slot", "Slot.put"])
def test_without_memory_for_slots_the_work_is_done_here(
    made: _Made, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"mockrec.formats.workers.pool.{place}", full)
    given = [_block(number) for number in range(10)]
    with _workers(made) as workers:
        assert [block for block, _ in workers.results(given)] == given
        assert not _processes(workers)


def test_large_blocks_are_not_given_away(made: _Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE", 1_000)
    with _workers(made) as workers:
        assert len(list(workers.results(_block(number) for number in range(5)))) == 5
        assert not _processes(workers)


def test_blocks_in_memory_are_limited(made: _Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD", 1)
    with _workers(made, count=2) as workers:
        for number in range(10):
            assert len(list(workers.add(_block(number)))) == 1


def test_processes_end_with_the_work(made: _Made) -> None:
    with _workers(made, count=2) as workers:
        list(workers.results(_block(number) for number in range(10)))
        processes = _processes(workers)
    assert len(processes) == 2
    assert all(process.returncode is not None for process in processes)


def test_worker_ends_when_its_caller_has_ended() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    argv = [sys.executable, "-P", "-m", "mockrec.formats.workers.program", _EVENTS]
    with subprocess.Popen(argv, stdin=reading, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(len(READY)) == READY
        os.close(writing)
        assert process.wait(60) == 0
    os.close(reading)


@pytest.mark.parametrize(("size", "started"), [(999, False), (1_000, True)])
def test_workers_are_started_at_once_for_a_large_file(
    made: _Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, started: bool
) -> None:
    monkeypatch.setattr(module, "_LARGE_FILE", 1_000)
    monkeypatch.setattr(module, "START_SECONDS", 3600.0)
    (tmp_path / "s.jsonl").write_bytes(b"x" * size)
    source = str(tmp_path / "s.jsonl")
    with BlockWorkers(_EVENTS, made.read, TableMaker().table, source=source, workers=1) as workers:
        list(workers.add(_block(0)))
        assert bool(_processes(workers)) == started


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
