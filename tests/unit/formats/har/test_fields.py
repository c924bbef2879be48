"""The small parts of an entry, for all values that a record may have."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.har import bodies, fields


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://a.test/x?y=1", "http://a.test/x?y=1"),
        ("http://a.test/x#part", "http://a.test/x"),
        ("https://[::1]:8443/", "https://[::1]:8443/"),
        ("http://ada:pw@a.test", "http://ada:pw@a.test"),
        ("http://a.test/ü?q=é b", "http://a.test/%C3%BC?q=%C3%A9%20b"),
        ("http://a.test/%7E%zz", "http://a.test/%7E%zz"),
        ("/relative", "http://unknown.invalid/"),
        ("a.test:443", "http://unknown.invalid/"),
        ("http://]/", "http://unknown.invalid/"),
        ("http://a.test:99999/", "http://unknown.invalid/"),
        ("http://a b/", "http://unknown.invalid/"),
        ("", "http://unknown.invalid/"),
        (None, "http://unknown.invalid/"),
    ],
)
def test_urls_are_absolute_and_legal(url: Any, written: str) -> None:
    assert fields.har_url(url) == written


def test_what_a_url_says() -> None:
    assert fields.parts_of("https://A.test:8443/x?y") == {
        "protocol": "https", "path": "/x?y", "host": "a.test:8443", "destination": {"hostname": "a.test", "port": 8443},
    }  # fmt: skip
    assert fields.parts_of("ws://[::1]")["host"] == "[::1]"
    assert fields.parts_of("ws://[::1]")["destination"] == {"hostname": "::1", "port": 80}


def test_headers_are_joined_as_the_recorder_joins_them() -> None:
    raw = [[":path", "/"], ["A", "1"], ["a", "2"], ["Cookie", "x=1"], ["cookie", "y=2"], ["Set-Cookie", "z=3"]]
    assert fields.named_headers(raw) == {"a": "1, 2", "cookie": "x=1; y=2", "set-cookie": ["z=3"]}


@pytest.mark.parametrize(
    ("attribute", "cookie"),
    [
        ("Expires=Wed, 21 Oct 2026 07:28:00 GMT", {"expires": "2026-10-21T07:28:00.000Z"}),
        ("expires=Wed, 21-Oct-2026 07:28:00 GMT", {"expires": "2026-10-21T07:28:00.000Z"}),
        ("Expires=soon", {}),
        ("Expires=", {}),
        ("Path=/a; Domain=b; Secure; HttpOnly; SameSite=Lax; New=1", {"path": "/a", "domain": "b", "secure": True, "httpOnly": True, "sameSite": "Lax"}),
    ],
)  # fmt: skip
def test_cookies_that_are_set(attribute: str, cookie: dict[str, Any]) -> None:
    headers = [{"name": "set-cookie", "value": f"n=v; {attribute}"}]
    assert fields.response_cookies(headers) == [{"name": "n", "value": "v", **cookie}]


@pytest.mark.parametrize("body", ["a", "a=1&b", "=1", "a=%ff", "{}"])
def test_a_form_that_could_not_be_read_back_has_no_parameters(body: str) -> None:
    assert fields.form_parameters(body) is None


@pytest.mark.parametrize(
    ("timing", "timestamp", "started"),
    [
        ({"startTime": 0}, "", "1970-01-01T00:00:00.000Z"),
        ({"startTime": 1700000000000.5}, "", "2023-11-14T22:13:20.000Z"),
        ({"startTime": 1e300}, "2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123Z"),
        ({"startTime": True}, "yesterday", "1970-01-01T00:00:00.000Z"),
        ({}, None, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_when_it_began(timing: dict[str, Any], timestamp: Any, started: str) -> None:
    assert fields.started(timing, timestamp) == started


@pytest.mark.parametrize(
    ("end", "span"), [(12.5, 2.5), (10, 0), (3, 0), (None, 0), ("x", 0), (1e300, 253402300799000.0)]
)
def test_spans_are_never_negative(end: Any, span: float) -> None:
    assert fields.span({"a": 10, "b": end}, "a", "missing", "b") == span


@pytest.mark.parametrize(
    "body",
    [
        {"size": 0, "text": ""},
        {"size": 2, "text": "é"},
        {"size": 2, "base64": "//8="},
        {"size": 9, "file": "ab/ab", "sha256": "ab"},
    ],
)
def test_bodies_come_back_from_where_they_were_put(body: dict[str, Any]) -> None:
    assert bodies.predicted_body(bodies.content(body, "", "s.bodies")) == body
    assert bodies.predicted_request_body(bodies.post_data(body, "", "s.bodies")) == body


def test_a_body_in_a_file_is_named() -> None:
    assert bodies.content({"size": 9, "file": "ab/ab", "sha256": "ab"}, "a/b", "s.bodies") == {
        "size": 9, "mimeType": "a/b", "text": "", "_file": "s.bodies/ab/ab",
    }  # fmt: skip


def test_what_was_compressed_says_so() -> None:
    made = bodies.content({"size": 100, "text": "x", "encodedSize": 30, "contentEncoding": "gzip"}, "a/b", "")
    assert (made["size"], made["compression"]) == (100, 70)


@pytest.mark.parametrize(("text", "binary", "data"), [("hi", False, "hi"), ("hi", True, "aGk=")])
def test_messages(text: str, binary: bool, data: str) -> None:
    body = {"size": 2, "text": text}
    assert bodies.message_data(body, binary) == data
    assert bodies.predicted_message(data, binary) == body


@pytest.mark.parametrize("data", ["no base64!", "a"])
def test_a_message_whose_base64_is_damaged_says_nothing(data: str) -> None:
    assert bodies.predicted_message(data, True) == {"size": 0, "text": ""}
