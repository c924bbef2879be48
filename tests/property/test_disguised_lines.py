"""Lines that other programs have written in another way, or that were cut off: each fast way reads them as exact ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from disguised_lines import cut, disguised
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from random_sessions import lines, random_session

from mockrec.cli.filter_output import FilterOptions, Table, write_copy
from mockrec.cli.stats import summary
from mockrec.formats.analysis.notebook import tabulate
from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.files import reader
from mockrec.formats.fleet.selection import ManySelection
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.statistics import add_sessions
from mockrec.formats.fleet.tables import rows_of
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import ExchangeAggregator
from mockrec.formats.parquet.layout import all_columns
from mockrec.formats.parquet.sink import open_table_sink
from mockrec.formats.query.parser import parse
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select import inputs
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.session import open_session
from mockrec.formats.text.json import dump

_SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_SEEDS = st.integers(0, 2**32)
_JSON = frozenset({"extra", *(name for name, column in all_columns().items() if column.kind == "json")})
_EXPRESSIONS = ("status >= 500", "method == POST", "not status == 200", "host == x.test", "header[user-agent] ~ curl")


def _written(folder: Path, seed: int, *, torn: bool) -> tuple[Path, list[Any]]:
    """A file of lines that are written in another way, and its records without one that was cut off."""
    records, dice = random_session(seed), Random(seed)
    data = disguised(lines(records), dice)
    if torn:
        data = cut(data.rstrip(b"\n \t"), dice)
        records = records[:-1]
    path = folder / "s.jsonl"
    path.write_bytes(data)
    return path, records


def _stats(records: list[Any]) -> bytes:
    stats = Stats()
    stats.add(SelectedLine(line, 0, 0) for line in lines(records).splitlines())
    return dump(summary(stats))


@_SETTINGS
@given(seed=_SEEDS, torn=st.booleans())
def test_statistics(tmp_path_factory: Any, seed: int, torn: bool) -> None:
    path, records = _written(tmp_path_factory.mktemp("session"), seed, torn=torn)
    expected = _stats(records)
    stats, selection = Stats(), Selection([str(path)], None)
    add_session(stats, selection, None)
    assert dump(summary(stats)) == expected
    assert bool(selection.inputs[0].cut_off) == (torn or records[-1]["type"] != "session-ended")
    together, skipped = Stats(), Skipped()
    assert len(list(add_sessions(together, [str(path)], None, skipped))) == 1
    assert dump(summary(together)) == expected


@_SETTINGS
@example(seed=11164, torn=False)  # an exchange with an empty id, and a record without any
@given(seed=_SEEDS, torn=st.booleans())
def test_rows_and_exchanges(tmp_path_factory: Any, seed: int, torn: bool) -> None:
    path, records = _written(tmp_path_factory.mktemp("session"), seed, torn=torn)
    events = TableMaker().table(lines(records))
    assert _rows(rows_of(str(path), "events")) == _rows([events])
    exact = ExchangeAggregator()
    exact.add(events)
    expected = _rows([exact.take(last=True)])
    assert _rows(rows_of(str(path), "exchanges")) == expected
    assert _rows(tabulate(str(path), None, "exchanges").to_batches()) == expected


@settings(_SETTINGS, max_examples=12)
@given(seed=_SEEDS, torn=st.booleans(), size=st.sampled_from([1, 3_000, 1_000_000]))
def test_tables_that_sessions_are_converted_to(tmp_path_factory: Any, seed: int, torn: bool, size: int) -> None:
    folder = tmp_path_factory.mktemp("session")
    path, records = _written(folder, seed, torn=torn)
    expected, exact = TableMaker().table(lines(records)), ExchangeAggregator()
    exact.add(expected)
    with pytest.MonkeyPatch.context() as patch:
        # Blocks of a few lines: some are decoded to rows, others are read line by line.
        patch.setattr(reader, "CHUNK", size)
        patch.setattr(inputs, "LARGE_BLOCK", size)
        assert _rows(_converted(path, folder / "events.parquet", Table.events)) == _rows([expected])
        found = _rows(_converted(path, folder / "exchanges.parquet", Table.exchanges))
    assert found == _rows([exact.take(last=True)])


def _converted(path: Path, target: Path, table: Table) -> list[pa.RecordBatch]:
    named: dict[str, Any] = dict.fromkeys(FilterOptions.__dataclass_fields__)
    wish = FilterOptions(**{**named, "paths": [str(path)], "output": str(target), "table": table, "file_mode": 0o600})
    selection, sink = Selection([str(path)], None), open_table_sink(str(target), table=table)
    write_copy(wish, selection, sink)
    sink.close()
    return pq.read_table(target).to_batches()  # type: ignore[no-any-return]


def _rows(batches: Iterable[pa.RecordBatch]) -> list[Any]:
    """All rows. JSON columns have the text of the line, so their values are compared."""
    return [
        {key: orjson.loads(value) if value is not None and key in _JSON else value for key, value in row.items()}
        for batch in batches
        for row in batch.to_pylist()
    ]


@_SETTINGS
@given(seed=_SEEDS, torn=st.booleans(), expression=st.sampled_from(_EXPRESSIONS), single=st.booleans())
def test_selected_lines(tmp_path_factory: Any, seed: int, torn: bool, expression: str, single: bool) -> None:
    folder = tmp_path_factory.mktemp("session")
    path, records = _written(folder, seed, torn=torn)
    (folder / "plain.jsonl").write_bytes(lines(records))
    plan = parse(expression, records=single)
    expected, found = (
        [(line.unit, orjson.loads(line.raw)) for line in Selection([str(folder / name)], plan)]
        for name in ("plain.jsonl", "s.jsonl")
    )
    assert found == expected
    many = ManySelection([str(path), str(path)], plan, Skipped())
    assert [orjson.loads(line.raw) for line in many if not line.source] == [record for _, record in expected]
    written = set(path.read_bytes().splitlines())
    assert all(line.raw.rstrip(b"\n") in written for line in Selection([str(path)], plan)), "lines stay as they were"


@pytest.mark.parametrize("version", [2, 99])
def test_a_session_of_a_newer_mockrec_is_refused_by_every_way(tmp_path: Path, version: int) -> None:
    first, *others = random_session(1)
    path = tmp_path / "s.jsonl"
    path.write_bytes(lines([{**first, "schemaVersion": version}, *others]))

    def stats() -> None:
        selection = Selection([str(path)], None)
        add_session(Stats(), selection, None)

    ways: dict[str, Callable[[], Any]] = {
        "session": lambda: open_session(path),
        "stats": stats,
        "filter": lambda: list(Selection([str(path)], parse("status >= 500"))),
        "sql events": lambda: list(rows_of(str(path), "events")),
        "sql exchanges": lambda: list(rows_of(str(path), "exchanges")),
        "frame": lambda: tabulate(str(path), None, "exchanges"),
    }
    for name, way in ways.items():
        with pytest.raises(SessionError) as raised:
            way()
        assert "written by a newer mockrec" in str(raised.value), name
