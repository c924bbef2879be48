"""Random sessions: what is computed a column at a time equals what is computed record by record."""

from __future__ import annotations

import pickle
from itertools import cycle
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from random_sessions import lines, random_session

from mockrec.cli.stats import summary
from mockrec.formats.analysis.notebook import tabulate
from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.analysis.stats_blocks import count, decode_records
from mockrec.formats.analysis.stats_columns import ColumnStats
from mockrec.formats.fleet.selection import ManySelection
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.statistics import add_sessions
from mockrec.formats.fleet.tables import rows_of
from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES, REPEATING
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_columns import ExchangeTable
from mockrec.formats.parquet.exchange_rows import COLUMNS, ExchangeAggregator
from mockrec.formats.parquet.files import new_writer
from mockrec.formats.parquet.line_tables import events, exchanges, from_stream
from mockrec.formats.parquet.lines import lines_of
from mockrec.formats.parquet.operation_names import EXCHANGE_LINES
from mockrec.formats.query.parser import parse
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.text.json import dump

_SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_EXPRESSIONS = (
    "status >= 500",
    "method == POST",
    "not status == 200",
    "duration > 3",
    "type == client-error",
    "host == x.test",
)


def _dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as a Parquet file gives it: repeating texts as dictionaries."""
    columns = [
        column.dictionary_encode() if name in REPEATING and column.type == pa.string() else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


@_SETTINGS
@given(st.integers(0, 2**32), st.sampled_from([1, 5, 20, 1000]), st.booleans())
def test_exchanges_equal_those_made_record_by_record(seed: int, size: int, encoded: bool) -> None:
    records = random_session(seed)
    exact, fast = ExchangeAggregator(), ExchangeTable(chunk_rows=size)
    maker = TableMaker()
    expected: list[Any] = []
    found: list[Any] = []
    for start in range(0, len(records), size):
        batch = maker.table(lines(records[start : start + size]))
        exact.add(batch)
        expected += exact.take().to_pylist()
        fast.add(_dictionaries(batch) if encoded else batch)
        if fast.waiting:
            found += [row for batch in fast.take() for row in batch.to_pylist()]
    expected += exact.take(last=True).to_pylist()
    for batch in fast.take(last=True):
        assert batch.schema == EXCHANGES
        found += batch.to_pylist()
    assert found == expected


def _exact_rows(records: list[Any]) -> list[Any]:
    exact = ExchangeAggregator()
    exact.add(TableMaker().table(lines(records)))
    return exact.take(last=True).to_pylist()  # type: ignore[no-any-return]


@_SETTINGS
@given(seed=st.integers(0, 2**32))
def test_exchanges_of_every_format_equal_those_made_record_by_record(tmp_path_factory: Any, seed: int) -> None:
    records = random_session(seed)
    folder = tmp_path_factory.mktemp("session")
    expected = _exact_rows(records)
    for name in ("s.jsonl", "s.parquet", "s.har", "data/"):
        path = f"{folder}/{name}"
        sink = open_sink(path)
        sink.write(lines(records))
        sink.close()
        assert tabulate(path, None, "exchanges").to_pylist() == expected, name
        assert [row for batch in rows_of(path, "exchanges") for row in batch.to_pylist()] == expected, name
    # Several row groups, which are read ahead, without a footer that says whether there are operations.
    batch = TableMaker().table(lines(records))
    with new_writer(f"{folder}/groups.parquet", "events") as writer:
        for start in range(0, batch.num_rows, 5):
            writer.write_batch(batch.slice(start, 5))
    assert tabulate(f"{folder}/groups.parquet", None, "exchanges").to_pylist() == expected
    # The recorder's, or that of a conversion.
    stored = pq.read_table(f"{folder}/data/exchanges/part-000001.parquet")
    assert stored.to_pylist() == expected


def test_rows_of_these_tests_have_operations_of_all_kinds() -> None:
    names = {row["operation"] for seed in range(60) for row in _exact_rows(random_session(seed))}
    assert names == {
        None,
        *("query Orders", "mutation Pay", "query {orders}", "subscription News"),
        *("rpc add", "chat m-1", "shop.Orders/Get"),
    }


@_SETTINGS
@given(st.integers(0, 2**32))
def test_columns_that_are_made_alone_are_those_of_the_whole_table(seed: int) -> None:
    data = lines(random_session(seed))
    some = TableMaker(COLUMNS).table(data)
    assert some.schema.names == list(COLUMNS)
    assert some.equals(TableMaker().table(data).select(COLUMNS))


def _one_by_one(data: bytes) -> bytes:
    stats = Stats()
    stats.add(SelectedLine(line, 0, 0) for line in data.splitlines())
    return dump(summary(stats))


@_SETTINGS
@example(39, 1000, False)  # an abort and a response took equally long
@given(st.integers(0, 2**32), st.sampled_from([1, 5, 1000]), st.booleans())
def test_statistics_of_columns_equal_those_of_lines(seed: int, size: int, encoded: bool) -> None:
    records = random_session(seed)
    maker, stats, data = TableMaker(), Stats(), b""
    columns = ColumnStats(stats)
    for start in range(0, len(records), size):
        batch = maker.table(lines(records[start : start + size]))
        data += lines_of(batch)
        columns.add(_dictionaries(batch) if encoded else batch)
    assert dump(summary(stats)) == _one_by_one(data)


@_SETTINGS
@example(seed=2318375)  # an empty timestamp
@given(seed=st.integers(0, 2**32))
@example(seed=114857)  # an empty timestamp
def test_statistics_of_blocks_equal_those_of_lines(tmp_path_factory: Any, seed: int) -> None:
    path = tmp_path_factory.mktemp("session") / "s.jsonl"
    path.write_bytes(lines(random_session(seed)))
    stats, selection = Stats(), Selection([str(path)], None)
    add_session(stats, selection, None)
    assert dump(summary(stats)) == _one_by_one(path.read_bytes())


@_SETTINGS
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_statistics_of_blocks_counted_elsewhere_equal_those_of_lines(seed: int, sizes: list[int]) -> None:
    records, stats, taken = random_session(seed), Stats(), b""
    for size in cycle(sizes):
        block, records = lines(records[:size]), records[size:]
        taken += block
        counted = decode_records(block) if (data := count(block)) == b"" else pickle.loads(data)
        if counted is None or stats.may_have_operations(b"") or not counted.add_to(stats):
            stats.add(SelectedLine(line, 0, 0) for line in block.splitlines())
        else:
            assert len(counted) == block.count(b"\n")
            assert counted[-1].type == orjson.loads(block.splitlines()[-1])["type"]
        if not records:
            break
    assert dump(summary(stats)) == _one_by_one(taken)


@_SETTINGS
@given(st.integers(0, 2**32))
def test_rows_made_elsewhere_equal_those_made_here(seed: int) -> None:
    data = lines(random_session(seed))
    assert from_stream(events(data), EVENTS).equals(TableMaker().table(data))
    expected, found = ExchangeTable(), ExchangeTable()
    expected.add(TableMaker().table(data))
    found.add(from_stream(exchanges(data), EXCHANGE_LINES))
    rows = [[row for batch in table.take(last=True) for row in batch.to_pylist()] for table in (expected, found)]
    assert rows[1] == rows[0]


def test_sessions_of_these_tests_have_operations_of_all_kinds() -> None:
    stats = Stats()
    for seed in range(60):
        stats.add(SelectedLine(line, 0, 0) for line in lines(random_session(seed)).splitlines())
    names = {name.rpartition(" ")[2] for _, name in stats.operations}
    assert {"Orders", "Pay", "add", "m-1", "shop.Orders/Get", "News"} <= names


@_SETTINGS
@given(seed=st.integers(0, 2**32))
def test_statistics_of_parquet_files_equal_those_of_lines(tmp_path_factory: Any, seed: int) -> None:
    folder = tmp_path_factory.mktemp("session")
    batch = TableMaker().table(lines(random_session(seed)))
    path = folder / "s.parquet"
    writer = new_writer(str(path), "events")
    for start in range(0, batch.num_rows, 5):
        writer.write_batch(batch.slice(start, 5))
    writer.close()
    # As mockrec writes it, the footer says whether there may be operations.
    written = folder / "written.parquet"
    sink = open_sink(str(written))
    sink.write(lines_of(batch))
    sink.close()
    for each in (path, written):
        stats, selection = Stats(), Selection([str(each)], None)
        add_session(stats, selection, None)
        selection.close()
        assert dump(summary(stats)) == _one_by_one(lines_of(batch)), each


@_SETTINGS
@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=6))
@example(seeds=[131, 131])  # a sum of more than 64 bits
def test_small_sessions_added_together_equal_those_added_one_by_one(tmp_path_factory: Any, seeds: list[int]) -> None:
    folder = tmp_path_factory.mktemp("sessions")
    paths: list[str] = []
    expected = Stats()
    for number, seed in enumerate(seeds):
        batch = TableMaker().table(lines(random_session(seed)))
        paths.append(str(folder / f"{number}.parquet"))
        with new_writer(paths[-1], "events") as writer:
            writer.write_batch(batch)
        expected.end_session()
        expected.add(SelectedLine(line, 0, 0) for line in lines_of(batch).splitlines())
    stats = Stats()
    readings = list(add_sessions(stats, paths, None, Skipped()))
    assert [reading.name for reading in readings] == paths
    assert dump(summary(stats)) == dump(summary(expected))


@_SETTINGS
@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=5), expression=st.sampled_from(_EXPRESSIONS))
def test_lines_taken_in_the_first_reading_are_those_of_a_second(
    tmp_path_factory: Any, seeds: list[int], expression: str
) -> None:
    folder = tmp_path_factory.mktemp("sessions")
    paths: list[str] = []
    for number, seed in enumerate(seeds):
        paths.append(str(folder / f"{number}.parquet"))
        with new_writer(paths[-1], "events") as writer:
            writer.write_batch(TableMaker().table(lines(random_session(seed))))
    plan = parse(expression)
    # With a limit, it is not known in the first reading which lines are selected.
    found, expected = (list(ManySelection(paths, plan, Skipped(), limit=limit)) for limit in (None, 1_000_000))
    assert found == expected
    assert len(found) >= len(paths)


@_SETTINGS
@given(seed=st.integers(0, 2**32), expression=st.sampled_from(_EXPRESSIONS), records=st.booleans())
@example(seed=0, expression="status >= 500", records=False)  # rules-reloaded with the id of an exchange
def test_lines_selected_from_columns_are_those_selected_from_lines(
    tmp_path_factory: Any, seed: int, expression: str, records: bool
) -> None:
    folder = tmp_path_factory.mktemp("session")
    data = lines_of(TableMaker().table(lines(random_session(seed))))
    (folder / "s.jsonl").write_bytes(data)
    with new_writer(str(folder / "s.parquet"), "events") as writer:
        writer.write_batch(TableMaker().table(data))
    plan = parse(expression, records=records)
    by_line, by_column = (
        [line.raw for line in Selection([str(folder / name)], plan)] for name in ("s.jsonl", "s.parquet")
    )
    assert by_column == by_line
