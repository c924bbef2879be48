"""Edge cases of equality: no difference is missed, and none is invented."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.compare import tree
from mockrec.formats.diff.compare.documents import MAX_DEPTH, dump, parse, plain
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import Subject
from mockrec.formats.diff.report.json import report as json_report
from mockrec.formats.diff.result import Result
from mockrec.formats.diff.selectors import parse_selector

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]

MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def differ(make: Any, compare: Compare, differences: Differences) -> Callable[..., list[tuple[str, str, str]]]:
    """Return the differences between responses with these bodies."""

    def found(a: Any, b: Any, **changes: Any) -> list[tuple[str, str, str]]:
        return differences(compare([make.exchange(body=a, **changes)], [make.exchange(body=b, **changes)]))

    return found


def nested(levels: int, inner: str) -> str:
    return '{"a":' * levels + inner + "}" * levels


# ── depth ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("levels", [1, 199, 200, 201, 300, 489, 490, 491, MAX_DEPTH])
def test_a_difference_at_any_depth_has_its_path(differ: Any, levels: int) -> None:
    found = differ(nested(levels, "1"), nested(levels, '"x"'), headers=JSON)
    assert found == [("type", "breaking", "response.json:$" + ".a" * levels)]
    assert differ(nested(levels, "1"), nested(levels, " 1 "), headers=JSON) == []


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 990, 1100, 20_000])
def test_beyond_the_greatest_depth_text_is_compared(differ: Any, levels: int) -> None:
    assert differ(nested(levels, "1"), nested(levels, '"x"'), headers=JSON) == [
        ("value", "changed", "response.text (line 1)")
    ]
    assert differ(nested(levels, "1"), nested(levels, "1"), headers=JSON) == []
    assert differ(nested(levels, "1"), nested(1, "1"), headers=JSON) == [("value", "changed", "response.text (line 1)")]


@pytest.mark.parametrize("levels", [300, MAX_DEPTH - 1])
def test_deep_values_in_arrays_and_reports(make: Any, compare: Compare, levels: int) -> None:
    deep, other = nested(levels - 1, "1"), nested(levels - 1, "2")
    a, b = (make.exchange(body=text, headers=JSON) for text in (f"[{deep}]", f"[{other},{deep}]"))
    result = compare([a], [b])
    assert [str(one.finding.kind) for one in result.differences] == ["added"]
    assert json_report(result)
    c = make.exchange(body=f"[{deep},7]", headers=JSON)
    assert [str(one.finding.kind) for one in compare([b], [c]).differences] != []


def test_values_of_any_depth_are_written() -> None:
    value: Any = 1
    for _ in range(20_000):
        value = {"a": [value]}
    assert dump(value) == '{"a": [' * 20_000 + "1" + "]}" * 20_000
    assert plain(value)["a"][0]["a"]


def test_the_time_does_not_grow_with_the_depth(values: ValueComparer) -> None:
    """Arrays that grew at each level: their items are compared once, not once for each level."""

    def spent(levels: int) -> float:
        inner = ",".join(f'{{"v":{number}}}' for number in range(20_000))
        a, b = (parse("[" * levels + inner + f",{end}]" * levels) for end in ("1", "1,2"))
        start = time.process_time()
        assert sum(1 for _ in tree.compare(a, b, values)) == levels
        return time.process_time() - start

    spent(2)
    assert spent(100) < 8 * (spent(4) + 0.05)


def test_selectors_with_many_ways_to_a_deep_place() -> None:
    selector = parse_selector("json:$" + "..a" * 12 + "..b")
    assert not selector.matches(Subject("response", "json", locations=(("a",) * 400, None)))
    assert selector.matches(Subject("response", "json", locations=(("a",) * 400 + ("b",), None)))
    assert not parse_selector("json:$..a.b").matches(Subject("response", "json", locations=(("a", "a"), None)))
    assert parse_selector("json:$").matches(Subject("response", "json", locations=((), None)))


# ── values ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("9007199254740992", "9007199254740993"),
        ("18446744073709551616", "18446744073709551617"),
        ("1e400", "1e401"),
        ("0.1", "0.1000000000000000000001"),
        ("9" * 5000, "9" * 4999 + "8"),
        ("null", "0"),
        ("null", '""'),
        ("true", "1"),
        ("false", "0"),
        ("[]", "{}"),
        ("[[]]", "[]"),
        ("[null]", "[]"),
        ('""', "[]"),
        ('"é"', '"e\\u0301"'),
        (r'"\ud800"', r'"\ud801"'),
        (r'"\u0000"', '""'),
        ('"1"', "1"),
        ("NaN", "Infinity"),
        ("NaN", "null"),
        ("\ufeff1", "1"),
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"a":1,"a":2}', '{"a":2,"a":1}'),
        ('{"a":null}', "{}"),
        ("1e99999999999999999999", "1e99999999999999999998"),
        ("[1,2,3]", "[3,1,2]"),
        ('[{"id":1},{"id":2}]', '[{"id":2},{"id":1}]'),
        ('{"x":"db:1"}', '{"x":"fe:1"}'),
    ],
)
def test_json_that_differs(differ: Any, a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        found = differ(f'{{"v": {one}}}', f'{{"v": {other}}}', headers=JSON)
        assert [severity for _, severity, _ in found if severity != "info"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0.0", "0"),
        ("1e400", "10e399"),
        ('"\\u00e9\\/"', '"é/"'),
        ('{"a":1,"b":2}', '{ "b" : 2,\r\n "a":1}'),
        ('"2026-01-05T09:00:00Z"', '"2026-01-06T09:00:00Z"'),
        ('{"550e8400-e29b-41d4-a716-446655440000":1}', '{"650e8400-e29b-41d4-a716-446655440000":1}'),
    ],
)
def test_equal_json(differ: Any, a: str, b: str) -> None:
    assert differ(f'{{"v": {a}}}', f'{{"v": {b}}}', headers=JSON) == []
    # Also with another difference, so that the documents are compared value by value.
    assert differ(f'{{"v": {a}, "w": 1}}', f'{{"v": {b}, "w": 2}}', headers=JSON) == [
        ("value", "changed", "response.json:$.w")
    ]


# ── other bodies ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("one\ntwo\n", "one\r\ntwo\r\n"),
        ("one\ntwo\n", "one\ntwo"),
        ("one\u2028two", "one\ntwo"),
        ("one\x85two", "one\x0btwo"),
        ("one\x1ctwo", "one\ntwo"),
        ("one\rtwo", "one\ntwo"),
        ("a b", "a  b"),
        ("a", "a "),
        ("é", "e\u0301"),
        ("\ufeffa", "a"),
    ],
)
def test_text_that_differs(differ: Any, a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        assert [severity for _, severity, _ in differ(one, other)] != []


def test_line_ends_are_reported_once(differ: Any, make: Any, compare: Compare) -> None:
    assert differ("one\ntwo\n", "one\r\ntwo\r\n") == [("value", "changed", "response.text (line ends)")]
    (difference,) = compare([make.exchange(body="one\ntwo\n")], [make.exchange(body="one\r\ntwo")]).differences
    assert (difference.finding.a, difference.finding.b) == ("2 × LF", "1 × CR LF, none at the end")


def test_json_lines_end_with_line_feeds_only(differ: Any) -> None:
    lines = {"content-type": "application/x-ndjson"}
    assert differ('{"a":"x\u2028y"}\n', '{"a":"x\x85y"}\n', headers=lines) == [
        ("value", "changed", "response.line[0].json:$.a")
    ]
    assert differ('{"a":1}\r\n{"b":2}\r\n', '{"a":1}\n\n{"b":2}', headers=lines) == []


def test_an_event_that_breaks_off(differ: Any) -> None:
    events = {"content-type": "text/event-stream"}
    assert differ("data: x\n\n", "data: x", headers=events) == [("value", "changed", "response.body")]
    assert differ("data: x\n\n", "data: x\r\n\r\n", headers=events) == []


def test_forms_with_bytes_that_are_not_utf8(differ: Any) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert differ("a=%FF", "a=%FE", headers=form) == [("value", "changed", "response.form:a")]
    assert differ("a=b+c", "a=b%20c", headers=form) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Line feeds only, as some programs write them: not a part, and yet different.
        ("--b\nContent-Disposition: form-data; name=x\n\n1\n--b--\n", "--b\nContent-Disposition: form-data; name=x\n\n2\n--b--\n"),
        ("--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\nepilogue"),
        ("--b\r\nX: 1\r\n\r\n1\r\n--b--\r\n", "--b\r\nX: 2\r\n\r\n1\r\n--b--\r\n"),
        ("--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n", "--b\r\n\r\n2\r\n--b\r\n\r\n1\r\n--b--\r\n"),
        ("--b\r\n\r\n1\r\n--bb\r\n\r\n2\r\n--b--\r\n", "--b\r\n\r\n1\r\n--bb\r\n\r\n3\r\n--b--\r\n"),
        ("no parts", "other"),
        ("--b--\r\n", "--b--\r\n\r\nx"),
    ],
)  # fmt: skip
def test_multipart_bodies_that_differ(differ: Any, a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        assert [severity for _, severity, _ in differ(one, other, headers=MULTIPART)] not in ([], ["info"])
    assert differ(a, a, headers=MULTIPART) == []


def test_the_order_of_parts_counts_and_the_boundary_does_not(
    make: Any, compare: Compare, differences: Differences
) -> None:
    def body(boundary: str, *names: str) -> str:
        parts = (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n1\r\n' for name in names)
        return "".join(parts) + f"--{boundary}--\r\n"

    def one(boundary: str, *names: str) -> Any:
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return make.exchange(body=body(boundary, *names), headers=kind)

    assert differences(compare([one("x1", "a", "b")], [one("y2", "a", "b")])) == []
    assert differences(compare([one("x1", "a", "b")], [one("y2", "b", "a")])) == [
        ("value", "changed", "response.body (around the parts)")
    ]


def test_parts_with_fields_that_are_no_ascii(differ: Any) -> None:
    """Python's email parser returns such a field as an object, not as a text."""
    part = '--b\r\nContent-Disposition: form-data; name="f"; filename="q"\r\nContent-Type: {}\r\n\r\nx\r\n--b--\r\n'
    assert differ(part.format("image/png"), part.format("\x85image/png"), headers=MULTIPART) == [
        ("value", "changed", "response.form:f")
    ]


