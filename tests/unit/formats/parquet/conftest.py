"""Sessions as Parquet: written by the sink, read by the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.sink import open_table_sink
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]


@pytest.fixture
def write_tables() -> Callable[..., Path]:
    """Writes records to an output, several lines at a time."""

    def write(path: Path | str, records: list[Record], **options: Any) -> Path:
        sink = open_table_sink(str(path), **options)
        for start in range(0, len(records), 3):
            sink.write(encode_lines(records[start : start + 3]))
        sink.close()
        return Path(path)

    return write


@pytest.fixture
def read_records() -> Callable[[Path | str], list[Record]]:
    """All records of a session, as any command reads it."""

    def read(path: Path | str) -> list[Record]:
        with open_session(path) as session:
            return [record for _, record in session]

    return read


@pytest.fixture
def all_kinds(record_of: Any) -> list[Record]:
    """A record of every type, each with every key, numbered through."""
    from mockrec.formats.schema.events import EVENT_TYPES

    return [json.loads(json.dumps(record_of(kind, number))) for number, kind in enumerate(EVENT_TYPES)]
