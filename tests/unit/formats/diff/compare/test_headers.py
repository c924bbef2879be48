"""Header fields by class, and cookies by attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.compare.headers import compare as compare_headers
from mockrec.formats.diff.compare.headers import for_key, media_type
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.result import Result

DATE = "Mon, 05 Jan 2026 09:00:00 GMT"
LATER = "Tue, 06 Jan 2026 09:00:00 GMT"


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"x-build": "1"}, {"x-build": "2"}, [("changed", "response.header:x-build")]),
        ({"x-build": "1"}, {}, [("changed", "response.header:x-build")]),
        ({}, {"x-build": "1"}, [("changed", "response.header:x-build")]),
        ({"connection": "close", "content-length": "1"}, {"transfer-encoding": "chunked"}, []),
        ({"date": DATE, "etag": "a", "x-request-id": "1"}, {"date": LATER, "etag": "b", "x-request-id": "2"}, []),
        ({"date": DATE}, {"date": "yesterday"}, [("changed", "response.header:date")]),
        ({"etag": "a"}, {}, [("changed", "response.header:etag")]),
        ({"age": "1"}, {}, [("info", "response.header:age")]),
        ({"strict-transport-security": "max-age=1"}, {}, [("breaking", "response.header:strict-transport-security")]),
        ({}, {"x-frame-options": "DENY"}, [("changed", "response.header:x-frame-options")]),
        ({"x-frame-options": "DENY"}, {"x-frame-options": "x"}, [("breaking", "response.header:x-frame-options")]),
        (
            {"content-security-policy": "script-src 'nonce-abc'"},
            {"content-security-policy": "script-src 'nonce-xyz'"},
            [],
        ),
        ({"content-type": "a/b; x=1"}, {"content-type": "A/B; x=2"}, [("changed", "response.header:content-type")]),
        ({"content-type": "a/b"}, {"content-type": "a/c"}, [("breaking", "response.header:content-type")]),
        ({"content-type": "multipart/x; boundary=1"}, {"content-type": "multipart/x; boundary=2"}, []),
        ({"location": f"/x/{'a' * 32}"}, {"location": f"/x/{'b' * 32}"}, []),
    ],
)
def test_classes(values: ValueComparer, a: dict[str, str], b: dict[str, str], found: list[tuple[str, str]]) -> None:
    differences = [(str(finding.severity), finding.path) for finding in compare_headers(a, b, values, "response")]
    assert differences == found


def test_strict_compares_volatile_fields(strict: ValueComparer) -> None:
    (finding,) = compare_headers({"etag": "a"}, {"etag": "b"}, strict, "response")
    assert finding.path == "response.header:etag"


def test_the_fields_of_a_key() -> None:
    fields = {"date": DATE, "etag": "a", "x-build": "1", "connection": "close"}
    assert for_key(fields, strict=False) == {"date": "", "etag": "", "x-build": "1"}
    assert for_key(fields, strict=True) == {"date": DATE, "etag": "a", "x-build": "1"}
    assert for_key({"date": "yesterday"}, strict=False) == {"date": "yesterday"}


def test_media_types() -> None:
    assert media_type("Text/HTML ; charset=utf-8") == "text/html"


@pytest.fixture
def cookies(make: Any, compare: Callable[..., Result]) -> Callable[..., list[tuple[str, str]]]:
    """Return the differences between responses that set these cookies at these dates."""

    def found(a: list[str], b: list[str], dates: tuple[str, str] = (DATE, LATER)) -> list[tuple[str, str]]:
        exchanges = [
            [make.exchange(headers={"set-cookie": lines, "date": date})]
            for lines, date in zip((a, b), dates, strict=True)
        ]
        result = compare(*exchanges)
        return [(str(one.finding.severity), one.finding.path) for one in result.differences]

    return found


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (["a=1; Path=/"], ["a=1; Path=/"], []),
        (["a=1"], ["a=2"], [("changed", "response.cookie:a")]),
        (["a=1; Path=/; Secure"], ["a=1; Path=/x"], [("changed", "response.cookie:a (path)"), ("breaking", "response.cookie:a (secure)")]),
        (["a=1"], ["b=1"], [("breaking", "response.cookie:a"), ("changed", "response.cookie:b")]),
        (["s=dGhpcyBpcyA0Mg9x7"], ["s=b3RoZXIgb25lIDQzMg"], []),
        (["a=1; SameSite=Lax"], ["a=1; SameSite=lax"], []),
        # an hour after each response
        ([f"a=1; Expires={DATE.replace('09:', '10:')}"], [f"a=1; Expires={LATER.replace('09:', '10:')}"], []),
        ([f"a=1; Expires={DATE.replace('09:', '10:')}"], [f"a=1; Expires={LATER.replace('09:', '12:')}"], [("changed", "response.cookie:a (expires)")]),
        (["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], ["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], []),
        (["a=1; Max-Age=10"], ["a=1; Max-Age=20"], [("changed", "response.cookie:a (max-age)")]),
    ],
)  # fmt: skip
def test_cookies(cookies: Any, a: list[str], b: list[str], found: list[tuple[str, str]]) -> None:
    assert cookies(a, b) == found


def test_cookies_of_requests(make: Any, compare: Callable[..., Result]) -> None:
    a, b = ([make.exchange(sent_headers={"cookie": line})] for line in ("a=1; b=2", "a=2; c=3"))
    result = compare(a, b, requests=True)
    assert [one.finding.path for one in result.differences] == [f"request.cookie:{name}" for name in "abc"]
