"""Records as columns: what other tools see of them, and the way back."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pyarrow as pa
import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.arrow_schema import EVENTS
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.fields import COLUMN_BY_PATH, FULL, row_type
from mockrec.formats.parquet.lines import lines_of
from mockrec.formats.schema.errors import RecordError


def table_of(*records: dict[str, Any]) -> pa.RecordBatch:
    return TableMaker().table(encode_lines(records))


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    (row,) = table_of(record).to_pylist()
    return {name: value for name, value in row.items() if value is not None}


def test_a_complete_record_of_any_type_comes_back_with_its_keys_in_order(any_record: dict[str, Any]) -> None:
    table = table_of(any_record)
    assert table.schema == EVENTS
    assert table.column("extra").null_count == 1
    assert json.loads(lines_of(table)) == any_record
    assert list(json.loads(lines_of(table))) == list(any_record)


def test_what_the_columns_of_a_response_hold(record_of: Any) -> None:
    row = row_of(record_of("response", 3))
    assert row["timestamp"] == datetime.datetime(2024, 1, 1, 0, 0, 0, 3, datetime.UTC)
    assert (row["seq"], row["statusCode"], row["host"], row["duration"]) == (3, 201, "example.test", 3.25)
    assert row["rawHeaders"][1:] == [{"name": "Set-Cookie", "value": "a=1"}, {"name": "Set-Cookie", "value": "b=2"}]
    assert row["contentType"] == "text/plain"
    assert (row["bodySize"], row["bodyText"]) == (5, "hello")
    assert row["startTime"] == 1700000000000.5
    assert row["tags"] == []


def test_bytes_are_bytes(record_of: Any) -> None:
    row = row_of({**record_of("response"), "body": {"size": 2, "base64": "//4="}})
    assert row["bodyBytes"] == b"\xff\xfe"
    assert "bodyText" not in row


def test_what_has_no_column_is_kept_in_extra(record_of: Any) -> None:
    row = row_of({**record_of("gap"), "later": {"a": [1, None]}, "seq": 2**63})
    assert json.loads(row["extra"]) == {"later": {"a": [1, None]}, "seq": 2**63}
    assert "seq" not in row


def test_one_unusual_value_leaves_the_other_columns_as_they_are(record_of: Any) -> None:
    row = row_of({**record_of("response"), "statusCode": "201"})
    assert json.loads(row["extra"]) == {"statusCode": "201"}
    assert row["method"] == "POST"
    assert row["bodyText"] == "hello"
    assert len(row["rawHeaders"]) == 3


@pytest.mark.parametrize("line", [b"[1]\n", b'{"a"\n', b"1\n", b'{"a":"\xff"}\n'])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(RecordError, match="^expected"):
        TableMaker().table(line)


def test_nothing_gives_nothing() -> None:
    assert lines_of(TableMaker().table(b"")) == b""
    assert TableMaker().table(b"\n\n").num_rows == 0


def test_a_session_may_change_what_it_has(record_of: Any) -> None:
    """The fields that are looked for follow the lines that have come."""
    maker = TableMaker()
    for kind in ("gap", "response", "gap", "websocket-close", "response", "request"):
        assert json.loads(lines_of(maker.table(encode_lines([record_of(kind)])))) == record_of(kind)


def test_a_table_without_some_columns_is_read(record_of: Any) -> None:
    """Written by an older version, or by somebody who selected some."""
    table = table_of(record_of("response")).select(["seq", "type", "statusCode"])
    assert json.loads(lines_of(table)) == {"seq": 0, "type": "response", "statusCode": 201}


def test_a_slice_of_a_table_is_read(record_of: Any) -> None:
    kinds = ["request", "response", "tls-client-error", "response", "rule-event"]
    table = table_of(*(record_of(kind, number) for number, kind in enumerate(kinds)))
    lines = lines_of(table.slice(1, 3)).splitlines()
    assert [json.loads(line) for line in lines] == [record_of(kinds[number], number) for number in (1, 2, 3)]


def test_who_rewrote_the_file_may_have_made_dictionaries(record_of: Any) -> None:
    table = table_of(record_of("request"))
    columns = [
        column.dictionary_encode() if column.type == pa.string() else column
        for column in map(table.column, table.schema.names)
    ]
    assert json.loads(lines_of(pa.RecordBatch.from_arrays(columns, names=table.schema.names))) == record_of("request")


def test_integers_are_as_narrow_as_their_columns() -> None:
    for path, column in COLUMN_BY_PATH.items():
        if column.kind == "int":
            bits = EVENTS.field(column.name).type.bit_width
            value: Any = 2 ** (bits - 1)
            for key in reversed(path):
                value = {key: value}
            assert EVENTS.field(column.name).type in (pa.int16(), pa.int32(), pa.int64())
            assert "extra" in row_of(value)


def test_a_struct_of_a_few_fields_refuses_all_others() -> None:
    few = row_type(frozenset({("seq",)}))
    assert "seq" in few.keys
    assert "method" not in few.keys
    assert "method" in FULL.keys
