"""Sessions in Parquet are sessions: files, data sets, journals, whole and not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.paths import journal_of, part_name, segment_name, session_name
from mockrec.formats.query import parse
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.parquet_input import ParquetInput
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]
Write = Callable[..., Path]
Read = Callable[[Path | str], list[Record]]


def segment(journal: Path, number: int, records: list[Record], torn: bytes = b"") -> None:
    journal.mkdir(parents=True, exist_ok=True)
    (journal / segment_name(number)).write_bytes(encode_lines(records) + torn)


def test_the_content_decides_and_not_the_name(
    tmp_path: Path, all_kinds: list[Record], write_tables: Write, read_records: Read
) -> None:
    path = write_tables(tmp_path / "s.parquet", all_kinds).rename(tmp_path / "s.jsonl")
    assert read_records(path) == all_kinds


def test_a_session_knows_how_it_ended(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    with open_session(write_tables(tmp_path / "s.parquet", recording.start().exchange().end().records)) as session:
        assert session.header == recording.records[0]
        assert len(list(session)) == 5
        assert session.complete
        assert session.bodies_folder == tmp_path / "s.parquet.bodies"


def test_a_session_that_is_closed_early(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    with open_session(write_tables(tmp_path / "s.parquet", recording.start().exchange().records)) as session:
        next(iter(session))


def test_a_journal_is_a_session(tmp_path: Path, recording: Any, read_records: Read) -> None:
    records = recording.start().exchange().records
    journal = tmp_path / "s.parquet.journal"
    segment(journal, 1, records[:2])
    segment(journal, 2, records[2:])
    (journal / "rows.tmp").write_bytes(b"not ours")
    assert read_records(journal) == records
    # The recording was cut off: what is there of it is its journal.
    assert read_records(tmp_path / "s.parquet") == records


def test_a_torn_line_at_the_end_of_a_journal(tmp_path: Path, recording: Any) -> None:
    segment(tmp_path / "s.parquet.journal", 1, recording.start().records, b'{"seq":1,"ty')
    with open_session(tmp_path / "s.parquet.journal") as session:
        assert len(list(session)) == 1
        assert session.torn == "line 2 is cut off"


def test_a_data_set_that_is_recorded_has_parts_and_segments(
    tmp_path: Path, recording: Any, write_tables: Write, read_records: Read
) -> None:
    records = recording.start().exchange("a").exchange("b").records
    folder = tmp_path / "s"
    (folder / "events").mkdir(parents=True)
    write_tables(folder / "events" / part_name(1), records[:3])
    segment(folder / "journal", 1, records[:3])  # converted already, but not removed yet
    segment(folder / "journal", 2, records[3:5])
    segment(folder / "journal", 3, records[5:])
    assert read_records(folder) == records


def test_a_segment_that_becomes_a_part_while_it_is_read(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    records = recording.start().exchange("a").exchange("b").records
    folder = tmp_path / "s"
    segment(folder / "journal", 1, records[:3])
    segment(folder / "journal", 2, records[3:])
    source = open_source(str(folder))
    lines = iter(source)
    read = next(lines)
    (folder / "events").mkdir()
    write_tables(folder / "events" / part_name(2), records[3:])
    (folder / "journal" / segment_name(2)).unlink()
    read += b"".join(lines)
    source.close()
    assert read == encode_lines(records)


@pytest.mark.parametrize("by", ["s.parquet", "s.parquet.journal"])
@pytest.mark.parametrize("after", [1, 2])
def test_a_recording_that_ends_while_it_is_read(
    tmp_path: Path, recording: Any, write_tables: Write, by: str, after: int
) -> None:
    """The journal is gone, the file is there: what has not been read yet is read from it."""
    records = recording.start().exchange("a").exchange("b").records
    journal = tmp_path / "s.parquet.journal"
    segment(journal, 1, records[:2])
    segment(journal, 2, records[2:5])
    lines = iter(open_source(str(tmp_path / by)))
    read = b"".join(next(lines) for _ in range(after))
    segment(journal, 3, records[5:])
    write_tables(tmp_path / "s.parquet", records)
    shutil.rmtree(journal)
    assert read + b"".join(lines) == encode_lines(records)


def test_segments_that_appear_while_a_journal_is_read(tmp_path: Path, recording: Any) -> None:
    records = recording.start().exchange().records
    segment(tmp_path / "journal", 1, records[:2])
    source = open_source(str(tmp_path / "journal"))
    lines = iter(source)
    read = next(lines)
    segment(tmp_path / "journal", 2, records[2:])
    assert read + b"".join(lines) == encode_lines(records)


def test_parts_of_other_names_and_folders_are_read_too(
    tmp_path: Path, recording: Any, write_tables: Write, read_records: Read
) -> None:
    """A fleet's data set, by date and run."""
    records = recording.start().exchange().records
    for folder, some in (("run=1", records[:2]), ("run=2", records[2:])):
        (tmp_path / "events" / folder).mkdir(parents=True)
        write_tables(tmp_path / "events" / folder / "part-job-0.parquet", some)
    (tmp_path / "events" / ".part-2.parquet.tmp").write_bytes(b"half")
    assert read_records(tmp_path) == records


