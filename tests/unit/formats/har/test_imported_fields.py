"""Header fields of other tools: repairs, losses, and that all other fields are valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.wire.http1.written_heads import field_lines, head_bytes
from mockrec.formats.har.imported_fields import FieldReader
from mockrec.formats.har.imported_repairs import LOST, MISSING, REPAIRED, EntryRepairs, Repairs

Pairs = list[list[str]]


def fields(
    headers: Any, *, side: str = "response", method: str = "GET", cookies: Any = None
) -> tuple[Pairs, list[str]]:
    """Return the fields, and the kinds of repairs and (with a minus) of losses."""
    repairs = EntryRepairs("entries[0]")
    read = FieldReader(repairs, side, method).read(headers, f"{side}.headers", cookies)
    assert field_lines([pair for pair in read if not pair[0].startswith(":")])
    return read, [f"-{kind}" if lost else kind for lost, kind in repairs.found]


def header(name: Any, value: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value}]


@pytest.mark.parametrize(
    ("name", "value", "expected", "odd"),
    [
        # chrome-har, Firefox before 2020, browser-har and others join fields with a line feed; puppeteer with a blank after it
        ("Set-Cookie", "a=1; path=/\nb=2; path=/", ["a=1; path=/", "b=2; path=/"], ["split-field"]),
        ("set-cookie", "a=1\n b=2", ["a=1", "b=2"], ["split-field"]),
        ("Set-Cookie", "a=1\r\nb=2\r\n", ["a=1", "b=2"], ["split-field"]),
        ("Set-Cookie", "a=1\rb=2", ["a=1", "b=2"], ["split-field"]),
        ("Cookie", "a=1\nb=2; \n c=3", ["a=1; b=2; c=3"], ["split-field"]),
        ("Vary", "Accept\nOrigin", ["Accept", "Origin"], ["split-field"]),
        ("X-Folded", "one\r\n two\n\tthree", ["one two three"], ["folded-field"]),
        ("X-Both", "one\n two\nthree", ["one two", "three"], ["folded-field", "split-field"]),
        ("X-Empty-Lines", "one\n\n", ["one"], ["padded-value"]),
        ("X-Only-Breaks", "\n", [""], ["padded-value"]),
        # UTF-8 on the wire, as browsers and servers send it
        ("X-Name", "報告", ["報告".encode().decode("latin-1")], ["utf8-value"]),
        ("X-Name", "é報", ["é報".encode().decode("latin-1")], ["utf8-value"]),
        ("X-Name", "caf\xe9", ["caf\xe9"], []),
        # Python's tools store bytes that are not UTF-8 as lone surrogates
        ("X-Name", "caf\udce9", ["caf\xe9"], ["utf8-value"]),
        ("X-Name", "a\ud800", ["a?"], ["utf8-value"]),
        ("X-Null", "a\0b", ["a b"], ["control-character"]),
        ("X-Null-End", "text/html\0", ["text/html"], ["control-character"]),
        ("X-Control", "a\x01\x7fb", ["a  b"], ["control-character"]),
        ("X-Tab", "a\tb", ["a\tb"], []),
        ("X-Padded", " a ", ["a"], ["padded-value"]),
        ("X-Null-Value", None, [""], []),
        ("X-Number", 5, ["5"], ["header-form"]),
        ("X-True", True, ["true"], ["header-form"]),
        ("Set-Cookie", ["a=1", "b=2"], ["a=1", "b=2"], ["header-form"]),
    ],
)  # fmt: skip
def test_values(name: str, value: Any, expected: list[str], odd: list[str]) -> None:
    assert fields(header(name, value)) == ([[name, one] for one in expected], odd)


@pytest.mark.parametrize(
    ("value", "cookies", "expected"),
    [
        # Safari, and tools that use `fetch`, join with a comma
        ("a=1; Path=/, b=2; Path=/", None, ["a=1; Path=/", "b=2; Path=/"]),
        ("a=1, b=2", [{"name": "a"}, {"name": "b"}], ["a=1", "b=2"]),
        ("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT, b=2", None, ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"]),
        # a cookie with a comma in its value stays one cookie
        ("a=1, b=2", None, ["a=1, b=2"]),
        ("a=1,b; Path=/", None, ["a=1,b; Path=/"]),
        ("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", None, ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"]),
    ],
)  # fmt: skip
def test_cookies_that_were_joined_with_commas(value: str, cookies: Any, expected: list[str]) -> None:
    read, odd = fields(header("Set-Cookie", value), cookies=cookies)
    assert read == [["Set-Cookie", one] for one in expected]
    assert odd == (["joined-cookies"] if len(expected) > 1 else [])


@pytest.mark.parametrize(
    ("side", "name", "value", "expected", "odd"),
    [
        # WebPageTest and other tools that split lines at colons
        ("request", "GET /cfg?cb&ref=http", "//s.test/ HTTP/1.1", [], ["start-line"]),
        ("request", "GET / HTTP/1.1", "", [], ["start-line"]),
        ("request", "GET /old", "", [], ["start-line"]),
        ("request", "", "GET / HTTP/1.1", [], ["start-line"]),
        ("response", "HTTP/1.1 200 OK", "", [], ["start-line"]),
        ("response", "HTTP/2 200", "", [], ["start-line"]),
        ("response", "", "HTTP/1.1 404 Not Found", [], ["start-line"]),
        ("request", "", "authority: s.test", [[":authority", "s.test"]], ["pseudo-name"]),
        ("response", "", "status: 200", [[":status", "200"]], ["pseudo-name"]),
        ("request", ":method", "GET", [[":method", "GET"]], []),
        ("response", ":method", "GET", [], ["-field"]),
        ("request", ":nonsense", "x", [], ["-field"]),
        ("request", " Accept ", "*/*", [["Accept", "*/*"]], ["trimmed-name"]),
        ("request", "User-Agent:", "x", [["User-Agent", "x"]], ["trimmed-name"]),
        ("request", "\ufeffAccept\r", "x", [["Accept", "x"]], ["trimmed-name"]),
        ("request", "Accept:*/*\r", "", [["Accept", "*/*"]], ["line-as-name"]),
        ("request", "Accept : text/html", "", [["Accept", "text/html"]], ["line-as-name"]),
        ("request", "", "", [], ["no-field"]),
        ("request", "", "x", [], ["-field"]),
        ("request", "X-API-KEY (Header)", "x", [], ["-field"]),
        ("request", "X Foo", "x", [], ["-field"]),
        ("request", "X\0Foo", "x", [], ["-field"]),
        ("request", "Schlüssel", "x", [], ["-field"]),
        ("request", None, "x", [], ["-field"]),
        ("request", 5, "x", [], ["-field"]),
        ("response", "Content-Length", "5, 5", [["Content-Length", "5, 5"]], []),
        ("response", "Content-Length", "about 5", [], ["-field"]),
        # the developer tools of Internet Explorer
        ("response", "Content-Length", "6,219", [["Content-Length", "6219"]], ["length-form"]),
        # SPDY, as Chrome 40 wrote it
        ("request", ":host", "s.test", [], ["start-line"]),
        ("response", ":version", "HTTP/1.1", [], ["start-line"]),
    ],
)  # fmt: skip
def test_names(side: str, name: Any, value: str, expected: Pairs, odd: list[str]) -> None:
    assert fields(header(name, value), side=side) == (expected, odd)


def test_a_cookie_that_was_cut_at_its_time() -> None:
    """WebPageTest writes SPDY like this: several cookies in one field, split at line ends and then at colons."""
    cut = (
        header("Set-Cookie", "a=1")
        + header("b=2;Path=/;Expires=Wed, 30 Sep 2026 12", "00:00 GMT")
        + header("c=3;x", "")
    )
    read, odd = fields(cut)
    assert read[:2] == [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2;Path=/;Expires=Wed, 30 Sep 2026 12:00:00 GMT"]]
    assert odd == ["cookie-as-name"]
    assert fields(header("b=2; Path=/", "x"))[1] == ["-field"]


@pytest.mark.parametrize(
    ("headers", "expected", "odd"),
    [
        (None, [], []),
        ({"Accept": "*/*", "X": ["1", "2"]}, [["Accept", "*/*"], ["X", "1"], ["X", "2"]], ["header-form"]),
        ([["Accept", "*/*"]], [["Accept", "*/*"]], ["header-form"]),
        ([{"name": "A"}], [["A", ""]], []),
        (["Accept: */*"], [], ["-field"]),
        ([{"value": "x"}], [], ["-field"]),
        ("Accept: */*", [], []),
    ],
)
def test_forms(headers: Any, expected: Pairs, odd: list[str]) -> None:
    assert fields(headers) == (expected, odd)


def test_each_kind_is_one_sentence_with_a_count_and_its_first_place(
    entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    odd = entry(response={"headers": header("Set-Cookie", "a=1\nb=2") + header("A b", "x")})
    result = read(entry(), odd, odd)
    assert result.notes == [
        "repaired: header values with line breaks are several fields "
        "(2 times, first in entries[1].response.headers[0]: 'a=1\\nb=2')"
    ]
    assert result.problems == [
        "headers that no message can hold are left out (2 times, first in entries[1].response.headers[1]: A b)"
    ]
    tagged = [record["tags"] for record in result.records if record["type"] == "response"]
    assert tagged == [[], ["har-odd:split-field", "har-odd:field"], ["har-odd:split-field", "har-odd:field"]]


def test_repairs_of_an_entry_that_is_left_out_are_not_reported(
    entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    result = read(entry(startedDateTime="yesterday", request={"headers": header("A b", "x")}))
    assert result.notes == []
    assert result.problems == ["entries[0] is left out: startedDateTime is no date: 'yesterday'"]


def test_each_kind_is_in_one_table() -> None:
    assert not ({*REPAIRED} & {*LOST} | {*REPAIRED} & {*MISSING} | {*MISSING} & {*LOST})
    repairs = Repairs()
    assert (repairs.repaired(), repairs.lost()) == ([], [])


@pytest.mark.parametrize(
    ("response", "status", "reason", "odd"),
    [
        ({"status": "200"}, 200, "OK", ["status-form"]),
        ({"status": "404 Not Found", "statusText": ""}, 404, "Not Found", ["status-form"]),
        ({"status": 200.0}, 200, "OK", ["status-form"]),
        ({"statusText": None}, 200, "", []),
        ({"statusText": "報"}, 200, "報".encode().decode("latin-1"), ["reason-form"]),
        ({"statusText": "a\r\nb"}, 200, "a  b", ["reason-form"]),
        ({"statusText": "HTTP/2.0 200"}, 200, "", ["reason-form"]),
        ({"statusText": "HTTP/1.1 200 Fine so"}, 200, "Fine so", ["reason-form"]),
    ],
)
def test_statuses(
    response: Any, status: int, reason: str, odd: list[str], entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    result = read(entry(response=response))
    record = result.one("response")
    assert (record["statusCode"], record["statusMessage"], result.odd) == (status, reason, odd)
    assert head_bytes(status, reason, [])


@pytest.mark.parametrize("status", ["fine", 7, 1000, 99.5, [], {}])
def test_an_invalid_status_is_reported(status: Any, entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    result = read(entry(response={"status": status}))
    assert result.one("abort")["error"] == {"message": "the HAR has no answer"}
    assert result.problems == [
        "invalid statuses are left out, and the exchange has no response "
        f"(1 time, first in entries[0].response.status: {status!r})"
    ]


@pytest.mark.parametrize(
    ("request_", "response", "asked", "response_of"),
    [
        ({"cookies": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}, {}, [["Cookie", "a=1; b=2"]], []),
        ({"cookies": [{"name": "a", "value": "1"}], "headers": header("cookie", "c=3")}, {}, [["cookie", "c=3"]], []),
        ({"cookies": [{"name": "a b", "value": "1"}, 5, {"name": "a", "value": "x;y"}]}, {}, [], []),
        ({}, {"cookies": [{"name": "a", "value": "1", "path": "/", "expires": "2026-10-21T07:28:00.000Z", "httpOnly": True, "secure": True, "sameSite": "Lax"}]},
         [], [["Set-Cookie", "a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; Secure; SameSite=Lax"]]),
        ({}, {"cookies": [{"name": "a", "value": "1", "expires": "Wed, 21"}]}, [], [["Set-Cookie", "a=1"]]),
    ],
)  # fmt: skip
def test_cookies_that_only_a_list_has(
    request_: Any, response: Any, asked: Pairs, response_of: Pairs, entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    result = read(entry(request=request_, response=response))
    assert result.one("request")["rawHeaders"] == asked
    assert result.one("response")["rawHeaders"] == response_of


@pytest.mark.parametrize(
    ("status", "url", "headers", "response_of"),
    [
        (302, "http://a.test/y", [], [["Location", "http://a.test/y"]]),
        (308, "/報", [], [["Location", "/報".encode().decode("latin-1")]]),
        (302, "/y", header("location", "/x"), [["location", "/x"]]),
        (200, "/y", [], []),
        (302, "/y\r\nX: y", [], []),
        (302, None, [], []),
    ],
)
def test_redirects_that_no_header_names(
    status: int, url: Any, headers: Any, response_of: Pairs, entry: Callable[..., Any], read: Callable[..., Any]
) -> None:
    result = read(entry(response={"status": status, "redirectURL": url, "headers": headers}))
    assert result.one("response")["rawHeaders"] == response_of
