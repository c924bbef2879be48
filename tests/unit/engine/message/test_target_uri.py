"""Target URIs: URL and destination from request target, Host, tunnel and TLS."""

from __future__ import annotations

import pytest

from mockrec.engine.message.target_uri import ConnectionContext, TargetUri, read_target_uri
from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead

LOCAL_PORT = 8000


def head_of(target: str, *fields: bytes, version: str = "1.1") -> RequestHead:
    head = read_head(b"\r\n".join([f"GET {target} HTTP/{version}".encode(), *fields, b"", b""]))
    assert isinstance(head, RequestHead), head
    head.target_uri = None  # heads are shared between tests
    return head


def located(target: str, host: bytes | str = b"a.test", *fields: bytes) -> TargetUri | str:
    host = host.encode() if isinstance(host, str) else host
    return read_target_uri(head_of(target, b"Host: " + host, *fields), LOCAL_PORT)


def address(target: str, host: bytes | str = b"a.test", *fields: bytes) -> TargetUri:
    found = located(target, host, *fields)
    assert isinstance(found, TargetUri), found
    return found


# ── origin-form ────────────────────────────────────────────────────────────────────────────────────


def test_an_origin_form_target_is_completed_from_host() -> None:
    found = address("/a/b?c=d", "Shop.Test:8080")
    assert (found.protocol, found.hostname, found.port, found.host) == ("http", "shop.test", 8080, "shop.test:8080")
    assert found.url == found.matched_url == "http://shop.test:8080/a/b?c=d"
    assert found.path == "/a/b?c=d"
    assert found.destination == {"hostname": "shop.test", "port": 8080}


@pytest.mark.parametrize(
    ("host", "port", "shown"),
    [
        ("a.test", 80, "a.test"),
        ("a.test:80", 80, "a.test"),
        ("a.test:", 80, "a.test"),
        ("a.test:0080", 80, "a.test"),
        ("a.test:443", 443, "a.test:443"),
        ("a.test:0", 0, "a.test:0"),
        ("a.test:65535", 65535, "a.test:65535"),
    ],
)
def test_the_default_port_is_not_shown(host: str, port: int, shown: str) -> None:
    found = address("/", host)
    assert (found.port, found.host, found.url) == (port, shown, f"http://{shown}/")


def test_the_default_port_is_the_protocols() -> None:
    found = read_target_uri(head_of("/", b"Host: a.test:443"), LOCAL_PORT, ConnectionContext("https"))
    assert isinstance(found, TargetUri)
    assert (found.url, found.port) == ("https://a.test/", 443)
    found = read_target_uri(head_of("/", b"Host: a.test"), LOCAL_PORT, ConnectionContext("https"))
    assert isinstance(found, TargetUri)
    assert (found.url, found.port) == ("https://a.test/", 443)


@pytest.mark.parametrize("fields", [(), (b"Host:",), (b"Host: ",)])
def test_without_a_host_the_server_is_meant(fields: tuple[bytes, ...]) -> None:
    found = read_target_uri(head_of("/x", *fields, version="1.0"), LOCAL_PORT)
    assert isinstance(found, TargetUri)
    assert (found.url, found.destination) == ("http://localhost:8000/x", {"hostname": "localhost", "port": 8000})


def test_without_a_host_the_local_port_counts() -> None:
    head = head_of("/x", version="1.0")
    for port in (8000, 9000):
        found = read_target_uri(head, port)
        assert isinstance(found, TargetUri)
        assert found.port == port


