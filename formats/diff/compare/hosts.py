"""Hosts that are the same in both sessions under different names: the recorder itself, mapped ones, free ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LOOPBACK = re.compile(r"(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?", re.IGNORECASE)


class Hosts:
    """The canonical name of each host of one session. Empty is the recorder itself."""

    def __init__(self, header: Mapping[str, Any] | None, renamed: Mapping[str, str], kept: frozenset[str]) -> None:
        self.own = own_names(header)
        self._renamed = renamed
        """Name here → name in the other session."""
        self._kept = kept
        """Hosts that both sessions know by the same name and port."""
        self._known: dict[str, str] = {}

    def canonical(self, host: str) -> str:
        """The name under which both sessions know a host."""
        found = self._known.get(host)
        if found is None:
            found = self._known[host] = self._canonical(host)
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
            return "localhost"  # a server of the test's own, on whatever port was free
        return host


def own_names(header: Mapping[str, Any] | None) -> tuple[str, ...]:
    """How a session's requests call the recorder itself: always as many names, in the same order."""
    listen = (header or {}).get("listen")
    port = listen.get("port") if isinstance(listen, Mapping) else None
    if not isinstance(listen, Mapping) or not isinstance(port, int):
        return ()
    names = (listen.get("host"), "127.0.0.1", "localhost", "[::1]")
    return tuple(f"{name}:{port}" for name in names)