def test_bytes_that_look_like_a_digest(make: Any, compare: Compare, differences: Differences) -> None:
    """Base64 of 24 bytes may be 32 hex digits, and names of files are hashes: they contain no volatile values."""
    a, b = make.exchange(body=b"x"), make.exchange(body=b"x")
    a[-1]["body"] = {"size": 24, "base64": "0123456789abcdef0123456789abcdef"}
    b[-1]["body"] = {"size": 24, "base64": "fedcba9876543210fedcba9876543210"}
    assert differences(compare([a], [b])) == [("value", "changed", "response.body")]
    for one, digit in ((a, "1"), (b, "2")):
        one[-1]["body"] = {"size": 9_000_000, "sha256": "ab" + digit * 62, "file": f"ab/ab{digit * 62}"}
    assert differences(compare([a], [b])) == [("value", "changed", "response.body")]


@pytest.mark.parametrize("kind", ["text", "base64"])
def test_beginnings_of_bodies_that_were_cut(make: Any, compare: Compare, differences: Differences, kind: str) -> None:
    def cut(text: str, size: int) -> Any:
        one = make.exchange(body=text if kind == "text" else b"\xff" + text.encode())
        one[-1]["body"] |= {"size": size, "truncated": True}
        return one

    changed = [("value", "changed", "response.body")]
    assert differences(compare([cut("so it began, and", 900)], [cut("so it ended, and", 900)])) == changed
    assert differences(compare([cut("so it began, and", 900)], [cut("so it began, and", 900)])) == []
    assert differences(compare([cut("so it began, and", 900)], [cut("so it began, and", 901)])) == changed


