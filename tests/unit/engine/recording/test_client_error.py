"""What is recorded of a request that could not be parsed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import PLAIN, ConnectionContext
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.client_error import FaultyRequest, partial_request
from mockrec.engine.wire.parts import Fault

PEER = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 50000, 8000)
CERTAIN = {"id", "rawHeaders", "remoteIpAddress", "remotePort", "timingEvents", "tags"}


def partial(
    raw: bytes = b"",
    exchange: Any = None,
    *,
    context: ConnectionContext = PLAIN,
    fields: Any = (),
    version: str = "",
    tls: Any = None,
) -> dict[str, Any]:
    peer = replace(PEER, tls=tls)
    broken = FaultyRequest("i", peer, Fault("X", raw=raw, raw_headers=fields), context, version, exchange)
    return partial_request(broken, BodyEncoder("decoded", 64), {}, ["t"])


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", {}),
        (b"\x16\x03\x01\x02\x00", {}),
        (b"GET", {}),
        (b"?? ??", {}),
        (b"GET ", {"method": "GET", "protocol": "http"}),
        (b"get /x HTTP/1.1", {"method": "get", "path": "/x", "httpVersion": "1.1", "protocol": "http"}),
        (b"A-METHOD-THAT-IS-LONG /x", {"method": "A-METHOD-THAT-I", "path": "/x", "protocol": "http"}),
        (b"GET x HTTP/3.0\r\n", {"method": "GET", "path": "x", "httpVersion": "3.0", "protocol": "http"}),
        (b"GET /a b HTTP/1.1\r\n", {"method": "GET", "path": "/a b", "httpVersion": "1.1", "protocol": "http"}),
        (
            b"GET HTTPS://h/x?y HTTP/1.1\r\n",
            {
                **{"method": "GET", "protocol": "https", "url": "HTTPS://h/x?y", "path": "/x?y", "httpVersion": "1.1"},
                "destination": {"hostname": "h", "port": 443},
            },
        ),
        (
            b"GET http://h HTTP/1.1",
            {
                **{"method": "GET", "protocol": "http", "url": "http://h", "path": "/", "httpVersion": "1.1"},
                "destination": {"hostname": "h", "port": 80},
            },
        ),
        (
            b"CONNECT a.test:99999 HTTP/1.1\r\nHost: a.test:99999\r\n\r\n",
            {"method": "CONNECT", "protocol": "http", "httpVersion": "1.1"},
        ),
        (
            b"CONNECT a.test:443 HTTP/1.1\r\n\r\n",
            {
                **{"method": "CONNECT", "protocol": "http", "httpVersion": "1.1"},
                "destination": {"hostname": "a.test", "port": 443},
            },
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
            {"method": "GET", "protocol": "http", "httpVersion": "1.1", "path": "/"},
        ),
    ],
)
def test_what_the_request_line_shows(raw: bytes, found: dict[str, Any]) -> None:
    record = partial(raw)
    assert {key: value for key, value in record.items() if key not in CERTAIN | {"rawHead", "headers"}} == found
    assert record["id"] == "i"
    assert record["remoteIpAddress"] == "127.0.0.1"
    assert record["remotePort"] == 50000
    assert record["tags"] == ["t"]
    assert ("rawHead" in record) == bool(raw)


def test_lines_that_look_like_header_fields() -> None:
    record = partial(b"GET / HTTP/1.1\nHost: h.test\r\nno colon\r\nA:\t1 \r\na: 2\r\n\r\n")
    assert record["rawHeaders"] == [["Host", "h.test"], ["A", "1"], ["a", "2"]]
    assert record["headers"] == {"host": "h.test", "a": "1, 2"}
    assert record["url"] == "http://h.test/"


def test_the_bytes_are_kept_up_to_the_limit() -> None:
    assert partial(b"\xff" * 10)["rawHead"]["size"] == 10
    assert partial(b"x" * 100)["rawHead"] == {"size": 100, "text": "x" * 64, "truncated": True}


def test_the_request_of_a_broken_exchange_is_logged_as_parsed(stage: Any) -> None:
    exchange = stage.exchange("POST /p?q", ("X", "y"))
    record = partial(b"", exchange)
    assert record["id"] == "i"
    assert record["url"] == "http://example.test/p?q"
    assert record["path"] == "/p?q"
    assert record["headers"] == {"host": "example.test", "x": "y"}
    assert record["destination"] == {"hostname": "example.test", "port": 80}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([["x", "y"]], {}),
        ([[":method", "A-METHOD-THAT-IS-LONG"]], {"method": "A-METHOD-THAT-I"}),
        ([[":path", "/a"], [":path", "/b"]], {"path": "/a"}),
        (
            [[":scheme", "HTTPS"], [":authority", "a.test"], [":path", "/a"]],
            {
                **{"protocol": "https", "path": "/a", "url": "https://a.test/a"},
                "destination": {"hostname": "a.test", "port": 443},
            },
        ),
        ([[":method", "CONNECT"], [":authority", "a.test:99999"]], {"method": "CONNECT"}),
    ],
)
def test_what_the_fields_of_http2_show(fields: list[list[str]], found: dict[str, Any]) -> None:
    record = partial(fields=fields)
    assert {key: value for key, value in record.items() if key not in CERTAIN | {"headers"}} == {
        **{"httpVersion": "2.0", "protocol": "http"},
        **found,
    }
    assert record["rawHeaders"] == fields and set(record["headers"]) == {name for name, _ in fields}


def test_what_the_connection_determines() -> None:
    tls = {"sniHostname": "a.test"}
    context = ConnectionContext("https", ("a.test", 8443), "a.test")
    tunnel = {"protocol": "https", "destination": {"hostname": "a.test", "port": 8443}, "tlsMetadata": tls}
    nothing = partial(b"\x00", context=context, tls=tls)
    assert nothing.items() >= tunnel.items() and "method" not in nothing
    assert partial(version="2.0", context=context, tls=tls).items() >= {**tunnel, "httpVersion": "2.0"}.items()
    bad = partial(b"GET /x HTTP/1.1\r\nHost: a.test\r\nb c: d\r\n\r\n", context=context, tls=tls)
    assert bad.items() >= {**tunnel, "url": "https://a.test:8443/x", "method": "GET"}.items()
    direct = partial(b"GET /x HTTP/1.1\r\nb c: d\r\n\r\n", context=ConnectionContext("https", None, "b.test"))
    assert direct["url"] == "https://b.test/x"
    assert partial(b"GET / HTTP/1.1\r\nHost: z\r\nb c\r\n")["protocol"] == "http"
