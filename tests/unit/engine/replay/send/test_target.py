"""Where recorded requests go, and with which head."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from mockrec.engine.replay.send.target import host_of, origin_of, outgoing, parse_to
from mockrec.engine.replay.session.editable import draft_of
from mockrec.engine.upstream.route import HTTP2_FIRST

HERE = ("http", "127.0.0.1", 3000)
SECURE = ("https", "::1", 443)


def sent(record: dict[str, Any], targets: Any, server: tuple[str, str, int] = HERE) -> Any:
    return outgoing(record, draft_of(record, None), server, targets)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://Shop.test/a", ("shop.test", "shop.test")),
        ("https://shop.test:8443/", ("shop.test:8443", "shop.test")),
        ("http://[::1]:80/", ("[::1]", "[::1]")),
        ("ws://shop.test:80/", ("shop.test", "shop.test")),
        ("http://shop.test:x/", ("", "")),
        ("", ("", "")),
    ],
)
def test_hosts(url: str, names: tuple[str, str]) -> None:
    assert host_of({"url": url}) == names


def test_a_host_with_its_port_is_stronger_than_its_name_and_that_than_all_others(targets: Any) -> None:
    some = targets({"a.test:81": HERE, "a.test": SECURE, "": ("http", "rest", 1)})
    assert some.server_for({"url": "http://a.test:81/"}) == HERE
    assert some.server_for({"url": "http://a.test/"}) == SECURE
    assert some.server_for({"url": "http://b.test/"}) == ("http", "rest", 1)
    assert targets({"a.test": HERE}).server_for({"url": "http://b.test/"}) is None


def test_options() -> None:
    def parse(url: str) -> tuple[str, str, int]:
        return "http", url, 1

    assert parse_to(["http://x?a=b", "A.test=y"], parse) == {"": parse("http://x?a=b"), "a.test": parse("y")}
    assert list(parse_to(["Straße.test:81=y", "[::1]:80=z"], parse)) == ["xn--strae-oqa.test:81", "[::1]:80"]
    with pytest.raises(ValueError, match="all other hosts: given twice"):
        parse_to(["a", "b"], parse)


def test_the_host_is_that_of_the_server_unless_it_is_to_stay(recorded: Any, targets: Any) -> None:
    request, body = sent(recorded.request(), targets({}))
    assert request.raw_headers == [["Host", "127.0.0.1:3000"]]
    assert (request.url, request.route.alpn, body) == ("http://127.0.0.1:3000/a?b=c", (), b"")
    kept, _ = sent(recorded.request(), targets({}, keep_host=True))
    assert kept.raw_headers == [["Host", "shop.test"]]
    other, _ = sent(recorded.request(), targets({}), SECURE)
    assert other.raw_headers == [["Host", "[::1]"]]


def test_http2_where_it_was_recorded_and_tls_is_spoken(recorded: Any, targets: Any) -> None:
    raw = [[":method", "GET"], [":path", "/a"], [":authority", "shop.test"], [":scheme", "https"], ["x", "1"]]
    record = recorded.request(httpVersion="2.0", rawHeaders=raw, url="https://shop.test/a")
    request, _ = sent(record, targets({}), SECURE)
    assert request.route.alpn == HTTP2_FIRST
    assert request.pseudo == (":method", ":path", ":authority", ":scheme")
    assert request.raw_headers == [["Host", "[::1]"], ["x", "1"]]
    kept, _ = sent(record, targets({}, keep_host=True), SECURE)
    assert kept.authority == "shop.test"
    assert sent(record, targets({}))[0].route.alpn == ()
    in_the_clear = recorded.request(httpVersion="2.0", rawHeaders=raw, url="http://shop.test/a")
    assert sent(in_the_clear, targets({}))[0].route.alpn == HTTP2_FIRST  # its client knew that the server speaks it


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ([["Content-Length", "2"]], [["Content-Length", "3"]]),
        ([["Transfer-Encoding", "chunked"]], [["Transfer-Encoding", "chunked"]]),
        ([], [["Content-Length", "3"]]),
    ],
)
def test_bodies_are_framed_as_they_were(recorded: Any, targets: Any, fields: Any, framing: Any) -> None:
    request, body = sent(recorded.request(rawHeaders=[["Host", "a"], *fields], body="abc"), targets({}))
    assert (request.raw_headers[1:], body) == (framing, b"abc")


def test_bodies_are_encoded_again(recorded: Any, targets: Any) -> None:
    body = {"size": 3, "text": "abc", "contentEncoding": "gzip", "encodedSize": 20}
    _, wire = sent(recorded.request(body=body), targets({}))
    assert gzip.decompress(wire) == b"abc"
    with pytest.raises(ValueError, match="unknown content coding"):
        sent(recorded.request(body={**body, "contentEncoding": "odd"}), targets({}))


def test_what_belongs_to_a_connection_is_not_copied(recorded: Any, targets: Any) -> None:
    fields = [["Connection", "X-Hop"], ["Keep-Alive", "5"], ["Upgrade", "h2c"], ["X-Hop", "1"], ["X-Kept", "2"]]
    request, _ = sent(recorded.request(rawHeaders=[["Host", "shop.test"], *fields]), targets({}))
    assert [name for name, _ in request.raw_headers] == ["Host", "X-Kept"]


@pytest.mark.parametrize(("value", "wire"), [("é", b"\xe9"), ("日本", "日本".encode()), ("Ã©", b"\xc3\xa9")])
def test_values_that_are_no_latin_1_are_sent_as_utf_8(recorded: Any, targets: Any, value: str, wire: bytes) -> None:
    request, _ = sent(recorded.request(rawHeaders=[["Host", "shop.test"], ["X", value]]), targets({}))
    assert request.raw_headers[1][1].encode("latin-1") == wire


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://A.test:8080/x://y", ("http", "a.test", 8080)),
        ("https://[::1]?q=//b", ("https", "::1", None)),
        ("ws://h#//", ("ws", "h", None)),
        (f"http://{'a' * 300}.test:1/", ("http", f"{'a' * 300}.test", 1)),
        ("/path//other", ("", "", None)),
        ("//h:1/", ("", "h", 1)),
        ("", ("", "", None)),
    ],
)
def test_origins(url: str, origin: tuple[str, str, int | None]) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["http://h:port/", "http://[::1/", "http://h:99999/"])
def test_origins_that_are_none(url: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"."):
            origin_of(url)
