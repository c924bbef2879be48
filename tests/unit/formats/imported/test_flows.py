"""Flow files of mitmproxy: exchanges from flows in new and old formats, and damaged files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.imported import tnetstring
from mockrec.formats.schema.errors import SessionError

Read = Callable[[bytes | str], Any]
START = 1_795_000_000.5


def dumped(value: Any) -> bytes:
    """Encode a value as mitmproxy does."""
    match value:
        case None:
            raw, tag = b"", b"~"
        case bool():
            raw, tag = str(value).lower().encode(), b"!"
        case int():
            raw, tag = str(value).encode(), b"#"
        case float():
            raw, tag = repr(value).encode(), b"^"
        case bytes():
            raw, tag = value, b","
        case str():
            raw, tag = value.encode(), b";"
        case dict():
            raw, tag = b"".join(dumped(key) + dumped(one) for key, one in value.items()), b"}"
        case _:
            raw, tag = b"".join(map(dumped, value)), b"]"
    return b"%d:%s%s" % (len(raw), raw, tag)


def flow(**changes: Any) -> dict[str, Any]:
    """Make a flow of format 21; keywords change its members, or those of its request and response."""
    made: dict[str, Any] = {
        "request": {
            "host": "a.test",
            "port": 8080,
            "method": b"POST",
            "scheme": b"http",
            "authority": b"",
            "path": b"/x?y=1",
            "http_version": b"HTTP/1.1",
            "headers": [[b"Host", b"a.test:8080"], [b"X-Name", b"caf\xe9"]],
            "content": b"sent",
            "trailers": None,
            "timestamp_start": START,
            "timestamp_end": START + 0.01,
        },
        "response": {
            "status_code": 201,
            "reason": b"Created",
            "http_version": b"HTTP/1.1",
            "headers": [[b"Set-Cookie", b"a=1"], [b"Set-Cookie", b"b=2"]],
            "content": b"\x00\xff",
            "trailers": [[b"X-T", b"end"]],
            "timestamp_start": START + 0.1,
            "timestamp_end": START + 0.25,
        },
        "client_conn": {"id": "c1", "peername": ["10.0.0.1", 5000]},
        "error": None,
        "id": "f1",
        "metadata": {},
        "type": "http",
        "version": 21,
        "websocket": None,
    }
    for key, value in changes.items():
        known = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = {**made[key], **value} if known else value
    return made


def test_everything_of_a_flow(read: Read) -> None:
    made = read(dumped(flow()))
    request, response = made.one("request"), made.one("response")
    assert (request["method"], request["url"]) == ("POST", "http://a.test:8080/x?y=1")
    assert request["rawHeaders"] == [["Host", "a.test:8080"], ["X-Name", "caf\xe9"]]
    assert (request["remoteIpAddress"], request["remotePort"]) == ("10.0.0.1", 5000)
    assert request["timingEvents"]["startTime"] == START * 1000
    assert (response["statusCode"], response["statusMessage"], response["duration"]) == (201, "Created", 250.0)
    assert response["rawHeaders"] == [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]
    assert response["rawTrailers"] == [["X-T", "end"]]
    assert (made.body("request"), made.body("response")) == (b"sent", b"\x00\xff")
    assert (made.problems, made.notes, made.torn) == ([], [], "")


def test_flows_of_one_client_are_on_one_connection(read: Read) -> None:
    other = flow(id="f3", client_conn={"id": "c2"})
    made = read(dumped(flow()) + dumped(flow(id="f2")) + dumped(other))
    first, second, third = (record["connectionId"] for record in made.all("request"))
    assert first == second != third


@pytest.mark.parametrize(
    ("request_", "url"),
    [
        ({"scheme": b"https", "port": 443, "headers": []}, "https://a.test/x?y=1"),
        ({"host": "10.0.0.9", "port": 443, "scheme": b"https"}, "https://a.test/x?y=1"),
        ({"host": "10.0.0.9", "port": 80, "headers": [], "authority": b"b.test:80"}, "http://b.test/x?y=1"),
        ({"host": "::1", "port": 81, "headers": []}, "http://[::1]:81/x?y=1"),
    ],
)
def test_where_a_request_went(read: Read, request_: dict[str, Any], url: str) -> None:
    assert read(dumped(flow(request=request_))).one("request")["url"] == url


def test_bodies_are_decoded(read: Read) -> None:
    coded = gzip.compress(b"text", mtime=0)
    response = {"headers": [[b"Content-Encoding", b"gzip"]], "content": coded}
    body = read(dumped(flow(response=response))).one("response")["body"]
    assert body == {"size": 4, "text": "text", "contentEncoding": "gzip", "encodedSize": len(coded)}
    body = read(dumped(flow(response={**response, "content": coded[:10]}))).one("response")["body"]
    assert body["undecodable"] is True
    body = read(dumped(flow(response={"content": None}))).one("response")["body"]
    assert body["truncated"] is True


def test_a_flow_that_failed(read: Read) -> None:
    failed = flow(response=None, error={"msg": "Connection refused", "timestamp": START + 1})
    abort = read(dumped(failed)).one("abort")
    assert (abort["error"], abort["duration"]) == ({"message": "Connection refused"}, 1000.0)


MESSAGES = [[1, True, b"hello", START + 1, False, False], [2, False, b"\x00\xff", START + 2, True, False]]


def conversation(made: Any) -> list[tuple[str, Any]]:
    kinds = ("websocket-message-received", "websocket-message-sent")
    return [(record["type"][18:], record["content"]) for record in made.records if record["type"] in kinds]


EXPECTED = [("received", {"size": 5, "text": "hello"}), ("sent", {"size": 2, "base64": "AP8="})]
HANDSHAKE = {"status_code": 101, "content": b"", "headers": [], "trailers": None}


def test_a_websocket(read: Read) -> None:
    websocket = {"messages": MESSAGES, "closed_by_client": True, "close_code": 1000, "close_reason": "bye"}
    made = read(dumped(flow(response=HANDSHAKE, websocket=websocket)))
    assert conversation(made) == EXPECTED
    close = made.one("websocket-close")
    assert (close["closeCode"], close["closeReason"]) == (1000, "bye")
    assert made.problems == [
        "messages of 1 flow were dropped by mitmproxy; they are kept as if they had been passed on"
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_a_websocket_in_two_flows(read: Read, turned: bool) -> None:
    """Formats before 12 have two flows, in either order."""
    handshake = flow(version=7, response=HANDSHAKE, metadata={"websocket": True})
    messages = {
        "type": "websocket",
        "version": 7,
        "id": "f2",
        "metadata": {"websocket_handshake": "f1"},
        "messages": MESSAGES[:1],
        "close_code": 1001,
        "close_sender": "client",
    }
    both = [dumped(handshake), dumped(messages)]
    made = read(b"".join(reversed(both) if turned else both))
    assert conversation(made) == EXPECTED[:1]
    assert made.problems == []


def test_a_flow_of_mitmproxy_0_10(read: Read) -> None:
    old = {
        b"version": [0, 10],
        b"type": b"http",
        b"request": {
            b"host": b"a.test",
            b"port": 80,
            b"method": b"GET",
            b"scheme": b"http",
            b"path": b"/",
            b"httpversion": [1, 0],
            b"headers": [[b"Host", b"a.test"]],
            b"content": b"",
            b"timestamp_start": START,
        },
        b"response": {b"code": 200, b"msg": b"OK", b"headers": [], b"content": b"ok", b"timestamp_end": START + 1},
        b"client_conn": {b"address": {b"address": [b"127.0.0.1", 1234], b"use_ipv6": False}},
    }
    made = read(dumped(old))
    request, response = made.one("request"), made.one("response")
    assert (request["url"], request["httpVersion"], request["remotePort"]) == ("http://a.test/", "1.0", 1234)
    assert (response["statusCode"], response["statusMessage"], response["duration"]) == (200, "OK", 1000.0)


def test_left_out_flows_are_reported_once(read: Read) -> None:
    others = [{"type": "tcp", "version": 21}, {"type": "tcp", "version": 21}, {"type": "dns", "version": 21}, ["x"]]
    kept = [flow(comment="why", marked=":x:"), flow(comment="because"), flow(request={"host": "", "headers": []})]
    made = read(b"".join(map(dumped, [*kept, *others])))
    assert len(made.all("response")) == 2
    assert made.problems == [
        "flow 2 is left out: it has no host",
        "flow 6 is left out: it is no mapping",
        "1 dns flow left out: a session has exchanges of HTTP and WebSockets",
        "the comment of 2 flows is not kept",
        "the mark of 1 flow is not kept",
        "2 tcp flows left out: a session has exchanges of HTTP and WebSockets",
    ]


def test_a_file_that_ends_in_a_flow(read: Read) -> None:
    made = read(dumped(flow()) + dumped(flow())[:-20])
    assert (len(made.all("response")), made.torn) == (1, "the file ends in flow 1")


def test_a_newer_format(read: Read) -> None:
    with pytest.raises(SessionError, match="flow 0 has mitmproxy's flow format 22, this mockrec reads up to 21"):
        read(dumped(flow(version=22)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"999999999999:7:version;", r"^old: flow 0 \(byte 0\): a flow of more than 512 MiB is refused"),
        (dumped(flow()) + b"x", r"^old: flow 1 \(byte \d+\): expected its length, found b'x'"),
        (b"14:4:type;9:http;}", "flow 0 .* is damaged: the length at byte 10 of it is more than there is"),
        (b"10:4:type;0:?}", "flow 0 .* is damaged: expected a value of type '\\?' at byte 12 of it"),
        (b"7:4:type;}", "flow 0 .* is damaged: the mapping that ends at byte 9 of it has a key without a value"),
    ],
)
def test_damaged_files(read: Read, data: bytes, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        read(data)


def test_depth_is_bounded_and_costs_no_stack() -> None:
    value: list[Any] = []
    for _ in range(60):
        value = [value]
    assert tnetstring.parse(dumped(value)) == value
    deep = b"0:]"
    for _ in range(3_000):
        deep = b"%d:%s]" % (len(deep), deep)
    with pytest.raises(ValueError, match="nested more than 64 levels deep"):
        tnetstring.parse(deep)


@pytest.mark.parametrize("value", [None, True, False, 0, -12, 1.5, b"", b"\x00:,", "é", [], {}, [1, [b"x"], {"a": []}]])
def test_values(value: Any) -> None:
    assert tnetstring.parse(dumped(value)) == value
