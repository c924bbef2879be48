"""Cassettes of VCR.py and similar libraries: each form is read as the exchange that was recorded."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

Read = Callable[[bytes | str], Any]
GZIPPED = gzip.compress(b'{"a": 1}', mtime=0)
B64 = base64.b64encode(GZIPPED).decode()


def vcr(request: str = "", response: str = "", body: str = "null", answer: str = "{string: ok}") -> str:
    """Make a cassette of VCR.py, with additional lines for the request and the response."""
    return (
        f"interactions:\n- request:\n    body: {body}\n    headers: {{Accept: ['*/*']}}\n    method: POST\n"
        f"    uri: http://a.test/x?y=1\n{request}  response:\n    body: {answer}\n"
        f"    status: {{code: 200, message: OK}}\n{response}version: 1\n"
    )


class Row(NamedTuple):
    """A form of a cassette, and its expected exchange."""

    data: str
    sent: bytes = b""
    answered: bytes = b"ok"
    url: str = "http://a.test/x?y=1"
    method: str = "POST"
    version: str = "1.1"
    status: tuple[int, str] = (200, "OK")


RUBY = """---
http_interactions:
- request:
    method: get
    uri: http://a.test/r
    body: {encoding: ISO-8859-1, string: "\\xFC"}
    headers: {}
  response:
    status: {code: 201, message: Created}
    headers: {X-A: [one, two]}
    body: {encoding: ASCII-8BIT, base64_string: "AP8=\\n"}
    http_version: '1.0'
  recorded_at: Tue, 01 Nov 2011 04:49:54 GMT
recorded_with: VCR 6.1.0
"""
RUBY_1 = """---
- !ruby/struct:VCR::HTTPInteraction
  request: !ruby/struct:VCR::Request
    method: :get
    uri: http://a.test:80/r
    body:
    headers:
  response: !ruby/struct:VCR::Response
    status: !ruby/struct:VCR::ResponseStatus
      code: 404
      message: Not Found
    headers: {}
    body: |
      text
    http_version: "1.1"
"""
GO = """---
version: 2
interactions:
    - id: 0
      request:
        proto: HTTP/2.0
        body: ""
        form: {a: ["1", "ü"]}
        headers: {}
        url: https://a.test/g
        method: PUT
      response:
        proto: HTTP/2.0
        trailer: {X-T: [end]}
        body: ok
        headers: {}
        status: 202 Accepted
        code: 202
        duration: 1m2.5ms
"""
PHP = """
-
    request:
        method: GET
        url: 'http://a.test/p'
        headers: {Host: a.test}
    response:
        status: {http_version: '1.0', code: '200', message: OK}
        headers: {A: b}
        body: ok
    index: 0
"""
OLD = """
- request: !!python/object:vcr.request.Request
    body: null
    headers: !!python/object/apply:__builtin__.frozenset
    - - !!python/tuple [accept-encoding, 'gzip, deflate']
      - !!python/tuple [accept, '*/*']
    host: a.test
    method: GET
    path: /old
    port: 8080
    protocol: http
  response:
    body: {string: !!python/unicode "ok"}
    headers: [!!python/unicode "x-a: one\\r\\n", "x-a: two\\r\\n"]
    status: {code: 200, message: OK}
