"""Arrow arrays from Python values and back, without NumPy."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from mockrec.formats.parquet import arrays

NUMBERS: dict[Any, list[Any]] = {
    pa.int8(): [-128, 0, 127],
    pa.uint8(): [0, 1, 255],
    pa.int16(): [-32768, 0, 32767],
    pa.uint16(): [0, 1, 65535],
    pa.int32(): [-(2**31), 0, 2**31 - 1],
    pa.uint32(): [0, 1, 2**32 - 1],
    pa.int64(): [-(2**63), 0, 2**63 - 1],
    pa.uint64(): [0, 1, 2**64 - 1],
    pa.float32(): [-0.5, 0.0, 2.0**100],
    pa.float64(): [-0.1, 0.0, 1e300],
    pa.bool_(): [True, False, True],
}


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_numbers_and_flags_come_back(kind: pa.DataType) -> None:
    values = NUMBERS[kind]
    assert arrays.plain(pa.array(values, kind)) == values
    assert list(map(type, arrays.plain(pa.array(values, kind)))) == list(map(type, values))


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_a_part_of_an_array_gives_its_own_values(kind: pa.DataType) -> None:
    values = NUMBERS[kind] * 7  # flags are bits: more than a byte of them
    whole = pa.array(values, kind)
    for start, end in ((0, 21), (1, 21), (3, 11), (8, 9), (9, 9), (21, 21)):
        assert arrays.plain(whole[start:end]) == values[start:end]


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_there_is_a_value_where_null_is(kind: pa.DataType) -> None:
    first, second, third = NUMBERS[kind]
    found = arrays.plain(pa.array([first, None, second, None, third], kind))
    assert found[::2] == [first, second, third]
    assert len(found) == 5


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.int64()), pa.timestamp("us"), pa.null()], ids=str)
def test_other_types_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="expected numbers or flags"):
        arrays.plain(pa.array([None], kind))


def test_what_is_made_is_what_pyarrow_makes() -> None:
    assert arrays.texts(["", "a", "ü\x00"]).equals(pa.array(["", "a", "ü\x00"]))
    assert arrays.integers([1, -(2**63)]).equals(pa.array([1, -(2**63)]))
    assert arrays.flags([True, False]).equals(pa.array([True, False]))
    assert [value.as_py() for value in (arrays.text("x"), arrays.integer(7), arrays.number(0.5), arrays.flag(True))] == [
        "x", 7, 0.5, True,
    ]  # fmt: skip
