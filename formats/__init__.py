"""The log on disk: the event schema, readers and writers, and what is computed from a recorded session.

* **record**: one line of the log as a plain dict with JSON names (camelCase)
* **event**: the same thing typed, as callbacks get it (`events.py`)
* **session**: one recording, read from its first record to its last (`session.py`)
* **sink**: where batches of whole lines go (`jsonl.py`)

Nothing here knows the engine, a protocol library or the command line.

`read` and `frame` are for programs and notebooks that look at sessions; see docs/notebooks.md.
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

    `where` is an expression of the filter language: the events of the exchanges that match, and those about the
    session itself; with `records=True` only single records are asked and given. Raises `FilterError`, `SessionError`,
    or `RecordError` for a record that lacks a required key.
    """
    # Imported here: who only wants `mockrec.formats.schema.events` needs none of it.
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

    `table` is `exchanges` (a row an exchange, without bodies) or `events` (a row a record). Needs the extra
    `mockrec[pandas]` unless `arrow=True`; without it raises `ImportError` before anything is read.
    """
    from mockrec.formats.analysis.notebook import need_pandas, tabulate, to_pandas

    if arrow:
        return tabulate(path, where, table)
    need_pandas()
    return to_pandas(tabulate(path, where, table))
