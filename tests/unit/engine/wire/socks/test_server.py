"""SOCKS 4, 4a and 5: every reply byte for byte, every refusal, and what the request says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.socks.server import (
    FIELD_LIMIT,
    AuthMethod,
    Refusal,
    SocksRequest,
    SocksServer,
    read_metadata_tags,
)

BOTH: tuple[AuthMethod, ...] = ("no-auth", "user-password-metadata")
METADATA_ONLY: tuple[AuthMethod, ...] = ("user-password-metadata",)
STEPS = pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
ZEROS = bytes(6)

Seen = tuple[bytes, SocksRequest | Fault | None, bytes]


def talk(raw: bytes, step: int = 10_000, methods: tuple[AuthMethod, ...] = ("no-auth",)) -> Seen:
    """All that is sent, the result, and the rest, for a client that sends `raw` in pieces of `step` bytes."""
    server, sent, result = SocksServer(methods), b"", None
    for at in range(0, len(raw), step):
        out, news = server.receive(raw[at : at + step])
        sent += out
        if news is not None:
            assert result is None, "a second result"
            result = news
    return sent, result, server.rest


def greeting(*codes: int) -> bytes:
    return bytes((5, len(codes), *codes))


def password(user: bytes, secret: bytes) -> bytes:
    return b"\x01" + bytes([len(user)]) + user + bytes([len(secret)]) + secret


def request5(kind: int, host: bytes, port: int = 443, command: int = 1) -> bytes:
    return bytes((5, command, 0, kind)) + host + port.to_bytes(2)


def named5(name: bytes, port: int = 443, command: int = 1) -> bytes:
    return request5(3, bytes([len(name)]) + name, port, command)


def request4(address: bytes, user: bytes = b"", name: bytes | None = None, port: int = 80, command: int = 1) -> bytes:
    text = b"" if name is None else name + b"\0"
    return bytes((4, command)) + port.to_bytes(2) + address + user + b"\0" + text


LOCAL = b"\x7f\0\0\x01"
IPV6 = bytes.fromhex("20010db8000000000000000000000001")


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


@STEPS
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x05\x01\x00"])
@pytest.mark.parametrize(
    ("raw", "host", "port"),
    [
        (request5(1, LOCAL), "127.0.0.1", 443),
        (request5(1, b"\xff\xff\xff\xff", 65535), "255.255.255.255", 65535),
        (request5(4, IPV6, 8443), "2001:db8::1", 8443),
        (request5(4, bytes(15) + b"\x01", 0), "::1", 0),
        (named5(b"a.test"), "a.test", 443),
        (named5(b"A_b-c.Test."), "A_b-c.Test.", 443),
        (named5(b"::1"), "::1", 443),
        (named5(b"x" * 255), "x" * 255, 443),
    ],
)
def test_socks5_without_authentication(raw: bytes, host: str, port: int, rest: bytes, step: int) -> None:
    assert talk(greeting(0) + raw + rest, step) == (b"\x05\x00", SocksRequest(5, host, port), rest)


@STEPS
@pytest.mark.parametrize("rest", [b"", b"\x16\x03\x01", b"\0\0"])
@pytest.mark.parametrize(
    ("raw", "host"),
    [
        (request4(LOCAL), "127.0.0.1"),
        (request4(LOCAL, b"somebody"), "127.0.0.1"),
        (request4(LOCAL, b"u" * FIELD_LIMIT), "127.0.0.1"),
        (request4(b"\0\0\0\0"), "0.0.0.0"),
        (request4(b"\0\0\x01\x01"), "0.0.1.1"),
        (request4(b"\0\0\0\x01", b"", b"a.test"), "a.test"),
        (request4(b"\0\0\0\xff", b"me", b"a.test"), "a.test"),
        (request4(b"\0\0\0\x01", b"u" * FIELD_LIMIT, b"n" * FIELD_LIMIT), "n" * FIELD_LIMIT),
    ],
)
def test_socks4_and_4a(raw: bytes, host: str, rest: bytes, step: int) -> None:
    assert talk(raw + rest, step) == (b"", SocksRequest(4, host, 80), rest)


def test_a_dialogue_answers_each_message() -> None:
    server = SocksServer(BOTH)
    assert server.receive(b"\x05\x02\x00") == (b"", None)
    assert server.receive(b"\x02") == (b"\x05\x00", None)
    assert server.receive(b"\x05\x01\x00\x03\x06a.tes") == (b"", None)
    assert server.rest == b""
    request = SocksRequest(5, "a.test", 80)
    assert server.receive(b"t\x00\x50early") == (b"", request)
    assert server.receive(b" data") == (b"", None)
    assert server.rest == b"early data"
    assert server.receive_eof() is None


# ── answers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "port", "v5", "v4"),
    [
        ("0.0.0.0", 0, "05000001000000000000", "005a000000000000"),
        ("127.0.0.1", 8080, "050000017f0000011f90", "005a1f907f000001"),
        ("::1", 65535, "05000004" + "00" * 15 + "01ffff", "005affff00000000"),
    ],
)
def test_a_grant_has_its_full_length(host: str, port: int, v5: str, v4: str) -> None:
    assert SocksRequest(5, "a.test", 1).accept(host, port).hex() == v5
    assert SocksRequest(4, "a.test", 1).accept(host, port).hex() == v4


def test_a_grant_need_not_name_an_address() -> None:
    assert SocksRequest(5, "a.test", 1).accept() == b"\x05\x00\x00\x01" + ZEROS
    assert SocksRequest(4, "a.test", 1).accept() == b"\x00\x5a" + ZEROS


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("general-failure", 1),
        ("not-allowed", 2),
        ("network-unreachable", 3),
        ("host-unreachable", 4),
        ("connection-refused", 5),
        ("ttl-expired", 6),
        ("command-not-supported", 7),
        ("address-type-not-supported", 8),
    ],
)
def test_a_refusal_has_its_code(reason: Refusal, code: int) -> None:
    assert SocksRequest(5, "a.test", 1).refuse(reason) == bytes((5, code, 0, 1)) + ZEROS
    assert SocksRequest(4, "a.test", 1).refuse(reason) == b"\x00\x5b" + ZEROS


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────


def no(code: int) -> bytes:
    return bytes((5, code, 0, 1)) + ZEROS


NO4 = b"\x00\x5b" + ZEROS


@STEPS
@pytest.mark.parametrize(
    ("before", "message", "code", "reply"),
    [
        (b"", b"\x06", "SOCKS_INVALID_VERSION", b""),
        (b"", b"\x00", "SOCKS_INVALID_VERSION", b""),
        (b"", greeting(), "SOCKS_NO_ACCEPTABLE_METHOD", b"\x05\xff"),
        (b"", greeting(1, 2, 0xDA), "SOCKS_NO_ACCEPTABLE_METHOD", b"\x05\xff"),
        (greeting(0), b"\x04", "SOCKS_INVALID_VERSION", b"\x05\x00" + no(1)),
        (greeting(0), request5(1, LOCAL, command=2), "SOCKS_UNSUPPORTED_COMMAND", b"\x05\x00" + no(7)),
        (greeting(0), request5(4, IPV6, command=3), "SOCKS_UNSUPPORTED_COMMAND", b"\x05\x00" + no(7)),
        (greeting(0), named5(b"a.test", command=0), "SOCKS_UNSUPPORTED_COMMAND", b"\x05\x00" + no(7)),
        (greeting(0), named5(b"", command=9), "SOCKS_UNSUPPORTED_COMMAND", b"\x05\x00" + no(7)),
        (greeting(0), named5(b""), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (greeting(0), named5(b"a b"), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (greeting(0), named5(b"a/b"), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (greeting(0), named5(b"u@a"), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (greeting(0), named5(b"a\r\n"), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (greeting(0), named5("é.test".encode()), "SOCKS_INVALID_HOST", b"\x05\x00" + no(1)),
        (b"", request4(LOCAL, command=2), "SOCKS_UNSUPPORTED_COMMAND", NO4),
        (b"", request4(b"\0\0\0\x01", b"", b""), "SOCKS_INVALID_HOST", NO4),
        (b"", request4(b"\0\0\0\x01", b"", b"a\xff"), "SOCKS_INVALID_HOST", NO4),
    ],
)
def test_a_fault_is_answered_and_ends_it(before: bytes, message: bytes, code: str, reply: bytes, step: int) -> None:
    expected = (reply, Fault(code, status=0, raw=message), b"")
    assert talk(before + message, step) == expected
    assert talk(before + message + b"more of it", step) == expected


@STEPS
@pytest.mark.parametrize(
    ("command", "kind", "code", "reply"),
    [
        (1, 0, "SOCKS_UNSUPPORTED_ADDRESS_TYPE", 8),
        (1, 2, "SOCKS_UNSUPPORTED_ADDRESS_TYPE", 8),
        (1, 255, "SOCKS_UNSUPPORTED_ADDRESS_TYPE", 8),
        (2, 2, "SOCKS_UNSUPPORTED_COMMAND", 7),
    ],
)
def test_an_unknown_address_type(command: int, kind: int, code: str, reply: int, step: int) -> None:
    raw = greeting(0) + request5(kind, LOCAL, command=command)
    fault = Fault(code, status=0, raw=bytes((5, command, 0, kind)))
    assert talk(raw, step) == (b"\x05\x00" + no(reply), fault, b"")


@STEPS
@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (request4(LOCAL, b"u" * (FIELD_LIMIT + 1)), 8),
        (b"\x04\x01\0\x50" + LOCAL + b"u" * 1000, 8),
        (request4(b"\0\0\0\x01", b"me", b"n" * (FIELD_LIMIT + 1)), 11),
    ],
)
def test_an_endless_field_of_socks4(raw: bytes, kept: int, step: int) -> None:
    assert talk(raw, step) == (NO4, Fault("SOCKS_FIELD_OVERFLOW", status=0, raw=raw[:kept]), b"")


def test_behind_a_fault_everything_is_ignored() -> None:
    server = SocksServer()
    assert server.receive(b"\x07")[1] == Fault("SOCKS_INVALID_VERSION", status=0, raw=b"\x07")
    assert server.receive(greeting(0)) == (b"", None)
    assert (server.rest, server.receive_eof()) == (b"", None)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"\x05", b"\x05"),
        (greeting(0), b""),
        (greeting(0) + b"\x05\x01\x00\x03\x06a.t", b"\x05\x01\x00\x03\x06a.t"),
        (request4(LOCAL)[:-1], request4(LOCAL)[:-1]),
        (greeting(2) + b"\x01\x02me\x06sec", b""),
    ],
)
def test_a_client_that_leaves_in_the_middle(raw: bytes, kept: bytes) -> None:
    server = SocksServer(BOTH)
    assert server.receive(raw)[1] is None
    assert server.receive_eof() == Fault("SOCKS_INVALID_EOF_STATE", status=0, raw=kept)
    assert server.receive_eof() is None


def test_a_client_that_never_said_anything() -> None:
    assert SocksServer().receive_eof() is None


# ── authentication ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("methods", "offered", "chosen"),
    [
        (("no-auth",), (2, 0), 0),
        (BOTH, (2, 0), 0),
        (("user-password-metadata", "no-auth"), (0, 2), 2),
        (("user-password-metadata", "no-auth"), (0, 1), 0),
        (METADATA_ONLY, (0, 1, 2), 2),
        (METADATA_ONLY, (0, 1), 0xFF),
        (("no-auth",), (2,), 0xFF),
    ],
)
def test_the_server_prefers_among_the_methods(
    methods: tuple[AuthMethod, ...], offered: tuple[int, ...], chosen: int
) -> None:
    assert SocksServer(methods).receive(greeting(*offered))[0] == bytes((5, chosen))


TAGS = json.dumps({"tags": ["a", "b c"], "other": 1}).encode()


@STEPS
@pytest.mark.parametrize("encode", [bytes, base64.b64encode, base64.urlsafe_b64encode])
def test_metadata_becomes_tags(encode: Callable[[bytes], bytes], step: int) -> None:
    raw = greeting(2) + password(b"metadata", encode(TAGS)) + named5(b"a.test") + b"rest"
    request = SocksRequest(5, "a.test", 443, ("socket-metadata:a", "socket-metadata:b c"))
    assert talk(raw, step, METADATA_ONLY) == (b"\x05\x02\x01\x00", request, b"rest")


@STEPS
@pytest.mark.parametrize(
    ("message", "code", "reply"),
    [
        (password(b"root", b"hunter2"), "SOCKS_AUTH_FAILED", b"\x01\x01"),
        (password(b"", b""), "SOCKS_AUTH_FAILED", b"\x01\x01"),
        (password(b"metadata2", TAGS), "SOCKS_AUTH_FAILED", b"\x01\x01"),
        (password(b"metadata", b"hunter2"), "SOCKS_INVALID_METADATA", b"\x01\x02"),
        (password(b"metadata", b""), "SOCKS_INVALID_METADATA", b"\x01\x02"),
        (b"\x05\x01\x00\x01", "SOCKS_INVALID_VERSION", b"\x01\x01"),
    ],
)
def test_failed_authentication_keeps_no_password(message: bytes, code: str, reply: bytes, step: int) -> None:
    raw = greeting(0, 2) + message + named5(b"a.test")
    assert talk(raw, step, METADATA_ONLY) == (b"\x05\x02" + reply, Fault(code, status=0), b"")


@STEPS
def test_socks4_is_refused_where_authentication_is_asked_for(step: int) -> None:
    raw = request4(LOCAL, b"me")
    assert talk(raw, step, METADATA_ONLY) == (NO4, Fault("SOCKS_NO_ACCEPTABLE_METHOD", status=0, raw=raw), b"")


@pytest.mark.parametrize(
    ("secret", "tags"),
    [
        (b"{}", ()),
        (b' {"tags": ["x"]} ', ("x",)),
        (b'{"tags": ["x", 1, null, {}, "y", ""]}', ("x", "y", "")),
        (b'{"tags": "x"}', ()),
        (b'{"tags": {"x": 1}}', ()),
        (b"[1]", ()),
        (b"null", ()),
        (b"1", ()),
        (base64.urlsafe_b64encode(b'{"tags":["\xc3\xa9\xc3\xbf?>"]}').rstrip(b"="), ("éÿ?>",)),
        (base64.b64encode(b'{"tags":["\xc3\xa9\xc3\xbf?>"]}'), ("éÿ?>",)),
        (base64.b64encode(b'{"tags":["12"]}'), ("12",)),
        (base64.b64encode(b'{"tags":["123"]}'), ("123",)),
    ],
)
def test_what_metadata_says(secret: bytes, tags: tuple[str, ...]) -> None:
    assert read_metadata_tags(secret) == tuple("socket-metadata:" + tag for tag in tags)


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"{",
        b"x",
        b"e",
        b"e30!",
        b"e3 0",
        b"eyJ",
        b"\xff",
        b'{"tags": ["\xff"]}',
        b'{"tags": ["\\ud800"]}',
        b"[" * 255,
    ],
)
def test_what_is_no_metadata(secret: bytes) -> None:
    assert read_metadata_tags(secret) is None


def test_unknown_or_no_methods_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no SOCKS authentication"):
        SocksServer(())
    with pytest.raises(ValueError, match="unknown SOCKS authentication.*gssapi"):
        SocksServer(("no-auth", "gssapi"))  # type: ignore[arg-type]


# ── user names and passwords ───────────────────────────────────────────────────────────────────────


def judged(raw: bytes, step: int, methods: tuple[AuthMethod, ...] = BOTH) -> tuple[Seen, list[tuple[bytes, bytes]]]:
    """What a server says that knows `me` with `secret`, and whom it was asked about."""
    asked: list[tuple[bytes, bytes]] = []

    def accepts(user: bytes, secret: bytes) -> bool:
        asked.append((user, secret))
        return (user, secret) == (b"me", b"secret")

    server, sent, result = SocksServer(methods, accepts), b"", None
    for at in range(0, len(raw), step):
        out, news = server.receive(raw[at : at + step])
        sent += out
        result = result or news
    return (sent, result, server.rest), asked


@STEPS
@pytest.mark.parametrize("methods", [("no-auth",), BOTH, METADATA_ONLY])
def test_the_right_password_opens_a_tunnel(methods: tuple[AuthMethod, ...], step: int) -> None:
    raw = greeting(0, 2) + password(b"me", b"secret") + named5(b"a.test") + b"rest"
    seen, asked = judged(raw, step, methods)
    assert seen == (b"\x05\x02\x01\x00", SocksRequest(5, "a.test", 443), b"rest")
    assert asked == [(b"me", b"secret")]


@STEPS
@pytest.mark.parametrize(
    ("user", "secret"), [(b"me", b"wrong"), (b"you", b"secret"), (b"", b""), (b"metadata", TAGS), (b"mesecret", b"")]
)
def test_a_wrong_password_does_not_and_is_not_kept(user: bytes, secret: bytes, step: int) -> None:
    seen, asked = judged(greeting(2) + password(user, secret) + named5(b"a.test"), step)
    assert seen == (b"\x05\x02\x01\x01", Fault("SOCKS_AUTH_FAILED", status=0), b"")
    assert asked == [(user, secret)]


@STEPS
@pytest.mark.parametrize(
    ("raw", "reply"),
    [(greeting(0), b"\x05\xff"), (greeting(0, 1), b"\x05\xff"), (request4(LOCAL, b"me"), NO4)],
)
def test_a_client_without_a_password_is_not_served(raw: bytes, reply: bytes, step: int) -> None:
    seen, asked = judged(raw, step)
    assert seen == (reply, Fault("SOCKS_NO_ACCEPTABLE_METHOD", status=0, raw=raw), b"")
    assert asked == []