@pytest.mark.parametrize(
    ("target", "normal"),
    [
        ("/", "/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/../../a", "/a"),
        ("/..", "/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/...", "/a/..."),
        ("/.a/b..", "/.a/b.."),
        ("/%2", "/%2"),
        ("/a/%2f../b", "/a/%2f../b"),
        ("//a//b", "//a//b"),
        ("/a//../b", "/a/b"),
        ("/a/..?b=/../c", "/?b=/../c"),
        ("/caf%c3%a9/%61", "/caf%c3%a9/%61"),
        ('/a"<>`{}', "/a%22%3C%3E%60%7B%7D"),
        ("/a|b^[c]'d", "/a|b^[c]'d"),
        ("/?", "/?"),
        ("/?a=b&a=c?d", "/?a=b&a=c?d"),
        ('/?a="<>', "/?a=%22%3C%3E"),
    ],
)
def test_a_target_is_normalised_in_the_url_and_unchanged_in_the_path(target: str, normal: str) -> None:
    found = address(target)
    assert found.url == found.matched_url == f"http://a.test{normal}"
    assert found.path == target


def test_the_destination_of_a_tunnel_is_its_target() -> None:
    head = read_head(b"CONNECT B.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n")
    assert isinstance(head, RequestHead)
    found = read_target_uri(head, LOCAL_PORT)
    assert isinstance(found, TargetUri)
    assert found.destination == {"hostname": "b.test", "port": 443}
    assert (found.url, found.path) == ("http://b.test:443", "B.test:443")


def test_an_asterisk_has_no_path_in_the_url() -> None:
    found = address("*")
    assert (found.url, found.path) == ("http://a.test", "*")


# ── hosts ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("MÜNCHEN.test", "xn--mnchen-3ya.test"),
        ("SHOP.MÜNCHEN.TEST", "shop.xn--mnchen-3ya.test"),
        ("日本.test:81", "xn--wgv71a.test"),
        ("xn--mnchen-3ya.test", "xn--mnchen-3ya.test"),
        ("ａ.test", "a.test"),
        ("a_b.test", "a_b.test"),
        ("a.test.", "a.test."),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[2001:DB8::A]:8080", "[2001:db8::a]"),
    ],
)
def test_a_hostname_has_one_form(host: str, name: str) -> None:
    assert address("/", host).hostname == name


def test_an_ipv6_destination_has_no_brackets() -> None:
    found = address("/", "[::1]:8080")
    assert (found.url, found.host) == ("http://[::1]:8080/", "[::1]:8080")
    assert found.destination == {"hostname": "::1", "port": 8080}


@pytest.mark.parametrize(
    "host",
    [
        "a^1",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a%41",
        "a|b",
        "a<b",
        "a\\b",
        'a"b',
        "user@a.test",
        ":80",
        "@",
        "[",
        "[]",
        "[1]",
        "[::1",
        "::1]",
        "[:::]",
        "[1.2.3.4]",
        "[::1]a",
        "[::g]",
        "[fe80::1%25en0]",
        "℀.test",
        "a／b.test",
        b"\xff\xfe.test",
        b"caf\xe9.test",
        "ü" * 80,
    ],
)
def test_a_host_that_is_invalid_in_a_url_is_refused(host: bytes | str) -> None:
    assert located("/", host) == "ERR_INVALID_URL"


@pytest.mark.parametrize("port", ["x", "8o", "-1", "+1", "65536", "100000", "80:80", "8 0", "²"])
def test_a_port_that_is_no_number_is_refused(port: str) -> None:
    assert located("/", f"a.test:{port}") == "PREPROCESSING_FAILED"
    if port.isascii() and " " not in port:
        assert located(f"http://b.test:{port}/") == "PREPROCESSING_FAILED"


def test_a_password_in_host_is_taken_for_a_port_and_refused() -> None:
    assert located("/", "user:secret@a.test") == "PREPROCESSING_FAILED"


# ── absolute-form ──────────────────────────────────────────────────────────────────────────────────


def test_an_absolute_target_is_used_as_it_is() -> None:
    found = address("http://B.test:8080/a/../c?d", "other.test:99")
    assert found.url == "http://B.test:8080/a/../c?d"
    assert found.matched_url == "http://b.test:8080/c?d"
    assert found.path == "/a/../c?d"
    assert (found.hostname, found.port) == ("b.test", 8080)


