"""Expressions that cannot be used: what is said, and where the caret stands."""

from __future__ import annotations

import pytest

from mockrec.formats.query import FilterError, parse


def error_of(expression: str, *, records: bool = False) -> FilterError:
    with pytest.raises(FilterError) as caught:
        parse(expression, records=records)
    return caught.value


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("", 1, "expected a test such as status >= 500, found nothing"),
        ("status == 5 url ~ \udcff", 19, "this is no UTF-8"),
        ("   ", 4, "expected a test such as status >= 500, found nothing"),
        (
            "statuss == 5",
            1,
            "expected a field, found 'statuss' (did you mean status?); `mockrec filter --help` lists all",
        ),
        (
            "Status == 5",
            1,
            "expected a field, found 'Status' (did you mean status?); `mockrec filter --help` lists all",
        ),
        ("timingEvents.startTim > 5", 1, "(did you mean timingEvents.startTime?)"),
        ("qqqq == 5", 1, "expected a field, found 'qqqq'; `mockrec filter --help` lists all"),
        ("status => 500", 8, "=> is no comparison (did you mean >=?)"),
        ("method <> GET", 8, "<> is no comparison (did you mean !=?)"),
        ("method === GET", 8, "=== is no comparison (did you mean ==?)"),
        ("status = abc", 10, "expected a status such as 404, a class such as 5xx"),
        ("status == 6xx", 11, "expected a status such as 404"),
        ("status == '500 '", 11, "expected a status such as 404"),
        ("status == 500 and", 18, "expected a test such as status >= 500, found the end"),
        ("status == 500 or or", 18, "expected a test such as status >= 500, found 'or'"),
        ("and status", 1, "expected a test such as status >= 500, found 'and'"),
        ("not", 4, "expected a test such as status >= 500, found the end"),
        ("(status == 500", 1, "the bracket that opens here is not closed"),
        ("(status == 500 ; method", 16, "expected and, or, or ), found ';'"),
        ("status == 500)", 14, "this bracket was not opened"),
        ("status == 500 ; x", 15, "expected and, or, or the end, found ';'"),
        ("status in (1,", 11, "the bracket that opens here is not closed"),
        ("status in (1, )", 15, "expected a status such as 404"),
        ("status in (1 2)", 14, "expected a comma or ), found '2'"),
        ("status in 5", 11, "expected ( or low..high after in, found '5'"),
        ("status in", 10, "expected ( or low..high after in, found the end"),
        ("status in 5..2", 14, "the range ends at 2, before it begins"),
        ("status in 5..x", 14, "expected a status such as 404"),
        ("duration > 20kB", 12, "expected a duration such as 200ms, 1.5s or 2m, found '20kB'"),
        ("size > 200ms", 8, "expected a size such as 512, 20kB or 1MiB, found '200ms'"),
        ("ws.count > many", 12, "expected a number, found 'many'"),
        ("isBinary == yes", 13, "expected true or false, found 'yes'"),
        ("isBinary > true", 12, "expected true or false, found 'true'"),
        ("header == 5", 7, "expected brackets after header, as in header[user-agent]"),
        ("header[", 7, "the bracket that opens here is not closed"),
        ("header[] == 5", 8, "expected a name, as in header[user-agent]"),
        ("headr[x] == 5", 1, "'headr' takes no brackets; those that do: header"),
        ("json[$..x] == 1", 6, "no JSON path: expected .name, [index]"),
        ('url ~ "a("', 7, "no regular expression (RE2): "),
        (r'url ~ "(a)\1"', 7, r"no regular expression (RE2): invalid escape sequence: \1"),
        ("status ~ 5", 10, "~ is for texts; expected a comparison with a status"),
        ("status contains 5", 17, "contains is for texts"),
        ("method is GET", 8, "found 'is' (did you mean ==?)"),
        ("url matches x", 5, "found 'matches' (did you mean ~?)"),
        ("url contain x", 5, "found 'contain' (did you mean contains?)"),
        ("status 500", 8, "expected ==, !=, <, <=, >, >=, ~, ~*, contains, startswith, endswith or in, found '500'"),
        ("url contains", 13, "expected a text after contains, found the end"),
        ("url == and status", 8, "expected a text after ==, found 'and'"),
        ('url == "abc', 8, "the quote that begins here has no end"),
        ('url == a"b', 9, "a quote inside a plain value: put the whole value in quotes"),
        ("time == yesterday", 9, "expected a date or time such as 2026-11-18"),
        ("time == 2026-13-01", 9, "no date or time: month must be in 1..12"),
        ("time == 2026-11-18Z", 9, "expected a time of day before the time zone"),
        ("日本 == 5", 1, "expected a test such as status >= 500, found '日本'"),
        ("== 5", 1, "expected a test such as status >= 500, found '=='"),
        ("(" * 60 + "status", 51, "more than 50 brackets inside one another"),
        ("status " * 2000, 10_001, "the expression has 14000 characters, more than 10000"),
    ],
)
def test_the_place_and_what_was_expected(expression: str, column: int, message: str) -> None:
    error = error_of(expression)
    assert (error.position + 1, message in error.message) == (column, True), str(error)
    assert error.exit_code == 2


def test_a_caret_stands_under_the_place() -> None:
    assert str(error_of("status >= 500 and metod == GET")).splitlines() == [
        "filter: column 19: expected a field, found 'metod' (did you mean method?); `mockrec filter --help` lists all",
        "  status >= 500 and metod == GET",
        "                    ^",
    ]


def test_the_caret_allows_for_wide_and_for_unprintable_characters() -> None:
    _, shown, caret = str(error_of('url == "日本\x1b\ta" metod')).splitlines()
    assert shown == '  url == "日本··a" metod'
    assert caret == " " * 19 + "^"


def test_a_long_expression_is_cut_around_the_place() -> None:
    _, shown, caret = str(error_of(f"url == {'x' * 900} and metod == GET")).splitlines()
    assert len(shown) <= 202
    assert shown[caret.index("^") :].startswith("metod")


def test_what_is_of_exchanges_cannot_be_asked_of_records() -> None:
    assert "ws.count is of exchanges" in error_of("ws.count > 1", records=True).message
