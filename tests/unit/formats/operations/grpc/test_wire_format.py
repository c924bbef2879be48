"""Protobuf without a schema: values by their wire types, and bytes that are no protobuf."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.operations.grpc import wire_format
from mockrec.formats.operations.grpc.wire_format import (
    DEEPEST,
    WireError,
    decode_fields,
    encode_fields,
    has_numbers,
    write_varint,
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", {}),
        (b"\x08\x96\x01", {"1": 150}),
        (b"\x12\x07testing", {"2": "testing"}),
        (b"\x1a\x03\x08\x96\x01", {"3": {"1": 150}}),
        (b"\x09" + b"\x01" + bytes(7), {"1": {"fixed64": 1}}),
        (b"\x0d\x02\0\0\0", {"1": {"fixed32": 2}}),
        (b"\x08\x01\x08\x02\x08\x03", {"1": [1, 2, 3]}),
        (b"\x10\x02\x08\x01", {"1": 1, "2": 2}),
        (b"\x0a\x00", {"1": ""}),
        (b"\x0a\x02\xff\x01", {"1": {"bytes": "/wE="}}),
        (b"\x0b\x08\x05\x0c", {"1": {"group": {"1": 5}}}),
        (b"\x08" + b"\xff" * 9 + b"\x01", {"1": 2**64 - 1}),
        (b"\x0a\x03\xe2\x82\xac", {"1": "€"}),
    ],
)
def test_fields_are_decoded_by_wire_type(data: bytes, value: dict[str, Any]) -> None:
    assert decode_fields(data) == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x08", "the number at byte 1 is cut"),
        (b"\x08" + b"\x80" * 10, "more than 10 bytes"),
        (b"\x0a\x05abc", "the value at byte 2 is cut: 3 of 5 bytes"),
        (b"\x0a" + b"\xff" * 4 + b"\x7f", "is cut"),
        (b"\x00\x01", "has the number 0"),
        (b"\x0f\x01", "has the wire type 7"),
        (b"\x0c", "has no beginning"),
        (b"\x0b\x08\x01", "has no end"),
        (b"\x0b\x14", "is of field 2, which is not the open group"),
    ],
)
def test_a_fault_names_its_byte(data: bytes, problem: str) -> None:
    with pytest.raises(WireError, match=problem):
        decode_fields(data)


def nested(levels: int) -> bytes:
    data = b"\x08\x01"
    for _ in range(levels):
        data = b"\x0a" + write_varint(len(data)) + data
    return data


def test_deep_messages_end_in_bytes() -> None:
    value: Any = decode_fields(nested(5000))
    levels = 0
    while "1" in value and isinstance(value["1"], dict):
        value, levels = value["1"], levels + 1
    assert levels == DEEPEST
    assert "bytes" in value


def test_deep_groups_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    original = wire_format.read_varint

    def counted(data: bytes, position: int) -> tuple[int, int]:
        nonlocal read
        read += 1
        return original(data, position)

    monkeypatch.setattr(wire_format, "read_varint", counted)
    with pytest.raises(WireError, match="levels"):
        decode_fields(b"\x0b" * 50_000)
    assert read < 100


def test_many_fields_are_refused() -> None:
    with pytest.raises(WireError, match="more than 100000 fields"):
        decode_fields(b"\x08\x01" * 100_001)


def test_messages_by_number_are_encoded() -> None:
    value = {1: "x1", 2: 3, 3: {1: "in"}, 4: [1, 2], 5: True, 6: {"bytes": "/wE="}, 7: -1, 8: {"fixed32": 7}}
    data = encode_fields(value)
    assert decode_fields(data) == {
        "1": "x1",
        "2": 3,
        "3": {"1": "in"},
        "4": [1, 2],
        "5": 1,
        "6": {"bytes": "/wE="},
        "7": 2**64 - 1,
        "8": {"fixed32": 7},
    }
    assert decode_fields(encode_fields({1: 1.5})) == {"1": {"fixed64": 0x3FF8000000000000}}
    assert has_numbers(value)
    assert not has_numbers({"sku": 1})
    assert not has_numbers({})


@pytest.mark.parametrize("value", [{"a": 1}, {0: 1}, {1: None}, {1: 2**64}, {2**29: 1}])
def test_what_is_no_message_is_refused(value: dict[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|no value|64 bits"):
        encode_fields(value)
