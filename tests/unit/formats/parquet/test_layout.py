"""Every key of every type has its place in the tables."""

from __future__ import annotations

from collections import Counter

import pytest

from mockrec.formats.parquet.layout import DERIVED, FROM_HEADERS, all_columns, columns_of, forbidden_keys, layout
from mockrec.formats.schema.codec import specs
from mockrec.formats.schema.events import EVENT_CLASSES


@pytest.mark.parametrize("kind", EVENT_CLASSES)
def test_every_key_has_a_column_or_follows_from_one(kind: str) -> None:
    keys = {spec.key for spec in specs(EVENT_CLASSES[kind])}
    assert {column.path[0] for column in columns_of(kind)} == keys - set(DERIVED)


@pytest.mark.parametrize("kind", EVENT_CLASSES)
def test_no_two_keys_of_a_type_share_a_column(kind: str) -> None:
    assert max(Counter(column.name for column in columns_of(kind)).values()) == 1


def test_scalars_keep_their_name() -> None:
    """`read_json(lines=True)` and `read_parquet` agree on them."""
    for kind in EVENT_CLASSES:
        for column in columns_of(kind):
            assert len(column.path) == 2 or column.name == column.path[0]


def test_a_type_of_a_later_version_may_fill_all_columns() -> None:
    assert columns_of("later") == tuple(all_columns().values())
    assert layout("later")["bodySize"].path == ("body", "size")


def test_columns_that_repeat_headers_have_names_of_their_own() -> None:
    assert not set(FROM_HEADERS) & set(all_columns())


@pytest.mark.parametrize(
    ("kind", "column", "path"),
    [
        ("response", "bodyBytes", ("body", "base64")),
        ("response-body-data", "bodySize", ("content", "size")),
        ("abort", "errorCode", ("error", "code")),
        ("client-error", "errorCode", ("errorCode",)),
        ("request", "startTime", ("timingEvents", "startTime")),
        ("session-started", "startTime", ("startTime",)),
        ("gap", "tlsSniHostname", ("tlsMetadata", "sniHostname")),
    ],
)
def test_where_a_columns_value_stands_in_a_record(kind: str, column: str, path: tuple[str, ...]) -> None:
    assert layout(kind)[column].path == path


def test_keys_that_want_the_column_of_another() -> None:
    assert set(forbidden_keys("client-error")) == {"error", "content", "startTime", "startTimestamp"}
    assert "timingEvents" in forbidden_keys("session-started")
    assert "body" in forbidden_keys("response-body-data")
