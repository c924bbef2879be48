"""The view of a request that rules get."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockrec.engine.rules.matching.request import RequestView

RequestOf = Callable[..., RequestView]


@pytest.mark.parametrize(
    ("url", "path", "query_string"),
    [
        ("http://a.test/", "/", ""),
        ("http://a.test/x?", "/x", "?"),
        ("http://a.test:81/x/y?a=/b", "/x/y", "?a=/b"),
        ("http://a.test/x%2fy", "/x%2Fy", ""),
    ],
)
def test_the_path_leaves_the_query_out(request_of: RequestOf, url: str, path: str, query_string: str) -> None:
    request = request_of("GET", url)
    assert (request.path, request.query_string) == (path, query_string)


def test_a_url_without_a_path_has_the_target_as_path() -> None:
    request = RequestView("OPTIONS", "http", "http://a.test", "a.test", 80, "*", {}, [])
    assert request.path == "*"
    assert repr(request) == "<RequestView OPTIONS http://a.test>"


@pytest.mark.parametrize(
    ("protocol", "hostname", "port", "host"),
    [
        ("http", "a.test", 80, "a.test"),
        ("https", "a.test", 80, "a.test:80"),
        ("wss", "a.test", 443, "a.test"),
        ("ws", "a.test", 8000, "a.test:8000"),
        ("http", "::1", 8000, "[::1]:8000"),
        ("http", "[::1]", 80, "[::1]"),
    ],
)
def test_host_has_the_port_unless_it_is_the_default(protocol: str, hostname: str, port: int, host: str) -> None:
    assert RequestView("GET", protocol, f"{protocol}://x/", hostname, port, "/", {}, []).host == host


def test_query_is_decoded_and_keeps_repetitions_and_blanks(request_of: RequestOf) -> None:
    request = request_of("GET", "http://a.test/?a=1&b=x+y%21&a=2&c&d=")
    assert request.query == {"a": ["1", "2"], "b": ["x y!"], "c": [""], "d": [""]}
    assert request.query is request.query


def test_cookies_split_at_the_first_equals_sign(request_of: RequestOf) -> None:
    request = request_of(headers=[("Cookie", "a=1=2; b"), ("Cookie", "a=3;; =x")])
    assert request.cookies == {"a": ["1=2", "3"], "b": [""]}
    assert request_of().cookies == {}


def test_header_values_are_one_for_each_line(request_of: RequestOf) -> None:
    request = request_of(headers=[("X-A", " 1 "), ("x-a", "2"), ("x-b", "3")])
    assert request.header_values("x-a") == ["1", "2"]
    assert request.header_values("x-c") == []


def test_header_values_that_are_lists_or_have_no_raw_line() -> None:
    headers: dict[str, str | list[str]] = {"set-cookie": ["a", "b"], "x": "1", "content-type": ["t", "u"]}
    request = RequestView("GET", "http", "http://x/", "x", 80, "/", headers, [])
    assert request.header_values("set-cookie") == ["a", "b"]
    assert request.header_values("x") == ["1"]
    assert request.content_type == "t, u"


def test_the_body_is_read_once() -> None:
    calls = []

    def read() -> bytes:
        calls.append(1)
        return b"body"

    request = RequestView("POST", "http", "http://x/", "x", 80, "/", {}, [], False, read)
    assert (request.body, request.text, request.body) == (b"body", "body", b"body")
    assert len(calls) == 1
    assert request.body_error is None


def test_a_request_without_a_reader_has_an_empty_body(request_of: RequestOf) -> None:
    assert request_of().body == b""


@pytest.mark.parametrize(("reason", "error"), [("bad gzip", "bad gzip"), ("", "the body cannot be decoded")])
def test_a_body_that_cannot_be_read_says_so_every_time(reason: str, error: str) -> None:
    calls = []

    def read() -> bytes:
        calls.append(1)
        raise ValueError(reason)

    request = RequestView("POST", "http", "http://x/", "x", 80, "/", {}, [], False, read)
    with pytest.raises(ValueError):
        _ = request.body
    assert request.body_error == error
    with pytest.raises(ValueError, match=error):
        _ = request.text
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ('text/plain; charset="ISO-8859-1"', b"\xe9", "é"),
        ("text/plain; charset=nonsense", "é".encode(), "é"),
        ("text/plain; charset=base64", b"YQ==", "YQ=="),
        ("text/plain; charset=unicode_escape", b"\\u0041", "\\u0041"),
        ("text/plain", b"a\xff", "a�"),
    ],
)
def test_text_is_in_the_declared_charset(request_of: RequestOf, content_type: str, body: bytes, text: str) -> None:
    assert request_of(headers=[("content-type", content_type)], body=body).text == text


def test_json_is_parsed_whatever_the_content_type(request_of: RequestOf) -> None:
    request = request_of(body=b'\xef\xbb\xbf{"a": [1, null]}')
    assert request.json == {"a": [1, None]}
    assert request.json is request.json
    assert request_of(body=b"null").json is None


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(request_of: RequestOf, body: bytes) -> None:
    with pytest.raises(ValueError):
        _ = request_of(body=body).json


def test_a_form_needs_its_content_type(request_of: RequestOf) -> None:
    form_type = [("Content-Type", "application/X-www-form-urlencoded; charset=utf-8")]
    request = request_of(headers=form_type, body=b"a=1&a=2&b=%C3%A9")
    assert request.form == {"a": ["1", "2"], "b": ["é"]}
    assert request.form is request.form
    assert request_of(body=b"a=1").form == {}


def test_multipart_is_parsed_once(request_of: RequestOf) -> None:
    body = b'--s\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--s--'
    request = request_of(headers=[("content-type", "multipart/form-data; boundary=s")], body=body)
    assert [(part.name, part.content) for part in request.multipart] == [("a", b"1")]
    assert request.multipart is request.multipart


def test_params_are_empty_and_the_body_incomplete_at_first() -> None:
    request = RequestView("GET", "http", "http://x/", "x", 80, "/", {}, [])
    assert dict(request.params) == {}
    assert request.body_complete is False