"""
JSON = {
    "version": 1,
    "interactions": [
        {
            "request": {"method": "POST", "uri": "http://a.test/x?y=1", "body": "\U0001f600", "headers": {}},
            "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "ok"}},
        }
    ],
}
ROWS = {
    "plain": Row(vcr(body="a=1"), b"a=1"),
    "a number is a text": Row(vcr(body="0123"), b"0123"),
    "yes is a text": Row(vcr(body="yes"), b"yes"),
    "null is nothing": Row(vcr(body="~", answer="{string: null}"), b"", b""),
    "binary": Row(
        vcr(body="!!binary AP8=", answer="\n      string: !!binary |\n        A\n        P8=\n"), b"\0\xff", b"\0\xff"
    ),
    "BytesIO": Row(
        vcr(body="!!python/object/new:_io.BytesIO\n      state: !!python/tuple [!!binary AP8=, 0, null]"), b"\0\xff"
    ),
    "iterator": Row(vcr(body="!!python/object/apply:builtins.iter\n      args: [[one, two]]"), b"onetwo"),
    "chunks": Row(vcr(body="[one, !!binary AP8=]"), b"one\0\xff"),
    "data": Row(vcr(body="{a: 1, b: [true, null, '2']}"), b'{"a":1,"b":[true,null,"2"]}'),
    "parsed_body": Row(vcr(request="    parsed_body: {a: 1.5}\n", answer="{parsed_body: [x]}"), b'{"a":1.5}', b'["x"]'),
    "content": Row(
        vcr(response="    content: héllo\n    status_code: 200\n", answer="null"), answered="héllo".encode()
    ),
    "httpx": Row(
        "interactions:\n- request: {method: POST, uri: 'http://a.test/x?y=1', body: ''}\n"
        "  response: {content: ok, status_code: 201, http_version: HTTP/2, headers: {}}\nversion: 1\n",
        status=(201, ""),
        version="2.0",
    ),
    "sorted otherwise": Row("version: 1\n" + vcr().removesuffix("version: 1\n")),
    "comments first": Row("# made by hand\n\n%YAML 1.1\n---\n" + vcr()),
    "quoted keys": Row(vcr().replace("interactions:", '"interactions":')),
    "Windows": Row(vcr(body="a=1").replace("\n", "\r\n"), b"a=1"),
    "byte order mark": Row("\ufeff" + vcr()),
    "aliases": Row(vcr(body="&b a=1", answer="{string: *b}"), b"a=1", b"a=1"),
    "JSON": Row(json.dumps(JSON, indent=4), "\U0001f600".encode()),
    "Ruby": Row(RUBY, b"\xfc", b"\0\xff", "http://a.test/r", "GET", "1.0", (201, "Created")),
    "Ruby 1": Row(RUBY_1, b"", b"text\n", "http://a.test/r", "GET", "1.1", (404, "Not Found")),
    "Go": Row(GO, b"a=1&a=%C3%BC", b"ok", "https://a.test/g", "PUT", "2.0", (202, "Accepted")),
    "PHP": Row(PHP, b"", b"ok", "http://a.test/p", "GET", "1.0"),
    "VCR.py before 1.0": Row(OLD, b"", b"ok", "http://a.test:8080/old", "GET"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_each_form_says(read: Read, row: Row) -> None:
    made = read(row.data)
    request, response = made.one("request"), made.one("response")
    assert (request["method"], request["url"], request["httpVersion"]) == (row.method, row.url, row.version)
    assert (response["statusCode"], response["statusMessage"]) == row.status
    assert (made.body("request"), made.body("response")) == (row.sent, row.answered)
    assert (made.problems, made.torn) == ([], "")


def test_headers_keep_their_order_and_number(read: Read) -> None:
    assert read(RUBY).one("response")["rawHeaders"] == [["X-A", "one"], ["X-A", "two"]]
    old = read(OLD)
    assert old.one("request")["rawHeaders"] == [["accept-encoding", "gzip, deflate"], ["accept", "*/*"]]
    assert old.one("response")["rawHeaders"] == [["x-a", "one"], ["x-a", "two"]]
    assert read(GO).one("response")["rawTrailers"] == [["X-T", "end"]]


def test_durations_of_go(read: Read) -> None:
    assert read(GO).one("response")["duration"] == 60_002.5
    assert not any("how long" in note for note in read(GO).notes)
    assert any("how long it took" in note for note in read(vcr()).notes)


PIXELS = bytes(range(256))
ENCODED = "    headers: {Content-Encoding: [gzip], Content-Type: [application/json]}\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"{{string: !!binary {B64}}}", {"size": 8, "text": '{"a": 1}', "contentEncoding": "gzip", "encodedSize": 28}),
        # Decoded before it was stored, but with the original field.
        ("""{string: '{"a": 1}'}""", {"size": 8, "text": '{"a": 1}', "contentEncoding": "gzip"}),
        # The same of an image: VCR.py stores what `requests` has decoded, and serves that as it is.
        (
            f"{{string: !!binary {base64.b64encode(PIXELS).decode()}}}",
            {"size": len(PIXELS), "base64": base64.b64encode(PIXELS).decode(), "contentEncoding": "gzip"},
        ),
        # Cut in the middle: neither encoded nor JSON.
        (
            f"{{string: !!binary {base64.b64encode(GZIPPED[:-9]).decode()}}}",
            {"size": 19, "base64": base64.b64encode(GZIPPED[:-9]).decode(), "undecodable": True},
        ),
        ("{string: ''}", {"size": 0, "text": ""}),
    ],
    ids=["coded", "decoded", "decoded-image", "damaged", "empty"],
)
def test_content_codings(read: Read, answer: str, expected: dict[str, Any]) -> None:
    assert read(vcr(response=ENCODED, answer=answer)).one("response")["body"] == expected


def test_a_charset_is_undone_where_it_fits(read: Read) -> None:
    head = "    headers: {Content-Type: [text/plain; charset=iso-8859-1]}\n"
    made = read(vcr(response=head, answer="{string: !!binary 3Q==}"))
    assert made.one("response")["body"] == {"size": 1, "text": "Ý", "charset": "iso-8859-1"}


def test_order_and_times(read: Read) -> None:
    """The order is the file's, whatever the dates; exchanges without a date get times next to their neighbours'."""

    def at(path: str, date: str) -> str:
        return (
            f"- request: {{method: GET, uri: 'http://a.test/{path}'}}\n"
            f"  response: {{status: {{code: 200}}, headers: {{{date}}}}}\n"
        )

    late, early = "Date: ['Sun, 29 Nov 2026 21:00:01 GMT']", "Date: ['Sun, 29 Nov 2026 20:00:00 GMT']"
    made = read("interactions:\n" + at("1", "") + at("2", late) + at("3", early) + at("4", ""))
    found = [(record["url"][-1], record["timestamp"]) for record in made.all("response")]
    assert found == [
        ("1", "2026-11-29T21:00:00.999000Z"),
        ("2", "2026-11-29T21:00:01.000000Z"),
        ("3", "2026-11-29T21:00:01.001000Z"),
        ("4", "2026-11-29T21:00:01.002000Z"),
    ]
    assert any("Date field" in note for note in made.notes)


def test_what_is_no_interaction_is_left_out_with_its_place(read: Read) -> None:
    made = read("interactions:\n- 5\n- {request: {}, response: {}}\n" + vcr().split("\n", 1)[1] + "other: 1\n")
    assert len(made.all("response")) == 1
    assert made.problems == [
        "interactions[0] (line 2) is left out: request is missing",
        "interactions[1] (line 3) is left out: response.status is no status: None",
        "line 13: other is not kept",
    ]


def test_a_repeated_key_is_reported(read: Read) -> None:
    made = read(vcr(response="    headers: {a: [b]}\n    headers: {c: [d]}\n"))
    assert made.one("response")["rawHeaders"] == [["c", "d"]]
    assert made.problems == ["line 11: the key headers stands twice in one mapping, the last one counts"]


def test_several_documents(read: Read) -> None:
    assert len(read(vcr() + "---\n" + vcr()).all("response")) == 2


def test_an_empty_cassette_is_a_session_of_nothing(read: Read) -> None:
    made = read("interactions: []\nversion: 1\n")
    assert [record["type"] for record in made.records] == ["session-started", "session-ended"]