@pytest.mark.parametrize(
    ("target", "protocol", "port", "path"),
    [
        ("http://b.test", "http", 80, "/"),
        ("HTTP://b.test/", "http", 80, "/"),
        ("https://b.test/x", "https", 443, "/x"),
        ("http://b.test?a=b", "http", 80, "/?a=b"),
        ("http://b.test#c", "http", 80, "/#c"),
        ("ws://b.test/", "ws", 80, "/"),
        ("ftp://b.test/", "ftp", 80, "/"),
    ],
)
def test_an_absolute_target_names_protocol_and_path(target: str, protocol: str, port: int, path: str) -> None:
    found = address(target)
    assert (found.protocol, found.port, found.path) == (protocol, port, path)
    assert found.url == target
    assert found.matched_url == f"{protocol}://b.test{path}"


def test_userinfo_is_kept_in_the_url_alone() -> None:
    found = address("http://user:secret@b.test:81/")
    assert (found.hostname, found.port, found.host) == ("b.test", 81, "b.test:81")
    assert found.url == "http://user:secret@b.test:81/"
    assert found.matched_url == "http://b.test:81/"


@pytest.mark.parametrize(
    "target", ["http:///a", "http://", "http://?a", "http://user@/", "http://:80/", "http://a@b@c/"]
)
def test_an_absolute_target_without_a_host_is_refused(target: str) -> None:
    assert located(target) == "ERR_INVALID_URL"


def test_fields_for_a_proxy_are_dropped_from_a_proxied_request() -> None:
    fields = [b"Proxy-Authorization: Basic x", b"X-A: 1", b"PROXY-Connection: keep-alive", b"x-a: 2"]
    found = address("http://b.test/", "b.test", *fields)
    assert found.raw_headers == [["Host", "b.test"], ["X-A", "1"], ["x-a", "2"]]
    assert found.headers == {"host": "b.test", "x-a": "1, 2"}


def test_fields_for_a_proxy_are_kept_in_a_direct_request() -> None:
    found = address("/", "b.test", b"Proxy-Connection: keep-alive")
    assert found.headers == {"host": "b.test", "proxy-connection": "keep-alive"}


def test_the_head_itself_is_not_changed() -> None:
    head = head_of("http://b.test/", b"Host: b.test", b"Proxy-Connection: a")
    read_target_uri(head, LOCAL_PORT)
    assert head.headers == {"host": "b.test", "proxy-connection": "a"}


# ── upgrades, and what is remembered ───────────────────────────────────────────────────────────────

UPGRADE = (b"Connection: Upgrade", b"Upgrade: WebSocket")


@pytest.mark.parametrize(("spoken", "protocol"), [("http", "ws"), ("https", "wss")])
def test_a_websocket_upgrade_has_its_own_protocol(spoken: str, protocol: str) -> None:
    found = read_target_uri(head_of("/chat", b"Host: a.test", *UPGRADE), LOCAL_PORT, ConnectionContext(spoken))
    assert isinstance(found, TargetUri)
    assert (found.protocol, found.url) == (protocol, f"{protocol}://a.test/chat")
    assert found.port == (443 if spoken == "https" else 80)


def test_another_upgrade_does_not() -> None:
    assert address("/", "a.test", b"Connection: upgrade", b"Upgrade: h2c").protocol == "http"


def test_an_upgrade_with_a_body_is_a_plain_request() -> None:
    assert address("/", "a.test", *UPGRADE, b"Content-Length: 1").protocol == "http"


def test_equal_heads_share_a_target_uri() -> None:
    head = head_of("/", b"Host: a.test")
    assert read_target_uri(head, LOCAL_PORT) is read_target_uri(head, LOCAL_PORT)


def test_equal_heads_of_other_connections_have_target_uris_of_their_own() -> None:
    head = head_of("/", b"Host: a.test")
    urls = [
        found.url
        for spoken in ("http", "https", "http")
        if isinstance(found := read_target_uri(head, 1, ConnectionContext(spoken)), TargetUri)
    ]
    assert urls == ["http://a.test/", "https://a.test/", "http://a.test/"]


