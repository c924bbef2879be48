"""The vocabulary of the wire: the header table that everybody reads."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.parts import ResponseHead, header_table


@pytest.mark.parametrize(
    ("raw", "table"),
    [
        ([], {}),
        ([["X-A", "1"]], {"x-a": "1"}),
        ([["X-A", "1"], ["b", ""], ["x-a", "2"], ["X-a", ""]], {"x-a": "1, 2, ", "b": ""}),
        ([["Cookie", "a=1"], ["COOKIE", "b=2"]], {"cookie": "a=1; b=2"}),
        ([["Set-Cookie", "a=1"]], {"set-cookie": ["a=1"]}),
        ([["Set-Cookie", "a=1"], ["x", "y"], ["set-cookie", "b=2, c"]], {"set-cookie": ["a=1", "b=2, c"], "x": "y"}),
    ],
)
def test_repeated_fields_are_joined_as_their_kind_allows(raw: list[list[str]], table: dict[str, object]) -> None:
    assert header_table(raw) == table


def test_the_table_keeps_the_order_of_first_appearance() -> None:
    assert list(header_table([["B", "1"], ["A", "2"], ["b", "3"]])) == ["b", "a"]


def test_a_table_shares_nothing_with_the_raw_fields() -> None:
    raw = [["Set-Cookie", "a=1"]]
    header_table(raw)["set-cookie"].append("b=2")
    assert raw == [["Set-Cookie", "a=1"]]


def test_response_heads_are_equal_whatever_form_a_codec_keeps() -> None:
    assert ResponseHead(200, "OK", [], {}, wire=b"x") == ResponseHead(200, "OK", [], {})
    assert ResponseHead(200, "OK", [], {}) != ResponseHead(201, "OK", [], {})
