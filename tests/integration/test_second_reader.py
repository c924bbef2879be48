"""diff of large sessions: another process reads B, and the result is that of one process, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockrec.formats.diff import comparison, second_reader
from mockrec.formats.diff.collect import Filters
from mockrec.formats.diff.comparison import compare_sessions
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.result import Result
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.workers.pool import WorkerPool

_UUID = "550e8400-e29b-41d4-a716-{:012d}"


def _lines(run: int) -> Iterator[str]:
    yield json.dumps({"seq": 0, "type": "session-started", "schemaVersion": 1, "startTime": 1_767_600_000_000})
    for number in range(60):
        head = {
            "id": f"{run}-{number}",
            "method": "POST",
            "url": f"http://x.test/{number % 7}",
            "headers": {},
            "tags": [],
        }
        content = json.dumps(
            {"n": number if run and number == 33 else number % 9, "ref": _UUID.format(run * 100 + number)}
        )
        body = {"size": len(content), "text": content}
        yield json.dumps({"type": "request-initiated", **head})
        yield json.dumps({"type": "request", **head, "body": {"size": 1, "text": str(number % 3)}})
        kind = {"content-type": "application/json"}
        yield json.dumps(
            {"type": "response", **head, "headers": kind, "statusCode": 200, "duration": 1.0, "body": body}
        )
    yield json.dumps({"type": "session-ended", "reason": "finished"})


@pytest.fixture(name="paths")
def _paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(comparison, "LARGE", 1)
    monkeypatch.setattr(second_reader, "processes", lambda: 2)
    paths = []
    for run in range(2):
        paths.append(str(tmp_path / f"{run}.jsonl"))
        Path(paths[-1]).write_text("".join(f"{line}\n" for line in _lines(run)))
    return paths


def _compared(paths: list[str]) -> Result:
    return compare_sessions(*paths, DiffOptions(requests=True, timing=True), Filters())


def _alone(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> Result:
    with monkeypatch.context() as patch:
        patch.setattr(second_reader, "processes", lambda: 1)
        return _compared(paths)


def test_result_is_that_of_one_process(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    adopted = second_reader.adopted

    def noted(*arguments: object) -> object:
        taken.append(arguments)
        return adopted(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(second_reader, "adopted", noted)
    found = _compared(paths)
    assert len(taken) == 1
    assert found == _alone(paths, monkeypatch)
    assert found.total > 0
    assert len(taken) == 1


def test_session_of_a_killed_process_is_read_here(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    put = WorkerPool.put

    def killed(pool: WorkerPool, block: bytes) -> int | None:
        number = put(pool, block)
        for process in pool.processes:
            process.kill()
        return number

    monkeypatch.setattr(WorkerPool, "put", killed)
    assert _compared(paths) == _alone(paths, monkeypatch)


def test_sessions_are_read_here_if_no_process_can_be_started(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pool: WorkerPool, function: str, count: int) -> None:
        raise OSError("too many processes")

    monkeypatch.setattr(WorkerPool, "__init__", refused)
    assert _compared(paths) == _alone(paths, monkeypatch)


@pytest.mark.parametrize("bad", [0, 1])
def test_error_of_either_session_is_that_of_one_process(paths: list[str], bad: int) -> None:
    with Path(paths[bad]).open("a") as file:
        file.write("[]\n{}\n")
    with pytest.raises(SessionError, match="expected an object with a type") as caught:
        _compared(paths)
    assert (caught.value.file, caught.value.line) == (paths[bad], 183)
