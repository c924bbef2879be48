"""Apache Spark over Spark Connect: the extra `mockrec[spark]`. It schedules, shuffles and repeats; we only scan.

A task has a few sessions and runs our own readers in `mapInArrow`. Its partial results are merged here.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.fleet import tasks
from mockrec.formats.schema.errors import FormatError

PER_TASK = 16
"""Sessions of a task: small enough to be repeated quickly, large enough to pay for its start."""
_LINES = "key string, source long, number long, unit long, line binary, note string"


class EngineError(FormatError):
    """The cluster cannot be reached, or has failed."""


class SparkEngine:
    """A connection to a cluster."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def run(self, name: str, arguments: Sequence[Any], *, at_once: int = 1) -> list[Any]:
        """Call a function of `tasks.py` with each argument, `at_once` in a task. Return the results in order."""
        if not arguments:
            return []
        folder = os.getcwd()
        rows = pa.table({"n": range(len(arguments)), "task": [orjson.dumps(one) for one in arguments]})

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            tasks.enter(folder)
            for batch in batches:
                for number, task in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    result = tasks.run(name, task)
                    yield pa.RecordBatch.from_pydict({"n": [number], "result": [result]}, schema=_RESULT)

        with _failures():
            made = self._spread(rows, at_once).mapInArrow(work, "n long, result binary").toArrow()
        found = dict(zip(*(column.to_pylist() for column in made.columns), strict=True))
        return [orjson.loads(found[number]) for number in range(len(arguments))]

    def lines(self, sessions: Sequence[str], expression: str | None, *, records: bool) -> Iterator[dict[str, Any]]:
        """Yield the rows of `tasks.LINES` of all sessions, in the order of the merged session."""
        folder = os.getcwd()
        given = [orjson.dumps(tasks.described(session)) for session in sessions]
        rows = pa.table({"source": range(len(given)), "session": given})

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            tasks.enter(folder)
            for batch in batches:
                for source, session in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield from tasks.selected(source, orjson.loads(session), expression, records)

        with _failures():
            frame = self._spread(rows).mapInArrow(work, _LINES).orderBy("key", "source", "number")
            for row in frame.toLocalIterator():
                yield row.asDict()

    def query(self, query: str, sessions: Sequence[str], views: Sequence[str]) -> tuple[pa.Table, list[Any]]:
        """Return the rows that answer a query in Spark's SQL, and the errors of sessions that were skipped."""
        given = pa.table({"session": [orjson.dumps(tasks.described(session)) for session in sessions]})
        errors: dict[str, None] = {}
        with _failures():
            for view in views:
                self._create_view(view, given, sessions)
            found = self.session.sql(query).toArrow()
            for view in views:
                frame = self.session.sql(f"select {tasks.ERROR} from {_whole(view)} where {tasks.ERROR} is not null")
                errors |= dict.fromkeys(frame.toArrow().column(0).to_pylist())
        return found, [orjson.loads(error) for error in sorted(errors)]

    def _create_view(self, view: str, given: pa.Table, sessions: Sequence[str]) -> None:
        """Create a view of the rows of sessions. They are cached, because their errors are asked for afterwards."""
        from mockrec.formats.fleet.tables import fleet_schema

        own = [field.with_type(_without_extension(field.type)) for field in fleet_schema(view, sessions)]
        schema = pa.schema([*own, pa.field(tasks.ERROR, pa.string())])
        frame = self._spread(given).mapInArrow(_table_work(view, schema, os.getcwd()), _ddl(schema))
        frame.createOrReplaceTempView(_whole(view))
        with contextlib.suppress(Exception):  # Sail has no cache: the rows are read again
            self.session.catalog.cacheTable(_whole(view))
        rows = self.session.table(_whole(view)).where(f"{tasks.ERROR} is null")
        rows.drop(tasks.ERROR).createOrReplaceTempView(view)

    def _spread(self, rows: pa.Table, at_once: int = PER_TASK) -> Any:
        """Return rows as a data frame, `at_once` in a partition."""
        return self.session.createDataFrame(rows).repartition(max(2, -(-rows.num_rows // at_once)))


_RESULT = pa.schema([("n", pa.int64()), ("result", pa.binary())])


def _whole(view: str) -> str:
    """Return the name of the view with the errors of sessions."""
    return f"mockrec_{view}"


def _table_work(view: str, schema: pa.Schema, folder: str) -> Any:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tasks.enter(folder)
        for batch in batches:
            for session in batch.column(0).to_pylist():
                yield from tasks.table_rows(orjson.loads(session), view, schema)

    return work


@contextmanager
def engine(name: str) -> Iterator[SparkEngine]:
    """Context with a cluster: `spark`, at the URL of SPARK_REMOTE, or `spark=sc://host:port`. Raises `EngineError`."""
    kind, _, url = name.partition("=")
    if kind != "spark":
        raise EngineError(f"--engine: expected spark or spark=sc://host:port, got {name!r}")
    url = url or os.environ.get("SPARK_REMOTE", "")
    if not url:
        raise EngineError("--engine spark: name the cluster, as in spark=sc://host:15002, or set SPARK_REMOTE")
    # PySpark warns of pandas 3, of which nothing here makes use.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"pyspark\.")
    try:
        import datasketches
        from pyspark.sql import SparkSession
    except ImportError:
        raise EngineError("--engine spark needs PySpark: install it with `pip install 'mockrec[spark]'`") from None
    del datasketches
    with _failures():
        session = SparkSession.builder.remote(url).getOrCreate()
    try:
        yield SparkEngine(session)
    finally:
        session.stop()


@contextmanager
def _failures() -> Iterator[None]:
    """Context in which errors of Spark become `EngineError`, with their first lines."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:  # those of gRPC and of PySpark share no base
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        shown = lines[:1] + [line for line in lines[-3:] if "Error" in line and line not in lines[:1]]
        raise EngineError(f"spark: {'; '.join(shown) or type(error).__name__}") from None


def _without_extension(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"`{field.name}` {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    """Return the type of a column in Spark's SQL."""
    import pyarrow.types as types

    if types.is_list(kind):
        return f"array<{_type(kind.value_type)}>"
    if types.is_struct(kind):
        inner = ", ".join(f"`{kind.field(number).name}`: {_type(kind.field(number).type)}" for number in range(2))
        return f"struct<{inner}>"
    if types.is_timestamp(kind):
        return "timestamp"
    return {
        "string": "string",
        "int64": "bigint",
        "int32": "int",
        "int16": "smallint",
        "double": "double",
        "bool": "boolean",
        "binary": "binary",
    }[str(kind)]
