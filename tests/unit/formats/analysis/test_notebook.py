"""`read` and `frame`: sessions as typed events and as tables, as the page about notebooks says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pytest

from mockrec.formats import frame, read
from mockrec.formats.query import FilterError
from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.schema.exchange_events import Request, Response
from mockrec.formats.schema.session_events import SessionStarted
from mockrec.formats.sessions.outputs import open_sink


@pytest.fixture(params=["s.jsonl", "s.jsonl.zst", "s.parquet"])
def session(recording: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    recording.start().exchange("a", statusCode=200, duration=5.0)
    recording.exchange("b", statusCode=503, duration=900.0).add("request-initiated", "open")
    recording.end()
    sink = open_sink(tmp_path / request.param)
    sink.write(recording.data)
    sink.close()
    return tmp_path / request.param


def test_typed_events_of_what_matches(session: Path) -> None:
    found = list(read(session, where="status >= 500"))
    assert [event.type for event in found] == [
        "session-started",
        "request-initiated",
        "request",
        "response",
        "session-ended",
    ]
    assert isinstance(found[0], SessionStarted)
    assert isinstance(found[2], Request)
    assert isinstance(found[3], Response)
    assert (found[3].status_code, found[3].duration, found[3].body.text) == (503, 900.0, "hello")
    assert [event.type for event in read(str(session), "status >= 500", records=True)][1:-1] == ["response"]
    assert len(list(read(session))) == 9


def test_bodies_beside_the_log(recording: Any, tmp_path: Path, keep_beside: Callable[[Path, bytes], str]) -> None:
    name = keep_beside(tmp_path / "s.jsonl.bodies", b'{"a": 1}')
    recording.start().exchange("a", body={"size": 8, "file": name, "sha256": name[3:]}).end().write(
        tmp_path / "s.jsonl"
    )
    *_, response, _ = read(tmp_path / "s.jsonl", "json[a] == 1")
    assert isinstance(response, Response)
    assert response.body.json() == {"a": 1}


def test_a_frame_of_exchanges(session: Path) -> None:
    df = frame(session)
    assert isinstance(df, pandas.DataFrame)
    assert list(df.id) == ["a", "b", "open"]
    assert df.statusCode.tolist()[:2] == [200, 503]
    assert df.statusCode.isna().tolist() == [False, False, True]
    assert str(df.dtypes["statusCode"]) == "int16[pyarrow]"
    assert df.timestamp.dt.year.tolist() == [2024, 2024, 2024]
    assert frame(session, "duration > 100ms").groupby("host").duration.max().to_dict() == {"example.test": 900.0}


def test_a_frame_of_events_and_an_arrow_table(session: Path) -> None:
    df = frame(session, where="status == 200", table="events")
    assert df.type.tolist() == ["session-started", "request-initiated", "request", "response", "session-ended"]
    table = frame(session, where="status == 200", table="events", arrow=True)
    assert isinstance(table, pa.Table)
    assert table.column("bodyText").to_pylist() == [None, None, "hello", "hello", None]
    assert frame(session, where="status == 100").empty


def test_mistakes_are_said_at_once(session: Path, tmp_path: Path) -> None:
    with pytest.raises(FilterError, match="did you mean status"):
        read(session, "statuss > 5")
    with pytest.raises(SessionError, match="No such file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(ValueError, match="exchanges or events"):
        frame(session, table="rows")
    path = tmp_path / "bad.jsonl"
    path.write_text('{"seq":0,"type":"request"}\n')
    with pytest.raises(RecordError, match="seq 0, request"):
        list(read(path))


def test_without_pandas_it_says_what_to_install(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"`pip install 'mockrec\[pandas\]'`"):
        frame(session.with_name("nowhere.jsonl"))  # said before anything is read
    assert frame(session, arrow=True).num_rows == 3


def test_importing_the_formats_costs_nothing() -> None:
    code = "import sys, mockrec.formats; print([name for name in ('msgspec', 'orjson', 'pyarrow', 'pandas') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
