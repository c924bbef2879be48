"""The way to a server: which proxy, whose certificates are checked, which certificate of ours."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.upstream.options import ProxyAddress, UpstreamOptions, read_proxy

PROXY = "http://proxy.test:3128"


def options(**settings: Any) -> UpstreamOptions:
    return UpstreamOptions(UpstreamSettings(**settings))


# ── proxies ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("http://proxy.test:3128", "http", "proxy.test", 3128),
        ("http://proxy.test", "http", "proxy.test", 80),
        ("https://proxy.test", "https", "proxy.test", 443),
        ("socks://proxy.test", "socks", "proxy.test", 1080),
        ("socks4://proxy.test", "socks4", "proxy.test", 1080),
        ("socks4a://proxy.test", "socks4a", "proxy.test", 1080),
        ("socks5://proxy.test", "socks5", "proxy.test", 1080),
        ("socks5h://proxy.test/", "socks5h", "proxy.test", 1080),
        ("HTTP://Proxy.Test:80/", "http", "proxy.test", 80),
        ("http://127.0.0.1:65535", "http", "127.0.0.1", 65535),
        ("http://[::1]:3128", "http", "::1", 3128),
        ("socks5://[2001:db8::1]", "socks5", "2001:db8::1", 1080),
    ],
)
def test_a_proxy_is_named_by_its_url(url: str, scheme: str, host: str, port: int) -> None:
    assert read_proxy(url) == ProxyAddress(scheme, host, port, None, "")


@pytest.mark.parametrize(
    ("userinfo", "user", "password"),
    [
        ("me", "me", ""),
        ("me:", "me", ""),
        ("me:secret", "me", "secret"),
        (":secret", "", "secret"),
        ("me:a:b", "me", "a:b"),
        ("m%40e:s%3A%2F%C3%A9", "m@e", "s:/é"),
        ("m@e:secret", "m@e", "secret"),
    ],
)
def test_a_proxy_may_want_a_user_and_password(userinfo: str, user: str, password: str) -> None:
    assert read_proxy(f"http://{userinfo}@proxy.test:1") == ProxyAddress("http", "proxy.test", 1, user, password)


@pytest.mark.parametrize("url", [None, ""])
def test_no_url_is_no_proxy(url: str | None) -> None:
    assert read_proxy(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "proxy.test:3128",
        "proxy.test",
        "//proxy.test",
        "ftp://proxy.test",
        "socks6://proxy.test",
        "http://",
        "http://:80",
        "http://me@",
        "http://proxy.test:x",
        "http://proxy.test:65536",
        "http://proxy.test:-1",
        "http://proxy.test:0",
        "http://[::1",
        "http://[x]:80",
    ],
)
def test_what_is_no_proxys_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        read_proxy(url)
    with pytest.raises(ValueError):
        options(proxy=url)
    with pytest.raises(ValueError):
        options(secure_proxy=url)


def test_a_proxy_is_told_without_its_password() -> None:
    assert str(read_proxy("http://me:secret@proxy.test")) == "http://proxy.test:80"
    assert str(read_proxy("socks5://[::1]:99")) == "socks5://[::1]:99"


@pytest.mark.parametrize(("scheme", "is_http"), [("http", True), ("https", True), ("socks", False), ("socks5h", False)])
def test_http_proxies_are_told_from_socks(scheme: str, is_http: bool) -> None:
    assert ProxyAddress(scheme, "p", 1, None, "").is_http is is_http


def test_https_may_have_another_proxy() -> None:
    both = options(proxy="http://a.test", secure_proxy="http://b.test")
    assert str(both.proxy_for("x.test", 80, secure=False)) == "http://a.test:80"
    assert str(both.proxy_for("x.test", 443, secure=True)) == "http://b.test:80"
    assert str(options(proxy="http://a.test").proxy_for("x.test", 443, secure=True)) == "http://a.test:80"
    only = options(secure_proxy="http://b.test")
    assert only.proxy_for("x.test", 80, secure=False) is None
    assert str(only.proxy_for("x.test", 443, secure=True)) == "http://b.test:80"


def test_without_settings_there_is_no_proxy() -> None:
    assert options(no_proxy=("a.test",)).proxy_for("b.test", 80, secure=False) is None


@pytest.mark.parametrize(
    ("exception", "host", "port", "reached_without"),
    [
        ("a.test", "a.test", 80, True),
        ("a.test", "A.TEST", 80, True),
        ("A.Test", "a.test", 80, True),
        (" a.test ", "a.test", 80, True),
        ("a.test", "a.test.", 80, True),
        ("a.test.", "a.test", 80, True),
        ("a.test", "x.a.test", 80, True),
        ("a.test", "y.x.a.test", 80, True),
        ("a.test", "xa.test", 80, False),
        ("a.test", "a.test.b", 80, False),
        ("a.test", "test", 80, False),
        (".a.test", "a.test", 80, True),
        (".a.test", "x.a.test", 80, True),
        (".a.test", "xa.test", 80, False),
        ("*.a.test", "a.test", 80, True),
        ("*.a.test", "x.a.test", 80, True),
        ("*.a.test", "xa.test", 80, False),
        ("test", "a.test", 80, True),
        ("a.test:8080", "a.test", 8080, True),
        ("a.test:8080", "x.a.test", 8080, True),
        ("a.test:8080", "a.test", 80, False),
        ("a.test:80", "a.test", 80, True),
        (".a.test:443", "x.a.test", 443, True),
        ("*.a.test:443", "x.a.test", 444, False),
        ("*", "a.test", 80, True),
        ("*", "127.0.0.1", 80, True),
        ("*", "::1", 80, True),
        ("*:8080", "a.test", 8080, True),
        ("*:8080", "a.test", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1", "localhost", 80, False),
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("127.0.0.1:80", "127.0.0.1", 81, False),
        ("0.0.1", "127.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 80, False),
        ("::1:8080", "::1", 8080, False),
        ("0:0:0:0:0:0:0:1", "::1", 80, True),
        ("münchen.test", "xn--mnchen-3ya.test", 80, True),
        (".münchen.test", "x.xn--mnchen-3ya.test", 80, True),
        ("", "a.test", 80, False),
        (".", "a.test", 80, False),
        ("localhost", "localhost", 80, True),
    ],
)
def test_hosts_that_are_reached_without_the_proxy(exception: str, host: str, port: int, reached_without: bool) -> None:
    found = options(proxy=PROXY, no_proxy=("other.test", exception)).proxy_for(host, port, secure=False)
    assert (found is None) is reached_without


# ── certificates ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ignored", "host", "port", "verified"),
    [
        ((), "a.test", 443, True),
        (False, "a.test", 443, True),
        (True, "a.test", 443, False),
        (("a.test",), "a.test", 443, False),
        (("a.test",), "A.Test.", 8443, False),
        (("A.Test",), "a.test", 443, False),
        (("a.test",), "x.a.test", 443, True),
        (("a.test:8443",), "a.test", 8443, False),
        (("a.test:8443",), "a.test", 443, True),
        (("b.test", "a.test:443"), "a.test", 443, False),
        (("*",), "a.test", 443, True),
        (("127.0.0.1",), "127.0.0.1", 443, False),
        (("127.0.0.1:1",), "127.0.0.1", 443, True),
        (("::1",), "::1", 443, False),
        (("[::1]",), "::1", 443, False),
        (("[::1]:443",), "::1", 443, False),
        (("[::1]:444",), "::1", 443, True),
        (("münchen.test",), "xn--mnchen-3ya.test", 443, False),
        (("münchen.test:443",), "xn--mnchen-3ya.test", 443, False),
    ],
)
def test_whose_certificates_are_checked(ignored: tuple[str, ...] | bool, host: str, port: int, verified: bool) -> None:
    assert options(ignore_tls_errors=ignored).verifies(host, port) is verified


FILES = {name: {"pfx": name} for name in ("all", "host", "port", "v6", "idn")}
CERTIFICATES = {
    "*": FILES["all"],
    "A.test": FILES["host"],
    "a.test:8443": FILES["port"],
    "[::1]:443": FILES["v6"],
    "münchen.test": FILES["idn"],
}


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("a.test", 8443, "port"),
        ("A.TEST.", 8443, "port"),
        ("a.test", 443, "host"),
        ("x.a.test", 443, "all"),
        ("::1", 443, "v6"),
        ("::1", 444, "all"),
        ("xn--mnchen-3ya.test", 443, "idn"),
    ],
)
def test_the_certificate_for_a_server_is_the_one_that_names_it_best(host: str, port: int, name: str) -> None:
    assert options(client_certificates=CERTIFICATES).certificate_for(host, port) == FILES[name]


def test_a_server_that_no_certificate_is_for_gets_none() -> None:
    assert options().certificate_for("a.test", 443) is None
    assert options(client_certificates={"b.test": FILES["host"]}).certificate_for("a.test", 443) is None


def test_equal_options_are_two() -> None:
    assert options() != options()
