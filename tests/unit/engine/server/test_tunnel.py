"""Tunnels: where to, for whom, and the greetings of SOCKS over a pipe that only remembers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import anyio
import pytest

from mockrec.engine.server.proxy_auth import is_allowed, proxy_tags
from mockrec.engine.server.tunnel import OpenedTunnel, negotiate_socks, read_authority
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.socks.server import AuthMethod, SocksServer

# ── where to ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a.test:443", ("a.test", 443)),
        ("A.Test:1", ("A.Test", 1)),
        ("a.test:65535", ("a.test", 65535)),
        ("a.test:00080", ("a.test", 80)),
        ("a.test", ("a.test", None)),
        ("a.test:", ("a.test", None)),
        ("a_b-c.test.:80", ("a_b-c.test.", 80)),
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[2001:DB8::a]", ("2001:DB8::a", None)),
        ("[::ffff:1.2.3.4]:80", ("::ffff:1.2.3.4", 80)),
    ],
)
def test_a_target_is_a_host_and_a_port(text: str, target: tuple[str, int | None]) -> None:
    assert read_authority(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a.test:x",
        "a.test:-1",
        "a.test:+1",
        "a.test:8 0",
        "a.test:²",
        "a.test:80:80",
        "a.test/",
        "a.test:80/",
        "/a.test",
        "http://a.test",
        "user@a.test:80",
        "a.test?b:80",
        "a.test#b",
        "a b:80",
        "::1",
        "::1:80",
        "[::1",
        "[]:80",
        "[:::]:80",
        "[1.2.3.4]:80",
        "[a.test]:80",
        "[::1]x:80",
        "[::1]]:80",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    assert read_authority(text) == "ERR_INVALID_URL"


@pytest.mark.parametrize("port", ["0", "00000", "65536", "99999", "100000", "1" * 5000])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert read_authority(f"a.test:{port}") == "PREPROCESSING_FAILED"
    assert read_authority(f"[::1]:{port}") == "PREPROCESSING_FAILED"


# ── for whom ───────────────────────────────────────────────────────────────────────────────────────

AUTH = ("mé", "se:cret")
TAGS = json.dumps({"tags": ["a", "b:c"]}).encode()


def basic(text: bytes, scheme: str = "Basic") -> dict[str, str]:
    return {"proxy-authorization": f"{scheme} {base64.b64encode(text).decode()}"}


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic  "])
def test_the_right_password_is_admitted(scheme: str) -> None:
    assert proxy_tags(basic("mé:se:cret".encode(), scheme), AUTH) == ()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": basic("mé:se:cret".encode())["proxy-authorization"]},
        {"proxy-authorization": ""},
        {"proxy-authorization": "Basic"},
        {"proxy-authorization": "Basic !"},
        {"proxy-authorization": "Basic é"},
        {"proxy-authorization": basic("mé:se:cret".encode())["proxy-authorization"][:-1]},
        {"proxy-authorization": ", ".join([*basic("mé:se:cret".encode()).values()] * 2)},
        basic("mé:se:cret".encode(), "Bearer"),
        basic(b""),
        basic("mé".encode()),
        basic("mé:".encode()),
        basic("mé:se:cret2".encode()),
        basic("mé:se".encode()),
        basic(b":se:cret"),
        basic("mé:se:cret".encode("latin-1")),
        basic(b"metadata:" + TAGS),
    ],
)
def test_everything_else_is_not(headers: dict[str, str]) -> None:
    assert proxy_tags(headers, AUTH) is None


def test_both_user_and_password_have_to_be_right() -> None:
    assert is_allowed((b"me", b"x"), ("me", "x"))
    assert not is_allowed((b"me", b"y"), ("me", "x"))
    assert not is_allowed((b"you", b"x"), ("me", "x"))
    assert not is_allowed((b"", b""), ("me", "x"))


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, base64.urlsafe_b64encode])
def test_metadata_are_tags(encode: Callable[[bytes], bytes]) -> None:
    assert proxy_tags(basic(b"metadata:" + encode(TAGS)), None) == ("socket-metadata:a", "socket-metadata:b:c")


def test_a_user_that_is_called_metadata_may_be_the_right_one() -> None:
    assert proxy_tags(basic(b"metadata:secret"), ("metadata", "secret")) == ()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"proxy-authorization": "Basic !"},
        basic(b"me:secret"),
        basic(b"metadata"),
        basic(b"metadata:"),
        basic(b"metadata:no JSON"),
        basic(b"metadata:[1]"),
        basic(b'metadata:{"tags": [1]}'),
        basic(b"Metadata:" + TAGS),
    ],
)
def test_without_a_password_everybody_is_admitted(headers: dict[str, str]) -> None:
    assert proxy_tags(headers, None) == ()


# ── SOCKS ──────────────────────────────────────────────────────────────────────────────────────────


class FakePipe:
    """A client that says what it is told to, and remembers what it hears."""

    def __init__(self, *said: bytes | Exception) -> None:
        self.said = list(said)
        self.heard: list[bytes] = []

    async def receive(self, max_bytes: int = 0) -> bytes:
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def send(self, item: bytes) -> None:
        self.heard.append(item)


GRANTED = b"\x05\x00\x00\x01" + bytes(6)
GREETING = b"\x05\x01\x00"
REQUEST = b"\x05\x01\x00\x03\x06a.test\x01\xbb"


async def negotiated(
    *said: bytes | Exception, methods: tuple[AuthMethod, ...] = ("no-auth",)
) -> tuple[OpenedTunnel | Fault, list[bytes]]:
    first, *later = said
    assert isinstance(first, bytes)
    pipe = FakePipe(*later)
    result = await negotiate_socks(pipe, first, SocksServer(methods))  # type: ignore[arg-type]
    assert pipe.said == [], "not everything was read"
    return result, pipe.heard


@pytest.mark.anyio
async def test_a_dialogue_ends_in_a_tunnel() -> None:
    result, heard = await negotiated(GREETING, REQUEST)
    assert result == OpenedTunnel(("a.test", 443), (), b"")
    assert heard == [b"\x05\x00", GRANTED]


@pytest.mark.anyio
async def test_a_client_may_say_everything_at_once() -> None:
    result, heard = await negotiated(GREETING + REQUEST + b"\x16\x03\x01")
    assert result == OpenedTunnel(("a.test", 443), (), b"\x16\x03\x01")
    assert heard == [b"\x05\x00" + GRANTED]


@pytest.mark.anyio
async def test_a_client_may_say_it_in_pieces() -> None:
    whole = GREETING + REQUEST
    result, heard = await negotiated(*(whole[at : at + 1] for at in range(len(whole))))
    assert result == OpenedTunnel(("a.test", 443), (), b"")
    assert b"".join(heard) == b"\x05\x00" + GRANTED


@pytest.mark.anyio
async def test_version_4_has_tunnels_too() -> None:
    result, heard = await negotiated(b"\x04\x01\x00\x50\x7f\0\0\x01me\0rest")
    assert result == OpenedTunnel(("127.0.0.1", 80), (), b"rest")
    assert heard == [b"\x00\x5a" + bytes(6)]


@pytest.mark.anyio
async def test_a_tunnel_to_port_0_has_none() -> None:
    result, _ = await negotiated(GREETING + REQUEST[:-2] + b"\0\0")
    assert result == OpenedTunnel(("a.test", None), (), b"")


@pytest.mark.anyio
async def test_metadata_come_with_the_tunnel() -> None:
    password = b"\x01\x08metadata" + bytes([len(TAGS)]) + TAGS
    result, heard = await negotiated(b"\x05\x01\x02", password, REQUEST, methods=("user-password-metadata",))
    assert result == OpenedTunnel(("a.test", 443), ("socket-metadata:a", "socket-metadata:b:c"), b"")
    assert heard == [b"\x05\x02", b"\x01\x00", GRANTED]


@pytest.mark.anyio
async def test_a_fault_is_answered_and_told() -> None:
    result, heard = await negotiated(GREETING, b"\x05\x02" + REQUEST[2:])
    assert result == Fault("SOCKS_UNSUPPORTED_COMMAND", status=0, raw=b"\x05\x02" + REQUEST[2:])
    assert heard == [b"\x05\x00", b"\x05\x07\x00\x01" + bytes(6)]


@pytest.mark.anyio
async def test_a_fault_that_has_no_answer_is_told() -> None:
    assert await negotiated(b"\x06") == (Fault("SOCKS_INVALID_VERSION", status=0, raw=b"\x06"), [])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("end", "fault"),
    [
        (anyio.EndOfStream(), Fault("SOCKS_INVALID_EOF_STATE", status=0, raw=b"\x05\x01")),
        (anyio.BrokenResourceError(), Fault("SOCKS_INVALID_EOF_STATE", status=0, raw=b"\x05\x01")),
        (TimeoutError(), Fault("SOCKS_TIMEOUT", status=0)),
    ],
)
async def test_a_client_that_leaves_or_sleeps_in_the_middle(end: Exception, fault: Fault) -> None:
    assert await negotiated(GREETING, b"\x05\x01", end) == (fault, [b"\x05\x00"])
