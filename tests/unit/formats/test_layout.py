"""Every key of every type has its place in the tables."""

from __future__ import annotations

from collections import Counter

import pytest

from mockrec.formats.events import EVENT_CLASSES
from mockrec.formats.layout import DERIVED, FROM_HEADERS, all_columns, column_for, columns_of, object_keys
from mockrec.formats.shapes import specs


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
    assert column_for("body.size") in columns_of("later")


def test_columns_that_repeat_headers_have_names_of_their_own() -> None:
    assert not set(FROM_HEADERS) & set(all_columns())


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("statusCode", "statusCode"),
        ("error.code", "errorCode"),
        ("errorCode", "errorCode"),
        ("body.base64", "bodyBytes"),
        ("content.size", "bodySize"),
        ("tlsMetadata.sniHostname", "tlsSniHostname"),
        ("timingEvents.startTime", "startTime"),
        ("startTime", "startTime"),
        ("eventData", "eventData"),
    ],
)
def test_fields_by_their_dotted_name(path: str, column: str) -> None:
    found = column_for(path)
    assert found is not None
    assert found.name == column


@pytest.mark.parametrize("path", ["headers", "eventData.status", "nothing", "body"])
def test_what_has_no_column_of_its_own(path: str) -> None:
    assert column_for(path) is None


def test_objects_that_are_laid_flat() -> None:
    assert set(object_keys()) == {"timingEvents", "destination", "tlsMetadata", "error", "body", "content"}
    assert {column.path[1] for column in object_keys()["destination"]} == {"hostname", "port"}