def test_a_file_cut_off(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().records)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SessionError, match=r"s\.parquet: this Parquet file cannot be read: "):
        open_session(path)


def test_a_damaged_file(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().records)
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)
    path.write_bytes(data)
    with pytest.raises(SessionError, match=r"s\.parquet: this Parquet file is damaged: "):
        list(open_session(path))


def test_a_column_whose_name_is_no_utf8(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().end().records)
    path.write_bytes(path.read_bytes().replace(b"statusMessage", b"\xfftatusMessage"))
    with pytest.raises(SessionError, match="cannot be read"):
        open_session(path)


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "s.parquet")
    with pytest.raises(SessionError, match="no mockrec session: it has no columns seq and type"):
        open_session(tmp_path / "s.parquet")


def test_the_exchanges_are_no_session(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().records, table="exchanges")
    with pytest.raises(SessionError, match="it holds the table exchanges, a session is the table events"):
        open_session(path)


def test_a_file_of_a_later_version(tmp_path: Path, recording: Any, write_tables: Write) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().records)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"mockrec.schema": "2"}), path)
    with pytest.raises(SessionError, match="written by a newer mockrec: schema 2"):
        open_session(path)


def test_columns_of_a_later_version_are_passed_over(
    tmp_path: Path, recording: Any, write_tables: Write, read_records: Read
) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().records)
    table = pq.read_table(path)
    pq.write_table(table.append_column("later", pa.array(["x"] * table.num_rows)), path)
    assert read_records(path) == recording.records


def test_a_file_that_pandas_wrote_again(
    tmp_path: Path, recording: Any, write_tables: Write, read_records: Read
) -> None:
    pandas = pytest.importorskip("pandas")
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().records)
    pandas.read_parquet(path, dtype_backend="pyarrow").to_parquet(path)
    assert read_records(path) == recording.records


def test_a_folder_that_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"this is a folder, but no session: expected events/part-\*\.parquet"):
        open_session(tmp_path)


@pytest.mark.parametrize("uri", ["nowhere://bucket/s.parquet", "file:///nowhere/s.parquet"])
def test_a_uri_that_leads_nowhere(uri: str) -> None:
    with pytest.raises(SessionError, match=uri.split(":", 1)[0]):
        open_session(uri)


def test_files_and_data_sets_by_uri(tmp_path: Path, recording: Any, write_tables: Write, read_records: Read) -> None:
    """`file://` goes the way that object stores go."""
    records = recording.start().exchange().records
    for name in ("s.parquet", "set"):
        write_tables(f"file://{tmp_path}/{name}", records)
        assert read_records(f"file://{tmp_path}/{name}") == records


def test_a_journal_needs_no_pyarrow(tmp_path: Path, recording: Any) -> None:
    import subprocess

    segment(tmp_path / "s.parquet.journal", 1, recording.start().records)
    program = (
        "import sys\nfrom mockrec.formats.sessions.session import open_session\n"
        f"assert len(list(open_session({str(tmp_path / 's.parquet')!r}))) == 1\n"
        "assert 'pyarrow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("output", "journal"),
    [
        ("a/s.parquet", "a/s.parquet.journal"),
        ("a/s/", "a/s/journal"),
        ("s3://bucket/run/s.parquet", "s.parquet.journal"),
        ("s3://bucket/run/", "run.journal"),
    ],
)
def test_where_journals_are(output: str, journal: str) -> None:
    assert journal_of(output) == Path(journal)


@pytest.mark.parametrize("name", ["a/s.parquet", "a/s.parquet.journal"])
def test_a_journal_has_the_bodies_of_its_session(name: str) -> None:
    assert session_name(name) == "a/s.parquet"
    assert session_name("a/s/") == "a/s"


@pytest.mark.parametrize("extra", ["{", "[1]", '{"a": "\x01"}'])
def test_rows_that_cannot_be_are_told(tmp_path: Path, recording: Any, write_tables: Write, extra: str) -> None:
    path = write_tables(tmp_path / "s.parquet", recording.start().exchange().end().records)
    table = pq.read_table(path)
    place = table.schema.get_field_index("extra")
    column = pa.array([extra] * table.num_rows, pa.string())
    pq.write_table(table.set_column(place, table.schema.field(place).with_type(pa.string()), column), path)
    with pytest.raises(SessionError, match="this Parquet file is damaged"), open_session(path) as session:
        list(session)
    with pytest.raises(SessionError, match="this Parquet file is damaged"):
        list(ParquetInput(str(path), [path]).match(parse("seq >= 0", records=True)))
