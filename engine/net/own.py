"""Which addresses and names are this recorder itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address


def own_addresses(host: str, port: int) -> Callable[[str, int], bool]:
    """A function that knows whether an address, or a name for this machine, and a port are where we listen.

    `host` is what was bound: an address, a name, or a wildcard.
    """
    host = host.strip("[]").lower()
    known: dict[str, bool] = {}

    def is_own(name: str, other_port: int) -> bool:
        if other_port != port:
            return False
        name = name.rstrip(".").lower()
        if name not in known:
            if len(known) > 1024:
                known.clear()
            known[name] = name == host or _is_here(name, host)
        return known[name]

    return is_own


def _is_here(name: str, host: str) -> bool:
    everywhere = host in ("", "0.0.0.0", "::")
    if name == "localhost" or name.endswith(".localhost"):
        return everywhere or _is_loopback(host)
    try:
        address = ip_address(name)
    except ValueError:
        return everywhere and name in (socket.gethostname().lower(), socket.getfqdn().lower())
    if address.is_loopback:
        return everywhere or _is_loopback(host)
    return everywhere and _can_bind(name)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _can_bind(address: str) -> bool:
    """Whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
