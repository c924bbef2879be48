"""SQL over sessions: DuckDB with the views `events` and `exchanges`. DuckDB is the extra `mockrec[sql]`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.schema.errors import FormatError

if TYPE_CHECKING:
    import pyarrow as pa

VIEWS = ("events", "exchanges")
_ROWS = 1_024


class QueryError(FormatError):
    """The query cannot be answered. The message is DuckDB's."""


def need_duckdb() -> Any:
    """Return the module duckdb. Raises `QueryError` with the command that installs it."""
    try:
        import duckdb
    except ImportError:
        raise QueryError("sql needs DuckDB: install it with `pip install 'mockrec[sql]'`") from None
    return duckdb


@contextmanager
def answer(query: str, sessions: Sequence[str], skipped: Skipped) -> Iterator[pa.RecordBatchReader]:
    """Context with the rows that answer a query. Raises `QueryError` and `SessionError`."""
    duckdb = need_duckdb()
    # Imported here: a plain install says first what is missing.
    from mockrec.formats.fleet.tables import FleetTables

    with tempfile.TemporaryDirectory(prefix="mockrec-") as folder:
        tables = FleetTables(sessions, Path(folder), skipped)
        # A query must not download anything by itself.
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "temp_directory": folder})
        try:
            for view in VIEWS:
                if re.search(rf"\b{view}\b", query, re.IGNORECASE) or "query_table" in query.lower():
                    connection.register(view, tables.table(view))
            yield _reader(connection, query)
        except duckdb.Error as error:
            raise QueryError(f"the query: {_message(error)}") from None
        finally:
            connection.close()


def _reader(connection: Any, query: str) -> pa.RecordBatchReader:
    relation = connection.sql(query)
    if relation is None:
        raise QueryError("the query: expected a statement with rows, such as select")
    if hasattr(relation, "to_arrow_reader"):
        return relation.to_arrow_reader(_ROWS)
    return relation.fetch_arrow_reader(_ROWS)  # DuckDB before 1.4


def _message(error: Exception) -> str:
    """Return DuckDB's message in one line, without the picture of the place."""
    lines = [line.strip() for line in str(error).partition("\n\nLINE ")[0].splitlines() if line.strip()]
    text = "; ".join(lines)
    if place := re.search(r"\nLINE (\d+): .*\n( *)\^", str(error)):
        column = len(place[2]) - len(f"LINE {place[1]}: ") + 1
        text += f" (line {place[1]}, column {column})"
    return text
