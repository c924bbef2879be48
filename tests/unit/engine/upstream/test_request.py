"""A request in the words of HTTP/1 and of HTTP/2."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import Route


def asked(*fields: tuple[str, str], pseudo: tuple[str, ...] = (), **more: Any) -> UpstreamRequest:
    route = Route(True, more.pop("host", "b.test"), more.pop("port", 443), "b.test", None, ())  # type: ignore[arg-type]
    told = {"protocol": "https", "method": "GET", "target": "/a?b", **more}
    return UpstreamRequest(route=route, raw_headers=[list(pair) for pair in fields], pseudo=pseudo, **told)


PSEUDO = (":method", ":authority", ":scheme", ":path")


def test_fields_of_a_client_of_http1_stay_as_they_are() -> None:
    fields = [("Host", "b.test"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("TE", "trailers")]
    assert asked(*fields).for_http1() == [list(pair) for pair in fields]


def test_cookies_that_http2_has_cut_are_one_for_http1() -> None:
    request = asked(("Host", "b.test"), ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), pseudo=PSEUDO)
    assert request.for_http1() == [["Host", "b.test"], ["x", "y"], ["cookie", "a=1; b=2"]]
    assert asked(("cookie", "a=1"), pseudo=PSEUDO).for_http1() == [["cookie", "a=1"]]


def test_trailers_that_http2_may_send_are_of_the_connection_for_http1() -> None:
    assert asked(("te", "trailers"), pseudo=PSEUDO).for_http1() == [["te", "trailers"], ["connection", "TE"]]


def test_pseudo_fields_come_in_the_order_of_the_client() -> None:
    request = asked(("Host", "b.test:1"), ("X-A", "1"), ("x-a", "2"), pseudo=PSEUDO)
    assert request.for_http2() == [
        [":method", "GET"],
        [":authority", "b.test:1"],
        [":scheme", "https"],
        [":path", "/a?b"],
        ["x-a", "1"],
        ["x-a", "2"],
    ]
    assert [name for name, _ in asked().for_http2()] == [":method", ":scheme", ":authority", ":path"]
    assert next(name for name, _ in asked(pseudo=(":path", ":protocol")).for_http2()) == ":path"


def test_nothing_of_a_connection_of_http1_goes_into_http2() -> None:
    of_a_connection = [("Connection", "TE"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "1"), ("Upgrade", "x")]
    request = asked(("Host", "b.test"), *of_a_connection, ("TE", "trailers"))
    assert request.for_http2()[4:] == [["te", "trailers"]]


def test_what_http2_cannot_carry() -> None:
    with pytest.raises(UpstreamError, match="HTTP/2 cannot carry this request: .*'a b'") as caught:
        asked(("a b", "1")).for_http2()
    assert caught.value.code == "ERR_HTTP2_INVALID_HEADER_VALUE"


def test_websockets() -> None:
    fields = [("Host", "b.test"), ("Sec-WebSocket-Key", "abc"), ("Upgrade", "h2c"), ("Sec-WebSocket-Version", "13")]
    request = asked(*fields, protocol="https")
    assert request.websocket_for_http1() == [
        ["Host", "b.test"],
        ["Sec-WebSocket-Key", "abc"],
        ["Sec-WebSocket-Version", "13"],
        ["Connection", "Upgrade"],
        ["Upgrade", "websocket"],
    ]
    assert request.websocket_for_http2() == [
        [":protocol", "websocket"],
        [":method", "CONNECT"],
        [":scheme", "https"],
        [":authority", "b.test"],
        [":path", "/a?b"],
        ["sec-websocket-version", "13"],
    ]
    assert request.method == "GET"


@pytest.mark.parametrize(
    ("port", "target", "url"),
    [(443, "/a", "https://b.test/a"), (8443, "/a", "https://b.test:8443/a"), (443, "*", "https://b.test")],
)
def test_the_url(port: int, target: str, url: str) -> None:
    assert asked(port=port, target=target).url == url