# ── tunnels and TLS ────────────────────────────────────────────────────────────────────────────────

TunnelTarget = tuple[str, int | None]


def through(
    target: str = "/x",
    host: str | None = "a.test",
    *fields: bytes,
    tunnel: TunnelTarget | None = None,
    tls: bool = False,
    sni: str | None = None,
) -> TargetUri | str:
    """The address of a request that came through a tunnel, inside TLS or not."""
    lines = () if host is None else (f"Host: {host}".encode(),)
    head = head_of(target, *lines, *fields, version="1.1" if host is not None else "1.0")
    return read_target_uri(head, LOCAL_PORT, ConnectionContext("https" if tls else "http", tunnel, sni))


V4, V6 = "192.0.2.7", "2001:db8::7"


@pytest.mark.parametrize(
    ("tunnel", "tls", "sni", "host", "url", "destination"),
    [
        # A tunnel to a name: it is the name, and its port the port, whatever Host and SNI say.
        (("t.test", 443), True, "t.test", "t.test", "https://t.test/x", ("t.test", 443)),
        (("t.test", 443), True, "s.test", "h.test", "https://t.test/x", ("t.test", 443)),
        (("t.test", 8443), True, "t.test", "t.test", "https://t.test:8443/x", ("t.test", 8443)),
        (("t.test", 8443), True, None, "t.test:9999", "https://t.test:8443/x", ("t.test", 8443)),
        (("t.test", 443), True, None, None, "https://t.test/x", ("t.test", 443)),
        (("t.test", 80), False, None, "h.test", "http://t.test/x", ("t.test", 80)),
        (("t.test", 443), False, None, "t.test", "http://t.test:443/x", ("t.test", 443)),
        (("t.test", 80), True, None, "t.test", "https://t.test:80/x", ("t.test", 80)),
        (("T.Test", 80), False, None, None, "http://t.test/x", ("t.test", 80)),
        (("t.test", 80), False, None, "not a host", "http://t.test/x", ("t.test", 80)),
        # A tunnel to an address: the name is Host's, or else SNI's, or else there is none; the address stays the
        # destination.
        ((V4, 443), True, "s.test", "h.test", "https://h.test/x", (V4, 443)),
        ((V4, 443), True, "s.test", "h.test:9999", "https://h.test/x", (V4, 443)),
        ((V4, 8443), True, "s.test", "h.test", "https://h.test:8443/x", (V4, 8443)),
        ((V4, 443), True, "S.Test", None, "https://s.test/x", (V4, 443)),
        ((V4, 443), True, "s.test", "", "https://s.test/x", (V4, 443)),
        ((V4, 443), True, None, None, f"https://{V4}/x", (V4, 443)),
        ((V4, 80), False, None, "h.test", "http://h.test/x", (V4, 80)),
        ((V4, 80), False, None, "192.0.2.8", "http://192.0.2.8/x", (V4, 80)),
        ((V4, 8080), False, None, None, f"http://{V4}:8080/x", (V4, 8080)),
        ((V6, 443), True, "s.test", None, "https://s.test/x", (V6, 443)),
        ((V6, 443), True, None, None, f"https://[{V6}]/x", (V6, 443)),
        ((V6, 8080), False, None, None, f"http://[{V6}]:8080/x", (V6, 8080)),
        ((V6, 80), False, None, f"[{V6}]:99", f"http://[{V6}]/x", (V6, 80)),
        # A tunnel without a port has the protocol's.
        (("t.test", None), False, None, "t.test:99", "http://t.test/x", ("t.test", 80)),
        (("t.test", None), True, "t.test", "t.test:99", "https://t.test/x", ("t.test", 443)),
        ((V4, None), True, "s.test", None, "https://s.test/x", (V4, 443)),
        # No tunnel: Host, or else SNI, or else this server.
        (None, True, "s.test", "h.test", "https://h.test/x", ("h.test", 443)),
        (None, True, "s.test", "h.test:8443", "https://h.test:8443/x", ("h.test", 8443)),
        (None, True, "S.Test", None, "https://s.test/x", ("s.test", 443)),
        (None, True, None, None, "https://localhost:8000/x", ("localhost", 8000)),
        (None, False, None, None, "http://localhost:8000/x", ("localhost", 8000)),
    ],
)
def test_the_target_uri_in_tunnels_and_behind_tls(
    tunnel: TunnelTarget | None,
    tls: bool,
    sni: str | None,
    host: str | None,
    url: str,
    destination: tuple[str, int],
) -> None:
    found = through("/x", host, tunnel=tunnel, tls=tls, sni=sni)
    assert isinstance(found, TargetUri), found
    assert found.url == found.matched_url == url
    assert found.destination == {"hostname": destination[0], "port": destination[1]}
    assert found.port == destination[1]
    assert not found.is_absolute


