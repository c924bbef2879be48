"""Which exchange a record belongs to, and the one rule for records that come late, in every format that has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from mockrec.formats.diff.digest import DigestBuilder
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import ExchangeAggregator
from mockrec.formats.schema import assembler
from mockrec.formats.schema.assembler import Assembler
from mockrec.formats.sessions.rows import rows_of

Record = dict[str, Any]
Ids = Callable[[list[Record]], list[str]]


def shown(records: list[Record]) -> list[str]:
    return [row.id for row in rows_of(enumerate(records))]


def compared(records: list[Record]) -> list[str]:
    with closing(ContentSpool()) as spool:
        return [digest.id for digest in DigestBuilder(spool, DiffOptions()).digests(enumerate(records))]


def in_parquet(records: list[Record]) -> list[str]:
    """Rows are taken after every record."""
    rows, maker, taken = ExchangeAggregator(), TableMaker(), []
    for record in records:
        rows.add(maker.table(encode_lines([record])))
        taken += rows.take().to_pylist()
    return [row["id"] for row in (*taken, *rows.take(last=True).to_pylist())]


EVERYWHERE = pytest.mark.parametrize("ids", [shown, compared, in_parquet])


@EVERYWHERE
@pytest.mark.parametrize("late", ["request", "request-body-data", "rule-event", "websocket-message-sent"])
def test_a_late_record_is_no_exchange(recording: Any, ids: Ids, late: str) -> None:
    recording.exchange("a")
    recording.add(late, "a")
    assert ids(recording.records) == ["a"]


@EVERYWHERE
def test_a_session_merged_with_itself_has_every_exchange_twice(recording: Any, ids: Ids) -> None:
    recording.exchange("a").exchange("b").exchange("a").exchange("b")
    assert ids(recording.records) == ["a", "b", "a", "b"]


def test_rows_that_are_not_taken_count_twice_as_well(recording: Any) -> None:
    recording.exchange("a").exchange("a")
    rows = ExchangeAggregator()
    rows.add(TableMaker().table(encode_lines(recording.records)))
    assert (rows.waiting, rows.open) == (2, 0)
    assert rows.take().num_rows == 2
    recording.add("rule-event", "a")
    rows.add(TableMaker().table(encode_lines(recording.records[-1:])))
    assert rows.take(last=True).num_rows == 0


def test_ids_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembler, "REMEMBERED", 2)
    exchanges = Assembler[int]()
    for identity in "abcde":
        exchanges.hand_on(identity)
    assert [exchanges.is_late("request", identity) for identity in "abcde"] == [False, False, True, True, True]
    assert not exchanges.is_late("request", "")


def test_what_is_left_comes_in_the_order_of_the_beginnings() -> None:
    exchanges = Assembler[int]()
    exchanges.current.update(a=1, b=2, c=3)
    exchanges.hand_on("b")
    assert exchanges.rest() == [1, 3]
    assert exchanges.rest() == []
