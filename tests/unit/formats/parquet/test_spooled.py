"""Parquet from a pipe: all of it is kept before it is read, in a file without a name, as long as there is room."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.formats.parquet import spooled
from mockrec.formats.parquet.spooled import SpooledTable
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions import inputs as source
from mockrec.formats.sessions.convert import convert
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.sessions.session import open_session


@pytest.fixture
def tables(recording: Any, tmp_path: Path) -> Iterator[tuple[bytes, bytes]]:
    """A session as Parquet and as lines; a folder for temporary files, in which nothing is left."""
    recording.start().exchange("aaaaaaaa-1111-7000-8000-000000000000", statusCode=200, duration=5.0)
    lines = recording.end().write(tmp_path / "s.jsonl")
    sink = open_sink(str(tmp_path / "s.parquet"))
    with closing(source.open_source(str(lines))) as opened:
        convert(opened, sink)
    sink.close()
    folder = tmp_path / "temporary"
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    yield (tmp_path / "s.parquet").read_bytes(), lines.read_bytes()
    tempfile.tempdir = before
    assert list(folder.iterdir()) == []


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(source.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_the_records_are_those_of_the_file(tables: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    parquet, lines = tables
    piped(monkeypatch, parquet)
    with open_session("-") as session:
        found = b"".join(line.raw + b"\n" for line in session.scan())
    assert (found, session.name, session.unit, session.cut_off) == (lines, "stdin", "record", "")


def test_a_file_that_is_cut_off(tables: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, tables[0][:-30])
    with pytest.raises(SessionError, match=r"^stdin: this Parquet file cannot be read: "):
        open_session("-")


def test_the_disk_is_never_filled(tables: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "_CHECKED", 1)
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    table = SpooledTable("stdin", b"PAR1", read, lambda: None, spared=2**70)
    with pytest.raises(SessionError, match=r"^stdin: .*: the disk is nearly full after 4 bytes of it\. Give its name"):
        next(iter(table))
    table.close()
    assert asked == []


def test_a_disk_that_is_full(tables: tuple[bytes, bytes]) -> None:
    def read(size: int) -> bytes:
        raise OSError(28, "No space left on device")

    table = SpooledTable("stdin", b"PAR1", read, lambda: None)
    with pytest.raises(SessionError, match="No space left on device after 4 bytes of it"):
        next(iter(table))
    table.close()