@pytest.mark.parametrize("tunnel", [("t.test", 443), (V4, 443), None])
def test_an_absolute_target_ignores_tunnel_tls_and_host(tunnel: TunnelTarget | None) -> None:
    found = through("http://b.test:81/y", "h.test", tunnel=tunnel, tls=True, sni="s.test")
    assert isinstance(found, TargetUri)
    assert (found.url, found.is_absolute, found.protocol) == ("http://b.test:81/y", True, "http")
    assert found.destination == {"hostname": "b.test", "port": 81}


@pytest.mark.parametrize(("tls", "url"), [(False, "ws://t.test/x"), (True, "wss://t.test/x")])
def test_a_websocket_in_a_tunnel_has_its_own_default_port(tls: bool, url: str) -> None:
    found = through("/x", "h.test", *UPGRADE, tunnel=("t.test", None), tls=tls)
    assert isinstance(found, TargetUri)
    assert found.url == url


@pytest.mark.parametrize(
    ("tunnel", "host", "code"),
    [
        ((V4, 80), "a b", "ERR_INVALID_URL"),
        ((V4, 80), "h.test:x", "PREPROCESSING_FAILED"),
        (("a:b", 80), "h.test", "ERR_INVALID_URL"),
        ((":::", 80), "h.test", "ERR_INVALID_URL"),
    ],
)
def test_a_tunnel_or_host_that_is_invalid_in_a_url_is_refused(tunnel: TunnelTarget, host: str, code: str) -> None:
    assert through("/x", host, tunnel=tunnel) == code


@pytest.mark.parametrize("tunnel", [(V4, 443), None])
def test_a_server_name_that_is_invalid_in_a_url_is_refused(tunnel: TunnelTarget | None) -> None:
    assert through("/x", None, tunnel=tunnel, tls=True, sni="a/b") == "ERR_INVALID_URL"


def test_equal_heads_in_other_tunnels_have_target_uris_of_their_own() -> None:
    head = head_of("/", b"Host: h.test")
    origins = [
        ConnectionContext("http", ("t.test", 80)),
        ConnectionContext("http", ("u.test", 80)),
        ConnectionContext(),
        ConnectionContext("http", (V4, 80)),
    ]
    found = [read_target_uri(head, 1, origin) for origin in (*origins, origins[0])]
    assert [one.url for one in found if isinstance(one, TargetUri)] == [
        "http://t.test/",
        "http://u.test/",
        "http://h.test/",
        "http://h.test/",
        "http://t.test/",
    ]


def test_equal_heads_without_a_host_get_the_server_name_of_their_connection() -> None:
    head = head_of("/", version="1.0")
    found = [read_target_uri(head, 1, ConnectionContext("https", None, name)) for name in ("a.test", "b.test", None)]
    assert [one.hostname for one in found if isinstance(one, TargetUri)] == ["a.test", "b.test", "localhost"]


def test_equal_contexts_share_a_target_uri() -> None:
    head = head_of("/", b"Host: h.test")
    first, second = (read_target_uri(head, 1, ConnectionContext("https", ("t.test", 1), "s")) for _ in range(2))
    assert first is second
