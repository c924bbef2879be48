"""Listening sockets: bound to every address of a host, on the first free port of a range."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from mockrec.engine.errors import ConfigError

BACKLOG = 2048
"""Connections that the kernel queues for one listening socket until they are accepted."""


def url_of(host: str, port: int) -> str:
    """The URL at which clients on this machine reach a server that listens on `host` and `port`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{port}"


def bind(host: str, ports: tuple[int, int]) -> list[socket.socket]:
    """Bind the first free port of the range `ports` (0: any) on every address of `host`. Raises ConfigError."""
    addresses = list(_addresses(host))
    for port in range(ports[0], ports[1] + 1):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or ports[0] != ports[1]:
                if error.errno == errno.EADDRINUSE:
                    continue
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ConfigError(f"cannot listen on {host}:{port}: {reason}") from None
            raise ConfigError(
                f"port {port} on {host} is in use; give another one with --port (0 takes any free one)"
            ) from None
    raise ConfigError(f"all ports from {ports[0]} to {ports[1]} on {host} are in use")


def bind_shared(host: str, ports: tuple[int, int], count: int) -> list[list[socket.socket]]:
    """Bind what `bind` binds, `count` times. The kernel spreads connections over all listeners (SO_REUSEPORT).

    Raises ConfigError.
    """
    # First without SO_REUSEPORT, which would share the port with any other process that sets it, without an error.
    taken = bind(host, ports)
    port = taken[0].getsockname()[1]
    for sock in taken:
        sock.close()
    addresses = list(_addresses(host))
    try:
        return [_bind_all(addresses, port, shared=True) for _ in range(count)]
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, str]]:
    """Each address that `host` resolves to, once, with its family. Raises ConfigError."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host!r}: {error.strerror or error}") from None
    seen: set[str] = set()
    for family, _, _, _, address in found:
        name = str(address[0])
        if family in (socket.AF_INET, socket.AF_INET6) and name not in seen:
            seen.add(name)
            yield family, name


def _bind_all(
    addresses: list[tuple[socket.AddressFamily, str]], port: int, *, shared: bool = False
) -> list[socket.socket]:
    """Listening sockets on every address, all on one port. An address this machine lacks is skipped if one works."""
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        for family, name in addresses:
            sock = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((name, port or (sockets[0].getsockname()[1] if sockets else 0)))
                sock.listen(BACKLOG)  # fails if another process has the port; `bind` alone does not
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
                sock.close()
                continue
            sockets.append(sock)
        if not sockets and missing is not None:
            raise missing
        opened.pop_all()
        return sockets
