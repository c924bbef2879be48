"""Parquet of an earlier version, without the columns that were added since: every command reads it as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

COMMANDS = (
    ("stats", "--json"),
    ("stats", "status >= 500", "--json"),
    ("filter", "status >= 500"),
    ("filter", "status >= 500", "--records"),
    ("filter", "status >= 500", "--fields=id,status,scope"),
    ("show",),
    ("verify",),
)


@pytest.fixture
def folder(recording: Any, tmp_path: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a session in `now/s.parquet`, and in `before/s.parquet` with only the columns that have values."""
    monkeypatch.chdir(tmp_path)
    recording.start(rules=[{"id": "greet"}])
    for number in range(10):
        recording.exchange(f"e{number}", url=f"http://x.test/a/{number}", statusCode=500 if number == 7 else 200)
    recording.end().write(tmp_path / "s.jsonl")
    for name in ("now", "before"):
        Path(name).mkdir()
    assert mockrec("filter", "s.jsonl", "-q", "-o", "now/s.parquet").code == 0
    table = pq.read_table("now/s.parquet")
    filled = [name for name in table.schema.names if table.column(name).null_count < table.num_rows]
    assert not {"ruleId", "errorCode"} & set(filled)
    pq.write_table(table.select(filled), "before/s.parquet")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_read_it(folder: Path, mockrec: Callable[..., Any], command: tuple[str, ...]) -> None:
    name, *options = command
    expected = mockrec(name, "now/s.parquet", *options)
    done = mockrec(name, "before/s.parquet", *options)
    assert (done.code, done.err.replace("before", "now")) == (expected.code, expected.err)
    assert done.out.replace("before", "now") == expected.out
    assert expected.code == 0


def test_queries_and_comparisons_read_it(folder: Path, mockrec: Callable[..., Any]) -> None:
    query = "select id, endpoint, ttfb, scope from exchanges order by all"
    assert mockrec("sql", query, "before/s.parquet").out == mockrec("sql", query, "now/s.parquet").out
    query = "select session, count(*) as n, count(ruleId) as rules from events group by all order by all"
    assert [line.split()[1:] for line in mockrec("sql", query, "before", "now").lines[1:]] == [["32", "0"]] * 2
    assert mockrec("diff", "before/s.parquet", "now/s.parquet").code == 0
