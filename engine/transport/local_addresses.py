"""Which addresses and host names refer to this recorder itself."""

from __future__ import annotations

import socket
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from mockrec.engine.bounded_cache import remember

_MOST_NAMES = 1024
"""Names whose lookups are remembered."""


class LocalEndpoints:
    """The endpoints that this recorder listens on. Before a port is added, there are none."""

    def __init__(self, host: str, *ports: int) -> None:
        """`host` is what is bound: an address, a name, or a wildcard."""
        self._host = host.strip("[]").lower()
        self._ports = set(ports)
        self._by_name: dict[str, bool] = {}

    def add(self, port: int) -> None:
        """The recorder listens on `port`, too."""
        self._ports.add(port)

    def is_local(self, name: str, port: int) -> bool:
        """Whether an address, or a name for this machine, and a port refer to a listening socket of this recorder."""
        if port not in self._ports:
            return False
        name = name.rstrip(".").lower()
        is_here = self._by_name.get(name)
        if is_here is None:
            is_here = remember(self._by_name, name, name == self._host or _is_here(name, self._host), _MOST_NAMES)
        return is_here


def _is_here(name: str, host: str) -> bool:
    """Whether connections to `name` reach a socket of this machine that is bound to `host`."""
    everywhere = host in ("", "0.0.0.0", "::")
    if name == "localhost" or name.endswith(".localhost"):
        return everywhere or is_loopback(host)
    address = _address(name)
    if address is None:
        return everywhere and name in _names()
    if everywhere and (address.is_loopback or address.is_unspecified):
        return True
    if address.is_unspecified:  # a connection to 0.0.0.0 goes to this machine
        return is_loopback(host)
    if host == "localhost" and address.is_loopback:
        return True
    return address == _address(host) or (everywhere and _can_bind(str(address)))


@cache
def _names() -> tuple[str, str]:
    """The host name of this machine, short and fully qualified; the second may take a name server's time."""
    return socket.gethostname().lower(), socket.getfqdn().lower()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is: an IPv4-mapped IPv6 address as IPv4 (RFC 4291, 2.5.5.2). None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a socket that listens on `host`."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _can_bind(address: str) -> bool:
    """Whether `address` belongs to an interface of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
