"""JSON without loss."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mockrec.formats.diff.compare.documents import dump, parse, path_of, plain, type_name


def test_numbers_are_exact() -> None:
    assert parse("123456789012345678901234567890") == 123456789012345678901234567890
    assert parse("0.1") == Decimal("0.1")
    assert parse("1" * 5000) == Decimal("1" * 5000)
    assert plain(parse("0.1")) == 0.1
    assert plain(parse("0.12345678901234567890123")) == "0.12345678901234567890123"


def test_repeated_keys_are_kept() -> None:
    assert parse('{"a": 1, "a": 2, "b": 3, "a": 4}') == {"a": 1, ("a", 2): 2, "b": 3, ("a", 3): 4}


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "[" * 100_000, "nope", "1e9999999999999999999"])
def test_invalid_json(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_paths() -> None:
    assert path_of(("items", 3, "odd name", "it's", ("a", 2))) == "$.items[3]['odd name']['it\\'s'].a(2)"
    assert path_of(()) == "$"


def test_values_as_text() -> None:
    assert dump({"a": [Decimal("1.5"), None, "ü"], ("a", 2): True}) == '{"a": [1.5, null, "ü"], "a": true}'
    assert dump(["ü", Decimal("2")]) == '["ü", 2.0]'


def test_types() -> None:
    found = [type_name(value) for value in (None, True, 1, Decimal(1), "", [], {})]
    assert found == ["null", "boolean", "number", "number", "string", "array", "object"]
