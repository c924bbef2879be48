"""Map hosts that have different names in the two sessions: the recorder itself, `--map-host`, random free ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LOOPBACK = re.compile(r"(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?", re.IGNORECASE)


class Hosts:
    """Canonical names of one session's hosts; "" for the recorder itself."""

    def __init__(self, header: Mapping[str, Any] | None, renamed: Mapping[str, str], kept: frozenset[str]) -> None:
        self.own = own_names(header)
        self._renamed = renamed
        """Name in this session → name in the other one."""
        self._kept = kept
        """Hosts with the same name and port in both sessions."""
        self._canonical_names: dict[str, str] = {}

    def canonical(self, host: str) -> str:
        """Return the name of a host for both sessions."""
        found = self._canonical_names.get(host)
        if found is None:
            found = self._canonical_names[host] = self._canonical(host)
        return found

    def _canonical(self, host: str) -> str:
        if host in self.own:
            return ""
        name, _, port = host.rpartition(":")
        if host in self._renamed:
            return self._renamed[host]
        if port.isdigit() and name in self._renamed:
            renamed = self._renamed[name]
            return renamed if ":" in renamed.rpartition("]")[2] else f"{renamed}:{port}"
        if host not in self._kept and _LOOPBACK.fullmatch(host):
            return "localhost"  # a test's own server, on a free port
        return host


def own_names(header: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the recorder in a session's requests; every session has the same number, in the same
    order."""
    listen = (header or {}).get("listen")
    port = listen.get("port") if isinstance(listen, Mapping) else None
    if not isinstance(listen, Mapping) or not isinstance(port, int):
        return ()
    names = (listen.get("host"), "127.0.0.1", "localhost", "[::1]")
    return tuple(f"{name}:{port}" for name in names)
