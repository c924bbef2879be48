"""Paths and URL patterns in their normal form."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.urls import (
    UrlPattern,
    normal_hostname,
    normal_path,
    parse_url_pattern,
    split_host,
)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/plain", "/plain"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/a b\tc", "/a%20b%09c"),
        ("/%61", "/%61"),
        ("/100%", "/100%"),
        ("/a/../b", "/a/../b"),
        ("/{id}", "/{id}"),
    ],
)
def test_a_path_is_escaped_but_never_decoded(path: str, normal: str) -> None:
    assert normal_path(path) == normal


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Example.TEST", "example.test"),
        ("example.test.", "example.test"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("[::1]", "::1"),
        ("x" * 70 + "ü.test", "x" * 70 + "ü.test"),
    ],
)
def test_a_hostname_is_lower_case_punycode(name: str, normal: str) -> None:
    assert normal_hostname(name) == normal


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("Example.test", ("example.test", None)),
        ("example.test:8080", ("example.test", 8080)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
    ],
)
def test_a_host_is_a_name_and_maybe_a_port(host: str, parts: tuple[str, int | None]) -> None:
    assert split_host(host) == parts


@pytest.mark.parametrize("host", ["a:http", "a:70000", "[::1]:x", "a:²"])
def test_a_bad_port_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not a port"):
        split_host(host)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/a?b=c", UrlPattern(None, None, None, "/a")),
        ("//a", UrlPattern(None, None, None, "//a")),
        ("HTTP://Example.test", UrlPattern("http", "example.test", None, "/")),
        ("wss://example.test:9/a#b", UrlPattern("wss", "example.test", 9, "/a")),
        ("example.test:9/a%2f", UrlPattern(None, "example.test", 9, "/a%2F")),
    ],
)
def test_url_patterns(text: str, pattern: UrlPattern) -> None:
    assert parse_url_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "?a", "#a", "http:///a"])
def test_a_url_pattern_needs_a_host_or_a_path(text: str) -> None:
    with pytest.raises(ValueError, match=r"empty|no host"):
        parse_url_pattern(text)


def test_a_name_that_is_too_long_for_dns_is_not_encoded() -> None:
    assert normal_hostname("É" * 20) == "xn--9caaaaaaaaaaaaaaaaaaaa"
    assert normal_hostname("É" * 100_000) == "é" * 100_000
