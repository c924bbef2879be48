"""Bodies of each type, in whole comparisons."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.model.finding import Severity
from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]

NDJSON = {"content-type": "application/x-ndjson"}
EVENTS = {"content-type": "text/event-stream"}
HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.fixture
def differ(make: Any, compare: Compare, differences: Differences) -> Callable[..., list[tuple[str, str, str]]]:
    """Return the differences between responses with these bodies."""

    def found(a: Any, b: Any, **changes: Any) -> list[tuple[str, str, str]]:
        return differences(compare([make.exchange(body=a, **changes)], [make.exchange(body=b, **changes)]))

    return found


def test_json_by_path(differ: Any) -> None:
    assert differ({"a": 1, "b": [1]}, {"a": 2, "b": [1, 2]}) == [
        ("value", "changed", "response.json:$.a"),
        ("added", "changed", "response.json:$.b[1]"),
    ]
    assert differ({"a": 1}, {}) == [("removed", "breaking", "response.json:$.a")]
    assert differ({"a": [1, 2]}, {"a": [1]}) == [("removed", "changed", "response.json:$.a[1]")]
    assert differ({"a": 1}, {"a": "1"}) == [("type", "breaking", "response.json:$.a")]


def test_json_without_and_with_a_wrong_type(differ: Any) -> None:
    assert differ("plain", "other", headers={"content-type": "application/json"}) == [
        ("value", "changed", "response.text (line 1)")
    ]
    assert differ("{}", "no json", headers={"content-type": "application/problem+json"}) == [
        ("type", "breaking", "response.body")
    ]
    assert differ('{"a": 1}', '{"a": 2}', headers={"content-type": ""}) == [("value", "changed", "response.json:$.a")]


def test_lines_of_json(differ: Any) -> None:
    assert differ('{"a":1}\n{"a":2}\n', '{"a":1}\n{"a":3}\n{"a":4}\n', headers=NDJSON) == [
        ("value", "changed", "response.line[1].json:$.a"),
        ("added", "changed", "response.line[2]"),
    ]
    assert differ('{"a":1}\n{"a":2}\n', '{"a":2}\n', headers=NDJSON) == [("removed", "breaking", "response.line[0]")]


def test_server_sent_events(differ: Any) -> None:
    a = 'event: tick\nid: 1\ndata: {"n": 1}\n\n: comment\n\ndata: bye\n\n'
    assert differ(a, a.replace('"n": 1', '"n": 2'), headers=EVENTS) == [
        ("value", "changed", "response.event[0].json:$.n")
    ]
    assert differ(a, a.replace("tick", "tock"), headers=EVENTS) == [("value", "changed", "response.event[0].event")]
    assert differ(a, a + "data: more\n\n", headers=EVENTS) == [("added", "changed", "response.event[2]")]


def test_text_by_line(differ: Any) -> None:
    assert differ("a\nb\nc\n", "a\nx\nc\nd\n") == [
        ("value", "changed", "response.text (line 2)"),
        ("added", "changed", "response.text (line 4)"),
    ]
    assert differ("a\nb\n", "b\n") == [("removed", "changed", "response.text (line 1)")]
    many = differ("".join(f"{n}\n" for n in range(50)), "".join(f"x{n}\n" for n in range(50)))
    assert len(many) == 21
    assert many[-1] == ("value", "changed", "response.text (more lines)")


def test_tokens_in_pages(differ: Any) -> None:
    page = '<input name="csrf_token" value="{}">\n<p>{}</p>\n'
    one, other = page.format("dGhpcyBpcyA0Mg9x7", "a"), page.format("b3RoZXIgb25lIDQzMg", "a")
    assert differ(one, other, headers=HTML) == []
    assert differ(one, page.format("b3RoZXIgb25lIDQzMg", "b"), headers=HTML) == [
        ("value", "changed", "response.text (line 2)")
    ]


def test_bytes_by_size_and_hash(differ: Any) -> None:
    assert differ(b"\xff\x00", b"\xff\x01") == [("value", "changed", "response.body")]
    assert differ(b"\xff\x00", "") == [
        ("header", "breaking", "response.header:content-type"),
        ("value", "breaking", "response.body"),
    ]


def test_other_types_are_reported_once(make: Any, compare: Compare, differences: Differences) -> None:
    html = make.exchange(body="<h1>no</h1>", headers=HTML)
    assert differences(compare([make.exchange(body={"a": 1})], [html])) == [
        ("header", "breaking", "response.header:content-type"),
        ("type", "breaking", "response.body"),
    ]


def test_the_content_coding_is_only_info(make: Any, compare: Compare, differences: Differences) -> None:
    a = make.exchange(body={"a": 1}, headers={"content-length": "8"})
    b = make.exchange(body={"a": 1}, headers={"content-encoding": "gzip", "transfer-encoding": "chunked"})
    b[-1]["body"] |= {"contentEncoding": "gzip", "encodedSize": 30}
    assert differences(compare([a], [b])) == [("header", "info", "response.header:content-encoding")]


def test_bodies_that_were_cut(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.exchange(body="begin"), make.exchange(body="start")
    for one in (a, b):
        one[-1]["body"] |= {"size": 1000, "truncated": True}
    result = compare([a], [b])
    assert differences(result) == [("value", "info", "response.body")]
    assert not result.failed(Severity.changed)
    assert result.notes == ["bodies that were recorded in part: 1; what is missing of them was not compared"]
    for one in (a, b):
        one[-1]["body"]["sha256"] = "0" * 64
    assert differences(compare([a], [b])) == []


def test_a_body_that_cannot_be_read(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.exchange(body="x"), make.exchange(body="y")
    b[-1]["body"] = {"size": 1, "file": f"ab/ab{'0' * 62}", "sha256": f"ab{'0' * 62}"}
    result = compare([a], [b])
    assert differences(result) == [("value", "changed", "response.body")]
    assert "No such file" in result.differences[0].finding.a
    sha256 = hashlib.sha256(b"x").hexdigest()
    b[-1]["body"] = {"size": 1, "file": f"{sha256[:2]}/{sha256}", "sha256": sha256}
    assert differences(compare([a], [b])) == []


def test_bodies_in_files(
    make: Any, compare: Compare, differences: Differences, keep_beside: Any, tmp_path: Any
) -> None:
    exchanges = []
    for number, data in enumerate((b'{"a": 1}', b'{"a": 2}')):
        name = keep_beside(tmp_path / f"session-{number}.jsonl.bodies", data)
        exchange = make.exchange(body={"a": 0})
        exchange[-1]["body"] = {"size": len(data), "file": name, "sha256": name[3:]}
        exchanges.append([exchange])
    assert differences(compare(*exchanges)) == [("value", "changed", "response.json:$.a")]


def test_forms_and_parts_of_requests(make: Any, compare: Compare, differences: Differences) -> None:
    def form(text: str, kind: str = "application/x-www-form-urlencoded") -> Any:
        return make.exchange("POST", sent=text, sent_headers={"content-type": kind})

    assert differences(compare([form("a=1&b=2&a=3")], [form("a=1&c=2&a=4")], requests=True)) == [
        ("removed", "breaking", "request.form:b"),
        ("value", "changed", "request.form:a (2)"),
        ("added", "changed", "request.form:c"),
    ]

    def parts(boundary: str, text: str, file: bytes) -> Any:
        data = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="who"\r\n\r\n{text}\r\n'
                f'--{boundary}\r\nContent-Disposition: form-data; name="pic"; filename="p.png"\r\n'
                "Content-Type: image/png\r\n\r\n"
            ).encode()
            + file
            + f"\r\n--{boundary}--\r\n".encode()
        )
        made = form("x", f"multipart/form-data; boundary={boundary}")
        made[1]["body"] = {"size": len(data), "base64": base64.b64encode(data).decode()}
        return made

    assert differences(compare([parts("one", "ada", b"\xff1")], [parts("two", "ada", b"\xff1")], requests=True)) == []
    assert differences(compare([parts("one", "ada", b"\xff1")], [parts("two", "bob", b"\xff2")], requests=True)) == [
        ("value", "changed", "request.form:who"),
        ("value", "changed", "request.form:pic"),
    ]
    assert differences(compare([form("a=1")], [form("a=2")])) == []  # requests only pair
