"""Which addresses and names are this recorder; no test asks a name server or opens a connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mockrec.engine.transport import local_addresses as own
from mockrec.engine.transport.local_addresses import LocalEndpoints

PORT = 8000


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that is called `box`, `box.lan`, 192.0.2.9 and 2001:db8::9."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Box.LAN")
    monkeypatch.setattr(own, "_can_bind", lambda address: address in ("192.0.2.9", "2001:db8::9"))
    own._names.cache_clear()
    yield
    own._names.cache_clear()


EVERYWHERE = pytest.mark.parametrize("bound", ["0.0.0.0", "::", "[::]", ""])


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_another_port_is_somebody_else(bound: str) -> None:
    is_own = LocalEndpoints(bound, PORT).is_local
    assert is_own("127.0.0.1", PORT)
    assert not is_own("127.0.0.1", PORT + 1)
    assert not is_own("localhost", 80)


@EVERYWHERE
@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "192.0.2.9",
        "::ffff:192.0.2.9",
        "2001:db8::9",
        "2001:DB8:0::9",
        "box",
        "BOX",
        "box.",
        "box.lan",
    ],
)
def test_a_wildcard_is_every_address_and_name_of_the_machine(bound: str, name: str) -> None:
    assert LocalEndpoints(bound, PORT).is_local(name, PORT)


@EVERYWHERE
@pytest.mark.parametrize("name", ["192.0.2.10", "2001:db8::8", "a.test", "notlocalhost", "box.test", "lan"])
def test_but_no_other(bound: str, name: str) -> None:
    assert not LocalEndpoints(bound, PORT).is_local(name, PORT)


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "[::1]", "localhost", "LocalHost"])
@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "localhost", "x.localhost."])
def test_names_for_loopback_and_the_address_that_is_bound(bound: str, name: str) -> None:
    other = {"127.0.0.1": "::1", "::ffff:127.0.0.1": "::1", "::1": "127.0.0.1"}.get(name)
    # Another loopback address may be another server's.
    assert LocalEndpoints(bound, PORT).is_local(name, PORT) == (bound.strip("[]") != other)


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("name", ["192.0.2.9", "2001:db8::9", "box", "box.lan", "a.test"])
def test_loopback_is_nothing_else(bound: str, name: str) -> None:
    assert not LocalEndpoints(bound, PORT).is_local(name, PORT)


@pytest.mark.parametrize(
    ("bound", "name", "ours"),
    [
        ("192.0.2.9", "192.0.2.9", True),
        ("192.0.2.9", "::ffff:192.0.2.9", True),
        ("192.0.2.9", "192.0.2.10", False),
        ("192.0.2.9", "127.0.0.1", False),
        ("192.0.2.9", "localhost", False),
        ("192.0.2.9", "box", False),
        ("2001:db8::9", "2001:db8::9", True),
        ("[2001:DB8::9]", "2001:0db8::9", True),
        ("2001:db8::9", "::1", False),
        ("box.lan", "box.lan", True),
        ("Box.LAN", "BOX.lan.", True),
        ("box.lan", "box", False),
        ("box.lan", "localhost", False),
    ],
)
def test_one_address_or_name_is_itself(bound: str, name: str, ours: bool) -> None:
    assert LocalEndpoints(bound, PORT).is_local(name, PORT) is ours


def test_the_machine_is_asked_for_its_names_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(socket, "getfqdn", lambda: asked.append("fqdn") or "box.lan")  # type: ignore[func-returns-value]
    is_own = LocalEndpoints("0.0.0.0", PORT).is_local
    for name in ("a.test", "b.test", "box", "a.test"):
        is_own(name, PORT)
    assert asked == ["fqdn"]


def test_many_names_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def here(name: str, host: str) -> bool:
        looked_up.append(name)
        return False

    monkeypatch.setattr(own, "_is_here", here)
    is_own = LocalEndpoints("127.0.0.1", PORT).is_local
    for _ in range(2):
        is_own("a.test", PORT)
    assert looked_up == ["a.test"]
    for number in range(3000):
        is_own(f"n{number}.test", PORT)
    is_own("a.test", PORT)
    assert looked_up.count("a.test") == 2


@pytest.mark.parametrize(
    ("address", "ours"), [("127.0.0.1", True), ("192.0.2.77", False), ("2001:db8::77", False), ("::ffff:1", False)]
)
def test_the_system_knows_which_addresses_are_its_own(
    monkeypatch: pytest.MonkeyPatch, address: str, ours: bool
) -> None:
    monkeypatch.undo()
    assert own._can_bind(address) is ours
