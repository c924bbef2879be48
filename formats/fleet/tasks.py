"""Tasks of a cluster: each has a few sessions and gives bytes or rows. Their arguments and results are JSON.

Executors import this module, so mockrec has to be installed there, too.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa

from mockrec.formats.analysis.stats import Stats
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.parquet.files import file_system
from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile
from mockrec.formats.parquet.whole_objects import ReadWhole, whole_reader
from mockrec.formats.query import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING
from mockrec.formats.select.selection import Selection
from mockrec.formats.workers.cpus import stay_alone

LINES = pa.schema(
    [
        ("key", pa.string()),
        ("source", pa.int64()),
        ("number", pa.int64()),
        ("unit", pa.int64()),
        ("line", pa.binary()),
        ("note", pa.string()),
    ]
)
"""Rows of `selected`: the lines of sessions, each with what orders it among those of all others. `note` is
JSON about a session, in a row without a line: its `error`, or `cutOff`, `problems` and `notes`."""
ERROR = "mockrec_error"
"""The last column of `table_rows`: JSON of the error of a session, null in its rows."""
_ROWS = 1_024


def described(session: str) -> list[Any]:
    """Return a session as JSON: its name, and the files of a listing."""
    files = session.files if isinstance(session, FoundSession) else ()
    return [str(session), [[file.path, file.size] for file in files]]


def enter(folder: str) -> None:
    """Begin a task. Makes the folder of the command the current one, as far as this machine has it: names may be
    relative. No further processes are started: the cluster knows how many it runs on a machine."""
    stay_alone()
    try:
        os.chdir(folder)
    except OSError:
        pass  # a folder of another machine; sessions in stores are found nevertheless


def restored(description: Sequence[Any]) -> str:
    """Return the session of `described`."""
    name, files = description
    if not files:
        return str(name)
    filesystem, read = _store_of(_bucket_of(name) if name.startswith("s3://") else name)
    return FoundSession(name, tuple(StoredFile(filesystem, path, size, read_whole=read) for path, size in files))


def _bucket_of(name: str) -> str:
    """Return the URI of the bucket of a session, with its options."""
    bare, question, options = name.partition("?")
    scheme, separator, rest = bare.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}{question}{options}"


@lru_cache(maxsize=8)
def _store_of(uri: str) -> tuple[Any, ReadWhole | None]:
    filesystem, _ = file_system(uri)
    return filesystem, whole_reader(uri, filesystem)


def statistics(task: Any) -> Any:
    """`{sessions, expression, skip}` → `{stats, errors, read}`; `stats` is the result of `sketches.packed`."""
    from mockrec.formats.fleet.sketches import packed
    from mockrec.formats.fleet.statistics import add_sessions

    collected, skipped = Stats(), Skipped(allowed=True)
    plan = None if task["expression"] is None else parse(task["expression"])
    read = list(add_sessions(collected, list(map(restored, task["sessions"])), plan, skipped))
    unusual = [asdict(one) for one in read if one.cut_off or one.problems or one.notes]
    return {
        "stats": base64.b64encode(packed(collected)).decode(),
        "errors": errors_of(skipped),
        "read": unusual,
    }


def compacted(task: Any) -> Any:
    """`{output, number, sessions, sizes, mode}` → `{sessions, errors}`, after the part is complete."""
    from mockrec.formats.fleet.compact import PartPlan, write_part

    part = PartPlan(task["number"], list(map(restored, task["sessions"])), task["sizes"])
    done, errors = write_part(task["output"], part, task["mode"])
    return {
        "sessions": [asdict(one) for one in done],
        "errors": [[error.file, error.message, error.line] for error in errors],
    }


def errors_of(skipped: Skipped) -> list[list[Any]]:
    """Return errors as JSON."""
    return [[error.file, error.message, error.line] for error in skipped.errors]


def selected(
    source: int, description: Sequence[Any], expression: str | None, records: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a session that match, as rows of `LINES`."""
    from mockrec.formats.fleet.selection import keyed

    plan: Plan | None = None if expression is None else parse(expression, records=records)
    plan = plan or parse(EVERYTHING, records=True)
    rows: list[tuple[Any, ...]] = []
    try:
        selection = Selection([restored(description)], plan)
        try:
            for number, (key, line) in enumerate(keyed(iter(selection))):
                rows.append((key, source, number, line.unit, line.raw, None))
                if len(rows) == _ROWS:
                    yield _lines(rows)
                    rows = []
            (session,) = selection.inputs
            if session.cut_off or session.problems or getattr(session, "notes", []):
                note: dict[str, Any] = {"cutOff": session.cut_off, "problems": list(session.problems)}
                notes: list[str] = list(getattr(session, "notes", []))
                rows.append(_note(source, {**note, "notes": notes}))
        finally:
            selection.close()
    except SessionError as error:
        rows.append(_note(source, {"error": [error.file, error.message, error.line]}))
    yield _lines(rows)


def _note(source: int, note: dict[str, Any]) -> tuple[Any, ...]:
    return "", source, -1, 0, b"", orjson.dumps(note).decode()


def _lines(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(LINES)
    return pa.RecordBatch.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, LINES, strict=True)], schema=LINES
    )


def table_rows(description: Sequence[Any], table: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a session with the columns of `schema`, which has texts where the table has JSON.

    A session that cannot be read gives one row instead, with its error in the last column (`ERROR`).
    """
    from mockrec.formats.fleet.tables import readable_rows, with_keys

    session = restored(description)
    try:
        for batch in readable_rows(session, table):
            whole = pa.schema([field.with_type(_own(batch, field)) for field in schema][:-1])
            made = with_keys(batch, session, whole)
            arrays = [array.storage if isinstance(array, pa.ExtensionArray) else array for array in made.columns]
            yield pa.RecordBatch.from_arrays([*arrays, pa.nulls(batch.num_rows, pa.string())], schema=schema)
    except SessionError as error:
        text = orjson.dumps([error.file, error.message, error.line]).decode()
        nulls = [pa.nulls(1, field.type) for field in schema][:-1]
        yield pa.RecordBatch.from_arrays([*nulls, pa.array([text], pa.string())], schema=schema)


def _own(batch: pa.RecordBatch, field: pa.Field) -> pa.DataType:
    return batch.schema.field(field.name).type if field.name in batch.schema.names else field.type


def run(name: str, task: bytes) -> bytes:
    """Run the task `name`, a function of this module or `module:function`, with JSON in and out."""
    if ":" in name:
        import importlib

        module, _, function = name.partition(":")
        called: Callable[[Any], Any] = getattr(importlib.import_module(module), function)
    else:
        called = globals()[name]
    return orjson.dumps(called(orjson.loads(task)))
