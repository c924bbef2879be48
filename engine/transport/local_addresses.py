"""Which addresses and names are this recorder itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from mockrec.engine.bounded_cache import remember


def local_endpoints(host: str, port: int) -> Callable[[str, int], bool]:
    """A function that knows whether an address, or a name for this machine, and a port are where we listen.

    `host` is what was bound: an address, a name, or a wildcard.
    """
    host = host.strip("[]").lower()
    known: dict[str, bool] = {}

    def is_own(name: str, other_port: int) -> bool:
        if other_port != port:
            return False
        name = name.rstrip(".").lower()
        found = known.get(name)
        return remember(known, name, name == host or _is_here(name, host), 1024) if found is None else found

    return is_own


def _is_here(name: str, host: str) -> bool:
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
    """This machine's own; asking for the second may take a name server's time."""
    return socket.gethostname().lower(), socket.getfqdn().lower()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that is meant: IPv4 where it is written in IPv6 (RFC 4291, 2.5.5.2)."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _can_bind(address: str) -> bool:
    """Whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