def test_volatile_values_in_a_beginning(make: Any, compare: Compare, differences: Differences) -> None:
    def cut(text: str, size: int) -> Any:
        one = make.exchange(body=text)
        one[-1]["body"] |= {"size": size, "truncated": True}
        return one

    a = cut("at 2026-01-05T09:00:00Z, by 550e8400-e29b-41d4", 900)
    assert differences(compare([a], [cut("at 2026-01-05T10:00:00Z, by 650e8400-e29b-41d4", 901)])) == [
        ("value", "info", "response.body")
    ]
    assert differences(compare([a], [cut("at 2026-01-05T10:00:00Z, or 650e8400-e29b-41d4", 900)])) == [
        ("value", "changed", "response.body")
    ]


def test_a_recorded_size_does_not_hide_a_body(make: Any, compare: Compare) -> None:
    a, b = make.exchange(body="x"), make.exchange(body="y")
    for one in (a, b):
        one[-1]["body"]["size"] = 0
    assert not compare([a], [b]).same


# ── heads and ends ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "other", ["text/html;charset=utf-8", "Text/HTML; Charset=UTF-8", 'text/html ; charset="utf-8"', "text/html; charset=utf-8;"]
)  # fmt: skip
def test_a_content_type_in_other_letters(
    differ: Any, make: Any, compare: Compare, differences: Differences, other: str
) -> None:
    a, b = (make.exchange(body="x", headers={"content-type": kind}) for kind in ("text/html; charset=utf-8", other))
    assert differences(compare([a], [b])) == []


@pytest.mark.parametrize("other", ["text/html; charset=utf-16", "text/html; v=a", "text/plain; charset=utf-8", ""])
def test_another_content_type(make: Any, compare: Compare, other: str) -> None:
    a, b = (make.exchange(body="x", headers={"content-type": kind}) for kind in ("text/html; charset=utf-8", other))
    assert not compare([a], [b]).same


def test_the_reason_of_a_close(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.websocket([("sent", "x")]), make.websocket([("sent", "x")])
    a[-1]["closeReason"] = "done"
    assert differences(compare([a], [b])) == [("value", "changed", "close")]


def test_hosts_are_replaced_as_a_whole(make: Any, compare: Compare) -> None:
    """`--map-host api=app` replaces neither a part of `rapid` nor port 80 in 8000."""
    listen = {
        "header_a": {"listen": {"host": "127.0.0.1", "port": 80}},
        "header_b": {"listen": {"host": "127.0.0.1", "port": 90}},
    }
    for text_a, text_b, same in (
        ("rapid", "rappd", False),
        ("http://api/x", "http://app/x", True),
        ("next=http%3A%2F%2Fapi%2F", "next=http%3A%2F%2Fapp%2F", True),
        ("127.0.0.1:80/x", "127.0.0.1:90/x", True),
        ("127.0.0.1:8000", "127.0.0.1:9000", False),
    ):
        a, b = make.exchange(body=text_a), make.exchange(body=text_b)
        assert compare([a], [b], map_host={"api": "app"}, **listen).same == same
