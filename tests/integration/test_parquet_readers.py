"""Parquet sessions in the tools that people use, as they are."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from mockrec.formats.parquet.layout import all_columns

RULES = """
version: 1
rules:
  - {id: a, when: {method: GET}, then: {reply: {json: {ok: true}, headers: {set-cookie: [a=1, b=2]}}}}
  - {id: b, when: {method: POST}, then: {reply: {status: 500, base64: "/w=="}}}
"""


@pytest.fixture
def recorded(recorder: Callable[..., Any], tmp_path: Path) -> Path:
    """A folder with the same session as `s.parquet` and as `s.jsonl`, and as data set `set`."""
    running = recorder(RULES, "-o", str(tmp_path / "s.parquet"), "-o", f"{tmp_path}/set/", out="s.jsonl")
    import http.client

    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    for method, path, body in (("GET", "/one", None), ("POST", "/two", b"\xff\xfe"), ("GET", "/three?a=b", None)):
        client.request(method, path, body, {"User-Agent": "me"})
        client.getresponse().read()
    client.close()
    session = running.stop()
    assert session.code == 0, session.stderr
    assert session.path is not None
    if session.path.parent != tmp_path:
        session.path.rename(tmp_path / "s.jsonl")
    return tmp_path


def statuses(rows: Any) -> list[Any]:
    return [tuple(row) for row in rows]


WANTED = [("GET", 200), ("POST", 500), ("GET", 200)]


def test_pandas(recorded: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(recorded / "s.parquet")
    responses = frame[frame.type == "response"]
    assert statuses(responses[["method", "statusCode"]].itertuples(index=False)) == WANTED
    assert str(frame.timestamp.dtype).startswith("datetime64[us, UTC")
    assert responses.contentType.iloc[0] == "application/json"
    assert frame[frame.type == "request"].bodyBytes.iloc[1] == b"\xff\xfe"
    exchanges = pandas.read_parquet(recorded / "set" / "exchanges")
    assert statuses(exchanges[["method", "statusCode"]].itertuples(index=False)) == WANTED


def test_pandas_sees_the_same_scalars_in_json_lines(recorded: Path) -> None:
    pandas = pytest.importorskip("pandas")
    lines = pandas.read_json(recorded / "s.jsonl", lines=True, precise_float=True, dtype_backend="pyarrow")
    rows = pandas.read_parquet(recorded / "s.parquet", dtype_backend="pyarrow")
    assert len(lines) == len(rows)
    scalars = ("text", "int", "number", "flag", "time")
    there = [name for name, column in all_columns().items() if column.kind in scalars and name in lines]
    assert {"seq", "type", "timestamp", "id", "method", "url", "statusCode", "duration", "matchedRuleId"} <= set(there)
    for name in set(lines) - set(rows):
        assert isinstance(lines[name].dropna().iloc[0], dict), f"{name} has no column, so it has to be an object"
    for name in there:
        ours = rows[name]
        if name in ("startTime", "startTimestamp"):  # in other records these come from timingEvents
            ours = ours.where(rows.type == "session-started")
        both = zip(lines[name].tolist(), ours.tolist(), strict=True)
        assert all(pandas.isna(other) if pandas.isna(one) else one == other for one, other in both), name


def test_duckdb(recorded: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    query = "select method, statusCode from '{}' where type = 'response' order by seq"
    with duckdb.connect() as connection:
        assert connection.sql(query.format(recorded / "s.parquet")).fetchall() == WANTED
        assert connection.sql(query.format(recorded / "set/events/*.parquet")).fetchall() == WANTED
        (found,) = connection.sql(
            f"""select eventData, rawHeaders[1].name, epoch_ms("timestamp") > 0 from '{recorded}/s.parquet'
            where type = 'request' limit 1"""
        ).fetchall()
        assert found == (None, "Host", True)
        (listening,) = connection.sql(f"select listen->>'$.host' from '{recorded}/s.parquet' where seq = 0").fetchall()
        assert listening == ("127.0.0.1",)


def test_polars(recorded: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(recorded / "s.parquet").filter(polars.col("type") == "response")
    assert frame.select("method", "statusCode").rows() == WANTED
    lazy = polars.scan_parquet(recorded / "set/exchanges").filter(polars.col("statusCode") >= 500).collect()
    assert lazy["url"].to_list()[0].endswith("/two")


def test_pyarrow(recorded: Path) -> None:
    table = ds.dataset(recorded / "s.parquet").to_table(
        columns=["method", "statusCode"], filter=ds.field("statusCode") >= 500
    )
    assert table.to_pylist() == [{"method": "POST", "statusCode": 500}]
    assert ds.dataset(recorded / "set/events").count_rows() == pq.read_metadata(recorded / "s.parquet").num_rows
    row = ds.dataset(recorded / "s.parquet").head(1).to_pylist()[0]
    assert row["type"] == "session-started"
    assert row["timestamp"].tzinfo is not None
    assert abs(datetime.datetime.now(datetime.UTC) - row["timestamp"]) < datetime.timedelta(minutes=10)
