"""What fields may hold, one by one and as a list, and as text."""

from __future__ import annotations

import pytest
from hpack.struct import NeverIndexedHeaderTuple

from mockrec.engine.wire.http2.fields import (
    Fields,
    as_text,
    as_wire,
    declared_length,
    fields_fault,
    list_size,
    plain_fields,
    shown,
)

PSEUDO = frozenset((b":a", b":b"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (((b":b", b""), (b":a", b"1"), (b"x", b"\xe9\t \x80."), (b"x", b""), (b"te", b"Trailers")), ""),
        (((b":c", b""),), "does not belong here"),
        (((b":a", b""), (b":a", b"")), "repeated"),
        (((b"x", b""), (b":a", b"")), "out of order"),
        (((b"", b""),), "has the name"),
        (((b"X", b""),), "has the name"),
        (((b"a:", b""),), "has the name"),
        (((b"\xe9", b""),), "has the name"),
        (((b"x", b"\x7f"),), "control character 0x7F at position 1"),
        (((b"x", b"a "),), "begins or ends with a blank"),
        (((b"x", b"\ta"),), "begins or ends with a blank"),
        (((b"x", b"a\rb"),), "has the control character"),
        (((b":a", b"a\n"),), "has the control character"),
        (((b"te", b"gzip"),), "belongs to HTTP/1"),
        *(
            (((name, b"x"),), "belongs to HTTP/1")
            for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
        ),
    ],
)
def test_what_makes_a_list_malformed(fields: Fields, said: str) -> None:
    fault = fields_fault(fields, PSEUDO)
    assert said in fault and bool(said) is bool(fault)


def test_the_size_of_a_list() -> None:
    assert list_size(()) == 0
    assert list_size(((b"ab", b"cde"), (b"f", b""))) == 2 * 32 + 6


def test_as_text_and_back() -> None:
    assert as_text(((b"x", b"\xe9"),)) == [["x", "\xe9"]]
    assert as_wire([["x", "\xe9"]]) == ((b"x", b"\xe9"),)
    with pytest.raises(ValueError):
        as_wire([["x", "\u20ac"]])


@pytest.mark.parametrize(
    ("name", "value", "kept_out"),
    [
        ("authorization", "x" * 50, True),
        ("proxy-authorization", "x", True),
        ("cookie", "x" * 19, True),
        ("cookie", "x" * 20, False),
        ("set-cookie", "x", False),
    ],
)
def test_what_can_be_guessed_at_stays_out_of_the_table(name: str, value: str, kept_out: bool) -> None:
    (pair,) = as_wire([[name, value]])
    assert isinstance(pair, NeverIndexedHeaderTuple) is kept_out


def test_fields_of_http_1() -> None:
    headers = [("X-A", " 1\t"), ("Connection", "x"), ("TE", "gzip"), ("te", "trailers"), ("Upgrade", "h2c")]
    assert plain_fields(headers) == [["x-a", "1"], ["te", "trailers"]]
    for name, value in (("a b", ""), ("", ""), (":path", "/"), ("a", "b\n"), ("a", "\0"), ("\u212a", "")):
        with pytest.raises(ValueError, match="no head can hold"):
            plain_fields([(name, value)])


@pytest.mark.parametrize(
    ("values", "allowed", "length"),
    [
        ([], 1, -1),
        ([b"0"], 1, 0),
        ([b"12"], 1, 12),
        ([b"12", b"12"], 2, 12),
        ([b"12", b"12"], 1, None),
        ([b"12", b"13"], 2, None),
        ([b"+1"], 1, None),
        ([b"1" * 20], 1, None),
        ([b""], 1, None),
    ],
)
def test_declared_lengths(values: list[bytes], allowed: int, length: int | None) -> None:
    found = declared_length(tuple((b"content-length", value) for value in values), allowed)
    assert found == length if length is not None else isinstance(found, str) and "content-length is" in found


def test_the_first_fields_are_shown() -> None:
    fields = ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    assert [len(shown(fields, limit)) for limit in (0, 33, 34, 67, 68, 101, 102)] == [0, 0, 1, 1, 2, 2, 3]
    assert shown(fields, 70) == [["a", "1"], ["b", "2"]]
