"""Converting: what is written, where, and what is there when it goes wrong."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet import sink as sink_module
from mockrec.formats.parquet import tables
from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES
from mockrec.formats.parquet.sink import open_table_sink
from mockrec.formats.schema.errors import FormatError, OutputError, OutputExistsError, RecordError
from mockrec.formats.sessions.outputs import open_sink

Record = dict[str, Any]
Write = Callable[..., Path]
Read = Callable[[Path | str], list[Record]]


def test_a_session_comes_back_from_its_file(
    tmp_path: Path, all_kinds: list[Record], write_tables: Write, read_records: Read
) -> None:
    path = write_tables(tmp_path / "s.parquet", all_kinds)
    assert read_records(path) == all_kinds
    assert [file.name for file in tmp_path.iterdir()] == ["s.parquet"]
    assert pq.read_schema(path).equals(EVENTS)


def test_a_session_comes_back_from_a_data_set(
    tmp_path: Path, all_kinds: list[Record], write_tables: Write, read_records: Read
) -> None:
    write_tables(f"{tmp_path}/s/", all_kinds)
    assert read_records(tmp_path / "s") == all_kinds
    assert pq.read_schema(tmp_path / "s/events/part-000001.parquet").equals(EVENTS)
    assert pq.read_schema(tmp_path / "s/exchanges/part-000001.parquet").equals(EXCHANGES)


def test_the_footer_says_what_is_in_the_file(tmp_path: Path, all_kinds: list[Record], write_tables: Write) -> None:
    metadata = pq.read_metadata(write_tables(tmp_path / "s.parquet", all_kinds)).metadata
    assert metadata[b"mockrec.schema"] == b"1"
    assert metadata[b"mockrec.table"] == b"events"
    assert metadata[b"mockrec.session"] == b"01890a5d-0000-7000-8000-000000000000"
    assert (metadata[b"mockrec.seqFirst"], metadata[b"mockrec.seqLast"]) == (b"0", str(len(all_kinds) - 1).encode())
    assert metadata[b"mockrec.rowCount"] == str(len(all_kinds)).encode()


def test_rows_are_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any, write_tables: Write, read_records: Read
) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", 4)
    monkeypatch.setattr(sink_module, "BLOCK", 2000)
    records = recording.start().exchange("a").exchange("b").exchange("c").end().records
    path = write_tables(tmp_path / "s.parquet", records)
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [4, 4, 3]
    assert read_records(path) == records


def test_rows_with_large_bodies_are_in_smaller_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any, write_tables: Write
) -> None:
    monkeypatch.setattr(tables, "GROUP_BYTES", 1000)
    monkeypatch.setattr(sink_module, "BLOCK", 1)
    body = {"size": 2000, "text": "x" * 2000}
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange(body=body).exchange(body=body).records)
    assert pq.read_metadata(path).num_row_groups > 2


def test_a_data_set_has_parts_and_exchanges_span_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any, write_tables: Write, read_records: Read
) -> None:
    monkeypatch.setattr(sink_module, "PART_ROWS", 2)
    monkeypatch.setattr(sink_module, "BLOCK", 1)
    records = recording.start().exchange("a").exchange("b").end().records
    write_tables(f"{tmp_path}/s/", records)
    assert len(list((tmp_path / "s/events").iterdir())) > 1
    assert read_records(tmp_path / "s") == records
    exchanges = pq.read_table(tmp_path / "s/exchanges").to_pylist()
    assert [(row["id"], row["seqFirst"], row["seqLast"]) for row in exchanges] == [("a", 1, 3), ("b", 4, 6)]


@pytest.mark.parametrize("name", ["s.parquet", "s/"])
def test_nothing_is_overwritten_unless_forced(
    tmp_path: Path, name: str, recording: Any, write_tables: Write, read_records: Read
) -> None:
    path = f"{tmp_path}/{name}"
    write_tables(path, recording.start().records)
    with pytest.raises(OutputExistsError):
        open_table_sink(path)
    with pytest.raises(OutputExistsError):
        open_sink(path)
    assert len(read_records(path)) == 1
    write_tables(path, recording.exchange().records, force=True)
    assert len(read_records(path)) == 4


def test_an_empty_folder_may_become_a_data_set(tmp_path: Path, recording: Any, read_records: Read) -> None:
    sink = open_sink(tmp_path)
    sink.write(encode_lines(recording.start().records))
    sink.close()
    sink.close()
    assert len(read_records(tmp_path)) == 1


def test_files_are_for_their_owner_alone(tmp_path: Path, recording: Any, write_tables: Write, umask: Any) -> None:
    umask(0)
    path = write_tables(tmp_path / "s.parquet", recording.start().records)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path = write_tables(tmp_path / "t.parquet", recording.records, file_mode=0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("line", "error"), [(b"[]", "expected an object"), (b'{"type":"gap","x":1e400}', "expected a record")]
)
def test_a_line_that_is_no_record_leaves_no_file(tmp_path: Path, line: bytes, error: str) -> None:
    sink = open_table_sink(str(tmp_path / "s.parquet"))
    sink.write(b'{"type":"request"}\n%b\n' % line)
    with pytest.raises(RecordError, match=f"^{error}"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_leaves_no_file_and_is_told_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any
) -> None:
    monkeypatch.setattr(sink_module, "BLOCK", 1)
    sink = open_table_sink(str(tmp_path / "s.parquet"))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.TableFile, "add", fail)
    for _ in range(2):
        with pytest.raises(OutputError, match=r"s\.parquet: No space left on device$"):
            sink.write(encode_lines(recording.start().records))
    with pytest.raises(OutputError):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        open_table_sink(str(tmp_path / "nowhere/s.parquet"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "s.parquet").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        open_table_sink(str(tmp_path / "s.parquet"), force=True)


def test_an_object_store_takes_parquet_alone() -> None:
    with pytest.raises(FormatError, match="only Parquet can be written to object stores"):
        open_sink("s3://bucket/s.jsonl.gz")


def test_a_file_system_that_nobody_knows() -> None:
    with pytest.raises(OutputError, match="nowhere://"):
        open_sink("nowhere://bucket/s.parquet")
