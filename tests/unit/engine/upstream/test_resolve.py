"""Names → addresses, with a system that only says what the test wants."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import pytest

from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.resolve import is_address, read_server, resolve

pytestmark = pytest.mark.anyio


class System:
    """What the system's resolver answers."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.error: Exception | None = None
        self.asked: list[Any] = []

    async def getaddrinfo(self, host: str, port: object, **hints: object) -> list[Any]:
        self.asked.append(host)
        if self.error is not None:
            raise self.error
        return [(0, 0, 0, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    monkeypatch.setattr(anyio, "getaddrinfo", made.getaddrinfo)
    return made


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "2001:DB8::1", "fe80::1%eth0", "::ffff:1.2.3.4"])
async def test_an_address_is_its_own_answer(system: System, host: str) -> None:
    assert is_address(host)
    assert await resolve(host) == await resolve(host, ["127.0.0.1:1"]) == [host]
    assert system.asked == []


@pytest.mark.parametrize(
    "host", ["", "a.test", "1.2.3", "127.1", "1.2.3.4.5", "256.1.1.1", "[::1]", "0x7f.0.0.1", ":::"]
)
async def test_what_is_no_address_is_a_name(system: System, host: str) -> None:
    system.addresses = ["192.0.2.1"]
    assert not is_address(host)
    assert await resolve(host) == ["192.0.2.1"]
    assert system.asked == [host]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "b.a.LocalHost."])
async def test_localhost_is_this_machine_whatever_name_servers_say(system: System, host: str) -> None:
    assert await resolve(host) == await resolve(host, ["127.0.0.1:1"]) == ["::1", "127.0.0.1"]
    assert system.asked == []


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.test"])
async def test_what_only_looks_like_localhost_is_asked_for(system: System, host: str) -> None:
    system.addresses = ["192.0.2.1"]
    assert await resolve(host) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("found", "turns"),
    [
        ([], []),
        (["1.1.1.1"], ["1.1.1.1"]),
        (["1.1.1.1", "1.1.1.1"], ["1.1.1.1"]),
        (["1.1.1.1", "2.2.2.2"], ["1.1.1.1", "2.2.2.2"]),
        (["::1", "::2", "1.1.1.1", "2.2.2.2"], ["::1", "1.1.1.1", "::2", "2.2.2.2"]),
        (["1.1.1.1", "2.2.2.2", "::1"], ["1.1.1.1", "::1", "2.2.2.2"]),
        (["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"], ["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"]),
        (["1.1.1.1", "::1", "::2", "::3", "::1"], ["1.1.1.1", "::1", "::2", "::3"]),
    ],
)
async def test_the_two_families_take_turns_from_the_first(system: System, found: list[str], turns: list[str]) -> None:
    system.addresses = found
    assert await resolve("a.test") == turns


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "ENOTFOUND"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "EAI_AGAIN"),
        (UnicodeError("label too long"), "ENOTFOUND"),
        (ValueError("embedded null character"), "ENOTFOUND"),
    ],
)
async def test_a_name_that_cannot_be_resolved(system: System, error: Exception, code: str) -> None:
    system.error = error
    with pytest.raises(UpstreamError) as caught:
        await resolve("a.test")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("2001:db8::1:53", ("2001:db8::1:53", 53)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
    ],
)
async def test_a_name_server_is_an_address_with_or_without_a_port(text: str, server: tuple[str, int]) -> None:
    assert read_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dns.test",
        "dns.test:53",
        "https://1.1.1.1/dns-query",
        "1.1.1.1:",
        "1.1.1.1:x",
        "1.1.1.1:0",
        "1.1.1.1:65536",
        "1.1.1.1:" + "9" * 5000,
    ],
)
async def test_a_name_server_by_name_is_none(system: System, text: str) -> None:
    with pytest.raises(UpstreamError, match="is not the address of a name server") as caught:
        await resolve("a.test", [text])
    assert caught.value.code == "ENOTFOUND"
    assert system.asked == []
