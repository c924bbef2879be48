"""Parquet files of other tools, and files that change while they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.fleet.tables import rows_of
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.files import READ_ROWS, EventsFile
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.outputs import open_sink

COUNT = READ_ROWS + 10


@pytest.fixture(name="lines")
def _lines() -> bytes:
    """Exchanges of GraphQL whose bodies are equal but for the last ones."""
    found: list[dict[str, Any]] = []
    for number in range(COUNT):
        name = "Early" if number < COUNT - 5 else f"Late{number}"
        text = json.dumps({"query": f"query {name} {{ total }}"})
        head = {"id": f"e{number}", "method": "POST", "url": "http://x.test/graphql", "path": "/graphql"}
        fields = {"rawHeaders": [["Content-Type", "application/json"]], "headers": {"content-type": "application/json"}}
        found.append({"type": "request", **head, **fields, "body": {"size": len(text), "text": text}})
        found.append(
            {"type": "response", **head, "statusCode": 200, "body": {"size": 2, "text": "{}"}, "duration": 1.5}
        )
    return b"".join(json.dumps({"seq": seq, **record}).encode() + b"\n" for seq, record in enumerate(found))


def test_file_of_another_tool_is_read_a_few_rows_at_a_time(tmp_path: Path, lines: bytes) -> None:
    """Its bodies may be a dictionary: then the footer says nothing about the memory that they take."""
    path = tmp_path / "s.parquet"
    pq.write_table(pa.Table.from_batches([TableMaker().table(lines)]), path)
    file = EventsFile("s.parquet", None, str(path))
    assert [batch.num_rows for batch in file.group(0, ["bodyText"])] == [READ_ROWS, READ_ROWS, 20]
    file.close()
    rows = [row for batch in rows_of(str(path), "exchanges") for row in batch.to_pylist()]
    assert [row["operation"] for row in rows[-6:]] == [
        "query Early",
        *(f"query Late{COUNT - 5 + at}" for at in range(5)),
    ]
    assert len(rows) == COUNT
    stats, selection = Stats(), Selection([str(path)], None)
    add_session(stats, selection, None)
    selection.close()
    assert {name: one.count for (_, name), one in stats.operations.items()}["query Early"] == COUNT - 5


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_file_that_changes_while_it_is_read(tmp_path: Path, lines: bytes, change: str) -> None:
    path = tmp_path / "s.parquet"
    sink = open_sink(str(path))
    sink.write(lines)
    sink.close()
    file = EventsFile("s.parquet", None, str(path))
    if change == "replaced":
        (tmp_path / "other").write_bytes(path.read_bytes()[:-1] + b"1")
        (tmp_path / "other").replace(path)
    else:
        path.unlink()
    with pytest.raises(SessionError, match=r"^s\.parquet: it was removed or replaced while it was read"):
        list(file.rows(0, ["bodyText"], [1, 2]))
    file.close()
