"""Names of servers → addresses: by the system, or by the name servers of `upstream.dnsServers`."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import anyio

from mockrec.engine.late import imported
from mockrec.engine.upstream.errors import NOT_FOUND, UpstreamError, system_error
from mockrec.formats.text.hostnames import to_ascii

_PATIENCE_SECONDS = 2.0
"""For the name servers of the options, before the system is asked."""
_LOOPBACK = ["::1", "127.0.0.1"]


def is_address(host: str) -> bool:
    """Whether a host is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str, servers: Sequence[str] = ()) -> list[str]:
    """The addresses of a host, those of IPv6 and IPv4 alternating. Raises UpstreamError."""
    if is_address(host):
        return [host]
    try:
        host = to_ascii(host)
    except ValueError:
        raise UpstreamError(NOT_FOUND, "its name is not one that can be resolved") from None
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return list(_LOOPBACK)  # RFC 6761, 6.3
    if servers:
        found = await _query(host, servers)
        if found:
            return _alternating(found)
    try:
        known = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise system_error(error) from None
    except ValueError:
        raise UpstreamError(NOT_FOUND, "its name is not one that can be resolved") from None
    return _alternating([str(entry[4][0]) for entry in known])


def read_server(text: str) -> tuple[str, int]:
    """A name server, `address[:port]`, IPv6 with a port in brackets. Raises UpstreamError for other text."""
    address, port = text.strip("[]"), "53"
    if not is_address(address):
        address, _, port = text.rpartition(":")
        address = address.strip("[]")
    if not (is_address(address) and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise UpstreamError(NOT_FOUND, f"{text} is not the address of a name server")
    return address, int(port)


async def _query(host: str, servers: Sequence[str]) -> list[str]:
    """The addresses that these name servers return; empty if the system has to be asked."""
    await imported("dns.asyncresolver")
    import dns.asyncresolver
    import dns.exception

    resolver = dns.asyncresolver.Resolver(configure=False)
    addresses: list[Any] = []
    for server in servers:
        address, port = read_server(server)
        addresses.append(address)
        resolver.nameserver_ports[address] = port
    resolver.nameservers = addresses
    resolver.lifetime = _PATIENCE_SECONDS
    found: dict[str, list[str]] = {"AAAA": [], "A": []}

    async def ask(kind: str) -> None:
        try:
            answer = await resolver.resolve(host, kind, raise_on_no_answer=False)
            found[kind] = [record.address for record in answer]
        except (dns.exception.DNSException, OSError):
            pass  # the system is asked next

    async with anyio.create_task_group() as group:
        for kind in found:
            group.start_soon(ask, kind)
    return [*found["AAAA"], *found["A"]]


def _alternating(addresses: Sequence[str]) -> list[str]:
    """Each address once, IPv6 and IPv4 alternating, in the resolver's order (RFC 8305, 4)."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if (":" in address) == (":" in unique[0])]
    second = [address for address in unique if address not in first]
    mixed: list[str] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return mixed
