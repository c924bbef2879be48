"""The log on disk: the event schema, readers and writers, and what is computed from a recorded session.

* **record**: one line of the log as a plain dict with JSON names (camelCase)
* **event**: a record as a typed object, as callbacks get it (`schema/events.py`)
* **session**: one recording, read from its first record to its last (`sessions/session.py`)
* **sink**: the destination of batches of whole lines (`files/frames.py`)

Nothing here imports the engine, a protocol library or the command line. Packages import only those below them:

* `analysis`, `diff`: statistics, checks, tables and comparisons of sessions
* `select`: the exchanges or records of a session that match a filter expression
* `query`: the filter language; `sessions`: sessions of any format, opened, read, converted and written
* `imported`: recordings of other tools
* `har`, `parquet`: these two formats
* `files`: files as bytes and lines
* `schema`: event types and their objects
* `text`: forms of text

`read` and `frame` are for programs and notebooks that analyse sessions; see docs/notebooks.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import pyarrow

    from mockrec.formats.schema.base import Event

__all__ = ["frame", "read"]

SessionPath = str | PathLike[str]


def read(path: SessionPath, where: str | None = None, *, records: bool = False) -> Iterator[Event]:
    """The typed events of a session of any format, in file order.

    `where` is an expression of the filter language: the result is the events of the exchanges that match, and those
    about the session itself. With `records=True` the expression selects single records. Raises `FilterError`,
    `SessionError`, or `RecordError` for a record that lacks a required key.
    """
    # Imported here: programs that only import `mockrec.formats.events` do not need it.
    from mockrec.formats.analysis.notebook import events

    return events(path, where, records=records)


@overload
def frame(
    path: SessionPath, where: str | None = None, *, table: str = "exchanges", arrow: Literal[True]
) -> pyarrow.Table: ...


@overload
def frame(
    path: SessionPath, where: str | None = None, *, table: str = "exchanges", arrow: Literal[False] = False
) -> Any: ...


def frame(path: SessionPath, where: str | None = None, *, table: str = "exchanges", arrow: bool = False) -> Any:
    """A session of any format as a pandas DataFrame, or with `arrow=True` as a pyarrow Table.

    `table` is `exchanges` (a row for each exchange, without bodies) or `events` (a row for each record). Needs the
    extra `mockrec[pandas]` unless `arrow=True`; without pandas it raises `ImportError` before it reads the session.
    """
    from mockrec.formats.analysis.notebook import need_pandas, tabulate, to_pandas

    if arrow:
        return tabulate(path, where, table)
    need_pandas()
    return to_pandas(tabulate(path, where, table))
