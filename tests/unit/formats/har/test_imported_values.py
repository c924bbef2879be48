"""Dates, sizes and URLs of other tools, in all their forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.har.imported_repairs import EntryRepairs
from mockrec.formats.har.imported_values import moment_of, size_of, url_of

NEW_YEAR = 1767225600000.0


@pytest.mark.parametrize(
    ("given", "moment", "odd"),
    [
        ("2026-01-01T00:00:00.000Z", NEW_YEAR, None),
        ("2026-01-01T01:00:00.000+01:00", NEW_YEAR, None),
        ("2026-01-01T00:00:00.1234567Z", NEW_YEAR + 123.456, None),
        ("2026-01-01T00:00:00z", NEW_YEAR, None),
        ("2026-01-01T00:00:00", NEW_YEAR, "no-zone"),
        ("2026-01-01 00:00:00 +0000", NEW_YEAR, None),
        ("2026-01-01 01:00:00.5 +0100 CET m=+0.1", NEW_YEAR + 500, None),
        (1767225600, NEW_YEAR, "date-form"),
        (1767225600.5, NEW_YEAR + 500, "date-form"),
        (1767225600000, NEW_YEAR, "date-form"),
        (1767225600000000, NEW_YEAR, "date-form"),
        (1767225600000000000, NEW_YEAR, "date-form"),
        ("2026/01/01 00:00:00Z", NEW_YEAR, "date-form"),
        ("1767225600", NEW_YEAR, "date-form"),
        ("1712011530500", 1712011530500.0, "date-form"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", NEW_YEAR, "date-form"),
        ("Thursday, 01-Jan-26 00:00:00 GMT", NEW_YEAR, "date-form"),
        ("Thu Jan 01 2026 01:00:00 GMT+0100 (Central European Standard Time)", NEW_YEAR, "date-form"),
        ("/Date(1767225600000)/", NEW_YEAR, "date-form"),
    ],
)
def test_dates(given: Any, moment: float, odd: str | None) -> None:
    repairs = EntryRepairs("entries[0]")
    assert moment_of(given, repairs) == moment
    assert [kind for _, kind in repairs.found] == ([odd] if odd else [])


@pytest.mark.parametrize("given", [None, True, 5, -1, 1e300, "", "Jan", "soon", "1/2/2026 3:04:05 PM", [], "9" * 30])
def test_invalid_dates(given: Any) -> None:
    with pytest.raises(ValueError, match="startedDateTime is no date"):
        moment_of(given)


@pytest.mark.parametrize(
    ("given", "size"),
    [(0, 0), (5.0, 5), ("5", 5), (9007199254740992.0, None), (-1, None), (None, None), ("x", None), (True, None), (float("inf"), None), (1.5, 1)],
)  # fmt: skip
def test_sizes(given: Any, size: int | None) -> None:
    assert size_of(given) == size


@pytest.mark.parametrize(
    ("request_", "url", "odd"),
    [
        ({"url": "http://a.test/x?y=1#z"}, "http://a.test/x?y=1", []),
        ({"url": "http://a.test/items/{id}?f={\"a\":1}"}, "http://a.test/items/%7Bid%7D?f={%22a%22:1}", ["url-form"]),
        ({"url": "http://a.test/a b/ü?q=ü x"}, "http://a.test/a%20b/%C3%BC?q=%C3%BC%20x", ["url-form"]),
        ({"url": "http://a.test/%7e%zz"}, "http://a.test/%7e%zz", []),
        ({"url": "\0\ufeffhttp://a.test/x\x1f"}, "http://a.test/x", ["url-form"]),
        ({"url": " HTTP://A.test/ "}, "http://a.test/", ["url-form"]),
        ({"url": "http://bücher.test/"}, "http://xn--bcher-kva.test/", ["url-form"]),
        ({"url": "https://faß.test/"}, "https://xn--fa-hia.test/", ["url-form"]),
        ({"url": "http://ｅxample.test/"}, "http://example.test/", ["url-form"]),
        ({"url": "http://a.test/v1/../v2/./x/.."}, "http://a.test/v2/", ["url-form"]),
        ({"url": "http://a.test/v1/%2E%2e/v2?back=/x/../y"}, "http://a.test/v2?back=/x/../y", ["url-form"]),
        ({"url": "https://a.test:443/x"}, "https://a.test/x", ["url-form"]),
        ({"url": "http://a.test:0443/x"}, "http://a.test:443/x", ["url-form"]),
        ({"url": "http://a.test:/x?"}, "http://a.test/x?", ["url-form"]),
        ({"url": "http://a.test?x=1"}, "http://a.test/?x=1", ["url-form"]),
        ({"url": "http://[2001:DB8:0:0::1]:81/"}, "http://[2001:db8::1]:81/", ["url-form"]),
        ({"url": "http://a.test/\r\nx"}, "http://a.test/%0D%0Ax", ["url-form"]),
        ({"url": "http://a.test/x", "queryString": [{"name": "q", "value": "a b"}]}, "http://a.test/x?q=a+b", ["query-list"]),
        ({"url": "http://a.test/x?q=1", "queryString": [{"name": "q", "value": "1"}]}, "http://a.test/x?q=1", []),
    ],
)  # fmt: skip
def test_urls(request_: Any, url: str, odd: list[str]) -> None:
    repairs = EntryRepairs("entries[0]")
    assert url_of(request_, repairs)[0] == url
    assert [kind for _, kind in repairs.found] == odd


def test_a_target_is_kept_as_it_was_sent(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    """The recorder does the same: clients that do not resolve dot segments send them."""
    result = read(entry(request={"url": "http://a.test/v1/../v2/ü?"}))
    record = result.one("request")
    assert record["url"] == "http://a.test/v2/%C3%BC?"
    assert record["path"] == "/v1/../v2/%C3%BC?"


@pytest.mark.parametrize(
    "url",
    [
        "https://{{base}}/x",
        "http://a.test:70000/",
        "http://[::1%25eth0]/",
        "http://℀.test/",
        "http://a b/",
        "http:///x",
        "http://ü.ü." + "ü" * 300,
        "x",
    ],
)
def test_what_is_no_url(url: str, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    result = read(entry(request={"url": url}))
    assert result.problems == [f"entries[0] is left out: request.url is no HTTP URL: {url[:60]!r}"]


def test_methods(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    result = read(entry(request={"method": " PURGE\n"}), entry(request={"method": "GET /x"}))
    assert result.one("request")["method"] == "PURGE"
    assert result.odd == ["method-form"]
    assert result.problems == ["entries[1] is left out: request.method is no method: 'GET /x'"]


def test_times_as_texts_and_numbers_that_are_not_finite(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    result = read(entry(time="30", timings={"send": "4", "wait": float("nan"), "receive": None}))
    assert result.problems == []
    assert result.one("response")["duration"] == 30


def test_entries_without_a_date_stay_where_they_are(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    """The examples of har-to-k6 are like this."""
    none = entry(startedDateTime=None, request={"url": "http://two.test/"})
    del none["startedDateTime"]
    result = read(entry(), none, entry(startedDateTime=None, request={"url": "http://three.test/"}))
    starts = [record["timestamp"][:19] for record in result.records if record["type"] == "request"]
    assert starts == ["2026-11-20T09:15:30"] * 3
    assert result.problems == []
    assert len(result.notes) == 1


@pytest.mark.parametrize(
    ("url", "headers", "whole"),
    [
        ("/x?y=1", [["Host", "a.test:81"]], "http://a.test:81/x?y=1"),
        ("/x", [[":authority", "a.test"], [":scheme", "https"]], "https://a.test/x"),
        ("//b.test/x", [["Host", "a.test"]], "http://b.test/x"),
    ],
)
def test_relative_urls(url: str, headers: list[list[str]], whole: str) -> None:
    repairs = EntryRepairs("entries[0]")
    assert url_of({"url": url}, repairs, headers)[0] == whole
    assert [kind for _, kind in repairs.found] == ["relative-url"]


@pytest.mark.parametrize(
    ("given", "version", "odd"),
    [
        ("h3-29", "3.0", []),
        ("http/2+quic/46", "3.0", []),
        ("h2c", "2.0", []),
        (" HTTP/2 ", "2.0", []),
        ("", "1.1", []),
        (None, "1.1", []),
        (2, "1.1", []),
        ("SPDY/3.1", "1.1", ["version"]),
        ("unknown", "1.1", ["version"]),
    ],
)
def test_versions(
    given: Any, version: str, odd: list[str], entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    made = read(entry(request={"httpVersion": given}))
    assert (made.one("request")["httpVersion"], made.odd) == (version, odd)
