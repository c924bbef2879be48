"""The engine for a cluster, with a session that is not one of Spark's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from mockrec.formats.fleet.spark import EngineError, SparkEngine


def _refusing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("unsupported PySpark version: 9.9.9")


class _Frame:
    """Takes every call of a data frame."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: pa.table({"error": pa.array([], pa.string())}) if name == "toArrow" else self


def test_what_a_cluster_refuses_is_an_error_with_its_words() -> None:
    engine = SparkEngine(SimpleNamespace(createDataFrame=_refusing))
    with pytest.raises(EngineError, match="spark: unsupported PySpark version"):
        engine.run("compacted", [{}])
    with pytest.raises(EngineError, match="spark: unsupported PySpark version"):
        list(engine.lines(["s.jsonl"], None, records=True))


def test_a_cluster_without_a_cache_answers_queries() -> None:
    session = SimpleNamespace(
        createDataFrame=lambda _: _Frame(),
        table=lambda _: _Frame(),
        sql=lambda _: _Frame(),
        catalog=SimpleNamespace(cacheTable=_refusing),
    )
    found, errors = SparkEngine(session).query("select 1 from events", ["s.jsonl"], ["events"])
    assert (found.num_rows, errors) == (0, [])
