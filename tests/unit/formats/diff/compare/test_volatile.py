"""Volatile values: how they are recognised, and the masked text."""

from __future__ import annotations

import base64
import json

import pytest

from mockrec.formats.diff.compare.volatile import Window, fits_mark, looks_like_token, mask, mask_marks

WINDOW = Window.around(1_767_600_000.0)


def token(**claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{part}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("550e8400-e29b-41d4-a716-446655440000", "<uuid>"),
        ("/users/550E8400-E29B-41D4-A716-446655440000/x", "/users/<uuid>/x"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "<ulid>"),
        ("2026-01-05T09:00:00Z", "<time>"),
        ("2026-01-05 09:00:00.123456+02:00", "<time>"),
        ("Mon, 05 Jan 2026 09:00:00 GMT", "<date>"),
        ('"d41d8cd98f00b204e9800998ecf8427e"', '"<hex>"'),
        ("A" * 64, "<hex>"),
        ("1767600123", "<epoch/1>"),
        ("1767600123456", "<epoch/1000>"),
        ("1767600123.25", "<epoch/1>"),
    ],
)
def test_volatile_values(text: str, masked: str) -> None:
    assert mask(text, WINDOW) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada",
        "2026-01-05",  # a day may be a birthday
        "1234567890",  # far from the recording
        "1767600123x",
        "x550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427",  # 31 digits
        "Monday, the fifth",
        "MTWFS",
    ],
)
def test_values_that_are_not_volatile(text: str) -> None:
    assert mask(text, WINDOW) == text


def test_claims_of_a_token_count_but_for_those_that_change() -> None:
    assert mask(token(sub="ada", iat=1), WINDOW) == mask(token(sub="ada", iat=2), WINDOW)
    assert mask(token(sub="ada"), WINDOW) != mask(token(sub="bob"), WINDOW)
    assert mask("eyJhbGciOiJIUzI1NiJ9.bm90anNvbg.", WINDOW) == "<jwt>"
    assert mask("eyJhbGciOiJIUzI1NiJ9.W10_AAAA.x", WINDOW) == "<jwt>"
    assert mask("eyJhbGciOiJIUzI1NiJ9.WzEsMl0.x", WINDOW) == "<jwt>"  # no object


def test_without_a_start_every_time_of_the_century_is_one() -> None:
    assert mask("1234567890", Window.around(None)) == "<epoch/1>"


def test_units_of_times() -> None:
    assert [WINDOW.unit(1_767_600_000.0 * scale) for scale in (1, 1e3, 1e6, 1e9, 1e12)] == [1, 1e3, 1e6, 1e9, 0]


def test_redaction_marks() -> None:
    assert mask_marks("Bearer redacted-0badcafe!") == "Bearer <redacted>!"
    assert mask_marks("nothing") == "nothing"
    assert fits_mark("Bearer redacted-0badcafe", "Bearer secret")
    assert fits_mark("a=redacted-0badcafe;b=redacted-0badcaff", "a=1;b=2\n3")
    assert not fits_mark("Bearer redacted-0badcafe", "Basic secret")
    assert not fits_mark("a redacted-0badcafe b redacted-0badcafe", "a x c y")
    assert not fits_mark("a=redacted-0badcafe;", "a=;")
    assert not fits_mark("redacted-0badcafe!", "secret")
    marks = "x redacted-0badcafe " * 2000
    assert not fits_mark(marks, "x y " * 1999 + "z")  # without backtracking


def test_values_that_look_like_tokens() -> None:
    assert looks_like_token("dGhpcyBpcyA0Mg.x-y_z")
    assert not looks_like_token("short1")
    assert not looks_like_token("only-letters-in-this-one")
    assert not looks_like_token("two words 123456789012")
