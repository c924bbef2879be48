"""From any format to any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.sessions.convert import convert
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.sessions.session import open_session

FORMATS = ["s.jsonl", "s.jsonl.gz", "s.jsonl.zst", "s.parquet", "s/"]


@pytest.fixture
def converted(tmp_path: Path) -> Callable[[Path, str], Path]:
    def run(path: Path, name: str) -> Path:
        source, sink = open_source(str(path)), open_sink(f"{tmp_path}/to-{name}")
        convert(source, sink)
        sink.close()
        source.close()
        return tmp_path / f"to-{name}"

    return run


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("via", FORMATS)
def test_records_are_the_same(tmp_path: Path, recording: Any, converted: Any, via: str, to: str) -> None:
    path = recording.start().exchange().end().write(tmp_path / "s")
    between = converted(path, via).rename(tmp_path / "between")
    with open_session(converted(between, to)) as session:
        assert [record for _, record in session] == recording.records
        assert session.complete


@pytest.mark.parametrize(("cut", "kept"), [(0, 4), (1, 4), (2, 3), (60, 3)])
def test_a_torn_line_is_left_out(tmp_path: Path, recording: Any, converted: Any, cut: int, kept: int) -> None:
    data = recording.start().exchange().data
    path = tmp_path / "s"
    path.write_bytes(data[: len(data) - cut])
    assert converted(path, "s.jsonl").read_bytes().count(b"\n") == kept


def test_nothing_gives_nothing(tmp_path: Path, converted: Any) -> None:
    (tmp_path / "s").write_bytes(b"")
    assert converted(tmp_path / "s", "s.jsonl").read_bytes() == b""
