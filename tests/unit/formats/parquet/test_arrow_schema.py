"""The tables' schemas: what other tools and older files rely on."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mockrec.formats.parquet.arrow_schema import EVENTS, EXCHANGES, JSON, PAIRS, REPEATING, SCHEMAS, TIME, footer
from mockrec.formats.parquet.layout import all_columns


def test_the_events_table_has_every_column_once() -> None:
    assert len(set(EVENTS.names)) == len(EVENTS.names)
    assert set(all_columns()) < set(EVENTS.names)


def test_every_column_may_be_null() -> None:
    """Or columns could not be added later."""
    assert all(field.nullable for schema in SCHEMAS.values() for field in schema)


def test_types_that_readers_rely_on() -> None:
    wanted = {
        "seq": pa.int64(),
        "timestamp": TIME,
        "statusCode": pa.int16(),
        "remotePort": pa.int32(),
        "duration": pa.float64(),
        "rawHeaders": PAIRS,
        "bodyText": pa.string(),
        "bodyBytes": pa.binary(),
        "eventData": JSON,
        "extra": JSON,
        "isEnded": pa.bool_(),
    }
    assert {name: EVENTS.field(name).type for name in wanted} == wanted


def test_what_both_tables_have_has_one_type() -> None:
    shared = [name for name in EXCHANGES.names if name in EVENTS.names]
    assert "statusCode" in shared
    assert [EXCHANGES.field(name).type for name in shared] == [EVENTS.field(name).type for name in shared]


@pytest.mark.parametrize("name", sorted(REPEATING))
def test_dictionaries_are_for_columns_that_exist(name: str) -> None:
    assert any(name.split(".")[0] in schema.names for schema in SCHEMAS.values())


def test_the_footer_says_what_is_in_the_file() -> None:
    said = footer("events", session="0189", seqFirst=0, seqLast=None)
    assert said["mockrec.schema"] == "1"
    assert said["mockrec.table"] == "events"
    assert said["mockrec.session"] == "0189"
    assert said["mockrec.writer"].startswith("mockrec ")
    assert "mockrec.seqLast" not in said
