"""Binding listening sockets: ports, ranges, and hosts with several addresses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mockrec.engine.errors import ConfigError
from mockrec.engine.transport import sockets as sockets_module
from mockrec.engine.transport.sockets import bind

HOST = "127.0.0.1"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bound(opened: ExitStack, host: str, ports: tuple[int, int]) -> list[socket.socket]:
    return [opened.enter_context(sock) for sock in bind(host, ports)]


def busy_ports(opened: ExitStack, count: int) -> int:
    """The first of so many neighbouring ports, all of them taken, with a free one behind them."""
    for _ in range(200):
        with ExitStack() as tried:
            first = tried.enter_context(socket.create_server((HOST, 0))).getsockname()[1]
            if first + count > 65535:
                continue
            try:
                for port in range(first + 1, first + count):
                    tried.enter_context(socket.create_server((HOST, port)))
                with socket.create_server((HOST, first + count)):
                    pass
            except OSError:
                continue
            opened.enter_context(tried.pop_all())
            return first
    raise AssertionError("no neighbouring ports are free")


def test_any_free_port(opened: ExitStack) -> None:
    (sock,) = bound(opened, HOST, (0, 0))
    address, port = sock.getsockname()
    assert address == HOST
    assert port > 0
    assert not sock.getblocking()


def test_the_port_that_was_asked_for(opened: ExitStack) -> None:
    first = busy_ports(opened, 1)
    (sock,) = bound(opened, HOST, (first + 1, first + 1))
    assert sock.getsockname()[1] == first + 1


def test_a_port_in_use(opened: ExitStack) -> None:
    port = busy_ports(opened, 1)
    with pytest.raises(ConfigError) as caught:
        bind(HOST, (port, port))
    assert str(caught.value) == f"port {port} on {HOST} is in use; give another one with --port (0 takes any free one)"


def test_the_first_free_port_of_a_range(opened: ExitStack) -> None:
    first = busy_ports(opened, 2)
    (sock,) = bound(opened, HOST, (first, first + 2))
    assert sock.getsockname()[1] == first + 2


def test_a_range_that_is_in_use(opened: ExitStack) -> None:
    first = busy_ports(opened, 2)
    with pytest.raises(ConfigError) as caught:
        bind(HOST, (first, first + 1))
    assert str(caught.value) == f"all ports from {first} to {first + 1} on {HOST} are in use"


@pytest.mark.parametrize("ports", [(8000, 8000), (8000, 8003)])
def test_a_port_that_may_not_be_used(monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]) -> None:
    def refuse(addresses: Any, port: int) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sockets_module, "_bind_all", refuse)
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:8000: Permission denied"):
        bind(HOST, ports)


def test_a_host_that_is_none_of_this_machine() -> None:
    with pytest.raises(ConfigError, match="cannot listen on 192.0.2.1:0: "):
        bind("192.0.2.1", (0, 0))


def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError) as caught:
        bind("no.such.host", (0, 0))
    assert str(caught.value) == "cannot listen on 'no.such.host': Name or service not known"


def test_every_address_of_a_name_gets_the_same_port(opened: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.1", "127.0.0.2")]
    missing = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [*found, found[0], missing])
    sockets = bound(opened, "two.test", (0, 0))
    assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "127.0.0.2"]
    assert len({sock.getsockname()[1] for sock in sockets}) == 1


def test_nothing_is_left_bound_where_one_address_is_in_use(opened: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    port = busy_ports(opened, 1)
    with pytest.raises(ConfigError, match="is in use"):
        bind("two.test", (port, port))
    with socket.socket() as again:
        again.bind(("127.0.0.2", port))
