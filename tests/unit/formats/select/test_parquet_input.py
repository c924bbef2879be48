"""Selecting from Parquet gives what selecting from JSON Lines gives, and reads less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.query import parse
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import Input
from mockrec.formats.select.parquet_input import ParquetInput
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.outputs import open_sink

EXPRESSIONS = [
    "status >= 500",
    "not status >= 500",
    "status == 404 or error",
    "type == x",
    "not type == x",
    "host == example.test:8443",
    "header[accept] contains html",
    "header[x-odd]",
    "json[a] == 1",
    "tag == slow and duration > 10",
    "ws.count > 0",
    "time >= 2024-01-01T00:00:00.000020",
    "time < 2023-01-01",
    "id == b",
    "type == gap",
    "matchedRuleId == other",
    "sni endswith .test and method == POST",
    "type startswith raw",
]


@pytest.fixture
def session(recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The same session in both formats; the Parquet file has row groups of a few rows."""
    monkeypatch.setattr("mockrec.formats.parquet.tables.GROUP_ROWS", 7)
    recording.start()
    for number in range(12):
        name = f"{'abcdef'[number % 6]}{number}"
        recording.exchange(
            name, statusCode=200 + 101 * (number % 4), duration=float(number), tags=["slow"] if number % 2 else []
        )
    recording.add("request-initiated", "open")
    recording.add("abort", "gone", url="https://example.test:8443/x")
    recording.add("gap")
    for kind in ("websocket-request", "websocket-accepted", "websocket-message-sent", "websocket-close"):
        recording.add(kind, "ws")
    recording.add("tls-client-error", None, id=None)
    recording.add("client-error", "ce")
    recording.add("rule-event", "a0")
    recording.add(
        "response", "json", body={"size": 7, "text": '{"a":1}'}, laterKey=[1], statusCode=500, url="http://later/"
    )
    recording.records.append(
        {
            "seq": len(recording.records),
            "type": "later",
            "timestamp": "2024-01-01T00:00:01.000000Z",
            "id": "later",
            "statusCode": 500,
            "headers": {"x-odd": "1"},
        }
    )
    recording.add("raw-passthrough-opened", "t")
    recording.add("raw-passthrough-closed", "t")
    lines = recording.end().write(tmp_path / "s.jsonl")
    sink = open_sink(tmp_path / "s.parquet")
    sink.write(recording.data)
    sink.close()
    return str(lines), str(tmp_path / "s.parquet")


def records(path: str, expression: str, **more: Any) -> list[dict[str, Any]]:
    selection = Selection([path], parse(expression, records=more.pop("records", False)), **more)
    try:
        return [orjson.loads(kept.raw) for kept in selection]
    finally:
        selection.close()


@pytest.mark.parametrize(
    ("expression", "single"),
    [
        (expression, single)
        for single in (False, True)
        for expression in EXPRESSIONS
        if not (single and expression.startswith("ws"))  # of exchanges only
    ],
)
def test_the_same_records_and_counts(session: tuple[str, str], expression: str, single: bool) -> None:
    lines, table = session
    plan = parse(expression, records=single)
    assert isinstance(Selection([table], plan).inputs[0], ParquetInput)
    assert records(table, expression, records=single) == records(lines, expression, records=single)
    assert records(table, expression, records=single, limit=2) == records(lines, expression, records=single, limit=2)
    assert Selection([table], plan).count() == Selection([lines], plan).count()


def test_there_are_several_row_groups(session: tuple[str, str]) -> None:
    assert pq.ParquetFile(session[1]).metadata.num_row_groups > 5


def test_groups_that_cannot_match_are_not_read(session: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = pq.ParquetFile.read_row_groups

    def counted(self: Any, groups: list[int], *more: Any, columns: list[str], **options: Any) -> Any:
        if "statusCode" in columns or "duration" in columns:
            read.extend(groups)
        return original(self, groups, *more, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    plan = parse("duration > 10.5 and type == response", records=True)
    assert Selection([session[1]], plan).count() == 1
    assert 0 < len(read) < pq.ParquetFile(session[1]).metadata.num_row_groups / 2
    read.clear()
    assert Selection([session[1]], parse("time < 2023-01-01 and status")).count() == 0


@pytest.mark.parametrize("headers", [False, True])
def test_only_the_columns_of_the_fields_are_read(
    session: tuple[str, str], monkeypatch: pytest.MonkeyPatch, headers: bool
) -> None:
    read: set[str] = set()
    original = pq.ParquetFile.read_row_groups

    def noted(self: Any, *more: Any, columns: list[str], **options: Any) -> Any:
        read.update(columns)
        return original(self, *more, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    selection = Selection([session[1]], parse("status >= 500"))
    selection.only([("statusCode",), ("url",), ("body", "size"), ("headers", "accept")][: 4 if headers else 3])
    assert len(list(selection)) > 1
    assert {"statusCode", "url", "bodySize"} <= read
    assert ("rawHeaders" in read) is headers
    assert "bodyText" not in read


def test_the_header_and_a_cut_off_end(session: tuple[str, str], recording: Any, tmp_path: Path) -> None:
    (known,) = Selection([session[1]], None).inputs
    header = known.header()
    assert header is not None
    assert header["sessionId"] == "01890a5d-0000-7000-8000-000000000000"
    sink = open_sink(tmp_path / "cut.parquet")
    sink.write(b"\n".join(recording.data.splitlines()[:-1]) + b"\n")
    sink.close()
    selection = Selection([str(tmp_path / "cut.parquet")], parse("status"))
    assert selection.count() > 0
    assert selection.inputs[0].cut_off == "it has no session-ended record at its end"


def test_a_data_set_is_read_by_columns_and_anything_else_by_lines(session: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "events").mkdir(parents=True)
    Path(session[1]).rename(folder / "events" / files_name(1))
    (open_input,) = Selection([str(folder)], None).inputs
    assert isinstance(open_input, ParquetInput)
    assert records(str(folder), "status >= 500") == records(session[0], "status >= 500")
    (folder / "events" / "foreign.parquet").write_bytes(b"")
    assert table_files(str(folder)) is None
    assert table_files("-") is None
    assert table_files("s3://bucket/x") is None
    assert table_files(str(tmp_path / "missing")) is None
    assert isinstance(Selection([session[0]], None).inputs[0], Input)


def files_name(number: int) -> str:
    return f"part-{number:06}.parquet"


def test_a_damaged_file_is_named(session: tuple[str, str]) -> None:
    path = Path(session[1])
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 4000 + data[4004:])
    with pytest.raises(SessionError, match="damaged"):
        records(session[1], "status or json[a] == 1")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SessionError, match="cannot be read"):
        records(session[1], "status")
