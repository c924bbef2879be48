"""Many sessions in an object store: found by prefix and pattern, and read as if they were on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from object_store import ENVIRONMENT, ObjectStore, object_store

from mockrec.formats.fleet.discover import expand
from mockrec.formats.fleet.tasks import described, restored
from mockrec.formats.parquet.files_of_store import FoundSession
from mockrec.formats.parquet.sink import open_table_sink

SESSIONS = 12


def session(number: int) -> bytes:
    """One session with ten exchanges, of which one failed."""
    records: list[dict[str, Any]] = [{"type": "session-started", "schemaVersion": 1, "sessionId": f"s{number}"}]
    for index in range(10):
        common = {"id": f"e{number}-{index}", "method": "GET", "url": f"http://x.test/a/{index}"}
        records += [
            {"type": "request", **common, "body": {"size": index}},
            {"type": "response", **common, "statusCode": 500 if index == 3 else 200, "duration": float(index)},
        ]
    records.append({"type": "session-ended", "reason": "done", "counts": {}})
    stamp = "2026-01-01T00:00:{:02}.{:06}Z"
    lines = [{"seq": seq, "timestamp": stamp.format(number % 3, seq), **record} for seq, record in enumerate(records)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sessions on disk: Parquet files, data sets and JSON Lines, in folders with keys."""
    top = tmp_path_factory.mktemp("fleet")
    for number in range(SESSIONS):
        place = top / "ci" / f"branch={('main', 'dev%2Fx')[number % 2]}" / f"job={number}"
        place.mkdir(parents=True)
        if number % 3 == 2:
            (place / "s.jsonl").write_bytes(session(number))
            continue
        sink = open_table_sink(str(place / ("s.parquet" if number % 3 else "set/")))
        sink.write(session(number))
        sink.close()
    return top


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[ObjectStore]:
    with object_store("sessions") as running:
        for path in folder.rglob("*"):
            if path.is_file():
                running.buckets["sessions"][str(path.relative_to(folder))] = path.read_bytes()
        yield running


@pytest.fixture
def both(
    folder: Path, store: ObjectStore, program: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, Any]]:
    """Run a command on the sessions on disk and on those in the store."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ci").symlink_to(folder / "ci")

    def run(command: str, pattern: str, *options: str) -> tuple[Any, Any]:
        local = program(command, *options[:1], f"ci/{pattern}", *options[1:])
        return local, program(command, *options[:1], store.uri(f"sessions/ci/{pattern}"), *options[1:])

    return run


@pytest.mark.parametrize("pattern", ["", "**", "branch=main/**", "*/job=[1-4]"])
def test_statistics_of_a_store_are_those_of_the_disk(both: Callable[..., Any], pattern: str) -> None:
    local, stored = both("stats", pattern, "--json")
    assert (local.returncode, stored.returncode) == (0, 0), stored.stderr
    assert json.loads(stored.stdout)["exchanges"] >= 10
    assert json.loads(stored.stdout) == json.loads(local.stdout)


def test_a_filter_on_a_store_gives_the_lines_of_the_disk(both: Callable[..., Any]) -> None:
    local, stored = both("filter", "**", "--where=status >= 500", "--records")
    assert (local.returncode, stored.returncode) == (0, 0), stored.stderr
    lines = [json.loads(line) for line in stored.stdout.splitlines()]
    assert sum(line["type"] == "response" for line in lines) == SESSIONS
    of_disk = [json.loads(line) for line in local.stdout.splitlines()]
    for line in (*lines, *of_disk):
        line.get("derived", {}).pop("from", None)
    assert lines == of_disk


def test_keys_of_folders_are_columns_also_from_a_store(both: Callable[..., Any]) -> None:
    query = "select branch, count(*) as n, count(distinct job) as jobs from exchanges group by all order by branch"
    local, stored = both("sql", "", query, "--as=jsonl")
    assert (local.returncode, stored.returncode) == (0, 0), stored.stderr
    expected = [{"branch": "dev/x", "n": 60, "jobs": 6}, {"branch": "main", "n": 60, "jobs": 6}]
    assert [json.loads(line) for line in stored.stdout.splitlines()] == expected
    assert local.stdout == stored.stdout


@pytest.mark.parametrize(("command", "option"), [("stats", "--json"), ("filter", "--where=status >= 500")])
def test_a_small_file_is_read_in_one_request(
    both: Callable[..., Any], store: ObjectStore, command: str, option: str
) -> None:
    store.requests.clear()
    assert both(command, "*/job=[14]", option)[1].returncode == 0
    read = [line for line in store.requests if "list-type" not in line]
    # Without obstore, pyarrow asks for each size, too.
    wanted = ["GET"] if find_spec("obstore") else ["HEAD", "GET"]
    assert sorted(line.partition(" ")[0] for line in read) == sorted(2 * wanted)
    assert len(store.requests) == len(read) + 1


def test_a_prefix_without_sessions(both: Callable[..., Any]) -> None:
    local, stored = both("stats", "nothing-*/**", "--json")
    assert (local.returncode, stored.returncode) == (2, 2)
    assert "there is no session that it matches" in stored.stderr


def test_a_damaged_one_in_a_store_is_skipped(both: Callable[..., Any], store: ObjectStore) -> None:
    store.buckets["sessions"]["ci/branch=main/bad.parquet"] = b"PAR1 and nothing else"
    try:
        stored = both("stats", "**", "--json")[1]
    finally:
        del store.buckets["sessions"]["ci/branch=main/bad.parquet"]
    assert stored.returncode == 4
    assert json.loads(stored.stdout)["exchanges"] == 10 * SESSIONS
    assert "bad.parquet" in stored.stderr


def test_sessions_of_a_store_are_found_again_by_another_process(
    store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    found = [session for session in expand([store.uri("sessions/ci/**")]) if isinstance(session, FoundSession)]
    for session in found:
        again = restored(json.loads(json.dumps(described(session))))
        assert again == session
        for file in again.files if isinstance(again, FoundSession) else ():
            file.fetch()
            assert file.content.to_pybytes() == (folder / file.path.removeprefix("sessions/")).read_bytes()
    assert sum(len(session.files) for session in found) == 2 * SESSIONS // 3
