"""`mockrec sql`: queries over sessions of every format."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

FORMATS = ("s.jsonl", "s.jsonl.gz", "s.jsonl.zst", "s.har", "s.parquet", "set/")


@pytest.fixture
def folder(recording: Any, tmp_path: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same session in each format, in folders with a key."""
    monkeypatch.chdir(tmp_path)
    recording.start(rules=[{"id": "greet"}])
    for number in range(20):
        recording.exchange(f"e{number}", url=f"http://x.test/a/{number}", duration=float(number))
    recording.end().write(tmp_path / "given.jsonl")
    for number, name in enumerate(FORMATS):
        (tmp_path / "ci" / f"kind={number}").mkdir(parents=True)
        done = mockrec("filter", "given.jsonl", "-q", "-o", f"ci/kind={number}/{name}")
        assert done.code == 0, done.err
    return tmp_path


def test_every_format_gives_the_same_rows(folder: Path, mockrec: Callable[..., Any]) -> None:
    query = """select kind, count(*) as n, sum(duration) as total, count(distinct session) as sessions
               from exchanges group by all order by kind"""
    done = mockrec("sql", query, "ci", "--as", "jsonl")
    assert (done.code, done.err) == (0, "")
    assert list(map(json.loads, done.lines)) == [
        {"kind": str(number), "n": 20, "total": 190, "sessions": 1} for number in range(len(FORMATS))
    ]


def test_events_join_exchanges(folder: Path, mockrec: Callable[..., Any]) -> None:
    query = """select kind, count(*) as n from events join exchanges using (session, kind, id)
               where events.type = 'request' and exchanges.duration >= 15 group by all order by kind"""
    done = mockrec("sql", query, "ci/**", "--as", "csv")
    assert done.lines == ["kind,n", *(f"{number},5" for number in range(len(FORMATS)))]


def test_a_table_for_people(folder: Path, mockrec: Callable[..., Any]) -> None:
    done = mockrec("sql", "select session, timestamp, 'a\x1b' as a, 7 as n from exchanges limit 1", "given.jsonl")
    assert done.lines == [
        "session      timestamp                    a      n",
        "given.jsonl  2024-01-01T00:00:00.000001Z  a\\x1b  7",
    ]


@pytest.mark.parametrize(("name", "options"), [("out.parquet", ()), ("out.data", ("--as", "parquet"))])
def test_rows_in_a_file(folder: Path, mockrec: Callable[..., Any], name: str, options: tuple[str, ...]) -> None:
    assert mockrec("sql", "select id, duration from exchanges", "ci/kind=4", "-o", name, *options).code == 0
    assert pq.read_table(name).num_rows == 20
    again = mockrec("sql", "select 1", "given.jsonl", "-o", name, *options)
    assert (again.code, "exists already" in again.err) == (2, True)


def test_a_damaged_and_a_foreign_one_are_skipped(folder: Path, mockrec: Callable[..., Any]) -> None:
    (folder / "ci" / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    (folder / "ci" / "other.jsonl").write_text('{"seq":0,"type":"session-started"}\n7\n{"a":1}\n', encoding="utf-8")
    done = mockrec("sql", "select count(*) as n from events", "ci", "--as", "csv")
    assert done.code == 4
    assert done.lines == ["n", str(62 * len(FORMATS))]
    assert "skipped: ci/bad.parquet: this Parquet file cannot be read" in done.err
    assert "skipped: ci/other.jsonl" in done.err
    assert "2 sessions skipped" in done.err


def test_a_named_one_that_is_damaged_ends_the_command(folder: Path, mockrec: Callable[..., Any]) -> None:
    (folder / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    done = mockrec("sql", "select count(*) from events", "bad.parquet", "given.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "bad.parquet: this Parquet file cannot be read" in done.err


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("selec 1", "(line 1, column 1)"),
        ("select nope\nfrom events", '"nope" not found'),
        ("select * from nowhere", "nowhere"),
        ("", "expected a statement with rows"),
    ],
)
def test_a_query_that_cannot_be_answered(folder: Path, mockrec: Callable[..., Any], query: str, expected: str) -> None:
    done = mockrec("sql", query, "given.jsonl")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mockrec: the query: ")
    assert expected in done.err
    assert done.err.count("\n") == 1


def test_parquet_is_not_printed(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("sql", "select 1", "given.jsonl", "--as", "parquet").code == 2
    assert mockrec("sql", "select 1", "given.jsonl", "-o", "rows.txt2").code == 2


def test_a_plain_install_says_what_to_install(
    folder: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = mockrec("sql", "select 1", "given.jsonl")
    assert (done.code, done.out) == (2, "")
    assert done.err == "mockrec: sql needs DuckDB: install it with `pip install 'mockrec[sql]'`\n"


def test_a_key_named_as_a_column_gets_a_prefix(folder: Path, mockrec: Callable[..., Any]) -> None:
    (folder / "x" / "host=h1").mkdir(parents=True)
    (folder / "given.jsonl").rename(folder / "x" / "host=h1" / "s.jsonl")
    done = mockrec("sql", "select key_host, host, count(*) as n from exchanges group by all", "x", "--as", "jsonl")
    (row,) = map(json.loads, done.lines)
    assert (row["key_host"], row["n"]) == ("h1", 20)
